//! Where records are kept: the trait, and the directory of state files behind it.

use super::file::{Parsed, apparent_owner, parse, seems_whole, serialise};
use super::file_name::{distinct_name, plain_name};
use super::listing::{Place, stored_users};
use super::record::Record;
use crate::disk::{Directory, FileIdentity, Room};
use crate::error::{Error, ErrorKind, Result};
use crate::policy::PolicyName;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// One writer, one name: what a process that died has left under it is removed when the name is used next.
const TEMPORARY: &str = ".state.tmp";

/// What a store wants to know again when it next sees the same user and policy: in which of its places the record is, and which
/// version of it was read or written last.
///
/// One word, because each user in memory has three: the identity, and in the lowest bits whether the name is the distinct one and
/// whether the log does not have what is in the record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stamp(u64);

const DISTINCT: u64 = 1;
const FOREIGN: u64 = 2;

impl Stamp {
    const fn new(is_distinct: bool, is_foreign: bool, identity: FileIdentity) -> Self {
        Self(identity << 2 | if is_foreign { FOREIGN } else { 0 } | if is_distinct { DISTINCT } else { 0 })
    }

    /// Whether there was a record.
    #[must_use]
    pub const fn is_stored(self) -> bool {
        self.identity() != 0
    }

    /// Nothing stored, and to be stored under the name that no other user can have.
    pub(super) const fn distinct() -> Self {
        Self::new(true, false, 0)
    }

    const fn identity(self) -> FileIdentity {
        self.0 >> 2
    }

    const fn is_distinct(self) -> bool {
        self.0 & DISTINCT != 0
    }

    pub(super) const fn is_foreign(self) -> bool {
        self.0 & FOREIGN != 0
    }

    /// The record is in the log now.
    pub(super) const fn adopt(&mut self) {
        self.0 &= !FOREIGN;
    }

    /// What is in the record from now on is not in the log.
    pub(super) const fn leave_log(&mut self) {
        self.0 |= FOREIGN;
    }
}

/// What a store did on its own authority, for `health()`.
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

    /// Where the record of a user and policy that has none will be: its place is taken from now on, in the order in which users ask.
    fn claim(&self, _user_id: &str, _policy: PolicyName, stamp: Stamp) -> Stamp {
        stamp
    }

    /// Whether a record that cannot be read seems to be this package's own, damaged since, and not what somebody else has left.
    fn seems_own(&self, _user_id: &str, _policy: PolicyName) -> bool {
        true
    }

    /// Replaces the record, atomically; it survives power loss after the next [`StateStore::sync`]. `stamp` is what the last
    /// load or save left, and is brought up to date.
    ///
    /// # Errors
    /// `ERR_STATE_IO`; the previous record is intact then.
    fn save(&self, user_id: &str, policy: PolicyName, record: &Record, stamp: &mut Stamp) -> Result<()>;

    /// Keeps a record that cannot be read for people to look at, out of the way; it need not be there any more.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    fn set_aside(&self, user_id: &str, policy: PolicyName, stamp: &mut Stamp) -> Result<()>;

    /// Removes the record and all that was set aside of it.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    fn erase(&self, user_id: &str, policy: PolicyName) -> Result<()>;

    /// The users that have a record and whose places come after `after`, in order, at least `most` of them if there are as many, and
    /// whether there may be more behind the last one; fewer once `cancelled` is set.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    fn stored_users(&self, after: Option<&Place>, most: usize, cancelled: &AtomicBool) -> Result<(Vec<Place>, bool)>;

    /// Makes all of the above survive power loss.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    fn sync(&self) -> Result<()>;

    /// What the store did on its own authority.
    fn report(&self) -> StoreReport;

    /// Lets go of what it holds open; afterwards every call fails. Called once, after the last save.
    fn close(&self);
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
            Some(plain) if !stamp.is_distinct() => plain,
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

    /// Whether a file names an owner other than this user and policy. A damaged one still shows to whom it seems to belong: it is
    /// left to them, and whoever it really belongs to gets another name, not somebody else's place.
    fn is_of_another(&self, user_id: &str, policy: PolicyName, name: &str, bytes: &[u8]) -> bool {
        if let Ok(file) = parse(bytes) {
            return file.user_id.is_some() && !self.owns(user_id, policy, name, &file);
        }
        let (owner, stamped) = apparent_owner(bytes);
        owner.is_some_and(|owner| owner != user_id) || stamped.is_some_and(|stamped| stamped != policy.as_str())
    }

    /// Which of its two names the file of a user and policy has.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn naming(&self, user_id: &str, policy: PolicyName) -> Result<Naming> {
        let Some(plain) = plain_name(user_id, policy) else { return Ok(Naming::Distinct) };
        if self.directory.identity(Room::State, &distinct_name(user_id, policy))? != 0 {
            return Ok(Naming::Distinct);
        }
        let bytes = match self.directory.read(Room::State, &plain) {
            Ok(None) => return Ok(Naming::Free),
            Ok(Some((bytes, _))) => bytes,
            Err(e) if e.kind() == ErrorKind::StateCorrupt => return Ok(Naming::Distinct),
            Err(e) => return Err(e),
        };
        let (owner, stamped) = match parse(&bytes) {
            Ok(file) => (file.user_id, file.policy),
            Err(_) => apparent_owner(&bytes),
        };
        let is_own = owner.is_some_and(|owner| owner == user_id) && stamped.is_none_or(|stamped| stamped == policy.as_str());
        Ok(if is_own { Naming::Plain } else { Naming::Distinct })
    }

    /// Looks at what stands under a name now.
    fn look(&self, user_id: &str, policy: PolicyName, name: &str) -> Result<Standing> {
        match self.directory.read(Room::State, name) {
            Ok(None) => Ok(Standing::Nothing),
            Ok(Some((bytes, _))) if self.is_of_another(user_id, policy, name, &bytes) => Ok(Standing::OfAnother),
            Ok(Some(_)) => Ok(Standing::InTheWay),
            // A link, a directory, a pipe.
            Err(e) if e.kind() == ErrorKind::StateCorrupt => Ok(Standing::InTheWay),
            Err(e) => Err(e),
        }
    }
}

/// Which of its two names a user's file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// The old service's.
    Plain,
    /// The one that no other user can have: that file is there, or the plain one is somebody else's.
    Distinct,
    /// There is neither.
    Free,
}

/// What stands under a user's name when it was not put there by this process.
enum Standing {
    Nothing,
    /// A file that names another owner: it stays, and the user needs another name.
    OfAnother,
    /// Anything else: it can be set aside.
    InTheWay,
}

impl StateStore for StateFiles {
    fn claim(&self, user_id: &str, policy: PolicyName, stamp: Stamp) -> Stamp {
        let Some(plain) = plain_name(user_id, policy).filter(|_| !stamp.is_distinct() && !stamp.is_stored()) else { return stamp };
        let mut claims = self.claims.lock();
        let is_ours = claims.entry(plain).or_insert_with(|| user_id.to_owned()) == user_id;
        if is_ours { stamp } else { Stamp::new(true, stamp.is_foreign(), 0) }
    }

    fn seems_own(&self, user_id: &str, policy: PolicyName) -> bool {
        let names = [Some(distinct_name(user_id, policy)), plain_name(user_id, policy)];
        let found = names.into_iter().flatten().find_map(|name| self.directory.read(Room::State, &name).ok().flatten());
        found.is_some_and(|(bytes, _)| seems_whole(&bytes))
    }

    fn load(&self, user_id: &str, policy: PolicyName) -> Result<(Option<Record>, Stamp)> {
        let distinct = distinct_name(user_id, policy);
        if let Some((bytes, identity)) = self.directory.read(Room::State, &distinct)? {
            let file = self.parsed(&distinct, &bytes)?;
            let stamp = Stamp::new(true, file.is_unlogged(), identity);
            return Ok((Some(self.checked(policy, &distinct, file)?), stamp));
        }
        let Some(plain) = plain_name(user_id, policy) else { return Ok((None, Stamp::new(true, false, 0))) };
        let Some((bytes, identity)) = self.directory.read(Room::State, &plain)? else { return Ok((None, Stamp::default())) };
        let file = self.parsed(&plain, &bytes)?;
        let d = file.record.b.len();
        if file.user_id.is_none() && PolicyName::ALL.iter().all(|p| p.dimension() != d) {
            return Err(self.corrupt(&plain, &format!("b has {d} entries, which no policy has")));
        }
        if !self.owns(user_id, policy, &plain, &file) {
            return Ok((None, Stamp::new(true, false, 0)));
        }
        let stamp = Stamp::new(false, file.is_unlogged(), identity);
        Ok((Some(self.checked(policy, &plain, file)?), stamp))
    }

    fn save(&self, user_id: &str, policy: PolicyName, record: &Record, stamp: &mut Stamp) -> Result<()> {
        let mut name = Self::name(user_id, policy, *stamp);
        let identity = self.directory.write_new(Room::State, TEMPORARY, &serialise(user_id, policy, record))?;
        let placed = (|| {
            let there = self.directory.identity(Room::State, &name)?;
            if there != stamp.identity() && there != 0 {
                match self.look(user_id, policy, &name)? {
                    Standing::Nothing => {}
                    Standing::OfAnother => {
                        *stamp = Stamp::new(true, stamp.is_foreign(), 0);
                        name = Self::name(user_id, policy, *stamp);
                    }
                    Standing::InTheWay => {
                        self.foreign_writes.fetch_add(1, Ordering::Relaxed);
                        self.directory.set_aside(Room::State, &name)?;
                    }
                }
            }
            self.directory.rename(Room::State, TEMPORARY, &name)
        })();
        if placed.is_err() {
            let _ = self.directory.remove(Room::State, TEMPORARY);
        }
        placed?;
        *stamp = Stamp::new(stamp.is_distinct(), stamp.is_foreign(), identity);
        self.claims.lock().remove(&name);
        Ok(())
    }

    fn set_aside(&self, user_id: &str, policy: PolicyName, stamp: &mut Stamp) -> Result<()> {
        let distinct = distinct_name(user_id, policy);
        let is_distinct = self.directory.identity(Room::State, &distinct)? != 0;
        *stamp = Stamp::new(is_distinct, false, 0);
        let name = Self::name(user_id, policy, *stamp);
        let standing = if is_distinct { Standing::InTheWay } else { self.look(user_id, policy, &name)? };
        match standing {
            Standing::Nothing => Ok(()),
            Standing::OfAnother => {
                *stamp = Stamp::new(true, false, 0);
                Ok(())
            }
            Standing::InTheWay => self.directory.set_aside(Room::State, &name).map(drop),
        }
    }

    fn erase(&self, user_id: &str, policy: PolicyName) -> Result<()> {
        // A process that died while writing may have left the person's numbers there.
        self.directory.remove(Room::State, TEMPORARY)?;
        // What names no owner belongs to the policy of its dimension; what cannot be read at all is removed.
        let is_of_another = |file: &Parsed| match &file.user_id {
            Some(owner) => owner != user_id,
            None => PolicyName::ALL.iter().any(|p| *p != policy && p.dimension() == file.record.b.len()),
        };
        let distinct = distinct_name(user_id, policy);
        // Who has a distinct file has it because the plain name is another's.
        let has_distinct = self.directory.identity(Room::State, &distinct)? != 0;
        self.directory.remove(Room::State, &distinct)?;
        self.directory.remove_set_aside(&distinct, |_| true)?;
        let Some(plain) = plain_name(user_id, policy) else { return Ok(()) };
        self.directory.remove_set_aside(&plain, |bytes| !parse(bytes).is_ok_and(|file| is_of_another(&file)))?;
        let is_claimed_by_another = || self.claims.lock().get(&plain).is_some_and(|owner| owner != user_id);
        let remove = match self.directory.read(Room::State, &plain) {
            Ok(None) => false,
            Ok(Some((bytes, _))) => match parse(&bytes) {
                Ok(file) => !is_of_another(&file) && (file.user_id.is_some() || !is_claimed_by_another()),
                Err(_) => !has_distinct && !is_claimed_by_another(),
            },
            Err(e) if e.kind() == ErrorKind::StateCorrupt => !has_distinct,
            Err(e) => return Err(e),
        };
        if remove {
            self.directory.remove(Room::State, &plain)?;
            self.claims.lock().remove(&plain);
            if self.directory.identity(Room::State, &plain)? != 0 {
                // A directory: nothing of the user's, but in the way.
                self.directory.set_aside(Room::State, &plain)?;
            }
        }
        Ok(())
    }

    fn stored_users(&self, after: Option<&Place>, most: usize, cancelled: &AtomicBool) -> Result<(Vec<Place>, bool)> {
        stored_users(&self.directory, after, most, cancelled)
    }

    fn sync(&self) -> Result<()> {
        self.directory.sync(Room::State)
    }

    fn close(&self) {
        self.directory.close();
    }

    fn report(&self) -> StoreReport {
        StoreReport { foreign_writes: self.foreign_writes.load(Ordering::Relaxed) }
    }
}
