//! Segments that are shorter than they were: emptied by whoever keeps logs small, or copied by half. Each segment's first line says how
//! long the one before it was; what an erasure has made shorter says so itself.
//!
//! Numbers that are missing tell nothing: a call that failed, a pull that was dropped or lost with its process, and a person who was erased
//! leave the same holes.

use super::interaction_log::{Head, head_of};
use super::segment::SegmentName;
use crate::disk::{Directory, Room};

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutSegment {
    /// Which one.
    pub name: SegmentName,
    /// How long it is, in bytes.
    pub has: u64,
    /// How long it was; `None` where only its first line tells that it was longer.
    pub had: Option<u64>,
}

/// Those of these segments, all of a log in order. What cannot be read is left out: who needs it says so. Nothing can be told of the last
/// segment, which has none behind it.
#[must_use]
pub fn cut_segments(directory: &Directory, names: &[SegmentName]) -> Vec<CutSegment> {
    let mut cut = Vec::new();
    let mut before: Option<Standing> = None;
    for &name in names {
        let standing = Standing::of(directory, name);
        if let (Some(before), Some(next)) = (&before, &standing) {
            cut.extend(before.cut_before(next));
        }
        before = standing;
    }
    cut
}

struct Standing {
    name: SegmentName,
    bytes: u64,
    head: Option<Head>,
}

impl Standing {
    fn of(directory: &Directory, name: SegmentName) -> Option<Self> {
        // The size first: an erasure that comes between makes it shorter and says so.
        let (bytes, _) = directory.size_and_time(Room::Log, &name.to_string()).ok()??;
        let head = head_of(directory, name).ok()?;
        Some(Self { name, bytes, head })
    }

    fn cut_before(&self, next: &Self) -> Option<CutSegment> {
        let following = next.head.filter(|head| head.previous == Some(self.name.0))?;
        let had = following.previous_bytes;
        let is_cut = match (had, self.head) {
            (_, Some(first)) if first.rewritten => false,
            (Some(had), _) => self.bytes < had,
            // By an earlier release. A process that is killed while it begins a segment leaves an empty one; it begins no other, and marks
            // nothing.
            (None, None) => self.name.0.epoch == next.name.0.epoch || self.name.0 <= following.low_water,
            (None, Some(_)) => false,
        };
        is_cut.then_some(CutSegment { name: self.name, has: self.bytes, had })
    }
}
