//! What every line begins with, and how the rest is reached without reading all of it.

use super::fields::{fields, name};
use crate::clock::format_millis;
use crate::log::event::{LineError, read_line, written_head};
use crate::log::seq::Seq;

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

impl<'a> Line<'a> {
    /// Reads a line's beginning.
    ///
    /// # Errors
    /// As of [`read_line`].
    pub fn read(bytes: &'a [u8]) -> Result<Self, LineError> {
        let malformed = || LineError::Malformed("no line of the log".to_owned());
        let text = std::str::from_utf8(bytes).map_err(|_| malformed())?;
        if !text.starts_with("{\"v\":1,") {
            // Its error says whether a later release wrote it.
            return Err(read_line(bytes).err().unwrap_or_else(malformed));
        }
        // Nothing says that keys come in the order in which they are written.
        let (seq, ts, kind) = written_head(bytes).or_else(|| any_head(text)).ok_or_else(malformed)?;
        if ts.len() != "2026-11-20T08:15:00.250Z".len() {
            return Err(malformed());
        }
        Ok(Self { seq, ts, kind, text })
    }

    /// The day, in UTC.
    #[must_use]
    pub fn day(&self) -> Day {
        Day::of(self.ts)
    }
}

fn any_head(text: &str) -> Option<(Seq, &str, &str)> {
    let part = |wanted: &str| fields(text).find(|(key, _)| *key == wanted).map(|(_, value)| value);
    Some((serde_json::from_str(part("seq")?).ok()?, name(part("ts")?)?, name(part("kind")?)?))
}

/// Lines may stand a little out of order.
pub fn put_in_order(lines: &mut [Line<'_>]) {
    lines.sort_by_key(|line| line.seq);
}

/// `YYYY-MM-DD`, in UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day([u8; 10]);

impl Day {
    /// The day of a time in milliseconds since 1970.
    #[must_use]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_in_any_order_of_keys() {
        let written = r#"{"v":1,"seq":[3,41],"ts":"2026-11-20T08:15:00.250Z","kind":"decision","userId":"x"}"#;
        let other = r#"{"v":1,"kind":"decision","userId":"x","ts":"2026-11-20T08:15:00.250Z","seq":[3,41]}"#;
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
}
