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

pub mod boundary;
pub mod clock;
pub mod disk;
pub mod engine;
pub mod error;
pub mod event;
pub mod feature;
pub mod generate;
pub mod insight;
pub mod log;
pub mod policy;
pub mod rng;
pub mod settings;
pub mod state;

mod background;
mod json;
#[cfg(feature = "node")]
mod node;
mod runtime;
mod tls;

pub use engine::Engine;
pub use error::{Error, ErrorKind, Reason, Result};
