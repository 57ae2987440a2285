//! How fast the log grows, and for how long what it may hold lasts at that: so that it can be said before reactions are refused because
//! their decisions are gone.

use super::InteractionLog;
use crate::log::active::SEGMENT_BYTES;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A rate is told after so long, or when the log has so large a part of what it may have: before that it is a moment's.
const LONG_ENOUGH: Duration = Duration::from_hours(1);
const FULL_ENOUGH: f64 = 0.1;
/// A segment of this age is followed by another one, so that retention by age can remove it.
pub(super) const OLDEST_SEGMENT_MS: u64 = 24 * 3600 * 1000;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    /// Bytes a day.
    pub bytes_per_day: f64,
    /// For how long the log certainly reaches back once it is full, in milliseconds.
    pub lasts_ms: f64,
    /// Decisions a second since the log was opened, and the bytes of one; `None`: there were none.
    pub decisions: Option<(f64, f64)>,
}

impl Growth {
    /// So many bytes have to be kept for the log to reach back so far.
    #[must_use]
    pub fn bytes_for(&self, ms: f64) -> f64 {
        self.bytes_per_day * (ms / MS_PER_DAY) + self.largest_segment()
    }

    /// Segments go whole, and right after one went the log has less by as much.
    fn largest_segment(&self) -> f64 {
        self.bytes_per_day.min(SEGMENT)
    }

    /// At a rate in bytes a millisecond.
    fn at(bytes_per_ms: f64, retention: f64, decisions: Option<(f64, f64)>) -> Self {
        let rate = Self { bytes_per_day: bytes_per_ms * MS_PER_DAY, lasts_ms: 0.0, decisions };
        Self { lasts_ms: (retention - rate.largest_segment()).max(0.0) / bytes_per_ms, ..rate }
    }
}

#[allow(clippy::cast_precision_loss)] // exactly a power of two
const SEGMENT: f64 = SEGMENT_BYTES as f64;
#[allow(clippy::cast_precision_loss)] // far below 2^53
const MS_PER_DAY: f64 = OLDEST_SEGMENT_MS as f64;

impl InteractionLog {
    /// How fast it grows, by all that it has and by what came since it was opened, whichever is faster; `None` where that is too little to
    /// tell.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // bytes and times are below 2^53
    pub fn growth(&self) -> Option<Growth> {
        let now = self.clock.now_ms();
        let written = self.active.lock().written_bytes();
        let (bytes, first_ms) = {
            let figures = self.figures.lock();
            (figures.bytes_with(written), figures.first_ms)
        };
        let retention = self.settings.retention_bytes as f64;
        let rate = |bytes: u64, since_ms: u64| {
            let (bytes, ms) = (bytes as f64, now.saturating_sub(since_ms).max(1000) as f64);
            let tells = ms >= LONG_ENOUGH.as_secs_f64() * 1e3 || bytes >= FULL_ENOUGH * retention;
            tells.then_some(bytes / ms)
        };
        // A time to come is no beginning.
        let first_ms = first_ms.filter(|first| *first <= now);
        let rates = [first_ms.and_then(|first| rate(bytes, first)), rate(written, self.opened_ms)];
        let bytes_per_ms = rates.into_iter().flatten().reduce(f64::max).filter(|rate| *rate > 0.0)?;
        let (count, bytes) = (self.decisions.load(Ordering::Relaxed), self.decision_bytes.load(Ordering::Relaxed));
        let seconds = now.saturating_sub(self.opened_ms).max(1000) as f64 / 1e3;
        let decisions = (count > 0).then(|| (count as f64 / seconds, bytes as f64 / count as f64));
        Some(Growth::at(bytes_per_ms, retention, decisions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_lasts_as_long_as_it_takes_to_write_it_but_for_a_segment() {
        const GIB: f64 = (1u64 << 30) as f64;
        // 1.3 decisions of 1.3 kB a second, as docs/decisions.md has them: a week of the log is about 1 GiB.
        let growth = Growth::at(1.3 * 1300.0 / 1000.0, GIB, None);
        let days = growth.lasts_ms / MS_PER_DAY;
        assert!((7.0..7.5).contains(&days), "{days}");
        assert!((growth.bytes_for(growth.lasts_ms) - GIB).abs() < 1.0);
        // What is kept is less than a segment: right after one went there is nothing.
        assert_eq!(Growth::at(1.0, SEGMENT / 2.0, None).lasts_ms, 0.0);
        // Where little happens a segment is a day's.
        assert!((Growth::at(0.001, 1e6, None).lasts_ms / MS_PER_DAY - (1e6 - 86_400.0) / 86_400.0).abs() < 1e-6);
    }
}
