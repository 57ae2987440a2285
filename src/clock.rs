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

/// The milliseconds since 1970 of a time as RFC 3339 (section 5.6) has it, with an offset or in UTC.
#[must_use]
pub fn parse_any_time(text: &str) -> Option<u64> {
    let sign_at = text.len().checked_sub("+02:00".len()).filter(|&at| text.is_char_boundary(at));
    let offset = sign_at.and_then(|at| Some((text.get(..at)?, text.get(at..)?))).and_then(|(local, offset)| {
        let sign = match offset.as_bytes()[0] {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let (hours, minutes) = offset.get(1..)?.split_once(':')?;
        let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
        (hours < 24 && minutes < 60).then_some((local, sign * (hours * 60 + minutes) * 60_000))
    });
    let Some((local, offset)) = offset else { return parse_millis(text) };
    parse_millis(&format!("{local}Z"))?.checked_add_signed(-offset)
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

    #[test]
    fn times_have_offsets_or_none() {
        let utc = parse_any_time("2026-11-20T08:15:00.250Z");
        assert_eq!(utc.map(format_millis).as_deref(), Some("2026-11-20T08:15:00.250Z"));
        assert_eq!(parse_any_time("2026-11-20T10:15:00.250+02:00"), utc);
        assert_eq!(parse_any_time("2026-11-20T02:45:00.250-05:30"), utc);
        for text in
            ["", "+02:00", "2026-11-20", "2026-11-20T10:15:00+2:00", "2026-11-20T10:15:00+99:00", "1969-01-01T00:00:00Z", "ü+02:00"]
        {
            assert_eq!(parse_any_time(text), None, "{text}");
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
