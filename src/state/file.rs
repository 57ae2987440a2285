//! The state file's format: `{"A": [[…], …], "b": […], "meta": {…}}`, one JSON object, A as its full rows. It is the format of
//! the service that this engine replaced; `docs/state-files.md` describes it.

use super::history::{HistoryRow, Pull};
use super::ledger::{Entry, Ledger};
use super::record::{Counters, Extra, MOST_COUNTED, Record};
use crate::clock::{format_seconds, parse_seconds};
use crate::error::shown;
use crate::feature::{Moment, TaskFeatures};
use crate::log::Seq;
use crate::policy::{MAX_SUM, PolicyName, is_sum_of_products, packed_index};
use memchr::memmem;
use serde::de::DeserializeOwned;
use serde::ser::{Error as _, SerializeMap, SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::Number;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A parsed file with what it says of its owner.
#[derive(Debug)]
pub struct Parsed {
    /// The state itself.
    pub record: Record,
    /// The user named in it; files of the old service name none.
    pub user_id: Option<String>,
    /// The policy named in it.
    pub policy: Option<String>,
    /// Somebody else wrote it: it has no checksum of ours, and what it holds need not be in the interaction log.
    pub foreign: bool,
}

impl Parsed {
    /// Whether the log does not have what is in it.
    #[must_use]
    pub fn is_unlogged(&self) -> bool {
        self.foreign || self.record.unlogged
    }
}

/// What stands between a file's content and its checksum; the file ends behind it.
const CHECKSUM_KEY: &[u8] = b",\"checksum\":\"";

/// Whether this package wrote these bytes, by the keys that nobody else writes compactly: the old service keeps them, but puts a
/// space behind each colon. Two are looked for, because a damaged file may have lost one.
fn is_ours(bytes: &[u8]) -> bool {
    [CHECKSUM_KEY, b",\"seq\":["].iter().any(|key| memmem::find(bytes, key).is_some())
}

/// Whether bytes that cannot be read begin and end as a file of this package does, and hold its keys: it never leaves a part of one.
#[must_use]
pub fn seems_whole(bytes: &[u8]) -> bool {
    // All but one or two bytes of either end, because damage may be there.
    let begins = bytes.iter().zip(b"{\"A\":[[").filter(|(a, b)| a == b).count() >= 6;
    let ends = bytes.iter().rev().zip(b"\"}}".iter().rev()).filter(|(a, b)| a == b).count() >= 2;
    begins && ends && is_ours(bytes)
}

fn check_checksum(bytes: &[u8]) -> Result<(), String> {
    let content = memmem::rfind(bytes, CHECKSUM_KEY).ok_or("the checksum is missing")?;
    let expected = format!("{:08x}\"}}}}", crc32fast::hash(&bytes[..content]));
    if bytes[content + CHECKSUM_KEY.len()..] == *expected.as_bytes() { Ok(()) } else { Err("the checksum is wrong".to_owned()) }
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "A")]
    a: Vec<Vec<f64>>,
    b: Vec<f64>,
    #[serde(default)]
    meta: BTreeMap<String, Box<RawValue>>,
}

/// Reads a state file of any policy; its dimension is b's length.
///
/// # Errors
/// What is wrong with it, for people.
pub fn parse(bytes: &[u8]) -> Result<Parsed, String> {
    let foreign = !is_ours(bytes);
    if !foreign {
        check_checksum(bytes)?;
    }
    parse_content(bytes, foreign)
}

/// Reads what [`serialise_state`] wrote.
///
/// # Errors
/// As [`parse`].
pub fn parse_state(text: &str) -> Result<Parsed, String> {
    parse_content(text.as_bytes(), true)
}

fn parse_content(bytes: &[u8], foreign: bool) -> Result<Parsed, String> {
    let Raw { a: rows, b, mut meta } = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    let d = b.len();
    if rows.len() != d || rows.iter().any(|row| row.len() != d) {
        return Err(format!("A is not a {d} × {d} matrix although b has {d} entries"));
    }
    let mut a = Vec::with_capacity(d * (d + 1) / 2);
    for i in 0..d {
        for j in 0..=i {
            let (below, above) = (rows[i][j], rows[j][i]);
            if (below - above).abs() > 1e-9 * below.abs().max(1.0) {
                return Err(format!("A is not symmetric: A[{i}][{j}] is {below}, A[{j}][{i}] is {above}"));
            }
            a.push(below);
        }
    }
    check_sums(&a, &b)?;
    let counters = Counters {
        pulls: count(&mut meta, "pulls")?,
        explore_count: count(&mut meta, "explore_count")?,
        reward_count: count(&mut meta, "reward_count")?,
        cumulative_reward: known(&mut meta, "cumulative_reward", "a number")?.unwrap_or(0.0),
        // Shown to people and nothing else: a time that cannot be read must not cost a user's learning.
        last_updated: known::<String>(&mut meta, "last_updated", "a time").ok().flatten().and_then(|text| parse_seconds(&text)),
    };
    if counters.cumulative_reward.abs() > MAX_SUM {
        return Err(format!("meta.cumulative_reward is {}, past ±{MAX_SUM:e}", counters.cumulative_reward));
    }
    let (user_id, policy) = (known(&mut meta, "user_id", "a string")?, known(&mut meta, "policy", "a string")?);
    // A person's or the old service's file may hold any of ours, too; what cannot be read of them is no reason to refuse the sums.
    let seq = known(&mut meta, "seq", "a pair of numbers").ok().flatten().unwrap_or_default();
    let unlogged = known(&mut meta, "unlogged", "true or false").ok().flatten().unwrap_or(false);
    let rows: Vec<Row> = meta.remove("history").map(|rows| readable(&rows)).unwrap_or_default();
    let history = rows.into_iter().filter_map(|row| row.read(b_policy(d)?)).collect();
    let ledger = meta.remove("feedback").map(|ledger| LedgerText::parse(&ledger)).unwrap_or_default().read();
    meta.remove("checksum");
    let extra: Extra = meta.into_iter().map(|(key, value)| (key, value.get().to_owned())).collect();
    let extra = (!extra.is_empty()).then_some(extra);
    Ok(Parsed { record: Record { a, b, counters, seq, unlogged, history, ledger, extra }, user_id, policy, foreign })
}

/// `meta.feedback`: up to which decision nothing is known of those that have no entry, up to which the user was reset (where the first
/// is 0 this is left out), and of each entry epoch, n, time and reward.
#[derive(Default, Serialize, Deserialize)]
struct LedgerText {
    floor: Seq,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reset: Option<Seq>,
    entries: Vec<(u32, u64, u64, f64)>,
}

impl LedgerText {
    /// Releases that wrote no `reset` kept so many entries: where there are fewer, nothing was pushed out and `floor` is a reset's.
    const FULL_BEFORE: usize = 64;

    fn of(ledger: &Ledger) -> Self {
        let entry = |entry: &Entry| (entry.decision.epoch, entry.decision.n, entry.at, entry.reward);
        let reset = (ledger.floor > Seq::default()).then_some(ledger.reset);
        Self { floor: ledger.floor, reset, entries: ledger.entries.iter().map(entry).collect() }
    }

    fn parse(text: &RawValue) -> Self {
        #[derive(Deserialize)]
        struct Parts {
            floor: Box<RawValue>,
            #[serde(default)]
            reset: Option<Box<RawValue>>,
            entries: Box<RawValue>,
        }
        if let Ok(whole) = serde_json::from_str(text.get()) {
            return whole;
        }
        let Ok(Parts { floor, reset, entries }) = serde_json::from_str(text.get()) else { return Self::default() };
        let seq = |text: &RawValue| serde_json::from_str(text.get()).unwrap_or_default();
        Self { floor: seq(&floor), reset: reset.map(|reset| seq(&reset)), entries: readable(&entries) }
    }

    fn read(self) -> Ledger {
        let Self { floor, reset, entries } = self;
        let reset = reset.unwrap_or(if entries.len() < Self::FULL_BEFORE { floor } else { Seq::default() });
        let mut ledger = Ledger { floor, reset: reset.min(floor), entries: Vec::new() };
        for (epoch, n, at, reward) in entries {
            ledger.put(Entry { decision: Seq { epoch, n }, at, reward });
        }
        ledger
    }
}

/// The policy whose state has this dimension.
fn b_policy(d: usize) -> Option<PolicyName> {
    PolicyName::ALL.into_iter().find(|policy| policy.dimension() == d)
}

/// A row of `meta.history`: ordinal, time, tip, score, exploring, hour, day, overdue, age, priority.
#[derive(Serialize, Deserialize)]
struct Row(u32, String, String, f64, bool, u8, u8, bool, f64, u8);

impl Row {
    fn read(self, policy: PolicyName) -> Option<HistoryRow> {
        let Self(ordinal, ts, tip_id, score, exploring, hour, day, is_overdue, task_age_days, priority) = self;
        let in_range = hour < 24 && day < 7 && (1..=4).contains(&priority);
        let (moment, task) = (Moment { hour, day }, TaskFeatures { is_overdue, task_age_days, priority });
        let pull = Pull { seconds: parse_seconds(&ts)?, policy, exploring, score, moment, task };
        in_range.then_some(HistoryRow { ordinal, pull, tip_id })
    }

    fn of(row: &HistoryRow) -> Self {
        let HistoryRow { ordinal, pull, tip_id } = row;
        let Pull { seconds, exploring, score, moment, task, .. } = *pull;
        let (ts, TaskFeatures { is_overdue, task_age_days, priority }) = (format_seconds(seconds), task);
        Self(*ordinal, ts, tip_id.clone(), score, exploring, moment.hour, moment.day, is_overdue, task_age_days, priority)
    }
}

/// The user and the policy that a file which cannot be read seems to name.
#[must_use]
pub fn apparent_owner(bytes: &[u8]) -> (Option<String>, Option<String>) {
    let value = |key: &str| {
        let at = memmem::rfind(bytes, key.as_bytes())? + key.len();
        let mut values = serde_json::Deserializer::from_slice(&bytes[at..]).into_iter::<String>();
        values.next()?.ok()
    };
    (value("\"user_id\":"), value("\"policy\":"))
}

fn check_sums(a: &[f64], b: &[f64]) -> Result<(), String> {
    let is_a = match b.len() {
        5 => is_sum_of_products::<5>(a),
        7 => is_sum_of_products::<7>(a),
        12 => is_sum_of_products::<12>(a),
        // No policy's, which is said elsewhere.
        _ => true,
    };
    if !is_a {
        return Err("A is not the identity plus a sum of products xxᵀ".to_owned());
    }
    b.iter().find(|v| v.abs() > MAX_SUM).map_or(Ok(()), |v| Err(format!("b holds {v}, past ±{MAX_SUM:e}")))
}

/// The elements of a list, but for those that cannot be read.
fn readable<T: DeserializeOwned>(list: &RawValue) -> Vec<T> {
    serde_json::from_str(list.get()).unwrap_or_else(|_| {
        let elements: Vec<Box<RawValue>> = serde_json::from_str(list.get()).unwrap_or_default();
        elements.iter().filter_map(|element| serde_json::from_str(element.get()).ok()).collect()
    })
}

/// Takes a value out of `meta`; missing and null are the same.
fn known<T: DeserializeOwned>(meta: &mut BTreeMap<String, Box<RawValue>>, key: &str, what: &str) -> Result<Option<T>, String> {
    let Some(value) = meta.remove(key) else { return Ok(None) };
    serde_json::from_str(value.get()).map_err(|_| format!("meta.{key} is {}, not {what}", shown(value.get())))
}

/// A count; people who edit files may write 3.0.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked before the cast
fn count(meta: &mut BTreeMap<String, Box<RawValue>>, key: &str) -> Result<u64, String> {
    let number: Number = known(meta, key, "a count")?.unwrap_or_else(|| 0.into());
    let whole = |v: &f64| v.fract() == 0.0 && (0.0..9.1e15).contains(v);
    let count = number.as_u64().or_else(|| number.as_f64().filter(whole).map(|v| v as u64));
    let count = count.filter(|count| *count <= MOST_COUNTED);
    count.ok_or_else(|| format!("meta.{key} is {number}, not a count"))
}

/// The bytes of a state file, stamped with its owner.
#[must_use]
pub fn serialise(user_id: &str, policy: PolicyName, record: &Record) -> Vec<u8> {
    let file = File { a: Rows(&record.a, record.b.len()), b: &record.b, meta: Meta { user_id, policy, record } };
    // Numbers are finite and keys are strings: there is nothing that could fail, and a Vec takes every write.
    let mut bytes = serde_json::to_vec(&file).unwrap_or_default();
    bytes.truncate(bytes.len() - 2);
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(CHECKSUM_KEY);
    bytes.extend_from_slice(format!("{checksum:08x}\"}}}}").as_bytes());
    bytes
}

/// The same as one JSON value, for a line of the interaction log; without a checksum, which the line has.
#[must_use]
pub fn serialise_state(user_id: &str, policy: PolicyName, record: &Record) -> Option<Box<RawValue>> {
    let file = File { a: Rows(&record.a, record.b.len()), b: &record.b, meta: Meta { user_id, policy, record } };
    serde_json::value::to_raw_value(&file).ok()
}

#[derive(Serialize)]
struct File<'a> {
    #[serde(rename = "A")]
    a: Rows<'a>,
    b: &'a [f64],
    meta: Meta<'a>,
}

/// A packed lower triangle, written as full rows.
struct Rows<'a>(&'a [f64], usize);

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(Some(self.1))?;
        let mut row = vec![0.0; self.1];
        for i in 0..self.1 {
            for (j, entry) in row.iter_mut().enumerate() {
                *entry = self.0[packed_index(i.max(j), i.min(j))];
            }
            rows.serialize_element(&row)?;
        }
        rows.end()
    }
}

struct HistoryRows<'a>(&'a [HistoryRow]);

impl Serialize for HistoryRows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Row::of))
    }
}

struct Meta<'a> {
    user_id: &'a str,
    policy: PolicyName,
    record: &'a Record,
}

impl Serialize for Meta<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let counters = &self.record.counters;
        let mut meta = serializer.serialize_map(None)?;
        meta.serialize_entry("pulls", &counters.pulls)?;
        if self.policy.explores_by_chance() {
            meta.serialize_entry("explore_count", &counters.explore_count)?;
        }
        meta.serialize_entry("cumulative_reward", &counters.cumulative_reward)?;
        meta.serialize_entry("reward_count", &counters.reward_count)?;
        if let Some(seconds) = counters.last_updated {
            meta.serialize_entry("last_updated", &format_seconds(seconds))?;
        }
        meta.serialize_entry("user_id", self.user_id)?;
        meta.serialize_entry("policy", self.policy.as_str())?;
        meta.serialize_entry("seq", &self.record.seq)?;
        if self.record.unlogged {
            meta.serialize_entry("unlogged", &true)?;
        }
        meta.serialize_entry("history", &HistoryRows(&self.record.history))?;
        if self.record.ledger != Ledger::default() {
            meta.serialize_entry("feedback", &LedgerText::of(&self.record.ledger))?;
        }
        for (key, value) in self.record.extra.iter().flat_map(|extra| extra.iter()) {
            meta.serialize_entry(key, &RawValue::from_string(value.clone()).map_err(S::Error::custom)?)?;
        }
        meta.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    fn record() -> Record {
        Record {
            a: vec![1.1, 0.1 + 0.2, 2.0, 1e-300, -0.0, 5e22],
            b: vec![0.1, -3.0, f64::MIN_POSITIVE],
            counters: Counters { pulls: 7, explore_count: 2, reward_count: 3, cumulative_reward: -0.5, last_updated: Some(1) },
            seq: Seq { epoch: 3, n: 1 << 60 },
            unlogged: true,
            history: Vec::new(),
            ledger: Ledger {
                floor: Seq { epoch: 2, n: 9 },
                reset: Seq { epoch: 1, n: 3 },
                entries: vec![Entry { decision: Seq { epoch: 3, n: 4 }, at: 1_700_000_000_000, reward: 0.1 }],
            },
            extra: Some([("cohort".to_owned(), r#"{"x": [1, 123456789012345678901234567890]}"#.to_owned())].into()),
        }
    }

    #[test]
    fn a_record_round_trips_bit_for_bit() {
        let parsed = parse(&serialise("ümläut", PolicyName::EGreedyV1, &record())).unwrap();
        assert_eq!(parsed.record, record());
        assert!(parsed.record.a[4].is_sign_negative());
        assert_eq!(parsed.user_id.as_deref(), Some("ümläut"));
        assert_eq!(parsed.policy.as_deref(), Some("egreedy-v1"));
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        let bytes = serialise("u", PolicyName::LinUcbV1, &record());
        for byte in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[byte] ^= 1 << bit;
                assert!(parse(&flipped).is_err(), "byte {byte} bit {bit}: {}", String::from_utf8_lossy(&flipped));
            }
        }
    }

    #[test]
    fn what_the_old_service_makes_of_our_file_is_foreign_and_keeps_its_place_in_the_log() {
        let bytes = serialise("u", PolicyName::LinUcbV1, &record());
        // As Python's json.dumps: a space behind each colon and comma that is not in a string.
        let text = String::from_utf8(bytes).unwrap().replace("\":", "\": ").replace(",\"", ", \"").replacen("1.1", "1.5", 1);
        let parsed = parse(text.as_bytes()).unwrap();
        assert!(parsed.foreign);
        assert_eq!((parsed.record.seq, parsed.record.a[0]), (record().seq, 1.5));
        assert!(parsed.record.extra.unwrap().iter().all(|(key, _)| key == "cohort"));
    }

    #[test]
    fn the_layout_is_the_old_service_s() {
        let row = HistoryRow {
            ordinal: 4,
            pull: Pull {
                seconds: 1,
                policy: PolicyName::LinUcbV1,
                exploring: false,
                score: 0.5,
                moment: Moment { hour: 23, day: 6 },
                task: TaskFeatures::default(),
            },
            tip_id: "t".to_owned(),
        };
        let record = Record {
            a: vec![1.0, 0.5, 2.0],
            b: vec![0.0, 1.0],
            counters: Counters::default(),
            seq: Seq { epoch: 1, n: 2 },
            unlogged: false,
            history: vec![row],
            ledger: Ledger::default(),
            extra: None,
        };
        assert_eq!(
            String::from_utf8(serialise("u", PolicyName::LinUcbV1, &record)).unwrap(),
            r#"{"A":[[1.0,0.5],[0.5,2.0]],"b":[0.0,1.0],"meta":{"pulls":0,"cumulative_reward":0.0,"reward_count":0,"user_id":"u","policy":"linucb-v1","seq":[1,2],"history":[[4,"1970-01-01T00:00:01Z","t",0.5,false,23,6,false,0.0,1]],"checksum":"63ec2efe"}}"#
        );
    }

    #[test]
    fn what_people_may_have_written_is_taken() {
        let text =
            r#"{"A": [[1]], "b": [0], "meta": {"pulls": 3.0, "user_id": null, "last_updated": "2026-01-01T00:00:00+00:00"}}"#;
        let parsed = parse(text.as_bytes()).unwrap();
        assert_eq!((parsed.record.counters.pulls, parsed.user_id, parsed.record.counters.last_updated), (3, None, None));
    }

    #[test]
    fn one_number_that_cannot_be_read_costs_its_row_or_entry() {
        let text = |odd: &str, n: u64| {
            let row = |n: &str| format!(r#"[{n}, "2026-01-01T00:00:00Z", "t", 0.5, false, 9, 2, false, 0.0, 1]"#);
            let zeros = "[0, 0, 0, 0, 0]";
            let a =
                (0..5).map(|i| zeros.replacen('0', "x", i).replacen('0', "1", 1).replace('x', "0")).collect::<Vec<_>>().join(",");
            let (history, floor) = (format!("[{}, {}]", row("4"), row(odd)), format!("[1, {n}]"));
            let feedback = format!(r#"{{"floor": {floor}, "reset": [0, {odd}], "entries": [[2, 5, 7, 0.5], [2, {odd}, 7, 0.5]]}}"#);
            format!(r#"{{"A": [{a}], "b": {zeros}, "meta": {{"history": {history}, "feedback": {feedback}}}}}"#)
        };
        for odd in ["-1", "1e308", "18446744073709551616"] {
            let record = parse(text(odd, 3).as_bytes()).unwrap().record;
            let decisions: Vec<_> = record.ledger.entries.iter().map(|entry| entry.decision.n).collect();
            assert_eq!((record.history.len(), decisions, record.ledger.floor.n), (1, vec![5], 3), "{odd}");
        }
    }

    #[test]
    fn damage_is_named() {
        for (text, part) in [
            ("", "EOF"),
            (r#"{"A": [[1, 0], [0, 1]], "b": [0], "meta": {}}"#, "not a 1 × 1 matrix"),
            (r#"{"A": [[1, 0], [0.1, 1]], "b": [0, 0], "meta": {}}"#, "not symmetric"),
            (r#"{"A": [[NaN]], "b": [0], "meta": {}}"#, "expected"),
            (r#"{"A": [[1e999]], "b": [0], "meta": {}}"#, "out of range"),
            (r#"{"A": [[1]], "b": [0], "meta": {"pulls": -1}}"#, "meta.pulls"),
            (r#"{"A": [[1]], "b": [0], "meta": {"pulls": 0.5}}"#, "meta.pulls"),
            (r#"{"A": [[1]], "b": [0], "meta": {"user_id": 5}}"#, "meta.user_id"),
        ] {
            let problem = parse(text.as_bytes()).unwrap_err();
            assert!(problem.contains(part), "{text}: {problem}");
        }
    }
}
