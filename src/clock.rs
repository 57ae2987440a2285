//! The only door to time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells the time of day. Injected, so that tests and replays can set it.
pub trait Clock: std::fmt::Debug + Send + Sync {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn now_ms(&self) -> u64;
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
    fn seconds_round_trip() {
        for seconds in [0, 1, 951_782_400, 1_794_700_799, u32::MAX] {
            assert_eq!(parse_seconds(&format_seconds(seconds)), Some(seconds));
        }
        assert_eq!(format_seconds(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(parse_seconds("2000-02-29T00:00:00.5Z"), None);
        assert_eq!(parse_seconds("yesterday"), None);
    }
}
