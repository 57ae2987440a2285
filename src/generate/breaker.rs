//! Remembers that the proxy is down, so that nobody waits for it: after some failures in a row requests are refused at once, and now and
//! then one is let through to see whether it is back (Nygard, "Release It!", 2018, section 5.2).

use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// So many failures in a row open it.
pub const FAILURES: u32 = 5;
/// How long it stays open the first time; doubled with each probe that fails.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy)]
enum State {
    /// `last`: when the last failure that counted was noticed.
    Closed {
        failures: u32,
        last: Option<Instant>,
    },
    Open {
        until: Instant,
        wait: Duration,
    },
    Probing {
        wait: Duration,
    },
}

/// See the module.
#[derive(Debug)]
pub struct Breaker {
    state: Mutex<State>,
}

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Requests go through.
    Closed,
    /// They do not; after this time one will.
    Open(Duration),
    /// One is on its way.
    Probing,
}

/// A request that was let through. Dropped without a word about how it went, it counts for nothing.
#[derive(Debug)]
pub struct Pass<'b> {
    breaker: &'b Breaker,
    began: Instant,
    is_probe: bool,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { state: Mutex::new(State::Closed { failures: 0, last: None }) }
    }
}

impl Breaker {
    /// Lets a request through, or says after which time it is worth asking again.
    pub fn admit(&self, now: Instant) -> Result<Pass<'_>, Duration> {
        let mut state = self.state.lock();
        let is_probe = match *state {
            State::Closed { .. } => false,
            State::Open { until, wait } if now >= until => {
                *state = State::Probing { wait };
                true
            }
            State::Open { until, .. } => return Err(until - now),
            State::Probing { wait } => return Err(wait),
        };
        Ok(Pass { breaker: self, began: now, is_probe })
    }

    /// Whether a request would be let through now.
    pub fn refuses(&self, now: Instant) -> Option<Duration> {
        match *self.state.lock() {
            State::Closed { .. } => None,
            State::Open { until, .. } => until.checked_duration_since(now).filter(|left| !left.is_zero()),
            State::Probing { wait } => Some(wait),
        }
    }

    /// How it stands.
    pub fn standing(&self, now: Instant) -> Standing {
        match *self.state.lock() {
            State::Closed { .. } => Standing::Closed,
            State::Open { until, .. } => Standing::Open(until.saturating_duration_since(now)),
            State::Probing { .. } => Standing::Probing,
        }
    }
}

impl Pass<'_> {
    /// The proxy answered, be it with a refusal.
    pub fn answered(self) {
        *self.breaker.state.lock() = State::Closed { failures: 0, last: None };
    }

    /// It did not, or not as one that works. Requests that fail together tell of one outage, not of several; those that were `late`
    /// each tell of as much time.
    pub fn failed(self, now: Instant, late: bool) {
        let mut state = self.breaker.state.lock();
        *state = match *state {
            State::Closed { last: Some(last), .. } if !late && self.began < last => *state,
            State::Closed { failures, .. } if failures + 1 < FAILURES => State::Closed { failures: failures + 1, last: Some(now) },
            State::Closed { .. } => State::Open { until: now + FIRST_WAIT, wait: FIRST_WAIT },
            State::Probing { wait } if self.is_probe => {
                let wait = (wait * 2).min(LAST_WAIT);
                State::Open { until: now + wait, wait }
            }
            // One from before it opened says nothing new.
            state => state,
        };
    }
}

impl Drop for Pass<'_> {
    /// A probe that nobody waits for any more: the next request is one.
    fn drop(&mut self) {
        let mut state = self.breaker.state.lock();
        if let (true, State::Probing { wait }) = (self.is_probe, *state) {
            *state = State::Open { until: Instant::now(), wait };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn fail(breaker: &Breaker, now: Instant) {
        breaker.admit(now).unwrap().failed(now, false);
    }

    #[test]
    fn opens_after_failures_in_a_row_and_not_before() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..FAILURES - 1 {
            fail(&breaker, now);
        }
        breaker.admit(now).unwrap().answered();
        for _ in 0..FAILURES - 1 {
            fail(&breaker, now);
        }
        assert_eq!((breaker.standing(now), breaker.refuses(now)), (Standing::Closed, None));
        fail(&breaker, now);
        assert_eq!((breaker.standing(now), breaker.refuses(now)), (Standing::Open(SECOND), Some(SECOND)));
        assert_eq!(breaker.admit(now).unwrap_err(), SECOND);
    }

    #[test]
    fn one_probe_at_a_time_decides() {
        let (breaker, mut now) = (Breaker::default(), Instant::now());
        let early = breaker.admit(now).unwrap();
        (0..FAILURES).for_each(|_| fail(&breaker, now));
        for seconds in [2, 4, 8, 16, 30, 30] {
            now += breaker.refuses(now).unwrap();
            assert_eq!(breaker.refuses(now), None);
            let probe = breaker.admit(now).unwrap();
            assert!(breaker.admit(now).is_err() && breaker.refuses(now).is_some());
            assert_eq!(breaker.standing(now), Standing::Probing);
            probe.failed(now, false);
            assert_eq!(breaker.standing(now), Standing::Open(SECOND * seconds));
        }
        early.failed(now, false);
        assert_eq!(breaker.standing(now), Standing::Open(SECOND * 30));
        now += SECOND * 30;
        breaker.admit(now).unwrap().answered();
        assert_eq!(breaker.standing(now), Standing::Closed);
    }

    #[test]
    fn a_probe_that_is_given_up_makes_room_for_the_next() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        (0..FAILURES).for_each(|_| fail(&breaker, now));
        let later = now + SECOND;
        drop(breaker.admit(later).unwrap());
        assert!(breaker.admit(Instant::now() + SECOND).is_ok());
    }

    #[test]
    fn a_probe_that_is_given_up_leaves_the_wait_as_it_was() {
        let (breaker, mut now) = (Breaker::default(), Instant::now());
        (0..FAILURES).for_each(|_| fail(&breaker, now));
        now += SECOND;
        drop(breaker.admit(now).unwrap());
        assert_eq!(breaker.refuses(now), None);
        fail(&breaker, now);
        assert_eq!(breaker.standing(now), Standing::Open(2 * SECOND));
        now += 2 * SECOND;
        drop(breaker.admit(now).unwrap());
        fail(&breaker, now);
        assert_eq!(breaker.standing(now), Standing::Open(4 * SECOND));
    }

    #[test]
    fn a_late_failure_is_no_outcome_of_the_probe() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        let early = breaker.admit(now).unwrap();
        (0..FAILURES).for_each(|_| fail(&breaker, now));
        let probe = breaker.admit(now + SECOND).unwrap();
        early.failed(now + SECOND, false);
        assert_eq!(breaker.standing(now + SECOND), Standing::Probing);
        probe.answered();
        assert_eq!(breaker.standing(now + SECOND), Standing::Closed);
    }

    #[test]
    fn a_late_answer_closes_it() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        let early = breaker.admit(now).unwrap();
        (0..FAILURES).for_each(|_| fail(&breaker, now));
        early.answered();
        assert_eq!(breaker.standing(now), Standing::Closed);
    }
}
