//! The ridge-regression estimator behind every policy: A = I + Σ xxᵀ and b = Σ r·x as exact running sums, and what is derived
//! from them, A⁻¹ and θ = A⁻¹b.

use nalgebra::{SMatrix, SVector};

/// No entry of b and no sum of rewards may leave ±`MAX_SUM`. A ≥ I bounds ‖θ‖ by ‖b‖, so every score stays finite.
pub const MAX_SUM: f64 = 1e300;

/// After so many rank-1 updates A⁻¹ and θ are computed afresh from A and b. Their error grows with the number of updates (about
/// 1e-9 after 100,000 collinear ones); between two refreshes it stays near rounding, at 1/256 of a Cholesky factorisation each.
const REFRESH_EVERY: u16 = 256;
/// A reward of this size leaves rounding errors in θ that do not go away when its opposite follows: after it all is computed afresh.
const LARGE_REWARD: f64 = 1e4;

/// Why sums cannot become an estimator, or a reward cannot be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RidgeError {
    /// A is not positive definite.
    NotPositiveDefinite,
    /// A sum would leave ±[`MAX_SUM`].
    Overflow,
}

/// Where entry (i, j), i ≥ j, of a symmetric matrix stands in its packed lower triangle.
#[inline]
#[must_use]
pub const fn packed_index(i: usize, j: usize) -> usize {
    i * (i + 1) / 2 + j
}

/// The estimator for D features; P = D(D+1)/2 is the length of a packed triangle.
#[derive(Debug, Clone, PartialEq)]
pub struct Ridge<const D: usize, const P: usize> {
    a: [f64; P],
    b: [f64; D],
    inverse: [f64; P],
    theta: [f64; D],
    updates: u16,
}

impl<const D: usize, const P: usize> Default for Ridge<D, P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const D: usize, const P: usize> Ridge<D, P> {
    /// The estimator that has seen nothing: A = I, b = 0.
    #[must_use]
    pub fn new() -> Self {
        const { assert!(P == D * (D + 1) / 2) }
        let mut identity = [0.0; P];
        for i in 0..D {
            identity[packed_index(i, i)] = 1.0;
        }
        Self { a: identity, b: [0.0; D], inverse: identity, theta: [0.0; D], updates: 0 }
    }

    /// The estimator with these sums; `a` is A's packed lower triangle.
    ///
    /// # Errors
    /// When A is not positive definite or b is out of bounds (both can only come from a damaged file).
    pub fn from_sums(a: [f64; P], b: [f64; D]) -> Result<Self, RidgeError> {
        if b.iter().any(|v| v.abs() > MAX_SUM) {
            return Err(RidgeError::Overflow);
        }
        let mut ridge = Self { a, b, inverse: a, theta: b, updates: 0 };
        if ridge.refresh() { Ok(ridge) } else { Err(RidgeError::NotPositiveDefinite) }
    }

    /// A's packed lower triangle.
    #[must_use]
    pub const fn a(&self) -> &[f64; P] {
        &self.a
    }

    /// b.
    #[must_use]
    pub const fn b(&self) -> &[f64; D] {
        &self.b
    }

    /// θ = A⁻¹b.
    #[must_use]
    pub const fn theta(&self) -> &[f64; D] {
        &self.theta
    }

    /// A⁻¹'s packed lower triangle.
    #[must_use]
    pub const fn inverse(&self) -> &[f64; P] {
        &self.inverse
    }

    /// Whether [`Ridge::update`] would take this.
    #[must_use]
    pub fn takes(&self, x: &[f64; D], reward: f64) -> bool {
        // Asked this way, NaN is refused, too.
        (0..D).all(|i| (self.b[i] + reward * x[i]).abs() <= MAX_SUM)
    }

    /// Learns that features `x`, all within [−1, 1], earned `reward`.
    ///
    /// # Errors
    /// [`RidgeError::Overflow`]; nothing has changed then.
    pub fn update(&mut self, x: &[f64; D], reward: f64) -> Result<(), RidgeError> {
        let b: [f64; D] = std::array::from_fn(|i| self.b[i] + reward * x[i]);
        // The negation is what refuses NaN, too.
        if !b.iter().all(|v| v.abs() <= MAX_SUM) {
            return Err(RidgeError::Overflow);
        }
        self.b = b;
        for_each_row(&mut self.a, |i, row| {
            for (entry, &xj) in row.iter_mut().zip(x) {
                *entry += x[i] * xj;
            }
        });
        self.updates = self.updates.saturating_add(1);
        let due = self.updates >= REFRESH_EVERY || reward.abs() >= LARGE_REWARD;
        if !due || !self.refresh() {
            self.rank_one(x, reward);
        }
        Ok(())
    }

    /// Learns that features `x`, which were learned from before, earned `change` more than was said then: b += change·x, and A, which
    /// knows x, stays.
    ///
    /// # Errors
    /// [`RidgeError::Overflow`]; nothing has changed then.
    pub fn revise(&mut self, x: &[f64; D], change: f64) -> Result<(), RidgeError> {
        if !self.takes(x, change) {
            return Err(RidgeError::Overflow);
        }
        for (b, &xi) in self.b.iter_mut().zip(x) {
            *b += change * xi;
        }
        self.updates = self.updates.saturating_add(1);
        let due = self.updates >= REFRESH_EVERY || change.abs() >= LARGE_REWARD;
        if !due || !self.refresh() {
            // θ + A⁻¹x·change.
            for i in 0..D {
                self.theta[i] += change * (0..D).map(|j| self.inverse[packed_index(i.max(j), i.min(j))] * x[j]).sum::<f64>();
            }
        }
        Ok(())
    }

    /// Sherman and Morrison (1950): (A + xxᵀ)⁻¹ = A⁻¹ − kuᵀ with u = A⁻¹x, k = u / (1 + xᵀu); and recursive least squares for
    /// θ: θ + k(r − θ·x).
    fn rank_one(&mut self, x: &[f64; D], reward: f64) {
        let mut u = [0.0; D];
        for_each_row(&mut self.inverse, |i, row| {
            // The entries left of the diagonal stand for those above it, too.
            let mut sum = 0.0;
            for ((&entry, &xj), uj) in row.iter().zip(x).zip(&mut u).take(i) {
                sum += entry * xj;
                *uj += entry * x[i];
            }
            u[i] += sum + row[i] * x[i];
        });
        let gain = 1.0 / (1.0 + dot(x, &u));
        let surprise = (reward - dot(&self.theta, x)) * gain;
        for (theta, &ui) in self.theta.iter_mut().zip(&u) {
            *theta += ui * surprise;
        }
        for_each_row(&mut self.inverse, |i, row| {
            let scaled = u[i] * gain;
            for (entry, &uj) in row.iter_mut().zip(&u) {
                *entry -= scaled * uj;
            }
        });
    }

    /// Derives A⁻¹ and θ from A and b by Cholesky; false, and nothing changed, when A is not positive definite.
    fn refresh(&mut self) -> bool {
        let a = SMatrix::<f64, D, D>::from_fn(|i, j| self.a[packed_index(i.max(j), i.min(j))]);
        let Some(cholesky) = a.cholesky() else { return false };
        let (inverse, theta) = (cholesky.inverse(), cholesky.solve(&SVector::<f64, D>::from(self.b)));
        if !inverse.iter().chain(theta.iter()).all(|v| v.is_finite()) {
            return false;
        }
        for i in 0..D {
            for j in 0..=i {
                self.inverse[packed_index(i, j)] = inverse[(i, j)];
            }
        }
        self.theta = theta.into();
        self.updates = 0;
        true
    }
}

/// Row after row of a packed lower triangle: row i has i + 1 entries. As slices, so that the compiler can make vectors of them.
#[inline]
fn for_each_row(triangle: &mut [f64], mut each: impl FnMut(usize, &mut [f64])) {
    let (mut rest, mut i) = (triangle, 0);
    while let Some((row, below)) = std::mem::take(&mut rest).split_at_mut_checked(i + 1) {
        each(i, row);
        (rest, i) = (below, i + 1);
    }
}

fn dot<const D: usize>(x: &[f64; D], y: &[f64; D]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overflow_is_refused_and_changes_nothing() {
        let mut ridge = Ridge::<5, 15>::new();
        ridge.update(&[1.0; 5], 9e299).unwrap();
        let before = ridge.clone();
        assert_eq!(ridge.update(&[1.0; 5], 9e299), Err(RidgeError::Overflow));
        assert_eq!(ridge.update(&[1.0; 5], f64::NAN), Err(RidgeError::Overflow));
        assert_eq!(ridge, before);
        assert!(ridge.theta().iter().all(|t| t.is_finite()));
    }

    #[test]
    fn a_revision_equals_having_known_it_at_once() {
        let (mut revised, mut known) = (Ridge::<5, 15>::new(), Ridge::<5, 15>::new());
        for k in 0..1000u32 {
            let x: [f64; 5] = std::array::from_fn(|i| f64::from((k * 7 + 3 * i as u32) % 11) / 11.0);
            revised.update(&x, -1.0).unwrap();
            known.update(&x, 0.5).unwrap();
            revised.revise(&x, 1.5).unwrap();
        }
        for (a, b) in revised.theta().iter().zip(known.theta()) {
            assert!((a - b).abs() < 1e-9, "{a} {b}");
        }
        assert_eq!(revised.a(), known.a());
        let before = revised.clone();
        assert_eq!(revised.revise(&[1.0; 5], f64::INFINITY), Err(RidgeError::Overflow));
        assert_eq!(revised, before);
    }

    #[test]
    fn sums_that_are_no_gram_matrix_are_refused() {
        let mut a = *Ridge::<5, 15>::new().a();
        a[0] = -1.0;
        assert_eq!(Ridge::<5, 15>::from_sums(a, [0.0; 5]), Err(RidgeError::NotPositiveDefinite));
        a[0] = f64::NAN;
        assert_eq!(Ridge::<5, 15>::from_sums(a, [0.0; 5]), Err(RidgeError::NotPositiveDefinite));
    }
}
