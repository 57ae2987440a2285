//! Which feedback belongs to which decision: of several, the last line counts; of a line that stands there twice, one.

use super::names::Names;
use crate::log::{LeanFeedback, Seq};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// One line of feedback.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Feedback {
    /// The decision's number.
    pub decision: Seq,
    /// The line's own.
    pub seq: Seq,
    /// What was done, where it has a name: its number among names.
    pub action: Option<u32>,
    /// What that is worth.
    pub reward: f64,
    /// When, in milliseconds since 1970.
    pub at: u64,
}

impl Feedback {
    /// What counts of a line with the number `seq`.
    pub fn new(seq: Seq, lean: &LeanFeedback<'_>, names: &mut Names) -> Self {
        let action = lean.action.as_ref().map(|action| names.number(action));
        Self { decision: lean.decision, seq, action, reward: lean.reward, at: lean.at }
    }
}

/// Where the feedback that counts stands, by decision.
pub fn last_of_each(feedback: &[Feedback]) -> HashMap<Seq, usize> {
    let mut last = HashMap::with_capacity(feedback.len());
    for (place, line) in feedback.iter().enumerate() {
        let known = last.entry(line.decision).or_insert(place);
        if feedback[*known].seq < line.seq {
            *known = place;
        }
    }
    last
}

/// So often is looked whether the question was cancelled.
const LOOK_EVERY: usize = 4096;

/// Calls `each` for every decision once, with the feedback that counts. `None` when the question was cancelled.
pub fn join<D>(
    decisions: &[D],
    seq: fn(&D) -> Seq,
    feedback: &[Feedback],
    cancelled: &AtomicBool,
    mut each: impl FnMut(&D, Option<&Feedback>),
) -> Option<()> {
    let last = last_of_each(feedback);
    let mut seen = HashMap::with_capacity(decisions.len());
    for (place, decision) in decisions.iter().enumerate() {
        if place.is_multiple_of(LOOK_EVERY) && cancelled.load(Ordering::Relaxed) {
            return None;
        }
        let number = seq(decision);
        if seen.insert(number, place).is_none() {
            each(decision, last.get(&number).map(|&place| &feedback[place]));
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(n: u64) -> Seq {
        Seq { epoch: 1, n }
    }

    #[test]
    fn the_last_line_counts_and_every_decision_comes_once() {
        let decisions = vec![number(4), number(1), number(9), number(4)];
        let line = |decision, seq, reward| Feedback { decision: number(decision), seq: number(seq), action: None, reward, at: 0 };
        let feedback =
            vec![line(9, 12, 3.0), line(1, 8, 2.0), line(1, 2, 1.0), line(3, 11, 9.0), line(9, 12, 3.0), line(77, 99, 9.0)];
        let mut seen = Vec::new();
        let never = AtomicBool::new(false);
        join(&decisions, |&seq| seq, &feedback, &never, |decision, line| seen.push((decision.n, line.map(|line| line.reward))));
        assert_eq!(seen, [(4, None), (1, Some(2.0)), (9, Some(3.0))]);
    }

    #[test]
    fn a_cancelled_question_ends_within_some_thousand_decisions() {
        let decisions: Vec<Seq> = (0..100_000).map(number).collect();
        let (cancelled, mut seen) = (AtomicBool::new(false), 0);
        let joined = join(
            &decisions,
            |&seq| seq,
            &[],
            &cancelled,
            |decision, _| {
                seen += 1;
                cancelled.store(decision.n >= 5000, Ordering::Relaxed);
            },
        );
        assert_eq!((joined, seen), (None, 8192));
    }
}
