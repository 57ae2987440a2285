//! One user in memory: an estimator and counters per policy, and the history.

use super::history::{History, Pull};
use super::record::{Counters, Extra, Record};
use super::store::{Stamp, StateStore};
use crate::error::{Error, ErrorKind, Result};
use crate::policy::{PolicyName, Ridge};
use parking_lot::Mutex;

/// One user under one policy.
#[derive(Debug, Default)]
pub struct PolicyState<const D: usize, const P: usize> {
    /// What was learned.
    pub ridge: Ridge<D, P>,
    /// What was counted.
    pub counters: Counters,
    extra: Option<Extra>,
}

impl<const D: usize, const P: usize> PolicyState<D, P> {
    fn from_record(record: Record) -> Option<Self> {
        let ridge = Ridge::from_sums(record.a.try_into().ok()?, record.b.try_into().ok()?).ok()?;
        Some(Self { ridge, counters: record.counters, extra: record.extra })
    }

    fn to_record(&self) -> Record {
        Record { a: self.ridge.a().to_vec(), b: self.ridge.b().to_vec(), counters: self.counters, extra: self.extra.clone() }
    }
}

/// A policy's state as far as it is known.
#[derive(Debug, Default)]
enum Slot<const D: usize, const P: usize> {
    /// Nothing stored, nothing happened yet.
    #[default]
    Absent,
    Ready(Box<PolicyState<D, P>>),
    /// What is stored cannot be read: the policy is out of use for this user until a reset.
    Damaged(Box<str>),
}

impl<const D: usize, const P: usize> Slot<D, P> {
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
    fn ready(&mut self) -> Result<&mut PolicyState<D, P>> {
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

    fn seen(&self) -> Result<Option<&PolicyState<D, P>>> {
        match self {
            Self::Absent => Ok(None),
            Self::Ready(state) => Ok(Some(state)),
            Self::Damaged(problem) => Err(Error::new(ErrorKind::StateCorrupt, &**problem)),
        }
    }

    fn to_record(&self) -> Option<Record> {
        if let Self::Ready(state) = self { Some(state.to_record()) } else { None }
    }

    /// Back to the start; true when there was something to go back from.
    fn reset(&mut self) -> bool {
        let at_start = match self {
            Self::Absent => true,
            Self::Ready(state) => state.counters == Counters::default() && state.ridge == Ridge::new(),
            Self::Damaged(_) => false,
        };
        if !at_start {
            *self = Self::Ready(Box::default());
        }
        !at_start
    }
}

/// What a user's lock protects.
#[derive(Debug)]
pub struct UserState {
    linucb: Slot<5, 15>,
    egreedy: Slot<7, 28>,
    egreedy2: Slot<12, 78>,
    stamps: [Stamp; 3],
    /// One bit a policy: changed since its record was last saved.
    dirty: u8,
    /// One bit a policy: what is stored cannot be read, and was given up by a reset.
    given_up: u8,
    /// The user is (or is about to be) in the writer's queue.
    pub(super) queued: bool,
    /// The store was asked for the user.
    pub(super) read: bool,
    /// The user left the map of users: whoever still holds it looks it up again.
    pub(super) retired: bool,
    /// The last scored vectors.
    pub history: History,
}

impl UserState {
    /// Reads what is stored of a user.
    ///
    /// # Errors
    /// `ERR_STATE_IO`. A record that cannot be read is remembered as such.
    pub fn load(user_id: &str, store: &dyn StateStore) -> Result<Self> {
        let (linucb, s0) = Slot::load(store.load(user_id, PolicyName::LinUcbV1))?;
        let (egreedy, s1) = Slot::load(store.load(user_id, PolicyName::EGreedyV1))?;
        let (egreedy2, s2) = Slot::load(store.load(user_id, PolicyName::EGreedyV2))?;
        Ok(Self { linucb, egreedy, egreedy2, stamps: [s0, s1, s2], read: true, ..Self::unread() })
    }

    /// A user of whom the store was not asked yet.
    pub(super) fn unread() -> Self {
        Self {
            linucb: Slot::Absent,
            egreedy: Slot::Absent,
            egreedy2: Slot::Absent,
            stamps: [Stamp::default(); 3],
            dirty: 0,
            given_up: 0,
            queued: false,
            read: false,
            retired: false,
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

    /// The `LinUCB` state.
    ///
    /// # Errors
    /// `ERR_STATE_CORRUPT`, naming the file.
    #[inline]
    pub fn linucb(&mut self) -> Result<&mut PolicyState<5, 15>> {
        self.linucb.ready()
    }

    /// The state of ε-greedy over seven features.
    ///
    /// # Errors
    /// `ERR_STATE_CORRUPT`, naming the file.
    #[inline]
    pub fn egreedy(&mut self) -> Result<&mut PolicyState<7, 28>> {
        self.egreedy.ready()
    }

    /// The state of ε-greedy over twelve features.
    ///
    /// # Errors
    /// `ERR_STATE_CORRUPT`, naming the file.
    #[inline]
    pub fn egreedy2(&mut self) -> Result<&mut PolicyState<12, 78>> {
        self.egreedy2.ready()
    }

    /// The counters and θ under a policy; zeros for a policy that never saw the user.
    ///
    /// # Errors
    /// `ERR_STATE_CORRUPT`, naming the file.
    pub fn standing(&self, policy: PolicyName) -> Result<(Counters, Vec<f64>)> {
        fn of<const D: usize, const P: usize>(state: Option<&PolicyState<D, P>>) -> (Counters, Vec<f64>) {
            state.map_or_else(|| (Counters::default(), vec![0.0; D]), |s| (s.counters, s.ridge.theta().to_vec()))
        }
        Ok(match policy {
            PolicyName::LinUcbV1 => of(self.linucb.seen()?),
            PolicyName::EGreedyV1 => of(self.egreedy.seen()?),
            PolicyName::EGreedyV2 => of(self.egreedy2.seen()?),
        })
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
            counters.pulls = counters.pulls.saturating_add(1);
            counters.explore_count = counters.explore_count.saturating_add(pull.exploring.into());
            counters.last_updated = Some(pull.seconds);
        }
    }

    /// Notes that a policy's state changed. True when the user must be handed to the writer.
    #[inline]
    #[must_use]
    pub fn touch(&mut self, policy: PolicyName) -> bool {
        self.dirty |= 1 << policy as u8;
        !std::mem::replace(&mut self.queued, true)
    }

    /// Notes that the records of these policies (one bit each) have to be saved again. True when the user must be queued.
    pub(super) fn touch_all(&mut self, policies: u8) -> bool {
        self.dirty |= policies;
        !std::mem::replace(&mut self.queued, true)
    }

    /// Back to the start under all policies that know the user. True when the user must be handed to the writer.
    #[must_use]
    pub fn reset(&mut self) -> bool {
        self.history.clear();
        for policy in PolicyName::ALL {
            if self.damaged(policy) {
                self.given_up |= 1 << policy as u8;
            }
        }
        let changed = [self.linucb.reset(), self.egreedy.reset(), self.egreedy2.reset()];
        for (policy, changed) in PolicyName::ALL.into_iter().zip(changed) {
            self.dirty |= u8::from(changed) << policy as u8;
        }
        self.dirty != 0 && !std::mem::replace(&mut self.queued, true)
    }

    /// Forgets everything, as if the user had never been seen.
    pub(super) fn forget(&mut self) {
        (self.linucb, self.egreedy, self.egreedy2) = (Slot::Absent, Slot::Absent, Slot::Absent);
        self.history.clear();
        (self.stamps, self.dirty, self.given_up) = ([Stamp::default(); 3], 0, 0);
    }

    const fn damaged(&self, policy: PolicyName) -> bool {
        match policy {
            PolicyName::LinUcbV1 => matches!(self.linucb, Slot::Damaged(_)),
            PolicyName::EGreedyV1 => matches!(self.egreedy, Slot::Damaged(_)),
            PolicyName::EGreedyV2 => matches!(self.egreedy2, Slot::Damaged(_)),
        }
    }

    /// Takes a policy's changed record to be saved; `None` when it did not change.
    pub(super) fn take_dirty(&mut self, policy: PolicyName) -> Option<Unsaved> {
        let bit = 1 << policy as u8;
        if self.dirty & bit == 0 {
            return None;
        }
        self.dirty &= !bit;
        let record = match policy {
            PolicyName::LinUcbV1 => self.linucb.to_record(),
            PolicyName::EGreedyV1 => self.egreedy.to_record(),
            PolicyName::EGreedyV2 => self.egreedy2.to_record(),
        }?;
        Some(Unsaved { record, stamp: self.stamps[policy as usize], set_aside_first: self.given_up & bit != 0 })
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

    /// Whether nothing waits to be saved.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.dirty == 0
    }
}

/// A record on its way to the store.
#[derive(Debug)]
pub(super) struct Unsaved {
    pub record: Record,
    pub stamp: Stamp,
    pub set_aside_first: bool,
}

/// A user that was seen.
#[derive(Debug)]
pub struct User {
    /// The id.
    pub id: Box<str>,
    /// Everything else.
    pub state: Mutex<UserState>,
}
