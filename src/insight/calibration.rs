//! Whether what was chosen comes as often as the probabilities in the log say: the check on everything that is computed from them.

use crate::log::{RecordedChoice, RecordedDecision};
use crate::policy::PolicyName;
use serde::Serialize;

/// Below this variance counts are not nearly normal: one rare event more would be many standard deviations.
const LEAST_VARIANCE: f64 = 10.0;

/// How often something happened, and how often it should have.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Frequency {
    /// Decisions that can tell.
    pub decisions: u64,
    /// In so many of them it happened.
    pub observed: u64,
    /// The sum of its probabilities.
    pub expected: f64,
    /// The difference in standard deviations: beyond ±4, the probabilities are not what chance did. `None` where too little is left to
    /// chance (a variance under 10) for that to hold; where nothing is, observed and expected are equal.
    pub z: Option<f64>,
}

/// How well a policy's probabilities describe what it did.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Calibration {
    /// Which policy.
    pub policy: PolicyName,
    /// How often it chose what it holds most probable.
    pub greedy: Frequency,
    /// How often it drew uniformly; from decisions with a choice.
    pub exploring: Frequency,
}

/// What one policy did in one decision.
#[derive(Debug, Clone, Copy)]
pub struct Drawn {
    /// The highest of its probabilities.
    greedy: f64,
    /// It chose that.
    was_greedy: bool,
    /// The probability of a uniform draw; `None` where there was no choice, so that it does not show.
    epsilon: Option<f64>,
    /// It was one.
    exploring: bool,
}

impl Drawn {
    pub fn new(decision: &RecordedDecision<'_>, choice: &RecordedChoice) -> Self {
        let first = (0, f64::NEG_INFINITY);
        let highest = |best: (usize, f64), (i, &p): (usize, &f64)| if p > best.1 { (i, p) } else { best };
        let (place, greedy) = choice.probabilities.iter().enumerate().fold(first, highest);
        let eligible = decision.ids.len().saturating_sub(decision.masked.len());
        #[allow(clippy::cast_precision_loss)] // at most 100,000 candidates
        let n = eligible as f64;
        // The highest is 1 − ε + ε/n.
        let epsilon = (eligible > 1).then(|| ((1.0 - greedy) * n / (n - 1.0)).clamp(0.0, 1.0));
        Self { greedy, was_greedy: choice.index == place, epsilon, exploring: choice.exploring }
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Count {
    decisions: u64,
    observed: u64,
    expected: f64,
    variance: f64,
}

impl Count {
    pub fn push(&mut self, probability: f64, happened: bool) {
        self.decisions += 1;
        self.observed += u64::from(happened);
        self.expected += probability;
        self.variance += probability * (1.0 - probability);
    }

    #[allow(clippy::cast_precision_loss)] // counts are far below 2^53
    pub fn finish(self) -> Frequency {
        let Self { decisions, observed, expected, variance } = self;
        let z = (variance >= LEAST_VARIANCE).then(|| (observed as f64 - expected) / variance.sqrt());
        Frequency { decisions, observed, expected, z }
    }
}

/// Adds decisions up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Calibrations {
    policies: [(Count, Count); 3],
}

impl Calibrations {
    pub fn push(&mut self, drawn: &[Option<Drawn>; 3]) {
        for ((greedy, exploring), drawn) in self.policies.iter_mut().zip(drawn) {
            let Some(drawn) = drawn else { continue };
            greedy.push(drawn.greedy, drawn.was_greedy);
            if let Some(epsilon) = drawn.epsilon {
                exploring.push(epsilon, drawn.exploring);
            }
        }
    }

    /// Of the policies that were asked.
    pub fn finish(self) -> Vec<Calibration> {
        let of = PolicyName::ALL.into_iter().zip(self.policies).filter(|(_, (greedy, _))| greedy.decisions > 0);
        of.map(|(policy, (greedy, exploring))| Calibration { policy, greedy: greedy.finish(), exploring: exploring.finish() })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rare_event_or_two_have_no_z() {
        let mut count = Count::default();
        (0..1000).for_each(|i| count.push(0.001, i < 6));
        let Frequency { observed, z, .. } = count.finish();
        assert_eq!((observed, z), (6, None));
        (0..20_000).for_each(|i| count.push(0.001, i < 120));
        assert!(count.finish().z.unwrap() > 10.0);
        // What is certain and does not happen shows in the counts alone.
        let mut certain = Count::default();
        (0..100).for_each(|_| certain.push(1.0, false));
        assert_eq!(certain.finish(), Frequency { decisions: 100, observed: 0, expected: 100.0, z: None });
    }
}
