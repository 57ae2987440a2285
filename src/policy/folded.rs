//! A request's constants folded into the few numbers that differ between candidates: with v = (`is_overdue`, `task_age`, `priority`)
//! the mean θ·x is linear in v and the squared width xᵀA⁻¹x is quadratic, whatever d is. v is not yet divided by its scale: the
//! weights are.

use super::ridge::{Ridge, packed_index};
use crate::feature::{CANDIDATE_SPAN, TaskFeatures};

const FIRST: usize = CANDIDATE_SPAN.start;
const SCALE: [f64; 3] = TaskFeatures::SCALE;

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
        Self { constant, slope: std::array::from_fn(|k| theta[FIRST + k] / SCALE[k]) }
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
            width.slope[k] /= SCALE[k];
            width.square[k] = inverse(FIRST + k, FIRST + k) / (SCALE[k] * SCALE[k]);
            width.cross[k] = 2.0 * inverse(FIRST + next, FIRST + last) / (SCALE[next] * SCALE[last]);
        }
        width
    }
}
