//! The thread that brings changed users to the store. Callers only put a user into its queue, once however often the user
//! changes; they never wait for a file.

use super::store::StateStore;
use super::user::{User, UserState};
use super::users::Users;
use crate::background::{Backoff, Jobs, guarded, say, say_closed, stand_back};
use crate::error::{Done, Error, Result, again};
use crate::log::{InteractionLog, Seq};
use crate::policy::PolicyName;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A user that changed is written after so long, so that changes in quick succession cost one file.
const COALESCE: Duration = Duration::from_millis(10);
/// So many users are synced together while somebody waits until one of them can leave.
const FEW: usize = 8;
/// The log's low-water mark is moved this often while users change, and once more when they have stopped: it saves the next start
/// reading, and costs a line.
const MARK_EVERY: Duration = Duration::from_secs(1);

/// As errors name it.
const THREAD: &str = "the state writer";

enum Job {
    /// Everything queued before is on disk when it is done.
    Flush,
    /// The user's records are removed, and what the log has of it.
    Erase(Erasure),
    /// Flush, and the thread ends.
    Stop,
}

#[derive(Default)]
struct Queue {
    users: Vec<Arc<User>>,
    jobs: Jobs<Job>,
    /// The thread sleeps until somebody wakes it; otherwise it looks by itself within [`COALESCE`].
    asleep: bool,
    report: WriterReport,
}

/// How writing goes, for `health()`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriterReport {
    /// Users that wait to be written.
    pub dirty_users: usize,
    /// Records saved.
    pub files_written: u64,
    /// Saves that failed; each is tried again.
    pub errors: u64,
    /// The last failure.
    pub last_error: Option<String>,
    /// The last attempt failed.
    pub failing: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    users: Arc<Users>,
    store: Arc<dyn StateStore>,
    log: Option<Arc<InteractionLog>>,
    /// Removes what is kept of a user elsewhere in the directory.
    erase_elsewhere: EraseElsewhere,
    /// How many hold the log's low-water mark where it is.
    holds: Arc<AtomicUsize>,
    /// Erasures that failed, to be tried again.
    unfinished: Arc<Mutex<Vec<Erasure>>>,
}

/// The log's low-water mark does not move while one of these is alive: what the log says after it has to be read by the next start.
pub struct MarkHold(Arc<AtomicUsize>);

impl Drop for MarkHold {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// An erasure that is not complete.
struct Erasure {
    user: Arc<User>,
    /// The number of its line: what came after it is the new user's.
    up_to: Option<Seq>,
    /// Until it is complete, the mark stays before its line: a new start finishes it.
    hold: MarkHold,
}

/// Removes, for good, what somebody else keeps of a user.
pub type EraseElsewhere = Box<dyn Fn(&str) -> Result<()> + Send + Sync>;

/// A handle on the thread.
#[derive(Clone)]
pub struct Writer {
    shared: Arc<Shared>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// `ERR_STATE_IO` when the system has no thread left.
    pub fn start(
        users: Arc<Users>,
        store: Arc<dyn StateStore>,
        log: Option<Arc<InteractionLog>>,
        erase_elsewhere: EraseElsewhere,
    ) -> Result<Self> {
        let (queue, wake, holds, unfinished) = (Mutex::default(), Condvar::new(), Arc::default(), Arc::default());
        let shared = Arc::new(Shared { queue, wake, users, store, log, erase_elsewhere, holds, unfinished });
        let of_thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("bandits-state".to_owned())
            .spawn(move || {
                stand_back();
                of_thread.run();
            })
            .map_err(|e| Error::io("start the state writer's thread", e))?;
        Ok(Self { shared })
    }

    /// Queues a user whose [`UserState::queue`](super::UserState::queue) asked for it.
    #[inline]
    pub fn enqueue(&self, user: &Arc<User>) {
        let mut queue = self.shared.queue.lock();
        queue.users.push(Arc::clone(user));
        if std::mem::take(&mut queue.asleep) {
            self.shared.wake.notify_one();
        }
    }

    /// Calls `done` when everything queued so far is on disk.
    pub fn flush(&self, done: Done) {
        self.submit(Job::Flush, done);
    }

    /// Keeps the log's low-water mark where it is, for what must not be passed by it until it is complete.
    #[must_use]
    pub fn hold_mark(&self) -> MarkHold {
        self.shared.holds.fetch_add(1, Ordering::AcqRel);
        MarkHold(Arc::clone(&self.shared.holds))
    }

    /// Something holds the mark: an erasure that is not complete.
    #[must_use]
    pub fn is_mark_held(&self) -> bool {
        self.shared.holds.load(Ordering::Acquire) > 0
    }

    /// Removes what was stored of a user whose `state` memory has forgotten, and what the log has of it up to the line that says
    /// so. What has happened to the user since then stays. `hold` is from before that line was appended.
    pub fn erase(&self, user: &Arc<User>, state: &mut UserState, up_to: Option<Seq>, hold: MarkHold, done: Done) {
        state.erasures += 1;
        self.submit(Job::Erase(Erasure { user: Arc::clone(user), up_to, hold }), done);
    }

    /// Flushes and ends the thread.
    pub fn stop(&self, done: Done) {
        self.submit(Job::Stop, done);
    }

    fn submit(&self, job: Job, done: Done) {
        let mut queue = self.shared.queue.lock();
        if let Err(done) = queue.jobs.add(job, done) {
            drop(queue);
            return done(Err(Error::closed()));
        }
        queue.asleep = false;
        self.shared.wake.notify_one();
    }

    /// How writing goes.
    #[must_use]
    pub fn report(&self) -> WriterReport {
        let queue = self.shared.queue.lock();
        WriterReport { dirty_users: queue.report.dirty_users + queue.users.len(), ..queue.report.clone() }
    }
}

impl Shared {
    fn run(&self) {
        let mut thread = Keeper::default();
        loop {
            let Round { users, jobs, up_to } = self.next_round(&thread);
            let changed = !users.is_empty();
            let saved = self.save_all(users);
            thread.backoff.note(&saved);
            let ends = saved.is_ok() && jobs.iter().any(|(job, _)| matches!(job, Job::Stop));
            if saved.is_ok() {
                thread.covered = up_to.or(thread.covered);
                thread.unmarked |= changed || ends;
            }
            self.mark(&mut thread, !jobs.is_empty(), ends);
            let mut stop = Vec::new();
            let unfinished = std::mem::take(&mut *self.unfinished.lock());
            let mut erasures: Vec<(Erasure, Done)> = unfinished.into_iter().map(|erasure| (erasure, ignored())).collect();
            for (job, done) in jobs {
                match job {
                    // Before the erasures: nobody waits for other people's.
                    Job::Flush => done(again(&saved)),
                    Job::Erase(erasure) => erasures.push((erasure, done)),
                    Job::Stop => stop.push(done),
                }
            }
            self.erase(erasures);
            if !stop.is_empty() {
                // The lock goes before anybody is told: they may ask for something again.
                let late = self.queue.lock().jobs.end();
                say_closed(late);
                say(&saved, stop);
                return;
            }
        }
    }

    /// Waits for something to do.
    fn next_round(&self, thread: &Keeper) -> Round {
        let mut queue = self.queue.lock();
        while queue.users.is_empty() && queue.jobs.is_empty() {
            queue.asleep = true;
            let wait = match (thread.unmarked, self.unfinished.lock().is_empty()) {
                (true, true) if self.holds.load(Ordering::Acquire) == 0 => thread.until_mark(),
                (true, true) => MARK_EVERY,
                (_, false) => Backoff::LAST,
                (false, true) => Duration::MAX,
            };
            if wait == Duration::MAX {
                self.wake.wait(&mut queue);
            } else if self.wake.wait_for(&mut queue, wait).timed_out() {
                break;
            }
        }
        queue.asleep = false;
        if queue.jobs.is_empty() && !queue.users.is_empty() {
            // Ended early by a job only: enqueue() wakes nobody while `asleep` is false.
            self.wake.wait_for(&mut queue, thread.backoff.wait().unwrap_or(COALESCE));
        }
        // Read while the queue is locked: every line up to it is of a user that was queued before.
        let is_held = self.holds.load(Ordering::Acquire) > 0;
        let up_to = self.log.as_ref().filter(|_| !is_held).map(|log| log.last_seq());
        let users = std::mem::take(&mut queue.users);
        queue.report.dirty_users = users.len();
        Round { users, jobs: queue.jobs.take(), up_to }
    }

    /// Moves the log's low-water mark where that is due.
    fn mark(&self, thread: &mut Keeper, asked: bool, ends: bool) {
        let due = asked || thread.until_mark().is_zero();
        let (Some(log), Some(covered)) = (&self.log, thread.covered) else { return };
        if thread.unmarked && due && self.holds.load(Ordering::Acquire) == 0 {
            thread.marked = Some(Instant::now());
            // What cannot be marked now is marked with the next change; until then the next start reads more.
            thread.unmarked = log.mark(covered, ends).is_err();
        }
    }

    /// Saves what changed of these users, and syncs. The first failure is returned; the users it concerns are queued again.
    fn save_all(&self, users: Vec<Arc<User>>) -> Result<()> {
        let mut result = Ok(());
        let mut users = users.into_iter();
        loop {
            let (saved, outcome) = self.save_some(&mut users);
            result = result.and(outcome);
            self.users.written(saved.into_iter(), result.is_err());
            if users.as_slice().is_empty() {
                break;
            }
        }
        let mut queue = self.queue.lock();
        queue.report.failing = result.is_err();
        if let Err(e) = &result {
            queue.report.last_error = Some(e.message().to_owned());
        }
        result
    }

    /// Saves these users, and syncs: all of them, or the first ones where somebody waits for one who can leave.
    fn save_some(&self, users: &mut std::vec::IntoIter<Arc<User>>) -> (Vec<Arc<User>>, Result<()>) {
        let mut result = Ok(());
        let mut saved = Vec::with_capacity(users.len());
        for user in users {
            let (policies, outcome) = self.save(&user);
            {
                let report = &mut self.queue.lock().report;
                report.dirty_users -= 1;
                report.files_written += u64::from(policies.count_ones());
                report.errors += u64::from(outcome.is_err());
            }
            if let Err(e) = outcome {
                result = result.and(Err(e));
                self.requeue(&user, 0);
            }
            saved.push((user, policies));
            if saved.len() >= FEW && self.users.is_waited_for() {
                break;
            }
        }
        let synced = guarded(THREAD, || self.store.sync());
        if let Err(e) = synced {
            // Which of the files are on disk is not known, and asking again would not tell: all are written anew.
            for (user, policies) in &saved {
                self.requeue(user, *policies);
            }
            self.queue.lock().report.errors += 1;
            result = result.and(Err(e));
        }
        // Not before: until its file is there for good, or it is queued again, a user must not leave memory.
        for (user, _) in &saved {
            user.lock().saving = false;
        }
        (saved.into_iter().map(|(user, _)| user).collect(), result)
    }

    fn requeue(&self, user: &Arc<User>, policies: u8) {
        if user.lock().touch_all(policies) {
            self.queue.lock().users.push(Arc::clone(user));
        }
    }

    /// Saves what changed of one user; says of which policies (one bit each) and whether all went well.
    fn save(&self, user: &User) -> (u8, Result<()>) {
        {
            let mut state = user.lock();
            (state.queued, state.saving) = (false, true);
        }
        let mut policies = 0;
        for policy in PolicyName::ALL {
            // The lock is held for copying a few hundred numbers, not for formatting or writing them.
            let Some(mut unsaved) = user.lock().take_dirty(policy) else { continue };
            let saved = guarded(THREAD, || {
                let record = unsaved.record();
                if unsaved.set_aside_first {
                    self.store.set_aside(&user.id, policy, &mut unsaved.stamp)?;
                    unsaved.set_aside_first = false;
                }
                self.store.save(&user.id, policy, &record, &mut unsaved.stamp)
            });
            user.lock().saved(policy, &unsaved, saved.is_ok());
            if saved.is_err() {
                return (policies, saved);
            }
            policies |= 1 << policy as u8;
        }
        (policies, Ok(()))
    }

    /// Erases all who are to be when it begins, with one sync before and one behind. This thread is the only one that writes, so nothing
    /// is written behind its back. What cannot be removed now is tried again, here or by the next start, which finds the line that says
    /// so: the mark does not pass it.
    fn erase(&self, erasures: Vec<(Erasure, Done)>) {
        if erasures.is_empty() {
            return;
        }
        // The lines first: a power cut must not leave half a person and nobody to finish.
        let begun = guarded(THREAD, || self.log.as_ref().map_or(Ok(()), |log| log.sync()));
        let mut removed = Vec::with_capacity(erasures.len());
        for (erasure, done) in erasures {
            let id = &erasure.user.id;
            let remove = || {
                PolicyName::ALL.into_iter().try_for_each(|policy| self.store.erase(id, policy))?;
                (self.erase_elsewhere)(id)
            };
            match again(&begun).and_then(|()| guarded(THREAD, remove)) {
                Ok(()) => removed.push((erasure, done)),
                Err(e) => self.put_off(erasure, done, e),
            }
        }
        if removed.is_empty() {
            return;
        }
        let synced = guarded(THREAD, || self.store.sync());
        for (erasure, done) in removed {
            match again(&synced) {
                Ok(()) => self.erase_lines(erasure, done),
                Err(e) => self.put_off(erasure, done, e),
            }
        }
    }

    fn put_off(&self, erasure: Erasure, done: Done, e: Error) {
        self.unfinished.lock().push(erasure);
        done(Err(e));
    }

    /// Has the log erase a user whose files are gone. What has happened to the user since memory forgot it may have been written under the
    /// names that were removed: it is written again.
    fn erase_lines(&self, erasure: Erasure, done: Done) {
        let Erasure { user, up_to, hold } = erasure;
        let since = user.lock().forget_stored();
        if since == 0 {
            self.users.retire_blank(&user);
        } else {
            self.requeue(&user, since);
        }
        let (unfinished, users, id) = (Arc::clone(&self.unfinished), Arc::clone(&self.users), user.id.clone());
        let finish: Done = Box::new(move |outcome| {
            if outcome.is_ok() {
                drop(hold);
                {
                    let mut state = user.lock();
                    state.erasures = state.erasures.saturating_sub(1);
                }
                users.retire_blank(&user);
            } else {
                unfinished.lock().push(Erasure { user, up_to, hold });
            }
            done(outcome);
        });
        match (&self.log, up_to) {
            (Some(log), Some(up_to)) => log.remove(&id, up_to, finish),
            _ => finish(Ok(())),
        }
    }
}

/// Nobody waits.
fn ignored() -> Done {
    Box::new(|_| {})
}

/// What one round has to do.
struct Round {
    users: Vec<Arc<User>>,
    jobs: Vec<(Job, Done)>,
    up_to: Option<Seq>,
}

/// What the thread remembers from round to round.
#[derive(Default)]
struct Keeper {
    backoff: Backoff,
    /// All up to this is in the state files.
    covered: Option<Seq>,
    /// The log's mark is behind that.
    unmarked: bool,
    marked: Option<Instant>,
}

impl Keeper {
    fn until_mark(&self) -> Duration {
        self.marked.map_or(Duration::ZERO, |marked| MARK_EVERY.saturating_sub(marked.elapsed()))
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("report", &self.report()).finish()
    }
}
