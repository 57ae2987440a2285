//! How lines of decisions and of feedback are read.

use super::event::{LineError, RawProfile, RawTask};
use super::seq::Seq;
use crate::feature::{Moment, Profile, TaskFeatures};
use crate::policy::PolicyName;
use serde::Deserialize;
use std::borrow::Cow;

/// A decision, as its line tells it.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // docs/interaction-log.md has each key
pub struct RecordedDecision<'a> {
    pub user_id: Cow<'a, str>,
    pub policy: PolicyName,
    pub assigned: Cow<'a, str>,
    pub index: usize,
    pub ordinal: u32,
    pub draw: u64,
    pub moment: Moment,
    pub profile: Option<Profile>,
    pub computed_at: Option<Cow<'a, str>>,
    pub ids: Vec<Cow<'a, str>>,
    pub tasks: Vec<TaskFeatures>,
    pub prompt_versions: Vec<Option<Cow<'a, str>>>,
    pub masked: Vec<usize>,
    pub holdout: Option<(f64, bool)>,
    pub probabilities: Vec<f64>,
    pub choices: Vec<RecordedChoice>,
    pub latency_us: Option<f64>,
}

/// What one policy chose.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // docs/interaction-log.md has each key
pub struct RecordedChoice {
    pub policy: PolicyName,
    pub index: usize,
    pub score: f64,
    pub exploring: bool,
    pub probabilities: Vec<f64>,
    pub first: bool,
}

/// What a person did with a tip, as its line tells it.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // docs/interaction-log.md has each key
pub struct RecordedFeedback<'a> {
    pub user_id: Cow<'a, str>,
    pub decision: Seq,
    pub policy: PolicyName,
    pub tip_id: Cow<'a, str>,
    pub action: Option<Cow<'a, str>>,
    pub reward: f64,
    pub at: u64,
    pub moment: Moment,
    pub task: TaskFeatures,
    pub profile: Option<Profile>,
    pub policies: Vec<(PolicyName, bool)>,
    pub revision: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDecision<'a> {
    #[serde(borrow)]
    user_id: Cow<'a, str>,
    policy: &'a str,
    #[serde(borrow)]
    assigned: Cow<'a, str>,
    index: usize,
    ordinal: u32,
    draw: &'a str,
    hour_of_day: u8,
    day_of_week: u8,
    #[serde(borrow)]
    profile_features: Option<RawProfile<'a>>,
    #[serde(borrow)]
    ids: Vec<Text<'a>>,
    is_overdue: Vec<bool>,
    task_age_days: Vec<f64>,
    priority: Vec<u8>,
    #[serde(borrow, default)]
    prompt_versions: Vec<Option<Text<'a>>>,
    #[serde(default)]
    masked: Vec<usize>,
    #[serde(default)]
    holdout: Option<f64>,
    #[serde(default)]
    held_out: bool,
    probabilities: Vec<f64>,
    #[serde(borrow)]
    choices: Vec<RawChoice<'a>>,
    #[serde(default)]
    us: Option<f64>,
}

/// A text within a list, borrowed where it has no escapes (serde borrows a bare `Cow` only as a field).
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawChoice<'a> {
    policy: &'a str,
    index: usize,
    score: f64,
    exploring: bool,
    probabilities: Vec<f64>,
    #[serde(default)]
    first: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawFeedback<'a> {
    #[serde(borrow)]
    user_id: Cow<'a, str>,
    decision: Seq,
    policy: &'a str,
    #[serde(borrow)]
    tip_id: Cow<'a, str>,
    #[serde(borrow)]
    action: Option<Cow<'a, str>>,
    reward: f64,
    at: u64,
    hour_of_day: u8,
    day_of_week: u8,
    features: RawTask,
    #[serde(borrow)]
    profile_features: Option<RawProfile<'a>>,
    policies: Vec<&'a str>,
    firsts: Vec<bool>,
    revision: bool,
}

#[allow(clippy::needless_pass_by_value)] // for map_err
fn malformed(problem: impl ToString) -> LineError {
    LineError::Malformed(problem.to_string())
}

fn policy(name: &str) -> Result<PolicyName, LineError> {
    PolicyName::parse("policy", name).map_err(|e| malformed(e.message()))
}

/// Reads a line of kind `decision`.
#[inline(never)] // large, and read from two places
pub fn read_decision(line: &[u8]) -> Result<RecordedDecision<'_>, LineError> {
    let raw: RawDecision<'_> = serde_json::from_slice(line).map_err(malformed)?;
    let n = raw.ids.len();
    let is_list = |length: usize| length == n;
    let fits =
        [raw.is_overdue.len(), raw.task_age_days.len(), raw.priority.len(), raw.probabilities.len()].into_iter().all(is_list)
            && raw.choices.iter().all(|choice| is_list(choice.probabilities.len()) && choice.index < n)
            && raw.index < n;
    if !fits {
        return Err(malformed("lists of different lengths"));
    }
    let numbers = raw.is_overdue.iter().zip(&raw.task_age_days).zip(&raw.priority);
    let tasks = numbers.map(|((&is_overdue, &task_age_days), &priority)| TaskFeatures { is_overdue, task_age_days, priority });
    let choices = raw.choices.into_iter().map(|choice| {
        let RawChoice { policy: name, index, score, exploring, probabilities, first } = choice;
        Ok(RecordedChoice { policy: policy(name)?, index, score, exploring, probabilities, first })
    });
    let (profile, computed_at) = raw.profile_features.map_or((None, None), |p| (Some(p.profile()), p.computed_at));
    Ok(RecordedDecision {
        user_id: raw.user_id,
        policy: policy(raw.policy)?,
        assigned: raw.assigned,
        index: raw.index,
        ordinal: raw.ordinal,
        draw: u64::from_str_radix(raw.draw, 16).map_err(malformed)?,
        moment: Moment { hour: raw.hour_of_day, day: raw.day_of_week },
        profile,
        computed_at,
        ids: raw.ids.into_iter().map(|id| id.0).collect(),
        tasks: tasks.collect(),
        prompt_versions: raw.prompt_versions.into_iter().map(|version| version.map(|text| text.0)).collect(),
        masked: raw.masked,
        holdout: raw.holdout.map(|share| (share, raw.held_out)),
        probabilities: raw.probabilities,
        choices: choices.collect::<Result<_, LineError>>()?,
        latency_us: raw.us,
    })
}

/// Reads a line of kind `feedback`.
#[inline(never)] // large, and read from two places
pub fn read_feedback(line: &[u8]) -> Result<RecordedFeedback<'_>, LineError> {
    let raw: RawFeedback<'_> = serde_json::from_slice(line).map_err(malformed)?;
    if raw.policies.len() != raw.firsts.len() {
        return Err(malformed("policies and firsts of different lengths"));
    }
    let policies = raw.policies.iter().zip(raw.firsts).map(|(name, first)| Ok((policy(name)?, first)));
    Ok(RecordedFeedback {
        user_id: raw.user_id,
        decision: raw.decision,
        policy: policy(raw.policy)?,
        tip_id: raw.tip_id,
        action: raw.action,
        reward: raw.reward,
        at: raw.at,
        moment: Moment { hour: raw.hour_of_day, day: raw.day_of_week },
        task: raw.features.task(),
        profile: raw.profile_features.map(|p| p.profile()),
        policies: policies.collect::<Result<_, LineError>>()?,
        revision: raw.revision,
    })
}
