//! Going over the log: which segments a question needs, who reads which, how far it is, and what could not be read.

use crate::clock::format_millis;
use crate::disk::{Directory, Room};
use crate::error::{Error, ErrorKind, Result};
use crate::log::{InteractionLog, Line, LineError, Piece, SegmentName, Seq, pieces, written_head};
use serde::Serialize;
use std::fmt;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};

/// How a question is watched while it goes over the log.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Set it, and the question ends within some thousand lines.
    pub cancelled: &'a AtomicBool,
    /// Told how many segments are done, and of how many.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("cancelled", self.cancelled).finish_non_exhaustive()
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
    /// It is not needed, or not any more.
    Fine,
    /// Something of it is kept until the end.
    Kept,
    /// It should have been used and cannot be.
    Unreadable,
}

/// A question keeps something of so many lines at most: 100 to 400 bytes each.
const MOST_KEPT: usize = 4_000_000;
/// What is read at once: it stays in the processor's cache until it is used, and what others have there stays, too.
const BLOCK: usize = 256 << 10;
/// So often is looked whether the question was cancelled.
const LOOK_EVERY: u64 = 1024;
/// Longer than any first line of a segment.
const FIRST_LINE: u64 = 1024;
/// A clock may have been put back by so much.
pub const SLACK_MS: u64 = 3_600_000;

/// The first of the lines that a segment begins with: its time, and the number of the line behind it.
pub fn segment_start(directory: &Directory, name: SegmentName) -> Result<(String, Option<Seq>)> {
    let start = directory.read_range(Room::Log, &name.to_string(), 0, FIRST_LINE)?;
    let mut lines = start.split(|&b| b == b'\n').map(written_head);
    let ts = lines.next().flatten().filter(|(_, _, kind)| *kind == "segment").map(|(_, ts, _)| ts.to_owned());
    Ok((ts.unwrap_or_default(), lines.next().flatten().map(|(seq, ..)| seq)))
}

/// The segments that may have lines of `since_ms` or later, in order. A segment has no line later than the first of the next one, unless
/// the clock was wrong just then: so one says nothing of others that begins before the one before it.
pub fn segments_since(directory: &Directory, since_ms: Option<u64>) -> Result<Vec<SegmentName>> {
    let mut names = InteractionLog::segments(directory)?;
    let Some(since_ms) = since_ms.filter(|&ms| ms > SLACK_MS) else { return Ok(names) };
    let since = format_millis(since_ms - SLACK_MS);
    let mut next = String::new();
    // From the last on: most questions are about the last days.
    for i in (0..names.len()).rev() {
        let (ts, _) = segment_start(directory, names[i])?;
        if !next.is_empty() && next < since && ts <= next {
            names.drain(..=i);
            break;
        }
        next = ts;
    }
    Ok(names)
}

/// Hands every line of a segment to `take`; `None` when the question was cancelled.
pub fn read_segment<'b>(
    directory: &Directory,
    name: SegmentName,
    bytes: &'b [u8],
    cancelled: &AtomicBool,
    take: &mut dyn FnMut(&Line<'b>) -> Use,
) -> Result<Option<Found>> {
    // Of one that was removed meanwhile there is nothing.
    let mut found = Found { segments: usize::from(!bytes.is_empty()), ..Found::default() };
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

/// The same block by block, for lines that nobody keeps. `None` when the question was cancelled.
fn read_blocks(
    directory: &Directory,
    name: SegmentName,
    cancelled: &AtomicBool,
    take: &mut dyn FnMut(&Line<'_>) -> Use,
) -> Result<Option<Found>> {
    let mut found = Found::default();
    let Some(mut file) = directory.open(Room::Log, &name.to_string())? else { return Ok(Some(found)) };
    let mut block = Vec::with_capacity(2 * BLOCK);
    while !cancelled.load(Ordering::Relaxed) {
        let failed = |e| Error::io(format_args!("cannot read {}/log/{name}", directory.path().display()), e);
        let is_over = file.by_ref().take(BLOCK as u64).read_to_end(&mut block).map_err(failed)? == 0;
        // Whole lines, but at the end: what is missing there is said.
        let end = if is_over { block.len() } else { memchr::memrchr(b'\n', &block).map_or(0, |i| i + 1) };
        let Some(of_block) = read_segment(directory, name, &block[..end], cancelled, take)? else { return Ok(None) };
        found.add(Found { segments: 0, ..of_block });
        block.drain(..end);
        if is_over {
            found.segments = usize::from(found.lines > 0 || found.torn_lines > 0 || found.damaged_lines > 0);
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Reads segments one after the other. `None` when the question was cancelled.
pub fn gather(
    directory: &Directory,
    names: &[SegmentName],
    watch: &Watch<'_>,
    take: &mut dyn FnMut(&Line<'_>) -> Use,
) -> Result<Option<Found>> {
    let (mut found, mut kept) = (Found::default(), 0);
    for (done, &name) in names.iter().enumerate() {
        let mut take = |line: &Line<'_>| {
            let used = take(line);
            kept += usize::from(used == Use::Kept);
            used
        };
        let Some(of_segment) = read_blocks(directory, name, watch.cancelled, &mut take)? else { return Ok(None) };
        if kept > MOST_KEPT {
            let problem = format_args!("there are over {MOST_KEPT} decisions and reactions from then on: ask for less time");
            return Err(Error::invalid("since", problem));
        }
        found.add(of_segment);
        (watch.progress)(done + 1, names.len());
    }
    Ok(if watch.cancelled.load(Ordering::Relaxed) { None } else { Some(found) })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{DAY, Log, Made, START, watch};
    use super::super::{AnalyticsFilter, By, DecisionFilter, SimulationSettings, analytics, data_quality, decisions, simulate};
    use crate::policy::PolicyName;
    use crate::rng::Chance;

    /// One segment that begins with a time far off hides neither its own lines nor those of others.
    #[test]
    fn a_clock_that_was_wrong_when_a_segment_began_hides_nothing() {
        let made = Made::certain("u");
        for (off, with_next) in [(START - 100 * DAY, true), (START + 100 * DAY, true), (START + 100 * DAY, false)] {
            let mut log = Log::new();
            let at = |log: &mut Log, days: u64| {
                log.ms = START + days * DAY;
                log.decision(&made);
            };
            at(&mut log, 0);
            log.next_segment();
            at(&mut log, 4);
            log.ms = off;
            log.next_segment();
            at(&mut log, 5);
            if with_next {
                log.ms += 2 * DAY;
                log.next_segment();
                at(&mut log, 7);
            }
            let count = |since_ms, until_ms| {
                let filter = DecisionFilter { since_ms, until_ms, limit: 500, ..DecisionFilter::default() };
                let of = AnalyticsFilter { since_ms, until_ms, by: By::Day };
                let answer = analytics(&log.directory(), of, &watch()).unwrap().unwrap();
                (decisions(&log.directory(), filter, &watch()).unwrap().unwrap().decisions.len(), answer.totals.decisions)
            };
            assert_eq!(count(Some(START + 3 * DAY), None), if with_next { (3, 3) } else { (2, 2) });
            assert_eq!(count(None, Some(START + 6 * DAY)), (3, 3));
            assert_eq!(count(Some(START + 3 * DAY), Some(START + 6 * DAY)), (2, 2));
        }
    }

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
        let all = DecisionFilter { limit: 500, ..DecisionFilter::default() };
        assert!(decisions(&directory, all, &watch).unwrap().unwrap().decisions.len() > 1);
        for policy in PolicyName::ALL {
            assert!(simulate(&directory, SimulationSettings::of(policy), &watch).unwrap().unwrap().decisions > 0);
        }
    }
}
