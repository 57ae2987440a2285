//! What decides, learns and remembers: the crate `oo-bandits-core`, compiled for speed. It is re-exported by `oo-bandits`, which has
//! the engine that composes it.

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

pub mod background;
pub mod clock;
pub mod disk;
pub mod error;
pub mod feature;
pub mod json;
pub mod log;
pub mod policy;
pub mod rng;
pub mod state;

pub use error::{Error, ErrorKind, Reason, Result};
