//! What the crate's threads have in common: jobs that others hand them and are told the outcome of, how long they wait before a
//! failed attempt is made again, that a panic ends a piece of work and not the thread, and that they stand back behind the one
//! that scores. What they do is in `log`, `state` and `event`.

use crate::error::{Done, Error, ErrorKind, Result, again};
use crate::rng::jitter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// Jobs that wait for a thread.
pub struct Jobs<J> {
    waiting: Vec<(J, Done)>,
    ended: bool,
}

impl<J> Default for Jobs<J> {
    fn default() -> Self {
        Self { waiting: Vec::new(), ended: false }
    }
}

impl<J> Jobs<J> {
    /// Adds a job.
    ///
    /// # Errors
    /// The thread has ended: whoever asked has to be told, without the lock that protects the jobs.
    pub fn add(&mut self, job: J, done: Done) -> Result<(), Done> {
        if self.ended {
            return Err(done);
        }
        self.waiting.push((job, done));
        Ok(())
    }

    /// No job waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The jobs so far, in order.
    pub fn take(&mut self) -> Vec<(J, Done)> {
        std::mem::take(&mut self.waiting)
    }

    /// No job is taken any more; those that came too late are returned, for [`say_closed`].
    pub fn end(&mut self) -> Vec<(J, Done)> {
        self.ended = true;
        self.take()
    }
}

/// Tells those whose jobs came too late.
pub fn say_closed<J>(late: Vec<(J, Done)>) {
    for (_, done) in late {
        done(Err(Error::closed()));
    }
}

/// Tells everybody how it went.
pub fn say(outcome: &Result<()>, waiting: Vec<Done>) {
    for done in waiting {
        done(again(outcome));
    }
}

/// Does a piece of work; a panic in it becomes an error that names `thread`.
///
/// # Errors
/// That of `work`, or `ERR_INTERNAL` when it panicked.
pub fn guarded<T>(thread: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let panicked = |_| Err(Error::new(ErrorKind::Internal, format!("{thread} panicked; what it was at is kept and tried again")));
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(panicked)
}

/// How far a thread behind stands back, in the steps of nice(1).
const NICENESS: i32 = 10;

/// Where two threads want one core, scoring goes first. Called by a thread about itself; not being allowed to is no problem.
#[cfg(target_os = "linux")]
pub fn stand_back() {
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
}

/// Elsewhere a priority is the whole process's.
#[cfg(not(target_os = "linux"))]
pub const fn stand_back() {
    let _ = NICENESS;
}

/// The wait before the next attempt, doubled with each failure in a row.
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    last: Duration,
    wait: Option<Duration>,
}

impl Default for Backoff {
    /// For a disk.
    fn default() -> Self {
        Self::between(Self::FIRST, Self::LAST)
    }
}

impl Backoff {
    /// The wait after the first failure of a disk.
    pub const FIRST: Duration = Duration::from_millis(100);
    /// No wait for a disk is longer.
    pub const LAST: Duration = Duration::from_secs(5);

    /// The wait after the first failure, and the longest.
    #[must_use]
    pub const fn between(first: Duration, last: Duration) -> Self {
        Self { first, last, wait: None }
    }

    /// Notes how an attempt went.
    pub fn note<T, E>(&mut self, outcome: &Result<T, E>) {
        self.wait = match (outcome, self.wait) {
            (Ok(_), _) => None,
            (Err(_), None) => Some(self.first),
            (Err(_), Some(before)) => Some((before * 2).min(self.last)),
        };
    }

    /// How long to wait; `None` when the last attempt went well.
    #[must_use]
    pub const fn wait(&self) -> Option<Duration> {
        self.wait
    }
}

/// `first`, doubled so often, at most `last`, and up to the share `spread` of that more: those who fail together must not come back
/// together.
#[must_use]
pub fn spread_wait(first: Duration, doublings: u64, last: Duration, spread: f64) -> Duration {
    let wait = first.saturating_mul(1 << doublings.min(20)).min(last);
    wait + wait.mul_f64(jitter() * spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_last_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::default();
        let failed: Result<()> = Err(Error::closed());
        let waits: Vec<_> = (0..8)
            .map(|_| {
                backoff.note(&failed);
                backoff.wait().unwrap().as_millis()
            })
            .collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        backoff.note(&Ok::<(), Error>(()));
        assert_eq!(backoff.wait(), None);
    }

    #[test]
    fn spread_waits_double_up_to_the_last_and_a_share_more() {
        let (first, last) = (Duration::from_secs(1), Duration::from_mins(1));
        for (doublings, seconds) in [(0, 1), (1, 2), (2, 4), (5, 32), (6, 60), (1000, 60)] {
            let wait = spread_wait(first, doublings, last, 0.25).as_secs_f64();
            let expected = f64::from(seconds);
            assert!((expected..=1.25 * expected).contains(&wait), "{doublings}: {wait}");
        }
    }

    #[test]
    fn a_panic_is_an_error_that_names_the_thread() {
        let outcome: Result<()> = guarded("the log's thread", || panic!("on purpose"));
        assert!(outcome.unwrap_err().message().starts_with("the log's thread panicked"));
    }

    #[test]
    fn whoever_comes_late_is_told() {
        let mut jobs = Jobs::default();
        assert!(jobs.add(1, Box::new(|_| {})).is_ok());
        assert_eq!(jobs.end().len(), 1);
        assert!(jobs.add(2, Box::new(|_| {})).is_err());
        assert!(jobs.is_empty());
    }
}
