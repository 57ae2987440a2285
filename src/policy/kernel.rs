//! The scoring loop: three lanes in, a score per candidate and the best of them out. The loops are plain Rust that the compiler
//! turns into vector code, once for each instruction set; `pulp` picks at run time. No fused multiply-add is used, so all of
//! them give the same scores to the last bit, on every machine.

use super::folded::{Mean, Width};
use pulp::{Arch, Simd, WithSimd};

/// Below this many candidates the dispatch costs more than vectors save.
const SMALL: usize = 8;
/// Lanes of the running maxima, so that they do not wait for each other.
const LANES: usize = 8;

/// Scores candidates with the widest vectors that this machine has.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kernel {
    arch: Arch,
}

impl Kernel {
    /// `scores[i]` = mean of candidate i. Returns the best score. All slices have the same length.
    #[inline]
    pub fn means(self, mean: &Mean, lanes: [&[f64]; 3], scores: &mut [f64]) -> f64 {
        let mean = *mean;
        self.run(lanes, scores, move |[o, a, p]| mean.at(o, a, p))
    }

    /// `scores[i]` = mean + α·√(width) of candidate i. Returns the best score. All slices have the same length.
    #[inline]
    pub fn upper_bounds(self, mean: &Mean, width: &Width, alpha: f64, lanes: [&[f64]; 3], scores: &mut [f64]) -> f64 {
        let (mean, width) = (*mean, *width);
        // Rounding can push a width that is zero in exact arithmetic a hair below it.
        self.run(lanes, scores, move |[o, a, p]| mean.at(o, a, p) + alpha * width.at(o, a, p).max(0.0).sqrt())
    }

    #[inline]
    fn run(self, lanes: [&[f64]; 3], scores: &mut [f64], score: impl Fn([f64; 3]) -> f64) -> f64 {
        if scores.len() < SMALL { score_all(lanes, scores, score) } else { self.arch.dispatch(Dispatched { lanes, scores, score }) }
    }
}

impl Mean {
    #[inline(always)]
    fn at(&self, overdue: f64, age: f64, priority: f64) -> f64 {
        self.constant + self.slope[0] * overdue + self.slope[1] * age + self.slope[2] * priority
    }
}

impl Width {
    #[inline(always)]
    fn at(&self, overdue: f64, age: f64, priority: f64) -> f64 {
        let (slope, square, cross) = (&self.slope, &self.square, &self.cross);
        let overdue_part = overdue * (slope[0] + square[0] * overdue + cross[2] * age);
        let age_part = age * (slope[1] + square[1] * age + cross[0] * priority);
        let priority_part = priority * (slope[2] + square[2] * priority + cross[1] * overdue);
        self.constant + overdue_part + age_part + priority_part
    }
}

struct Dispatched<'a, F> {
    lanes: [&'a [f64]; 3],
    scores: &'a mut [f64],
    score: F,
}

impl<F: Fn([f64; 3]) -> f64> WithSimd for Dispatched<'_, F> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> f64 {
        score_all(self.lanes, self.scores, self.score)
    }
}

#[inline(always)]
fn score_all(lanes: [&[f64]; 3], scores: &mut [f64], score: impl Fn([f64; 3]) -> f64) -> f64 {
    let n = scores.len();
    let (overdue, age, priority) = (&lanes[0][..n], &lanes[1][..n], &lanes[2][..n]);
    for i in 0..n {
        scores[i] = score([overdue[i], age[i], priority[i]]);
    }
    let mut best = [f64::NEG_INFINITY; LANES];
    let (chunks, rest) = scores.as_chunks::<LANES>();
    for chunk in chunks {
        for (best, &score) in best.iter_mut().zip(chunk) {
            *best = if score > *best { score } else { *best };
        }
    }
    best.iter().chain(rest).fold(f64::NEG_INFINITY, |best, &score| if score > best { score } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Chance;

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let chance = Chance::seeded(3);
        let mut number = || chance.draw().below(1 << 20) as f64 / f64::from(1 << 20);
        for n in [1, 7, 8, 9, 64, 1001] {
            let lanes: [Vec<f64>; 3] = std::array::from_fn(|_| (0..n).map(|_| number()).collect());
            let lanes = [&lanes[0][..], &lanes[1][..], &lanes[2][..]];
            let mut three = || [number(), number(), number()];
            let mean = Mean { constant: 0.1, slope: three() };
            let width = Width { constant: 0.3, slope: three(), square: three(), cross: three() };
            let plain: Vec<f64> = (0..n)
                .map(|i| {
                    let (o, a, p) = (lanes[0][i], lanes[1][i], lanes[2][i]);
                    mean.at(o, a, p) + width.at(o, a, p).sqrt()
                })
                .collect();
            let mut scores = vec![0.0; n];
            let best = Kernel::default().upper_bounds(&mean, &width, 1.0, lanes, &mut scores);
            assert_eq!(scores, plain);
            assert_eq!(best, plain.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        }
    }
}
