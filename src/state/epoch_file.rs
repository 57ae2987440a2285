//! How often the directory was opened, in `STATE_DIR/.epoch`. The log has the same number in the names of its segments; the file
//! is for directories without a log, and for those whose log was deleted: what chance does, and the ids of decisions, follow from the
//! number, and must not come again where state goes on.

use crate::disk::{Directory, Room};
use crate::error::{Error, ErrorKind, Result};
use crate::log::{LAST_EPOCH, LogStanding};
use serde::{Deserialize, Serialize};

/// Its name.
pub const NAME: &str = ".epoch";
const TEMPORARY: &str = ".epoch.tmp";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct File {
    v: u32,
    epoch: u32,
}

/// The number in the file: 0 where there is none, `None` where it cannot be read as one and the log has to tell, for which problem.
///
/// # Errors
/// `ERR_STATE_IO`; `ERR_STATE_CORRUPT` where it cannot be read and there is no log to tell.
pub fn kept_epoch(directory: &Directory, has_log: bool) -> Result<Result<u32, String>> {
    match load(directory) {
        Ok(kept) => Ok(Ok(kept)),
        Err(e) if e.kind() == ErrorKind::StateCorrupt && has_log => Ok(Err(e.message().to_owned())),
        Err(e) => Err(e),
    }
}

/// The number of the opening that comes next: above the one in the file and those of the log.
///
/// # Errors
/// `ERR_STATE_CORRUPT` where no number is left.
pub fn next_epoch(directory: &Directory, kept: u32, standing: &LogStanding) -> Result<u32> {
    let next = standing.next_epoch().max(kept.saturating_add(1));
    if next <= LAST_EPOCH {
        return Ok(next);
    }
    let path = directory.path().display();
    let message = format!(
        "{path}: no opening comes after number {}. Move {path}/log and {path}/{NAME} away: users keep their state, and openings are \
         counted from 1 again; decisions made before are known no more",
        next - 1
    );
    Err(Error::new(ErrorKind::StateCorrupt, message))
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
        File { v: VERSION, epoch } if epoch < LAST_EPOCH => Ok(epoch),
        File { v: VERSION, epoch } => Err(bad(&format!("no opening comes after number {epoch}, the last one is {LAST_EPOCH}"))),
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
