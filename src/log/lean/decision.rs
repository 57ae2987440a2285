//! The few things that most questions need of a decision or of feedback, read without making lists of all candidates.

use super::fields::{count, fields, items, name, number, text, whole};
use super::line::Line;
use crate::log::seq::Seq;
use crate::policy::PolicyName;
use std::borrow::Cow;

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
pub fn policy(value: &str) -> Option<PolicyName> {
    let name = name(value)?;
    PolicyName::ALL.into_iter().find(|policy| policy.as_str() == name)
}

fn flag(value: &str) -> Option<bool> {
    match value {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// The parts of an object, by the places of their keys in `keys`; empty for what is not there.
fn parts<'a, const N: usize>(object: &'a str, keys: [&str; N]) -> [&'a str; N] {
    let mut parts = [""; N];
    for (key, value) in fields(object) {
        if let Some(place) = keys.iter().position(|known| *known == key) {
            parts[place] = value;
        }
    }
    parts
}

/// A value that may be `null`.
#[allow(clippy::option_option)] // nothing is not the same as nonsense
fn optional<'a, T>(value: &'a str, read: impl Fn(&'a str) -> Option<T>) -> Option<Option<T>> {
    if value == "null" { Some(None) } else { read(value).map(Some) }
}

fn nth(array: &str, place: usize) -> Option<f64> {
    items(array).nth(place).and_then(number)
}

impl<'a> LeanDecision<'a> {
    /// Reads a line of kind `decision`; `None` where it makes no sense.
    pub fn read(line: &Line<'a>) -> Option<Self> {
        let keys = ["policy", "index", "heldOut", "promptVersions", "masked", "probabilities", "choices"];
        let [shown_by, index, held_out, versions, masked, probabilities, choices] = parts(line.text, keys);
        let index: usize = whole(index)?;
        let mut evaluated = [Evaluated::default(); 3];
        for choice in items(choices) {
            let [name, own, probabilities] = parts(choice, ["policy", "index", "probabilities"]);
            let agrees = whole::<usize>(own)? == index;
            evaluated[policy(name)? as usize] = Evaluated { was_asked: true, agrees, probability: nth(probabilities, index)? };
        }
        Some(Self {
            policy: policy(shown_by)?,
            held_out: if held_out.is_empty() { false } else { flag(held_out)? },
            prompt_version: optional(items(versions).nth(index).unwrap_or("null"), text)?,
            probability: nth(probabilities, index)?,
            eligible: count(probabilities).saturating_sub(count(masked)),
            evaluated,
        })
    }

    /// The policy whose choice is shown.
    #[must_use]
    pub fn policy(line: &Line<'_>) -> Option<PolicyName> {
        fields(line.text).find(|(key, _)| *key == "policy").and_then(|(_, value)| policy(value))
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
        let [decision, action, reward, at] = parts(line.text, ["decision", "action", "reward", "at"]);
        let (epoch, n) = decision.strip_prefix('[')?.strip_suffix(']')?.split_once(',')?;
        let decision = Seq { epoch: whole(epoch)?, n: whole(n)? };
        Some(Self { decision, action: optional(action, text)?, reward: number(reward)?, at: whole(at)? })
    }
}
