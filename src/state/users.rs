//! The map of users that are in memory. A user is loaded at first sight, by whichever thread sees it first, and leaves again,
//! once it is written, when there are too many.

use super::record::UserBounds;
use super::recovery::Rebuilt;
use super::store::StateStore;
use super::user::{User, UserState};
use crate::error::{Error, ErrorKind, Result, shown};
use crate::log::Seq;
use crate::policy::PolicyName;
use dashmap::DashSet;
use parking_lot::{Condvar, Mutex};
use serde::Serialize;
use std::borrow::Borrow;
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many users a newcomer looks at for one that can leave.
const LOOKS: usize = 16;
/// How long a newcomer waits for others to be written when all memory is taken by users that are not.
const PATIENCE: Duration = Duration::from_millis(100);

/// A user under its id, without a second copy of the id.
#[derive(Debug)]
struct ById(Arc<User>);

impl Borrow<str> for ById {
    fn borrow(&self) -> &str {
        &self.0.id
    }
}

impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for ById {}

/// What the log knows beyond the states.
pub trait Journal: Send + Sync {
    /// A state was read that holds everything up to this number; false where no log of this directory has that number.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    fn seen(&self, seq: Seq) -> Result<bool>;

    /// The last number of the log, and the time in milliseconds since 1970: no state knows of anything later.
    fn now(&self) -> (Seq, u64);

    /// The state of a user under a policy, `None` when nothing is known of it.
    ///
    /// # Errors
    /// `ERR_STATE_IO`, `ERR_STATE_CORRUPT`.
    fn rebuild(&self, user_id: &str, policy: PolicyName) -> Result<Option<Rebuilt>>;
}

/// How much of a state came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Completeness {
    /// All of it.
    Complete,
    /// What the log still has.
    Partial,
}

/// A state file that could not be read and was put together again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct DamagedFile {
    pub problem: String,
    pub user_id: String,
    pub policy: PolicyName,
    pub rebuilt: Completeness,
}

/// So many damaged files are remembered.
const MOST_LISTED: usize = 100;

/// Those for whom there is no room.
#[derive(Default)]
struct Newcomers {
    waiting: usize,
    /// Users that were written while somebody waited: they can leave. Looking for them among all is slow where most cannot.
    written: Vec<Arc<User>>,
    /// Everybody was looked at since somebody was last written, and nobody could leave: looking again would find nobody new.
    nobody: bool,
}

/// All users in memory.
pub struct Users {
    hot: DashSet<ById>,
    store: Arc<dyn StateStore>,
    journal: Option<Box<dyn Journal>>,
    bounds: UserBounds,
    most: usize,
    /// Everybody in memory, in the order in which they are considered for leaving: second chance, also known as clock (Corbató,
    /// "A paging experiment with the Multics system", 1969).
    clock: Mutex<VecDeque<Arc<User>>>,
    /// Signalled when users were written.
    room: (Mutex<Newcomers>, Condvar),
    failing: AtomicBool,
    /// Users that were put together again when they were loaded: they are to be written.
    mended: Mutex<Vec<Arc<User>>>,
    has_mended: AtomicBool,
    evicted: AtomicU64,
    damaged: Mutex<Vec<DamagedFile>>,
    foreign: Mutex<(u64, String)>,
}

impl Users {
    /// No user yet; they come from `store`, at most about `most` at a time.
    #[must_use]
    pub fn new(store: Arc<dyn StateStore>, journal: Option<Box<dyn Journal>>, bounds: UserBounds, most: usize) -> Self {
        Self {
            hot: DashSet::new(),
            store,
            journal,
            bounds,
            most: most.max(1),
            clock: Mutex::default(),
            room: Default::default(),
            failing: AtomicBool::new(false),
            mended: Mutex::default(),
            has_mended: AtomicBool::new(false),
            evicted: AtomicU64::new(0),
            damaged: Mutex::default(),
            foreign: Mutex::default(),
        }
    }

    /// How many are in memory.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hot.len()
    }

    /// None is in memory.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hot.is_empty()
    }

    /// How many have left since the start.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Files that could not be read and were put together again.
    #[must_use]
    pub fn damaged(&self) -> Vec<DamagedFile> {
        self.damaged.lock().clone()
    }

    /// The user, if it is in memory.
    #[must_use]
    pub fn hot(&self, user_id: &str) -> Option<Arc<User>> {
        self.hot.get(user_id).map(|user| Arc::clone(&user.0))
    }

    /// The user, loaded if need be. Where there is no room for one more, it is a transient one.
    ///
    /// # Errors
    /// `ERR_STATE_IO`: nothing is remembered then, and the next call tries again.
    pub fn get(&self, user_id: &str) -> Result<Arc<User>> {
        // The user goes into the map first and is read under its own lock: no shard is locked while files are read, and of two
        // threads that see the user at the same time the second one waits for the first one's copy.
        loop {
            let user = match self.hot(user_id) {
                Some(user) => user,
                None if self.make_room() => self.insert(user_id, UserState::unread()),
                None => {
                    let mut state = self.load(user_id)?;
                    state.transient = true;
                    return Ok(Arc::new(User::new(user_id, state)));
                }
            };
            let mut state = user.lock();
            if state.retired {
                continue;
            }
            if !state.read {
                match self.load(user_id) {
                    Ok(loaded) => {
                        *state = loaded;
                        if !state.is_clean() && state.queue() {
                            self.mended.lock().push(Arc::clone(&user));
                            self.has_mended.store(true, Ordering::Release);
                        }
                    }
                    Err(e) => {
                        state.retired = true;
                        self.hot.remove(user_id);
                        return Err(e);
                    }
                }
            }
            drop(state);
            return Ok(user);
        }
    }

    /// Where those that are not in memory are.
    pub(super) fn store(&self) -> &dyn StateStore {
        &*self.store
    }

    /// Everybody in memory; no part of the map is locked for longer than it takes to count references.
    pub(super) fn in_memory(&self) -> Vec<Arc<User>> {
        self.hot.iter().map(|user| Arc::clone(&user.0)).collect()
    }

    fn insert(&self, user_id: &str, state: UserState) -> Arc<User> {
        let user = Arc::new(User::new(user_id, state));
        if self.hot.insert(ById(Arc::clone(&user))) {
            self.clock.lock().push_back(Arc::clone(&user));
            user
        } else {
            self.hot(user_id).unwrap_or(user)
        }
    }

    /// Takes in a user that was recovered, whether or not there is room.
    pub fn admit(&self, user_id: &str, state: UserState) -> Arc<User> {
        self.insert(user_id, state)
    }

    /// What is stored of a user. What cannot be read is put together again where the log has something of it.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn load(&self, user_id: &str) -> Result<UserState> {
        let (mut state, mut rows) = UserState::load(user_id, &*self.store)?;
        if let Some(journal) = &self.journal {
            for policy in PolicyName::ALL {
                let seq = state.applied(policy);
                if !journal.seen(seq)? {
                    state.disown(policy);
                    let mut foreign = self.foreign.lock();
                    foreign.0 += 1;
                    let number = format_args!("[{}, {}]", seq.epoch, seq.n);
                    foreign.1 = format!("seq {number} of user {} under {}", shown(user_id), policy.as_str());
                }
                let Some(problem) = state.damaged(policy).map(str::to_owned) else { continue };
                let Some(mut rebuilt) = journal.rebuild(user_id, policy)? else { continue };
                rows.append(&mut rebuilt.rows);
                rebuilt.state.keep_revisable(self.bounds.revisable_decisions);
                state.replace_damaged(policy, &mut rebuilt.state);
                let mut damaged = self.damaged.lock();
                if damaged.len() < MOST_LISTED {
                    let whole = rebuilt.complete && self.store.seems_own(user_id, policy);
                    let rebuilt = if whole { Completeness::Complete } else { Completeness::Partial };
                    damaged.push(DamagedFile { problem, user_id: user_id.to_owned(), policy, rebuilt });
                }
            }
        }
        if let Some((last, now_ms)) = self.journal.as_ref().map(|journal| journal.now()) {
            state.bound_ledgers(last, now_ms);
        }
        state.set_history(rows, self.bounds.history_size);
        Ok(state)
    }

    /// State files whose numbers no log of this directory can have, and the last of them, for people.
    #[must_use]
    pub fn foreign(&self) -> (u64, String) {
        self.foreign.lock().clone()
    }

    /// Users that were changed by loading them, queued by their own account: whoever asks hands them to the writer.
    pub fn take_mended(&self) -> Vec<Arc<User>> {
        if self.has_mended.swap(false, Ordering::AcqRel) { std::mem::take(&mut *self.mended.lock()) } else { Vec::new() }
    }

    /// Looks at a user without keeping one in memory that was not there, unless its files are damaged.
    ///
    /// # Errors
    /// Those of loading and of `look`.
    pub fn look<T>(&self, user_id: &str, look: impl FnOnce(&UserState) -> Result<T>) -> Result<T> {
        if let Some(user) = self.hot(user_id) {
            let state = user.lock();
            if state.read && !state.retired {
                return look(&state);
            }
        }
        let (mut state, rows) = UserState::load(user_id, &*self.store)?;
        state.set_history(rows, self.bounds.history_size);
        if self.journal.is_some() && PolicyName::ALL.iter().any(|policy| state.damaged(*policy).is_some()) {
            return look(&self.get(user_id)?.lock());
        }
        look(&state)
    }

    /// Sees to it that one more user fits; false when it does not, because nobody who is in memory is written.
    fn make_room(&self) -> bool {
        // A quarter over: users that changed just now must not make others wait.
        let limit = self.most + self.most / 4;
        if self.hot.len() < self.most || self.evict_one(LOOKS, true) || self.hot.len() < limit {
            return true;
        }
        let (newcomers, written) = &self.room;
        let mut newcomers = newcomers.lock();
        // From here on it matters only that somebody can leave, not who was asked for lately.
        if self.evict_written(&mut newcomers) || (!newcomers.nobody && self.evict_anybody(&mut newcomers)) {
            return true;
        }
        let deadline = Instant::now() + PATIENCE;
        newcomers.waiting += 1;
        let (mut fits, mut late) = (false, false);
        while !fits && !late && !self.failing.load(Ordering::Relaxed) {
            late = written.wait_until(&mut newcomers, deadline).timed_out();
            fits = self.evict_written(&mut newcomers);
        }
        newcomers.waiting -= 1;
        fits
    }

    /// Whether somebody waits for room.
    pub(super) fn is_waited_for(&self) -> bool {
        self.room.0.lock().waiting > 0
    }

    fn evict_written(&self, newcomers: &mut Newcomers) -> bool {
        while let Some(user) = newcomers.written.pop() {
            if user.try_lock().is_some_and(|mut state| self.evict(&user, &mut state)) {
                return true;
            }
        }
        false
    }

    fn evict_anybody(&self, newcomers: &mut Newcomers) -> bool {
        let everybody = self.clock.lock().len();
        newcomers.nobody = !self.evict_one(everybody, false);
        !newcomers.nobody
    }

    /// Takes one user out of memory that is written and, where `spare_recent`, was not asked for lately.
    fn evict_one(&self, looks: usize, spare_recent: bool) -> bool {
        for _ in 0..looks {
            let Some(user) = self.clock.lock().pop_front() else { return false };
            // Somebody is at work with it: it is in use.
            let Some(mut state) = user.try_lock() else {
                self.clock.lock().push_back(Arc::clone(&user));
                continue;
            };
            if state.retired {
                continue;
            }
            let is_spared = spare_recent && std::mem::replace(&mut state.used, false);
            if !is_spared && self.evict(&user, &mut state) {
                return true;
            }
            drop(state);
            self.clock.lock().push_back(user);
        }
        false
    }

    /// Takes a user out of memory if it can leave.
    fn evict(&self, user: &User, state: &mut UserState) -> bool {
        let can_leave = !state.retired && state.read && state.is_clean() && state.erasures == 0;
        if can_leave {
            self.retire(user, state);
            self.evicted.fetch_add(1, Ordering::Relaxed);
        }
        can_leave
    }

    /// Nothing can come between the two: who changes the user holds the same lock, and looks the user up again when it is retired.
    fn retire(&self, user: &User, state: &mut UserState) {
        state.forget();
        state.retired = true;
        self.hot.remove(&*user.id);
    }

    /// Lets a user go of whom nothing is known any more.
    pub(super) fn retire_blank(&self, user: &User) {
        let mut state = user.lock();
        if !state.retired && state.is_clean() && state.is_blank() && state.erasures == 0 {
            self.retire(user, &mut state);
        }
    }

    /// Tells those who wait for room that these users were written, or that none can be.
    pub(super) fn written(&self, users: impl Iterator<Item = Arc<User>>, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
        let (newcomers, written) = &self.room;
        let mut newcomers = newcomers.lock();
        newcomers.nobody = false;
        if newcomers.waiting > 0 {
            // Those of the portion before may not have been fetched yet.
            newcomers.written.extend(users);
        } else {
            newcomers.written.clear();
        }
        written.notify_all();
    }

    /// What is said to those for whom there is no room.
    #[must_use]
    pub fn no_room() -> Error {
        Error::new(ErrorKind::Backpressure, "all users in memory wait to be written, and maxHotUsers allows no more")
    }
}

impl std::fmt::Debug for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Users").field("hot", &self.hot.len()).finish_non_exhaustive()
    }
}
