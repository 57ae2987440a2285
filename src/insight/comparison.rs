//! How policies compare: what each earned where its choice was shown, what it would have earned on the tips that were shown, and
//! how often, as a shadow, it chose the same.

use super::analytics::{Summary, Tally};
use super::estimate::{Estimate, Weighted, share};
use super::names::Names;
use crate::log::Evaluated;
use crate::policy::PolicyName;
use serde::Serialize;

/// From so near to 1 on, what is shown was certain, and nothing is learned about what was not.
const CERTAIN: f64 = 1.0 - 1e-9;

/// How often a shadow chose what is shown.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Agreement {
    /// Decisions that it was a shadow of.
    pub decisions: u64,
    /// Of these, with its own choice shown.
    pub agreed: u64,
    /// The one by the other.
    pub share: Option<f64>,
}

/// One policy beside the others.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyComparison {
    /// Which.
    pub policy: PolicyName,
    /// What came of its choices where they were shown; without what was shown as holdout.
    pub shown: Summary,
    /// Decisions that it was asked for, as the one to show or as a shadow.
    pub evaluated: u64,
    /// Its mean reward if its choices had been shown, by self-normalised importance weights (Swaminathan and Joachims 2015) from
    /// decisions with feedback; `None` where none can tell.
    pub estimate: Option<Estimate>,
    /// Decisions with feedback that cannot tell, because there was but one to choose, or because what was shown was certain and the
    /// policy is not the one that chose it. Estimates where this differs are about different decisions.
    pub without_overlap: u64,
    /// `None` where it was never a shadow.
    pub shadow: Option<Agreement>,
}

/// The part of a decision that policies are compared by.
#[derive(Debug, Clone, Copy)]
pub struct Compared {
    /// The policy whose choice is shown, but for `held_out`.
    pub policy: PolicyName,
    /// A uniformly random tip is shown.
    pub held_out: bool,
    /// With which probability it is shown.
    pub probability: f64,
    /// There was but one to choose.
    pub had_no_choice: bool,
    /// What each policy thought of it.
    pub evaluated: [Evaluated; 3],
}

#[derive(Debug, Default)]
struct Standing {
    shown: Tally,
    evaluated: u64,
    weighted: Weighted,
    without_overlap: u64,
    as_shadow: u64,
    agreed: u64,
}

/// Adds decisions up.
#[derive(Debug, Default)]
pub struct Comparison {
    policies: [Standing; 3],
}

impl Comparison {
    pub fn push(&mut self, decision: &Compared, feedback: Option<(f64, Option<u32>)>) {
        if !decision.held_out {
            self.policies[decision.policy as usize].shown.push(feedback);
        }
        for (policy, (standing, evaluated)) in PolicyName::ALL.into_iter().zip(self.policies.iter_mut().zip(&decision.evaluated)) {
            if !evaluated.was_asked {
                continue;
            }
            let is_shown = policy == decision.policy;
            standing.evaluated += 1;
            if !is_shown {
                standing.as_shadow += 1;
                standing.agreed += u64::from(evaluated.agrees);
            }
            let Some((reward, _)) = feedback else { continue };
            // Which decisions are left out must not follow from what the policy chose: else it would be judged by those where it
            // agrees. Where nobody had a choice, all earn the same.
            let has_overlap = !decision.had_no_choice && (decision.probability < CERTAIN || is_shown);
            if has_overlap && decision.probability > 0.0 {
                standing.weighted.push(evaluated.probability / decision.probability, reward);
            } else {
                standing.without_overlap += 1;
            }
        }
    }

    /// The policies that were asked at all.
    pub fn finish(self, names: &Names) -> Vec<PolicyComparison> {
        let asked = PolicyName::ALL.into_iter().zip(self.policies).filter(|(_, standing)| standing.evaluated > 0);
        asked
            .map(|(policy, standing)| PolicyComparison {
                policy,
                shown: standing.shown.finish(names),
                evaluated: standing.evaluated,
                estimate: standing.weighted.estimate(),
                without_overlap: standing.without_overlap,
                shadow: (standing.as_shadow > 0).then(|| Agreement {
                    decisions: standing.as_shadow,
                    agreed: standing.agreed,
                    share: share(standing.agreed, standing.as_shadow),
                }),
            })
            .collect()
    }
}
