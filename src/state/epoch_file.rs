//! How often the directory was opened, in `STATE_DIR/.epoch`. The log has the same number in the names of its segments; the file
//! is for directories without a log, and for those whose log was deleted: what chance does, and the ids of decisions, follow from the
//! number, and must not come again where state goes on.

use crate::disk::{Directory, Room};
use crate::error::{Error, ErrorKind, Result};
use crate::log::LogStanding;
use serde::{Deserialize, Serialize};

const NAME: &str = ".epoch";
const TEMPORARY: &str = ".epoch.tmp";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct File {
    v: u32,
    epoch: u32,
}

/// The number of the opening that comes next: above those in the file and in the log.
///
/// # Errors
/// `ERR_STATE_IO`; `ERR_STATE_CORRUPT` where the file cannot be read as one and there is no log to tell.
pub fn next_epoch(directory: &Directory, standing: &LogStanding) -> Result<u32> {
    match load(directory) {
        Ok(kept) => Ok(standing.next_epoch().max(kept + 1)),
        Err(e) if e.kind() == ErrorKind::StateCorrupt && !standing.segments.is_empty() => Ok(standing.next_epoch()),
        Err(e) => Err(e),
    }
}

/// 0 where there is no file.
fn load(directory: &Directory) -> Result<u32> {
    let bad = |problem: &str| {
        let path = directory.path().display();
        let message = format!("{path}/{NAME}: {problem}; repair it, or remove it to count openings from 1 again");
        Error::new(ErrorKind::StateCorrupt, message)
    };
    let read = directory.read(Room::State, NAME).map_err(|e| match e.kind() {
        ErrorKind::StateCorrupt => bad("a link, or no regular file"),
        _ => e,
    })?;
    let Some((bytes, _)) = read else { return Ok(0) };
    match serde_json::from_slice(&bytes).map_err(|e| bad(&e.to_string()))? {
        File { v: VERSION, epoch } if epoch < u32::MAX => Ok(epoch),
        File { v: VERSION, epoch } => Err(bad(&format!("no opening comes after number {epoch}"))),
        File { v, .. } => Err(bad(&format!("version {v}, written by a later release"))),
    }
}

/// Takes a number for this opening. It survives power loss once the directory is synced.
///
/// # Errors
/// `ERR_STATE_IO`.
pub fn reserve_epoch(directory: &Directory, epoch: u32) -> Result<()> {
    let file = File { v: VERSION, epoch };
    let bytes = serde_json::to_vec(&file).map_err(|e| Error::new(ErrorKind::Internal, format!("cannot write JSON: {e}")))?;
    directory.write_new(Room::State, TEMPORARY, &bytes)?;
    directory.rename(Room::State, TEMPORARY, NAME).inspect_err(|_| {
        let _ = directory.remove(Room::State, TEMPORARY);
    })
}
