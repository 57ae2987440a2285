//! When an event happened, as honest producers write it: milliseconds since 1970, as a whole number or not (`time.time() * 1000` in
//! Python, encoders that write 1.7e12), the same as a text, or a date and a time with a zone. What it says has to be possible: an event
//! that lies ahead would make every later one of its user's look old.

use crate::clock::{CLOCK_SLACK_MS, FIRST_LIKELY_MS, format_millis, mistaken_unit, read_time};
use crate::error::shown;
use serde_json::{Number, Value};

/// Until when an event may have happened.
#[derive(Debug, Clone, Copy)]
pub struct Latest(u64);

impl Latest {
    /// It happened before the server took it, and before now. The later of both counts: either clock may run behind.
    pub fn of(published_ms: u64, now_ms: u64) -> Self {
        Self(published_ms.max(now_ms))
    }

    /// Whether an event of this moment may be.
    pub fn allows(self, ms: u64) -> bool {
        ms <= self.0.saturating_add(CLOCK_SLACK_MS)
    }
}

/// The milliseconds since 1970 that a `ts` means; parts of one are cut off.
///
/// # Errors
/// What it is and why it cannot be.
pub fn event_time(ts: &Value, latest: Latest) -> Result<u64, String> {
    let said = || shown(&ts.to_string());
    let ms = match ts {
        Value::Number(number) => millis(number),
        Value::String(text) => match serde_json::from_str(text) {
            Ok(number) => millis(&number),
            Err(_) => read_time(text),
        },
        _ => Err("neither a number of milliseconds nor a text"),
    };
    let ms = ms.map_err(|problem| format!("ts is {}: {problem}", said()))?;
    if ms >= FIRST_LIKELY_MS && latest.allows(ms) {
        return Ok(ms);
    }
    let mistake = mistaken_unit(ms).unwrap_or(if ms < FIRST_LIKELY_MS {
        "another unit than milliseconds, or none that was set?"
    } else {
        "it is ahead. A clock that runs ahead, or a time zone left out?"
    });
    let [is, from, to] = [ms, FIRST_LIKELY_MS, latest.0].map(format_millis);
    Err(format!("ts is {} ({is}): it must be from {from} to five minutes after {to}: {mistake}", said()))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // cut off on purpose; what is past the range is refused above
fn millis(number: &Number) -> Result<u64, &'static str> {
    match (number.as_u64(), number.as_f64()) {
        (Some(ms), _) => Ok(ms),
        (None, Some(ms)) if ms >= 0.0 => Ok(ms as u64),
        _ => Err("before 1970"),
    }
}

#[cfg(test)]
#[allow(clippy::cast_precision_loss)] // milliseconds of this century are below 2^53
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const NOW: u64 = 1_795_162_500_250;
    const MINUTES: u64 = 60_000;

    fn read(json: &str) -> Result<u64, String> {
        event_time(&serde_json::from_str(json).unwrap(), Latest::of(0, NOW))
    }

    #[test]
    fn one_moment_in_each_form() {
        for json in [
            "1795162500250",
            "1795162500250.0",
            "1795162500250.75",
            "1.79516250025e12",
            "1.79516250025E+12",
            "17951625002507e-1",
            r#""1795162500250""#,
            r#""1795162500250.75""#,
            r#""1.79516250025e12""#,
            r#""2026-11-20T08:15:00.250Z""#,
            r#""2026-11-20 10:15:00.250999+02:00""#,
        ] {
            assert_eq!(read(json), Ok(NOW), "{json}");
        }
        assert_eq!(read("1.7e12"), Ok(1_700_000_000_000));
    }

    #[test]
    fn nonsense_is_refused_with_its_reason() {
        for (json, why) in [
            ("-1", "before 1970"),
            ("-0.5", "before 1970"),
            (r#""-1""#, "before 1970"),
            ("true", "neither a number"),
            ("{}", "neither a number"),
            ("[1795162500250]", "neither a number"),
            (r#""""#, "no time"),
            (r#"" 1795162500250ms""#, "no time"),
            (r#""NaN""#, "no time"),
            (r#""0x1A2""#, "no time"),
            (r#""01795162500250""#, "no time"),
            (r#""1,795,162,500,250""#, "no time"),
            (r#""2026-11-20T08:15:00""#, "without a zone"),
            ("0", "another unit"),
            ("1", "another unit"),
            ("1795162500", "seconds?"),
            ("1795162500.25", "seconds?"),
            (r#""1795162500""#, "seconds?"),
            (r#""1970-01-21T18:39:22Z""#, "seconds?"),
            ("1795162500250000", "microseconds?"),
            ("1795162500250000000", "nanoseconds?"),
            ("253402300799999", "it is ahead"),
            (r#""9999-12-31T23:59:59Z""#, "it is ahead"),
            ("1e300", "it is ahead"),
            ("18446744073709551615", "it is ahead"),
        ] {
            let problem = read(json).unwrap_err();
            assert!(problem.starts_with("ts is ") && problem.contains(why) && problem.len() < 300, "{json}: {problem}");
        }
    }

    #[test]
    fn an_event_may_be_five_minutes_ahead_of_the_later_clock() {
        let at = |ms: u64, published: u64, now: u64| event_time(&json!(ms), Latest::of(published, now)).is_ok();
        assert!(at(NOW + 5 * MINUTES, 0, NOW) && !at(NOW + 5 * MINUTES + 1, 0, NOW));
        assert!(at(NOW + 5 * MINUTES, NOW, 0) && !at(NOW + 5 * MINUTES + 1, NOW, 0));
        assert!(at(FIRST_LIKELY_MS, 0, NOW) && !at(FIRST_LIKELY_MS - 1, 0, NOW));
    }

    proptest! {
        /// Every form of every moment gives that moment.
        #[test]
        fn forms_agree(ms in FIRST_LIKELY_MS..=NOW + 5 * MINUTES, part in 0.0_f64..0.999) {
            let float = ms as f64 + part;
            let texts = [ms.to_string(), format!("{ms}.0"), format!("{float}"), format!("{float:e}"), format!("{float:.3}"), format!("{:?}", format_millis(ms))];
            for text in texts {
                prop_assert_eq!(read(&text), Ok(ms), "{}", text);
                if !text.starts_with('"') {
                    prop_assert_eq!(read(&format!("\"{text}\"")), Ok(ms), "{}", text);
                }
            }
            prop_assert_eq!(event_time(&json!(float), Latest::of(0, NOW)), Ok(ms));
        }

        /// Whatever is taken lies between the bounds.
        #[test]
        fn what_is_taken_is_possible(text in "[-0-9]{1,15}(\\.[0-9]{0,3})?(e[-+]?[0-9]{1,2})?") {
            if let Ok(Ok(ms)) = serde_json::from_str::<Value>(&text).map(|value| event_time(&value, Latest::of(0, NOW))) {
                prop_assert!((FIRST_LIKELY_MS..=NOW + 5 * MINUTES).contains(&ms));
            }
        }
    }
}
