//! The ridge-regression estimator behind every policy: A = I + Σ xxᵀ and b = Σ r·x as exact running sums, and what is derived
//! from them, θ = A⁻¹b and, for policies that score with it, A⁻¹. What is derived depends on the sums alone, not on how they came
//! about: it is computed afresh with every reward, which for matrices this small takes a third longer than bringing an inverse up
//! to date (Sherman and Morrison, 1950), leaves no error to grow, and spares an ε-greedy policy an inverse for each user.

use super::cholesky::{invert, is_positive_definite, solve};

/// No entry of b and no sum of rewards may leave ±`MAX_SUM`. A ≥ I bounds ‖θ‖ by ‖b‖, so every score stays finite.
pub const MAX_SUM: f64 = 1e300;

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

/// Whether a packed lower triangle can be A: I + Σ xxᵀ has no eigenvalue below 1. Half of that is more than rounding takes away, and
/// enough to bound θ by b, which is what keeps scores finite.
#[must_use]
pub fn is_sum_of_products<const D: usize>(a: &[f64]) -> bool {
    const LEAST_EIGENVALUE: f64 = 0.5;
    is_positive_definite::<D>(|i, j| a[packed_index(i, j)] - if i == j { LEAST_EIGENVALUE } else { 0.0 })
}

/// The estimator for D features; P = D(D+1)/2 is the length of a packed triangle, and I how much of A⁻¹ is kept: P, or 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Ridge<const D: usize, const P: usize, const I: usize> {
    a: [f64; P],
    b: [f64; D],
    inverse: [f64; I],
    theta: [f64; D],
}

/// That of `linucb-v1`, whose bonus is a matter of A⁻¹.
pub type LinUcbRidge = Ridge<5, 15, 15>;
/// That of `egreedy-v1`.
pub type EGreedyRidge = Ridge<7, 28, 0>;
/// That of `egreedy-v2`.
pub type EGreedy2Ridge = Ridge<12, 78, 0>;

impl<const D: usize, const P: usize, const I: usize> Default for Ridge<D, P, I> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const D: usize, const P: usize, const I: usize> Ridge<D, P, I> {
    /// The estimator that has seen nothing: A = I, b = 0.
    #[must_use]
    pub fn new() -> Self {
        const { assert!(P == D * (D + 1) / 2 && (I == P || I == 0)) }
        let (mut a, mut inverse) = ([0.0; P], [0.0; I]);
        for i in 0..D {
            a[packed_index(i, i)] = 1.0;
        }
        inverse.copy_from_slice(&a[..I]);
        Self { a, b: [0.0; D], inverse, theta: [0.0; D] }
    }

    /// The estimator with these sums; `a` is A's packed lower triangle.
    ///
    /// # Errors
    /// When A is not positive definite or b is out of bounds (both can only come from a damaged file).
    pub fn from_sums(a: [f64; P], b: [f64; D]) -> Result<Self, RidgeError> {
        if b.iter().any(|v| v.abs() > MAX_SUM) {
            return Err(RidgeError::Overflow);
        }
        let mut ridge = Self { a, b, inverse: [0.0; I], theta: [0.0; D] };
        if ridge.derive() { Ok(ridge) } else { Err(RidgeError::NotPositiveDefinite) }
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

    /// A⁻¹'s packed lower triangle, where it is kept.
    #[must_use]
    pub const fn inverse(&self) -> &[f64; I] {
        &self.inverse
    }

    /// √(xᵀA⁻¹x): how little is known in this direction.
    #[must_use]
    pub fn width(&self, x: &[f64; D]) -> f64 {
        let solved = if I == P { Some(times(&self.inverse, x)) } else { solve(&self.a, x) };
        solved.map_or(0.0, |solved| dot(x, &solved)).max(0.0).sqrt()
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
        self.derive();
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
        self.derive();
        Ok(())
    }

    /// Computes A⁻¹, where it is kept, and θ; false, and nothing changed, when A is not positive definite. That can only be with sums
    /// of a file that were so lopsided that rounding decides: then what was known before goes on.
    #[inline]
    fn derive(&mut self) -> bool {
        if I == P {
            let Some(inverse) = invert::<D, P>(&self.a) else { return false };
            self.take(&inverse, times(&inverse, &self.b))
        } else {
            let Some(theta) = solve(&self.a, &self.b) else { return false };
            self.take(&[], theta)
        }
    }

    fn take(&mut self, inverse: &[f64], theta: [f64; D]) -> bool {
        let finite = inverse.iter().chain(&theta).all(|v| v.is_finite());
        if finite {
            self.inverse.copy_from_slice(inverse);
            self.theta = theta;
        }
        finite
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

/// The product of a symmetric matrix, a packed lower triangle, and a vector.
fn times<const D: usize>(triangle: &[f64], x: &[f64; D]) -> [f64; D] {
    std::array::from_fn(|i| (0..D).map(|j| triangle[packed_index(i.max(j), i.min(j))] * x[j]).sum())
}

fn dot<const D: usize>(x: &[f64; D], y: &[f64; D]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overflow_is_refused_and_changes_nothing() {
        let mut ridge = LinUcbRidge::new();
        ridge.update(&[1.0; 5], 9e299).unwrap();
        let before = ridge.clone();
        assert_eq!(ridge.update(&[1.0; 5], 9e299), Err(RidgeError::Overflow));
        assert_eq!(ridge.update(&[1.0; 5], f64::NAN), Err(RidgeError::Overflow));
        assert_eq!(ridge, before);
        assert!(ridge.theta().iter().all(|t| t.is_finite()));
    }

    #[test]
    fn a_revision_equals_having_known_it_at_once() {
        let (mut revised, mut known) = (LinUcbRidge::new(), LinUcbRidge::new());
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
        let mut a = *LinUcbRidge::new().a();
        a[0] = -1.0;
        assert_eq!(LinUcbRidge::from_sums(a, [0.0; 5]), Err(RidgeError::NotPositiveDefinite));
        a[0] = f64::NAN;
        assert_eq!(LinUcbRidge::from_sums(a, [0.0; 5]), Err(RidgeError::NotPositiveDefinite));
    }
}
