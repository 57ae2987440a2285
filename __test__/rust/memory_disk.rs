//! A disk in memory that remembers every change in order, so that it can say what a power cut or a `kill -9` after any of them
//! leaves behind; and that fails where it is told to.

use crate::support::{PATIENCE, wait};
use oo_bandits::Result;
use oo_bandits::clock::Clock;
use oo_bandits::disk::{Directory, Disk, FileKind, FileStat, OpenFile, Room};
use oo_bandits::engine::{Engine, open};
use oo_bandits::rng::Chance;
use oo_bandits::settings::Settings;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub const ROOMS: [Room; 4] = [Room::State, Room::Log, Room::Sync, Room::SetAside];
pub const ENOSPC: i32 = 28;
pub const EIO: i32 = 5;
pub const EMFILE: i32 = 24;
/// When files are written whose time nobody says.
const START_MS: u64 = 1_700_000_000_000;

/// What can be asked of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    Read,
    Stat,
    List,
    Make,
    Create,
    Write,
    Rename,
    Remove,
    SyncFile,
    SyncRoom,
    StatFile,
}

/// One call, as a plan sees it: the how manyth, what, where.
#[derive(Debug, Clone)]
pub struct Step {
    pub index: u64,
    pub call: Call,
    pub room: Room,
    pub name: String,
}

/// How it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Fails with this error number; nothing was done.
    Error(i32),
    /// A write takes so many bytes less than it was given, but no more than there are.
    Short(usize),
}

type Plan = Arc<dyn Fn(&Step) -> Fault + Send + Sync>;

/// A change, as it is remembered.
#[derive(Debug, Clone)]
enum Change {
    Make(Room),
    Create(Room, String, u64),
    Write(u64, Vec<u8>),
    Rename(Room, String, Room, String),
    Remove(Room, String),
    /// Whether it worked: when it did not, the system has dropped what it could not write.
    SyncFile(u64, bool),
    /// Likewise.
    SyncRoom(Room, bool),
}

/// Everything that a disk holds while nothing is going on: all of it safe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    rooms: [Option<BTreeMap<String, Arc<Vec<u8>>>>; 4],
}

impl Image {
    pub fn get(&self, room: Room, name: &str) -> Option<&[u8]> {
        self.rooms[room as usize].as_ref()?.get(name).map(|bytes| &bytes[..])
    }

    pub fn put(&mut self, room: Room, name: &str, bytes: impl Into<Vec<u8>>) {
        self.rooms[room as usize].get_or_insert_default().insert(name.to_owned(), Arc::new(bytes.into()));
    }

    fn share(&mut self, room: Room, name: &str, bytes: &Arc<Vec<u8>>) {
        self.rooms[room as usize].get_or_insert_default().insert(name.to_owned(), Arc::clone(bytes));
    }

    pub fn remove(&mut self, room: Room, name: &str) -> Option<Vec<u8>> {
        self.rooms[room as usize].as_mut()?.remove(name).map(|bytes| bytes.to_vec())
    }

    /// Removes a room with all that is in it.
    pub fn clear(&mut self, room: Room) {
        self.rooms[room as usize] = None;
    }

    pub fn names(&self, room: Room) -> Vec<&str> {
        self.rooms[room as usize].iter().flatten().map(|(name, _)| &**name).collect()
    }

    /// The segments of the log, oldest first, in one piece.
    pub fn log(&self) -> Vec<u8> {
        self.rooms[Room::Log as usize].iter().flatten().flat_map(|(_, bytes)| bytes.iter().copied()).collect()
    }

    /// The files that hold these bytes somewhere, in their name or content.
    pub fn files_with(&self, part: &str) -> Vec<String> {
        let mut found = Vec::new();
        for room in ROOMS {
            for (name, bytes) in self.rooms[room as usize].iter().flatten() {
                if name.contains(part) || memchr::memmem::find(bytes, part.as_bytes()).is_some() {
                    found.push(format!("{}/{name}", room.name()));
                }
            }
        }
        found
    }
}

#[derive(Debug, Clone, Default)]
struct File {
    /// Shared with the images that have it: the same bytes in two files are not the same file.
    bytes: Arc<Vec<u8>>,
    /// So many of them were synced.
    synced: usize,
    /// A sync failed: what was not synced then never will be.
    failed: bool,
    modified_ms: u64,
}

/// A name's meanings since its room was last synced, the synced one first; `None` is no file.
#[derive(Debug, Clone)]
struct Meanings {
    files: Vec<Option<u64>>,
    /// A sync failed since the last change: another one that succeeds says nothing about it.
    lost: bool,
}

/// A disk at one moment, with what of it is safe.
#[derive(Debug, Clone, Default)]
struct Model {
    files: HashMap<u64, File>,
    /// Names by room, under the name as the disk compares it: as it was given, and the file.
    names: [Option<BTreeMap<String, (String, u64)>>; 4],
    /// Whether the rooms themselves are safe.
    made: [bool; 4],
    /// Names that changed since their room was synced.
    changed: [BTreeMap<String, Meanings>; 4],
    /// In the order of their making: cross-room moves that are not safe on both sides, as (from, to).
    moves: Vec<((Room, String), (Room, String))>,
    folds_case: bool,
}

impl Model {
    fn of(image: &Image, folds_case: bool) -> Self {
        let mut model = Self { folds_case, made: [true; 4], ..Self::default() };
        for room in ROOMS {
            let Some(files) = &image.rooms[room as usize] else { continue };
            let names = files.iter().map(|(name, bytes)| {
                let number = model.files.len() as u64 + 1;
                model.files.insert(
                    number,
                    File { synced: bytes.len(), bytes: Arc::clone(bytes), modified_ms: START_MS, ..File::default() },
                );
                (if folds_case { name.to_lowercase() } else { name.clone() }, (name.clone(), number))
            });
            model.names[room as usize] = Some(names.collect());
        }
        model.names[Room::State as usize].get_or_insert_default();
        model
    }

    fn key(&self, name: &str) -> String {
        if self.folds_case { name.to_lowercase() } else { name.to_owned() }
    }

    fn find(&self, room: Room, name: &str) -> Option<u64> {
        self.names[room as usize].as_ref()?.get(&self.key(name)).map(|(_, file)| *file)
    }

    fn set(&mut self, room: Room, name: &str, file: Option<u64>) {
        let key = self.key(name);
        let before = self.find(room, name);
        let fresh = || Meanings { files: vec![before], lost: false };
        let meanings = self.changed[room as usize].entry(name.to_owned()).or_insert_with(fresh);
        meanings.files.push(file);
        meanings.lost = false;
        let names = self.names[room as usize].get_or_insert_default();
        match file {
            Some(file) => drop(names.insert(key, (name.to_owned(), file))),
            None => drop(names.remove(&key)),
        }
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Make(room) => {
                if self.names[*room as usize].is_none() {
                    self.names[*room as usize] = Some(BTreeMap::new());
                    self.made[*room as usize] = false;
                }
            }
            Change::Create(room, name, number) => {
                self.files.insert(*number, File::default());
                self.set(*room, name, Some(*number));
            }
            Change::Write(number, bytes) => {
                Arc::make_mut(&mut self.files.entry(*number).or_default().bytes).extend_from_slice(bytes);
            }
            Change::Rename(from_room, from, to_room, to) => {
                let file = self.find(*from_room, from);
                self.set(*from_room, from, None);
                self.set(*to_room, to, file);
                if from_room != to_room {
                    self.moves.push(((*from_room, from.clone()), (*to_room, to.clone())));
                }
            }
            Change::Remove(room, name) => self.set(*room, name, None),
            Change::SyncFile(number, true) => {
                if let Some(file) = self.files.get_mut(number).filter(|file| !file.failed) {
                    file.synced = file.bytes.len();
                }
            }
            Change::SyncFile(number, false) => self.files.entry(*number).or_default().failed = true,
            Change::SyncRoom(room, false) => self.changed[*room as usize].values_mut().for_each(|meanings| meanings.lost = true),
            Change::SyncRoom(room, true) => {
                self.changed[*room as usize].retain(|_, meanings| meanings.lost);
                self.moves.retain(|(_, (to, _))| to != room);
                if *room == Room::State {
                    self.made = [true; 4];
                }
            }
        }
    }

    /// What another process finds when this one is killed.
    fn killed(&self) -> Image {
        let mut image = Image::default();
        for room in ROOMS {
            let files = self.names[room as usize].as_ref();
            image.rooms[room as usize] =
                files.map(|names| names.values().map(|(name, file)| (name.clone(), Arc::clone(&self.files[file].bytes))).collect());
        }
        image
    }

    /// What the next start finds when the power goes: of what is not safe any part, as `chance` has it.
    fn cut(&self, chance: &Chance) -> Image {
        let mut image = self.killed();
        // All or nothing is more telling than a bit of each.
        let mood = chance.draw().below(4);
        let stays = || match mood {
            0 => false,
            1 => true,
            _ => chance.draw().happens(0.5),
        };
        let mut moved_on = Vec::new();
        for room in ROOMS {
            for (name, Meanings { files, lost }) in &self.changed[room as usize] {
                let kept = match mood {
                    0 => 0,
                    1 if !lost => files.len() - 1,
                    _ => chance.draw().below(files.len()),
                };
                match files[kept] {
                    Some(file) => image.share(room, name, &self.files[&file].bytes),
                    None => drop(image.remove(room, name)),
                }
                if kept + 1 < files.len() {
                    moved_on.push((room, name.clone()));
                }
            }
        }
        // A move from room to room is one step: the file is in one of the two.
        for (from, to) in &self.moves {
            if moved_on.contains(to)
                && let Some(Some(file)) = self.changed[from.0 as usize].get(&from.1).map(|meanings| meanings.files[0])
            {
                image.share(from.0, &from.1, &self.files[&file].bytes);
            }
        }
        for room in ROOMS {
            if !self.made[room as usize] && !stays() {
                image.clear(room);
            }
        }
        // The bytes themselves. A file that two names have loses the same ones under both.
        let mut lengths = HashMap::new();
        for room in ROOMS {
            let Some(names) = &mut image.rooms[room as usize] else { continue };
            for bytes in names.values_mut() {
                let known = self.files.iter().find(|(_, file)| Arc::ptr_eq(&file.bytes, bytes) && file.synced < file.bytes.len());
                let Some((number, file)) = known else { continue };
                let (length, zeros) = *lengths.entry(*number).or_insert_with(|| {
                    let loose = file.bytes.len() - file.synced;
                    match mood {
                        0 => (file.synced, 0),
                        1 if !file.failed => (file.bytes.len(), 0),
                        2 => (file.synced + chance.draw().below(loose + 1), 0),
                        _ => {
                            // The size got to the disk, the bytes did not.
                            let kept = chance.draw().below(loose + 1);
                            (file.synced + kept, chance.draw().below(loose - kept + 1))
                        }
                    }
                });
                let mut left = bytes[..length].to_vec();
                left.resize(length + zeros, 0);
                *bytes = Arc::new(left);
            }
        }
        image
    }
}

#[derive(Debug)]
struct World {
    base: Image,
    now: Model,
    changes: Vec<Change>,
    next_file: u64,
    /// What a disk must not be asked.
    violations: Vec<String>,
}

struct Shared {
    world: Mutex<World>,
    plan: Mutex<Option<Plan>>,
    steps: AtomicU64,
    now_ms: AtomicU64,
}

/// See the module. Clones are the same disk.
#[derive(Clone)]
pub struct MemoryDisk {
    shared: Arc<Shared>,
    /// Set when whoever has this clone is killed: nothing that it does reaches the disk any more.
    killed: Arc<AtomicBool>,
    closed: Arc<AtomicBool>,
}

impl std::fmt::Debug for MemoryDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryDisk").finish_non_exhaustive()
    }
}

impl Default for MemoryDisk {
    fn default() -> Self {
        Self::with(Image::default())
    }
}

impl MemoryDisk {
    /// A disk that holds this, all of it safe.
    pub fn with(image: Image) -> Self {
        Self::build(image, false)
    }

    /// A disk on which `User` and `user` are the same name.
    pub fn folding_case(image: Image) -> Self {
        Self::build(image, true)
    }

    fn build(base: Image, folds_case: bool) -> Self {
        let now = Model::of(&base, folds_case);
        let world = World { next_file: now.files.len() as u64 + 1, now, base, changes: Vec::new(), violations: Vec::new() };
        let shared =
            Shared { world: Mutex::new(world), plan: Mutex::default(), steps: AtomicU64::new(0), now_ms: AtomicU64::new(START_MS) };
        Self { shared: Arc::new(shared), killed: Arc::default(), closed: Arc::default() }
    }

    /// The same disk for another process.
    fn fresh(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), killed: Arc::default(), closed: Arc::default() }
    }

    pub fn directory(&self) -> Arc<Directory> {
        Arc::new(Directory::on(Box::new(self.clone()), "/memory".into()))
    }

    /// From now on `plan` decides about each call; it may wait, too.
    pub fn plan(&self, plan: impl Fn(&Step) -> Fault + Send + Sync + 'static) {
        *self.shared.plan.lock() = Some(Arc::new(plan));
    }

    pub fn heal(&self) {
        *self.shared.plan.lock() = None;
    }

    /// How often it was asked.
    pub fn steps(&self) -> u64 {
        self.shared.steps.load(Ordering::SeqCst)
    }

    /// How many changes there were.
    pub fn changes(&self) -> usize {
        self.shared.world.lock().changes.len()
    }

    /// The time that files written from now on bear.
    pub fn set_time(&self, seconds: u64) {
        self.shared.now_ms.store(seconds * 1000, Ordering::SeqCst);
    }

    /// What it holds now.
    pub fn image(&self) -> Image {
        self.shared.world.lock().now.killed()
    }

    /// What a power cut now leaves.
    pub fn cut(&self, seed: u64) -> Image {
        self.shared.world.lock().now.cut(&Chance::seeded(seed))
    }

    /// The disk as it was after so many changes, ascending, as far as there were so many.
    pub fn moments(&self, after: impl IntoIterator<Item = usize>) -> Vec<(usize, Moment)> {
        let world = self.shared.world.lock();
        let mut model = Model::of(&world.base, world.now.folds_case);
        let (mut done, mut moments) = (0, Vec::new());
        for after in after {
            let Some(more) = world.changes.get(done..after) else { break };
            for change in more {
                model.apply(change);
            }
            done = after;
            moments.push((after, Moment(model.clone())));
        }
        moments
    }

    /// What was asked that must not be.
    pub fn violations(&self) -> Vec<String> {
        self.shared.world.lock().violations.clone()
    }

    fn is_gone(&self, call: Call) -> bool {
        // Files that are open stay so when their directory is closed.
        let needs_directory = !matches!(call, Call::Write | Call::SyncFile | Call::StatFile);
        self.killed.load(Ordering::SeqCst) || needs_directory && self.closed.load(Ordering::SeqCst)
    }

    fn begin(&self, call: Call, room: Room, name: &str) -> io::Result<Fault> {
        if self.is_gone(call) {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let index = self.shared.steps.fetch_add(1, Ordering::SeqCst);
        let plan = self.shared.plan.lock().clone();
        let fault = plan.map_or(Fault::None, |plan| plan(&Step { index, call, room, name: name.to_owned() }));
        // It may have waited.
        if self.is_gone(call) {
            return Err(io::ErrorKind::NotConnected.into());
        }
        match fault {
            Fault::Error(number) => Err(io::Error::from_raw_os_error(number)),
            Fault::Short(_) if call != Call::Write => Err(io::Error::from_raw_os_error(EIO)),
            fault => Ok(fault),
        }
    }

    fn change(&self, world: &mut World, change: Change) {
        world.now.apply(&change);
        if let Change::Write(number, _) | Change::Create(_, _, number) = change
            && let Some(file) = world.now.files.get_mut(&number)
        {
            file.modified_ms = self.shared.now_ms.load(Ordering::SeqCst);
        }
        world.changes.push(change);
    }
}

/// A disk at one moment of its past.
#[derive(Clone)]
pub struct Moment(Model);

impl Moment {
    pub fn kill(&self) -> Image {
        self.0.killed()
    }

    pub fn cut(&self, seed: u64) -> Image {
        self.0.cut(&Chance::seeded(seed))
    }
}

fn stat_of(number: u64, file: &File) -> FileStat {
    let size = file.bytes.len() as u64;
    FileStat { identity: (number << 32) + size + 1, size, kind: FileKind::Regular, modified_ms: file.modified_ms }
}

impl Disk for MemoryDisk {
    fn read(&self, room: Room, name: &str, from: u64, limit: u64) -> io::Result<Option<(Vec<u8>, FileStat)>> {
        self.begin(Call::Read, room, name)?;
        let world = self.shared.world.lock();
        let Some(number) = world.now.find(room, name) else { return Ok(None) };
        let file = &world.now.files[&number];
        let bytes = file.bytes.iter().skip(from as usize).take(usize::try_from(limit).unwrap_or(usize::MAX)).copied().collect();
        Ok(Some((bytes, stat_of(number, file))))
    }

    fn stat(&self, room: Room, name: &str) -> io::Result<Option<FileStat>> {
        self.begin(Call::Stat, room, name)?;
        let world = self.shared.world.lock();
        Ok(world.now.find(room, name).map(|number| stat_of(number, &world.now.files[&number])))
    }

    fn list(&self, room: Room) -> io::Result<Vec<String>> {
        self.begin(Call::List, room, "")?;
        let world = self.shared.world.lock();
        Ok(world.now.names[room as usize].iter().flatten().map(|(_, (name, _))| name.clone()).collect())
    }

    fn make(&self, room: Room) -> io::Result<()> {
        self.begin(Call::Make, room, "")?;
        let mut world = self.shared.world.lock();
        if world.now.names[room as usize].is_none() {
            self.change(&mut world, Change::Make(room));
        }
        Ok(())
    }

    fn create(&self, room: Room, name: &str) -> io::Result<Box<dyn OpenFile>> {
        self.begin(Call::Create, room, name)?;
        let mut world = self.shared.world.lock();
        if world.now.names[room as usize].is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        if world.now.find(room, name).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let number = world.next_file;
        world.next_file += 1;
        self.change(&mut world, Change::Create(room, name.to_owned(), number));
        Ok(Box::new(Writing { disk: self.clone(), number, room, name: name.to_owned() }))
    }

    fn rename(&self, from: (Room, &str), to: (Room, &str)) -> io::Result<()> {
        self.begin(Call::Rename, to.0, to.1)?;
        let mut world = self.shared.world.lock();
        let Some(number) = world.now.find(from.0, from.1) else { return Err(io::ErrorKind::NotFound.into()) };
        if world.now.names[to.0 as usize].is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let file = &world.now.files[&number];
        if file.synced < file.bytes.len() && from.0 == to.0 {
            let problem = format!("{} was renamed to {} with {} bytes unsynced", from.1, to.1, file.bytes.len() - file.synced);
            world.violations.push(problem);
        }
        self.change(&mut world, Change::Rename(from.0, from.1.to_owned(), to.0, to.1.to_owned()));
        Ok(())
    }

    fn remove(&self, room: Room, name: &str) -> io::Result<()> {
        self.begin(Call::Remove, room, name)?;
        let mut world = self.shared.world.lock();
        if world.now.find(room, name).is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.change(&mut world, Change::Remove(room, name.to_owned()));
        Ok(())
    }

    fn sync(&self, room: Room) -> io::Result<()> {
        let outcome = self.begin(Call::SyncRoom, room, "");
        if !self.is_gone(Call::SyncRoom) {
            self.change(&mut self.shared.world.lock(), Change::SyncRoom(room, outcome.is_ok()));
        }
        outcome.map(drop)
    }

    fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }
}

#[derive(Debug)]
struct Writing {
    disk: MemoryDisk,
    number: u64,
    room: Room,
    name: String,
}

impl OpenFile for Writing {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let taken = match self.disk.begin(Call::Write, self.room, &self.name)? {
            Fault::Short(less) => bytes.len().saturating_sub(less),
            _ => bytes.len(),
        };
        let mut world = self.disk.shared.world.lock();
        self.disk.change(&mut world, Change::Write(self.number, bytes[..taken].to_vec()));
        Ok(taken)
    }

    fn sync(&self) -> io::Result<()> {
        let outcome = self.disk.begin(Call::SyncFile, self.room, &self.name);
        if self.disk.is_gone(Call::SyncFile) {
            return outcome.map(drop);
        }
        let mut world = self.disk.shared.world.lock();
        if world.now.files[&self.number].failed {
            let problem = format!("{} was synced again after a sync of it had failed", self.name);
            world.violations.push(problem);
        }
        self.disk.change(&mut world, Change::SyncFile(self.number, outcome.is_ok()));
        outcome.map(drop)
    }

    fn stat(&self) -> io::Result<FileStat> {
        self.disk.begin(Call::StatFile, self.room, &self.name)?;
        let world = self.disk.shared.world.lock();
        Ok(stat_of(self.number, &world.now.files[&self.number]))
    }
}

/// An engine on a disk.
pub fn open_on(disk: &MemoryDisk, settings: Settings, clock: &Arc<impl Clock + 'static>) -> Result<Running> {
    let disk = disk.fresh();
    let engine = open(settings, disk.directory(), Arc::clone(clock) as Arc<dyn Clock>)?;
    Ok(Running { engine, disk })
}

/// An engine in a process that is killed when this is dropped: its threads end, and nothing that they do then reaches the disk.
pub struct Running {
    engine: Engine,
    disk: MemoryDisk,
}

impl Running {
    /// The normal end of the process.
    pub fn close(self) -> Result<()> {
        wait(|done| self.engine.close(done))
    }
}

impl std::ops::Deref for Running {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.engine
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.disk.killed.store(true, Ordering::SeqCst);
        let (sender, ended) = std::sync::mpsc::channel();
        self.engine.close(Box::new(move |outcome| sender.send(outcome.is_ok()).unwrap_or_default()));
        let ended = ended.recv_timeout(PATIENCE);
        let violations = self.disk.violations();
        assert!(std::thread::panicking() || ended.is_ok(), "the engine's threads do not end");
        assert!(std::thread::panicking() || violations.is_empty(), "{}", violations.join("\n"));
    }
}
