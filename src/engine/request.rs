//! What callers ask of the engine, checked and in numbers.

use crate::error::Error;
use crate::feature::{Moment, Profile, TaskFeatures};
use crate::policy::{Lanes, NormalisedLanes, PolicyName};

/// Choose among candidates; there is at least one.
#[derive(Debug, Clone, Copy)]
pub struct ScoreCall<'a> {
    /// Which policy.
    pub policy: PolicyName,
    /// The context.
    pub moment: Moment,
    /// The user's profile.
    pub profile: Profile,
    /// The candidates as given.
    pub lanes: Lanes<'a>,
    /// The same candidates normalised, where that was done before.
    pub normalised: Option<&'a NormalisedLanes>,
}

/// Learn from a reaction.
#[derive(Debug, Clone, Copy)]
pub struct RewardCall {
    /// Which policy.
    pub policy: PolicyName,
    /// When the tip was shown.
    pub moment: Moment,
    /// The user's profile then.
    pub profile: Profile,
    /// The tip's features then.
    pub task: TaskFeatures,
    /// Finite.
    pub reward: f64,
}

/// Why a call on a user was not carried out.
#[derive(Debug)]
pub enum Refused {
    /// The user left memory since it was looked up: look it up again.
    Retired,
    /// For good.
    Failed(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
