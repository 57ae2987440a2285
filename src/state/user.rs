//! One user in memory: an estimator and counters per policy, and the history.

use super::history::{History, HistoryRow, MOST_ORDINAL, Pull};
use super::ledger::{Entry, Ledger};
use super::prefetch::prefetch_value;
use super::record::{Counters, Extra, MOST_COUNTED, Record};
use super::recovery::{Change, What};
use super::store::{Stamp, StateStore};
use crate::error::{Error, ErrorKind, Result};
use crate::feature::{self, Moment, Profile, TaskFeatures};
use crate::log::Seq;
use crate::policy::{Folded, MAX_SUM, PolicyName, Ridge};
use parking_lot::{Mutex, MutexGuard};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};

/// The next count; the last one stays what it is.
#[inline]
const fn one_more(count: u64) -> u64 {
    if count < MOST_COUNTED { count + 1 } else { MOST_COUNTED }
}

/// A reaction to learn from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reaction {
    /// Which policy learns.
    pub policy: PolicyName,
    /// When the tip was shown.
    pub moment: Moment,
    /// The user's profile then, where one was given.
    pub profile: Option<Profile>,
    /// The tip's features then.
    pub task: TaskFeatures,
    /// Finite.
    pub reward: f64,
}

/// One user under one policy.
#[derive(Debug, Default)]
pub struct PolicyState<const D: usize, const P: usize, const I: usize> {
    /// What was learned.
    pub ridge: Ridge<D, P, I>,
    /// What was counted.
    pub counters: Counters,
    /// Which decisions it learned from; `None`: none, and none expired.
    ledger: Option<Box<Ledger>>,
    extra: Option<Extra>,
}

impl<const D: usize, const P: usize, const I: usize> PolicyState<D, P, I> {
    fn from_record(record: Record) -> Option<Self> {
        let ridge = Ridge::from_sums(record.a.try_into().ok()?, record.b.try_into().ok()?).ok()?;
        let ledger = (record.ledger != Ledger::default()).then(|| Box::new(record.ledger));
        Some(Self { ridge, counters: record.counters, ledger, extra: record.extra })
    }

    fn to_record(&self, seq: Seq) -> Record {
        let (a, b) = (self.ridge.a().to_vec(), self.ridge.b().to_vec());
        let ledger = self.ledger.as_deref().cloned().unwrap_or_default();
        Record { a, b, counters: self.counters, seq, unlogged: false, history: Vec::new(), ledger, extra: self.extra.clone() }
    }

    /// The sum of rewards with one more; refused where it, or b, would leave the range of doubles.
    fn sum_with(&self, x: &[f64; D], reward: f64) -> Result<f64> {
        let sum = self.counters.cumulative_reward + reward;
        let too_large = sum.is_nan() || sum.abs() > MAX_SUM || !self.ridge.takes(x, reward);
        if too_large {
            let problem = format_args!("{reward:e} would take the user's sums past ±{MAX_SUM:e}");
            return Err(Error::invalid("reward", problem));
        }
        Ok(sum)
    }

    /// By how much a reaction to a decision changes what was learned from that decision before; the reward itself where that was
    /// nothing.
    fn change(&self, reaction: &Reaction, decision: Seq) -> f64 {
        self.ledger.as_ref().and_then(|ledger| ledger.get(decision)).map_or(reaction.reward, |entry| reaction.reward - entry.reward)
    }

    /// Whether [`PolicyState::take_feedback`] would take it.
    fn check_feedback(&self, reaction: &Reaction, decision: Seq) -> Result<()> {
        let x = feature::vector(reaction.moment, &reaction.profile.unwrap_or_default(), &reaction.task);
        self.sum_with(&x, self.change(reaction, decision)).map(drop)
    }

    /// Learns from a reaction to a decision, in place of what was learned from the same decision before.
    fn take_feedback(&mut self, reaction: &Reaction, decision: Seq, at: u64, seconds: u32) -> Result<()> {
        let reward = reaction.reward;
        let before = self.ledger.as_ref().and_then(|ledger| ledger.get(decision));
        if before.is_none() {
            self.learn(reaction, seconds, || Ok::<_, Error>(()))?;
        } else {
            let x = feature::vector(reaction.moment, &reaction.profile.unwrap_or_default(), &reaction.task);
            let change = self.change(reaction, decision);
            let sum = self.sum_with(&x, change)?;
            self.ridge.revise(&x, change).map_err(|_| Error::new(ErrorKind::Internal, "a checked revision was refused"))?;
            self.counters.cumulative_reward = sum;
            self.counters.last_updated = Some(seconds);
        }
        self.ledger.get_or_insert_default().put(Entry { decision, at, reward });
        Ok(())
    }

    /// Learns from a reaction, once `write_ahead` has put it where it will be found again.
    fn learn<E: From<Error>>(
        &mut self,
        reaction: &Reaction,
        seconds: u32,
        write_ahead: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let profile = reaction.profile.unwrap_or_default();
        let x = feature::vector(reaction.moment, &profile, &reaction.task);
        let sum = self.sum_with(&x, reaction.reward)?;
        write_ahead()?;
        self.ridge.update(&x, reaction.reward).map_err(|_| Error::new(ErrorKind::Internal, "a checked reward was refused"))?;
        self.counters.cumulative_reward = sum;
        self.counters.reward_count = one_more(self.counters.reward_count);
        self.counters.last_updated = Some(seconds);
        Ok(())
    }
}

/// A policy's state as far as it is known.
#[derive(Debug, Default)]
enum Slot<const D: usize, const P: usize, const I: usize> {
    /// Nothing stored, nothing happened yet.
    #[default]
    Absent,
    Ready(Box<PolicyState<D, P, I>>),
    /// What is stored cannot be read: the policy is out of use for this user until a reset.
    Damaged(Box<str>),
}

impl<const D: usize, const P: usize, const I: usize> Slot<D, P, I> {
    fn load(loaded: Result<(Option<Record>, Stamp)>) -> Result<(Self, Stamp)> {
        match loaded {
            Ok((None, stamp)) => Ok((Self::Absent, stamp)),
            Ok((Some(record), stamp)) => Ok(PolicyState::from_record(record).map_or_else(
                || {
                    (
                        Self::Damaged(
                            "A is not positive definite, or b is out of bounds; reset the user to set the file aside".into(),
                        ),
                        stamp,
                    )
                },
                |state| (Self::Ready(Box::new(state)), stamp),
            )),
            Err(e) if e.kind() == ErrorKind::StateCorrupt => Ok((Self::Damaged(e.message().into()), Stamp::default())),
            Err(e) => Err(e),
        }
    }

    #[inline]
    fn ready(&mut self) -> Result<&mut PolicyState<D, P, I>> {
        if matches!(self, Self::Absent) {
            *self = Self::Ready(Box::default());
        }
        match self {
            Self::Ready(state) => Ok(state),
            Self::Damaged(problem) => Err(Error::new(ErrorKind::StateCorrupt, &**problem)),
            Self::Absent => Err(Error::new(ErrorKind::Internal, "absent state")),
        }
    }

    #[inline]
    fn counters(&mut self) -> Option<&mut Counters> {
        if let Self::Ready(state) = self { Some(&mut state.counters) } else { None }
    }

    fn seen(&self) -> Result<Option<&PolicyState<D, P, I>>> {
        match self {
            Self::Absent => Ok(None),
            Self::Ready(state) => Ok(Some(state)),
            Self::Damaged(problem) => Err(Error::new(ErrorKind::StateCorrupt, &**problem)),
        }
    }

    #[inline]
    fn foresee(&self) {
        if let Self::Ready(state) = self {
            prefetch_value(&state.counters);
        }
    }

    /// Looks at what was learned; at what is known of a stranger where that is nothing.
    #[inline]
    fn with_ridge<T>(&self, look: impl FnOnce(&Ridge<D, P, I>) -> T) -> Result<T> {
        Ok(match self.seen()? {
            Some(state) => look(&state.ridge),
            None => look(&Ridge::new()),
        })
    }

    fn to_record(&self, seq: Seq) -> Option<Record> {
        if let Self::Ready(state) = self { Some(state.to_record(seq)) } else { None }
    }

    const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    fn is_at_start(&self) -> bool {
        match self {
            Self::Absent => true,
            Self::Ready(state) => state.counters == Counters::default() && state.ridge == Ridge::new(),
            Self::Damaged(_) => false,
        }
    }

    /// Back to the start, where there is something to go back from; decisions up to `floor` expire.
    fn reset(&mut self, floor: Option<Seq>) -> bool {
        let known = !self.is_absent();
        if known {
            let floor = floor.filter(|floor| *floor > Seq::default());
            let ledger = floor.map(|floor| Box::new(Ledger::after_reset(floor)));
            *self = Self::Ready(Box::new(PolicyState { ledger, ..PolicyState::default() }));
        }
        known
    }

    fn ledger(&self) -> Option<&Ledger> {
        if let Self::Ready(state) = self { state.ledger.as_deref() } else { None }
    }

    fn keep_revisable(&mut self, most: usize) {
        if let Self::Ready(state) = self
            && let Some(ledger) = &mut state.ledger
        {
            ledger.keep(most);
        }
    }

    fn bound_ledger(&mut self, last: Seq, now_ms: u64) {
        if let Self::Ready(state) = self
            && let Some(ledger) = &mut state.ledger
        {
            ledger.bound(last, now_ms);
        }
    }

    fn problem(&self) -> Option<&str> {
        if let Self::Damaged(problem) = self { Some(problem) } else { None }
    }
}

/// What a user's lock protects.
#[allow(clippy::struct_excessive_bools)] // independent of each other, and one byte each: users are many
#[derive(Debug)]
pub struct UserState {
    linucb: Slot<5, 15, 15>,
    egreedy: Slot<7, 28, 0>,
    egreedy2: Slot<12, 78, 0>,
    stamps: [Stamp; 3],
    /// The last line of the interaction log that is in each policy's state: epochs and numbers, which as pairs would take a word more
    /// each.
    applied_epochs: [u32; 3],
    applied_numbers: [u64; 3],
    /// One bit a policy: changed since its record was last saved.
    dirty: u8,
    /// One bit a policy: what is stored cannot be read, and was given up by a reset.
    given_up: u8,
    /// One bit a policy: a line that cannot be lost tells that it knows the user.
    announced: u8,
    /// The user is (or is about to be) in the writer's queue.
    pub(super) queued: bool,
    /// The writer is at work on the user: what it took is in no file for sure yet.
    pub(super) saving: bool,
    /// Erasures that are not complete: what happened since must not leave memory, it may be in files that are removed.
    pub(super) erasures: u32,
    /// The store was asked for the user.
    pub(super) read: bool,
    /// The user left the map of users: whoever still holds it looks it up again.
    pub(super) retired: bool,
    /// Somebody asked for the user since it was last considered for leaving memory.
    pub(super) used: bool,
    /// The user is not in the map, because no room could be made: it can be looked at, but nothing may change.
    pub(super) transient: bool,
    /// A choice was made for the user while it was transient.
    chosen_for: bool,
    /// What a policy scores with changed since the lock was taken.
    learned: bool,
    /// The last scored vectors.
    pub history: History,
}

impl UserState {
    /// Reads what is stored of a user; the history comes as rows, for [`UserState::set_history`].
    ///
    /// # Errors
    /// `ERR_STATE_IO`. A record that cannot be read is remembered as such.
    pub(super) fn load(user_id: &str, store: &dyn StateStore) -> Result<(Self, Vec<HistoryRow>)> {
        let mut rows = Vec::new();
        let mut applied = [Seq::default(); 3];
        let mut load = |policy: PolicyName| {
            let mut loaded = store.load(user_id, policy);
            if let Ok((Some(record), _)) = &mut loaded {
                rows.append(&mut record.history);
                applied[policy as usize] = record.seq;
            }
            loaded
        };
        let (linucb, s0) = Slot::load(load(PolicyName::LinUcbV1))?;
        let (egreedy, s1) = Slot::load(load(PolicyName::EGreedyV1))?;
        let (egreedy2, s2) = Slot::load(load(PolicyName::EGreedyV2))?;
        let (applied_epochs, applied_numbers) = (applied.map(|seq| seq.epoch), applied.map(|seq| seq.n));
        let stamps = [s0, s1, s2];
        let known = Self { linucb, egreedy, egreedy2, stamps, applied_epochs, applied_numbers, ..Self::unread() };
        let state = Self { read: true, learned: true, ..known };
        Ok((state, rows))
    }

    /// Adds a pull to the history.
    #[inline]
    pub fn remember(&mut self, pull: &Pull, tip_id: &[u8], history_size: u32) {
        let forgotten = self.history.push(pull, tip_id, history_size);
        self.touch_history(forgotten);
    }

    /// Notes that rows of these policies (one bit each) left the history: their files have them still, and what a file has must follow from
    /// the log, not from when it was written. Of a state that somebody else wrote nothing is written before its first change.
    #[inline]
    pub(super) fn touch_history(&mut self, policies: u8) {
        let touched = PolicyName::ALL.into_iter().filter(|policy| !self.is_foreign(*policy));
        self.dirty |= touched.fold(0, |bits, policy| bits | policies & 1 << policy as u8);
    }

    /// Puts the history together from rows in any order; says of which policies (one bit each) there were too many.
    pub(super) fn set_history(&mut self, rows: Vec<HistoryRow>, history_size: u32) -> u8 {
        let pulls = |counters: Option<&mut Counters>| counters.map_or(0, |counters| counters.pulls);
        let sum = pulls(self.linucb.counters()) + pulls(self.egreedy.counters()) + pulls(self.egreedy2.counters());
        let sum = u32::try_from(sum).ok().filter(|sum| *sum <= MOST_ORDINAL / 2).unwrap_or(0);
        let (history, forgotten) = History::of_rows(rows, sum, history_size);
        self.history = history;
        forgotten
    }

    /// A user of whom the store was not asked yet.
    pub(super) fn unread() -> Self {
        Self {
            linucb: Slot::Absent,
            egreedy: Slot::Absent,
            egreedy2: Slot::Absent,
            stamps: [Stamp::default(); 3],
            applied_epochs: [0; 3],
            applied_numbers: [0; 3],
            dirty: 0,
            given_up: 0,
            announced: 0,
            queued: false,
            saving: false,
            erasures: 0,
            read: false,
            retired: false,
            used: true,
            chosen_for: false,
            transient: false,
            learned: false,
            history: History::default(),
        }
    }

    /// Whether anything is stored or known of the user.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        matches!((&self.linucb, &self.egreedy, &self.egreedy2), (Slot::Absent, Slot::Absent, Slot::Absent))
    }

    /// Whether the user left the map of users.
    #[inline]
    #[must_use]
    pub const fn is_retired(&self) -> bool {
        self.retired
    }

    /// Whether the user is not in the map of users, because there was no room: it can be looked at, but nothing may change.
    #[inline]
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        self.transient
    }

    /// Whether this may be asked of the user as it is held: of a transient one once, for it does not stay the one who is asked about.
    #[inline]
    #[must_use]
    pub const fn may_be_chosen_for(&mut self) -> bool {
        !(self.transient && std::mem::replace(&mut self.chosen_for, true))
    }

    /// Whoever holds a transient user looks it up again.
    pub const fn retire_transient(&mut self) {
        self.retired = true;
    }

    /// Takes back that a policy was made ready for a change that did not come.
    pub fn forget_new(&mut self, policy: PolicyName) {
        if self.dirty & (1 << policy as u8) == 0 && !self.is_stored(policy) && self.damaged(policy).is_none() {
            self.forget_policy(policy);
        }
    }

    /// What a policy knows of the user, as far as one request can tell: that of a stranger where it knows nothing.
    ///
    /// # Errors
    /// `ERR_STATE_CORRUPT`, naming the file.
    #[inline]
    pub fn fold(&self, policy: PolicyName, moment: Moment, profile: &Profile) -> Result<Folded> {
        match policy {
            PolicyName::LinUcbV1 => self.linucb.with_ridge(|ridge| Folded::linucb(ridge, moment, profile)),
            PolicyName::EGreedyV1 => self.egreedy.with_ridge(|ridge| Folded::egreedy(ridge, moment, profile)),
            PolicyName::EGreedyV2 => self.egreedy2.with_ridge(|ridge| Folded::egreedy(ridge, moment, profile)),
        }
    }

    /// Says that a pull comes next: what it changes is on its way from memory while candidates are scored.
    #[inline]
    pub fn foresee(&self, policy: PolicyName) {
        match policy {
            PolicyName::LinUcbV1 => self.linucb.foresee(),
            PolicyName::EGreedyV1 => self.egreedy.foresee(),
            PolicyName::EGreedyV2 => self.egreedy2.foresee(),
        }
        self.history.foresee();
    }

    /// What the mean of a tip's score is made of, θᵢxᵢ for each feature, and √(xᵀA⁻¹x).
    ///
    /// # Errors
    /// `ERR_STATE_CORRUPT`, naming the file.
    pub fn explain(&self, policy: PolicyName, moment: Moment, profile: &Profile, task: &TaskFeatures) -> Result<(Vec<f64>, f64)> {
        fn of<const D: usize, const P: usize, const I: usize>(
            ridge: &Ridge<D, P, I>,
            (moment, profile, task): (Moment, &Profile, &TaskFeatures),
        ) -> (Vec<f64>, f64) {
            let x: [f64; D] = feature::vector(moment, profile, task);
            (ridge.theta().iter().zip(&x).map(|(theta, x)| theta * x).collect(), ridge.width(&x))
        }
        let tip = (moment, profile, task);
        match policy {
            PolicyName::LinUcbV1 => self.linucb.with_ridge(|ridge| of(ridge, tip)),
            PolicyName::EGreedyV1 => self.egreedy.with_ridge(|ridge| of(ridge, tip)),
            PolicyName::EGreedyV2 => self.egreedy2.with_ridge(|ridge| of(ridge, tip)),
        }
    }

    /// The counters and θ under a policy; zeros for a policy that never saw the user.
    ///
    /// # Errors
    /// `ERR_STATE_CORRUPT`, naming the file.
    pub fn standing(&self, policy: PolicyName) -> Result<(Counters, Vec<f64>)> {
        fn of<const D: usize, const P: usize, const I: usize>(state: Option<&PolicyState<D, P, I>>) -> (Counters, Vec<f64>) {
            state.map_or_else(|| (Counters::default(), vec![0.0; D]), |s| (s.counters, s.ridge.theta().to_vec()))
        }
        Ok(match policy {
            PolicyName::LinUcbV1 => of(self.linucb.seen()?),
            PolicyName::EGreedyV1 => of(self.egreedy.seen()?),
            PolicyName::EGreedyV2 => of(self.egreedy2.seen()?),
        })
    }

    /// What was counted under a policy; `None` where it knows nothing of the user or cannot be read.
    pub(super) fn counted(&self, policy: PolicyName) -> Option<Counters> {
        match policy {
            PolicyName::LinUcbV1 => self.linucb.seen().ok()?.map(|state| state.counters),
            PolicyName::EGreedyV1 => self.egreedy.seen().ok()?.map(|state| state.counters),
            PolicyName::EGreedyV2 => self.egreedy2.seen().ok()?.map(|state| state.counters),
        }
    }

    /// Counts a pull under its policy; the policy's state is ready.
    #[inline]
    pub fn count(&mut self, pull: &Pull) {
        let counters = match pull.policy {
            PolicyName::LinUcbV1 => self.linucb.counters(),
            PolicyName::EGreedyV1 => self.egreedy.counters(),
            PolicyName::EGreedyV2 => self.egreedy2.counters(),
        };
        if let Some(counters) = counters {
            counters.pulls = one_more(counters.pulls);
            if pull.exploring {
                counters.explore_count = one_more(counters.explore_count);
            }
            counters.last_updated = Some(pull.seconds);
        }
    }

    /// Notes that the user is about to change. True when it must be handed to the writer, which has to happen before the change gets
    /// its number: so whoever reads the last number and then takes the writer's queue has every user that changed up to it.
    #[inline]
    #[must_use]
    pub fn queue(&mut self) -> bool {
        self.used = true;
        !std::mem::replace(&mut self.queued, true)
    }

    /// Notes that a policy's state changed, and by which line of the log (`None`: there is none).
    #[inline]
    pub fn touch(&mut self, policy: PolicyName, seq: Option<Seq>) {
        self.dirty |= 1 << policy as u8;
        match seq {
            Some(seq) => self.set_applied(policy, seq),
            None => self.stamps[policy as usize].leave_log(),
        }
    }

    #[inline]
    const fn set_applied(&mut self, policy: PolicyName, seq: Seq) {
        self.applied_epochs[policy as usize] = seq.epoch;
        self.applied_numbers[policy as usize] = seq.n;
    }

    /// Learns from a reaction, once `write_ahead` has put it where it will be found again.
    ///
    /// # Errors
    /// `ERR_STATE_CORRUPT`; `ERR_INVALID_ARGUMENT` when the sums would leave the range of doubles; those of `write_ahead`. Nothing
    /// has changed then.
    #[inline]
    pub fn learn<E: From<Error>>(
        &mut self,
        reaction: &Reaction,
        seconds: u32,
        write_ahead: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        self.learned = true;
        match reaction.policy {
            PolicyName::LinUcbV1 => self.linucb.ready()?.learn(reaction, seconds, write_ahead),
            PolicyName::EGreedyV1 => self.egreedy.ready()?.learn(reaction, seconds, write_ahead),
            PolicyName::EGreedyV2 => self.egreedy2.ready()?.learn(reaction, seconds, write_ahead),
        }
    }

    /// Which decisions a policy learned from; `None`: none, and none expired.
    #[must_use]
    pub fn ledger(&self, policy: PolicyName) -> Option<&Ledger> {
        match policy {
            PolicyName::LinUcbV1 => self.linucb.ledger(),
            PolicyName::EGreedyV1 => self.egreedy.ledger(),
            PolicyName::EGreedyV2 => self.egreedy2.ledger(),
        }
    }

    /// Keeps the last `most` decisions that each policy learned from; those before them cannot be revised any more.
    pub fn keep_revisable(&mut self, most: usize) {
        self.linucb.keep_revisable(most);
        self.egreedy.keep_revisable(most);
        self.egreedy2.keep_revisable(most);
    }

    /// Whether [`UserState::take_feedback`] would take it; makes the policy ready.
    ///
    /// # Errors
    /// As [`UserState::learn`].
    pub fn check_feedback(&mut self, reaction: &Reaction, decision: Seq) -> Result<()> {
        match reaction.policy {
            PolicyName::LinUcbV1 => self.linucb.ready()?.check_feedback(reaction, decision),
            PolicyName::EGreedyV1 => self.egreedy.ready()?.check_feedback(reaction, decision),
            PolicyName::EGreedyV2 => self.egreedy2.ready()?.check_feedback(reaction, decision),
        }
    }

    /// Learns from a reaction to a decision, in place of what was learned from the same decision before.
    ///
    /// # Errors
    /// As [`UserState::learn`].
    pub fn take_feedback(&mut self, reaction: &Reaction, decision: Seq, at: u64, seconds: u32) -> Result<()> {
        self.learned = true;
        match reaction.policy {
            PolicyName::LinUcbV1 => self.linucb.ready()?.take_feedback(reaction, decision, at, seconds),
            PolicyName::EGreedyV1 => self.egreedy.ready()?.take_feedback(reaction, decision, at, seconds),
            PolicyName::EGreedyV2 => self.egreedy2.ready()?.take_feedback(reaction, decision, at, seconds),
        }
    }

    /// Whether no file and no line tells for sure that a policy knows the user. (A pull's line may: it can be lost.)
    #[inline]
    #[must_use]
    pub const fn is_unknown(&self, policy: PolicyName) -> bool {
        !self.stamps[policy as usize].is_stored() && self.announced & (1 << policy as u8) == 0
    }

    /// Takes a place for a policy's record, at the first change.
    pub fn claim(&mut self, policy: PolicyName, user_id: &str, store: &dyn StateStore) {
        self.stamps[policy as usize] = store.claim(user_id, policy, self.stamps[policy as usize]);
    }

    /// A line tells so now that cannot be lost.
    #[inline]
    pub const fn announce(&mut self, policy: PolicyName) {
        self.announced |= 1 << policy as u8;
    }

    /// Whether a policy knows nothing of the user.
    #[inline]
    #[must_use]
    pub const fn is_absent(&self, policy: PolicyName) -> bool {
        match policy {
            PolicyName::LinUcbV1 => self.linucb.is_absent(),
            PolicyName::EGreedyV1 => self.egreedy.is_absent(),
            PolicyName::EGreedyV2 => self.egreedy2.is_absent(),
        }
    }

    /// Whether the log does not have a policy's state, because somebody else wrote it or nothing was appended.
    #[inline]
    #[must_use]
    pub const fn is_foreign(&self, policy: PolicyName) -> bool {
        self.stamps[policy as usize].is_foreign()
    }

    /// Whether a policy's state changed since it was last taken to be saved.
    #[must_use]
    pub const fn is_dirty(&self, policy: PolicyName) -> bool {
        self.dirty & (1 << policy as u8) != 0
    }

    /// The log does not tell how a policy's state came about.
    pub(super) const fn leave_log(&mut self, policy: PolicyName) {
        self.stamps[policy as usize].leave_log();
    }

    /// What is in a policy's state has no place in this directory's log: it is taken as somebody else's.
    pub(super) fn disown(&mut self, policy: PolicyName) {
        self.set_applied(policy, Seq::default());
        self.leave_log(policy);
    }

    /// Forgets what is said of decisions and reactions after these, the log's last number and now: nobody has made them, and they would stand
    /// in the way of those to come.
    pub(super) fn bound_ledgers(&mut self, last: Seq, now_ms: u64) {
        self.linucb.bound_ledger(last, now_ms);
        self.egreedy.bound_ledger(last, now_ms);
        self.egreedy2.bound_ledger(last, now_ms);
    }

    /// The log has it now.
    pub const fn adopt(&mut self, policy: PolicyName) {
        self.stamps[policy as usize].adopt();
    }

    /// A policy's record, without its history; `None` where there is nothing.
    #[must_use]
    pub fn record(&self, policy: PolicyName) -> Option<Record> {
        let seq = self.applied(policy);
        match policy {
            PolicyName::LinUcbV1 => self.linucb.to_record(seq),
            PolicyName::EGreedyV1 => self.egreedy.to_record(seq),
            PolicyName::EGreedyV2 => self.egreedy2.to_record(seq),
        }
    }

    /// The same with the policy's part of the history.
    #[must_use]
    pub fn whole_record(&self, policy: PolicyName) -> Option<Record> {
        self.record(policy).map(|record| Record { history: self.history.rows_of(policy), ..record })
    }

    /// The last line of the log that is in a policy's state.
    #[must_use]
    pub const fn applied(&self, policy: PolicyName) -> Seq {
        Seq { epoch: self.applied_epochs[policy as usize], n: self.applied_numbers[policy as usize] }
    }

    /// Whether a file stood behind a policy's state when it was last read or written.
    #[must_use]
    pub const fn is_stored(&self, policy: PolicyName) -> bool {
        self.stamps[policy as usize].is_stored()
    }

    /// Notes that the records of these policies (one bit each) have to be saved again. True when the user must be queued.
    pub(super) fn touch_all(&mut self, policies: u8) -> bool {
        self.dirty |= policies;
        !std::mem::replace(&mut self.queued, true)
    }

    /// Whether a reset would change anything.
    #[must_use]
    pub fn is_at_start(&self) -> bool {
        self.linucb.is_at_start() && self.egreedy.is_at_start() && self.egreedy2.is_at_start() && self.history.list().is_empty()
    }

    /// Back to the start under all policies that know the user.
    pub fn reset(&mut self, seq: Option<Seq>) {
        self.history.clear();
        // Without a line, decisions so far expire by the last lines that are known.
        let floors =
            PolicyName::ALL.map(|policy| self.applied(policy).max(self.ledger(policy).map_or(Seq::default(), |l| l.floor)));
        let floor = seq.or_else(|| floors.into_iter().max());
        for policy in PolicyName::ALL {
            self.reset_policy(policy, seq, floor);
        }
    }

    fn reset_policy(&mut self, policy: PolicyName, seq: Option<Seq>, floor: Option<Seq>) {
        self.learned = true;
        if self.damaged(policy).is_some() {
            self.given_up |= 1 << policy as u8;
            // The line of the reset tells, also where its file is set aside and cannot be replaced yet.
            self.announce(policy);
        }
        let known = match policy {
            PolicyName::LinUcbV1 => self.linucb.reset(floor),
            PolicyName::EGreedyV1 => self.egreedy.reset(floor),
            PolicyName::EGreedyV2 => self.egreedy2.reset(floor),
        };
        if known {
            self.touch(policy, seq);
        }
    }

    /// Takes the state of one policy from somewhere else, in place of one that cannot be read.
    pub(super) fn replace_damaged(&mut self, policy: PolicyName, other: &mut Self) {
        self.learned = true;
        self.given_up |= 1 << policy as u8;
        self.announce(policy);
        match policy {
            PolicyName::LinUcbV1 => std::mem::swap(&mut self.linucb, &mut other.linucb),
            PolicyName::EGreedyV1 => std::mem::swap(&mut self.egreedy, &mut other.egreedy),
            PolicyName::EGreedyV2 => std::mem::swap(&mut self.egreedy2, &mut other.egreedy2),
        }
        self.touch(policy, Some(other.applied(policy)));
    }

    /// Forgets everything, as if the user had never been seen. What is known of the files stays: they are still there.
    pub fn forget(&mut self) {
        self.history = History::default();
        for policy in PolicyName::ALL {
            self.forget_policy(policy);
        }
    }

    /// Forgets what is stored, not what is in memory: one bit for each policy that memory knows.
    pub(super) fn forget_stored(&mut self) -> u8 {
        (self.stamps, self.given_up) = ([Stamp::default(); 3], 0);
        PolicyName::ALL.into_iter().filter(|policy| !self.is_absent(*policy)).fold(0, |bits, policy| bits | 1 << policy as u8)
    }

    fn forget_policy(&mut self, policy: PolicyName) {
        self.learned = true;
        if self.damaged(policy).is_some() {
            self.given_up |= 1 << policy as u8;
        }
        match policy {
            PolicyName::LinUcbV1 => self.linucb = Slot::Absent,
            PolicyName::EGreedyV1 => self.egreedy = Slot::Absent,
            PolicyName::EGreedyV2 => self.egreedy2 = Slot::Absent,
        }
        self.stamps[policy as usize].adopt();
        self.set_applied(policy, Seq::default());
        self.dirty &= !(1 << policy as u8);
        self.announced &= !(1 << policy as u8);
    }

    /// Why a policy's state cannot be used.
    #[must_use]
    pub fn damaged(&self, policy: PolicyName) -> Option<&str> {
        match policy {
            PolicyName::LinUcbV1 => self.linucb.problem(),
            PolicyName::EGreedyV1 => self.egreedy.problem(),
            PolicyName::EGreedyV2 => self.egreedy2.problem(),
        }
    }

    /// Puts a record in a policy's place, as a `state` line of the log tells it; false when it is no state.
    fn take_record(&mut self, policy: PolicyName, record: Record) -> bool {
        fn slot<const D: usize, const P: usize, const I: usize>(record: Record) -> Option<Slot<D, P, I>> {
            PolicyState::from_record(record).map(|state| Slot::Ready(Box::new(state)))
        }
        self.learned = true;
        match policy {
            PolicyName::LinUcbV1 => slot(record).map(|slot| self.linucb = slot).is_some(),
            PolicyName::EGreedyV1 => slot(record).map(|slot| self.egreedy = slot).is_some(),
            PolicyName::EGreedyV2 => slot(record).map(|slot| self.egreedy2 = slot).is_some(),
        }
    }

    /// Applies what the log tells, if it is not in the state yet. `rows` is the user's history on the way. True when it was applied
    /// under at least one policy.
    pub(super) fn apply(&mut self, change: &Change, rows: &mut Vec<HistoryRow>, from_nothing: bool) -> bool {
        let Change { seq, seconds, ref what } = *change;
        let is_new = |state: &Self, policy: PolicyName| seq > state.applied(policy);
        match what {
            What::Pull { pull, tip_id, ordinal, .. } => {
                let policy = pull.policy;
                if !is_new(self, policy) || self.make_ready(policy).is_err() {
                    return false;
                }
                self.count(pull);
                self.announce(policy);
                rows.push(HistoryRow { ordinal: *ordinal, pull: *pull, tip_id: tip_id.to_string() });
                self.touch(policy, Some(seq));
                true
            }
            What::Reward { reaction, .. } => {
                let applies = is_new(self, reaction.policy) && self.learn(reaction, seconds, || Ok::<_, Error>(())).is_ok();
                if applies {
                    self.announce(reaction.policy);
                    self.touch(reaction.policy, Some(seq));
                }
                applies
            }
            What::Feedback { reaction, decision, at, .. } => {
                let policy = reaction.policy;
                let applies = is_new(self, policy) && self.take_feedback(reaction, *decision, *at, seconds).is_ok();
                if applies {
                    self.announce(policy);
                    self.touch(policy, Some(seq));
                }
                applies
            }
            What::Reset => {
                let mut applied = false;
                for policy in PolicyName::ALL {
                    if is_new(self, policy) {
                        rows.retain(|row| row.pull.policy != policy);
                        applied |= !self.is_absent(policy);
                        self.reset_policy(policy, Some(seq), Some(seq));
                    }
                }
                applied
            }
            What::State { policy, record } => {
                if !from_nothing || !is_new(self, *policy) {
                    return false;
                }
                let mut record = (**record).clone();
                rows.retain(|row| row.pull.policy != *policy);
                rows.append(&mut record.history);
                let taken = self.take_record(*policy, record);
                if taken {
                    self.announce(*policy);
                    self.touch(*policy, Some(seq));
                }
                taken
            }
            What::Erase => {
                for policy in PolicyName::ALL {
                    if is_new(self, policy) {
                        rows.retain(|row| row.pull.policy != policy);
                        self.forget_policy(policy);
                    }
                }
                true
            }
        }
    }

    /// Sees to it that a policy has a state to be changed.
    ///
    /// # Errors
    /// `ERR_STATE_CORRUPT`, naming the file.
    #[inline]
    pub fn make_ready(&mut self, policy: PolicyName) -> Result<()> {
        match policy {
            PolicyName::LinUcbV1 => self.linucb.ready().map(drop),
            PolicyName::EGreedyV1 => self.egreedy.ready().map(drop),
            PolicyName::EGreedyV2 => self.egreedy2.ready().map(drop),
        }
    }

    /// Takes a policy's changed record to be saved; `None` when it did not change.
    pub(super) fn take_dirty(&mut self, policy: PolicyName) -> Option<Unsaved> {
        let bit = 1 << policy as u8;
        if self.dirty & bit == 0 {
            return None;
        }
        self.dirty &= !bit;
        let (stamp, history) = (self.stamps[policy as usize], self.history.clone());
        let record = Record { unlogged: stamp.is_foreign(), ..self.record(policy)? };
        Some(Unsaved { policy, record, history, stamp, set_aside_first: self.given_up & bit != 0 })
    }

    /// Notes how saving went.
    pub(super) fn saved(&mut self, policy: PolicyName, unsaved: &Unsaved, saved: bool) {
        let bit = 1 << policy as u8;
        self.stamps[policy as usize] = unsaved.stamp;
        if !unsaved.set_aside_first {
            self.given_up &= !bit;
        }
        if !saved {
            self.dirty |= bit;
        }
    }

    /// Whether everything is saved, for good.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.dirty == 0 && !self.queued && !self.saving
    }
}

/// A record on its way to the store.
#[derive(Debug)]
pub(super) struct Unsaved {
    policy: PolicyName,
    record: Record,
    history: History,
    pub stamp: Stamp,
    pub set_aside_first: bool,
}

impl Unsaved {
    /// The record with its part of the history, made outside of the user's lock.
    pub fn record(&self) -> Record {
        Record { history: self.history.rows_of(self.policy), ..self.record.clone() }
    }
}

/// A user that was seen.
#[derive(Debug)]
pub struct User {
    /// The id.
    pub id: Box<str>,
    revision: AtomicU64,
    state: Mutex<UserState>,
}

/// So many revisions are given to a user at once: to count on takes less time than to ask all threads for each.
const SERIES: u64 = 1 << 24;

/// The next series. All users' come from here, so that a number alone says what was folded from what.
static REVISIONS: AtomicU64 = AtomicU64::new(0);

fn first_revision() -> u64 {
    REVISIONS.fetch_add(SERIES, Ordering::Relaxed)
}

#[inline]
fn revision_after(revision: u64) -> u64 {
    let next = revision + 1;
    if next.is_multiple_of(SERIES) { first_revision() } else { next }
}

impl User {
    /// A user in this state.
    #[must_use]
    pub fn new(id: &str, state: UserState) -> Self {
        Self { id: id.into(), revision: AtomicU64::new(first_revision()), state: Mutex::new(state) }
    }

    /// A number that changes, before the lock is released, whenever something changed that a policy scores with. Whoever has folded it
    /// before needs no lock to know that it is still right.
    #[inline]
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Says that it is asked for next.
    #[inline]
    pub fn foresee(&self) {
        prefetch_value(self);
    }

    /// Everything else.
    #[inline]
    pub fn lock(&self) -> UserLock<'_> {
        UserLock { revision: &self.revision, state: self.state.lock() }
    }

    /// The same where nobody holds it.
    pub fn try_lock(&self) -> Option<UserLock<'_>> {
        self.state.try_lock().map(|state| UserLock { revision: &self.revision, state })
    }
}

/// A user's state, held.
#[derive(Debug)]
pub struct UserLock<'u> {
    revision: &'u AtomicU64,
    state: MutexGuard<'u, UserState>,
}

impl Deref for UserLock<'_> {
    type Target = UserState;

    #[inline]
    fn deref(&self) -> &UserState {
        &self.state
    }
}

impl DerefMut for UserLock<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut UserState {
        &mut self.state
    }
}

impl Drop for UserLock<'_> {
    #[inline]
    fn drop(&mut self) {
        if std::mem::take(&mut self.state.learned) {
            // Only who holds the lock changes it.
            self.revision.store(revision_after(self.revision.load(Ordering::Relaxed)), Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_users_ever_have_the_same_revision() {
        let revisions = |from: u64| std::iter::successors(Some(from), |last| Some(revision_after(*last)));
        let (one, other) = (first_revision(), first_revision());
        // Each at the end of its series, and beyond it.
        let of = |start: u64| revisions(start + SERIES - 3).take(6).collect::<Vec<_>>();
        let mut all = [vec![one], vec![other], of(one), of(other)].concat();
        let given = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), given);
    }
}
