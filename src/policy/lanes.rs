//! The candidates of one request as three lanes of numbers, one lane a feature: the shape that vector units like.

use crate::feature::TaskFeatures;
use std::cell::Cell;

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

    /// How many candidates.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.overdue.len()
    }

    /// No candidate at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.overdue.is_empty()
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

/// Candidate features as the policies weigh them, each in [0, 1]; three lanes one after another.
#[derive(Debug, Clone, Default)]
pub struct NormalisedLanes {
    block: Vec<f64>,
}

impl NormalisedLanes {
    /// Takes over `lanes`, reusing the memory.
    #[inline]
    pub fn fill(&mut self, lanes: &Lanes<'_>) {
        self.block.clear();
        self.block.extend(lanes.overdue.iter().map(Cell::get));
        self.block.extend(lanes.age.iter().map(|days| TaskFeatures::age(days.get())));
        self.block.extend(lanes.priority.iter().map(|priority| TaskFeatures::priority(priority.get())));
    }

    /// The three lanes: `is_overdue`, `task_age`, `priority`.
    #[inline]
    #[must_use]
    pub fn split(&self) -> [&[f64]; 3] {
        let n = self.block.len() / 3;
        let (overdue, rest) = self.block.split_at(n);
        let (age, priority) = rest.split_at(n);
        [overdue, age, priority]
    }

    /// Gives memory back that one large request left behind.
    pub fn shrink(&mut self, candidates: usize) {
        if self.block.capacity() > 3 * candidates {
            self.block = Vec::new();
        }
    }
}
