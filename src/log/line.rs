//! How lines are written: `{"v":1,"seq":[…],"ts":"…","kind":"…", … ,"crc":"…"}`, compact, with a newline.

use super::seq::Seq;
use crate::clock::format_seconds;
use crate::feature::{Moment, Profile, TaskFeatures};
use crate::policy::PolicyName;
use serde::Serialize;
use serde_json::value::RawValue;

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
    /// How many of them a mask allowed; 0: all.
    pub allowed: u32,
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

/// The segment before another one, as it was when the other one was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreviousSegment {
    /// Its number.
    pub seq: Seq,
    /// How long it was; `None` where that is not known for sure.
    pub bytes: Option<u64>,
}

/// A message from the event bus that was given up.
#[derive(Debug, Clone, Copy)]
pub struct DeadLine<'a> {
    /// Whom it is about, where that could be read.
    pub user_id: Option<&'a str>,
    /// Where it was published.
    pub subject: &'a str,
    /// The stream that has it.
    pub stream: &'a str,
    /// Its number there.
    pub stream_seq: u64,
    /// How often it was delivered.
    pub deliveries: u64,
    /// Why it was given up.
    pub problem: &'a str,
}

/// Writes lines; remembers the last second's time as text, because many lines fall into one second. Keys stand here as they are
/// written: serde's structs look for characters to escape in each of them, which is a third of a line's cost.
#[derive(Debug, Default)]
pub struct LineWriter {
    second: u64,
    second_text: String,
}

impl LineWriter {
    /// Appends a pull to `to`.
    pub fn pull(&mut self, to: &mut Vec<u8>, seq: Seq, ms: u64, line: &PullLine<'_>) {
        self.line(to, seq, ms, "pull", |to| {
            put(to, r#","userId":"#, line.user_id);
            put(to, r#","policy":"#, &line.inputs.policy);
            put(to, r#","tipId":"#, line.tip_id);
            put(to, r#","index":"#, &line.index);
            put(to, r#","candidates":"#, &line.candidates);
            if line.allowed != 0 {
                put(to, r#","allowed":"#, &line.allowed);
            }
            put(to, r#","score":"#, &line.score);
            put(to, r#","exploring":"#, &line.exploring);
            put(to, r#","propensity":"#, &line.propensity);
            line.inputs.write(to);
            if let Some(version) = line.prompt_version {
                put(to, r#","promptVersion":"#, version);
            }
            put(to, r#","ordinal":"#, &line.ordinal);
            first(to, line.first);
        });
    }

    /// Appends a reward to `to`.
    pub fn reward(&mut self, to: &mut Vec<u8>, seq: Seq, ms: u64, line: &RewardLine<'_>) {
        self.line(to, seq, ms, "reward", |to| {
            put(to, r#","userId":"#, line.user_id);
            put(to, r#","policy":"#, &line.inputs.policy);
            put(to, r#","tipId":"#, line.tip_id);
            put(to, r#","reward":"#, &line.reward);
            line.inputs.write(to);
            first(to, line.first);
        });
    }

    /// Appends a reset to `to`.
    pub fn reset(&mut self, to: &mut Vec<u8>, seq: Seq, ms: u64, user_id: &str) {
        self.line(to, seq, ms, "reset", |to| put(to, r#","userId":"#, user_id));
    }

    /// Appends the beginning of an erasure to `to`.
    pub fn erase(&mut self, to: &mut Vec<u8>, seq: Seq, ms: u64, user_id: &str) {
        self.line(to, seq, ms, "erase", |to| put(to, r#","userId":"#, user_id));
    }

    /// Appends somebody else's state to `to`.
    pub fn state(&mut self, to: &mut Vec<u8>, seq: Seq, ms: u64, line: &StateLine<'_>) {
        self.line(to, seq, ms, "state", |to| {
            put(to, r#","userId":"#, line.user_id);
            put(to, r#","policy":"#, &line.policy);
            put(to, r#","state":"#, line.state);
        });
    }

    /// Appends a message that was given up to `to`.
    pub fn dead(&mut self, to: &mut Vec<u8>, seq: Seq, ms: u64, line: &DeadLine<'_>) {
        self.line(to, seq, ms, "dead", |to| {
            put(to, r#","userId":"#, &line.user_id);
            put(to, r#","subject":"#, line.subject);
            put(to, r#","stream":"#, line.stream);
            put(to, r#","streamSeq":"#, &line.stream_seq);
            put(to, r#","deliveries":"#, &line.deliveries);
            put(to, r#","problem":"#, line.problem);
        });
    }

    /// Appends a low-water mark to `to`; `end`: the epoch is over, and all of its lines are there.
    pub fn mark(&mut self, to: &mut Vec<u8>, seq: Seq, ms: u64, low_water: Seq, end: bool) {
        self.line(to, seq, ms, "mark", |to| {
            put(to, r#","lowWater":"#, &low_water);
            if end {
                to.extend_from_slice(br#","end":true"#);
            }
        });
    }

    /// Appends to `to` that pulls are missing here.
    pub fn gap(&mut self, to: &mut Vec<u8>, seq: Seq, ms: u64, dropped_pulls: u64) {
        self.line(to, seq, ms, "gap", |to| put(to, r#","droppedPulls":"#, &dropped_pulls));
    }

    /// Appends to `to` that nothing is appended in this epoch.
    pub fn off(&mut self, to: &mut Vec<u8>, seq: Seq, ms: u64) {
        self.line(to, seq, ms, "off", |_| {});
    }

    /// Appends the first line of a segment to `to`.
    pub fn segment(&mut self, to: &mut Vec<u8>, seq: Seq, ms: u64, low_water: Seq, previous: Option<PreviousSegment>) {
        self.line(to, seq, ms, "segment", |to| {
            put(to, r#","lowWater":"#, &low_water);
            put(to, r#","previous":"#, &previous.map(|previous| previous.seq));
            if let Some(bytes) = previous.and_then(|previous| previous.bytes) {
                put(to, r#","previousBytes":"#, &bytes);
            }
            put(to, r#","engine":"#, env!("CARGO_PKG_VERSION"));
        });
    }

    pub(super) fn line(&mut self, to: &mut Vec<u8>, seq: Seq, ms: u64, kind: &'static str, body: impl FnOnce(&mut Vec<u8>)) {
        let start = to.len();
        let (second, rest) = (ms / 1000, ms % 1000);
        if self.second != second || self.second_text.is_empty() {
            self.second = second;
            self.second_text = format_seconds(u32::try_from(second).unwrap_or(u32::MAX));
            self.second_text.pop(); // the Z
        }
        put(to, r#"{"v":"#, &VERSION);
        put(to, r#","seq":"#, &seq);
        to.extend_from_slice(br#","ts":""#);
        to.extend_from_slice(self.second_text.as_bytes());
        // Three digits, the first of which is a 1 that becomes the point.
        let digits = to.len();
        put(to, "", &(1000 + rest));
        if let Some(one) = to.get_mut(digits) {
            *one = b'.';
        }
        to.extend_from_slice(br#"Z","kind":""#);
        to.extend_from_slice(kind.as_bytes());
        to.push(b'"');
        body(to);
        let crc = crc32fast::hash(&to[start..]);
        to.extend_from_slice(CRC_KEY);
        put_hex(to, crc.into(), 8);
        to.extend_from_slice(b"\"}\n");
    }
}

impl Inputs<'_> {
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        put(to, r#","hourOfDay":"#, &self.moment.hour);
        put(to, r#","dayOfWeek":"#, &self.moment.day);
        put(to, r#","features":{"isOverdue":"#, &self.task.is_overdue);
        put(to, r#","taskAgeDays":"#, &self.task.task_age_days);
        put(to, r#","priority":"#, &self.task.priority);
        to.push(b'}');
        put_profile(to, self.profile.as_ref(), self.computed_at);
    }
}

pub(super) fn put_profile(to: &mut Vec<u8>, profile: Option<&Profile>, computed_at: Option<&str>) {
    let Some(profile) = profile else { return to.extend_from_slice(br#","profileFeatures":null"#) };
    put(to, r#","profileFeatures":{"completionRate30d":"#, &profile.completion_rate);
    put(to, r#","dismissRate30d":"#, &profile.dismiss_rate);
    put(to, r#","meanDwellMs30d":"#, &profile.mean_dwell_ms);
    put(to, r#","preferredHour":"#, &profile.preferred_hour);
    put(to, r#","tipVolume30d":"#, &profile.tip_volume);
    put(to, r#","computedAt":"#, &computed_at);
    to.push(b'}');
}

pub(super) fn first(to: &mut Vec<u8>, is_first: bool) {
    if is_first {
        to.extend_from_slice(br#","first":true"#);
    }
}

/// The last `digits` digits of a number.
#[allow(clippy::cast_possible_truncation)] // takes the bits that are meant
pub(super) fn put_hex(to: &mut Vec<u8>, number: u64, digits: u32) {
    for digit in (0..digits).rev() {
        to.push(b"0123456789abcdef"[(number >> (4 * digit)) as usize & 15]);
    }
}

#[inline]
pub(super) fn put<T: Serialize + ?Sized>(to: &mut Vec<u8>, key: &'static str, value: &T) {
    to.extend_from_slice(key.as_bytes());
    // Vec takes every write, and numbers are finite: nothing here can fail.
    let _ = serde_json::to_writer(to, value);
}
