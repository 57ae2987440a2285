//! The few things that most questions need of a decision or of feedback, read without making lists of all candidates.

use super::line::{Line, count, nth};
use crate::log::Seq;
use crate::policy::PolicyName;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDecision<'a> {
    policy: &'a str,
    index: usize,
    #[serde(default)]
    held_out: bool,
    #[serde(borrow, default)]
    prompt_versions: Option<&'a RawValue>,
    #[serde(borrow, default)]
    masked: Option<&'a RawValue>,
    #[serde(borrow)]
    probabilities: &'a RawValue,
    #[serde(borrow)]
    choices: Vec<RawChoice<'a>>,
}

#[derive(Deserialize)]
struct RawChoice<'a> {
    policy: &'a str,
    index: usize,
    #[serde(borrow)]
    probabilities: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawFeedback<'a> {
    decision: Seq,
    #[serde(borrow)]
    action: Option<Cow<'a, str>>,
    reward: f64,
    at: u64,
}

/// What a policy thought of what is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Evaluated {
    /// The policy was asked.
    pub was_asked: bool,
    /// Its own choice is what is shown.
    pub agrees: bool,
    /// With which probability it chooses what is shown.
    pub probability: f64,
}

/// A decision, as far as most questions need it.
#[derive(Debug, Clone)]
pub struct LeanDecision<'a> {
    /// The policy whose choice is shown, but for `held_out`.
    pub policy: PolicyName,
    /// A uniformly random tip is shown.
    pub held_out: bool,
    /// Which prompt wrote what is shown.
    pub prompt_version: Option<Cow<'a, str>>,
    /// With which probability it is shown.
    pub probability: f64,
    /// How many could be chosen.
    pub eligible: usize,
    /// What each policy thought of it, by the policy's number.
    pub evaluated: [Evaluated; 3],
}

/// A policy by its name.
fn policy(name: &str) -> Option<PolicyName> {
    PolicyName::ALL.into_iter().find(|policy| policy.as_str() == name)
}

impl<'a> LeanDecision<'a> {
    /// Reads a line of kind `decision`; `None` where it makes no sense.
    pub fn read(line: &Line<'a>) -> Option<Self> {
        let raw: RawDecision<'a> = line.content()?;
        let mut evaluated = [Evaluated::default(); 3];
        for choice in &raw.choices {
            evaluated[policy(choice.policy)? as usize] = Evaluated {
                was_asked: true,
                agrees: choice.index == raw.index,
                probability: nth(choice.probabilities.get(), raw.index)?,
            };
        }
        let candidates = count(raw.probabilities.get());
        Some(Self {
            policy: policy(raw.policy)?,
            held_out: raw.held_out,
            prompt_version: raw.prompt_versions.and_then(|versions| nth(versions.get(), raw.index)).flatten(),
            probability: nth(raw.probabilities.get(), raw.index)?,
            eligible: candidates.saturating_sub(raw.masked.map_or(0, |places| count(places.get()))),
            evaluated,
        })
    }
}

/// Feedback, as far as most questions need it.
#[derive(Debug, Clone)]
pub struct LeanFeedback<'a> {
    /// The decision's number.
    pub decision: Seq,
    /// What was done, where it has a name.
    pub action: Option<Cow<'a, str>>,
    /// What that is worth.
    pub reward: f64,
    /// When, in milliseconds since 1970.
    pub at: u64,
}

impl<'a> LeanFeedback<'a> {
    /// Reads a line of kind `feedback`; `None` where it makes no sense.
    pub fn read(line: &Line<'a>) -> Option<Self> {
        let RawFeedback { decision, action, reward, at } = line.content()?;
        Some(Self { decision, action, reward, at })
    }
}
