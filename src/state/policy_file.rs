//! What operators decided about policies, in `STATE_DIR/.policies.json`: it outlives restarts, and no user's file can have that name.

use crate::disk::{Directory, Room};
use crate::error::{Error, ErrorKind, Result};
use crate::policy::PolicyRegistry;
use serde::{Deserialize, Serialize};

const NAME: &str = ".policies.json";
const TEMPORARY: &str = ".policies.tmp";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct File<R> {
    v: u32,
    registry: R,
}

/// Reads it; nothing decided where there is no file.
///
/// # Errors
/// `ERR_STATE_IO`; `ERR_STATE_CORRUPT` where it cannot be read as one: who decides is not a thing to guess.
pub fn load_policies(directory: &Directory) -> Result<PolicyRegistry> {
    let Some((bytes, _)) = directory.read(Room::State, NAME)? else { return Ok(PolicyRegistry::default()) };
    let bad = |problem: String| {
        let path = directory.path().display();
        Error::new(ErrorKind::StateCorrupt, format!("{path}/{NAME}: {problem}; repair it, or remove it to go back to the options"))
    };
    let File { v, registry } = serde_json::from_slice::<File<PolicyRegistry>>(&bytes).map_err(|e| bad(e.to_string()))?;
    match (v, registry.is_sound()) {
        (VERSION, true) => Ok(registry),
        (VERSION, false) => Err(bad("shares that are no shares".to_owned())),
        _ => Err(bad(format!("version {v}, written by a later release"))),
    }
}

/// Puts `next` in the place of `before`; when this returns it survives power loss.
///
/// # Errors
/// `ERR_STATE_IO`; what was decided before stays then.
pub fn save_policies(directory: &Directory, before: &PolicyRegistry, next: &PolicyRegistry) -> Result<()> {
    write(directory, next)?;
    directory.sync(Room::State).inspect_err(|_| {
        // The name may or may not survive; a start without power loss in between finds what this process goes on with.
        let _ = write(directory, before);
    })
}

/// Removes what a process left that ended while it wrote.
///
/// # Errors
/// `ERR_STATE_IO`.
pub fn remove_unfinished(directory: &Directory) -> Result<()> {
    directory.remove(Room::State, TEMPORARY)
}

fn write(directory: &Directory, registry: &PolicyRegistry) -> Result<()> {
    let file = File { v: VERSION, registry };
    let bytes = serde_json::to_vec(&file).map_err(|e| Error::new(ErrorKind::Internal, format!("cannot write JSON: {e}")))?;
    directory.write_new(Room::State, TEMPORARY, &bytes)?;
    directory.rename(Room::State, TEMPORARY, NAME).inspect_err(|_| {
        let _ = directory.remove(Room::State, TEMPORARY);
    })
}
