//! The only door to chance: a counter-based generator, so that a pull's randomness is one number that can be written down
//! and replayed, and threads that share an engine need no lock for it.

use std::sync::atomic::{AtomicU64, Ordering};

/// The increment of `SplitMix64`: 2^64 divided by the golden ratio, made odd.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// One output of `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014), as in the
/// public-domain reference by Vigna.
const fn mix(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Hands out one independent [`Draw`] a pull. A draw is a function of the seed, the number of the opening (the epoch of an engine on
/// its directory) and how many draws came before in it: so where state goes on, chance does, and nothing is drawn twice.
#[derive(Debug)]
pub struct Chance {
    opening: u32,
    /// What `SplitMix64`, seeded with the seed, gives out as number `opening`.
    start: u64,
    next: AtomicU64,
}

impl Chance {
    /// The draws of one opening, from its first one on.
    #[must_use]
    pub const fn of_opening(seed: u64, opening: u32) -> Self {
        let start = mix(seed.wrapping_add(GAMMA.wrapping_mul(opening as u64)));
        Self { opening, start, next: AtomicU64::new(0) }
    }

    /// The same seed gives the same draws in the same order, where there are no openings.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self::of_opening(seed, 1)
    }

    /// A seed that nobody can guess or repeat, from the operating system by way of the standard library's hash keys.
    #[must_use]
    pub fn unrepeatable_seed() -> u64 {
        use std::hash::{BuildHasher, RandomState};
        RandomState::new().hash_one(std::process::id())
    }

    /// The next pull's draw.
    #[inline]
    pub fn draw(&self) -> Draw {
        self.numbered_draw().1
    }

    /// The same, with the opening and which of its draws this is, from 0.
    #[inline]
    pub fn numbered_draw(&self) -> ((u32, u64), Draw) {
        let k = self.next.fetch_add(1, Ordering::Relaxed);
        ((self.opening, k), Draw(mix(self.start.wrapping_add(GAMMA.wrapping_mul(k)))))
    }
}

/// From 0 to 1, for waits that must not be the same everywhere; nothing that is replayed depends on it.
#[must_use]
pub fn jitter() -> f64 {
    Chance::seeded(Chance::unrepeatable_seed()).draw().fraction()
}

/// The randomness of one pull.
#[derive(Debug, Clone, Copy)]
pub struct Draw(u64);

impl Draw {
    /// The draw with this number, to see again what it did.
    #[must_use]
    pub const fn numbered(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Another draw that follows from this one, independent of it; each `k` gives its own.
    #[must_use]
    pub const fn part(self, k: u64) -> Self {
        Self(mix(self.0.wrapping_add(GAMMA.wrapping_mul(k.wrapping_add(2)))))
    }

    /// True with probability `p`, to 53 bits.
    #[must_use]
    pub fn happens(self, p: f64) -> bool {
        self.fraction() < p
    }

    #[allow(clippy::cast_precision_loss)] // 53 bits are what a double holds
    fn fraction(self) -> f64 {
        ((self.0 >> 11) as f64) * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform over 0 to `n` − 1, independent of [`Draw::happens`]. The bias is below n / 2^64.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // the high word of a product with n is below n
    pub fn below(self, n: usize) -> usize {
        let word = mix(self.0.wrapping_add(GAMMA));
        ((u128::from(word) * n as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mix_is_splitmix64() {
        // First outputs for seed 1234567, as listed at rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64.
        let expected: [u64; 3] = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        for (i, want) in (1u64..).zip(expected) {
            assert_eq!(mix(1_234_567u64.wrapping_add(GAMMA.wrapping_mul(i))), want);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_draws() {
        let (a, b) = (Chance::seeded(7), Chance::seeded(7));
        for _ in 0..100 {
            assert_eq!(a.draw().below(1000), b.draw().below(1000));
        }
    }

    #[test]
    fn no_opening_draws_what_another_one_drew() {
        let mut seen = std::collections::HashSet::new();
        for (seed, opening) in [0, 1, 7, !7].into_iter().flat_map(|seed| (1..=500).map(move |opening| (seed, opening))) {
            let chance = Chance::of_opening(seed, opening);
            assert!((0..20).all(|_| seen.insert(chance.draw().number())), "{seed} {opening}");
        }
        // The first opening's are those of releases in which there were no others.
        assert_eq!(Chance::seeded(7).draw().number(), 0x74b5_abcc_66b8_bdc1);
    }

    /// One draw an opening, as of a process that decides once and ends.
    #[test]
    fn first_draws_of_openings_are_independent_and_uniform() {
        const OPENINGS: u32 = 200_000;
        let (mut explored, mut of) = (0u32, [0u32; 10]);
        for opening in 1..=OPENINGS {
            let draw = Chance::of_opening(7, opening).draw();
            explored += u32::from(draw.happens(0.1));
            of[draw.below(10)] += 1;
        }
        // 5 standard deviations of Binomial(200000, 0.1), and the 99.9 % point of χ² with 9 degrees of freedom.
        assert!(explored.abs_diff(OPENINGS / 10) < 675, "{explored}");
        let expected = f64::from(OPENINGS) / 10.0;
        let chi2: f64 = of.iter().map(|&c| (f64::from(c) - expected).powi(2) / expected).sum();
        assert!(chi2 < 27.9, "{chi2}");
    }

    #[test]
    fn exploration_and_choice_are_independent_and_uniform() {
        const N: usize = 10;
        const DRAWS: usize = 200_000;
        let chance = Chance::seeded(42);
        let (mut explored, mut of) = (0usize, [0usize; N]);
        for _ in 0..DRAWS {
            let draw = chance.draw();
            if draw.happens(0.1) {
                explored += 1;
                of[draw.below(N)] += 1;
            }
        }
        // 5 standard deviations of Binomial(200000, 0.1).
        assert!(explored.abs_diff(DRAWS / 10) < 675, "{explored}");
        // Chi-squared with 9 degrees of freedom: 27.9 is its 99.9 % point.
        let expected = explored as f64 / N as f64;
        let chi2: f64 = of.iter().map(|&c| (c as f64 - expected).powi(2) / expected).sum();
        assert!(chi2 < 27.9, "{chi2}");
    }
}
