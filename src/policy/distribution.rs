//! With which probability a policy chooses each candidate, and what chance makes of it.

use super::choice::Eligible;
use crate::rng::Draw;

/// The share of uniform draws, and the one that is chosen otherwise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distribution<'m> {
    /// The best of the eligible ones.
    pub greedy: usize,
    /// The probability of a uniform draw.
    pub epsilon: f64,
    /// How many candidates there are.
    pub candidates: usize,
    /// Which can be chosen.
    pub eligible: Eligible<'m>,
}

impl Distribution<'_> {
    /// How many can be chosen.
    #[inline]
    #[must_use]
    pub fn eligible_count(&self) -> usize {
        self.eligible.map_or(self.candidates, |eligible| eligible.iter().filter(|eligible| **eligible).count())
    }

    #[inline]
    fn is_eligible(&self, i: usize) -> bool {
        self.eligible.is_none_or(|eligible| eligible.get(i) == Some(&true))
    }

    /// The probability of each, in order. They sum to 1; those that cannot be chosen have 0.
    pub fn probabilities(&self) -> impl Iterator<Item = f64> + '_ {
        self.mixed(0.0)
    }

    /// The probability of one.
    #[inline]
    #[must_use]
    pub fn probability(&self, i: usize) -> f64 {
        self.of(i, self.shares(0.0))
    }

    /// The probability of each where a share of the choices is drawn uniformly, whatever the policy would choose.
    pub fn mixed(&self, uniform_share: f64) -> impl Iterator<Item = f64> + '_ {
        let shares = self.shares(uniform_share);
        (0..self.candidates).map(move |i| self.of(i, shares))
    }

    /// The probabilities of the best one, and of each of the others that can be chosen.
    #[inline]
    #[allow(clippy::cast_precision_loss)] // at most 100,000 candidates
    fn shares(&self, uniform_share: f64) -> [f64; 2] {
        let eligible = self.eligible_count() as f64;
        let by_chance = self.epsilon / eligible;
        let own = [1.0 - self.epsilon + by_chance, by_chance];
        if uniform_share > 0.0 { own.map(|p| (1.0 - uniform_share) * p + uniform_share * (1.0 / eligible)) } else { own }
    }

    #[inline]
    fn of(&self, i: usize, [of_greedy, of_others]: [f64; 2]) -> f64 {
        match (self.is_eligible(i), i == self.greedy) {
            (true, true) => of_greedy,
            (true, false) => of_others,
            (false, _) => 0.0,
        }
    }

    /// What is chosen, and whether by chance.
    #[inline]
    #[must_use]
    pub fn choose(&self, draw: Draw) -> (usize, bool) {
        if !draw.happens(self.epsilon) {
            return (self.greedy, false);
        }
        (drawn(self.eligible, self.candidates, draw), true)
    }
}

/// One of the eligible ones, uniformly.
#[inline]
#[must_use]
pub fn drawn(eligible: Eligible<'_>, candidates: usize, draw: Draw) -> usize {
    let Some(eligible) = eligible else { return draw.below(candidates) };
    let places = || eligible.iter().enumerate().filter(|(_, eligible)| **eligible).map(|(i, _)| i);
    places().nth(draw.below(places().count())).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::EPSILON;
    use crate::rng::Chance;

    #[test]
    fn probabilities_sum_to_one_and_are_what_is_drawn() {
        let masks: [Eligible<'_>; 3] = [None, Some(&[true, false, true, true, false]), Some(&[false, false, true, false, false])];
        for eligible in masks {
            let greedy = 2;
            let of = Distribution { greedy, epsilon: EPSILON, candidates: 5, eligible };
            let p: Vec<f64> = of.probabilities().collect();
            assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            let chance = Chance::seeded(3);
            let mut seen = [0f64; 5];
            const DRAWS: usize = 100_000;
            for _ in 0..DRAWS {
                seen[of.choose(chance.draw()).0] += 1.0;
            }
            let mut chi2 = 0.0;
            for (i, &p) in p.iter().enumerate() {
                if p == 0.0 {
                    assert_eq!((seen[i], eligible.map(|e| e[i])), (0.0, Some(false)));
                } else {
                    chi2 += (seen[i] - p * DRAWS as f64).powi(2) / (p * DRAWS as f64);
                }
            }
            assert!(chi2 < 18.5, "{chi2}"); // the 99.9 % point with 4 degrees of freedom
        }
    }
}
