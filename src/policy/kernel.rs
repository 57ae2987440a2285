//! The scoring loop: candidates in, a score for each and the first of the best out. The loops are plain Rust that the compiler
//! turns into vector code, once for each instruction set; `pulp` picks at run time. No fused multiply-add is used, so all of
//! them give the same scores to the last bit, on every machine.

use super::folded::{Mean, Width};
use super::lanes::{CHUNK, Candidates};
#[cfg(target_arch = "x86_64")]
use pulp::x86::V3;
use pulp::{Arch, Scalar, Simd, WithSimd};

/// From so many candidates on, the widest vectors pay. Below, vectors of four are as fast alone and faster among other work: between
/// JavaScript calls, 512-bit vectors cost more than they save (`npm run bench`).
const WIDE: usize = 256;
/// Up to so many candidates are scored as they are, without the padding, which would be a third of the work.
const FEW: usize = 16;

/// Scores candidates with the widest vectors that this machine has.
#[derive(Debug, Clone, Copy)]
pub struct Kernel {
    arch: Arch,
    /// Vectors of four, where this machine has them.
    #[cfg(target_arch = "x86_64")]
    four: Option<V3>,
}

impl Default for Kernel {
    fn default() -> Self {
        Self {
            arch: Arch::new(),
            #[cfg(target_arch = "x86_64")]
            four: V3::try_new(),
        }
    }
}

impl Kernel {
    /// The mean of each candidate. Returns the first place with the highest score.
    #[inline]
    pub fn means(self, mean: &Mean, candidates: &impl Candidates, scores: &mut [f64]) -> usize {
        let mean = *mean;
        self.run(candidates, scores, move |[o, a, p]| mean.at(o, a, p))
    }

    /// mean + α·√(width) of each candidate. Returns the first place with the highest score.
    #[inline]
    pub fn upper_bounds(self, mean: &Mean, width: &Width, alpha: f64, candidates: &impl Candidates, scores: &mut [f64]) -> usize {
        let (mean, width) = (*mean, *width);
        // Rounding can push a width that is zero in exact arithmetic a hair below it.
        self.run(candidates, scores, move |[o, a, p]| mean.at(o, a, p) + alpha * width.at(o, a, p).max(0.0).sqrt())
    }

    #[inline]
    fn run(self, candidates: &impl Candidates, scores: &mut [f64], score: impl Fn([f64; 3]) -> f64) -> usize {
        let n = candidates.len();
        if n <= FEW {
            let scores = &mut scores[..n];
            candidates.score_each(scores, score);
            let first = (0, f64::NEG_INFINITY);
            return scores.iter().enumerate().fold(first, |best, (i, &score)| if score > best.1 { (i, score) } else { best }).0;
        }
        let run = Run { candidates, scores, score };
        if run.scores.len() >= WIDE { self.arch.dispatch(run) } else { self.run_some(run) }
    }

    /// With vectors of four; of two, which every processor has, where there are none.
    #[inline]
    #[cfg_attr(not(target_arch = "x86_64"), allow(clippy::unused_self))] // only there is there a choice
    fn run_some(self, run: impl WithSimd<Output = usize>) -> usize {
        #[cfg(target_arch = "x86_64")]
        if let Some(four) = self.four {
            return Simd::vectorize(four, run);
        }
        run.with_simd(Scalar)
    }
}

impl Mean {
    #[inline(always)]
    #[allow(clippy::inline_always)] // part of the loop that becomes vector code
    fn at(&self, overdue: f64, age: f64, priority: f64) -> f64 {
        self.constant + self.slope[0] * overdue + self.slope[1] * age + self.slope[2] * priority
    }
}

impl Width {
    #[inline(always)]
    #[allow(clippy::inline_always)] // part of the loop that becomes vector code
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
    scores: &'a mut [f64],
    score: F,
}

impl<C: Candidates, F: Fn([f64; 3]) -> f64> WithSimd for Run<'_, C, F> {
    type Output = usize;

    #[inline(always)]
    #[allow(clippy::inline_always)] // part of the loop that becomes vector code
    fn with_simd<S: Simd>(self, _simd: S) -> usize {
        let Self { candidates, scores, score } = self;
        candidates.score_each(scores, score);
        scores[candidates.len()..].fill(f64::NEG_INFINITY);
        let higher = |best: f64, score: f64| if score > best { score } else { best };
        let chunks = scores.as_chunks::<CHUNK>().0;
        // Running maxima side by side, so that they do not wait for each other.
        let mut best = [f64::NEG_INFINITY; CHUNK];
        for chunk in chunks {
            for (best, &score) in best.iter_mut().zip(chunk) {
                *best = higher(*best, score);
            }
        }
        let best = best.into_iter().fold(f64::NEG_INFINITY, higher);
        // All of a chunk is looked at before deciding: that is one comparison of vectors, not eight branches.
        let holds = |chunk: &[f64; CHUNK]| chunk.iter().map(|&score| usize::from(score >= best)).sum::<usize>() > 0;
        let chunk = chunks.iter().position(holds).unwrap_or(0);
        chunk * CHUNK + chunks[chunk].iter().position(|&score| score >= best).unwrap_or(0)
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
        let number = || chance.draw().below(1 << 20) as f64 / f64::from(1 << 20);
        for n in [1usize, 7, 8, 9, 64, 255, 256, 257, 1001] {
            let stride = n.next_multiple_of(CHUNK);
            let mut block: Vec<f64> = (0..3 * stride).map(|_| number()).collect();
            // What the padding holds must not matter.
            for lane in 0..3 {
                block[lane * stride + n..(lane + 1) * stride].fill(f64::MAX);
            }
            let lanes = [0, 1, 2].map(|k| block[k * stride..][..n].to_vec());
            let three = || [number(), number(), number()];
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
            let mut scores = vec![0.0; stride];
            let kernel = Kernel::default();
            assert_eq!(Some(kernel.upper_bounds(&mean, &width, 1.0, &raw, &mut scores)), first);
            assert_eq!(scores[..n], plain);
            let prepared = NormalisedLanes::new(&raw);
            assert_eq!(Some(kernel.upper_bounds(&mean, &width, 1.0, &prepared, &mut scores)), first);
            assert_eq!(scores[..n], plain);
        }
    }
}
