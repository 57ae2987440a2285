//! The thread that brings changed users to the store. Callers only put a user into its queue, once however often the user
//! changes; they never wait for a file.

use super::store::StateStore;
use super::user::User;
use super::users::Users;
use crate::error::{Error, ErrorKind, Result, again};
use crate::policy::PolicyName;
use parking_lot::{Condvar, Mutex};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// A user that changed is written after so long, so that changes in quick succession cost one file.
const COALESCE: Duration = Duration::from_millis(10);
/// After a failure the next attempt waits so long, doubled each time.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// Called once with how a job went, on the writer's thread.
pub type Done = Box<dyn FnOnce(Result<()>) + Send>;

enum Job {
    /// Everything queued before is on disk when it is done.
    Flush,
    /// The user's records are removed.
    Erase(String),
    /// Flush, and the thread ends.
    Stop,
}

#[derive(Default)]
struct Queue {
    users: Vec<Arc<User>>,
    jobs: Vec<(Job, Done)>,
    /// The thread sleeps until somebody wakes it; otherwise it looks by itself within [`COALESCE`].
    asleep: bool,
    /// The thread has ended.
    ended: bool,
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
}

/// A handle on the thread.
pub struct Writer {
    shared: Arc<Shared>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// `ERR_STATE_IO` when the system has no thread left.
    pub fn start(users: Arc<Users>, store: Arc<dyn StateStore>) -> Result<Self> {
        let shared = Arc::new(Shared { queue: Mutex::default(), wake: Condvar::new(), users, store });
        let of_thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("bandits-state".to_owned())
            .spawn(move || of_thread.run())
            .map_err(|e| Error::io("start the state writer's thread", e))?;
        Ok(Self { shared })
    }

    /// Queues a user whose `touch()` or `reset()` asked for it.
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

    /// Removes a user from memory and store.
    pub fn erase(&self, user_id: &str, done: Done) {
        self.submit(Job::Erase(user_id.to_owned()), done);
    }

    /// Flushes and ends the thread.
    pub fn stop(&self, done: Done) {
        self.submit(Job::Stop, done);
    }

    fn submit(&self, job: Job, done: Done) {
        let mut queue = self.shared.queue.lock();
        if queue.ended {
            drop(queue);
            return done(Err(Error::closed()));
        }
        queue.jobs.push((job, done));
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
        let mut retry = None;
        loop {
            let (users, jobs) = self.next_round(retry);
            let saved = self.save_all(users);
            retry = match (&saved, retry) {
                (Ok(()), _) => None,
                (Err(_), None) => Some(FIRST_RETRY),
                (Err(_), Some(last)) => Some((last * 2).min(LAST_RETRY)),
            };
            let mut stop = Vec::new();
            for (job, done) in jobs {
                match job {
                    Job::Flush => done(again(&saved)),
                    Job::Erase(user_id) => {
                        let erased = catch_unwind(AssertUnwindSafe(|| self.erase(&user_id))).unwrap_or_else(|_| Err(panicked()));
                        done(erased);
                    }
                    Job::Stop => stop.push(done),
                }
            }
            if !stop.is_empty() {
                let late = {
                    let mut queue = self.queue.lock();
                    queue.ended = true;
                    std::mem::take(&mut queue.jobs)
                };
                for (_, done) in late {
                    done(Err(Error::closed()));
                }
                for done in stop {
                    done(again(&saved));
                }
                return;
            }
        }
    }

    /// Waits for something to do.
    fn next_round(&self, retry: Option<Duration>) -> (Vec<Arc<User>>, Vec<(Job, Done)>) {
        let mut queue = self.queue.lock();
        while queue.users.is_empty() && queue.jobs.is_empty() {
            queue.asleep = true;
            self.wake.wait(&mut queue);
        }
        queue.asleep = false;
        if queue.jobs.is_empty() {
            // Ended early by a job only: enqueue() wakes nobody while `asleep` is false.
            self.wake.wait_for(&mut queue, retry.unwrap_or(COALESCE));
        }
        let users = std::mem::take(&mut queue.users);
        queue.report.dirty_users = users.len();
        (users, std::mem::take(&mut queue.jobs))
    }

    /// Saves what changed of these users, and syncs. The first failure is returned; the users it concerns are queued again.
    fn save_all(&self, users: Vec<Arc<User>>) -> Result<()> {
        let mut result = Ok(());
        let mut saved = Vec::with_capacity(users.len());
        for user in users {
            let (policies, outcome) = self.save(&user);
            let mut queue = self.queue.lock();
            queue.report.dirty_users -= 1;
            queue.report.files_written += u64::from(policies.count_ones());
            if let Err(e) = outcome {
                queue.report.errors += 1;
                result = result.and(Err(e));
                drop(queue);
                self.requeue(&user, 0);
            }
            saved.push((user, policies));
        }
        let synced = catch_unwind(AssertUnwindSafe(|| self.store.sync())).unwrap_or_else(|_| Err(panicked()));
        if let Err(e) = synced {
            // Which of the files are on disk is not known, and asking again would not tell: all are written anew.
            for (user, policies) in &saved {
                self.requeue(user, *policies);
            }
            self.queue.lock().report.errors += 1;
            result = result.and(Err(e));
        }
        let mut queue = self.queue.lock();
        queue.report.failing = result.is_err();
        if let Err(e) = &result {
            queue.report.last_error = Some(e.message().to_owned());
        }
        result
    }

    fn requeue(&self, user: &Arc<User>, policies: u8) {
        if user.state.lock().touch_all(policies) {
            self.queue.lock().users.push(Arc::clone(user));
        }
    }

    /// Saves what changed of one user; says of which policies (one bit each) and whether all went well.
    fn save(&self, user: &User) -> (u8, Result<()>) {
        user.state.lock().queued = false;
        let mut policies = 0;
        for policy in PolicyName::ALL {
            // The lock is held for copying a few hundred numbers, not for formatting or writing them.
            let Some(mut unsaved) = user.state.lock().take_dirty(policy) else { continue };
            let saved = catch_unwind(AssertUnwindSafe(|| {
                if unsaved.set_aside_first {
                    self.store.set_aside(&user.id, policy, &mut unsaved.stamp)?;
                    unsaved.set_aside_first = false;
                }
                self.store.save(&user.id, policy, &unsaved.record, &mut unsaved.stamp)
            }));
            let saved = saved.unwrap_or_else(|_| Err(panicked()));
            user.state.lock().saved(policy, &unsaved, saved.is_ok());
            if saved.is_err() {
                return (policies, saved);
            }
            policies |= 1 << policy as u8;
        }
        (policies, Ok(()))
    }

    /// This thread is the only one that writes, so nothing is written behind its back.
    fn erase(&self, user_id: &str) -> Result<()> {
        for policy in PolicyName::ALL {
            self.store.erase(user_id, policy)?;
        }
        self.store.sync()?;
        self.users.forget(user_id);
        Ok(())
    }
}

fn panicked() -> Error {
    Error::new(ErrorKind::Internal, "the state writer panicked; the change is kept and tried again")
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("report", &self.report()).finish()
    }
}
