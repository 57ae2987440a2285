//! Going over the log: which segments a question needs, who reads which, how far it is, and what could not be read.

use super::line::Line;
use crate::clock::format_millis;
use crate::disk::{Directory, Room};
use crate::error::{Error, ErrorKind, Result};
use crate::log::{InteractionLog, LineError, Piece, SegmentName, pieces};
use parking_lot::Mutex;
use serde::Serialize;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How a question is watched while it goes over the log.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Set it, and the question ends within some thousand lines.
    pub cancelled: &'a AtomicBool,
    /// Told how many segments are done, and of how many; from any of the threads.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
    /// How many threads read, this one included; at least one.
    pub threads: usize,
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("cancelled", self.cancelled).field("threads", &self.threads).finish_non_exhaustive()
    }
}

/// What was read, and what could not be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// Segments that were read.
    pub segments: usize,
    /// Intact lines in them, of whatever kind.
    pub lines: u64,
    /// Ends of segments that are not there: what was being written when a process died, or is being written now.
    pub torn_lines: u64,
    /// Places that are no line, and lines that say nothing that can be understood.
    pub damaged_lines: u64,
}

impl Found {
    pub(super) const fn add(&mut self, other: Self) {
        self.segments += other.segments;
        self.lines += other.lines;
        self.torn_lines += other.torn_lines;
        self.damaged_lines += other.damaged_lines;
    }
}

/// What a line was for its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// It was used, or is not needed.
    Fine,
    /// It should have been used and cannot be.
    Unreadable,
}

/// So often is looked whether the question was cancelled.
const LOOK_EVERY: u64 = 1024;
/// Longer than any first line of a segment.
const FIRST_LINE: u64 = 1024;
/// A clock may have been put back between two segments by so much.
const SLACK_MS: u64 = 3_600_000;

/// The segments that may have lines of `since_ms` or later, in order. A segment has no line later than the first of the next one.
pub fn segments_since(directory: &Directory, since_ms: Option<u64>) -> Result<Vec<SegmentName>> {
    let mut names = InteractionLog::segments(directory)?;
    let Some(since_ms) = since_ms.filter(|&ms| ms > SLACK_MS) else { return Ok(names) };
    let since = format_millis(since_ms - SLACK_MS);
    // From the last on: most questions are about the last days.
    for i in (1..names.len()).rev() {
        let start = directory.read_start(Room::Log, &names[i].to_string(), FIRST_LINE)?;
        if begins_before(&start, &since) {
            names.drain(..i);
            break;
        }
    }
    Ok(names)
}

fn begins_before(start: &[u8], time: &str) -> bool {
    let Some(Piece::Line(0, line)) = pieces(start).next() else { return false };
    Line::read(line).is_ok_and(|line| line.kind == "segment" && line.ts < time)
}

/// Hands every line of a segment to `take`; `None` when the question was cancelled.
pub fn read_segment<'b>(
    directory: &Directory,
    name: SegmentName,
    bytes: &'b [u8],
    cancelled: &AtomicBool,
    mut take: impl FnMut(&Line<'b>) -> Use,
) -> Result<Option<Found>> {
    let mut found = Found { segments: 1, ..Found::default() };
    for piece in pieces(bytes) {
        let line = match piece {
            Piece::Line(_, line) => line,
            Piece::Damage(..) => {
                found.damaged_lines += 1;
                continue;
            }
            Piece::Torn(..) => {
                found.torn_lines += 1;
                continue;
            }
        };
        found.lines += 1;
        if found.lines.is_multiple_of(LOOK_EVERY) && cancelled.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match Line::read(line) {
            Ok(line) => found.damaged_lines += u64::from(take(&line) == Use::Unreadable),
            Err(LineError::Malformed(_)) => found.damaged_lines += 1,
            Err(LineError::LaterVersion(v)) => {
                let path = directory.path().display();
                let message = format!("{path}/log/{name} was written by a later release (schema {v}): install that one");
                return Err(Error::new(ErrorKind::StateCorrupt, message));
            }
        }
    }
    Ok(Some(found))
}

/// Reads segments on several threads; each keeps what `take` makes of its lines in a part of its own, in no order. `None` when the
/// question was cancelled.
pub fn gather<P: Default + Send>(
    directory: &Directory,
    names: &[SegmentName],
    watch: &Watch<'_>,
    take: impl Fn(&mut P, &Line<'_>) -> Use + Sync,
) -> Result<Option<(Vec<P>, Found)>> {
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let parts = Mutex::new((Vec::new(), Found::default()));
    let stopped: Mutex<Option<Result<()>>> = Mutex::new(None);
    let work = || {
        let (mut part, mut found) = (P::default(), Found::default());
        while let Some(&name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            if stopped.lock().is_some() {
                return;
            }
            let read = directory.read_from(Room::Log, &name.to_string(), 0);
            let read = read.and_then(|bytes| read_segment(directory, name, &bytes, watch.cancelled, |line| take(&mut part, line)));
            match read {
                Ok(Some(of_segment)) => found.add(of_segment),
                Ok(None) => return *stopped.lock() = Some(Ok(())),
                Err(error) => return *stopped.lock() = Some(Err(error)),
            }
            (watch.progress)(done.fetch_add(1, Ordering::Relaxed) + 1, names.len());
        }
        let mut parts = parts.lock();
        parts.0.push(part);
        parts.1.add(found);
    };
    std::thread::scope(|scope| {
        for _ in 1..watch.threads.min(names.len()) {
            scope.spawn(work);
        }
        work();
    });
    match stopped.into_inner() {
        Some(stopped) => stopped.map(|()| None),
        None if watch.cancelled.load(Ordering::Relaxed) => Ok(None),
        None => Ok(Some(parts.into_inner())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Log, Made, START, watch};
    use super::super::{AnalyticsFilter, By, DecisionFilter, SimulationSettings, analytics, data_quality, decisions, simulate};
    use crate::policy::PolicyName;
    use crate::rng::Chance;

    /// Whoever writes lines with the right checksum may write anything.
    #[test]
    fn lines_with_odd_content_are_read_or_counted() {
        let mut log = Log::new();
        let mut made = Made::drawn("u", 5, PolicyName::EGreedyV1, Some(0.2), &Chance::seeded(2));
        made.versions = Some(vec![Some("v1".to_owned()); 5]);
        let start = log.bytes.len();
        let seq = log.decision(&made);
        log.feedback(seq, Some("done"), 1.0, START);
        let lines: Vec<Vec<u8>> = log.bytes[start..].split_inclusive(|&b| b == b'\n').map(<[u8]>::to_vec).collect();
        for line in &lines {
            let content = &line[..line.len() - 19];
            for at in 7..content.len() {
                for with in [&b"9"[..], b"]", b"", b"-", b"\"", b"999999", b",", b"\xff"] {
                    let odd = [&content[..at], with, &content[at + 1..]].concat();
                    let crc = crc32fast::hash(&odd);
                    log.bytes.extend_from_slice(&odd);
                    log.bytes.extend_from_slice(format!(",\"crc\":\"{crc:08x}\"}}\n").as_bytes());
                }
            }
        }
        let (directory, watch) = (log.directory(), watch());
        for by in [By::Day, By::PromptVersion] {
            let answer = analytics(&directory, AnalyticsFilter { since_ms: None, until_ms: None, by }, &watch).unwrap().unwrap();
            assert!(answer.totals.decisions > 1 && answer.found.damaged_lines > 1000);
        }
        assert!(data_quality(&directory, None, &watch).unwrap().unwrap().decisions > 1);
        let all = DecisionFilter { user_id: None, policy: None, since_ms: None, before: None, limit: 500 };
        assert!(decisions(&directory, all, &watch).unwrap().unwrap().len() > 1);
        for policy in PolicyName::ALL {
            assert!(simulate(&directory, SimulationSettings::of(policy), &watch).unwrap().unwrap().decisions > 0);
        }
    }
}
