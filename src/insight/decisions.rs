//! The recommendation log: what was shown to whom and what became of it, newest first, page by page.

use super::reading::{SLACK_MS, Use, Watch, read_segment, segment_start, segments_since};
use crate::clock::{format_millis, parse_millis};
use crate::disk::{Directory, Room};
use crate::error::{Error, Result};
use crate::log::{
    Event, LeanDecision, LeanFeedback, Line, Piece, RecordedDecision, SegmentName, Seq, pieces, put_in_order, read_line,
};
use crate::policy::PolicyName;
use memchr::memmem;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;

/// The longest page.
pub const MOST_ROWS: usize = 500;

/// Which decisions are asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct DecisionFilter<'a> {
    /// This user's alone.
    pub user_id: Option<&'a str>,
    /// Only those where this policy's choice is shown.
    pub policy: Option<PolicyName>,
    /// From then on, in milliseconds since 1970.
    pub since_ms: Option<u64>,
    /// Before then.
    pub until_ms: Option<u64>,
    /// Only those before this one: the last row of the page before.
    pub before: Option<Seq>,
    /// How many; 1 to [`MOST_ROWS`].
    pub limit: usize,
}

/// A page of decisions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DecisionPage {
    /// Newest first.
    pub decisions: Vec<DecisionRow>,
    /// The id of the last one, where there are more: the next page is before it.
    pub next: Option<String>,
}

/// A decision and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionRow {
    /// `<epoch>.<n>`.
    pub decision_id: String,
    /// When, as RFC 3339 has it, to the millisecond.
    pub at: String,
    /// Whose.
    pub user_id: String,
    /// What is shown.
    pub tip_id: String,
    /// The policy whose choice is shown, but for `held_out`.
    pub policy: PolicyName,
    /// Why it is that one.
    pub assigned: String,
    /// The policy's score of what is shown; `None` where the holdout shows something else than the policy's choice.
    pub score: Option<f64>,
    /// With which probability it is shown.
    pub propensity: f64,
    /// It was drawn uniformly, by the policy or for the holdout.
    pub exploring: bool,
    /// The holdout shows it, not the policy.
    pub held_out: bool,
    /// What the policy saw of it.
    pub features: ShownFeatures,
    /// Which prompt wrote it.
    pub prompt_version: Option<String>,
    /// How many candidates there were.
    pub candidates: usize,
    /// What the other policies would have chosen.
    pub shadows: Vec<ShadowRow>,
    /// How long deciding took, in microseconds, up to its line in the log; `None` where an earlier release wrote it.
    pub latency_us: Option<f64>,
    /// What the person did, where that is known; of several, what counts.
    pub feedback: Option<FeedbackRow>,
}

/// The features of what is shown.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // the request's own names
pub struct ShownFeatures {
    pub hour_of_day: u8,
    pub day_of_week: u8,
    pub is_overdue: bool,
    pub task_age_days: f64,
    pub priority: u8,
}

/// What a policy would have chosen whose choice is not shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShadowRow {
    /// Which policy.
    pub policy: PolicyName,
    /// Its choice.
    pub tip_id: String,
    /// Its score of it.
    pub score: f64,
    /// It is what is shown.
    pub agrees: bool,
}

/// What a person did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeedbackRow {
    /// Where it has a name.
    pub action: Option<String>,
    /// What it is worth.
    pub reward: f64,
    /// When, as RFC 3339 has it, to the millisecond.
    pub at: String,
}

/// A decision's id.
#[must_use]
pub fn decision_id(seq: Seq) -> String {
    seq.to_string()
}

/// The number of the decision with this id; `None` for any other text.
#[must_use]
pub fn parse_decision_id(id: &str) -> Option<Seq> {
    let (epoch, n) = id.split_once('.')?;
    let seq = Seq { epoch: epoch.parse().ok()?, n: n.parse().ok()? };
    (decision_id(seq) == id).then_some(seq)
}

fn text(id: &str) -> String {
    id.to_owned()
}

impl DecisionRow {
    /// `None` where the line makes no sense.
    fn new(seq: Seq, ms: u64, decision: &RecordedDecision<'_>) -> Option<Self> {
        let RecordedDecision { index, moment, .. } = *decision;
        let (task, (own, others)) = (decision.tasks.get(index)?, decision.choices.split_first()?);
        let held_out = decision.holdout.is_some_and(|(_, held_out)| held_out);
        let shadow = |choice: &crate::log::RecordedChoice| {
            let tip_id = decision.ids.get(choice.index)?;
            Some(ShadowRow { policy: choice.policy, tip_id: text(tip_id), score: choice.score, agrees: choice.index == index })
        };
        Some(Self {
            decision_id: decision_id(seq),
            at: format_millis(ms),
            user_id: text(&decision.user_id),
            tip_id: text(decision.ids.get(index)?),
            policy: decision.policy,
            assigned: text(&decision.assigned),
            score: (own.index == index).then_some(own.score),
            propensity: *decision.probabilities.get(index)?,
            exploring: held_out || own.exploring,
            held_out,
            features: ShownFeatures {
                hour_of_day: moment.hour,
                day_of_week: moment.day,
                is_overdue: task.is_overdue,
                task_age_days: task.task_age_days,
                priority: task.priority,
            },
            prompt_version: decision.prompt_versions.get(index).and_then(|version| version.as_deref().map(text)),
            candidates: decision.ids.len(),
            shadows: others.iter().map(shadow).collect::<Option<_>>()?,
            latency_us: decision.latency_us,
            feedback: None,
        })
    }
}

/// A filter, made ready for many lines.
struct Wanted<'a> {
    filter: DecisionFilter<'a>,
    since: Option<String>,
    until: Option<String>,
    user_key: Option<memmem::Finder<'static>>,
}

impl<'a> Wanted<'a> {
    fn new(filter: DecisionFilter<'a>) -> Self {
        let key = |user_id| format!("\"userId\":{}", serde_json::to_string(user_id).unwrap_or_default());
        Self {
            filter,
            since: filter.since_ms.map(format_millis),
            until: filter.until_ms.map(format_millis),
            user_key: filter.user_id.map(|user_id| memmem::Finder::new(&key(user_id)).into_owned()),
        }
    }

    fn is_before(&self, seq: Seq) -> bool {
        self.filter.before.is_none_or(|before| seq < before)
    }

    /// Whether a line may be one, from what can be seen quickly.
    fn may_be(&self, line: &Line<'_>) -> bool {
        self.is_before(line.seq)
            && self.since.as_deref().is_none_or(|since| line.ts >= since)
            && self.until.as_deref().is_none_or(|until| line.ts < until)
            && self.user_key.as_ref().is_none_or(|key| key.find(line.text.as_bytes()).is_some())
    }

    fn is_by_policy(&self, line: &Line<'_>) -> bool {
        self.filter.policy.is_none_or(|policy| LeanDecision::policy(line) == Some(policy))
    }

    fn row(&self, line: &Line<'_>) -> Option<DecisionRow> {
        let Ok(Event::Decision(decision)) = read_line(line.text.as_bytes()).map(|recorded| recorded.event) else { return None };
        let is_whose = self.filter.user_id.is_none_or(|user_id| user_id == decision.user_id);
        if is_whose { DecisionRow::new(line.seq, parse_millis(line.ts)?, &decision) } else { None }
    }
}

impl Wanted<'_> {
    /// Those of the segments that may have a row, newest first.
    fn segments(&self, directory: &Directory, names: &[SegmentName]) -> Result<Vec<SegmentName>> {
        let latest = self.filter.until_ms.map(|ms| format_millis(ms.saturating_add(SLACK_MS)));
        let last = self.filter.before.map_or(names.len(), |before| names.partition_point(|name| name.0 <= before));
        // As in `segments_since`: one that begins after the next one says nothing, and of the last one nobody knows.
        let (mut wanted, mut next) = (Vec::new(), String::new());
        for (place, &name) in names.iter().enumerate().rev() {
            if latest.is_none() && place < last {
                wanted.push(name);
                continue;
            }
            let (ts, second) = segment_start(directory, name)?;
            // Lines of threads that wrote at the same time may stand in the next segment, and what could not be synced is written
            // again behind the first line of a later one.
            let is_early = place <= last || second.is_none_or(|second| self.is_before(second));
            let is_late = latest.as_ref().is_some_and(|latest| ts > *latest) && ts <= next;
            if is_early && !is_late {
                wanted.push(name);
            }
            next = ts;
        }
        Ok(wanted)
    }
}

/// The feedback of some decisions, by their numbers, with the number of its line: of several, the last one counts.
type Feedback = HashMap<Seq, Option<(Seq, FeedbackRow)>>;

/// The decision that a line of feedback names, found without reading all of it.
fn named_decision(line: &[u8]) -> Option<Seq> {
    const KEY: &[u8] = b"\"decision\":[";
    let rest = &line[memmem::find(line, KEY)? + KEY.len()..];
    let text = std::str::from_utf8(&rest[..rest.iter().position(|&b| b == b']')?]).ok()?;
    let (epoch, n) = text.split_once(',')?;
    Some(Seq { epoch: epoch.parse().ok()?, n: n.parse().ok()? })
}

/// Notes what a segment has of the feedback that is looked for. Most lines are none of it: they are not even checked.
fn note_feedback(bytes: &[u8], feedback: &mut Feedback) {
    for at in memmem::find_iter(bytes, b"\"kind\":\"feedback\"") {
        let start = memchr::memrchr(b'\n', &bytes[..at]).map_or(0, |i| i + 1);
        let end = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |i| at + i + 1);
        if !named_decision(&bytes[at..end]).is_some_and(|decision| feedback.contains_key(&decision)) {
            continue;
        }
        for piece in pieces(&bytes[start..end]) {
            let Piece::Line(_, line) = piece else { continue };
            let Ok(line) = Line::read(line) else { continue };
            let Some(lean) = (line.kind == "feedback").then(|| LeanFeedback::read(&line)).flatten() else { continue };
            if let Some(known) = feedback.get_mut(&lean.decision)
                && known.as_ref().is_none_or(|(last, _)| *last < line.seq)
            {
                let action = lean.action.map(|action| text(&action));
                *known = Some((line.seq, FeedbackRow { action, reward: lean.reward, at: format_millis(lean.at) }));
            }
        }
    }
}

/// Reads one page of decisions, newest first. `None` when it was cancelled. Of the log it reads the segments from where the page
/// begins to where it ends, and goes over those behind them for what became of its decisions.
///
/// # Errors
/// `ERR_INVALID_ARGUMENT` for a limit out of bounds; `ERR_STATE_IO`; `ERR_STATE_CORRUPT` when a later release wrote the log.
pub fn decisions(directory: &Directory, filter: DecisionFilter<'_>, watch: &Watch<'_>) -> Result<Option<DecisionPage>> {
    let limit = filter.limit;
    if !(1..=MOST_ROWS).contains(&limit) {
        return Err(Error::invalid("limit", format_args!("must be 1 to {MOST_ROWS}, got {limit}")));
    }
    let wanted = Wanted::new(filter);
    let names = segments_since(directory, filter.since_ms)?;
    // By number: a line stands in two segments where the first one could not be synced.
    let mut rows: BTreeMap<Seq, DecisionRow> = BTreeMap::new();
    for (done, name) in wanted.segments(directory, &names)?.into_iter().enumerate() {
        (watch.progress)(done, 2 * names.len());
        let bytes = directory.read_from(Room::Log, &name.to_string(), 0)?;
        let mut candidates: Vec<Line<'_>> = Vec::new();
        let read = read_segment(directory, name, &bytes, watch.cancelled, &mut |line| {
            if line.kind == "decision" && wanted.may_be(line) {
                candidates.push(*line);
            }
            Use::Fine
        })?;
        if read.is_none() {
            return Ok(None);
        }
        put_in_order(&mut candidates);
        let found = candidates.iter().rev().filter(|line| wanted.is_by_policy(line));
        // One more than asked for tells whether there is another page.
        rows.extend(found.filter_map(|line| Some((line.seq, wanted.row(line)?))).take(limit + 1));
        while rows.len() > limit + 1 {
            rows.pop_first();
        }
        // What older segments have is older than this one's first line.
        if rows.len() > limit && rows.keys().next().is_some_and(|first| *first >= name.0) {
            break;
        }
    }
    let has_more = rows.len() > limit;
    if has_more {
        rows.pop_first();
    }
    let mut feedback: Feedback = rows.keys().map(|seq| (*seq, None)).collect();
    // Feedback comes after its decision.
    let first = rows.keys().next().map_or(names.len(), |seq| names.partition_point(|name| name.0 <= *seq).saturating_sub(1));
    for (place, name) in names.iter().enumerate().skip(first) {
        if watch.cancelled.load(Ordering::Relaxed) {
            return Ok(None);
        }
        (watch.progress)(names.len() + place, 2 * names.len());
        note_feedback(&directory.read_from(Room::Log, &name.to_string(), 0)?, &mut feedback);
    }
    (watch.progress)(2 * names.len(), 2 * names.len());
    let next = rows.keys().next().filter(|_| has_more).map(|seq| decision_id(*seq));
    let with_feedback = |(seq, row)| DecisionRow { feedback: feedback.remove(&seq).flatten().map(|(_, row)| row), ..row };
    Ok(Some(DecisionPage { decisions: rows.into_iter().rev().map(with_feedback).collect(), next }))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{DAY, HOUR, Log, Made, START, every_decision, watch, world};
    use super::*;

    const ALL: DecisionFilter<'static> =
        DecisionFilter { user_id: None, policy: None, since_ms: None, until_ms: None, before: None, limit: 500 };

    fn ask(log: &Log, filter: DecisionFilter<'_>) -> Vec<DecisionRow> {
        decisions(&log.directory(), filter, &watch()).unwrap().unwrap().decisions
    }

    fn pages(log: &Log, filter: DecisionFilter<'_>) -> Vec<DecisionRow> {
        let (mut rows, mut before): (Vec<DecisionRow>, _) = (Vec::new(), None);
        loop {
            let page = decisions(&log.directory(), DecisionFilter { before, ..filter }, &watch()).unwrap().unwrap();
            assert!(page.next.is_none() || page.decisions.len() == filter.limit);
            rows.extend(page.decisions);
            let Some(next) = page.next else { return rows };
            assert_eq!(rows.last().unwrap().decision_id, next);
            before = parse_decision_id(&next);
        }
    }

    #[test]
    fn pages_have_every_decision_once_newest_first() {
        let (log, _) = world(500, Some(0.1), 5);
        let since = START + DAY + HOUR;
        for (user_id, policy, since_ms, until_ms) in [
            (None, None, None, None),
            (Some("user-1"), None, None, Some(START + 5 * DAY)),
            (None, Some(PolicyName::EGreedyV2), Some(since), None),
            (None, None, Some(since), Some(since + DAY)),
        ] {
            let mut expected = Vec::new();
            every_decision(&log, |seq, ms, decision, feedback| {
                let is_asked = user_id.is_none_or(|id| id == decision.user_id) && policy.is_none_or(|p| p == decision.policy);
                if is_asked && since_ms.is_none_or(|since| ms >= since) && until_ms.is_none_or(|until| ms < until) {
                    expected.push((decision_id(seq), decision.ids[decision.index].to_string(), feedback.cloned()));
                }
            });
            expected.reverse();
            for limit in [7, 500] {
                let rows = pages(&log, DecisionFilter { user_id, policy, since_ms, until_ms, limit, ..ALL });
                let found: Vec<_> = rows
                    .into_iter()
                    .map(|row| (row.decision_id, row.tip_id, row.feedback.map(|feedback| (feedback.action, feedback.reward))))
                    .collect();
                assert!(expected.len() > 10);
                assert_eq!(found, expected, "{user_id:?} {policy:?} {limit}");
            }
        }
    }

    #[test]
    fn a_row_says_what_the_line_says() {
        let mut log = Log::new();
        let mut made = Made::certain("ü \"x\"");
        made.tasks[1].priority = 3;
        made.versions = Some(vec![None, Some("v2".to_owned()), None]);
        made.choices.push((PolicyName::EGreedyV1, 0, true, vec![0.9, 0.05, 0.05]));
        let seq = log.decision(&made);
        log.feedback(seq, Some("snooze"), 0.0, START + 9);
        log.next_segment();
        log.feedback(seq, Some("done"), 1.0, START + 5);
        made.holdout = Some((0.5, true));
        made.index = 2;
        log.decision(&made);
        let rows = ask(&log, DecisionFilter { user_id: Some("ü \"x\""), ..ALL });
        assert_eq!(
            serde_json::to_value(&rows[1]).unwrap(),
            serde_json::json!({
                "decisionId": "1.1", "at": "2026-11-20T00:00:00.000Z", "userId": "ü \"x\"", "tipId": "tip,\"1", "policy": "linucb-v1",
                "assigned": "registry", "score": 1.25, "propensity": 1.0, "exploring": false, "heldOut": false,
                "features": { "hourOfDay": 12, "dayOfWeek": 0, "isOverdue": false, "taskAgeDays": 0.0, "priority": 3 },
                "promptVersion": "v2", "candidates": 3,
                "shadows": [{ "policy": "egreedy-v1", "tipId": "tip,\"0", "score": 0.25, "agrees": false }],
                "latencyUs": 12.5,
                "feedback": { "action": "done", "reward": 1.0, "at": "2026-11-20T00:00:00.005Z" },
            })
        );
        assert_eq!((rows[0].score, rows[0].exploring, rows[0].held_out, &rows[0].feedback), (None, true, true, &None));
        assert!(ask(&log, DecisionFilter { user_id: Some("ü"), ..ALL }).is_empty());
    }

    #[test]
    fn a_line_that_was_written_again_behind_later_ones_has_its_place() {
        let mut log = Log::new();
        let made = Made::certain("u");
        let late = log.decision(&made);
        let start = memchr::memchr(b'\n', &log.bytes).unwrap() + 1;
        let lost = log.bytes.split_off(start);
        let second = log.decision(&made);
        log.next_segment();
        log.bytes.extend_from_slice(&lost);
        let third = log.decision(&made);
        log.feedback(late, None, 1.0, START);
        let rows = |limit| pages(&log, DecisionFilter { limit, ..ALL }).into_iter().map(|row| row.decision_id).collect::<Vec<_>>();
        let expected = [third, second, late].map(decision_id);
        for limit in [1, 2, 3] {
            assert_eq!(rows(limit), expected);
        }
    }

    #[test]
    fn limits_and_ids_are_checked() {
        let log = Log::new();
        for limit in [0, 501] {
            assert!(decisions(&log.directory(), DecisionFilter { limit, ..ALL }, &watch()).is_err());
        }
        assert_eq!(parse_decision_id("3.41"), Some(Seq { epoch: 3, n: 41 }));
        for id in ["", "3", "3.", "03.41", "3.41.5", "3.-1", "+3.1"] {
            assert_eq!(parse_decision_id(id), None, "{id}");
        }
    }
}
