//! Which decisions a policy has already learned from, and what: so that the same feedback counts once and a later one replaces it.

use crate::log::Seq;

/// So many decisions a user and policy can be revised; older ones have expired.
const MOST: usize = 64;

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
    /// Decisions up to this one have expired.
    pub floor: Seq,
    /// Those that were learned from, in order.
    pub entries: Vec<Entry>,
}

impl Ledger {
    /// What was learned from a decision.
    #[must_use]
    pub fn get(&self, decision: Seq) -> Option<Entry> {
        self.entries.iter().find(|entry| entry.decision == decision).copied()
    }

    /// Notes what was learned, in place of what was learned from the same decision before.
    pub fn put(&mut self, entry: Entry) {
        match self.entries.binary_search_by_key(&entry.decision, |entry| entry.decision) {
            Ok(i) => self.entries[i] = entry,
            Err(i) => self.entries.insert(i, entry),
        }
        if self.entries.len() > MOST {
            self.floor = self.floor.max(self.entries.remove(0).decision);
        }
    }

    /// Decisions up to this one expire.
    pub fn expire(&mut self, up_to: Seq) {
        self.floor = self.floor.max(up_to);
        self.entries.retain(|entry| entry.decision > up_to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: u64, reward: f64) -> Entry {
        Entry { decision: Seq { epoch: 1, n }, at: n, reward }
    }

    #[test]
    fn one_entry_a_decision_and_the_oldest_expire() {
        let mut ledger = Ledger::default();
        for n in (1..=MOST as u64 + 5).rev() {
            ledger.put(entry(n, 0.0));
        }
        assert_eq!(ledger.entries.len(), MOST);
        assert_eq!(ledger.floor, Seq { epoch: 1, n: 5 });
        ledger.put(entry(9, 1.0));
        assert_eq!((ledger.entries.len(), ledger.get(Seq { epoch: 1, n: 9 })), (MOST, Some(entry(9, 1.0))));
        ledger.expire(Seq { epoch: 1, n: 10 });
        assert_eq!((ledger.get(Seq { epoch: 1, n: 10 }), ledger.floor), (None, Seq { epoch: 1, n: 10 }));
    }
}
