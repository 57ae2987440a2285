//! Lines of decisions, of what people did with them, and of what operators changed about policies.

use super::line::{Inputs, LineWriter, first, put, put_hex};
use super::seq::Seq;
use crate::feature::{Moment, Profile};
use crate::policy::{Assignment, Candidates, Lanes, PolicyName};

/// A decision: everything that it was made from and everything that was computed.
#[derive(Debug, Clone, Copy)]
pub struct DecisionLine<'a> {
    /// Whose.
    pub user_id: &'a str,
    /// The context.
    pub moment: Moment,
    /// The user's profile, where one was given.
    pub profile: Option<Profile>,
    /// When it was computed.
    pub computed_at: Option<&'a str>,
    /// The candidates' ids.
    pub ids: &'a [&'a str],
    /// Their prompt versions, a JSON array, where one has one.
    pub prompt_versions: Option<&'a str>,
    /// Their features.
    pub lanes: Lanes<'a>,
    /// Which of them could not be chosen, a JSON array of places, where there were some.
    pub masked: Option<&'a str>,
    /// The policy whose choice is shown.
    pub policy: PolicyName,
    /// Why it is that one.
    pub assigned: Assignment,
    /// The place of what is shown.
    pub index: usize,
    /// The share of decisions that show a uniformly random tip, where there is one, and whether this is one of them.
    pub holdout: Option<(f64, bool)>,
    /// The probability with which each candidate is shown.
    pub probabilities: &'a [f64],
    /// What each policy would have chosen; the first is `policy`.
    pub choices: &'a [ChoiceLine<'a>],
    /// How many pulls of the user came before.
    pub ordinal: u32,
    /// What all that chance did follows from.
    pub draw: u64,
    /// The opening that it was drawn in, and how many draws came before in it.
    pub drawn: (u32, u64),
    /// How long deciding took up to this line, in microseconds, where that was measured.
    pub latency_us: Option<f64>,
}

/// What one policy chose.
#[derive(Debug, Clone, Copy)]
pub struct ChoiceLine<'a> {
    /// Which policy.
    pub policy: PolicyName,
    /// The place of its choice.
    pub index: usize,
    /// Its score.
    pub score: f64,
    /// It was drawn uniformly.
    pub exploring: bool,
    /// The probability with which it chooses each candidate.
    pub probabilities: &'a [f64],
    /// The policy knew nothing of the user before.
    pub first: bool,
}

/// What a person did with a tip.
#[derive(Debug, Clone, Copy)]
pub struct FeedbackLine<'a> {
    /// Whose.
    pub user_id: &'a str,
    /// The number of the decision's line.
    pub decision: Seq,
    /// What was shown.
    pub tip_id: &'a str,
    /// What was done, where it has a name.
    pub action: Option<&'a str>,
    /// What that is worth.
    pub reward: f64,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// What is learned from; its policy is the one whose choice was shown.
    pub inputs: Inputs<'a>,
    /// Which policies learn, and which of them knew nothing of the user before.
    pub policies: &'a [(PolicyName, bool)],
    /// It replaces an earlier one.
    pub revision: bool,
}

impl LineWriter {
    /// Appends a decision to `to`.
    pub fn decision(&mut self, to: &mut Vec<u8>, seq: Seq, ms: u64, line: &DecisionLine<'_>) {
        self.line(to, seq, ms, "decision", |to| {
            put(to, r#","userId":"#, line.user_id);
            put_name(to, r#","policy":""#, line.policy.as_str());
            put_name(to, r#","assigned":""#, line.assigned.as_str());
            put(to, r#","index":"#, &line.index);
            put(to, r#","ordinal":"#, &line.ordinal);
            to.extend_from_slice(br#","draw":""#);
            put_hex(to, line.draw, 16);
            to.push(b'"');
            put(to, r#","drawn":"#, &line.drawn);
            put(to, r#","hourOfDay":"#, &line.moment.hour);
            put(to, r#","dayOfWeek":"#, &line.moment.day);
            super::line::put_profile(to, line.profile.as_ref(), line.computed_at);
            ids(to, line.ids);
            let tasks = || (0..line.lanes.len()).map(|i| line.lanes.task(i));
            list(to, r#","isOverdue":"#, tasks().map(|task| task.is_overdue));
            numbers(to, r#","taskAgeDays":["#, tasks().map(|task| task.task_age_days));
            list(to, r#","priority":"#, tasks().map(|task| task.priority));
            if let Some(versions) = line.prompt_versions {
                to.extend_from_slice(br#","promptVersions":"#);
                to.extend_from_slice(versions.as_bytes());
            }
            if let Some(masked) = line.masked {
                to.extend_from_slice(br#","masked":"#);
                to.extend_from_slice(masked.as_bytes());
            }
            if let Some((share, is_held_out)) = line.holdout {
                put(to, r#","holdout":"#, &share);
                put(to, r#","heldOut":"#, &is_held_out);
            }
            numbers(to, PROBABILITIES, line.probabilities.iter().copied());
            to.extend_from_slice(br#","choices":["#);
            for (i, choice) in line.choices.iter().enumerate() {
                put_name(to, if i == 0 { r#"{"policy":""# } else { r#",{"policy":""# }, choice.policy.as_str());
                put(to, r#","index":"#, &choice.index);
                put(to, r#","score":"#, &choice.score);
                put(to, r#","exploring":"#, &choice.exploring);
                numbers(to, PROBABILITIES, choice.probabilities.iter().copied());
                first(to, choice.first);
                to.push(b'}');
            }
            to.push(b']');
            if let Some(us) = line.latency_us {
                put(to, r#","us":"#, &us);
            }
        });
    }

    /// Appends what a person did to `to`.
    pub fn feedback(&mut self, to: &mut Vec<u8>, seq: Seq, ms: u64, line: &FeedbackLine<'_>) {
        self.line(to, seq, ms, "feedback", |to| {
            put(to, r#","userId":"#, line.user_id);
            put(to, r#","decision":"#, &line.decision);
            put(to, r#","policy":"#, &line.inputs.policy);
            put(to, r#","tipId":"#, line.tip_id);
            put(to, r#","action":"#, &line.action);
            put(to, r#","reward":"#, &line.reward);
            put(to, r#","at":"#, &line.at);
            line.inputs.write(to);
            list(to, r#","policies":"#, line.policies.iter().map(|(policy, _)| policy));
            list(to, r#","firsts":"#, line.policies.iter().map(|(_, first)| first));
            put(to, r#","revision":"#, &line.revision);
        });
    }

    /// Appends what an operator changed to `to`; `change` is a JSON object's inside, beginning with a comma.
    pub fn policy(&mut self, to: &mut Vec<u8>, seq: Seq, ms: u64, change: &str) {
        self.line(to, seq, ms, "policy", |to| to.extend_from_slice(change.as_bytes()));
    }
}

fn list<T: serde::Serialize>(to: &mut Vec<u8>, key: &'static str, values: impl Iterator<Item = T>) {
    to.extend_from_slice(key.as_bytes());
    to.push(b'[');
    for (i, value) in values.enumerate() {
        put(to, if i == 0 { "" } else { "," }, &value);
    }
    to.push(b']');
}

const PROBABILITIES: &str = r#","probabilities":["#;

/// A number's text costs more than a copy of it, and most are one of the last two. Whole ones are quicker written as such.
fn numbers(to: &mut Vec<u8>, key: &'static str, values: impl Iterator<Item = f64>) {
    to.extend_from_slice(key.as_bytes());
    let mut written: [Option<(u64, std::ops::Range<usize>)>; 2] = [None, None];
    for (i, value) in values.enumerate() {
        if i > 0 {
            to.push(b',');
        }
        let bits = value.to_bits();
        if let Some((_, place)) = written.iter().flatten().find(|(of, _)| *of == bits) {
            to.extend_from_within(place.clone());
            continue;
        }
        let start = to.len();
        #[allow(clippy::cast_possible_truncation)] // tried, and left where it loses anything
        let whole = value as i32;
        if f64::from(whole).to_bits() == bits {
            put(to, "", &whole);
            to.extend_from_slice(b".0");
        } else {
            put(to, "", &value);
        }
        written.rotate_right(1);
        written[0] = Some((bits, start..to.len()));
    }
    to.push(b']');
}

/// A text of ours, in which there is nothing to escape.
fn put_name(to: &mut Vec<u8>, key_and_quote: &'static str, name: &'static str) {
    to.extend_from_slice(key_and_quote.as_bytes());
    to.extend_from_slice(name.as_bytes());
    to.push(b'"');
}

/// Almost no id has anything to escape, and to find that out for a whole id at once costs less than byte by byte.
fn ids(to: &mut Vec<u8>, ids: &[&str]) {
    to.extend_from_slice(br#","ids":["#);
    for (i, id) in ids.iter().enumerate() {
        if i > 0 {
            to.push(b',');
        }
        if id.bytes().map(|byte| u8::from(matches!(byte, 0..b' ' | b'"' | b'\\'))).fold(0, |found, is| found | is) != 0 {
            put(to, "", *id);
        } else {
            to.push(b'"');
            to.extend_from_slice(id.as_bytes());
            to.push(b'"');
        }
    }
    to.push(b']');
}
