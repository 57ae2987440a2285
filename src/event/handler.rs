//! What a message does. A batch is handled together: of several syncs of one user only the newest is written, once, and the
//! directory is synced once. Handling a message twice leaves what handling it once does.

use super::payload::{Misread, Payload, parse_payload};
use super::ring::{Delivery, Outcome, Verdict};
use super::sync_files::{SyncFiles, SyncState, When};
use super::time::Latest;
use crate::error::Result;
use std::collections::HashMap;

/// The subject whose messages say that a user's tasks were fetched.
const TASK_SYNCED: &str = "signals.task.synced";
/// Feedback that is only looked at: rewards come by `reward()`.
const TIP_FEEDBACK: &str = "signals.tip.feedback";
const FEEDBACK: &str = "feedback.";

fn verdict(outcome: Outcome, user_id: Option<String>, problem: Option<String>) -> Verdict {
    Verdict { outcome, user_id, problem, is_mistimed: false }
}

/// Handles messages, in the order of their numbers in the stream; says of each what became of it. What failed for now is
/// [`Outcome::Retried`]: whether it is tried again is the consumer's to decide. `now_ms` bounds when they may have happened.
pub fn handle(files: &SyncFiles, deliveries: &[Delivery], now_ms: u64) -> Vec<Verdict> {
    let mut verdicts: Vec<Option<Verdict>> = vec![None; deliveries.len()];
    let mut syncs: HashMap<String, Vec<(usize, SyncState)>> = HashMap::new();
    for (i, delivery) in deliveries.iter().enumerate() {
        let is_sync = delivery.subject == TASK_SYNCED;
        if !is_sync && delivery.subject != TIP_FEEDBACK && !delivery.subject.starts_with(FEEDBACK) {
            verdicts[i] = Some(verdict(Outcome::Ignored, None, None));
            continue;
        }
        match parse_payload(&delivery.payload, Latest::of(delivery.published_ms, now_ms)) {
            Err(Misread { problem, is_time }) => {
                verdicts[i] = Some(Verdict { is_mistimed: is_time, ..verdict(Outcome::Dead, None, Some(problem)) });
            }
            Ok(Payload { user_id, ms, id, data }) if is_sync => {
                let when = When { ms: ms.unwrap_or(delivery.published_ms), stream_seq: delivery.stream_seq };
                let state = SyncState::new(user_id.clone(), when, &delivery.subject, &delivery.stream, id, data);
                syncs.entry(user_id).or_default().push((i, state));
            }
            Ok(Payload { user_id, .. }) => verdicts[i] = Some(verdict(Outcome::Handled, Some(user_id), None)),
        }
    }
    let mut written = Vec::new();
    let last_published = deliveries.iter().map(|delivery| delivery.published_ms).max();
    let latest = Latest::of(last_published.unwrap_or(0), now_ms);
    for (user_id, events) in syncs {
        match save_newest(files, &user_id, &events, latest) {
            Ok(outcomes) => {
                for ((i, _), outcome) in events.iter().zip(outcomes) {
                    written.push(*i);
                    verdicts[*i] = Some(verdict(outcome, Some(user_id.clone()), None));
                }
            }
            Err(e) => {
                for (i, _) in &events {
                    verdicts[*i] = Some(verdict(Outcome::Retried, Some(user_id.clone()), Some(e.message().to_owned())));
                }
            }
        }
    }
    // Acknowledged is what survives power loss.
    if let Some(Err(e)) = (!written.is_empty()).then(|| files.sync()) {
        for i in written {
            if let Some(verdict) = &mut verdicts[i] {
                (verdict.outcome, verdict.problem) = (Outcome::Retried, Some(e.message().to_owned()));
            }
        }
    }
    verdicts.into_iter().map(|found| found.unwrap_or_else(|| verdict(Outcome::Ignored, None, None))).collect()
}

/// Writes the newest of one user's events if it is newer than what is there; says what became of each.
fn save_newest(files: &SyncFiles, user_id: &str, events: &[(usize, SyncState)], latest: Latest) -> Result<Vec<Outcome>> {
    let (before, is_unsure) = (files.load(user_id)?, files.is_unsure());
    // A release that did not bound times may have left one that lies ahead, before which every event would be old.
    let mut newest = before.as_ref().filter(|state| latest.allows(state.when().ms));
    let mut outcomes = Vec::with_capacity(events.len());
    for (_, state) in events {
        let again = |other: &SyncState| is_unsure && other.when() == state.when();
        let is_newer = newest.is_none_or(|other| other.when() < state.when() || again(other));
        if is_newer {
            newest = Some(state);
        }
        outcomes.push(if is_newer { Outcome::Handled } else { Outcome::Stale });
    }
    if let Some(state) = newest.filter(|_| outcomes.contains(&Outcome::Handled)) {
        files.save(state)?;
    }
    Ok(outcomes)
}
