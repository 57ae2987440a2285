//! Tips written by a model: one call to the LLM proxy, with everything that a slow, paid and unreliable dependency needs. A request
//! becomes messages ([`prompt`], [`registry`], [`render`]), these one or several HTTP requests ([`client`]) in the
//! course of a [`call`], and a reply becomes candidates ([`completion`]; [`extract`] with [`thoughts`], [`reply`], [`list`] and [`cut`]; [`items`]). What calls share is in [`generator`]: whose
//! [`turn`] it is, that the proxy is down ([`breaker`]), what happened ([`report`]). Nothing here knows of users' states or policies, and nothing of it runs on a thread that scores.

#[cfg(test)]
mod any_reply;
mod breaker;
mod call;
mod client;
mod completion;
mod cut;
mod extract;
mod generator;
mod items;
mod list;
mod prompt;
mod registry;
mod render;
mod reply;
mod report;
mod retry_after;
mod settings;
mod text;
mod thoughts;
mod turn;

pub use crate::tls::trust_at_last;
pub use call::GenerateResult;
pub use generator::Generator;
pub use items::{Candidate, Dropped};
pub use prompt::{Prompt, PromptSource};
pub use registry::Registry;
pub use render::{Context, GenerateRequest};
pub use report::{BreakerState, GenerateReport, LastError};
pub use settings::{LlmSettings, Secret};
