//! The scoring loop: candidates in, a score for each and the first of the best out. The loops are plain Rust that the compiler
//! turns into vector code, once for each instruction set; `pulp` picks at run time. No fused multiply-add is used, so all of
//! them give the same scores to the last bit, on every machine.

use super::folded::{Mean, Width};
use super::lanes::{CHUNK, Candidates, Chunk};
use pulp::{Arch, Simd, WithSimd};

/// Scores candidates with the widest vectors that this machine has.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kernel {
    arch: Arch,
}

impl Kernel {
    /// The mean of each candidate. Returns the first place with the highest score.
    #[inline]
    pub fn means(self, mean: &Mean, candidates: &impl Candidates, scores: &mut [Chunk]) -> usize {
        let mean = *mean;
        self.run(candidates, scores, move |[o, a, p]| mean.at(o, a, p))
    }

    /// mean + α·√(width) of each candidate. Returns the first place with the highest score.
    #[inline]
    pub fn upper_bounds(self, mean: &Mean, width: &Width, alpha: f64, candidates: &impl Candidates, scores: &mut [Chunk]) -> usize {
        let (mean, width) = (*mean, *width);
        // Rounding can push a width that is zero in exact arithmetic a hair below it.
        self.run(candidates, scores, move |[o, a, p]| mean.at(o, a, p) + alpha * width.at(o, a, p).max(0.0).sqrt())
    }

    #[inline]
    fn run(self, candidates: &impl Candidates, scores: &mut [Chunk], score: impl Fn([f64; 3]) -> f64) -> usize {
        self.arch.dispatch(Run { candidates, scores, score })
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

struct Run<'a, C, F> {
    candidates: &'a C,
    scores: &'a mut [Chunk],
    score: F,
}

impl<C: Candidates, F: Fn([f64; 3]) -> f64> WithSimd for Run<'_, C, F> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> usize {
        let Self { candidates, scores, score } = self;
        candidates.score_each(scores, score);
        let used = candidates.len() % CHUNK;
        if let (1.., Some(last)) = (used, scores.last_mut()) {
            *last = std::array::from_fn(|i| if i < used { last[i] } else { f64::NEG_INFINITY });
        }
        let higher = |best: f64, score: f64| if score > best { score } else { best };
        // Running maxima side by side, so that they do not wait for each other.
        let mut best = [f64::NEG_INFINITY; CHUNK];
        for chunk in &*scores {
            for (best, &score) in best.iter_mut().zip(chunk) {
                *best = higher(*best, score);
            }
        }
        let best = best.into_iter().fold(f64::NEG_INFINITY, higher);
        let holds = |chunk: &Chunk| chunk.iter().fold(false, |found, &score| found | (score >= best));
        let chunk = scores.iter().position(holds).unwrap_or(0);
        chunk * CHUNK + scores[chunk].iter().position(|&score| score >= best).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::TaskFeatures;
    use crate::policy::{Lanes, NormalisedLanes};
    use crate::rng::Chance;
    use std::cell::Cell;

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let chance = Chance::seeded(3);
        let mut number = || chance.draw().below(1 << 20) as f64 / f64::from(1 << 20);
        for n in [1, 7, 8, 9, 64, 1001] {
            let stride = n.next_multiple_of(CHUNK);
            let mut block: Vec<f64> = (0..3 * stride).map(|_| number()).collect();
            // What the padding holds must not matter.
            for lane in 0..3 {
                block[lane * stride + n..(lane + 1) * stride].fill(f64::MAX);
            }
            let lanes = [0, 1, 2].map(|k| block[k * stride..][..n].to_vec());
            let mut three = || [number(), number(), number()];
            let mean = Mean { constant: 0.1, slope: three() };
            let width = Width { constant: 0.3, slope: three(), square: three(), cross: three() };
            let plain: Vec<f64> = (0..n)
                .map(|i| {
                    let (o, a) = (lanes[0][i], TaskFeatures::age(lanes[1][i]));
                    let p = TaskFeatures::level(lanes[2][i]);
                    mean.at(o, a, p) + width.at(o, a, p).max(0.0).sqrt()
                })
                .collect();
            let first = plain.iter().position(|&s| s == plain.iter().copied().fold(f64::NEG_INFINITY, f64::max));
            let raw = Lanes::new(Cell::from_mut(&mut block[..]).as_slice_of_cells(), n).unwrap();
            let mut scores = vec![[0.0; CHUNK]; stride / CHUNK];
            let kernel = Kernel::default();
            assert_eq!(Some(kernel.upper_bounds(&mean, &width, 1.0, &raw, &mut scores)), first);
            assert_eq!(scores.as_flattened()[..n], plain);
            let prepared = NormalisedLanes::new(&raw);
            assert_eq!(Some(kernel.upper_bounds(&mean, &width, 1.0, &prepared, &mut scores)), first);
            assert_eq!(scores.as_flattened()[..n], plain);
        }
    }
}
