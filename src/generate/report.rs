//! What `health()` says of the LLM proxy.

use crate::clock::{Clock, format_millis};
use crate::error::Error;
use serde::Serialize;

/// Whether requests go through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub enum BreakerState {
    #[default]
    Closed,
    Open,
    Probing,
}

/// How the proxy does.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct GenerateReport {
    pub url: String,
    pub prompt_versions: Vec<String>,
    #[serde(flatten)]
    pub tally: Tally,
    pub breaker: BreakerState,
    pub retry_at: Option<String>,
}

/// What happened since open.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct Tally {
    pub calls: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub aborted: u64,
    pub attempts: u64,
    pub retried_replies: u64,
    pub retried_failures: u64,
    pub in_flight: u64,
    pub waiting: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub last_error: Option<LastError>,
    /// Of the last request that found no working proxy.
    #[serde(skip)]
    pub last_failure: String,
}

/// The last call that failed.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct LastError {
    pub ts: String,
    pub code: &'static str,
    pub message: String,
}

impl Tally {
    /// Notes how a call ended; `None`: it was aborted.
    pub fn end<T>(&mut self, outcome: Option<&Result<T, Error>>, clock: &dyn Clock) {
        match outcome {
            None => self.aborted += 1,
            Some(Ok(_)) => self.succeeded += 1,
            Some(Err(error)) => {
                self.failed += 1;
                let (code, message) = (error.kind().code(), error.message().to_owned());
                self.last_error = Some(LastError { ts: format_millis(clock.now_ms()), code, message });
            }
        }
    }
}
