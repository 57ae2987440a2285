//! The candidates of one request as three lanes of numbers, one lane a feature: the shape that vector units like.

use crate::feature::TaskFeatures;
use std::cell::Cell;

/// Candidates that can be scored: what comes out is `is_overdue`, `task_age` and `priority` as the policies weigh them, each in
/// [0, 1].
pub trait Candidates {
    /// How many.
    fn len(&self) -> usize;

    /// None at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `scores[i]` = `score` of candidate i, for each i below the number of candidates. Always inlined, so that it becomes vector
    /// code of the instruction set that its caller was compiled for.
    fn score_each(&self, scores: &mut [f64], score: impl Fn([f64; 3]) -> f64);
}

/// Raw candidate features, as the caller gave them: 0 or 1, days, and 1 to 4. The three have the same length. Cells, because
/// JavaScript writes them in place; `Cell::from_mut(block).as_slice_of_cells()` makes them of any block of numbers.
#[derive(Debug, Clone, Copy)]
pub struct Lanes<'a> {
    overdue: &'a [Cell<f64>],
    age: &'a [Cell<f64>],
    priority: &'a [Cell<f64>],
}

impl<'a> Lanes<'a> {
    /// Splits `block`, three lanes one after another; what is left over (length not a multiple of 3) is ignored.
    #[inline]
    #[must_use]
    pub fn new(block: &'a [Cell<f64>]) -> Self {
        let n = block.len() / 3;
        let (overdue, rest) = block.split_at(n);
        let (age, rest) = rest.split_at(n);
        Self { overdue, age, priority: &rest[..n] }
    }

    /// One candidate as it was given.
    #[inline]
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked to be 1 to 4; the cast saturates anyway
    pub fn task(&self, index: usize) -> TaskFeatures {
        TaskFeatures {
            is_overdue: self.overdue[index].get() != 0.0,
            task_age_days: self.age[index].get(),
            priority: self.priority[index].get() as u8,
        }
    }
}

impl Candidates for Lanes<'_> {
    #[inline]
    fn len(&self) -> usize {
        self.overdue.len()
    }

    #[inline(always)]
    fn score_each(&self, scores: &mut [f64], score: impl Fn([f64; 3]) -> f64) {
        for (((to, overdue), age), priority) in scores.iter_mut().zip(self.overdue).zip(self.age).zip(self.priority) {
            *to = score([overdue.get(), TaskFeatures::age(age.get()), TaskFeatures::priority(priority.get())]);
        }
    }
}

/// Candidates whose features were normalised once, for requests that come again.
#[derive(Debug, Clone)]
pub struct NormalisedLanes {
    lanes: [Box<[f64]>; 3],
}

impl NormalisedLanes {
    /// Normalises `lanes`.
    #[must_use]
    pub fn new(lanes: &Lanes<'_>) -> Self {
        let each = |lane: &[Cell<f64>], normalise: fn(f64) -> f64| lane.iter().map(|v| normalise(v.get())).collect();
        let (age, priority) = (each(lanes.age, TaskFeatures::age), each(lanes.priority, TaskFeatures::priority));
        Self { lanes: [each(lanes.overdue, |v| v), age, priority] }
    }
}

impl Candidates for NormalisedLanes {
    #[inline]
    fn len(&self) -> usize {
        self.lanes[0].len()
    }

    #[inline(always)]
    fn score_each(&self, scores: &mut [f64], score: impl Fn([f64; 3]) -> f64) {
        let [overdue, age, priority] = &self.lanes;
        for (((to, &overdue), &age), &priority) in scores.iter_mut().zip(overdue).zip(age).zip(priority) {
            *to = score([overdue, age, priority]);
        }
    }
}
