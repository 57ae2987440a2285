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

/// Hands out one independent [`Draw`] a pull.
#[derive(Debug)]
pub struct Chance {
    state: AtomicU64,
}

impl Chance {
    /// The same seed gives the same draws in the same order.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self { state: AtomicU64::new(mix(seed.wrapping_add(GAMMA))) }
    }

    /// A seed that nobody can guess or repeat, from the operating system by way of the standard library's hash keys.
    #[must_use]
    pub fn unrepeatable_seed() -> u64 {
        use std::hash::{BuildHasher, RandomState};
        RandomState::new().hash_one(std::process::id())
    }

    /// The next pull's draw.
    pub fn draw(&self) -> Draw {
        Draw(mix(self.state.fetch_add(GAMMA, Ordering::Relaxed)))
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
