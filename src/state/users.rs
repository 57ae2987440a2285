//! The map of users that are in memory. A user is loaded at first sight, by whichever thread sees it first.

use super::store::StateStore;
use super::user::{User, UserState};
use crate::error::Result;
use dashmap::DashSet;
use parking_lot::Mutex;
use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A user under its id, without a second copy of the id.
#[derive(Debug)]
struct ById(Arc<User>);

impl Borrow<str> for ById {
    fn borrow(&self) -> &str {
        &self.0.id
    }
}

impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for ById {}

/// All users in memory.
pub struct Users {
    hot: DashSet<ById>,
    store: Arc<dyn StateStore>,
}

impl Users {
    /// No user yet; they come from `store`.
    #[must_use]
    pub fn new(store: Arc<dyn StateStore>) -> Self {
        Self { hot: DashSet::new(), store }
    }

    /// How many are in memory.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hot.len()
    }

    /// None is in memory.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hot.is_empty()
    }

    /// The user, if it is in memory.
    #[must_use]
    pub fn hot(&self, user_id: &str) -> Option<Arc<User>> {
        self.hot.get(user_id).map(|user| Arc::clone(&user.0))
    }

    /// The user, loaded if need be.
    ///
    /// # Errors
    /// `ERR_STATE_IO`: nothing is remembered then, and the next call tries again.
    pub fn get(&self, user_id: &str) -> Result<Arc<User>> {
        // The user goes into the map first and is read under its own lock: no shard is locked while files are read, and of two
        // threads that see the user at the same time the second one waits for the first one's copy.
        loop {
            let user = self.hot(user_id).unwrap_or_else(|| {
                let user = Arc::new(User { id: user_id.into(), state: Mutex::new(UserState::unread()) });
                if self.hot.insert(ById(Arc::clone(&user))) { user } else { self.hot(user_id).unwrap_or(user) }
            });
            let mut state = user.state.lock();
            if state.retired {
                continue;
            }
            if !state.read {
                match UserState::load(user_id, &*self.store) {
                    Ok(loaded) => *state = loaded,
                    Err(e) => {
                        state.retired = true;
                        self.hot.remove(user_id);
                        return Err(e);
                    }
                }
            }
            drop(state);
            return Ok(user);
        }
    }

    /// Looks at a user without keeping one in memory that was not there.
    ///
    /// # Errors
    /// Those of loading and of `look`.
    pub fn look<T>(&self, user_id: &str, look: impl FnOnce(&UserState) -> Result<T>) -> Result<T> {
        match self.hot(user_id) {
            Some(user) if user.state.lock().read => look(&user.state.lock()),
            _ => look(&UserState::load(user_id, &*self.store)?),
        }
    }

    /// Takes a user out of memory; whatever was not saved is lost. Nothing can come between the two: who changes the user holds
    /// the same lock, and looks the user up again when it is retired.
    pub(super) fn forget(&self, user_id: &str) {
        let Some(user) = self.hot(user_id) else { return };
        let mut state = user.state.lock();
        if !state.retired {
            state.forget();
            state.retired = true;
            self.hot.remove(user_id);
        }
    }
}

impl std::fmt::Debug for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Users").field("hot", &self.hot.len()).finish_non_exhaustive()
    }
}
