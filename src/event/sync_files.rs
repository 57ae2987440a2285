//! What is known of a user's last sync with the task list: a small file per user in `STATE_DIR/sync/`, replaced whole.
//! `docs/events.md` says what is in it.

use crate::clock::{Clock, SystemClock, format_millis, parse_any_time};
use crate::disk::{Directory, Room};
use crate::error::{Error, ErrorKind, Result};
use crate::state::hashed_name;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const VERSION: u32 = 1;
/// One writer, one name, as for state files.
const TEMPORARY: &str = ".sync.tmp";

/// By so much clocks may differ.
const SLACK_MS: u64 = 5 * 60 * 1000;

/// A user's last sync.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct SyncState {
    pub v: u32,
    pub user_id: String,
    pub ts: String,
    pub subject: String,
    pub stream: String,
    pub stream_seq: u64,
    pub event_id: Option<String>,
    pub data: Map<String, Value>,
}

/// When an event happened, and which one it is where that does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct When {
    /// Milliseconds since 1970.
    pub ms: u64,
    /// Its number in its stream.
    pub stream_seq: u64,
}

impl SyncState {
    /// What an event says.
    #[must_use]
    pub fn new(
        user_id: String,
        when: When,
        subject: &str,
        stream: &str,
        event_id: Option<String>,
        data: Map<String, Value>,
    ) -> Self {
        let (subject, stream) = (subject.to_owned(), stream.to_owned());
        Self { v: VERSION, user_id, ts: format_millis(when.ms), subject, stream, stream_seq: when.stream_seq, event_id, data }
    }

    /// When it happened.
    #[must_use]
    pub fn when(&self) -> When {
        When { ms: parse_any_time(&self.ts).unwrap_or(0), stream_seq: self.stream_seq }
    }
}

/// The files of one directory.
#[derive(Debug)]
pub struct SyncFiles {
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
    /// One at a time: a user may be erased meanwhile.
    writing: Mutex<()>,
    /// A sync failed: what was saved before may not be there after power loss, and asking again would not tell.
    unsure: AtomicBool,
}

impl SyncFiles {
    /// Those of `directory`, by the machine's clock.
    #[must_use]
    pub fn new(directory: Arc<Directory>) -> Self {
        Self::with_clock(directory, Arc::new(SystemClock))
    }

    /// Those of `directory`.
    #[must_use]
    pub fn with_clock(directory: Arc<Directory>, clock: Arc<dyn Clock>) -> Self {
        Self { directory, clock, writing: Mutex::new(()), unsure: AtomicBool::new(false) }
    }

    fn name(user_id: &str) -> String {
        hashed_name(user_id, "sync")
    }

    /// A user's last sync; `None` when there is none, none that can be read, or one of a time to come, which no event would be newer than: the
    /// next event replaces it.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn load(&self, user_id: &str) -> Result<Option<SyncState>> {
        match self.directory.read(Room::Sync, &Self::name(user_id)) {
            Ok(found) => Ok(found
                .and_then(|(bytes, _)| serde_json::from_slice(&bytes).ok())
                .filter(|state: &SyncState| state.user_id == user_id && state.v == VERSION)
                .filter(|state| state.when().ms <= self.clock.now_ms().saturating_add(SLACK_MS))),
            Err(e) if e.kind() == ErrorKind::StateCorrupt => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Replaces a user's file; it survives power loss after the next [`SyncFiles::sync`].
    ///
    /// # Errors
    /// `ERR_STATE_IO`; the file is as it was then.
    pub fn save(&self, state: &SyncState) -> Result<()> {
        let bytes = serde_json::to_vec(state).map_err(|e| Error::new(ErrorKind::Internal, format!("cannot write JSON: {e}")))?;
        let _one_at_a_time = self.writing.lock();
        self.directory.write_new(Room::Sync, TEMPORARY, &bytes)?;
        self.directory.rename(Room::Sync, TEMPORARY, &Self::name(&state.user_id)).inspect_err(|_| {
            let _ = self.directory.remove(Room::Sync, TEMPORARY);
        })
    }

    /// Makes the saved files survive power loss.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn sync(&self) -> Result<()> {
        let synced = self.directory.sync(Room::Sync).and_then(|()| self.directory.sync(Room::State));
        self.unsure.store(synced.is_err(), Ordering::Relaxed);
        synced
    }

    /// What an event says that comes again is to be saved again.
    pub fn is_unsure(&self) -> bool {
        self.unsure.load(Ordering::Relaxed)
    }

    /// Removes a user's file, for good.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn erase(&self, user_id: &str) -> Result<()> {
        let _one_at_a_time = self.writing.lock();
        let name = Self::name(user_id);
        if self.directory.identity(Room::Sync, &name)? == 0 {
            return Ok(());
        }
        self.directory.remove(Room::Sync, &name)?;
        self.directory.sync(Room::Sync)
    }
}
