//! What happens to whole segments: the next one begins, old ones go, and a person's lines are taken out.

use super::InteractionLog;
use super::finding::head_of;
use super::growth::OLDEST_SEGMENT_MS;
use super::writing::{Keeper, RETENTION_EVERY};
use crate::disk::Room;
use crate::error::Result;
use crate::log::event::{Event, read_line};
use crate::log::segment::{Piece, SegmentName, as_rewritten, pieces};
use crate::log::seq::Seq;
use memchr::memmem;
use std::sync::atomic::Ordering;
use std::time::Instant;

impl InteractionLog {
    pub(super) fn look_after_segments(&self, thread: &mut Keeper) {
        let now = self.clock.now_ms();
        let full = {
            let mut active = self.active.lock();
            let full = active.is_full(now, OLDEST_SEGMENT_MS);
            if full && active.open_segment(&self.directory, self).is_ok() {
                self.unsynced.store(true, Ordering::SeqCst);
            }
            full
        };
        if full || thread.retained.is_none_or(|last| last.elapsed() >= RETENTION_EVERY) {
            thread.retained = Some(Instant::now());
            if let Err(e) = self.remove_old(now) {
                self.note_failure(&e);
            }
            self.count_segments();
        }
    }

    pub(super) fn count_segments(&self) {
        // Before they are counted: what comes meanwhile is counted twice rather than not at all.
        let written = self.active.lock().written_bytes();
        let Ok(names) = Self::segments(&self.directory) else { return };
        let sizes = names.iter().filter_map(|name| self.directory.size_and_time(Room::Log, &name.to_string()).ok().flatten());
        let bytes = sizes.map(|(size, _)| size).sum();
        let first = names.first().and_then(|first| head_of(&self.directory, *first).ok().flatten());
        let mut figures = self.figures.lock();
        (figures.segments, figures.bytes, figures.counted_at) = (names.len() as u64, bytes, written);
        figures.first_ms = first.map(|head| head.ms);
    }

    /// Removes segments past their time or past the size that is kept, the oldest first, as far as all their lines are in the
    /// state files for good.
    fn remove_old(&self, now_ms: u64) -> Result<()> {
        let low_water = self.active.lock().durable_low_water();
        let names = Self::segments(&self.directory)?;
        let mut files = Vec::with_capacity(names.len());
        for name in &names {
            files.push(self.directory.size_and_time(Room::Log, &name.to_string())?.unwrap_or_default());
        }
        // A segment was written to for the last time before those behind it were: a file that bears a later time, by a copy or a clock that
        // was wrong, must not keep all behind it.
        let mut latest = now_ms;
        for (_, modified) in files.iter_mut().rev() {
            latest = latest.min(*modified);
            *modified = latest;
        }
        let mut total: u64 = files.iter().map(|(size, _)| size).sum();
        let mut removed = false;
        for (i, pair) in names.windows(2).enumerate() {
            let (size, modified) = files[i];
            let too_old = now_ms.saturating_sub(modified) > self.settings.retention_ms;
            if !is_covered(pair[1], low_water) || !(too_old || total > self.settings.retention_bytes) {
                break;
            }
            self.directory.remove(Room::Log, &pair[0].to_string())?;
            total -= size;
            removed = true;
        }
        if removed { self.directory.sync(Room::Log) } else { Ok(()) }
    }

    /// Rewrites the segments that hold something of a user, without it.
    pub(super) fn remove_user(&self, user_id: &str, up_to: Seq) -> Result<()> {
        const TEMPORARY: &str = "rewrite.tmp";
        // What is in memory goes to the segments first, and then a new one is begun: those before it do not change any more.
        self.sync()?;
        self.active.lock().open_segment(&self.directory, self)?;
        let key = format!("\"userId\":{}", serde_json::to_string(user_id).unwrap_or_default());
        let is_theirs = |line: &[u8]| match read_line(line) {
            Ok(recorded) => {
                recorded.seq <= up_to
                    && match recorded.event {
                        Event::Pull { user_id: id, .. }
                        | Event::Reward { user_id: id, .. }
                        | Event::Reset { user_id: id }
                        | Event::State { user_id: id, .. }
                        | Event::Erase { user_id: id } => id == user_id,
                        Event::Decision(decision) => decision.user_id == user_id,
                        Event::Feedback(feedback) => feedback.user_id == user_id,
                        Event::Dead { user_id: id } | Event::Policy { user_id: id } => id.as_deref() == Some(user_id),
                        Event::Mark { .. } | Event::Segment { .. } | Event::Gap { .. } | Event::Off => false,
                    }
            }
            Err(_) => true,
        };
        let active = self.active.lock().name();
        for name in Self::segments(&self.directory)? {
            if active.is_some_and(|active| name >= active) {
                continue;
            }
            let name = name.to_string();
            let bytes = self.directory.read_from(Room::Log, &name, 0)?;
            if memmem::find(&bytes, key.as_bytes()).is_none() {
                continue;
            }
            let mut kept = Vec::with_capacity(bytes.len());
            for piece in pieces(&bytes) {
                match piece {
                    Piece::Line(_, line) if memmem::find(line, key.as_bytes()).is_some() && is_theirs(line) => {}
                    Piece::Line(_, line) => {
                        kept.extend_from_slice(&if kept.is_empty() { as_rewritten(line) } else { line.into() });
                        kept.push(b'\n');
                    }
                    // What cannot be read may be the user's.
                    Piece::Damage(..) | Piece::Torn(..) => {}
                }
            }
            self.directory.write_new(Room::Log, TEMPORARY, &kept)?;
            self.directory.rename(Room::Log, TEMPORARY, &name)?;
            // One after the other: the line that says that there is something to remove goes last.
            self.directory.sync(Room::Log)?;
        }
        self.sync()?;
        self.count_segments();
        Ok(())
    }
}

/// Whether a segment's predecessor holds nothing above `low_water`.
#[must_use]
pub fn is_covered(next: SegmentName, low_water: Seq) -> bool {
    next.0 <= low_water || (next.0.epoch == low_water.epoch && next.0.n.checked_sub(1) == Some(low_water.n))
}
