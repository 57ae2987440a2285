//! Means of rewards, plain and weighted, and how certain they are.

use serde::Serialize;

/// The 97.5 % point of the normal distribution.
const Z95: f64 = 1.959_963_984_540_054;

/// Mean and spread of values that come one after the other (Welford 1962: large values do not cancel each other out).
#[derive(Debug, Clone, Copy, Default)]
pub struct Mean {
    n: u64,
    center: f64,
    squares: f64,
}

#[allow(clippy::cast_precision_loss)] // counts are far below 2^53
impl Mean {
    pub fn push(&mut self, value: f64) {
        self.n += 1;
        let before = value - self.center;
        self.center += before / self.n as f64;
        self.squares += before * (value - self.center);
    }

    pub const fn count(&self) -> u64 {
        self.n
    }

    /// `None` without values.
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0 && self.center.is_finite()).then_some(self.center)
    }

    /// Where the mean is with 95 % (normal approximation); `None` under two values.
    pub fn ci95(&self) -> Option<[f64; 2]> {
        let n = self.n as f64;
        let error = (self.n >= 2).then(|| (self.squares / (n - 1.0) / n).sqrt())?;
        interval(self.center, error)
    }
}

fn interval(mean: f64, error: f64) -> Option<[f64; 2]> {
    let ends = [mean - Z95 * error, mean + Z95 * error];
    ends.iter().all(|end| end.is_finite()).then_some(ends)
}

/// A weighted mean, as far as weights let one trust it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Estimate {
    /// Σwr / Σw.
    pub mean: f64,
    /// Where it is with 95 % (normal approximation of the ratio); `None` under two values with weight.
    pub ci95: Option<[f64; 2]>,
    /// How many values it is made of.
    pub samples: u64,
    /// (Σw)² / Σw²: so many values of equal weight would say as much.
    pub effective_sample_size: f64,
    /// The largest weight as a share of all: near 1, one decision says it all.
    pub largest_share: f64,
}

/// Values with weights that come one after the other. Their means and spread are kept as in [`Mean`]: values that are all large do not
/// cancel each other out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weighted {
    n: u64,
    /// Of these, with weight.
    heavy: u64,
    w: f64,
    ww: f64,
    /// Σwr / Σw.
    mean: f64,
    /// Σw²r / Σw².
    center: f64,
    /// Σw²(r − center)².
    squares: f64,
    largest: f64,
}

impl Weighted {
    pub fn push(&mut self, weight: f64, value: f64) {
        self.n += 1;
        let square = weight * weight;
        if square <= 0.0 {
            return;
        }
        self.heavy += 1;
        self.w += weight;
        self.mean += weight / self.w * (value - self.mean);
        let before = value - self.center;
        self.ww += square;
        self.center += square / self.ww * before;
        self.squares += square * before * (value - self.center);
        self.largest = self.largest.max(weight);
    }

    /// 0 without weight.
    pub fn effective_sample_size(&self) -> f64 {
        if self.ww > 0.0 { self.w * self.w / self.ww } else { 0.0 }
    }

    /// `None` where nothing has weight.
    pub fn estimate(&self) -> Option<Estimate> {
        let Self { mean, w, .. } = *self;
        if self.heavy == 0 || !mean.is_finite() {
            return None;
        }
        // Σw²(r − mean)².
        let spread = self.squares + self.ww * (self.center - mean).powi(2);
        Some(Estimate {
            mean,
            ci95: if self.heavy >= 2 { interval(mean, spread.sqrt() / w) } else { None },
            samples: self.n,
            effective_sample_size: self.effective_sample_size(),
            largest_share: self.largest / w,
        })
    }
}

/// A share; `None` of nothing.
#[allow(clippy::cast_precision_loss)] // counts are far below 2^53
pub fn share(of: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| of as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_has_its_interval() {
        let mut mean = Mean::default();
        assert_eq!((mean.mean(), mean.ci95()), (None, None));
        mean.push(1.0);
        assert_eq!((mean.mean(), mean.ci95()), (Some(1.0), None));
        for value in [0.5, -1.0, 0.0] {
            mean.push(value);
        }
        // By hand: mean 0.125, sum of squared deviations 2.1875.
        let error = (2.1875_f64 / 3.0 / 4.0).sqrt();
        let [low, high] = mean.ci95().unwrap();
        assert!((mean.mean().unwrap() - 0.125).abs() < 1e-15);
        assert!((low - (0.125 - Z95 * error)).abs() < 1e-12 && (high - (0.125 + Z95 * error)).abs() < 1e-12);
    }

    #[test]
    fn large_values_do_not_cancel_and_too_large_ones_have_no_interval() {
        let mut mean = Mean::default();
        for i in 0..1000 {
            mean.push(1e9 + f64::from(i % 2));
        }
        let [low, high] = mean.ci95().unwrap();
        let error = (250.0_f64 / 999.0 / 1000.0).sqrt();
        assert!(((high - low) / 2.0 - Z95 * error).abs() < 1e-6);
        mean.push(1e300);
        mean.push(-1e300);
        assert_eq!(mean.ci95(), None);
    }

    #[test]
    fn equal_weights_make_a_plain_mean_of_all() {
        let (mut weighted, mut plain) = (Weighted::default(), Mean::default());
        assert!(weighted.estimate().is_none());
        for value in [1.0, 0.5, -1.0, 0.0, 0.5] {
            weighted.push(0.3, value);
            plain.push(value);
        }
        let estimate = weighted.estimate().unwrap();
        assert!((estimate.mean - plain.mean().unwrap()).abs() < 1e-12);
        assert!((estimate.effective_sample_size - 5.0).abs() < 1e-12 && (estimate.largest_share - 0.2).abs() < 1e-12);
        // The ratio's error has n where the plain one has n − 1.
        let width = |[low, high]: [f64; 2]| high - low;
        let ratio = width(estimate.ci95.unwrap()) / width(plain.ci95().unwrap());
        assert!((ratio - (4.0_f64 / 5.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn one_value_with_weight_has_no_interval() {
        let mut weighted = Weighted::default();
        for (weight, value) in [(0.0, 7.0), (2.0, 1.0), (0.0, -3.0)] {
            weighted.push(weight, value);
        }
        let estimate = weighted.estimate().unwrap();
        assert_eq!((estimate.mean, estimate.ci95, estimate.samples, estimate.largest_share), (1.0, None, 3, 1.0));
        weighted.push(1.0, 4.0);
        // By hand: mean 2, Σw²(r − 2)² = 4 + 4.
        let [low, high] = weighted.estimate().unwrap().ci95.unwrap();
        assert!((low - (2.0 - Z95 * 8.0_f64.sqrt() / 3.0)).abs() < 1e-12 && (low + high - 4.0).abs() < 1e-12);
    }

    #[test]
    fn the_interval_is_the_same_however_far_values_are_from_zero() {
        let width = |offset: f64| {
            let mut weighted = Weighted::default();
            for i in 0..1000 {
                weighted.push(1.0 + f64::from(i % 7), offset + f64::from(i % 2));
            }
            let [low, high] = weighted.estimate().unwrap().ci95.unwrap();
            high - low
        };
        assert!(width(0.0) > 0.05 && (width(1e9) - width(0.0)).abs() < 1e-6);
        let mut weighted = Weighted::default();
        for value in [1e300, -1e300, 1e300] {
            weighted.push(1e10, value);
        }
        assert_eq!(weighted.estimate().unwrap().ci95, None);
    }

    #[test]
    fn one_heavy_value_is_one_sample() {
        let mut weighted = Weighted::default();
        weighted.push(1e6, 1.0);
        (0..100).for_each(|_| weighted.push(1e-3, 0.0));
        assert!(weighted.effective_sample_size() < 1.01);
    }
}
