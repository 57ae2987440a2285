//! The state files' parser on whatever bytes: it refuses, or gives a record that is written and read again as the same.

use crate::support::cases;
use oo_bandits::clock::format_seconds;
use oo_bandits::log::{LAST_NUMBER, Seq};
use oo_bandits::policy::PolicyName;
use oo_bandits::state::{Counters, Extra, Record, parse, serialise};
use proptest::prelude::*;
use serde_json::{Value, json};

fn bits(record: &Record) -> Vec<u64> {
    let sum = [record.counters.cumulative_reward];
    record.a.iter().chain(&record.b).chain(&sum).map(|v| v.to_bits()).collect()
}

/// Parses; when that works, the record is finite and comes back the same.
fn check(bytes: &[u8]) -> Result<bool, TestCaseError> {
    let Ok(parsed) = parse(bytes) else { return Ok(false) };
    let record = parsed.record;
    let d = record.b.len();
    prop_assert_eq!(record.a.len(), d * (d + 1) / 2);
    prop_assert!(record.a.iter().chain(&record.b).all(|v| v.is_finite()));
    prop_assert!(record.counters.cumulative_reward.is_finite());
    let owner = parsed.user_id.unwrap_or_default();
    let again = parse(&serialise(&owner, PolicyName::EGreedyV1, &record));
    let again = again.map_err(|problem| TestCaseError::fail(format!("{problem} in what was written of {record:?}")))?;
    prop_assert_eq!(&again.record, &record);
    prop_assert_eq!(bits(&again.record), bits(&record));
    prop_assert_eq!(again.user_id, Some(owner));
    Ok(true)
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|v| json!(v)),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(".{0,8}", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn finite() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>().prop_filter("finite", |v| v.is_finite()), -2.0..2.0f64, Just(-0.0)]
}

/// A = I + Σ xxᵀ, as every file's.
fn records() -> impl Strategy<Value = Record> {
    let text = values().prop_map(|value| value.to_string());
    let extra = prop::option::of(prop::collection::btree_map("[a-z~]{1,12}", text, 1..3));
    // Above these a file is damaged: foreign_numbers.rs.
    let count = || 0..=LAST_NUMBER;
    let sum = finite().prop_map(|v| v.clamp(-1e300, 1e300));
    let counters = (count(), count(), count(), sum, prop::option::of(any::<u32>()));
    let seen = prop::collection::vec(prop::collection::vec(-1.0..=1.0f64, 7), 0..4);
    let b = prop::collection::vec(finite().prop_map(|v| v.clamp(-1e300, 1e300)), 7);
    (1usize..8, seen, b, counters, extra).prop_map(|(d, seen, b, counters, extra)| {
        let (pulls, explore_count, reward_count, cumulative_reward, last_updated) = counters;
        let entry = |i, j| seen.iter().fold(if i == j { 1.0 } else { -0.0 }, |sum, x| sum + x[i] * x[j]);
        Record {
            a: (0..d).flat_map(|i| (0..=i).map(move |j| (i, j))).map(|(i, j)| entry(i, j)).collect(),
            b: b[..d].to_vec(),
            counters: Counters { pulls, explore_count, reward_count, cumulative_reward, last_updated },
            seq: Seq::default(),
            unlogged: false,
            history: Vec::new(),
            ledger: oo_bandits::state::Ledger::default(),
            extra: extra.map(|map| map.into_iter().collect::<Extra>()),
        }
    })
}

fn owned(user_id: &str, record: &Record) -> Vec<u8> {
    serialise(user_id, PolicyName::EGreedyV1, record)
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check(&bytes)?;
    }

    #[test]
    fn any_json_in_the_right_places(a in values(), b in values(), meta in values()) {
        check(json!({"A": a, "b": b, "meta": meta}).to_string().as_bytes())?;
    }

    #[test]
    fn any_shape_of_numbers(a in prop::collection::vec(prop::collection::vec(0..2u8, 0..4), 0..4), b in prop::collection::vec(0..2u8, 0..4)) {
        let square = a.len() == b.len() && a.iter().all(|row| row.len() == b.len());
        let taken = check(json!({"A": a, "b": b, "meta": {}}).to_string().as_bytes())?;
        prop_assert!(square || !taken);
    }

    #[test]
    fn anything_behind_the_end_is_refused(record in records(), rest in "[^ \t\r\n].{0,20}") {
        let mut bytes = owned("u", &record);
        bytes.extend(rest.bytes());
        prop_assert!(parse(&bytes).is_err());
    }

    #[test]
    fn any_meta(key in prop::sample::select(vec!["pulls", "explore_count", "cumulative_reward", "reward_count", "last_updated", "user_id", "policy", "x"]), value in values()) {
        check(json!({"A": [[1.0]], "b": [0.5], "meta": {key: value}}).to_string().as_bytes())?;
    }

    #[test]
    fn what_was_written_is_read(user_id in ".{1,40}", record in records()) {
        let parsed = parse(&owned(&user_id, &record)).unwrap();
        prop_assert_eq!(&parsed.record, &record);
        prop_assert_eq!(bits(&parsed.record), bits(&record));
        prop_assert_eq!(parsed.user_id, Some(user_id));
        prop_assert_eq!(parsed.policy.as_deref(), Some("egreedy-v1"));
    }

    #[test]
    fn flipped_bits(user_id in ".{1,10}", record in records(), flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..4)) {
        let mut bytes = owned(&user_id, &record);
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        check(&bytes)?;
    }

    #[test]
    fn replaced_digits(record in records(), edits in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"0123456789eE+-.,[]{}\":nN ".to_vec())), 1..6)) {
        let mut bytes = owned("u", &record);
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        check(&bytes)?;
    }

    #[test]
    fn splices(one in records(), two in records(), cut in any::<prop::sample::Index>(), on in any::<prop::sample::Index>()) {
        let (one, two) = (owned("one", &one), owned("two", &two));
        let mut bytes = one[..cut.index(one.len())].to_vec();
        bytes.extend(&two[on.index(two.len())..]);
        check(&bytes)?;
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn no_truncation_is_taken_for_a_file(user_id in ".{1,10}", record in records()) {
        let bytes = owned(&user_id, &record);
        for length in 0..bytes.len() {
            prop_assert!(parse(&bytes[..length]).is_err(), "{} of {} bytes", length, bytes.len());
        }
        prop_assert!(check(&bytes)?);
    }

    #[test]
    fn no_flip_of_any_single_bit_panics(record in records()) {
        let bytes = owned("u", &record);
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            check(&flipped)?;
        }
    }
}

#[test]
fn depths_sizes_and_numbers_at_the_edge() {
    for bytes in [
        b"[".repeat(100_000),
        b"{\"A\":".repeat(100_000),
        br#"{"A":[],"b":[],"meta":{}}"#.to_vec(),
        br#"{"A":[[1e308]],"b":[1e-320],"meta":{"cumulative_reward":-1.7976931348623157e308}}"#.to_vec(),
        br#"{"A":[[1]],"b":[0],"meta":{"pulls":18446744073709551615}}"#.to_vec(),
        br#"{"A":[[1]],"b":[0],"meta":{"pulls":18446744073709551616}}"#.to_vec(),
        br#"{"A":[[1]],"b":[0],"meta":{"x":1e308,"y":123456789012345678901234567890}}"#.to_vec(),
        br#"{"A":[[1]],"b":[0],"b":[1],"meta":{"pulls":1,"pulls":2}}"#.to_vec(),
        br#"{"A":[[1]],"b":[0],"meta":{"user_id":"\ud800"}}"#.to_vec(),
        b"\xef\xbb\xbf{\"A\":[[1]],\"b\":[0],\"meta\":{}}".to_vec(),
    ] {
        check(&bytes).unwrap();
    }
    let last = format_seconds(u32::MAX);
    check(format!(r#"{{"A":[[1]],"b":[0],"meta":{{"last_updated":"{last}"}}}}"#).as_bytes()).unwrap();
}
