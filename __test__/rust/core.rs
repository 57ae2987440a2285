//! The engine without Node: what it promises, tested from outside. One file a subject.

// A test says what it expects by panicking, compares doubles bit for bit on purpose, and counts in whatever is at hand.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

mod crash;
mod decisions;
mod disk_faults;
mod engine;
mod erasing_beside;
mod erasure;
mod estimator;
mod events;
mod files;
mod foreign_numbers;
mod history;
mod interleavings;
mod log_fuzz;
mod memory_disk;
mod policies;
mod recovery;
mod shared;
mod state_file_fuzz;
mod support;
mod writer;
