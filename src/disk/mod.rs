//! The only door to files: one small trait, a method a system call or two, and its implementation on the real directory. What is
//! written where and in which order is decided in `log` and `state`; tests put a disk behind the trait that fails on demand or
//! forgets what was not synced.

mod directory;
mod real;

pub use directory::write_all;
pub use directory::{Directory, OpenedDirectory};
pub use real::RealDisk;

use std::fmt::Debug;
use std::io;

/// The directories of a state directory. A file is named by the room it is in and its name there; names hold no slash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Room {
    /// `STATE_DIR` itself: the state files.
    State,
    /// `STATE_DIR/log`: the segments of the interaction log.
    Log,
    /// `STATE_DIR/sync`: what is known of users' syncs with their task lists.
    Sync,
    /// `STATE_DIR/set-aside`: what cannot be used any more, for people to look at.
    SetAside,
}

impl Room {
    /// The directory's name, for messages and for making it; empty for the state directory itself.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::State => "",
            Self::Log => "log",
            Self::Sync => "sync",
            Self::SetAside => "set-aside",
        }
    }
}

/// Which file it is and in which version, in 62 bits: device, inode, size and time of change, hashed. 0 is "no file".
pub type FileIdentity = u64;

/// What stands under a name. Asked of a file rather than read from an error number: these differ between systems (a socket that is opened
/// is ENXIO on Linux and EOPNOTSUPP on macOS, a directory that is removed like a file EISDIR and EPERM).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A link, a socket, a FIFO, a device.
    Other,
}

/// What is known of a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    /// Which version of which file.
    pub identity: FileIdentity,
    /// Bytes.
    pub size: u64,
    /// Regular, as all of ours are, or not.
    pub kind: FileKind,
    /// When it was last changed, in milliseconds since 1970.
    pub modified_ms: u64,
}

/// Files of one state directory. Links are not followed anywhere.
pub trait Disk: Debug + Send + Sync {
    /// At most `limit` bytes of a file from byte `from` on, with the file's stat; `None` when there is none.
    ///
    /// # Errors
    /// Those of opening and reading. What is no regular file gives its stat and no bytes, or, as a link and a socket do, an error.
    fn read(&self, room: Room, name: &str, from: u64, limit: u64) -> io::Result<Option<(Vec<u8>, FileStat)>>;

    /// A file to be read part by part, as it was when it was opened, whatever takes its place meanwhile; `None` when there is none.
    ///
    /// # Errors
    /// As [`Disk::read`].
    fn open(&self, room: Room, name: &str) -> io::Result<Option<Box<dyn io::Read>>> {
        let read = self.read(room, name, 0, u64::MAX)?;
        Ok(read.map(|(bytes, _)| Box::new(io::Cursor::new(bytes)) as Box<dyn io::Read>))
    }

    /// What stands under a name; `None` when nothing does.
    ///
    /// # Errors
    /// Those of `fstatat`.
    fn stat(&self, room: Room, name: &str) -> io::Result<Option<FileStat>>;

    /// The names in a room, in no order; none when the room does not exist.
    ///
    /// # Errors
    /// Those of reading a directory.
    fn list(&self, room: Room) -> io::Result<Vec<String>>;

    /// Makes a room (0700) where it does not exist.
    ///
    /// # Errors
    /// Those of `mkdirat`.
    fn make(&self, room: Room) -> io::Result<()>;

    /// A new file (0600), open for writing.
    ///
    /// # Errors
    /// `EEXIST` among others.
    fn create(&self, room: Room, name: &str) -> io::Result<Box<dyn OpenFile>>;

    /// Puts a file in the place of another, atomically.
    ///
    /// # Errors
    /// Those of `renameat`.
    fn rename(&self, from: (Room, &str), to: (Room, &str)) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Those of `unlinkat`; always for a directory.
    fn remove(&self, room: Room, name: &str) -> io::Result<()>;

    /// Makes the names in a room survive power loss.
    ///
    /// # Errors
    /// Those of [`File::sync_all`](std::fs::File::sync_all). It must not be taken for done when it is called again and then succeeds.
    fn sync(&self, room: Room) -> io::Result<()>;

    /// Lets go of the directory; afterwards every call fails.
    fn close(&self);
}

/// A file that is being written, from its start.
pub trait OpenFile: Debug + Send + Sync {
    /// Appends; says how many bytes were taken, which may be fewer than all.
    ///
    /// # Errors
    /// Those of `write`.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Makes what was written survive power loss.
    ///
    /// # Errors
    /// Those of [`File::sync_data`](std::fs::File::sync_data). Afterwards the file is not to be used again: the system may have dropped
    /// what it could not write.
    fn sync(&self) -> io::Result<()>;

    /// What is known of it.
    ///
    /// # Errors
    /// Those of `fstat`.
    fn stat(&self) -> io::Result<FileStat>;
}
