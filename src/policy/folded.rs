//! A request's constants folded into the few numbers that differ between candidates: with v = (`is_overdue`, `task_age`, `priority`)
//! the mean θ·x is linear in v and the squared width xᵀA⁻¹x is quadratic, whatever d is. v is not yet divided by its scale: the
//! weights are.

use super::choice::EPSILON;
use super::ridge::{Ridge, packed_index};
use crate::feature::{self, CANDIDATE_SPAN, Moment, Profile, TaskFeatures};

const FIRST: usize = CANDIDATE_SPAN.start;
/// One division takes as long as the rest of a sum.
const PER_UNIT: [f64; 3] = [1.0 / TaskFeatures::SCALE[0], 1.0 / TaskFeatures::SCALE[1], 1.0 / TaskFeatures::SCALE[2]];

/// All that a policy knows of a user, as far as one request can tell: with it alone any candidate can be scored.
#[derive(Debug, Clone, Copy)]
pub struct Folded {
    pub(super) mean: Mean,
    /// Where the policy scores by how little it knows, too.
    pub(super) width: Option<Width>,
}

impl Folded {
    /// `LinUCB`: θ·x and xᵀA⁻¹x.
    #[inline]
    #[must_use]
    pub fn linucb<const D: usize, const P: usize>(ridge: &Ridge<D, P, P>, moment: Moment, profile: &Profile) -> Self {
        let shared = feature::shared(moment, profile);
        Self { mean: Mean::fold(ridge.theta(), &shared), width: Some(Width::fold(ridge, &shared)) }
    }

    /// ε-greedy: θ·x.
    #[inline]
    #[must_use]
    pub fn egreedy<const D: usize, const P: usize, const I: usize>(
        ridge: &Ridge<D, P, I>,
        moment: Moment,
        profile: &Profile,
    ) -> Self {
        Self { mean: Mean::fold(ridge.theta(), &feature::shared(moment, profile)), width: None }
    }

    /// The probability of a uniform draw: who scores by how little is known explores by that.
    #[inline]
    #[must_use]
    pub const fn epsilon(&self) -> f64 {
        if self.width.is_some() { 0.0 } else { EPSILON }
    }
}

/// θ·x = constant + Σ slopeₖ·vₖ.
#[derive(Debug, Clone, Copy)]
pub struct Mean {
    pub(super) constant: f64,
    pub(super) slope: [f64; 3],
}

impl Mean {
    /// Folds θ over `shared`, the features of the request (zero where a candidate's go).
    #[inline]
    #[must_use]
    pub fn fold<const D: usize>(theta: &[f64; D], shared: &[f64; D]) -> Self {
        let constant = theta.iter().zip(shared).map(|(t, x)| t * x).sum();
        Self { constant, slope: std::array::from_fn(|k| theta[FIRST + k] * PER_UNIT[k]) }
    }
}

/// xᵀA⁻¹x = constant + Σ slopeₖ·vₖ + Σ squareₖ·vₖ² + Σ crossₖ·(the other two v multiplied).
#[derive(Debug, Clone, Copy)]
pub struct Width {
    pub(super) constant: f64,
    pub(super) slope: [f64; 3],
    pub(super) square: [f64; 3],
    pub(super) cross: [f64; 3],
}

impl Width {
    /// Folds A⁻¹ over `shared`, the features of the request (zero where a candidate's go).
    #[inline]
    #[must_use]
    pub fn fold<const D: usize, const P: usize>(ridge: &Ridge<D, P, P>, shared: &[f64; D]) -> Self {
        let inverse = |i: usize, j: usize| ridge.inverse()[packed_index(i.max(j), i.min(j))];
        let mut width = Self { constant: 0.0, slope: [0.0; 3], square: [0.0; 3], cross: [0.0; 3] };
        for i in (0..D).filter(|i| !CANDIDATE_SPAN.contains(i)) {
            for j in (0..D).filter(|j| !CANDIDATE_SPAN.contains(j)) {
                width.constant += shared[i] * inverse(i, j) * shared[j];
            }
            for k in 0..3 {
                width.slope[k] += 2.0 * shared[i] * inverse(i, FIRST + k);
            }
        }
        for k in 0..3 {
            let (next, last) = ((k + 1) % 3, (k + 2) % 3);
            width.slope[k] *= PER_UNIT[k];
            width.square[k] = inverse(FIRST + k, FIRST + k) * (PER_UNIT[k] * PER_UNIT[k]);
            width.cross[k] = inverse(FIRST + next, FIRST + last) * (2.0 * PER_UNIT[next] * PER_UNIT[last]);
        }
        width
    }
}
