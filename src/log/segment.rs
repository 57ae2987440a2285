//! A segment of the log: its name, and how its lines are found again whatever happened to the file.

use super::event::{Event, is_intact, read_line};
use super::line::{CRC_KEY, CRC_TAIL, START};
use super::seq::Seq;
use memchr::memmem;
use std::borrow::Cow;

/// A segment's name is the number of its first line, so names sort as segments follow each other, and no line of a segment has a
/// number as high as the next segment's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentName(pub Seq);

impl std::fmt::Display for SegmentName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:010}-{:016}.jsonl", self.0.epoch, self.0.n)
    }
}

impl SegmentName {
    /// The segment with this file name; `None` for any other file.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (epoch, n) = name.strip_suffix(".jsonl")?.split_once('-')?;
        let parsed = Self(Seq { epoch: epoch.parse().ok()?, n: n.parse().ok()? });
        (parsed.to_string() == name).then_some(parsed)
    }
}

/// What a segment consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A line with the right checksum, without its newline, and where it starts.
    Line(usize, &'a [u8]),
    /// Bytes that are no line: where they start, and how many.
    Damage(usize, usize),
    /// The end of the last line is missing: it was being written when the process died, or the disk was full.
    Torn(usize, usize),
}

/// The pieces of a segment, in order; `None` for each empty line is left out.
///
/// A line is everything up to a newline. Where the checksum is wrong the line may be two, whose newline was damaged: any part of
/// it that begins like a line and ends in its own checksum is one.
pub fn pieces(segment: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let mut at = 0;
    let mut found: Vec<Piece<'_>> = Vec::new();
    std::iter::from_fn(move || {
        loop {
            if let Some(piece) = found.pop() {
                return Some(piece);
            }
            let rest = segment.get(at..).filter(|rest| !rest.is_empty())?;
            let start = at;
            let Some(end) = memchr::memchr(b'\n', rest) else {
                at = segment.len();
                if is_intact(rest) {
                    // Whole but for its newline: the write that should have brought it was cut short, and its caller was told that it
                    // failed.
                    return Some(Piece::Torn(start, rest.len()));
                }
                found = mend(rest, start, true);
                found.reverse();
                continue;
            };
            at += end + 1;
            let line = &rest[..end];
            if is_intact(line) {
                return Some(Piece::Line(start, line));
            }
            found = mend(line, start, false);
            found.reverse();
        }
    })
}

/// Finds the intact lines within bytes that are not one.
fn mend(bytes: &[u8], offset: usize, is_last: bool) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut lost_from = 0;
    let mut at = 0;
    while let Some(start) = memmem::find(&bytes[at..], START).map(|i| at + i) {
        let whole = memmem::find_iter(&bytes[start..], CRC_KEY).find_map(|crc| {
            let line = bytes[start..].get(..crc + CRC_KEY.len() + CRC_TAIL)?;
            is_intact(line).then_some(line)
        });
        if let Some(line) = whole {
            if start > lost_from {
                pieces.push(Piece::Damage(offset + lost_from, start - lost_from));
            }
            pieces.push(Piece::Line(offset + start, line));
            lost_from = start + line.len();
            at = lost_from;
        } else {
            at = start + 1;
        }
    }
    let left = bytes.len() - lost_from;
    if left > 0 {
        // One byte behind a whole line is its damaged newline.
        let is_newline = left == 1 && lost_from > 0;
        let starts_here = is_last && (lost_from == 0 || bytes[lost_from..].starts_with(START));
        pieces.push(if starts_here && !is_newline {
            Piece::Torn(offset + lost_from, left)
        } else {
            Piece::Damage(offset + lost_from, left)
        });
    }
    pieces
}

/// The first line of a segment, of which an erasure takes lines: it says that the segment was longer.
#[must_use]
pub fn as_rewritten(head: &[u8]) -> Cow<'_, [u8]> {
    const REWRITTEN: &[u8] = b",\"rewritten\":true";
    let is_head = read_line(head).is_ok_and(|line| matches!(line.event, Event::Segment { rewritten: false, .. }));
    let Some(content) = head.len().checked_sub(CRC_KEY.len() + CRC_TAIL).filter(|_| is_head) else { return head.into() };
    let content = [&head[..content], REWRITTEN].concat();
    let crc = format!("{:08x}\"}}", crc32fast::hash(&content));
    [&content, CRC_KEY, crc.as_bytes()].concat().into()
}

/// The last low-water mark in a segment of a log whose newest epoch is given, looked for from its end.
#[must_use]
pub fn last_low_water(segment: &[u8], newest: u32) -> Option<Seq> {
    let mut end = segment.len();
    loop {
        let key = memmem::rfind(&segment[..end], b"\"lowWater\":[")?;
        let start = memchr::memrchr(b'\n', &segment[..key]).map_or(0, |i| i + 1);
        let stop = memchr::memchr(b'\n', &segment[key..]).map_or(segment.len(), |i| key + i);
        let line = &segment[start..stop];
        if is_intact(line)
            && let Ok(recorded) = read_line(line)
            && recorded.is_possible(newest)
            && let Event::Mark { low_water, .. } | Event::Segment { low_water, .. } = recorded.event
        {
            return Some(low_water);
        }
        end = key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::line::LineWriter;

    fn segment(lines: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = LineWriter::default();
        writer.segment(&mut bytes, Seq { epoch: 3, n: 0 }, 1_700_000_000_000, Seq { epoch: 2, n: 9 }, None);
        for n in 1..lines {
            writer.reset(&mut bytes, Seq { epoch: 3, n }, 1_700_000_000_000 + n, &format!("user {n} \"{{\\\"v\\\":"));
        }
        bytes
    }

    fn numbers(bytes: &[u8]) -> Vec<u64> {
        let line = |piece| if let Piece::Line(_, line) = piece { Some(read_line(line).unwrap().seq.n) } else { None };
        pieces(bytes).filter_map(line).collect()
    }

    #[test]
    fn names_are_one_to_one() {
        let name = SegmentName(Seq { epoch: 12, n: 345 });
        assert_eq!(name.to_string(), "0000000012-0000000000000345.jsonl");
        assert_eq!(SegmentName::parse(&name.to_string()), Some(name));
        for other in ["12-345.jsonl", "0000000012-0000000000000345.jsonl.tmp", "+000000012-0000000000000345.jsonl", "x"] {
            assert_eq!(SegmentName::parse(other), None);
        }
    }

    #[test]
    fn every_cut_costs_the_lines_behind_it_and_no_other() {
        let whole = segment(6);
        let ends: Vec<usize> = whole.iter().enumerate().filter(|&(_, &b)| b == b'\n').map(|(i, _)| i + 1).collect();
        for length in 0..=whole.len() {
            let expected: Vec<u64> = (0..).zip(&ends).filter(|&(_, &end)| end <= length).map(|(n, _)| n).collect();
            assert_eq!(numbers(&whole[..length]), expected, "{length}");
            let torn = pieces(&whole[..length]).any(|piece| matches!(piece, Piece::Torn(..)));
            assert_eq!(torn, !(length == 0 || ends.contains(&length)), "{length}");
        }
    }

    #[test]
    fn every_flipped_bit_costs_at_most_the_line_that_it_is_in() {
        let whole = segment(6);
        for byte in 0..whole.len() {
            let hit = memchr::memchr_iter(b'\n', &whole[..byte]).count() as u64;
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[byte] ^= 1 << bit;
                let left = numbers(&flipped);
                let expected: Vec<u64> = (0..6).filter(|&n| n != hit).collect();
                let without: Vec<u64> = left.iter().copied().filter(|&n| n != hit).collect();
                assert_eq!(without, expected, "byte {byte} bit {bit}");
                let said = pieces(&flipped).any(|piece| !matches!(piece, Piece::Line(..)));
                assert!(said, "byte {byte} bit {bit}");
            }
        }
    }

    #[test]
    fn the_last_mark_is_found_even_behind_a_damaged_one() {
        let mut bytes = segment(4);
        assert_eq!(last_low_water(&bytes, 3), Some(Seq { epoch: 2, n: 9 }));
        let mut writer = LineWriter::default();
        writer.mark(&mut bytes, Seq { epoch: 3, n: 9 }, 0, Seq { epoch: 3, n: 4 }, false);
        assert_eq!(last_low_water(&bytes, 3), Some(Seq { epoch: 3, n: 4 }));
        let length = bytes.len();
        writer.mark(&mut bytes, Seq { epoch: 3, n: 12 }, 0, Seq { epoch: 3, n: 11 }, true);
        bytes[length + 12] ^= 1;
        assert_eq!(last_low_water(&bytes, 3), Some(Seq { epoch: 3, n: 4 }));
    }
}
