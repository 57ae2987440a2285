//! The segment that is being written, and the lines that no sync has covered yet.
//!
//! Lines stay in memory until a sync has covered them: after a failed sync the system may have dropped what it was given, so
//! they are written anew, to another segment, and never asked about again on the same descriptor (the "fsyncgate" of 2018).

use super::line::{LineWriter, PreviousSegment};
use super::segment::SegmentName;
use super::seq::Seq;
use super::unsynced::Unsynced;
use crate::disk::{Directory, OpenFile, Room, write_all};
use crate::error::{Error, ErrorKind, Result};
use std::io;
use std::sync::Arc;

/// Unsynced lines take at most so many bytes of memory.
pub const MOST_UNSYNCED: usize = 64 << 20;
/// Bytes of an ordinary line, with long ids.
const LINE: usize = 4 << 10;
/// A segment past this size is followed by another one.
pub const SEGMENT_BYTES: u64 = 32 << 20;

/// See the module.
#[derive(Debug, Default)]
pub struct Active {
    /// `None`: the next line opens a segment.
    file: Option<Arc<dyn OpenFile>>,
    name: Option<SegmentName>,
    /// Its whole lines.
    size: u64,
    /// Bytes written to this segment and all before it.
    written: u64,
    started_ms: u64,
    lines: LineWriter,
    /// Segments that were left and hold unsynced lines.
    earlier: Vec<Arc<dyn OpenFile>>,
    unsynced: Unsynced,
    /// Lines that a running sync covers.
    syncing: Unsynced,
    spare: Vec<Vec<u8>>,
    /// A sync failed: what `unsynced` holds has to be written anew.
    rewrite: bool,
    /// A segment was made since the directory was synced.
    new_name: bool,
    low_water: Seq,
    durable_low_water: Seq,
}

/// What one sync has to do.
pub struct SyncTask {
    files: Vec<Arc<dyn OpenFile>>,
    /// The segment that is being written.
    name: Option<SegmentName>,
    new_name: bool,
    low_water: Seq,
}

/// Numbers and times of lines, asked for where they are written.
pub trait Numbering {
    /// The next line's number.
    fn next(&self) -> Seq;
    /// Now, in milliseconds since 1970.
    fn now_ms(&self) -> u64;
}

impl Active {
    /// Nothing open yet; `last` is the segment that was written last by whomever, and its size.
    pub fn new(low_water: Seq, last: Option<(SegmentName, u64)>) -> Self {
        let (name, size) = (last.map(|(name, _)| name), last.map_or(0, |(_, size)| size));
        Self { low_water, durable_low_water: low_water, name, size, ..Self::default() }
    }

    /// Writes one line; it is in the system's hands afterwards.
    pub fn append(
        &mut self,
        directory: &Directory,
        numbering: &dyn Numbering,
        encode: impl FnOnce(&mut LineWriter, &mut Vec<u8>),
    ) -> Result<()> {
        self.append_about(LINE, directory, numbering, encode)
    }

    fn append_about(
        &mut self,
        bytes: usize,
        directory: &Directory,
        numbering: &dyn Numbering,
        encode: impl FnOnce(&mut LineWriter, &mut Vec<u8>),
    ) -> Result<()> {
        self.make_ready(directory, numbering)?;
        let lines = &mut self.lines;
        let appended = self.unsynced.append(&mut self.spare, bytes, |to| encode(lines, to));
        let (length, written) = (appended.len(), self.file.as_ref().map(|file| file.write(appended)));
        self.written(directory, length, written)
    }

    /// Writes whole lines that were encoded before.
    pub fn append_block(&mut self, directory: &Directory, numbering: &dyn Numbering, block: &[u8]) -> Result<()> {
        self.append_about(block.len(), directory, numbering, |_, to| to.extend_from_slice(block))
    }

    fn make_ready(&mut self, directory: &Directory, numbering: &dyn Numbering) -> Result<()> {
        if self.unsynced_bytes() > MOST_UNSYNCED {
            let message = format!("over {} MiB of the interaction log wait for the disk", MOST_UNSYNCED >> 20);
            return Err(Error::new(ErrorKind::Backpressure, message));
        }
        if self.file.is_none() || self.rewrite { self.open_segment(directory, numbering) } else { Ok(()) }
    }

    /// Takes note of a write of the last `length` bytes. What could not be written whole was not written: it is taken back, and the
    /// segment, which may now end in a part of it, is left.
    fn written(&mut self, directory: &Directory, length: usize, outcome: Option<io::Result<usize>>) -> Result<()> {
        let problem = match outcome {
            Some(Ok(written)) if written == length => {
                self.size += written as u64;
                self.written += written as u64;
                return Ok(());
            }
            Some(Ok(_)) => {
                self.seal();
                io::Error::new(io::ErrorKind::WriteZero, "the disk took a part of a line only")
            }
            Some(Err(e)) => e,
            None => io::Error::other("no open segment"),
        };
        self.unsynced.take_back(length);
        Err(self.failed(directory, problem))
    }

    fn failed(&self, directory: &Directory, e: io::Error) -> Error {
        let name = self.name.map_or_else(String::new, |name| name.to_string());
        Error::io(format_args!("append to {}/{}/{name}", directory.path().display(), Room::Log.name()), e)
    }

    /// Leaves the segment; the next line opens another one.
    pub fn seal(&mut self) {
        self.earlier.extend(self.file.take());
    }

    /// Lets go of all segments, after the last sync.
    pub fn close(&mut self) {
        self.file = None;
        self.earlier.clear();
    }

    /// Opens the next segment. Where a sync has failed, all that no sync has covered is written to it again.
    pub fn open_segment(&mut self, directory: &Directory, numbering: &dyn Numbering) -> Result<()> {
        let (seq, ms) = (numbering.next(), numbering.now_ms());
        let name = SegmentName(seq);
        let mut header = Vec::new();
        // After a failed sync the system may have dropped any of it.
        let bytes = (!self.rewrite).then_some(self.size);
        let previous = self.name.map(|name| PreviousSegment { seq: name.0, bytes });
        self.lines.segment(&mut header, seq, ms, self.low_water, previous);
        let file: Arc<dyn OpenFile> = directory.create(Room::Log, &name.to_string())?.into();
        let again: &[Vec<u8>] = if self.rewrite { self.unsynced.chunks() } else { &[] };
        for bytes in std::iter::once(&header).chain(again) {
            if let Err(e) = write_all(&*file, bytes) {
                let _ = directory.remove(Room::Log, &name.to_string());
                return Err(self.failed(directory, e));
            }
        }
        self.size = (header.len() + again.iter().map(Vec::len).sum::<usize>()) as u64;
        self.written += self.size;
        self.seal();
        self.unsynced.append(&mut self.spare, header.len(), |to| to.extend_from_slice(&header));
        (self.rewrite, self.new_name, self.started_ms) = (false, true, ms);
        (self.name, self.file) = (Some(name), Some(file));
        Ok(())
    }

    /// Whether the segment is large or old enough to be followed by another one.
    pub fn is_full(&self, now_ms: u64, oldest_ms: u64) -> bool {
        self.is_large() || (self.file.is_some() && now_ms.saturating_sub(self.started_ms) > oldest_ms)
    }

    /// Whether it is large enough for that.
    pub fn is_large(&self) -> bool {
        self.file.is_some() && self.size > SEGMENT_BYTES
    }

    /// Bytes written since the log was begun.
    pub const fn written_bytes(&self) -> u64 {
        self.written
    }

    /// Bytes that the next sync will cover.
    pub const fn waiting_bytes(&self) -> usize {
        self.unsynced.bytes()
    }

    pub const fn unsynced_bytes(&self) -> usize {
        self.unsynced.bytes() + self.syncing.bytes()
    }

    /// What a sync that begins now has to cover; one at a time.
    pub fn begin_sync(&mut self, directory: &Directory, numbering: &dyn Numbering) -> Result<SyncTask> {
        if self.rewrite {
            self.open_segment(directory, numbering)?;
        }
        self.syncing = std::mem::take(&mut self.unsynced);
        let files = self.earlier.iter().chain(&self.file).map(Arc::clone).collect();
        let name = self.file.as_ref().and(self.name);
        Ok(SyncTask { files, name, new_name: std::mem::take(&mut self.new_name), low_water: self.low_water })
    }

    /// Takes note of how it went.
    pub fn end_sync(&mut self, task: &SyncTask, succeeded: bool) {
        if succeeded {
            self.syncing.clear(&mut self.spare);
            self.earlier.retain(|file| !task.files.iter().any(|synced| Arc::ptr_eq(file, synced)));
            self.durable_low_water = self.durable_low_water.max(task.low_water);
        } else {
            self.unsynced.append_to(&mut self.syncing);
            self.unsynced = std::mem::take(&mut self.syncing);
            self.earlier.clear();
            (self.file, self.rewrite, self.new_name) = (None, true, true);
        }
    }

    /// Gives memory back that no line is in.
    pub fn shrink(&mut self) {
        self.spare = Vec::new();
    }

    pub const fn name(&self) -> Option<SegmentName> {
        self.name
    }

    pub const fn low_water(&self) -> Seq {
        self.low_water
    }

    pub const fn durable_low_water(&self) -> Seq {
        self.durable_low_water
    }

    /// Writes a low-water mark; `end`: the last one of the epoch.
    pub fn mark(&mut self, directory: &Directory, numbering: &dyn Numbering, low_water: Seq, end: bool) -> Result<()> {
        let (seq, ms) = (numbering.next(), numbering.now_ms());
        self.append(directory, numbering, |lines, to| lines.mark(to, seq, ms, low_water, end))?;
        self.low_water = low_water;
        Ok(())
    }
}

impl SyncTask {
    /// Syncs; without the lock, so that lines go on being written.
    pub fn run(&self, directory: &Directory) -> Result<()> {
        for file in &self.files {
            file.sync().map_err(|e| Error::io(format_args!("sync {}/{}", directory.path().display(), Room::Log.name()), e))?;
        }
        if self.new_name {
            directory.sync(Room::Log)?;
            directory.sync(Room::State)?;
        }
        // Somebody may have removed it, or the directory: what is written to it then is in no file that can be found again.
        let Some(name) = self.name.map(|name| name.to_string()) else { return Ok(()) };
        let stands = directory.size_and_time(Room::Log, &name)?.is_some();
        let gone = || Error::io(format_args!("sync {}/log/{name}", directory.path().display()), io::ErrorKind::NotFound);
        if stands { Ok(()) } else { Err(gone()) }
    }
}
