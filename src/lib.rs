//! Contextual bandits with per-user state, inside the calling process.
//!
//! Data flows one way: request → [`feature`] → [`policy`] → [`state`] → [`log`]; [`engine`] composes them, and `node` (feature
//! `node`) is the thin glue to JavaScript. Time, chance and files come in through [`clock`], [`rng`] and [`disk`] only.

// Tests compare with exact values on purpose, count in small numbers, and fail where they stand.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::float_cmp,
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::items_after_statements
    )
)]

pub mod engine;
#[cfg(feature = "node")]
mod node;

pub use engine::Engine;
pub use oo_bandits_cold::{event, generate, insight, settings};
pub use oo_bandits_core::{Error, ErrorKind, Reason, Result, clock, disk, error, feature, log, policy, rng, state};
use oo_bandits_core::{background, json};
