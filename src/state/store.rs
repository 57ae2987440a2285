//! Where records are kept: the trait, and the directory of state files behind it.

use super::directory::{Directory, FileIdentity};
use super::file::{Parsed, parse, serialise};
use super::file_name::{distinct_name, plain_name};
use super::record::Record;
use crate::error::{Error, ErrorKind, Result};
use crate::policy::PolicyName;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a store wants to know again when it next sees the same user and policy: in which of its places the record is, and which
/// version of it was read or written last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stamp {
    distinct: bool,
    identity: FileIdentity,
}

/// What a store did on its own authority, for health().
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreReport {
    /// Records that somebody else had replaced while this process had them; each was set aside.
    pub foreign_writes: u64,
}

/// Keeps one record per user and policy. Loads come from any thread; all other calls come from one thread, the writer.
pub trait StateStore: std::fmt::Debug + Send + Sync {
    /// The record of a user under a policy, `None` when there is none.
    ///
    /// # Errors
    /// `ERR_STATE_CORRUPT` when it cannot be read as one; `ERR_STATE_IO`.
    fn load(&self, user_id: &str, policy: PolicyName) -> Result<(Option<Record>, Stamp)>;

    /// Replaces the record, atomically; it survives power loss after the next [`StateStore::sync`]. `stamp` is what the last
    /// load or save left, and is brought up to date.
    ///
    /// # Errors
    /// `ERR_STATE_IO`; the previous record is intact then.
    fn save(&self, user_id: &str, policy: PolicyName, record: &Record, stamp: &mut Stamp) -> Result<()>;

    /// Keeps a record that cannot be read for people to look at, out of the way; says where.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    fn set_aside(&self, user_id: &str, policy: PolicyName, stamp: &mut Stamp) -> Result<String>;

    /// Removes the record and all that was set aside of it.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    fn erase(&self, user_id: &str, policy: PolicyName) -> Result<()>;

    /// Makes all of the above survive power loss.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    fn sync(&self) -> Result<()>;

    /// What the store did on its own authority.
    fn report(&self) -> StoreReport;
}

/// One JSON file per user and policy, in the format and under the names of the service that this engine replaced.
#[derive(Debug)]
pub struct StateFiles {
    directory: std::sync::Arc<Directory>,
    foreign_writes: AtomicU64,
    /// Who claimed a plain name whose file names no owner yet: the first user that asked for it.
    claims: Mutex<HashMap<String, String>>,
}

impl StateFiles {
    /// The state files of `directory`, which this process has locked.
    #[must_use]
    pub fn new(directory: std::sync::Arc<Directory>) -> Self {
        Self { directory, foreign_writes: AtomicU64::new(0), claims: Mutex::default() }
    }

    fn name(user_id: &str, policy: PolicyName, stamp: Stamp) -> String {
        match plain_name(user_id, policy) {
            Some(plain) if !stamp.distinct => plain,
            _ => distinct_name(user_id, policy),
        }
    }

    fn corrupt(&self, name: &str, problem: &str) -> Error {
        let path = self.directory.path().display();
        Error::new(ErrorKind::StateCorrupt, format!("{path}/{name}: {problem}; reset the user to set the file aside"))
    }

    fn parsed(&self, name: &str, bytes: &[u8]) -> Result<Parsed> {
        parse(bytes).map_err(|problem| self.corrupt(name, &problem))
    }

    /// Whether the file under a plain name is this user's: by its stamp, or, where it names no owner, by its dimension and by
    /// who asked first.
    fn owns(&self, user_id: &str, policy: PolicyName, name: &str, file: &Parsed) -> bool {
        match (&file.user_id, &file.policy) {
            (Some(owner), stamped) => owner == user_id && stamped.as_deref().is_none_or(|p| p == policy.as_str()),
            (None, _) => {
                file.record.b.len() == policy.dimension()
                    && self.claims.lock().entry(name.to_owned()).or_insert_with(|| user_id.to_owned()) == user_id
            }
        }
    }

    fn checked(&self, policy: PolicyName, name: &str, file: Parsed) -> Result<Record> {
        let (d, found) = (policy.dimension(), file.record.b.len());
        if d == found {
            Ok(file.record)
        } else {
            Err(self.corrupt(name, &format!("b has {found} entries, {} has {d}", policy.as_str())))
        }
    }

    /// Looks at a file that is not the one last seen, before it is replaced. True when it is another user's.
    fn meet(&self, user_id: &str, policy: PolicyName, name: &str) -> Result<bool> {
        let Some((bytes, _)) = self.directory.read(name)? else { return Ok(false) };
        if parse(&bytes).is_ok_and(|file| file.user_id.is_some() && !self.owns(user_id, policy, name, &file)) {
            return Ok(true);
        }
        self.foreign_writes.fetch_add(1, Ordering::Relaxed);
        self.directory.set_aside(name)?;
        Ok(false)
    }
}

impl StateStore for StateFiles {
    fn load(&self, user_id: &str, policy: PolicyName) -> Result<(Option<Record>, Stamp)> {
        let distinct = distinct_name(user_id, policy);
        if let Some((bytes, identity)) = self.directory.read(&distinct)? {
            let record = self.checked(policy, &distinct, self.parsed(&distinct, &bytes)?)?;
            return Ok((Some(record), Stamp { distinct: true, identity }));
        }
        let Some(plain) = plain_name(user_id, policy) else { return Ok((None, Stamp { distinct: true, identity: 0 })) };
        let Some((bytes, identity)) = self.directory.read(&plain)? else { return Ok((None, Stamp::default())) };
        let file = self.parsed(&plain, &bytes)?;
        if !self.owns(user_id, policy, &plain, &file) {
            return Ok((None, Stamp { distinct: true, identity: 0 }));
        }
        Ok((Some(self.checked(policy, &plain, file)?), Stamp { distinct: false, identity }))
    }

    fn save(&self, user_id: &str, policy: PolicyName, record: &Record, stamp: &mut Stamp) -> Result<()> {
        // One writer, one name: a temporary of a process that died is removed when the name is used next.
        const TEMPORARY: &str = ".state.tmp";
        let mut name = Self::name(user_id, policy, *stamp);
        let identity = self.directory.write_new(TEMPORARY, &serialise(user_id, policy, record))?;
        let placed = (|| {
            let there = self.directory.identity(&name)?;
            if there != stamp.identity && there != 0 && self.meet(user_id, policy, &name)? {
                stamp.distinct = true;
                name = Self::name(user_id, policy, *stamp);
            }
            self.directory.rename(TEMPORARY, &name)
        })();
        if placed.is_err() {
            let _ = self.directory.remove(TEMPORARY);
        }
        placed?;
        stamp.identity = identity;
        self.claims.lock().remove(&name);
        Ok(())
    }

    fn set_aside(&self, user_id: &str, policy: PolicyName, stamp: &mut Stamp) -> Result<String> {
        let distinct = distinct_name(user_id, policy);
        let is_distinct = self.directory.identity(&distinct)? != 0;
        let name = if is_distinct { distinct } else { Self::name(user_id, policy, Stamp::default()) };
        *stamp = Stamp { distinct: is_distinct, identity: 0 };
        self.directory.set_aside(&name)
    }

    fn erase(&self, user_id: &str, policy: PolicyName) -> Result<()> {
        let of_other = |bytes: &[u8]| {
            parse(bytes).is_ok_and(|file| {
                file.user_id.as_deref().is_some_and(|owner| owner != user_id)
                    || file.policy.as_deref().is_some_and(|p| p != policy.as_str())
                    || file.record.b.len() != policy.dimension()
            })
        };
        let distinct = distinct_name(user_id, policy);
        self.directory.remove(&distinct)?;
        self.directory.remove_set_aside(&distinct, |_| true)?;
        let Some(plain) = plain_name(user_id, policy) else { return Ok(()) };
        self.directory.remove_set_aside(&plain, |bytes| !of_other(bytes))?;
        if let Some((bytes, _)) = self.directory.read(&plain)?
            && self.parsed(&plain, &bytes).map_or(true, |file| self.owns(user_id, policy, &plain, &file))
        {
            self.directory.remove(&plain)?;
            self.claims.lock().remove(&plain);
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.directory.sync()
    }

    fn report(&self) -> StoreReport {
        StoreReport { foreign_writes: self.foreign_writes.load(Ordering::Relaxed) }
    }
}
