//! What every line begins with, and how the rest is reached without reading all of it.

use crate::clock::format_millis;
use crate::log::{LineError, Seq, read_line};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use std::marker::PhantomData;

/// A line with the right checksum.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// Its number.
    pub seq: Seq,
    /// Its time as it stands there: of equal length in all lines, so that texts compare as times do.
    pub ts: &'a str,
    /// What kind it is.
    pub kind: &'a str,
    /// All of it.
    pub text: &'a str,
}

#[derive(Deserialize)]
struct RawHead<'a> {
    seq: Seq,
    ts: &'a str,
    kind: &'a str,
}

impl<'a> Line<'a> {
    /// Reads a line's beginning.
    pub fn read(bytes: &'a [u8]) -> Result<Self, LineError> {
        let malformed = || LineError::Malformed("no line of the log".to_owned());
        let text = std::str::from_utf8(bytes).map_err(|_| malformed())?;
        if !text.starts_with("{\"v\":1,") {
            // Its error says whether a later release wrote it.
            return Err(read_line(bytes).err().unwrap_or_else(malformed));
        }
        let (seq, ts, kind) = match as_written(text) {
            Some(head) => head,
            // Nothing says that keys come in this order.
            None => serde_json::from_str::<RawHead<'_>>(text).map(|raw| (raw.seq, raw.ts, raw.kind)).map_err(|_| malformed())?,
        };
        if ts.len() != "2026-11-20T08:15:00.250Z".len() {
            return Err(malformed());
        }
        Ok(Self { seq, ts, kind, text })
    }

    /// The day, in UTC.
    pub fn day(&self) -> Day {
        Day::of(self.ts)
    }

    /// Its content, as far as `T` asks for it; `None` where it is not what `T` expects.
    pub fn content<T: Deserialize<'a>>(&self) -> Option<T> {
        serde_json::from_str(self.text).ok()
    }
}

/// The head of a line as `LineWriter` writes it.
fn as_written(text: &str) -> Option<(Seq, &str, &str)> {
    let rest = text.strip_prefix("{\"v\":1,\"seq\":[")?;
    let (epoch, rest) = rest.split_once(',')?;
    let (n, rest) = rest.split_once(']')?;
    let (ts, rest) = rest.strip_prefix(",\"ts\":\"")?.split_once('"')?;
    let (kind, _) = rest.strip_prefix(",\"kind\":\"")?.split_once('"')?;
    Some((Seq { epoch: epoch.parse().ok()?, n: n.parse().ok()? }, ts, kind))
}

/// `YYYY-MM-DD`, in UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day([u8; 10]);

impl Day {
    /// The day of a time in milliseconds since 1970.
    pub fn at(ms: u64) -> Self {
        Self::of(&format_millis(ms))
    }

    fn of(ts: &str) -> Self {
        let mut day = Self::default();
        for (to, from) in day.0.iter_mut().zip(ts.bytes()) {
            *to = from;
        }
        day
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// The item at a place of a JSON array; `None` where there is none or it is no `T`.
pub fn nth<'a, T: Deserialize<'a>>(array: &'a str, place: usize) -> Option<T> {
    struct Nth<T>(usize, PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Nth<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Option<T>, A::Error> {
            for _ in 0..self.0 {
                if items.next_element::<IgnoredAny>()?.is_none() {
                    return Ok(None);
                }
            }
            let found = items.next_element()?;
            while items.next_element::<IgnoredAny>()?.is_some() {}
            Ok(found)
        }
    }

    serde_json::Deserializer::from_str(array).deserialize_seq(Nth(place, PhantomData)).ok().flatten()
}

/// How many items an array of numbers has.
pub fn count(numbers: &str) -> usize {
    let inside = numbers.trim_matches(['[', ']', ' ']);
    if inside.is_empty() { 0 } else { 1 + memchr::memchr_iter(b',', inside.as_bytes()).count() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    #[test]
    fn heads_are_read_in_any_order_of_keys() {
        let written = r#"{"v":1,"seq":[3,41],"ts":"2026-11-20T08:15:00.250Z","kind":"decision","userId":"x"}"#;
        let other = r#"{"v":1,"kind":"decision","userId":"x","ts":"2026-11-20T08:15:00.250Z", "seq":[3,41]}"#;
        for text in [written, other] {
            let line = Line::read(text.as_bytes()).unwrap();
            assert_eq!((line.seq, line.kind), (Seq { epoch: 3, n: 41 }, "decision"));
            assert_eq!(line.day().to_string(), "2026-11-20");
        }
        assert!(matches!(Line::read(br#"{"v":7,"what":1}"#), Err(LineError::LaterVersion(7))));
        for text in ["", "{\"v\":1,", r#"{"v":1,"seq":[3,41],"ts":"soon","kind":"x"}"#, "{\"v\":1,\"seq\":[3"] {
            assert!(matches!(Line::read(text.as_bytes()), Err(LineError::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn items_are_found_by_place() {
        assert_eq!(nth::<f64>("[0.5, 0.25 ,1e-3]", 1), Some(0.25));
        assert_eq!(nth::<f64>("[0.5]", 1), None);
        assert_eq!(nth::<f64>("[]", 0), None);
        assert_eq!(nth::<f64>("{}", 0), None);
        assert_eq!(nth::<Option<Cow<'_, str>>>(r#"["a,","b\"],",null]"#, 1), Some(Some("b\"],".into())));
        assert_eq!(nth::<Option<Cow<'_, str>>>(r#"["a,","b",null]"#, 2), Some(None));
        assert_eq!(["[]", "[1]", "[1,2,3]"].map(count), [0, 1, 3]);
    }
}
