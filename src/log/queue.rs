//! Pulls on their way to the log. The scoring thread only copies numbers and the tip's id here; the log's thread makes lines of
//! them.

use super::line::{Inputs, LineWriter, PullLine};
use super::seq::Seq;
use crate::feature::{Moment, Profile, TaskFeatures};
use crate::policy::PolicyName;

/// So many pulls wait at most, some 25 MB; the next ones are written by those who make them.
const MOST_QUEUED: usize = 1 << 17;

/// Memory for so many stays from round to round.
const KEPT: usize = 1 << 12;
/// Bytes of a pull's texts.
const TEXTS: usize = 64;

/// Pulls and their texts, in order.
#[derive(Debug, Default)]
pub struct PullQueue {
    pulls: Vec<QueuedPull>,
    profiles: Vec<Profile>,
    /// User ids, tip ids and the rest. Copied, because a shared count of references would go from core to core with every pull.
    text: String,
}

#[derive(Debug)]
struct QueuedPull {
    seq: Seq,
    ms: u64,
    score: f64,
    propensity: f64,
    task: TaskFeatures,
    index: u32,
    candidates: u32,
    allowed: u32,
    ordinal: u32,
    user_id: u16,
    tip_id: u16,
    computed_at: Option<u16>,
    prompt_version: Option<u16>,
    policy: PolicyName,
    moment: Moment,
    exploring: bool,
    first: bool,
    has_profile: bool,
}

impl PullQueue {
    /// Adds a pull; false when there is no room.
    #[inline]
    pub fn push(&mut self, seq: Seq, ms: u64, line: &PullLine<'_>) -> bool {
        if self.pulls.len() >= MOST_QUEUED {
            return false;
        }
        let mut keep = |text: &str| {
            // Ids are at most 1,536 bytes; other texts are cut to what the length can say.
            let text = &text[..text.floor_char_boundary(usize::from(u16::MAX))];
            self.text.push_str(text);
            u16::try_from(text.len()).unwrap_or(u16::MAX)
        };
        let Inputs { policy, moment, task, profile, computed_at } = line.inputs;
        let user_id = keep(line.user_id);
        let tip_id = keep(line.tip_id);
        let computed_at = computed_at.map(&mut keep);
        let prompt_version = line.prompt_version.map(&mut keep);
        self.profiles.extend(profile);
        self.pulls.push(QueuedPull {
            seq,
            ms,
            score: line.score,
            propensity: line.propensity,
            task,
            index: line.index,
            candidates: line.candidates,
            allowed: line.allowed,
            ordinal: line.ordinal,
            user_id,
            tip_id,
            computed_at,
            prompt_version,
            policy,
            moment,
            exploring: line.exploring,
            first: line.first,
            has_profile: profile.is_some(),
        });
        true
    }

    pub const fn is_empty(&self) -> bool {
        self.pulls.is_empty()
    }

    /// Makes lines of the pulls, in blocks of about `block` bytes.
    pub fn encode(&self, lines: &mut LineWriter, block: usize, mut each: impl FnMut(&[u8])) {
        let mut at = 0;
        let mut take = |length: u16| {
            let end = at + usize::from(length);
            let part = self.text.get(at..end).unwrap_or_default();
            at = end;
            part
        };
        let mut bytes = Vec::with_capacity(block + 1024);
        let mut profiles = self.profiles.iter();
        for pull in &self.pulls {
            let user_id = take(pull.user_id);
            let tip_id = take(pull.tip_id);
            let computed_at = pull.computed_at.map(&mut take);
            let prompt_version = pull.prompt_version.map(&mut take);
            let QueuedPull { policy, moment, task, .. } = *pull;
            let profile = if pull.has_profile { profiles.next().copied() } else { None };
            let line = PullLine {
                user_id,
                tip_id,
                inputs: Inputs { policy, moment, task, profile, computed_at },
                index: pull.index,
                candidates: pull.candidates,
                allowed: pull.allowed,
                score: pull.score,
                exploring: pull.exploring,
                propensity: pull.propensity,
                prompt_version,
                ordinal: pull.ordinal,
                first: pull.first,
            };
            lines.pull(&mut bytes, pull.seq, pull.ms, &line);
            if bytes.len() >= block {
                each(&bytes);
                bytes.clear();
            }
        }
        if !bytes.is_empty() {
            each(&bytes);
        }
    }

    /// Forgets the pulls. Memory that they did not need half of is given back: a steady load asks for none, and a burst's goes.
    pub fn clear(&mut self) {
        let needed = self.pulls.len().max(KEPT);
        self.pulls.clear();
        self.profiles.clear();
        self.text.clear();
        if self.pulls.capacity() > 2 * needed {
            self.shrink(needed);
        }
    }

    /// Gives memory back, down to that for so many pulls.
    pub fn shrink(&mut self, pulls: usize) {
        self.pulls.shrink_to(pulls);
        self.profiles.shrink_to(pulls);
        self.text.shrink_to(pulls * TEXTS);
    }
}
