//! Each feature's definition, exactly as the service that this engine replaced had it (except that a task's age is clipped at
//! both ends). The order of operations matters: it makes the sums in the state files equal to the last bit.

use std::f64::consts::PI;
use std::sync::LazyLock;

/// When a tip is chosen or was shown, in the user's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// 0–23.
    pub hour: u8,
    /// 0–6.
    pub day: u8,
}

impl Default for Moment {
    fn default() -> Self {
        Self { hour: 12, day: 0 }
    }
}

/// What is known of a candidate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TaskFeatures {
    /// The due date has passed.
    pub is_overdue: bool,
    /// Days since the task was made; finite.
    pub task_age_days: f64,
    /// 1 (none) to 4 (most urgent).
    pub priority: u8,
}

impl Default for TaskFeatures {
    fn default() -> Self {
        Self { is_overdue: false, task_age_days: 0.0, priority: 1 }
    }
}

impl TaskFeatures {
    /// What each feature is divided by after [`TaskFeatures::age`] and [`TaskFeatures::level`]: days to a share of 30, levels
    /// 0–3 to 0–1. Scoring divides the weights by it instead, once for all candidates.
    pub const SCALE: [f64; 3] = [1.0, 30.0, 3.0];

    /// `is_overdue`, `task_age` and `priority`, each in [0, 1].
    #[must_use]
    pub fn features(&self) -> [f64; 3] {
        let unscaled = [f64::from(u8::from(self.is_overdue)), Self::age(self.task_age_days), Self::level(f64::from(self.priority))];
        std::array::from_fn(|k| unscaled[k] / Self::SCALE[k])
    }

    /// Days, clipped at both ends.
    #[inline]
    #[must_use]
    pub fn age(days: f64) -> f64 {
        days.clamp(0.0, Self::SCALE[1])
    }

    /// Priority 1–4 as a level from 0.
    #[inline]
    #[must_use]
    pub fn level(priority: f64) -> f64 {
        priority - 1.0
    }
}

/// A user's last 30 days; `None` is "not known". Values are finite.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Profile {
    /// Share of tips done.
    pub completion_rate: Option<f64>,
    /// Share of tips dismissed.
    pub dismiss_rate: Option<f64>,
    /// Milliseconds that a tip was looked at.
    pub mean_dwell_ms: Option<f64>,
    /// The hour at which the user prefers to act.
    pub preferred_hour: Option<f64>,
    /// Tips shown.
    pub tip_volume: Option<f64>,
}

/// `100f64.ln_1p()`, which the compiler does not compute.
const LN_101: f64 = 4.615_120_516_841_26;

impl Profile {
    /// The five profile features, each in [0, 1].
    #[must_use]
    pub fn features(&self, hour: u8) -> [f64; 5] {
        let rate = |v: Option<f64>| v.map_or(0.0, |v| v.clamp(0.0, 1.0));
        [
            rate(self.completion_rate),
            rate(self.dismiss_rate),
            self.mean_dwell_ms.map_or(0.0, |ms| (ms / 600_000.0).clamp(0.0, 1.0)),
            self.preferred_hour.map_or(0.5, |preferred| {
                let angle = (preferred - f64::from(hour)) * (2.0 * PI / 24.0);
                f64::midpoint(angle.cos(), 1.0)
            }),
            self.tip_volume.filter(|&v| v > 0.0).map_or(0.0, |v| (v.ln_1p() / LN_101).min(1.0)),
        ]
    }
}

fn angles<const N: usize>() -> [(f64, f64); N] {
    #[allow(clippy::cast_precision_loss)] // N is 24 or 7
    std::array::from_fn(|i| (2.0 * PI * i as f64 / N as f64).sin_cos())
}

static HOURS: LazyLock<[(f64, f64); 24]> = LazyLock::new(angles);
static DAYS: LazyLock<[(f64, f64); 7]> = LazyLock::new(angles);

/// Sine and cosine of an hour on the circle of the day. Hours past 23 do not get here; they would wrap.
#[must_use]
pub fn hour_angles(hour: u8) -> (f64, f64) {
    HOURS[usize::from(hour % 24)]
}

/// Sine and cosine of a day on the circle of the week.
#[must_use]
pub fn day_angles(day: u8) -> (f64, f64) {
    DAYS[usize::from(day % 7)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_clipped_at_both_ends() {
        let age = |task_age_days| TaskFeatures { task_age_days, ..TaskFeatures::default() }.features()[1];
        assert_eq!([-5.0, 0.0, 15.0, 30.0, 400.0].map(age), [0.0, 0.0, 0.5, 1.0, 1.0]);
    }

    #[test]
    fn the_logarithm_of_101_is_that_of_the_platform() {
        assert_eq!(LN_101.to_bits(), 100f64.ln_1p().to_bits());
    }

    #[test]
    fn unknown_profile_values_are_neutral() {
        assert_eq!(Profile::default().features(9), [0.0, 0.0, 0.0, 0.5, 0.0]);
    }

    #[test]
    fn profile_values_are_clipped() {
        let profile = Profile {
            completion_rate: Some(1.7),
            dismiss_rate: Some(-0.2),
            mean_dwell_ms: Some(9e6),
            preferred_hour: Some(9.0),
            tip_volume: Some(5000.0),
        };
        assert_eq!(profile.features(9), [1.0, 0.0, 1.0, 1.0, 1.0]);
        assert_eq!(Profile { tip_volume: Some(-3.0), ..profile }.features(9)[4], 0.0);
    }
}
