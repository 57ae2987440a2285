//! The state directory: every file operation of the crate, relative to one descriptor that was opened and checked once. Names
//! never leave it: none holds a slash, and links are not followed.

use crate::error::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where what cannot be used any more is kept for people to look at.
const SET_ASIDE: &str = "set-aside";
/// A state file is at most a few kilobytes; anything much larger is not one, and must not fill the memory.
const LARGEST_FILE: u64 = 1 << 20;

/// Which file it is and in which version, in 8 bytes: device, inode, size and time of change, hashed. 0 is "no file".
pub type FileIdentity = u64;

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// `None` after [`Directory::close`].
    descriptor: Mutex<Option<Arc<OwnedFd>>>,
    key: (u64, u64),
}

impl Directory {
    /// Opens `path`, and makes it (0700, with its parents) when it is not there. `strict` refuses a link and a directory that
    /// belongs to another user: right for a path that others can guess.
    ///
    /// # Errors
    /// `ERR_STATE_IO`, naming the path.
    pub fn open(path: &Path, strict: bool) -> Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let failed = |what: &str, e: std::io::Error| Error::io(format_args!("{what} state directory {}", path.display()), e);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| failed("create", e))?;
        let follow = if strict { OFlags::NOFOLLOW } else { OFlags::empty() };
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | follow;
        let descriptor = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|e| failed("open", e.into()))?;
        let stat = rustix::fs::fstat(&descriptor).map_err(|e| failed("stat", e.into()))?;
        if strict && stat.st_uid != rustix::process::geteuid().as_raw() {
            let message = format!("state directory {} belongs to user {}, not to this process's user", path.display(), stat.st_uid);
            return Err(Error::new(ErrorKind::StateIo, message));
        }
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss)] // st_dev is signed on some systems
        let key = (stat.st_dev as u64, stat.st_ino as u64);
        Ok(Self { path, descriptor: Mutex::new(Some(Arc::new(descriptor))), key })
    }

    /// For messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Device and inode: the same for every path to this directory.
    #[must_use]
    pub fn key(&self) -> (u64, u64) {
        self.key
    }

    /// Lets go of the directory: it can be unmounted.
    pub(super) fn close(&self) {
        *self.descriptor.lock() = None;
    }

    fn descriptor(&self) -> Result<Arc<OwnedFd>> {
        let open = self.descriptor.lock();
        open.as_ref().map(Arc::clone).ok_or_else(Error::closed)
    }

    fn failed(&self, what: &str, name: &str, e: Errno) -> Error {
        Error::io(format_args!("{what} {}/{name}", self.path.display()), e)
    }

    /// Opens (makes) a file to lock.
    pub(super) fn open_lock(&self, name: &str) -> Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(self.descriptor()?, name, flags, Mode::from_raw_mode(0o600))
            .map(File::from)
            .map_err(|e| self.failed("open", name, e))
    }

    /// The bytes of a file and its identity; `None` when it is not there.
    ///
    /// # Errors
    /// `ERR_STATE_IO`; `ERR_STATE_CORRUPT` for what is no regular file or too large.
    pub(super) fn read(&self, name: &str) -> Result<Option<(Vec<u8>, FileIdentity)>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let descriptor = match rustix::fs::openat(self.descriptor()?, name, flags, Mode::empty()) {
            Ok(descriptor) => descriptor,
            Err(Errno::NOENT) => return Ok(None),
            // A link, a socket.
            Err(Errno::LOOP | Errno::NXIO) => return Err(self.no_state_file(name)),
            Err(e) => return Err(self.failed("open", name, e)),
        };
        let stat = rustix::fs::fstat(&descriptor).map_err(|e| self.failed("stat", name, e))?;
        #[allow(clippy::cast_sign_loss)] // sizes are not negative
        let size = stat.st_size as u64;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || size > LARGEST_FILE {
            return Err(self.no_state_file(name));
        }
        let mut bytes = Vec::new();
        File::from(descriptor)
            .take(LARGEST_FILE)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::io(format_args!("read {}/{name}", self.path.display()), e))?;
        Ok(Some((bytes, identity(&stat))))
    }

    fn no_state_file(&self, name: &str) -> Error {
        let path = self.path.display();
        let message =
            format!("{path}/{name}: a link, no regular file, or over {LARGEST_FILE} bytes; reset the user to set it aside");
        Error::new(ErrorKind::StateCorrupt, message)
    }

    /// Which file stands under `name` now.
    pub(super) fn identity(&self, name: &str) -> Result<FileIdentity> {
        match rustix::fs::statat(self.descriptor()?, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(identity(&stat)),
            Err(Errno::NOENT) => Ok(0),
            Err(e) => Err(self.failed("stat", name, e)),
        }
    }

    /// Writes `bytes` to a new file `temporary` and syncs them; the name itself is not synced. Removes it again on failure: a
    /// descriptor whose sync failed is never used a second time, because the kernel may have dropped the pages.
    pub(super) fn write_new(&self, temporary: &str, bytes: &[u8]) -> Result<FileIdentity> {
        // Left over from a process that died while writing; only the holder of the lock gets here.
        self.remove(temporary)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let descriptor = rustix::fs::openat(self.descriptor()?, temporary, flags, Mode::from_raw_mode(0o600))
            .map_err(|e| self.failed("create", temporary, e))?;
        let mut file = File::from(descriptor);
        let written = file.write_all(bytes).and_then(|()| file.sync_data()).and_then(|()| Ok(rustix::fs::fstat(&file)?));
        written.map(|stat| identity(&stat)).map_err(|e| {
            let _ = self.remove(temporary);
            Error::io(format_args!("write {}/{temporary}", self.path.display()), e)
        })
    }

    /// Puts `temporary` in the place of `name`, atomically.
    pub(super) fn rename(&self, temporary: &str, name: &str) -> Result<()> {
        rustix::fs::renameat(self.descriptor()?, temporary, self.descriptor()?, name).map_err(|e| self.failed("replace", name, e))
    }

    /// Removes a file. It need not be there; a directory in its place is none of ours and stays.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        match rustix::fs::unlinkat(self.descriptor()?, name, AtFlags::empty()) {
            // POSIX says EPERM for a directory, Linux EISDIR.
            Ok(()) | Err(Errno::NOENT | Errno::ISDIR) => Ok(()),
            Err(e) => Err(self.failed("remove", name, e)),
        }
    }

    /// Moves a file to `set-aside/<name>.<n>`, with n the first free number, and says where it is now.
    pub(super) fn set_aside(&self, name: &str) -> Result<String> {
        let aside = self.open_aside()?;
        for n in 1u64.. {
            let free = format!("{}.{n}", aside_stem(name));
            match rustix::fs::statat(&aside, &free, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => continue,
                Err(Errno::NOENT) => {}
                Err(e) => return Err(self.failed("stat", &free, e)),
            }
            rustix::fs::renameat(self.descriptor()?, name, &aside, &free).map_err(|e| self.failed("set aside", name, e))?;
            rustix::fs::fsync(&aside).map_err(|e| self.failed("sync", SET_ASIDE, e))?;
            return Ok(format!("{}/{SET_ASIDE}/{free}", self.path.display()));
        }
        Err(Error::new(ErrorKind::StateIo, "no free name to set a file aside"))
    }

    /// Removes what was set aside from under `name`, of those files for which `chosen` says so of their bytes.
    pub(super) fn remove_set_aside(&self, name: &str, chosen: impl Fn(&[u8]) -> bool) -> Result<()> {
        if self.identity(SET_ASIDE)? == 0 {
            return Ok(());
        }
        let aside = self.open_aside()?;
        let failed = |e: Errno| self.failed("erase from", SET_ASIDE, e);
        for entry in rustix::fs::Dir::read_from(&aside).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(found) = entry.file_name().to_str() else { continue };
            let of_name = found.strip_prefix(aside_stem(name)).and_then(|rest| rest.strip_prefix('.'));
            if !of_name.is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit())) {
                continue;
            }
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let stat = rustix::fs::statat(&aside, found, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
            let remove = match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => false,
                FileType::RegularFile => {
                    let mut bytes = Vec::new();
                    let opened = rustix::fs::openat(&aside, found, flags, Mode::empty()).map_err(failed)?;
                    let read = File::from(opened).take(LARGEST_FILE).read_to_end(&mut bytes);
                    read.map_err(|e| Error::io(format_args!("read {}/{SET_ASIDE}/{found}", self.path.display()), e))?;
                    chosen(&bytes)
                }
                _ => true,
            };
            if remove {
                rustix::fs::unlinkat(&aside, found, AtFlags::empty()).map_err(failed)?;
            }
        }
        rustix::fs::fsync(&aside).map_err(failed)
    }

    fn open_aside(&self) -> Result<OwnedFd> {
        match rustix::fs::mkdirat(self.descriptor()?, SET_ASIDE, Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(self.failed("create", SET_ASIDE, e)),
        }
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(self.descriptor()?, SET_ASIDE, flags, Mode::empty()).map_err(|e| self.failed("open", SET_ASIDE, e))
    }

    /// Syncs the names: what was renamed or removed before survives power loss.
    pub(super) fn sync(&self) -> Result<()> {
        rustix::fs::fsync(self.descriptor()?).map_err(|e| self.failed("sync", ".", e))
    }
}

/// What of a name a file that was set aside keeps: a number must still fit.
fn aside_stem(name: &str) -> &str {
    &name[..name.floor_char_boundary(230)]
}

fn identity(stat: &rustix::fs::Stat) -> FileIdentity {
    let mut hasher = DefaultHasher::new();
    (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime, stat.st_mtime_nsec).hash(&mut hasher);
    hasher.finish().max(1)
}
