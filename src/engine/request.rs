//! What callers ask of the engine, checked and in numbers.

use crate::error::Error;
use crate::feature::{Moment, Profile, TaskFeatures};
use crate::policy::{Choice, Lanes, NormalisedLanes, PolicyName};
use crate::state::Reaction;

/// Choose among candidates; there is at least one.
#[derive(Debug, Clone, Copy)]
pub struct ScoreCall<'a> {
    /// Which policy.
    pub policy: PolicyName,
    /// The context.
    pub moment: Moment,
    /// The user's profile, where one was given.
    pub profile: Option<Profile>,
    /// The candidates as given.
    pub lanes: Lanes<'a>,
    /// The same candidates normalised, where that was done before.
    pub normalised: Option<&'a NormalisedLanes>,
    /// Which can be chosen, where not all can; at least one can.
    pub eligible: Option<&'a [bool]>,
}

/// Remember what was chosen.
#[derive(Debug, Clone, Copy)]
pub struct PullCall {
    /// Which policy chose.
    pub policy: PolicyName,
    /// The context.
    pub moment: Moment,
    /// The user's profile, where one was given.
    pub profile: Option<Profile>,
    /// What [`Engine::choose`](super::Engine::choose) said.
    pub choice: Choice,
    /// The features of what was chosen.
    pub task: TaskFeatures,
    /// How many candidates there were.
    pub candidates: u32,
    /// How many of them could be chosen; 0: all.
    pub allowed: u32,
}

/// What is kept of a choice beside its numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Texts<'a> {
    /// The chosen candidate's id.
    pub tip_id: &'a str,
    /// The version of the prompt that wrote it; logged.
    pub prompt_version: Option<&'a str>,
    /// When the profile was computed, in the caller's words; logged.
    pub computed_at: Option<&'a str>,
}

/// Learn from a reaction.
#[derive(Debug, Clone, Copy)]
pub struct RewardCall<'a> {
    /// What to learn from.
    pub reaction: Reaction,
    /// The tip that was shown; logged.
    pub tip_id: &'a str,
    /// When the profile was computed, in the caller's words; logged.
    pub computed_at: Option<&'a str>,
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
