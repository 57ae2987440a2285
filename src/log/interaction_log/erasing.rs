//! How people's lines are taken out of segments: beside the log, which goes on. A segment is read block by block, what stays of it is
//! written to a temporary file, synced and put in its place.
//!
//! The file that is being appended to is never touched: the log begins another one first. Bytes go to the disk in pieces, with a pause
//! after each one, and none while the log syncs: on most file systems a sync waits for those before it.

use super::InteractionLog;
use super::upkeep::Removal;
use crate::disk::{OpenFile, Room, write_all};
use crate::error::{Error, Result};
use crate::log::event::{Event, read_line};
use crate::log::segment::{Piece, SegmentName, as_rewritten, pieces};
use crate::log::seq::Seq;
use memchr::memmem;
use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A segment that is being rewritten. One at a time.
pub(super) const TEMPORARY: &str = "rewrite.tmp";
/// Bytes of a segment in memory at a time.
const BLOCK: usize = 1 << 20;
/// As many bytes are synced at a time; a sync of the log may have to wait for them. `npm run bench:erase`: with a MiB, p99 of `flush()` is
/// half as long again.
const PIECE: usize = 256 << 10;
/// No pause is longer, and nobody who syncs all the time holds up an erasure for longer at each piece.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);
/// How often it is looked whether the log still syncs.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

impl InteractionLog {
    /// Rewrites the segments that hold something of these users, without it. Between any two steps the power may go: while a line of a
    /// user's is there, so is the one that says that the user is being erased.
    pub(super) fn remove_users(&self, removals: &[Removal]) -> Result<()> {
        // What is in memory goes to the segments first, and then a new one is begun: those before it do not change any more.
        self.sync()?;
        let active = {
            let mut active = self.active.lock();
            active.open_segment(&self.directory, self)?;
            active.name()
        };
        self.unsynced.store(true, Ordering::SeqCst);
        let wanted = Wanted::of(removals);
        let mut last = Vec::new();
        for name in Self::segments(&self.directory)? {
            if active.is_some_and(|active| name >= active) {
                break;
            }
            self.retain_where_due();
            let seen = self.look_for(name, &wanted)?;
            if seen.beginnings {
                last.push((name, seen.lines));
            } else if seen.lines {
                self.rewrite(name, &wanted, Beginnings::Go)?;
            }
        }
        // Where several say so, each may stand beside lines of the others' users.
        if last.len() > 1 {
            for (name, _) in last.iter().filter(|(_, lines)| *lines) {
                self.rewrite(*name, &wanted, Beginnings::Stay)?;
            }
        }
        for (name, _) in last {
            self.rewrite(name, &wanted, Beginnings::Go)?;
        }
        self.sync()
    }

    /// What a segment has of these users.
    fn look_for(&self, name: SegmentName, wanted: &Wanted) -> Result<Seen> {
        let mut seen = Seen::default();
        self.read_blocks(name, &mut |block| {
            if wanted.is_named_in(block) {
                for piece in pieces(block) {
                    match piece {
                        Piece::Line(_, line) => match wanted.judge(line) {
                            Of::Others => {}
                            Of::Them => seen.lines = true,
                            Of::TheirErasure => seen.beginnings = true,
                        },
                        Piece::Damage(from, length) | Piece::Torn(from, length) => {
                            seen.lines |= block.get(from..from + length).is_some_and(|bytes| wanted.is_named_in(bytes));
                        }
                    }
                }
            }
            Ok(())
        })?;
        Ok(seen)
    }

    /// Puts a segment without these users' lines in its place.
    fn rewrite(&self, name: SegmentName, wanted: &Wanted, beginnings: Beginnings) -> Result<()> {
        // Left over from a process that died while writing; only the holder of the directory's lock gets here.
        self.directory.remove(Room::Log, TEMPORARY)?;
        let written = self.write_rest(name, wanted, beginnings);
        // Somebody may have removed it meanwhile: it must not come back.
        let stands = written.and_then(|()| self.directory.size_and_time(Room::Log, &name.to_string())).map(|stat| stat.is_some());
        if let Ok(true) = stands {
            self.directory.rename(Room::Log, TEMPORARY, &name.to_string())?;
            // One after the other: the line that says that there is something to remove goes last.
            return self.directory.sync(Room::Log);
        }
        let _ = self.directory.remove(Room::Log, TEMPORARY);
        stands.map(drop)
    }

    /// Writes what stays of a segment to the temporary file, and syncs that.
    fn write_rest(&self, name: SegmentName, wanted: &Wanted, beginnings: Beginnings) -> Result<()> {
        let file = self.directory.create(Room::Log, TEMPORARY)?;
        let mut kept = Vec::with_capacity(PIECE + BLOCK);
        let mut is_first = true;
        self.read_blocks(name, &mut |block| {
            for piece in pieces(block) {
                // What cannot be read may be the user's.
                let Piece::Line(_, line) = piece else { continue };
                let stays = match wanted.judge(line) {
                    Of::Others => true,
                    Of::Them => false,
                    Of::TheirErasure => beginnings == Beginnings::Stay,
                };
                if stays {
                    let line = if std::mem::take(&mut is_first) { as_rewritten(line) } else { line.into() };
                    kept.extend_from_slice(&line);
                    kept.push(b'\n');
                }
            }
            if kept.len() >= PIECE {
                self.write_piece(&*file, &kept)?;
                kept.clear();
            }
            Ok(())
        })?;
        self.write_piece(&*file, &kept)
    }

    fn write_piece(&self, file: &dyn OpenFile, bytes: &[u8]) -> Result<()> {
        for piece in bytes.chunks(PIECE).chain(bytes.is_empty().then_some(bytes)) {
            self.stand_aside();
            let begun = Instant::now();
            write_all(file, piece).and_then(|()| file.sync()).map_err(|e| {
                Error::io(format_args!("write {}/{}/{TEMPORARY}", self.directory.path().display(), Room::Log.name()), e)
            })?;
            // Whoever writes to the same disk has it half of the time.
            if !self.is_hurried() {
                std::thread::sleep(begun.elapsed().min(LONGEST_PAUSE));
            }
        }
        Ok(())
    }

    /// Waits while the log syncs, for some time.
    fn stand_aside(&self) {
        let begun = Instant::now();
        while self.is_syncing() && begun.elapsed() < LONGEST_PAUSE {
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Reads a segment in blocks of whole lines; the last one may end otherwise.
    fn read_blocks(&self, name: SegmentName, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let Some(mut file) = self.directory.open(Room::Log, &name.to_string())? else { return Ok(()) };
        let mut block = Vec::with_capacity(2 * BLOCK);
        loop {
            let failed = |e| Error::io(format_args!("read {}/{}/{name}", self.directory.path().display(), Room::Log.name()), e);
            let is_over = file.by_ref().take(BLOCK as u64).read_to_end(&mut block).map_err(failed)? == 0;
            let end = if is_over { block.len() } else { memchr::memrchr(b'\n', &block).map_or(0, |i| i + 1) };
            take(&block[..end])?;
            block.drain(..end);
            if is_over {
                return Ok(());
            }
        }
    }
}

/// What becomes of the lines that say that a user is being erased.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beginnings {
    Stay,
    Go,
}

/// What a segment has of users who are being erased.
#[derive(Default)]
struct Seen {
    /// Lines, or places that cannot be read and name them.
    lines: bool,
    /// Lines that say that they are being erased.
    beginnings: bool,
}

/// Whose a line is.
enum Of {
    Others,
    Them,
    /// It says that one of them is being erased.
    TheirErasure,
}

/// Users whose lines up to a number are looked for, however many there are, in one pass.
struct Wanted {
    /// As their ids stand in lines, in quotes.
    written: HashSet<Vec<u8>>,
    up_to: HashMap<String, Seq>,
    key: memmem::Finder<'static>,
}

impl Wanted {
    fn of(removals: &[Removal]) -> Self {
        let mut up_to: HashMap<String, Seq> = HashMap::new();
        for removal in removals {
            let known = up_to.entry(removal.user_id.clone()).or_default();
            *known = removal.up_to.max(*known);
        }
        let written = up_to.keys().map(|user_id| serde_json::to_vec(user_id).unwrap_or_default()).collect();
        Self { written, up_to, key: memmem::Finder::new(b"\"userId\":") }
    }

    /// Whether one of them is named in these bytes, in whatever line.
    fn is_named_in(&self, bytes: &[u8]) -> bool {
        self.key
            .find_iter(bytes)
            .any(|at| quoted(&bytes[at + self.key.needle().len()..]).is_some_and(|id| self.written.contains(id)))
    }

    fn judge(&self, line: &[u8]) -> Of {
        if !self.is_named_in(line) {
            return Of::Others;
        }
        // What says nothing that can be understood may be theirs.
        let Ok(recorded) = read_line(line) else { return Of::Them };
        let is_theirs = |user_id: &str| self.up_to.get(user_id).is_some_and(|up_to| recorded.seq <= *up_to);
        let found = match &recorded.event {
            Event::Erase { user_id } if is_theirs(user_id) => return Of::TheirErasure,
            Event::Pull { user_id, .. }
            | Event::Reward { user_id, .. }
            | Event::Reset { user_id }
            | Event::State { user_id, .. }
            | Event::Erase { user_id } => is_theirs(user_id),
            Event::Decision(decision) => is_theirs(&decision.user_id),
            Event::Feedback(feedback) => is_theirs(&feedback.user_id),
            Event::Dead { user_id } | Event::Policy { user_id } => user_id.as_deref().is_some_and(is_theirs),
            Event::Mark { .. } | Event::Segment { .. } | Event::Gap { .. } | Event::Off => false,
        };
        if found { Of::Them } else { Of::Others }
    }
}

/// The JSON text that bytes begin with, in its quotes.
fn quoted(bytes: &[u8]) -> Option<&[u8]> {
    let mut at = bytes.strip_prefix(b"\"").map(|_| 1)?;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return bytes.get(..=at);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::line::LineWriter;

    #[test]
    fn a_user_is_told_from_others_by_the_whole_id_and_by_the_number() {
        let ids = ["p", "Zoë \"Z\" \\ \n✓", "\\", "x\\\""];
        let removals: Vec<_> = ids.iter().map(|id| Removal { user_id: (*id).to_owned(), up_to: Seq { epoch: 1, n: 5 } }).collect();
        let wanted = Wanted::of(&removals);
        let line = |seq, user_id: &str| {
            let (mut bytes, mut writer) = (Vec::new(), LineWriter::default());
            writer.reset(&mut bytes, seq, 0, user_id);
            bytes.pop();
            bytes
        };
        for id in ids {
            assert!(matches!(wanted.judge(&line(Seq { epoch: 1, n: 5 }, id)), Of::Them), "{id}");
            // What came after is a new user's.
            assert!(matches!(wanted.judge(&line(Seq { epoch: 1, n: 6 }, id)), Of::Others), "{id}");
            for other in [format!("{id}p"), format!("p{id}"), format!("\"userId\":\"{id}\"")] {
                assert!(matches!(wanted.judge(&line(Seq { epoch: 1, n: 1 }, &other)), Of::Others), "{other}");
            }
        }
        let (mut bytes, mut writer) = (Vec::new(), LineWriter::default());
        writer.erase(&mut bytes, Seq { epoch: 1, n: 5 }, 0, "p");
        bytes.pop();
        assert!(matches!(wanted.judge(&bytes), Of::TheirErasure));
    }
}
