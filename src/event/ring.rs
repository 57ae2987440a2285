//! The last events, for operators: a bounded list that is cheap to poll, and bells for those who wait for the next one.

use super::subject::SubjectFilter;
use crate::clock::format_millis;
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::Arc;

/// So many events are kept.
pub const KEPT: usize = 500;
/// So many bytes of a payload are kept.
const LONGEST_PAYLOAD: usize = 2048;

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub enum Outcome {
    Handled,
    Stale,
    Ignored,
    Retried,
    Dead,
}

/// One delivery of one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct BusEvent {
    pub seq: u64,
    pub subject: String,
    pub user_id: Option<String>,
    pub ts: String,
    pub received_at: String,
    pub stream: String,
    pub stream_seq: u64,
    pub deliveries: u64,
    pub outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    pub payload: String,
    pub payload_bytes: usize,
}

/// A message as it was delivered.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Where it was published.
    pub subject: String,
    /// What it holds.
    pub payload: Arc<[u8]>,
    /// The stream that has it.
    pub stream: String,
    /// Its number there.
    pub stream_seq: u64,
    /// When the server took it, in milliseconds since 1970.
    pub published_ms: u64,
    /// 1 the first time.
    pub deliveries: u64,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// In a word.
    pub outcome: Outcome,
    /// Whom it is about, where it says so.
    pub user_id: Option<String>,
    /// Why it failed.
    pub problem: Option<String>,
    /// It failed because of when it says that it happened.
    pub is_mistimed: bool,
}

/// Which events to list.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Of these subjects.
    pub subject: Option<SubjectFilter>,
    /// About this user.
    pub user_id: Option<String>,
    /// Noted after this one.
    pub since_seq: Option<u64>,
    /// At most so many: with `since_seq` the oldest of them, so that a reader goes on from there, else the newest.
    pub limit: Option<usize>,
}

type Bell = Arc<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct Inner {
    events: VecDeque<Arc<BusEvent>>,
    last: u64,
    bells: Vec<(u64, Bell)>,
    bells_given: u64,
}

/// See the module.
#[derive(Default)]
pub struct EventRing {
    inner: Mutex<Inner>,
}

impl EventRing {
    /// Notes what became of some deliveries, and rings.
    pub fn note<'a>(&self, noted: impl IntoIterator<Item = (&'a Delivery, &'a Verdict)>, now_ms: u64) {
        let mut inner = self.inner.lock();
        for (delivery, verdict) in noted {
            inner.last += 1;
            let text = String::from_utf8_lossy(&delivery.payload[..delivery.payload.len().min(LONGEST_PAYLOAD)]);
            let event = BusEvent {
                seq: inner.last,
                subject: delivery.subject.clone(),
                user_id: verdict.user_id.clone(),
                ts: format_millis(delivery.published_ms),
                received_at: format_millis(now_ms),
                stream: delivery.stream.clone(),
                stream_seq: delivery.stream_seq,
                deliveries: delivery.deliveries,
                outcome: verdict.outcome,
                problem: verdict.problem.clone(),
                payload: text.into_owned(),
                payload_bytes: delivery.payload.len(),
            };
            if inner.events.len() >= KEPT {
                inner.events.pop_front();
            }
            inner.events.push_back(Arc::new(event));
        }
        let bells: Vec<_> = inner.bells.iter().map(|(_, bell)| Arc::clone(bell)).collect();
        drop(inner);
        for bell in bells {
            bell();
        }
    }

    /// The events that a filter means, oldest first.
    #[must_use]
    pub fn list(&self, filter: &EventFilter) -> Vec<Arc<BusEvent>> {
        let inner = self.inner.lock();
        let since = filter.since_seq.unwrap_or(0);
        let is_meant = |event: &&Arc<BusEvent>| {
            event.seq > since
                && filter.subject.as_ref().is_none_or(|subject| subject.matches(&event.subject))
                && filter.user_id.as_ref().is_none_or(|user_id| event.user_id.as_ref() == Some(user_id))
        };
        let limit = filter.limit.unwrap_or(KEPT);
        if filter.since_seq.is_some() {
            return inner.events.iter().filter(is_meant).take(limit).map(Arc::clone).collect();
        }
        let mut found: Vec<_> = inner.events.iter().rev().filter(is_meant).take(limit).map(Arc::clone).collect();
        found.reverse();
        found
    }

    /// Has `bell` called, on whichever thread notes, when there is something new; it must not wait for anything. Says under which
    /// number it is, and which event was the last one before.
    pub fn watch(&self, bell: Bell) -> (u64, u64) {
        let mut inner = self.inner.lock();
        inner.bells_given += 1;
        let number = inner.bells_given;
        inner.bells.push((number, bell));
        (number, inner.last)
    }

    /// The bell of this number is not called any more, once this has returned and calls under way have.
    pub fn unwatch(&self, number: u64) {
        self.inner.lock().bells.retain(|(other, _)| *other != number);
    }

    /// Forgets what is about a user.
    pub fn forget(&self, user_id: &str) {
        self.inner.lock().events.retain(|event| event.user_id.as_deref() != Some(user_id));
    }
}

impl std::fmt::Debug for EventRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventRing").field("last", &self.inner.lock().last).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn note(ring: &EventRing, subject: &str, user_id: &str, payload: &[u8]) {
        let delivery = Delivery {
            subject: subject.to_owned(),
            payload: payload.into(),
            stream: "S".to_owned(),
            stream_seq: 1,
            published_ms: 0,
            deliveries: 1,
        };
        let verdict = Verdict { outcome: Outcome::Handled, user_id: Some(user_id.to_owned()), problem: None, is_mistimed: false };
        ring.note([(&delivery, &verdict)], 0);
    }

    #[test]
    fn the_last_ones_stay_and_filters_choose() {
        let ring = EventRing::default();
        for i in 0..KEPT + 20 {
            note(&ring, if i % 2 == 0 { "signals.a" } else { "feedback.b" }, &format!("u{}", i % 3), b"{}");
        }
        let seqs = |filter: &EventFilter| ring.list(filter).iter().map(|event| event.seq).collect::<Vec<_>>();
        let all = seqs(&EventFilter::default());
        assert_eq!((all.len(), all[0], all[KEPT - 1]), (KEPT, 21, 520));
        let subject = Some(SubjectFilter::parse("subject", "signals.>").unwrap());
        let filter = EventFilter { subject, user_id: Some("u0".to_owned()), since_seq: None, limit: Some(2) };
        assert_eq!(seqs(&filter), [511, 517]);
        assert_eq!(seqs(&EventFilter { since_seq: Some(490), ..filter.clone() }), [493, 499]);
        assert_eq!(seqs(&EventFilter { since_seq: Some(520), ..EventFilter::default() }), [0_u64; 0]);
        ring.forget("u0");
        assert_eq!(seqs(&filter), [0_u64; 0]);
    }

    #[test]
    fn payloads_are_bounded_and_bells_ring() {
        let ring = EventRing::default();
        let calls = Arc::new(AtomicU32::new(0));
        let bell = Arc::clone(&calls);
        let (number, last) = ring.watch(Arc::new(move || {
            bell.fetch_add(1, Ordering::Relaxed);
        }));
        note(&ring, "s", "u", "ü".repeat(5000).as_bytes());
        ring.unwatch(number);
        note(&ring, "s", "u", b"\xff");
        assert_eq!((last, calls.load(Ordering::Relaxed)), (0, 1));
        let events = ring.list(&EventFilter::default());
        assert!(events[0].payload.len() <= LONGEST_PAYLOAD + 3 && events[0].payload_bytes == 10_000);
    }
}
