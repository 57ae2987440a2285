//! How lines are written: `{"v":1,"seq":[…],"ts":"…","kind":"…", … ,"crc":"…"}`, compact, with a newline.

use super::seq::Seq;
use crate::clock::format_seconds;
use crate::feature::{Moment, Profile, TaskFeatures};
use crate::policy::PolicyName;
use serde::Serialize;
use serde_json::value::RawValue;
use std::io::Write;

/// The version of the schema.
pub const VERSION: u32 = 1;
/// What stands between a line's content and its checksum.
pub const CRC_KEY: &[u8] = b",\"crc\":\"";
/// Bytes of the checksum and of what ends a line, without the newline.
pub const CRC_TAIL: usize = 8 + 2;
/// How every line begins.
pub const START: &[u8] = b"{\"v\":";

/// What a pull or a reward was computed from.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// Which policy.
    pub policy: PolicyName,
    /// When the tip was chosen or shown.
    pub moment: Moment,
    /// The tip's features as they were given.
    pub task: TaskFeatures,
    /// The user's profile, where one was given.
    pub profile: Option<Profile>,
    /// When the profile was computed, in the caller's words.
    pub computed_at: Option<&'a str>,
}

/// A pull.
#[derive(Debug, Clone, Copy)]
pub struct PullLine<'a> {
    /// Whose.
    pub user_id: &'a str,
    /// What was chosen.
    pub tip_id: &'a str,
    /// What it was computed from.
    pub inputs: Inputs<'a>,
    /// Its place among the candidates.
    pub index: u32,
    /// How many there were.
    pub candidates: u32,
    /// Its score.
    pub score: f64,
    /// It was drawn uniformly.
    pub exploring: bool,
    /// The probability of choosing it.
    pub propensity: f64,
    /// The version of the prompt that wrote it.
    pub prompt_version: Option<&'a str>,
    /// How many pulls of the user came before.
    pub ordinal: u32,
    /// The policy knew nothing of the user before.
    pub first: bool,
}

/// A reward.
#[derive(Debug, Clone, Copy)]
pub struct RewardLine<'a> {
    /// Whose.
    pub user_id: &'a str,
    /// For what.
    pub tip_id: &'a str,
    /// What is learned from.
    pub inputs: Inputs<'a>,
    /// How much.
    pub reward: f64,
    /// The policy knew nothing of the user before.
    pub first: bool,
}

/// A state that somebody else wrote, where this engine's changes to it begin.
#[derive(Debug, Clone, Copy)]
pub struct StateLine<'a> {
    /// Whose.
    pub user_id: &'a str,
    /// Under which policy.
    pub policy: PolicyName,
    /// A state file's content, compact.
    pub state: &'a RawValue,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TaskJson {
    is_overdue: bool,
    task_age_days: f64,
    priority: u8,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProfileJson<'a> {
    #[serde(rename = "completionRate30d")]
    completion_rate: Option<f64>,
    #[serde(rename = "dismissRate30d")]
    dismiss_rate: Option<f64>,
    #[serde(rename = "meanDwellMs30d")]
    mean_dwell_ms: Option<f64>,
    preferred_hour: Option<f64>,
    #[serde(rename = "tipVolume30d")]
    tip_volume: Option<f64>,
    computed_at: Option<&'a str>,
}

impl Inputs<'_> {
    fn task_json(&self) -> TaskJson {
        let TaskFeatures { is_overdue, task_age_days, priority } = self.task;
        TaskJson { is_overdue, task_age_days, priority }
    }

    fn profile_json(&self) -> Option<ProfileJson<'_>> {
        let Profile { completion_rate, dismiss_rate, mean_dwell_ms, preferred_hour, tip_volume } = self.profile?;
        let computed_at = self.computed_at;
        Some(ProfileJson { completion_rate, dismiss_rate, mean_dwell_ms, preferred_hour, tip_volume, computed_at })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PullJson<'a> {
    user_id: &'a str,
    policy: &'static str,
    tip_id: &'a str,
    index: u32,
    candidates: u32,
    score: f64,
    exploring: bool,
    propensity: f64,
    hour_of_day: u8,
    day_of_week: u8,
    features: TaskJson,
    profile_features: Option<ProfileJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_version: Option<&'a str>,
    ordinal: u32,
    #[serde(skip_serializing_if = "is_false")]
    first: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RewardJson<'a> {
    user_id: &'a str,
    policy: &'static str,
    tip_id: &'a str,
    reward: f64,
    hour_of_day: u8,
    day_of_week: u8,
    features: TaskJson,
    profile_features: Option<ProfileJson<'a>>,
    #[serde(skip_serializing_if = "is_false")]
    first: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UserJson<'a> {
    user_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StateJson<'a> {
    user_id: &'a str,
    policy: &'static str,
    state: &'a RawValue,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MarkJson {
    low_water: Seq,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SegmentJson {
    low_water: Seq,
    engine: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GapJson {
    dropped_pulls: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
const fn is_false(value: &bool) -> bool {
    !*value
}

/// Writes lines; remembers the last second's time as text, because many lines fall into one second.
#[derive(Debug, Default)]
pub struct LineWriter {
    second: u64,
    second_text: String,
}

impl LineWriter {
    /// Appends a pull to `to`.
    pub fn pull(&mut self, to: &mut Vec<u8>, seq: Seq, ms: u64, line: &PullLine<'_>) {
        let Inputs { policy, moment, .. } = line.inputs;
        let body = PullJson {
            user_id: line.user_id,
            policy: policy.as_str(),
            tip_id: line.tip_id,
            index: line.index,
            candidates: line.candidates,
            score: line.score,
            exploring: line.exploring,
            propensity: line.propensity,
            hour_of_day: moment.hour,
            day_of_week: moment.day,
            features: line.inputs.task_json(),
            profile_features: line.inputs.profile_json(),
            prompt_version: line.prompt_version,
            ordinal: line.ordinal,
            first: line.first,
        };
        self.line(to, seq, ms, "pull", &body);
    }

    /// Appends a reward to `to`.
    pub fn reward(&mut self, to: &mut Vec<u8>, seq: Seq, ms: u64, line: &RewardLine<'_>) {
        let Inputs { policy, moment, .. } = line.inputs;
        let body = RewardJson {
            user_id: line.user_id,
            policy: policy.as_str(),
            tip_id: line.tip_id,
            reward: line.reward,
            hour_of_day: moment.hour,
            day_of_week: moment.day,
            features: line.inputs.task_json(),
            profile_features: line.inputs.profile_json(),
            first: line.first,
        };
        self.line(to, seq, ms, "reward", &body);
    }

    /// Appends a reset to `to`.
    pub fn reset(&mut self, to: &mut Vec<u8>, seq: Seq, ms: u64, user_id: &str) {
        self.line(to, seq, ms, "reset", &UserJson { user_id });
    }

    /// Appends the beginning of an erasure to `to`.
    pub fn erase(&mut self, to: &mut Vec<u8>, seq: Seq, ms: u64, user_id: &str) {
        self.line(to, seq, ms, "erase", &UserJson { user_id });
    }

    /// Appends somebody else's state to `to`.
    pub fn state(&mut self, to: &mut Vec<u8>, seq: Seq, ms: u64, line: &StateLine<'_>) {
        let body = StateJson { user_id: line.user_id, policy: line.policy.as_str(), state: line.state };
        self.line(to, seq, ms, "state", &body);
    }

    /// Appends a low-water mark to `to`.
    pub fn mark(&mut self, to: &mut Vec<u8>, seq: Seq, ms: u64, low_water: Seq) {
        self.line(to, seq, ms, "mark", &MarkJson { low_water });
    }

    /// Appends to `to` that pulls are missing here.
    pub fn gap(&mut self, to: &mut Vec<u8>, seq: Seq, ms: u64, dropped_pulls: u64) {
        self.line(to, seq, ms, "gap", &GapJson { dropped_pulls });
    }

    /// Appends the first line of a segment to `to`.
    pub fn segment(&mut self, to: &mut Vec<u8>, seq: Seq, ms: u64, low_water: Seq) {
        self.line(to, seq, ms, "segment", &SegmentJson { low_water, engine: env!("CARGO_PKG_VERSION") });
    }

    fn line(&mut self, to: &mut Vec<u8>, seq: Seq, ms: u64, kind: &str, body: &impl Serialize) {
        let start = to.len();
        let (second, rest) = (ms / 1000, ms % 1000);
        if self.second != second || self.second_text.is_empty() {
            self.second = second;
            self.second_text = format_seconds(u32::try_from(second).unwrap_or(u32::MAX));
            self.second_text.pop(); // the Z
        }
        let Seq { epoch, n } = seq;
        // Vec takes every write, and numbers are finite: nothing here can fail.
        let _ = write!(to, r#"{{"v":{VERSION},"seq":[{epoch},{n}],"ts":"{}.{rest:03}Z","kind":"{kind}""#, self.second_text);
        let body_start = to.len();
        let _ = serde_json::to_writer(&mut *to, body);
        // The body is an object of its own: its brace becomes the comma, and its end is the line's.
        if let Some(brace) = to.get_mut(body_start) {
            *brace = b',';
        }
        to.pop();
        let crc = crc32fast::hash(&to[start..]);
        to.extend_from_slice(CRC_KEY);
        let _ = writeln!(to, "{crc:08x}\"}}");
    }
}
