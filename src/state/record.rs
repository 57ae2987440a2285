//! What is kept of one user under one policy, independent of how it is stored.

use super::history::HistoryRow;
use super::ledger::Ledger;
use crate::log::Seq;

/// No count is above this one, the last that every reader of JSON takes for what it is.
pub const MOST_COUNTED: u64 = (1 << 53) - 1;

/// What is counted beside A and b.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counters {
    /// How often the policy scored.
    pub pulls: u64,
    /// How many of them explored.
    pub explore_count: u64,
    /// How many rewards it learned from.
    pub reward_count: u64,
    /// Their sum.
    pub cumulative_reward: f64,
    /// Seconds since 1970, of the last pull or reward.
    pub last_updated: Option<u32>,
}

/// How much is kept of each user beside what was learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserBounds {
    /// How many scored vectors are remembered.
    pub history_size: u32,
    /// Of how many decisions, the last ones that were reacted to, a later reaction can replace an earlier one.
    pub revisable_decisions: usize,
}

/// One user's state under one policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// A's packed lower triangle, d(d+1)/2 numbers.
    pub a: Vec<f64>,
    /// b, d numbers.
    pub b: Vec<f64>,
    /// The counts.
    pub counters: Counters,
    /// The last line of the interaction log that is in it; before everything where the log knows nothing of it.
    pub seq: Seq,
    /// The log does not have all of it: nothing was appended for a time.
    pub unlogged: bool,
    /// The policy's part of the user's history.
    pub history: Vec<HistoryRow>,
    /// Which decisions were learned from.
    pub ledger: Ledger,
    /// What somebody else wrote into the file's `meta`, key and JSON text; kept to the letter.
    pub extra: Option<Extra>,
}

/// Keys and the JSON text of their values.
pub type Extra = Box<[(String, String)]>;
