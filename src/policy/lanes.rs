//! The candidates of one request as three lanes of numbers, one lane a feature: the shape that vector units like.

use crate::feature::TaskFeatures;
use std::cell::Cell;

/// A lane is padded to a multiple of as many candidates: vectors of any machine come out even, and no remainder is treated apart.
/// What the padding holds does not matter.
pub const CHUNK: usize = crate::boundary::LANE_CHUNK;

/// Candidates that can be scored: what comes out is `is_overdue`, `task_age` and `priority` before they are divided by
/// [`TaskFeatures::SCALE`].
pub trait Candidates {
    /// How many.
    fn len(&self) -> usize;

    /// None at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Scores every candidate and the padding; `scores` is as long as a lane. Always inlined, so that it becomes vector code of the
    /// instruction set that its caller was compiled for.
    fn score_each(&self, scores: &mut [f64], score: impl Fn([f64; 3]) -> f64);
}

/// Raw candidate features, as the caller gave them: 0 or 1, days, and 1 to 4. Cells, because JavaScript writes them in place;
/// `Cell::from_mut(block).as_slice_of_cells()` makes them of any block of numbers.
#[derive(Debug, Clone, Copy)]
pub struct Lanes<'a> {
    lanes: [&'a [Cell<f64>]; 3],
    len: usize,
}

impl<'a> Lanes<'a> {
    /// How many numbers the lanes of `len` candidates take.
    #[inline]
    #[must_use]
    pub const fn words(len: usize) -> usize {
        3 * len.next_multiple_of(CHUNK)
    }

    /// The lanes of `len` candidates, one after another, each padded; `None` when `block` is too short.
    #[inline]
    #[must_use]
    pub fn new(block: &'a [Cell<f64>], len: usize) -> Option<Self> {
        let block = block.get(..Self::words(len))?;
        let (overdue, rest) = block.split_at(block.len() / 3);
        let (age, priority) = rest.split_at(overdue.len());
        Some(Self { lanes: [overdue, age, priority], len })
    }

    /// Writes candidates as lanes; what `block` held before is gone.
    #[must_use]
    pub fn written(tasks: &[TaskFeatures], block: &'a mut Vec<f64>) -> Self {
        let len = tasks.len();
        let stride = len.next_multiple_of(CHUNK);
        block.clear();
        block.resize(Self::words(len), 0.0);
        for (i, task) in tasks.iter().enumerate() {
            block[i] = f64::from(u8::from(task.is_overdue));
            block[stride + i] = task.task_age_days;
            block[2 * stride + i] = f64::from(task.priority);
        }
        let (overdue, rest) = Cell::from_mut(&mut block[..]).as_slice_of_cells().split_at(stride);
        let (age, priority) = rest.split_at(stride);
        Self { lanes: [overdue, age, priority], len }
    }

    /// One candidate as it was given.
    #[inline]
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked to be 1 to 4; the cast saturates anyway
    pub fn task(&self, index: usize) -> TaskFeatures {
        let [overdue, age, priority] = self.lanes.map(|lane| lane[index].get());
        TaskFeatures { is_overdue: overdue != 0.0, task_age_days: age, priority: priority as u8 }
    }
}

impl Candidates for Lanes<'_> {
    #[inline]
    fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // what makes it vector code: see the trait
    fn score_each(&self, scores: &mut [f64], score: impl Fn([f64; 3]) -> f64) {
        let [overdue, age, priority] = self.lanes;
        for (((to, overdue), age), priority) in scores.iter_mut().zip(overdue).zip(age).zip(priority) {
            *to = score([overdue.get(), TaskFeatures::age(age.get()), TaskFeatures::level(priority.get())]);
        }
    }
}

/// Candidates whose features were clipped once, for requests that come again.
#[derive(Debug, Clone)]
pub struct NormalisedLanes {
    lanes: [Box<[f64]>; 3],
    len: usize,
}

impl NormalisedLanes {
    /// Clips the features of `lanes`.
    #[must_use]
    pub fn new(lanes: &Lanes<'_>) -> Self {
        let each = |lane: &[Cell<f64>], clip: fn(f64) -> f64| lane.iter().map(|v| clip(v.get())).collect();
        let [overdue, age, priority] = lanes.lanes;
        let clipped = [each(overdue, |v| v), each(age, TaskFeatures::age), each(priority, TaskFeatures::level)];
        Self { lanes: clipped, len: lanes.len }
    }
}

impl Candidates for NormalisedLanes {
    #[inline]
    fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // what makes it vector code: see the trait
    fn score_each(&self, scores: &mut [f64], score: impl Fn([f64; 3]) -> f64) {
        let [overdue, age, priority] = &self.lanes;
        for (((to, &overdue), &age), &priority) in scores.iter_mut().zip(overdue).zip(age).zip(priority) {
            *to = score([overdue, age, priority]);
        }
    }
}
