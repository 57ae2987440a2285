//! The number of a line.

use serde::{Deserialize, Serialize};

/// (epoch, n): pairs compare from the left and are never used twice. The default is before everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(u32, u64)", into = "(u32, u64)")]
pub struct Seq {
    /// Raised with every start of an engine.
    pub epoch: u32,
    /// Counts within an epoch.
    pub n: u64,
}

impl std::fmt::Display for Seq {
    /// As the id of a decision has it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.epoch, self.n)
    }
}

impl From<(u32, u64)> for Seq {
    fn from((epoch, n): (u32, u64)) -> Self {
        Self { epoch, n }
    }
}

impl From<Seq> for (u32, u64) {
    fn from(seq: Seq) -> Self {
        (seq.epoch, seq.n)
    }
}
