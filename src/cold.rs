//! What is not asked on the way of a decision, a reward or a line of the log: the crate `oo-bandits-cold`, compiled for size (see
//! Cargo.toml). Settings, the network, and the questions to the log.

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

pub mod event;
pub mod generate;
pub mod insight;
mod runtime;
pub mod settings;
mod tls;

pub use oo_bandits_core::{Error, ErrorKind, Result};
use oo_bandits_core::{background, clock, disk, error, feature, json, log, policy, rng, state};
