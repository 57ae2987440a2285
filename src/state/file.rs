//! The state file's format: `{"A": [[…], …], "b": […], "meta": {…}}`, one JSON object, A as its full rows. It is the format of
//! the service that this engine replaced; `docs/state-files.md` describes it.

use super::record::{Counters, Extra, Record};
use crate::clock::{format_seconds, parse_seconds};
use crate::error::shown;
use crate::policy::{MAX_SUM, PolicyName, packed_index};
use nalgebra::DMatrix;
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
    let (user_id, policy) = (known(&mut meta, "user_id", "a string")?, known(&mut meta, "policy", "a string")?);
    let extra: Extra = meta.into_iter().map(|(key, value)| (key, value.get().to_owned())).collect();
    let extra = (!extra.is_empty()).then_some(extra);
    Ok(Parsed { record: Record { a, b, counters, extra }, user_id, policy })
}

/// A = I + Σ xxᵀ, so no eigenvalue is below 1. Half of that is more than rounding takes away, and enough to bound θ by b, which is
/// what keeps scores finite.
fn check_sums(a: &[f64], b: &[f64]) -> Result<(), String> {
    const LEAST_EIGENVALUE: f64 = 0.5;
    let above = DMatrix::from_fn(b.len(), b.len(), |i, j| {
        a[packed_index(i.max(j), i.min(j))] - if i == j { LEAST_EIGENVALUE } else { 0.0 }
    });
    if above.cholesky().is_none() {
        return Err("A is not the identity plus a sum of products xxᵀ".to_owned());
    }
    b.iter().find(|v| v.abs() > MAX_SUM).map_or(Ok(()), |v| Err(format!("b holds {v}, past ±{MAX_SUM:e}")))
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
    let whole = |v: &f64| v.fract() == 0.0 && (0.0..9e15).contains(v);
    let count = number.as_u64().or_else(|| number.as_f64().filter(whole).map(|v| v as u64));
    count.ok_or_else(|| format!("meta.{key} is {number}, not a count"))
}

/// The bytes of a state file, stamped with its owner.
#[must_use]
pub fn serialise(user_id: &str, policy: PolicyName, record: &Record) -> Vec<u8> {
    let file = File { a: Rows(&record.a, record.b.len()), b: &record.b, meta: Meta { user_id, policy, record } };
    // Numbers are finite and keys are strings: there is nothing that could fail, and a Vec takes every write.
    serde_json::to_vec(&file).unwrap_or_default()
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
    fn the_layout_is_the_old_service_s() {
        let record = Record { a: vec![1.0, 0.5, 2.0], b: vec![0.0, 1.0], counters: Counters::default(), extra: None };
        assert_eq!(
            String::from_utf8(serialise("u", PolicyName::LinUcbV1, &record)).unwrap(),
            r#"{"A":[[1.0,0.5],[0.5,2.0]],"b":[0.0,1.0],"meta":{"pulls":0,"cumulative_reward":0.0,"reward_count":0,"user_id":"u","policy":"linucb-v1"}}"#
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
