//! All users that are known, page by page, whether or not they are in memory: an order that does not depend on which of their files
//! are there, found without reading more files than a page needs.

use super::file::apparent_owner;
use super::file_name::{shelf_of, shelf_of_file};
use super::record::Counters;
use super::user::UserState;
use super::users::Users;
use crate::disk::{Directory, Room};
use crate::error::{ErrorKind, Result};
use crate::policy::PolicyName;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

/// A user's place: the beginning that the names of its files share, then its id.
pub type Place = (String, String);

/// A user's place among all.
#[must_use]
pub fn place_of(user_id: &str) -> Place {
    (shelf_of(user_id), user_id.to_owned())
}

/// A user and what each policy that knows it has counted.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedUser {
    /// Who.
    pub user_id: String,
    /// By policy; what cannot be read is left out.
    pub policies: Vec<(PolicyName, Counters)>,
}

/// The users with a state file whose places come after `after`, in order, at least `most` of them if there are as many; and whether there
/// may be more behind the last one. Files that name nobody are left out.
pub fn stored_users(
    directory: &Directory,
    after: Option<&Place>,
    most: usize,
    cancelled: &AtomicBool,
) -> Result<(Vec<Place>, bool)> {
    let names = directory.list(Room::State)?;
    let mut files: Vec<(&str, &str)> = names
        .iter()
        .filter(|name| !name.starts_with('.'))
        .filter_map(|name| Some((shelf_of_file(name)?, name.as_str())))
        .filter(|(shelf, _)| after.is_none_or(|(first, _)| *shelf >= first.as_str()))
        .collect();
    files.sort_unstable();
    let mut found = Vec::new();
    for files in files.chunk_by(|a, b| a.0 == b.0) {
        let mut owners = BTreeSet::new();
        for (shelf, name) in files {
            if cancelled.load(Ordering::Relaxed) {
                return Ok((found, false));
            }
            let bytes = match directory.read(Room::State, name) {
                Ok(Some((bytes, _))) => bytes,
                Ok(None) => continue,
                // A link, or larger than any.
                Err(e) if e.kind() == ErrorKind::StateCorrupt => continue,
                Err(e) => return Err(e),
            };
            if let (Some(owner), _) = apparent_owner(&bytes) {
                let place = place_of(&owner);
                if place.0 == **shelf && after.is_none_or(|after| place > *after) {
                    owners.insert(place);
                }
            }
        }
        found.extend(owners);
        if found.len() >= most {
            return Ok((found, true));
        }
    }
    Ok((found, false))
}

impl Users {
    /// One page of users and whether there are more, in an order that stays as it is: who is there all the time comes once. `None` when
    /// it was cancelled.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn page(&self, after: Option<&str>, limit: usize, cancelled: &AtomicBool) -> Result<Option<(Vec<ListedUser>, bool)>> {
        let (mut after, mut page) = (after.map(place_of), Vec::new());
        loop {
            let (mut places, has_more) = self.store().stored_users(after.as_ref(), limit + 1, cancelled)?;
            // Those behind it stand between others that were not looked for yet.
            let last = places.last().cloned().filter(|_| has_more);
            // Who is in memory only, because nothing of it was written yet.
            let hot = self.in_memory().into_iter().map(|user| place_of(&user.id));
            places.extend(hot.filter(|place| {
                after.as_ref().is_none_or(|after| place > after) && last.as_ref().is_none_or(|last| place <= last)
            }));
            places.sort_unstable();
            places.dedup();
            for (_, user_id) in places {
                if cancelled.load(Ordering::Relaxed) {
                    return Ok(None);
                }
                let policies = self.counted(&user_id)?;
                if policies.is_empty() {
                    // Seen and never scored, not to be read, or removed meanwhile.
                    continue;
                }
                if page.len() == limit {
                    return Ok(Some((page, true)));
                }
                page.push(ListedUser { user_id, policies });
            }
            if last.is_none() {
                break;
            }
            after = last;
        }
        Ok(if cancelled.load(Ordering::Relaxed) { None } else { Some((page, false)) })
    }

    /// What each policy has counted of a user; nobody is taken into memory for it, and nothing is mended.
    fn counted(&self, user_id: &str) -> Result<Vec<(PolicyName, Counters)>> {
        let of =
            |state: &UserState| PolicyName::ALL.into_iter().filter_map(|policy| Some((policy, state.counted(policy)?))).collect();
        if let Some(user) = self.hot(user_id) {
            let state = user.lock();
            if state.read && !state.retired {
                return Ok(of(&state));
            }
        }
        let (state, _) = UserState::load(user_id, self.store())?;
        Ok(of(&state))
    }
}
