//! Which feedback belongs to which decision: of several, the last line counts; of a line that stands there twice, one.

use super::lean::LeanFeedback;
use super::names::Names;
use crate::log::Seq;

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

/// Calls `each` for every decision once, in order, with the feedback that counts.
pub fn join<D>(decisions: &mut Vec<D>, seq: fn(&D) -> Seq, feedback: &mut [Feedback], mut each: impl FnMut(&D, Option<&Feedback>)) {
    // Both come as a few runs in order, which a stable sort finds.
    decisions.sort_by_key(seq);
    decisions.dedup_by_key(|decision| seq(decision));
    feedback.sort_by_key(|line| (line.decision, line.seq));
    let mut at = 0;
    for decision in &*decisions {
        let number = seq(decision);
        while feedback.get(at).is_some_and(|line| line.decision < number) {
            at += 1;
        }
        let mut last = None;
        while let Some(line) = feedback.get(at).filter(|line| line.decision == number) {
            last = Some(line);
            at += 1;
        }
        each(decision, last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(n: u64) -> Seq {
        Seq { epoch: 1, n }
    }

    #[test]
    fn the_last_line_counts_and_every_decision_comes_once() {
        let mut decisions = vec![number(4), number(1), number(9), number(4)];
        let line = |decision, seq, reward| Feedback { decision: number(decision), seq: number(seq), action: None, reward, at: 0 };
        let mut feedback =
            vec![line(9, 12, 3.0), line(1, 8, 2.0), line(1, 2, 1.0), line(3, 11, 9.0), line(9, 12, 3.0), line(77, 99, 9.0)];
        let mut seen = Vec::new();
        join(&mut decisions, |&seq| seq, &mut feedback, |decision, line| seen.push((decision.n, line.map(|line| line.reward))));
        assert_eq!(seen, [(1, Some(2.0)), (4, None), (9, Some(3.0))]);
    }
}
