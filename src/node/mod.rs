//! The only place that names napi: how JavaScript reaches the engine. Mechanical: no defaults, no validation of what users pass
//! (that is `lib/`), no decisions (that is `engine`).
//!
//! Two ways lead in. Calls that happen once in a while are ordinary napi functions on [`engine`]'s classes, with strings and
//! JSON. What is called for each decision and each reaction are raw functions (`raw`), which reach a [`channel`] through the [`gate`]: the
//! caller writes numbers into the [`frame`], a block of memory that both sides see, and finds the answer there; arguments are texts only (`text`).
//! Reading JavaScript objects from native code would cost fifty times as much as reading them in JavaScript does. Memory that both sides see
//! is made in `memory`; candidates that are packed once stay in `prepared`.

mod channel;
#[allow(clippy::needless_pass_by_value)] // napi hands over owned values
#[cfg_attr(test, allow(dead_code))] // napi registers functions with Node only outside of tests
mod engine;
mod error;
#[allow(clippy::needless_pass_by_value)] // as there
#[cfg_attr(test, allow(dead_code))] // as there
mod events;
mod frame;
mod gate;
#[allow(clippy::needless_pass_by_value)] // as there
#[cfg_attr(test, allow(dead_code))] // as there
mod generate;
#[allow(unsafe_code)] // external memory: see the safety arguments there
mod memory;
mod prepared;
mod promise;
#[allow(unsafe_code)] // functions without napi-rs's per-call costs: see the safety arguments there
mod raw;
#[allow(clippy::needless_pass_by_value)] // as there
#[cfg_attr(test, allow(dead_code))] // as there
mod reads;
mod text;
