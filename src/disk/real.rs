//! A directory of the machine, through one descriptor that was opened and checked once.
//!
//! Synced by the standard library: on Apple's systems `fsync` leaves the bytes in the drive's own cache and `fdatasync` does not exist;
//! [`File::sync_all`] and [`File::sync_data`] are `F_FULLFSYNC` there. clippy.toml refuses the other two.

use super::{Disk, FileKind, FileStat, OpenFile, Room};
use parking_lot::Mutex;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

const TO_READ: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);
const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC);

/// See the module.
#[derive(Debug)]
pub struct RealDisk {
    /// `None` after [`Disk::close`].
    rooms: Mutex<Option<Rooms>>,
}

#[derive(Debug)]
struct Rooms {
    state: Arc<File>,
    log: Option<Arc<File>>,
    sync: Option<Arc<File>>,
    set_aside: Option<Arc<File>>,
}

/// A directory's device and inode, and who can change what is in it.
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    pub key: (u64, u64),
    pub owner: u32,
    pub mode: Mode,
    /// The rights of the directory that it is in.
    pub parent: Mode,
}

impl RealDisk {
    /// Opens a directory, which exists; `follow` when the path may be a link.
    ///
    /// # Errors
    /// Those of the system calls.
    pub fn open(path: &Path, follow: bool) -> io::Result<(Self, Identity)> {
        let link = if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
        let descriptor = rustix::fs::openat(CWD, path, DIRECTORY | link, Mode::empty())?;
        let stat = rustix::fs::fstat(&descriptor)?;
        #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss)] // st_dev is signed on some systems
        let key = (stat.st_dev as u64, stat.st_ino as u64);
        let parent = rustix::fs::statat(&descriptor, "..", AtFlags::empty())?;
        let [mode, parent] = [stat.st_mode, parent.st_mode].map(Mode::from_raw_mode);
        let identity = Identity { key, owner: stat.st_uid, mode, parent };
        let rooms = Rooms { state: Arc::new(descriptor.into()), log: None, sync: None, set_aside: None };
        Ok((Self { rooms: Mutex::new(Some(rooms)) }, identity))
    }

    /// The same directory, with its segments in it and not in a room of their own.
    ///
    /// # Errors
    /// Those of the system calls.
    pub fn into_its_own_log(self) -> io::Result<Self> {
        let state = self.room(Room::State)?;
        Ok(Self { rooms: Mutex::new(Some(Rooms { log: Some(Arc::clone(&state)), state, sync: None, set_aside: None })) })
    }

    /// Opens (makes) a file to lock and to write to: the only one that is written in its place, so not one that has another name, too.
    ///
    /// # Errors
    /// Those of the system calls; `InvalidInput` for what is no file, or not this directory's alone.
    pub fn open_lock(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let descriptor = rustix::fs::openat(self.room(Room::State)?, name, flags, Mode::from_raw_mode(0o600))?;
        let stat = rustix::fs::fstat(&descriptor)?;
        let refused = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{what}; remove it")));
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return refused("it is no regular file");
        }
        if stat.st_nlink > 1 {
            return refused("it is a hard link: the same file has another name, and would be overwritten");
        }
        Ok(File::from(descriptor))
    }

    fn forget(&self, room: Room) {
        if let Some(rooms) = self.rooms.lock().as_mut() {
            match room {
                Room::State => {}
                Room::Log => rooms.log = None,
                Room::Sync => rooms.sync = None,
                Room::SetAside => rooms.set_aside = None,
            }
        }
    }

    /// A room's descriptor, opened at first use: a room that is replaced later, by a link say, is not looked at.
    fn room(&self, room: Room) -> io::Result<Arc<File>> {
        let mut rooms = self.rooms.lock();
        let Rooms { state, log, sync, set_aside } =
            rooms.as_mut().ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "the engine was closed"))?;
        let slot = match room {
            Room::State => return Ok(Arc::clone(state)),
            Room::Log => log,
            Room::Sync => sync,
            Room::SetAside => set_aside,
        };
        if let Some(descriptor) = slot {
            return Ok(Arc::clone(descriptor));
        }
        let opened = rustix::fs::openat(&**state, room.name(), DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
        Ok(Arc::clone(slot.insert(Arc::new(opened.into()))))
    }
}

impl RealDisk {
    fn open_to_read(&self, room: Room, name: &str) -> io::Result<Option<File>> {
        match self.room(room).and_then(|room| Ok(rustix::fs::openat(room, name, TO_READ, Mode::empty())?)) {
            Ok(descriptor) => Ok(Some(descriptor.into())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }
}

impl Disk for RealDisk {
    fn read(&self, room: Room, name: &str, from: u64, limit: u64) -> io::Result<Option<(Vec<u8>, FileStat)>> {
        let Some(mut file) = self.open_to_read(room, name)? else { return Ok(None) };
        let stat = file_stat(&rustix::fs::fstat(&file)?);
        let mut bytes = Vec::new();
        if stat.kind == FileKind::Regular {
            file.seek(SeekFrom::Start(from))?;
            let left = stat.size.saturating_sub(from).min(limit);
            bytes.reserve_exact(usize::try_from(left).unwrap_or(0).saturating_add(1));
            file.take(limit).read_to_end(&mut bytes)?;
        }
        Ok(Some((bytes, stat)))
    }

    fn open(&self, room: Room, name: &str) -> io::Result<Option<Box<dyn Read>>> {
        let Some(file) = self.open_to_read(room, name)? else { return Ok(None) };
        let is_regular = file_stat(&rustix::fs::fstat(&file)?).kind == FileKind::Regular;
        Ok(Some(if is_regular { Box::new(file) } else { Box::new(io::empty()) }))
    }

    fn stat(&self, room: Room, name: &str) -> io::Result<Option<FileStat>> {
        let stat = self.room(room).and_then(|room| Ok(rustix::fs::statat(room, name, AtFlags::SYMLINK_NOFOLLOW)?));
        match stat {
            Ok(stat) => Ok(Some(file_stat(&stat))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn list(&self, room: Room) -> io::Result<Vec<String>> {
        let descriptor = match self.room(room) {
            Ok(descriptor) => descriptor,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(descriptor)? {
            // What is not UTF-8 is not ours.
            if let Ok(name) = entry?.file_name().to_str() {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    fn make(&self, room: Room) -> io::Result<()> {
        match rustix::fs::mkdirat(self.room(Room::State)?, room.name(), Mode::from_raw_mode(0o700)) {
            Ok(()) => {
                // There was none, whatever was opened under its name before.
                self.forget(room);
                Ok(())
            }
            Err(Errno::EXIST) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    fn create(&self, room: Room, name: &str) -> io::Result<Box<dyn OpenFile>> {
        // O_APPEND: where this process writes does not depend on what anybody else does to the file.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let descriptor = rustix::fs::openat(self.room(room)?, name, flags, Mode::from_raw_mode(0o600))?;
        Ok(Box::new(RealFile(descriptor.into())))
    }

    fn rename(&self, from: (Room, &str), to: (Room, &str)) -> io::Result<()> {
        Ok(rustix::fs::renameat(self.room(from.0)?, from.1, self.room(to.0)?, to.1)?)
    }

    fn remove(&self, room: Room, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(self.room(room)?, name, AtFlags::empty())?)
    }

    fn sync(&self, room: Room) -> io::Result<()> {
        self.room(room)?.sync_all()
    }

    fn close(&self) {
        *self.rooms.lock() = None;
    }
}

#[derive(Debug)]
struct RealFile(File);

impl OpenFile for RealFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| rustix::io::write(&self.0, bytes))?)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn stat(&self) -> io::Result<FileStat> {
        Ok(file_stat(&rustix::fs::fstat(&self.0)?))
    }
}

#[allow(clippy::cast_sign_loss, clippy::unnecessary_cast, clippy::cast_possible_truncation)] // sizes and times past 1970
fn file_stat(stat: &rustix::fs::Stat) -> FileStat {
    let mut hasher = DefaultHasher::new();
    (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime, stat.st_mtime_nsec).hash(&mut hasher);
    FileStat {
        identity: (hasher.finish() >> 2).max(1),
        size: stat.st_size as u64,
        kind: match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => FileKind::Regular,
            FileType::Directory => FileKind::Directory,
            _ => FileKind::Other,
        },
        modified_ms: (stat.st_mtime as u64).saturating_mul(1000) + stat.st_mtime_nsec as u64 / 1_000_000,
    }
}
