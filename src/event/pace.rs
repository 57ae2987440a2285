//! For how long to wait before the next attempt to connect.

use crate::background::spread_wait;
use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// The longest wait before another attempt.
const LAST_RETRY: Duration = Duration::from_secs(4);
/// A connection that did not last so long counts as a failed attempt: a server whose messages cannot be read, say, lets us in each time.
pub const STEADY: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug, Default)]
pub struct Pace {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Since when there is the connection that stands or was lost last; `None` before there was one.
    since: Option<Instant>,
    /// How many connections in a row were lost too soon.
    short_lives: u64,
}

impl Pace {
    /// There is a client with a connection. From now on, it calls [`Pace::wait`] with 1 after each connection that it had.
    pub fn connected(&self) {
        self.inner.lock().since = Some(Instant::now());
    }

    /// How many connections in a row did not last.
    pub fn short_lives(&self) -> u64 {
        self.inner.lock().short_lives
    }

    /// The client is no more: another has to be made, after the wait that is returned.
    pub fn ended(&self) -> Duration {
        let wait = self.wait(1);
        self.inner.lock().since = None;
        wait
    }

    /// Before an attempt, the first of which is 1: 2, 4, 8 … ms up to a few seconds, and up to a half of that more: many clients must not
    /// come back at the same moment. (The client's own waits have no such jitter, and begin anew with each connection.)
    pub fn wait(&self, attempts: usize) -> Duration {
        let mut inner = self.inner.lock();
        if let (1, Some(since)) = (attempts, inner.since) {
            inner.short_lives = if since.elapsed() < STEADY { inner.short_lives + 1 } else { 0 };
        }
        let doublings = (attempts as u64).saturating_add(inner.short_lives);
        let wait = spread_wait(Duration::from_millis(1), doublings, LAST_RETRY, 0.5);
        if inner.since.is_some() {
            inner.since = Some(Instant::now() + wait);
        }
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(wait: Duration) -> f64 {
        wait.as_secs_f64() * 1000.0
    }

    #[test]
    fn waits_double_while_nobody_answers() {
        let pace = Pace::default();
        for (attempt, least) in [(1, 2.0), (2, 4.0), (5, 32.0), (12, 4000.0), (1000, 4000.0)] {
            let wait = millis(pace.wait(attempt));
            assert!((least..=1.5 * least).contains(&wait), "{attempt}: {wait}");
        }
    }

    #[test]
    fn connections_that_do_not_last_count_as_failed_attempts() {
        let pace = Pace::default();
        pace.connected();
        let mut total = 0.0;
        for lost in 1..=30_u32 {
            // The client begins to count anew with each connection.
            let wait = millis(pace.wait(1));
            let least = (2.0 * f64::from(1_u32 << lost.min(20))).min(4000.0);
            assert!((least..=1.5 * least).contains(&wait), "{lost}: {wait}");
            assert_eq!(pace.short_lives(), u64::from(lost));
            total += wait;
        }
        // 240 a second, it was.
        assert!(total > 60_000.0, "30 connections within {total} ms");
        pace.inner.lock().since = Instant::now().checked_sub(STEADY);
        assert!(millis(pace.wait(1)) <= 3.0);
        assert_eq!(pace.short_lives(), 0);
    }

    #[test]
    fn a_client_that_ended_counts_too() {
        let pace = Pace::default();
        for lost in 1..=5 {
            pace.connected();
            pace.ended();
            assert_eq!(pace.short_lives(), lost);
            // The attempts of a client that is not connected yet are none of a connection that was lost.
            let _ = (pace.wait(1), pace.wait(1));
            assert_eq!(pace.short_lives(), lost);
        }
    }
}
