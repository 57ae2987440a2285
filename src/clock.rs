//! The only door to time.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Tells the time of day. Injected, so that tests and replays can set it.
pub trait Clock: std::fmt::Debug + Send + Sync {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn now_ms(&self) -> u64;

    /// Nanoseconds that never go back, from any beginning: for how long something took.
    fn ticks_ns(&self) -> u64 {
        self.now_ms() * 1_000_000
    }
}

/// The machine's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[cfg(target_os = "linux")]
    #[allow(clippy::cast_sign_loss)] // a clock before 1970 reads as 0 through the max()
    fn now_ms(&self) -> u64 {
        // The coarse clock (4 ms steps) is read without the time stamp counter, and what is kept has whole seconds.
        let t = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        t.tv_sec.max(0) as u64 * 1000 + t.tv_nsec as u64 / 1_000_000
    }

    #[cfg(not(target_os = "linux"))]
    #[allow(clippy::cast_possible_truncation)] // milliseconds fit 64 bits for the next 500 million years
    fn now_ms(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
    }

    #[allow(clippy::cast_possible_truncation)] // nanoseconds fit 64 bits for 500 years
    fn ticks_ns(&self) -> u64 {
        static BEGINNING: OnceLock<Instant> = OnceLock::new();
        BEGINNING.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }
}

/// `2026-11-20T08:15:00Z`, as the state files and the API write a time.
#[must_use]
pub fn format_seconds(seconds: u32) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds.into())).to_string()
}

/// The seconds of a time written by [`format_seconds`]; `None` for any other text.
#[must_use]
pub fn parse_seconds(text: &str) -> Option<u32> {
    let time: SystemTime = humantime::parse_rfc3339(text).ok()?;
    let seconds = u32::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()?;
    (format_seconds(seconds) == text).then_some(seconds)
}

/// `2026-11-20T08:15:00.250Z`.
#[must_use]
pub fn format_millis(ms: u64) -> String {
    // The last second that humantime can write.
    const LAST: u64 = 253_402_300_799_999;
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(ms.min(LAST))).to_string()
}

/// Clocks may differ by so much: what happened after now by no more than this was told by a clock that runs ahead.
pub const CLOCK_SLACK_MS: u64 = 5 * 60 * 1000;
/// Between these, 2001 and 2100, a time is likely the one that is meant.
const LIKELY_MS: std::ops::Range<u64> = FIRST_LIKELY_MS..4_102_444_800_000;
/// Before this, 2001-09-09T01:46:40Z, lies every time until the year 33658 that was given in seconds.
pub const FIRST_LIKELY_MS: u64 = 1_000_000_000_000;

/// The mistake that explains a time of the wrong size: another unit than milliseconds.
#[must_use]
pub fn mistaken_unit(ms: u64) -> Option<&'static str> {
    let likely = |ms: Option<u64>| ms.is_some_and(|ms| LIKELY_MS.contains(&ms));
    if likely(ms.checked_mul(1000)) {
        Some("seconds? It takes milliseconds")
    } else if likely(Some(ms / 1000)) {
        Some("microseconds? It takes milliseconds")
    } else if likely(Some(ms / 1_000_000)) {
        Some("nanoseconds? It takes milliseconds")
    } else {
        None
    }
}

/// The milliseconds since 1970 of a time as [`read_time`] reads it.
#[must_use]
pub fn parse_any_time(text: &str) -> Option<u64> {
    read_time(text).ok()
}

/// The milliseconds since 1970 of a time as RFC 3339 (section 5.6) has it, or as languages print it by themselves: a space for the `T`,
/// no seconds (Java, where they are 0), the offset as `+0200` or `+02`, after a space (Ruby), or `UTC`. Parts of a millisecond are cut off.
///
/// # Errors
/// Why it is no moment: above all, a time without a zone is none.
pub fn read_time(text: &str) -> Result<u64, &'static str> {
    const NO_TIME: &str = "no time such as 2026-11-20T08:15:00Z";
    const NO_ZONE: &str = "a time without a zone: it has to end in Z or in an offset such as +02:00";
    const DATE: usize = "2026-11-20".len();
    let (Some(date), Some(rest)) = (text.get(..DATE), text.get(DATE..)) else { return Err(NO_TIME) };
    let rest = rest.strip_prefix(['T', 't', ' ']).ok_or(NO_TIME)?;
    let clock_ends = rest.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.')).ok_or(NO_ZONE)?;
    let (clock, zone) = rest.split_at(clock_ends);
    let offset_minutes = match zone.strip_prefix(' ').unwrap_or(zone) {
        "Z" | "z" | "UTC" => 0,
        offset => offset_minutes(offset).ok_or("a time with a zone that is neither Z nor an offset such as +02:00")?,
    };
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let has_seconds = whole.len() == "08:15:00".len();
    let is_fraction = !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit()) && (has_seconds || clock == whole);
    if !(is_fraction && (has_seconds || whole.len() == "08:15".len())) {
        return Err(NO_TIME);
    }
    let seconds = if has_seconds { "" } else { ":00" };
    let millis: String = fraction.chars().chain("00".chars()).take(3).collect();
    let local = parse_millis(&format!("{date}T{whole}{seconds}.{millis}Z")).ok_or(NO_TIME)?;
    local.checked_add_signed(-offset_minutes * 60_000).ok_or("before 1970")
}

/// `+02:00`, `+0200` or `+02`, of two digits each.
fn offset_minutes(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.len() {
        2 => (digits, "00"),
        4 => digits.split_at_checked(2)?,
        _ => digits.split_once(':')?,
    };
    // Not parse() alone: it takes a sign.
    let part = |text: &str, least_too_large: i64| {
        let number = text.parse::<i64>().ok().filter(|_| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit()));
        number.filter(|number| *number < least_too_large)
    };
    Some(sign * (part(hours, 24)? * 60 + part(minutes, 60)?))
}

/// The milliseconds since 1970 of a time as the interaction log has it; `None` for any other text.
#[must_use]
pub fn parse_millis(text: &str) -> Option<u64> {
    let time: SystemTime = humantime::parse_rfc3339(text).ok()?;
    u64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-11-20T08:15:00.250Z.
    const MOMENT: u64 = 1_795_162_500_250;

    #[test]
    fn one_moment_is_written_in_many_ways() {
        for text in [
            "2026-11-20T08:15:00.250Z",
            "2026-11-20t08:15:00.250z",
            "2026-11-20T08:15:00.25Z",
            "2026-11-20T08:15:00.250999999Z",
            "2026-11-20T08:15:00.2509999999999Z",
            "2026-11-20 08:15:00.250000+00:00",
            "2026-11-20T10:15:00.250+02:00",
            "2026-11-20T02:45:00.250-05:30",
            "2026-11-20T10:15:00.250+0200",
            "2026-11-20T10:15:00.250+02",
            "2026-11-20 10:15:00.250 +0200",
            "2026-11-20 08:15:00.250 UTC",
            "2026-11-21T08:14:00.250+23:59",
            "2026-11-20T08:15:00.250-00:00",
        ] {
            assert_eq!(read_time(text), Ok(MOMENT), "{text}");
        }
        assert_eq!(read_time("2026-11-20T08:15:00Z"), Ok(MOMENT - 250));
        assert_eq!(read_time("2026-11-20T08:15Z"), Ok(MOMENT - 250));
        assert_eq!(read_time("1970-01-01T02:00:00+02:00"), Ok(0));
    }

    #[test]
    fn what_is_no_moment_is_refused_with_its_reason() {
        for (text, why) in [
            ("", "no time"),
            ("+02:00", "no time"),
            ("yesterday", "no time"),
            ("2026-11-20", "no time"),
            ("2026-02-30T00:00:00Z", "no time"),
            ("2026-11-20T24:00:00Z", "no time"),
            ("2026-11-20T8:15:00Z", "no time"),
            ("2026-11-20T08:15:00.Z", "no time"),
            ("2026-11-20T08:15.5Z", "no time"),
            ("2026-11-20T08:15:00.2.5Z", "no time"),
            ("1969-01-01T00:00:00Z", "no time"),
            ("\u{fc}+02:00", "no time"),
            ("2026-11-20T08:15:00", "a time without a zone"),
            ("2026-11-20T08:15:00.250", "a time without a zone"),
            ("2026-11-20T08:15:00 ", "a time with a zone"),
            ("2026-11-20T08:15:00+2:00", "a time with a zone"),
            ("2026-11-20T08:15:00++2:00", "a time with a zone"),
            ("2026-11-20T08:15:00-+5:30", "a time with a zone"),
            ("2026-11-20T08:15:00+05:+3", "a time with a zone"),
            ("2026-11-20T08:15:00+02:00:00", "a time with a zone"),
            ("2026-11-20T08:15:00+99:00", "a time with a zone"),
            ("2026-11-20T08:15:00+02:60", "a time with a zone"),
            ("2026-11-20T08:15:00ZZ", "a time with a zone"),
            ("2026-11-20T08:15:00 CET", "a time with a zone"),
            ("2026-11-20T08:15:00\u{ff0b}02:00", "a time with a zone"),
            ("2026-11-20T08:15:00+\u{663}\u{663}", "a time with a zone"),
            ("1970-01-01T00:00:00+02:00", "before 1970"),
        ] {
            let problem = read_time(text).unwrap_err();
            assert!(problem.starts_with(why), "{text}: {problem}");
        }
    }

    proptest! {
        /// Any moment, written with any offset, is that moment; a sign or a space anywhere in the offset makes it none.
        #[test]
        fn offsets_are_taken_off(ms in 86_400_000_u64..4_102_444_800_000, offset in -1439_i64..1440, at in 0_usize..6, wrong in "[-+ ]") {
            let local = format_millis(ms.saturating_add_signed(offset * 60_000));
            let sign = if offset < 0 { '-' } else { '+' };
            let zone = format!("{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60);
            let text = local.replace('Z', &zone);
            prop_assert_eq!(read_time(&text), Ok(ms));
            let mut spoilt = zone.clone();
            spoilt.replace_range(at..=at, &wrong);
            let spoilt_is_other = spoilt != zone && spoilt.strip_prefix(['+', '-']) != zone.strip_prefix(['+', '-']);
            prop_assert!(!spoilt_is_other || read_time(&local.replace('Z', &spoilt)).is_err(), "{}", spoilt);
        }

        #[test]
        fn any_text_gives_an_answer(text in ".{0,40}", digits in "[-0-9T:.+Z ]{10,40}") {
            let _ = (read_time(&text), read_time(&digits));
        }
    }

    #[test]
    fn another_unit_is_told_by_its_size() {
        for (ms, unit) in [
            (1_795_162_500, Some("seconds")),
            (MOMENT, Some("")),
            (MOMENT * 1000, Some("microseconds")),
            (MOMENT * 1_000_000, Some("nanoseconds")),
            (0, None),
            (1, None),
            (253_402_300_799_999, None),
            (u64::MAX, None),
        ] {
            // The moment itself is not asked for: read as microseconds or seconds it lies elsewhere.
            let found = mistaken_unit(ms);
            assert!(
                unit == Some("") && found.is_none() || found.map(|text| text.split('?').next()) == unit.map(Some),
                "{ms}: {found:?}"
            );
        }
    }

    #[test]
    fn seconds_round_trip() {
        for seconds in [0, 1, 951_782_400, 1_794_700_799, u32::MAX] {
            assert_eq!(parse_seconds(&format_seconds(seconds)), Some(seconds));
        }
        assert_eq!(format_seconds(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(parse_seconds("2000-02-29T00:00:00.5Z"), None);
        assert_eq!(parse_seconds("yesterday"), None);
    }
}
