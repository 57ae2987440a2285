//! How lines are read.

use super::decision_event::{RecordedDecision, RecordedFeedback, read_decision, read_feedback};
use super::line::{CRC_KEY, CRC_TAIL, VERSION};
use super::seq::Seq;
use crate::clock::parse_millis;
use crate::feature::{Moment, Profile, TaskFeatures};
use crate::policy::PolicyName;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What a line says.
#[derive(Debug)]
pub struct Recorded<'a> {
    /// Its number.
    pub seq: Seq,
    /// Its time, in milliseconds since 1970.
    pub ms: u64,
    /// What happened.
    pub event: Event<'a>,
}

/// What happened.
#[derive(Debug)]
#[allow(missing_docs)] // docs/interaction-log.md has each key
pub enum Event<'a> {
    Pull {
        user_id: Cow<'a, str>,
        tip_id: Cow<'a, str>,
        policy: PolicyName,
        moment: Moment,
        task: TaskFeatures,
        score: f64,
        exploring: bool,
        ordinal: u32,
        first: bool,
    },
    Reward {
        user_id: Cow<'a, str>,
        policy: PolicyName,
        moment: Moment,
        task: TaskFeatures,
        profile: Option<Profile>,
        reward: f64,
        first: bool,
    },
    Reset {
        user_id: Cow<'a, str>,
    },
    State {
        user_id: Cow<'a, str>,
        policy: PolicyName,
        state: &'a str,
    },
    Erase {
        user_id: Cow<'a, str>,
    },
    Dead {
        user_id: Option<Cow<'a, str>>,
    },
    Decision(Box<RecordedDecision<'a>>),
    Feedback(Box<RecordedFeedback<'a>>),
    Policy {
        user_id: Option<Cow<'a, str>>,
    },
    Mark {
        low_water: Seq,
        end: bool,
    },
    Segment {
        low_water: Seq,
        previous: Option<Seq>,
        previous_bytes: Option<u64>,
        rewritten: bool,
    },
    Off,
    Gap {
        dropped_pulls: u64,
    },
}

impl Event<'_> {
    /// Whether it tells about the log itself, not about a user or what was dropped.
    #[must_use]
    pub const fn is_about_log(&self) -> bool {
        matches!(self, Self::Segment { .. } | Self::Mark { .. } | Self::Off)
    }
}

/// No release writes a later version: a line that says so is damaged, and keeps nobody out.
const LAST_VERSION: u32 = 1000;

impl Recorded<'_> {
    /// Whether its numbers can be those of a log whose newest epoch is this one: what a line says of others lies before it.
    #[must_use]
    pub fn is_possible(&self, newest: u32) -> bool {
        let names_earlier = match &self.event {
            Event::Mark { low_water, .. } | Event::Segment { low_water, .. } => *low_water < self.seq,
            Event::Feedback(feedback) => feedback.decision < self.seq,
            _ => true,
        };
        self.seq.is_possible() && self.seq.epoch <= newest && names_earlier
    }
}

/// Why an intact line cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineError {
    /// It was written by a later release: nothing can be said about what it means.
    LaterVersion(u32),
    /// Its checksum is right and its content is not: a defect of whoever wrote it.
    Malformed(String),
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_excessive_bools)] // the keys of lines of all kinds
struct Raw<'a> {
    seq: Seq,
    ts: &'a str,
    kind: &'a str,
    #[serde(borrow, default)]
    user_id: Option<Cow<'a, str>>,
    #[serde(default)]
    policy: Option<&'a str>,
    #[serde(borrow, default)]
    tip_id: Option<Cow<'a, str>>,
    #[serde(default)]
    score: f64,
    #[serde(default)]
    exploring: bool,
    #[serde(default)]
    reward: Option<f64>,
    #[serde(default)]
    hour_of_day: u8,
    #[serde(default)]
    day_of_week: u8,
    #[serde(default)]
    features: Option<RawTask>,
    #[serde(borrow, default)]
    profile_features: Option<RawProfile<'a>>,
    #[serde(default)]
    ordinal: u32,
    #[serde(default)]
    first: bool,
    #[serde(borrow, default)]
    state: Option<&'a RawValue>,
    #[serde(default)]
    low_water: Option<Seq>,
    #[serde(default)]
    end: bool,
    #[serde(default)]
    previous: Option<Seq>,
    #[serde(default)]
    previous_bytes: Option<u64>,
    #[serde(default)]
    rewritten: bool,
    #[serde(default)]
    dropped_pulls: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawTask {
    is_overdue: bool,
    task_age_days: f64,
    priority: u8,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawProfile<'a> {
    #[serde(rename = "completionRate30d")]
    completion_rate: Option<f64>,
    #[serde(rename = "dismissRate30d")]
    dismiss_rate: Option<f64>,
    #[serde(rename = "meanDwellMs30d")]
    mean_dwell_ms: Option<f64>,
    preferred_hour: Option<f64>,
    #[serde(rename = "tipVolume30d")]
    tip_volume: Option<f64>,
    #[serde(borrow)]
    pub(super) computed_at: Option<Cow<'a, str>>,
}

impl RawTask {
    pub(super) const fn task(&self) -> TaskFeatures {
        let Self { is_overdue, task_age_days, priority } = *self;
        TaskFeatures { is_overdue, task_age_days, priority }
    }
}

impl RawProfile<'_> {
    pub(super) const fn profile(&self) -> Profile {
        Profile {
            completion_rate: self.completion_rate,
            dismiss_rate: self.dismiss_rate,
            mean_dwell_ms: self.mean_dwell_ms,
            preferred_hour: self.preferred_hour,
            tip_volume: self.tip_volume,
        }
    }
}

/// Whether a line, without its newline, ends in a checksum that is right.
pub(super) fn is_intact(line: &[u8]) -> bool {
    let Some(at) = line.len().checked_sub(CRC_TAIL + CRC_KEY.len()) else { return false };
    let (content, tail) = line.split_at(at);
    let Some(digits) = tail.strip_prefix(CRC_KEY).and_then(|rest| rest.strip_suffix(b"\"}")) else { return false };
    let digits = std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
    digits.and_then(|d| u32::from_str_radix(d, 16).ok()).is_some_and(|crc| crc == crc32fast::hash(content))
}

/// Number, time and kind of a line as `LineWriter` writes it. Nothing says that keys come in this order: `None` where they do not.
#[must_use]
pub fn written_head(line: &[u8]) -> Option<(Seq, &str, &str)> {
    let until = |bytes: &'_ [u8], end: u8| bytes.iter().take(64).position(|&b| b == end);
    let rest = line.strip_prefix(b"{\"v\":1,\"seq\":[")?;
    let (epoch, rest) = rest.split_at(until(rest, b',')?);
    let (n, rest) = rest[1..].split_at(until(&rest[1..], b']')?);
    let rest = rest.strip_prefix(b"],\"ts\":\"")?;
    let (ts, rest) = rest.split_at(until(rest, b'"')?);
    let rest = rest.strip_prefix(b"\",\"kind\":\"")?;
    let kind = &rest[..until(rest, b'"')?];
    let text = |bytes| std::str::from_utf8(bytes).ok();
    Some((Seq { epoch: text(epoch)?.parse().ok()?, n: text(n)?.parse().ok()? }, text(ts)?, text(kind)?))
}

/// Reads a line whose checksum is right.
///
/// # Errors
/// [`LineError`].
pub fn read_line(line: &[u8]) -> Result<Recorded<'_>, LineError> {
    let malformed = |problem: &str| LineError::Malformed(problem.to_owned());
    let unreadable = |e: serde_json::Error| LineError::Malformed(e.to_string());
    // Asked first: a later version's line need not have the keys of this one's.
    if !line.starts_with(b"{\"v\":1,") {
        let Version { v } = serde_json::from_slice(line).map_err(unreadable)?;
        return Err(if (VERSION + 1..=LAST_VERSION).contains(&v) { LineError::LaterVersion(v) } else { malformed("v") });
    }
    // The long ones are read once, by who knows their keys.
    if let Some((seq, ts, kind @ ("decision" | "feedback"))) = written_head(line) {
        let event = match kind {
            "decision" => Event::Decision(Box::new(read_decision(line)?)),
            _ => Event::Feedback(Box::new(read_feedback(line)?)),
        };
        return Ok(Recorded { seq, ms: parse_millis(ts).ok_or_else(|| malformed("ts"))?, event });
    }
    let raw: Raw<'_> = serde_json::from_slice(line).map_err(unreadable)?;
    // Lines that need not be about a user, and those that are read in a way of their own.
    let apart = match raw.kind {
        "dead" => Some(Event::Dead { user_id: raw.user_id.clone() }),
        "policy" => Some(Event::Policy { user_id: raw.user_id.clone() }),
        "decision" => Some(Event::Decision(Box::new(read_decision(line)?))),
        "feedback" => Some(Event::Feedback(Box::new(read_feedback(line)?))),
        _ => None,
    };
    if let Some(event) = apart {
        let ms = parse_millis(raw.ts).ok_or_else(|| malformed("ts"))?;
        return Ok(Recorded { seq: raw.seq, ms, event });
    }
    let user_id = raw.user_id.ok_or_else(|| malformed("no userId"));
    let policy = || raw.policy.and_then(|name| PolicyName::parse("policy", name).ok()).ok_or_else(|| malformed("no policy"));
    let moment = Moment { hour: raw.hour_of_day, day: raw.day_of_week };
    let task = || Ok(raw.features.as_ref().ok_or_else(|| malformed("no features"))?.task());
    let profile = raw.profile_features.as_ref().map(RawProfile::profile);
    let low_water = || raw.low_water.ok_or_else(|| malformed("no lowWater"));
    let event = match raw.kind {
        "pull" => Event::Pull {
            user_id: user_id?,
            tip_id: raw.tip_id.ok_or_else(|| malformed("no tipId"))?,
            policy: policy()?,
            moment,
            task: task()?,
            score: raw.score,
            exploring: raw.exploring,
            ordinal: raw.ordinal,
            first: raw.first,
        },
        "reward" => Event::Reward {
            user_id: user_id?,
            policy: policy()?,
            moment,
            task: task()?,
            profile,
            reward: raw.reward.ok_or_else(|| malformed("no reward"))?,
            first: raw.first,
        },
        "reset" => Event::Reset { user_id: user_id? },
        "state" => {
            let state = raw.state.ok_or_else(|| malformed("no state"))?.get();
            Event::State { user_id: user_id?, policy: policy()?, state }
        }
        "erase" => Event::Erase { user_id: user_id? },
        "mark" => Event::Mark { low_water: low_water()?, end: raw.end },
        "segment" => Event::Segment {
            low_water: low_water()?,
            previous: raw.previous,
            previous_bytes: raw.previous_bytes,
            rewritten: raw.rewritten,
        },
        "off" => Event::Off,
        "gap" => Event::Gap { dropped_pulls: raw.dropped_pulls },
        other => return Err(LineError::Malformed(format!("kind {}", crate::error::shown(other)))),
    };
    let ms = parse_millis(raw.ts).ok_or_else(|| malformed("ts"))?;
    Ok(Recorded { seq: raw.seq, ms, event })
}
