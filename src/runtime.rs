//! The threads of everything that talks to the network: one runtime for the process, started at first use. Its threads stand back
//! behind the one that scores, and they never hold the process: when Node has nothing left to do, they end with it.

use crate::background::stand_back;
use crate::error::{Error, Result};
use std::sync::{Arc, OnceLock};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

/// One for what arrives while the other is busy. File work is done on threads of the runtime's own pool.
const WORKERS: usize = 2;
/// File work at the same time, and names that are looked up: a dead DNS server holds a thread for many seconds.
const BLOCKING: usize = 32;

static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();

/// The runtime.
///
/// # Errors
/// `ERR_STATE_IO` when the system has no thread left.
pub fn runtime() -> Result<&'static Runtime> {
    let start = || {
        Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .max_blocking_threads(BLOCKING)
            .thread_name("bandits-net")
            .on_thread_start(stand_back)
            .enable_all()
            .build()
            .map_err(|e| e.to_string())
    };
    RUNTIME.get_or_init(start).as_ref().map_err(|e| Error::io("start the network's threads", std::io::Error::other(e.clone())))
}

/// Ends a call whose outcome nobody wants any more.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<Notify>);

impl Cancel {
    /// Ends it, now or, if it has not begun, as soon as it begins.
    pub fn cancel(&self) {
        self.0.notify_one();
    }

    /// Resolves when it is ended.
    pub async fn cancelled(&self) {
        self.0.notified().await;
    }
}
