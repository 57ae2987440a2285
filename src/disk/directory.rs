//! The state directory: what the rest of the crate does with files, on a [`Disk`], with errors that name the path.

use super::real::Identity;
use super::{Disk, FileIdentity, FileKind, OpenFile, RealDisk, Room};
use crate::error::{Error, ErrorKind, Result, printable};
use rustix::fs::Mode;
use std::fs::File;
use std::io;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A state file has a few kilobytes, most of them its history; anything much larger is none, and must not fill the memory.
const LARGEST_FILE: u64 = 8 << 20;

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    disk: Box<dyn Disk>,
    warning: Option<String>,
}

/// A directory that was opened on the machine's own disk.
#[derive(Debug)]
pub struct OpenedDirectory {
    path: PathBuf,
    disk: RealDisk,
    key: (u64, u64),
    warning: Option<String>,
}

impl OpenedDirectory {
    /// Opens `path`, and makes it (0700, with its parents) when it is not there. `strict` refuses a link and a directory that belongs to another
    /// user or can be written by all: right for a path that others can guess. Without it these get a [`Directory::warning`]; only what
    /// anybody may have put there is refused, a directory of another user's where all can make some, such as `/tmp`.
    ///
    /// # Errors
    /// `ERR_STATE_IO`, naming the path.
    pub fn open(path: &Path, strict: bool) -> Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let failed = |what: &str, e: io::Error| Error::io(format_args!("{what} state directory {}", path.display()), e);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| failed("create", e))?;
        let (disk, identity) = RealDisk::open(path, !strict).map_err(|e| failed("open", e))?;
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let warning = match foreign_hands(&identity) {
            Some((problem, is_dangerous)) if strict || is_dangerous => {
                let message = format!("state directory {} {problem}: use one of this process's own", path.display());
                return Err(Error::new(ErrorKind::StateIo, message).lasting());
            }
            found => found.map(|(problem, _)| printable(&format!("state directory {} {problem}", path.display()))),
        };
        Ok(Self { path, disk, key: identity.key, warning })
    }

    /// Opens a directory of segments alone, which exists, for reading.
    ///
    /// # Errors
    /// `ERR_STATE_IO`, naming the path.
    pub fn open_log(path: &Path) -> Result<Self> {
        let opened = RealDisk::open(path, true).and_then(|(disk, identity)| Ok((disk.into_its_own_log()?, identity)));
        let (disk, identity) = opened.map_err(|e| Error::io(format_args!("open log directory {}", path.display()), e))?;
        Ok(Self { path: path.to_owned(), disk, key: identity.key, warning: None })
    }

    /// The state directory that a log directory is in, for reading; `None` where it is in none that can be read.
    #[must_use]
    pub fn around_log(log: &Path) -> Option<Self> {
        let log = log.canonicalize().ok()?;
        let path = log.parent().filter(|_| log.file_name().is_some_and(|name| name == Room::Log.name()))?;
        let (disk, identity) = RealDisk::open(path, true).ok()?;
        Some(Self { path: path.to_owned(), disk, key: identity.key, warning: None })
    }

    /// For messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Device and inode: the same for every path to this directory.
    #[must_use]
    pub const fn key(&self) -> (u64, u64) {
        self.key
    }

    /// Opens (makes) a file to lock.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn open_lock(&self, name: &str) -> Result<File> {
        self.disk.open_lock(name).map_err(|e| Error::io(format_args!("open {}/{name}", self.path.display()), e))
    }
}

/// Who else can change what is in a directory, if anybody can whom its place does not tell of; and whether anybody may have put it there. Root
/// can anyway, and a group was chosen by whoever gave the rights.
fn foreign_hands(identity: &Identity) -> Option<(String, bool)> {
    let Identity { owner, mode, parent, .. } = identity;
    if ![rustix::process::geteuid().as_raw(), 0].contains(owner) {
        let dangerous = parent.contains(Mode::WOTH);
        let whose = format!("belongs to user {owner}, not to this process's user");
        return Some((if dangerous { format!("{whose}, in a directory where everybody can make one") } else { whose }, dangerous));
    }
    let everybody = mode.contains(Mode::WOTH);
    everybody
        .then(|| (format!("can be written by every user of this machine (mode {:03o}; see chmod)", mode.bits() & 0o777), false))
}

impl From<OpenedDirectory> for Directory {
    fn from(opened: OpenedDirectory) -> Self {
        Self { warning: opened.warning, ..Self::on(Box::new(opened.disk), opened.path) }
    }
}

impl Directory {
    /// A directory on any disk; `path` is for messages.
    #[must_use]
    pub fn on(disk: Box<dyn Disk>, path: PathBuf) -> Self {
        Self { path, disk, warning: None }
    }

    /// For messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who else can change what is in it, for people; `None`: nobody whom it does not belong to.
    #[must_use]
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// Lets go of the directory: it can be unmounted.
    pub fn close(&self) {
        self.disk.close();
    }

    fn shown(&self, room: Room, name: &str) -> String {
        let path = if room == Room::State { self.path.clone() } else { self.path.join(room.name()) };
        if name.is_empty() { path } else { path.join(name) }.display().to_string()
    }

    fn failed(&self, what: &str, room: Room, name: &str, e: io::Error) -> Error {
        if e.kind() == io::ErrorKind::NotConnected {
            return Error::closed();
        }
        Error::io(format_args!("{what} {}", self.shown(room, name)), e)
    }

    /// The bytes of a state file, or of one that was set aside, and its identity; `None` when it is not there.
    ///
    /// # Errors
    /// `ERR_STATE_IO`; `ERR_STATE_CORRUPT` for what is no regular file or too large.
    pub fn read(&self, room: Room, name: &str) -> Result<Option<(Vec<u8>, FileIdentity)>> {
        match self.disk.read(room, name, 0, LARGEST_FILE + 1) {
            Ok(None) => Ok(None),
            Ok(Some((bytes, stat))) if stat.kind == FileKind::Regular && bytes.len() as u64 <= LARGEST_FILE => {
                Ok(Some((bytes, stat.identity)))
            }
            Ok(Some(_)) => Err(self.no_state_file(room, name)),
            Err(_) if self.kind(room, name).is_some_and(|kind| kind != FileKind::Regular) => Err(self.no_state_file(room, name)),
            Err(e) => Err(self.failed("read", room, name, e)),
        }
    }

    /// What stands under a name with which something failed; `None` when nothing does, or that fails as well.
    fn kind(&self, room: Room, name: &str) -> Option<FileKind> {
        Some(self.disk.stat(room, name).ok()??.kind)
    }

    fn no_state_file(&self, room: Room, name: &str) -> Error {
        let path = self.shown(room, name);
        let message = format!("{path}: a link, no regular file, or over {LARGEST_FILE} bytes; reset the user to set it aside");
        Error::new(ErrorKind::StateCorrupt, message)
    }

    /// Which file stands under `name` now.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn identity(&self, room: Room, name: &str) -> Result<FileIdentity> {
        let stat = self.disk.stat(room, name).map_err(|e| self.failed("stat", room, name, e))?;
        Ok(stat.map_or(0, |stat| stat.identity))
    }

    /// Writes `bytes` to a new file `temporary` and syncs them; the name itself is not synced. Removes it again on failure: a
    /// descriptor whose sync failed is never used a second time, because the kernel may have dropped the pages.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn write_new(&self, room: Room, temporary: &str, bytes: &[u8]) -> Result<FileIdentity> {
        // Left over from a process that died while writing; only the holder of the lock gets here.
        self.remove(room, temporary)?;
        let file = self.create(room, temporary)?;
        let written = write_all(&*file, bytes).and_then(|()| file.sync()).and_then(|()| file.stat());
        written.map(|stat| stat.identity).map_err(|e| {
            let _ = self.remove(room, temporary);
            self.failed("write", room, temporary, e)
        })
    }

    /// A new file, open for writing; its room is made where it does not exist.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn create(&self, room: Room, name: &str) -> Result<Box<dyn OpenFile>> {
        if room != Room::State {
            self.disk.make(room).map_err(|e| self.failed("create", room, "", e))?;
        }
        self.disk.create(room, name).map_err(|e| self.failed("create", room, name, e))
    }

    /// Puts `temporary` in the place of `name`, atomically.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn rename(&self, room: Room, temporary: &str, name: &str) -> Result<()> {
        self.disk.rename((room, temporary), (room, name)).map_err(|e| self.failed("replace", room, name, e))
    }

    /// Removes a file. It need not be there; a directory in its place is none of ours and stays.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn remove(&self, room: Room, name: &str) -> Result<()> {
        match self.disk.remove(room, name) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(_) if self.kind(room, name) == Some(FileKind::Directory) => Ok(()),
            Err(e) => Err(self.failed("remove", room, name, e)),
        }
    }

    /// Moves a file to `set-aside/<name>.<n>`, with n the first free number, and says where it is now.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn set_aside(&self, room: Room, name: &str) -> Result<String> {
        self.disk.make(Room::SetAside).map_err(|e| self.failed("create", Room::SetAside, "", e))?;
        for n in 1u64.. {
            let free = format!("{}.{n}", aside_stem(name));
            if self.identity(Room::SetAside, &free)? != 0 {
                continue;
            }
            let moved = self.disk.rename((room, name), (Room::SetAside, &free));
            moved.map_err(|e| self.failed("set aside", room, name, e))?;
            self.sync(Room::SetAside)?;
            return Ok(self.shown(Room::SetAside, &free));
        }
        Err(Error::new(ErrorKind::StateIo, "no free name to set a file aside"))
    }

    /// Removes what was set aside from under `name`, of those files for which `chosen` says so of their bytes.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn remove_set_aside(&self, name: &str, chosen: impl Fn(&[u8]) -> bool) -> Result<()> {
        let mut removed = false;
        for found in self.list(Room::SetAside)? {
            let of_name = found.strip_prefix(aside_stem(name)).and_then(|rest| rest.strip_prefix('.'));
            if !of_name.is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit())) {
                continue;
            }
            let remove = match self.read(Room::SetAside, &found) {
                Ok(file) => file.is_some_and(|(bytes, _)| chosen(&bytes)),
                // A link goes, a directory stays.
                Err(e) if e.kind() == ErrorKind::StateCorrupt => true,
                Err(e) => return Err(e),
            };
            if remove {
                self.remove(Room::SetAside, &found)?;
                removed = true;
            }
        }
        if removed { self.sync(Room::SetAside) } else { Ok(()) }
    }

    /// The names in a room; none when it does not exist.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn list(&self, room: Room) -> Result<Vec<String>> {
        self.disk.list(room).map_err(|e| self.failed("list", room, "", e))
    }

    /// Size and time of change, in milliseconds since 1970, of a file; `None` when it is not there.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn size_and_time(&self, room: Room, name: &str) -> Result<Option<(u64, u64)>> {
        let stat = self.disk.stat(room, name).map_err(|e| self.failed("stat", room, name, e))?;
        Ok(stat.map(|stat| (stat.size, stat.modified_ms)))
    }

    /// The bytes of a file of any size from byte `from` on; none when it is not there.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn read_from(&self, room: Room, name: &str, from: u64) -> Result<Vec<u8>> {
        let read = self.disk.read(room, name, from, u64::MAX).map_err(|e| self.failed("read", room, name, e))?;
        Ok(read.map(|(bytes, _)| bytes).unwrap_or_default())
    }

    /// A file to be read part by part; `None` when it is not there.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn open(&self, room: Room, name: &str) -> Result<Option<Box<dyn Read>>> {
        self.disk.open(room, name).map_err(|e| self.failed("read", room, name, e))
    }

    /// At most `limit` bytes of a file from byte `from` on; none when it is not there.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn read_range(&self, room: Room, name: &str, from: u64, limit: u64) -> Result<Vec<u8>> {
        let read = self.disk.read(room, name, from, limit).map_err(|e| self.failed("read", room, name, e))?;
        Ok(read.map(|(bytes, _)| bytes).unwrap_or_default())
    }

    /// Syncs the names in a room: what was made, renamed or removed there before survives power loss.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn sync(&self, room: Room) -> Result<()> {
        self.disk.sync(room).map_err(|e| self.failed("sync", room, "", e))
    }
}

/// Writes all of it, in as many calls as it takes.
///
/// # Errors
/// Those of writing.
pub fn write_all(file: &dyn OpenFile, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => bytes = &bytes[n..],
        }
    }
    Ok(())
}

/// What of a name a file that was set aside keeps: a number must still fit.
fn aside_stem(name: &str) -> &str {
    &name[..name.floor_char_boundary(230)]
}
