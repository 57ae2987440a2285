//! Decisions that wait for what people do with them: the last ones in memory, older ones in the log.

use crate::feature::{Moment, Profile, TaskFeatures};
use crate::log::{RecordedDecision, Seq};
use crate::policy::PolicyName;
use parking_lot::Mutex;
use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;

/// What has to be known of a decision to learn from a reaction to it.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingDecision {
    /// Whose.
    pub user_id: Box<str>,
    /// When, in milliseconds since 1970.
    pub ms: u64,
    /// Whose choice was shown.
    pub policy: PolicyName,
    /// What was shown.
    pub tip_id: Box<str>,
    /// With which features.
    pub moment: Moment,
    /// With which profile.
    pub profile: Option<Profile>,
    /// When that was computed.
    pub computed_at: Option<Box<str>>,
    /// With which features.
    pub task: TaskFeatures,
}

impl PendingDecision {
    /// A decision as the log tells it.
    pub fn of_line(ms: u64, line: &RecordedDecision<'_>) -> Option<Self> {
        Some(Self {
            user_id: (&*line.user_id).into(),
            ms,
            policy: line.policy,
            tip_id: (&**line.ids.get(line.index)?).into(),
            moment: line.moment,
            profile: line.profile,
            computed_at: line.computed_at.as_deref().map(Into::into),
            task: *line.tasks.get(line.index)?,
        })
    }
}

/// So many are in memory.
const MOST: usize = 20_000;

/// See the module.
#[derive(Debug, Default)]
pub struct Pending {
    inner: Mutex<Inner>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Waiting {
    seq: Seq,
    decision: PendingDecision,
    /// A reaction to it was learned from.
    has_reaction: bool,
}

#[derive(Debug, Default)]
struct Inner {
    /// In the order of their numbers.
    decisions: VecDeque<Waiting>,
    /// Whose decisions up to which number were erased, because the log may still have them, or a reaction to one be under way. Nobody's
    /// name is kept, and a few bytes each until the engine closes.
    erased: HashMap<u64, Seq>,
}

impl Inner {
    fn waiting(&mut self, seq: Seq) -> Option<&mut Waiting> {
        let place = self.decisions.binary_search_by_key(&seq, |waiting| waiting.seq).ok()?;
        self.decisions.get_mut(place)
    }
}

impl Pending {
    /// Remembers a decision, and forgets the oldest past the bound.
    pub fn add(&self, seq: Seq, decision: PendingDecision) {
        let mut inner = self.inner.lock();
        let decisions = &mut inner.decisions;
        decisions.push_back(Waiting { seq, decision, has_reaction: false });
        // Threads that decide at once come here a little out of order.
        let mut i = decisions.len() - 1;
        while i > 0 && decisions[i - 1].seq > seq {
            decisions.swap(i - 1, i);
            i -= 1;
        }
        if decisions.len() > MOST {
            decisions.pop_front();
        }
    }

    /// A decision that is in memory.
    pub fn get(&self, seq: Seq) -> Option<PendingDecision> {
        let mut inner = self.inner.lock();
        Some(inner.waiting(seq)?.decision.clone())
    }

    /// Whether nothing was learned from a decision yet, and that is certain: it is in memory since it was made. (Of another one the log
    /// would have to be read up to its end.)
    pub fn is_without_reaction(&self, seq: Seq) -> bool {
        self.inner.lock().waiting(seq).is_some_and(|waiting| !waiting.has_reaction)
    }

    /// A reaction to it was learned from.
    pub fn note_reaction(&self, seq: Seq) {
        if let Some(waiting) = self.inner.lock().waiting(seq) {
            waiting.has_reaction = true;
        }
    }

    /// Whether a user's decision was erased.
    pub fn is_erased(&self, user_id: &str, seq: Seq) -> bool {
        let up_to = self.inner.lock().erased.get(&self.hasher.hash_one(user_id)).copied();
        up_to.is_some_and(|up_to| seq <= up_to)
    }

    /// Forgets a user, whose decisions up to a number are being erased.
    pub fn erase(&self, user_id: &str, up_to: Seq) {
        let mut inner = self.inner.lock();
        inner.decisions.retain(|waiting| &*waiting.decision.user_id != user_id);
        inner.erased.insert(self.hasher.hash_one(user_id), up_to);
    }
}
