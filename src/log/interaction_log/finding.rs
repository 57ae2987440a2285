//! How one line is found again by its number, without reading the log.

use super::InteractionLog;
use crate::disk::{Directory, Room};
use crate::error::Result;
use crate::log::decision_event::RecordedDecision;
use crate::log::event::{Event, read_line};
use crate::log::line::VERSION;
use crate::log::segment::{Piece, SegmentName, pieces};
use crate::log::seq::Seq;
use memchr::memmem;

/// Bytes that tell on which side of them a line is.
const WINDOW: u64 = 64 << 10;
/// How closely that is asked, and how far lines are expected to stand out of order.
const NEAR: u64 = 256 << 10;
/// Bytes of a segment in memory at a time.
const CHUNK: u64 = 1 << 20;
/// A line says its kind within so many bytes.
const HEAD: usize = 128;

/// What came of looking for a decision.
#[derive(Debug)]
pub enum Lookup<T> {
    /// Its line is there.
    Found(T),
    /// There is none where it would stand.
    Missing,
    /// It would stand before the log's first segment, which has this number; others were removed.
    Removed(Seq),
    /// The same, and none was removed.
    BeforeLog(Seq),
}

impl InteractionLog {
    /// Looks a decision up. Reads about a megabyte where it is there; else one segment, or two where lines of two can stand a little out of
    /// order.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn find_decision<T>(&self, seq: Seq, take: impl Fn(u64, &RecordedDecision<'_>) -> Option<T>) -> Result<Lookup<T>> {
        if seq > self.last_seq() {
            return Ok(Lookup::Missing);
        }
        for last_try in [false, false, true] {
            let names = Self::segments(&self.directory)?;
            let after = names.partition_point(|name| name.0 <= seq);
            // In the one that begins behind its number stands who took the number while that one was begun, and what a failed sync had
            // written anew.
            let searched = names.get(after.saturating_sub(1)..names.len().min(after + 1)).unwrap_or_default();
            let before = self.identities(searched)?;
            for name in searched {
                if let Some(line) = Segment::of(&self.directory, *name, seq).find()?
                    && let Ok(recorded) = read_line(&line)
                    && let Event::Decision(decision) = &recorded.event
                {
                    return Ok(take(recorded.ms, decision).map_or(Lookup::Missing, Lookup::Found));
                }
            }
            // They are read in many steps: where an erasure put another file in a segment's place between two of them, or retention
            // removed it, the line may have moved to where was looked before.
            if !last_try && self.identities(searched)? != before {
                continue;
            }
            return match names.first() {
                Some(first) if after == 0 => {
                    let is_beginning = head_of(&self.directory, *first)?.is_some_and(|head| head.previous.is_none());
                    Ok(if is_beginning { Lookup::BeforeLog(first.0) } else { Lookup::Removed(first.0) })
                }
                _ => Ok(Lookup::Missing),
            };
        }
        Ok(Lookup::Missing)
    }

    /// Which files stand under these names.
    fn identities(&self, names: &[SegmentName]) -> Result<Vec<u64>> {
        names.iter().map(|name| self.directory.identity(Room::Log, &name.to_string())).collect()
    }
}

/// What the first line of a segment says.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// When it was begun, in milliseconds since 1970.
    pub ms: u64,
    /// All up to this was in the state files then.
    pub low_water: Seq,
    /// The number of the segment before it.
    pub previous: Option<Seq>,
    /// How long that was then, where it says so.
    pub previous_bytes: Option<u64>,
    /// An erasure has made the segment shorter since.
    pub rewritten: bool,
}

/// The first line of a segment; `None` where it cannot be read, or is another one's.
///
/// # Errors
/// `ERR_STATE_IO`.
pub fn head_of(directory: &Directory, name: SegmentName) -> Result<Option<Head>> {
    const LINE: u64 = 1 << 10;
    let bytes = directory.read_range(Room::Log, &name.to_string(), 0, LINE)?;
    let Some(Piece::Line(0, line)) = pieces(&bytes).next() else { return Ok(None) };
    Ok(read_line(line).ok().filter(|recorded| recorded.seq == name.0).and_then(|recorded| match recorded.event {
        Event::Segment { low_water, previous, previous_bytes, rewritten } => {
            Some(Head { ms: recorded.ms, low_water, previous, previous_bytes, rewritten })
        }
        _ => None,
    }))
}

/// A segment in which a line is looked for.
struct Segment<'d> {
    directory: &'d Directory,
    name: String,
    seq: Seq,
    /// How the line begins.
    beginning: String,
}

impl<'d> Segment<'d> {
    fn of(directory: &'d Directory, name: SegmentName, seq: Seq) -> Self {
        let beginning = format!("{{\"v\":{VERSION},\"seq\":[{},{}],", seq.epoch, seq.n);
        Self { directory, name: name.to_string(), seq, beginning }
    }

    fn read(&self, from: u64, limit: u64) -> Result<Vec<u8>> {
        self.directory.read_range(Room::Log, &self.name, from, limit)
    }

    fn find(&self) -> Result<Option<Vec<u8>>> {
        let size = self.directory.size_and_time(Room::Log, &self.name)?.map_or(0, |(size, _)| size);
        let (mut low, mut high) = (0, size);
        while high - low > NEAR {
            let middle = low + (high - low) / 2;
            if is_behind(self.seq, &self.read(middle, WINDOW)?) { high = middle } else { low = middle }
        }
        let near = (low.saturating_sub(NEAR), (high + NEAR).min(size));
        match self.scan(near.0, near.1)? {
            Some(line) => Ok(Some(line)),
            // Lines may stand out of order by any number of bytes, and be damaged.
            None if near != (0, size) => self.scan(0, size),
            None => Ok(None),
        }
    }

    /// The line among those that begin within a range.
    fn scan(&self, from: u64, to: u64) -> Result<Option<Vec<u8>>> {
        let finder = memmem::Finder::new(&self.beginning);
        let mut at = from;
        while at < to {
            let bytes = self.read(at, CHUNK + self.beginning.len() as u64)?;
            for found in finder.find_iter(&bytes) {
                if let Some(line) = self.line_at(at + found as u64)? {
                    return Ok(Some(line));
                }
            }
            at += CHUNK;
        }
        Ok(None)
    }

    /// The line that begins there, if it is whole and the one that is looked for: what somebody else wrote may look like its beginning.
    fn line_at(&self, from: u64) -> Result<Option<Vec<u8>>> {
        let mut limit = WINDOW;
        loop {
            let bytes = self.read(from, limit)?;
            let is_all = (bytes.len() as u64) < limit;
            if !is_all && memchr::memchr(b'\n', &bytes).is_none() {
                limit *= 4;
                continue;
            }
            let Some(Piece::Line(_, line)) = pieces(&bytes).next() else { return Ok(None) };
            return Ok(read_line(line).is_ok_and(|recorded| recorded.seq == self.seq).then(|| line.to_vec()));
        }
    }
}

/// Whether a line stands before a window, by the first line there whose call had waited for it: pulls are written later than they
/// are numbered.
fn is_behind(seq: Seq, window: &[u8]) -> bool {
    let heads = window.split(|byte| *byte == b'\n').filter_map(head);
    let mut pull = None;
    for (number, is_pull) in heads {
        if !is_pull {
            return number > seq;
        }
        pull = pull.or(Some(number));
    }
    pull.is_some_and(|number| number > seq)
}

/// A line's number, and whether it is a pull.
fn head(line: &[u8]) -> Option<(Seq, bool)> {
    let head = &line[..line.len().min(HEAD)];
    let rest = head.strip_prefix(format!("{{\"v\":{VERSION},\"seq\":[").as_bytes())?;
    let (epoch, n) = std::str::from_utf8(&rest[..memchr::memchr(b']', rest)?]).ok()?.split_once(',')?;
    let seq = Seq { epoch: epoch.parse().ok()?, n: n.parse().ok()? };
    Some((seq, memmem::find(rest, b"\"kind\":\"pull\"").is_some()))
}
