//! What messages carry. `docs/events.md` is the specification: a JSON object, either flat (`{ "user_id", "ts", … }`) or an
//! envelope (`{ "id", "subject", "user_id", "ts", "data": { … } }`). Messages come from anywhere: nothing is assumed of them.

use super::time::{Latest, event_time};
use crate::error::shown;
use serde_json::{Map, Value};

/// The version of the schema that is read.
const VERSION: u64 = 1;
/// As user ids everywhere, in UTF-16 units.
const LONGEST_USER_ID: usize = 512;
/// Larger ones are not read; the server's own default for a message is a megabyte.
const LARGEST: usize = 256 << 10;
/// An event's own id, in characters.
const LONGEST_ID: usize = 256;
/// Keys of the envelope; in a flat payload everything else is the data.
const ENVELOPE: [&str; 7] = ["v", "id", "subject", "user_id", "userId", "ts", "data"];

/// A message that was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload {
    /// Whom it is about.
    pub user_id: String,
    /// When it happened, in milliseconds since 1970, where it says so.
    pub ms: Option<u64>,
    /// The event's own id.
    pub id: Option<String>,
    /// The rest.
    pub data: Map<String, Value>,
}

/// Why a message can never be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misread {
    /// For people.
    pub problem: String,
    /// It is the time: producers that err in this way err in every message.
    pub is_time: bool,
}

impl From<String> for Misread {
    fn from(problem: String) -> Self {
        Self { problem, is_time: false }
    }
}

/// Reads a message, of something that happened by `latest`.
///
/// # Errors
/// Why it can never be understood.
pub fn parse_payload(bytes: &[u8], latest: Latest) -> Result<Payload, Misread> {
    let (mut object, enclosed) = parse_object(bytes)?;
    let named = |object: &Map<String, Value>| {
        let found = ["user_id", "userId"].into_iter().find_map(|key| object.get(key).filter(|value| !value.is_null()));
        found.cloned()
    };
    let user_id = match named(&object).or_else(|| enclosed.as_ref().and_then(named)) {
        Some(Value::String(id)) if !id.is_empty() && id.encode_utf16().count() <= LONGEST_USER_ID => id,
        Some(other) => return Err(format!("user_id is {}", shown(&other.to_string())).into()),
        None => return Err("no user_id".to_owned().into()),
    };
    let ms = match object.get("ts") {
        None | Some(Value::Null) => None,
        Some(ts) => Some(event_time(ts, latest).map_err(|problem| Misread { problem, is_time: true })?),
    };
    let id = match object.get("id") {
        None | Some(Value::Null) => None,
        Some(Value::String(id)) => Some(id.chars().take(LONGEST_ID).collect()),
        Some(Value::Number(id)) => Some(id.to_string()),
        Some(other) => return Err(format!("id is {}", shown(&other.to_string())).into()),
    };
    let data = enclosed.unwrap_or_else(|| {
        object.retain(|key, _| !ENVELOPE.contains(&key.as_str()));
        object
    });
    Ok(Payload { user_id, ms, id, data })
}

type Fields = Map<String, Value>;

/// The payload's keys, and what its `data` has.
fn parse_object(bytes: &[u8]) -> Result<(Fields, Option<Fields>), String> {
    if bytes.len() > LARGEST {
        return Err(format!("{} bytes; at most {LARGEST} are read", bytes.len()));
    }
    let parsed: Value = serde_json::from_slice(bytes).map_err(|e| format!("not JSON: {e}"))?;
    let Value::Object(mut object) = parsed else { return Err("not a JSON object".to_owned()) };
    match object.get("v") {
        None | Some(Value::Null) => {}
        Some(v) if v.as_u64() == Some(VERSION) => {}
        Some(v) => return Err(format!("v is {}; this release reads {VERSION}", shown(&v.to_string()))),
    }
    let enclosed = match object.remove("data") {
        Some(Value::Object(data)) => Some(data),
        Some(Value::Null) | None => None,
        Some(_) => return Err("data is no object".to_owned()),
    };
    Ok((object, enclosed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(bytes: &[u8]) -> Result<Payload, Misread> {
        parse_payload(bytes, Latest::of(0, 1_795_162_500_250))
    }

    fn parse(value: &Value) -> Result<Payload, Misread> {
        read(&serde_json::to_vec(value).unwrap())
    }

    #[test]
    fn flat_payloads_and_envelopes_say_the_same() {
        let ts = "2026-11-20T08:15:00.250Z";
        let flat = parse(&json!({ "user_id": "u", "ts": ts, "provider": "todoist", "tasks": 7 })).unwrap();
        let data = json!({ "provider": "todoist", "tasks": 7 });
        let envelope = json!({ "id": "e1", "subject": "signals.task.synced", "user_id": "u", "ts": ts, "data": data });
        let enclosed = parse(&envelope).unwrap();
        assert_eq!(flat, Payload { id: None, ..enclosed.clone() });
        assert_eq!((enclosed.id.as_deref(), enclosed.ms), (Some("e1"), Some(1_795_162_500_250)));
        let inside = parse(&json!({ "id": 5, "v": 1, "data": { "userId": "u" } })).unwrap();
        assert_eq!((inside.user_id.as_str(), inside.id.as_deref(), inside.ms), ("u", Some("5"), None));
    }

    #[test]
    fn what_can_never_be_understood_is_said() {
        for (bytes, why) in [
            (&b"{"[..], "not JSON"),
            (b"\xff\xfe", "not JSON"),
            (b"[1]", "not a JSON object"),
            (b"{}", "no user_id"),
            (br#"{"user_id":""}"#, "user_id is"),
            (br#"{"user_id":5}"#, "user_id is"),
            (br#"{"user_id":null}"#, "no user_id"),
            (br#"{"user_id":"u","ts":"yesterday"}"#, "ts is"),
            (br#"{"user_id":"u","ts":-5}"#, "ts is"),
            (br#"{"user_id":"u","v":2}"#, "v is"),
            (br#"{"user_id":"u","data":5}"#, "data is"),
            (br#"{"user_id":"u","id":{}}"#, "id is"),
        ] {
            let Misread { problem, is_time } = read(bytes).unwrap_err();
            assert_eq!(is_time, why == "ts is", "{problem}");
            assert!(problem.starts_with(why) && problem.len() < 200, "{problem}");
        }
        assert!(parse(&json!({ "user_id": "x".repeat(513) })).is_err());
        assert!(read(&vec![b' '; LARGEST + 1]).unwrap_err().problem.contains("bytes"));
        assert!(read("[".repeat(LARGEST).as_bytes()).unwrap_err().problem.starts_with("not JSON"));
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
        }
    }
}
