//! Which decisions a policy has already learned from, and what: so that the same feedback counts once and a later one replaces it.

use crate::clock::CLOCK_SLACK_MS;
use crate::log::Seq;

/// Room is made for so many entries at a time: doubling would take twice the memory for the many users whose ledger is full.
const ROOM: usize = 16;

/// One decision that was learned from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// The number of its line.
    pub decision: Seq,
    /// When the person did what counts, in milliseconds since 1970.
    pub at: u64,
    /// What that is worth.
    pub reward: f64,
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    /// Of a decision up to this one that has no entry nothing is known: it may have had one.
    pub floor: Seq,
    /// Decisions up to this one were made before the user was reset. Never above `floor`.
    pub reset: Seq,
    /// Those that were learned from, in order.
    pub entries: Vec<Entry>,
}

impl Ledger {
    /// That of a user who was reset.
    #[must_use]
    pub const fn after_reset(reset: Seq) -> Self {
        Self { floor: reset, reset, entries: Vec::new() }
    }

    /// What was learned from a decision.
    #[must_use]
    pub fn get(&self, decision: Seq) -> Option<Entry> {
        let place = self.entries.binary_search_by_key(&decision, |entry| entry.decision).ok()?;
        self.entries.get(place).copied()
    }

    /// Whether a decision may have had an entry that was pushed out.
    #[must_use]
    pub fn may_have_lost(&self, decision: Seq) -> bool {
        decision <= self.floor && self.get(decision).is_none()
    }

    /// Notes what was learned, in place of what was learned from the same decision before.
    pub fn put(&mut self, entry: Entry) {
        if self.entries.len() == self.entries.capacity() {
            self.entries.reserve_exact(ROOM);
        }
        match self.entries.binary_search_by_key(&entry.decision, |entry| entry.decision) {
            Ok(i) => self.entries[i] = entry,
            Err(i) => self.entries.insert(i, entry),
        }
    }

    /// Forgets decisions after `last`, which nobody has made, and that anything happened after `now_ms`, but for clocks that differ.
    pub fn bound(&mut self, last: Seq, now_ms: u64) {
        if self.floor > last {
            (self.floor, self.reset) = (Seq::default(), Seq::default());
        }
        self.entries.retain(|entry| entry.decision <= last);
        for entry in &mut self.entries {
            if entry.at > now_ms.saturating_add(CLOCK_SLACK_MS) {
                entry.at = now_ms;
            }
        }
    }

    /// Keeps the last `most` decisions; those before them are pushed out. It comes to the same whether this is done after every
    /// [`Ledger::put`] or after many: recovery does it at the end, because the lines that it reads may have been written with a larger
    /// window.
    pub fn keep(&mut self, most: usize) {
        let pushed_out = self.entries.len().saturating_sub(most);
        if let Some(last) = pushed_out.checked_sub(1).and_then(|last| self.entries.get(last)) {
            self.floor = self.floor.max(last.decision);
            self.entries.drain(..pushed_out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Chance;

    const MOST: usize = 64;

    const fn seq(n: u64) -> Seq {
        Seq { epoch: 1, n }
    }

    fn entry(n: u64, reward: f64) -> Entry {
        Entry { decision: seq(n), at: n, reward }
    }

    #[test]
    fn one_entry_a_decision_and_the_oldest_are_pushed_out() {
        let mut ledger = Ledger::default();
        for n in (1..=MOST as u64 + 5).rev() {
            ledger.put(entry(n, 0.0));
            ledger.keep(MOST);
        }
        assert_eq!(ledger.entries.len(), MOST);
        assert_eq!(ledger.floor, seq(5));
        ledger.put(entry(9, 1.0));
        assert_eq!((ledger.entries.len(), ledger.get(seq(9))), (MOST, Some(entry(9, 1.0))));
        assert_eq!([5, 6, 70].map(|n| ledger.may_have_lost(seq(n))), [true, false, false]);
        assert_eq!(ledger.reset, Seq::default());
    }

    #[test]
    fn it_does_not_matter_when_they_are_pushed_out() {
        for most in [1, 7, MOST] {
            let (chance, mut always, mut late) =
                (Chance::seeded(most as u64), Ledger::after_reset(seq(3)), Ledger::after_reset(seq(3)));
            for i in 0..500u64 {
                let entry = entry(4 + chance.draw().below(300) as u64, i as f64);
                // What was pushed out is not revised.
                if !always.may_have_lost(entry.decision) || late.get(entry.decision).is_none() {
                    always.put(entry);
                    late.put(entry);
                    always.keep(most);
                }
            }
            late.keep(most);
            assert_eq!(always, late);
            assert!(always.entries.capacity() <= most + 1 + ROOM, "{most}: {}", always.entries.capacity());
        }
    }

    #[test]
    fn an_entry_that_is_there_is_known_whatever_was_pushed_out() {
        let mut ledger = Ledger { floor: seq(50), ..Ledger::default() };
        ledger.put(entry(9, 1.0));
        ledger.keep(MOST);
        assert_eq!((ledger.may_have_lost(seq(9)), ledger.may_have_lost(seq(8))), (false, true));
    }
}
