//! The log as the engine sees it: what a caller must not lose (decisions, reactions, rewards, resets, changes of policies) is appended by
//! the thread that makes it, pulls are queued; a thread of
//! its own makes lines of pulls within 10 ms and begins new segments, another one syncs, and a third one, while there is something to do,
//! removes old segments and takes erased people's lines out.

mod erasing;
mod finding;
mod growth;
mod segments;
mod syncing;
mod upkeep;
mod writing;

pub use finding::{Head, Lookup, head_of};
pub use growth::Growth;
pub use segments::is_covered;

use super::active::{Active, Numbering};
use super::bounds::MOST_SKIPPED;
use super::decision::{DecisionLine, FeedbackLine};
use super::line::{DeadLine, LineWriter, PullLine, RewardLine, StateLine};
use super::queue::PullQueue;
use super::segment::SegmentName;
use super::seq::Seq;
use crate::background::{Backoff, Jobs};
use crate::clock::Clock;
use crate::disk::{Directory, Room};
use crate::error::{Done, Error, Result};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use upkeep::Upkeep;

/// What was appended is synced at once when it has grown so large: long before appending would be refused.
const SYNC_PAST: usize = 4 << 20;

/// What the log is told.
#[derive(Debug, Clone, Copy)]
pub struct LogSettings {
    /// Whether what happens is appended at all.
    pub enabled: bool,
    /// Segments that were last written to so long ago may be removed.
    pub retention_ms: u64,
    /// So many bytes are kept at most, as far as they are not needed.
    pub retention_bytes: u64,
}

/// Where the log of a directory stands before an engine begins.
#[derive(Debug)]
pub struct LogStanding {
    /// Its segments, oldest first.
    pub segments: Vec<SegmentName>,
    /// All up to this is in the state files.
    pub low_water: Seq,
    /// The last line is a mark that covers everything: nothing has to be read.
    pub is_clean: bool,
}

impl LogStanding {
    /// The epoch that comes next.
    #[must_use]
    pub fn next_epoch(&self) -> u32 {
        let newest = self.segments.last().map_or(0, |name| name.0.epoch);
        newest.max(self.low_water.epoch).saturating_add(1)
    }
}

/// How the log is doing, for `health()`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogReport {
    /// The current epoch.
    pub epoch: u32,
    /// Segments on disk, when they were last counted.
    pub segments: u64,
    /// Their bytes, and what was appended since.
    pub bytes: u64,
    /// All up to this is in the state files.
    pub low_water: Seq,
    /// Bytes that no sync has covered.
    pub unsynced_bytes: u64,
    /// Pulls that are in no line because nothing could be written.
    pub dropped_pulls: u64,
    /// Appends and syncs that failed.
    pub errors: u64,
    /// The last failure.
    pub last_error: Option<String>,
    /// The last attempt failed.
    pub failing: bool,
}

enum Job {
    Flush,
    /// Remove what is known of a user up to a number.
    Remove(String, Seq),
    /// Nothing is left to remove when it is done.
    Finish,
    Stop,
}

#[derive(Default)]
struct Queue {
    pulls: PullQueue,
    jobs: Jobs<Job>,
    /// The thread sleeps until it is woken, or longer than pulls may wait.
    asleep: bool,
}

/// What the thread that syncs has to do.
#[derive(Default)]
struct SyncQueue {
    wanted: bool,
    waiting: Vec<Done>,
    /// Somebody has been taken from `waiting` and not been told yet.
    answering: bool,
    ended: bool,
}

#[derive(Default)]
struct Figures {
    segments: u64,
    bytes: u64,
    /// What was written when they were counted.
    counted_at: u64,
    /// When the first one was begun.
    first_ms: Option<u64>,
    dropped_pulls: u64,
    errors: u64,
    last_error: Option<String>,
    writing_fails: bool,
    syncing_fails: bool,
}

impl Figures {
    /// The bytes of all segments, when so many were written.
    const fn bytes_with(&self, written: u64) -> u64 {
        self.bytes + written.saturating_sub(self.counted_at)
    }
}

/// See the module.
pub struct InteractionLog {
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
    settings: LogSettings,
    opened_ms: u64,
    /// The epoch that it was opened with.
    opening: u32,
    /// Decisions since then, and the bytes of their lines.
    decisions: AtomicU64,
    decision_bytes: AtomicU64,
    epoch: AtomicU32,
    next: AtomicU64,
    active: Mutex<Active>,
    queue: Mutex<Queue>,
    wake: Condvar,
    /// Something was appended that no sync has covered.
    unsynced: AtomicBool,
    /// So much of it that a sync was asked for, which has not yet begun.
    large: AtomicBool,
    syncing: Mutex<()>,
    syncs: Mutex<SyncQueue>,
    sync_wake: Condvar,
    upkeep: Mutex<Upkeep>,
    /// Pulls that no line tells of, and no gap line either.
    dropped: AtomicU64,
    figures: Mutex<Figures>,
}

impl Numbering for InteractionLog {
    #[inline]
    fn next(&self) -> Seq {
        Seq { epoch: self.epoch.load(Ordering::Acquire), n: self.next.fetch_add(1, Ordering::AcqRel) }
    }

    fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }
}

/// The same in an epoch that is about to begin.
struct Raised<'l> {
    log: &'l InteractionLog,
    epoch: u32,
}

impl Numbering for Raised<'_> {
    fn next(&self) -> Seq {
        Seq { epoch: self.epoch, ..self.log.next() }
    }

    fn now_ms(&self) -> u64 {
        self.log.now_ms()
    }
}

impl InteractionLog {
    /// Begins an epoch: its first segment is on disk, synced, before this returns.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn begin(
        directory: Arc<Directory>,
        clock: Arc<dyn Clock>,
        settings: LogSettings,
        epoch: u32,
        before: &LogStanding,
    ) -> Result<Arc<Self>> {
        let last = match before.segments.last() {
            Some(name) => directory.size_and_time(Room::Log, &name.to_string())?.map(|(size, _)| (*name, size)),
            None => None,
        };
        let log = Arc::new(Self {
            directory,
            opened_ms: clock.now_ms(),
            clock,
            settings,
            decisions: AtomicU64::new(0),
            decision_bytes: AtomicU64::new(0),
            opening: epoch,
            epoch: AtomicU32::new(epoch),
            next: AtomicU64::new(0),
            active: Mutex::new(Active::new(before.low_water, last)),
            queue: Mutex::default(),
            wake: Condvar::new(),
            unsynced: AtomicBool::new(false),
            large: AtomicBool::new(false),
            syncing: Mutex::new(()),
            syncs: Mutex::default(),
            sync_wake: Condvar::new(),
            upkeep: Mutex::default(),
            dropped: AtomicU64::new(0),
            figures: Mutex::default(),
        });
        // What an erasure that was cut short was writing holds people's lines. Where it cannot go, the erasure says so.
        let _ = log.directory.remove(Room::Log, erasing::TEMPORARY);
        log.active.lock().open_segment(&log.directory, &*log)?;
        if !settings.enabled {
            let (seq, ms) = (log.next(), log.now_ms());
            log.append(|lines, to| lines.off(to, seq, ms))?;
        }
        log.sync()?;
        log.count_segments();
        let (writes, syncs) = (Arc::clone(&log), Arc::clone(&log));
        let start = |name: &str, run: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|e| Error::io("start the log's threads", e))
        };
        start("bandits-log", Box::new(move || writes.run()))?;
        start("bandits-sync", Box::new(move || syncs.run_syncs())).inspect_err(|_| log.stop(Box::new(|_| {})))?;
        Ok(log)
    }

    /// Whether what happens is appended.
    #[inline]
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.settings.enabled
    }

    /// The number of the next line.
    #[inline]
    #[must_use]
    pub fn next_seq(&self) -> Seq {
        self.next()
    }

    /// The number up to which all lines have been given out.
    #[must_use]
    pub fn last_seq(&self) -> Seq {
        Seq { epoch: self.epoch.load(Ordering::Acquire), n: self.next.load(Ordering::Acquire).saturating_sub(1) }
    }

    /// Makes sure that every number from now on is above this one, which was found in a state file: the log that it came from is
    /// gone. False, and nothing is changed, where it cannot be this directory's.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn raise_above(&self, seq: Seq) -> Result<bool> {
        if !seq.is_possible() || seq.epoch >= self.opening.saturating_add(MOST_SKIPPED) {
            return Ok(false);
        }
        let is_below = || {
            let epoch = self.epoch.load(Ordering::Acquire);
            seq.epoch < epoch || (seq.epoch == epoch && seq.n < self.next.load(Ordering::Acquire))
        };
        if is_below() {
            return Ok(true);
        }
        let mut active = self.active.lock();
        if !is_below() {
            let next = Raised { log: self, epoch: seq.epoch.saturating_add(1) };
            active.open_segment(&self.directory, &next)?;
            // Not before: lines of an epoch stand in its segments.
            self.epoch.store(next.epoch, Ordering::Release);
        }
        drop(active);
        self.sync().map(|()| true)
    }

    /// Queues a pull. Never fails: what cannot be written in the end is counted.
    #[inline]
    pub fn pull(&self, seq: Seq, ms: u64, line: &PullLine<'_>) {
        let mut queue = self.queue.lock();
        let queued = queue.pulls.push(seq, ms, line);
        let wake = std::mem::take(&mut queue.asleep);
        drop(queue);
        if wake {
            self.wake.notify_one();
        }
        if !queued {
            self.pull_now(seq, ms, line);
        }
    }

    /// Writes a pull that found the queue full: whoever makes pulls faster than one thread can write them writes them, too.
    #[cold]
    fn pull_now(&self, seq: Seq, ms: u64, line: &PullLine<'_>) {
        if self.figures.lock().writing_fails || self.append(|lines, to| lines.pull(to, seq, ms, line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Appends a reward.
    ///
    /// # Errors
    /// `ERR_STATE_IO`, `ERR_BACKPRESSURE`: the line is not in the log.
    #[inline]
    pub fn reward(&self, seq: Seq, ms: u64, line: &RewardLine<'_>) -> Result<()> {
        self.append(|lines, to| lines.reward(to, seq, ms, line))
    }

    /// Appends a decision.
    ///
    /// # Errors
    /// As [`InteractionLog::reward`].
    pub fn decision(&self, seq: Seq, ms: u64, line: &DecisionLine<'_>) -> Result<()> {
        let mut bytes = 0;
        self.append(|lines, to| {
            let before = to.len();
            lines.decision(to, seq, ms, line);
            bytes = to.len() - before;
        })?;
        self.decisions.fetch_add(1, Ordering::Relaxed);
        self.decision_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Appends what a person did with a tip.
    ///
    /// # Errors
    /// As [`InteractionLog::reward`].
    pub fn feedback(&self, seq: Seq, ms: u64, line: &FeedbackLine<'_>) -> Result<()> {
        self.append(|lines, to| lines.feedback(to, seq, ms, line))
    }

    /// Appends what an operator changed about a policy.
    ///
    /// # Errors
    /// As [`InteractionLog::reward`].
    pub fn policy(&self, ms: u64, change: &str) -> Result<()> {
        let seq = self.next();
        self.append(|lines, to| lines.policy(to, seq, ms, change))
    }

    /// Appends a reset.
    ///
    /// # Errors
    /// As [`InteractionLog::reward`].
    pub fn reset(&self, seq: Seq, ms: u64, user_id: &str) -> Result<()> {
        self.append(|lines, to| lines.reset(to, seq, ms, user_id))
    }

    /// Appends the beginning of an erasure, whether or not anything else is appended; its number is the last one that concerns the
    /// user as it was.
    ///
    /// # Errors
    /// As [`InteractionLog::reward`].
    pub fn begin_erasing(&self, ms: u64, user_id: &str) -> Result<Seq> {
        let seq = self.next();
        self.append(|lines, to| lines.erase(to, seq, ms, user_id))?;
        Ok(seq)
    }

    /// Counts a pull of which nothing is remembered.
    pub fn drop_pull(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        self.wake_up();
    }

    /// Appends somebody else's state.
    ///
    /// # Errors
    /// As [`InteractionLog::reward`].
    pub fn state(&self, seq: Seq, ms: u64, line: &StateLine<'_>) -> Result<()> {
        self.append(|lines, to| lines.state(to, seq, ms, line))
    }

    /// Appends a message that was given up, whether or not anything else is appended: it happens once and seldom.
    ///
    /// # Errors
    /// As [`InteractionLog::reward`].
    pub fn dead(&self, ms: u64, line: &DeadLine<'_>) -> Result<()> {
        let seq = self.next();
        self.append(|lines, to| lines.dead(to, seq, ms, line))
    }

    /// Notes that everything up to `low_water` is in the state files, synced; `end`: and that the epoch ends with that.
    ///
    /// # Errors
    /// As [`InteractionLog::reward`]; nothing is lost then but time at the next start.
    pub fn mark(&self, low_water: Seq, end: bool) -> Result<()> {
        let mut active = self.active.lock();
        // The last mark covered everything but itself.
        let is_same = low_water.epoch == active.low_water().epoch && low_water.n == active.low_water().n + 1;
        if !end && (low_water <= active.low_water() || is_same) {
            return Ok(());
        }
        // Who closes may have counted before a round marked: what was said once stays.
        let low_water = low_water.max(active.low_water());
        let marked = active.mark(&self.directory, self, low_water, end);
        drop(active);
        self.appended(marked)
    }

    #[inline]
    fn append(&self, encode: impl FnOnce(&mut LineWriter, &mut Vec<u8>)) -> Result<()> {
        let mut active = self.active.lock();
        let appended = active.append(&self.directory, self, encode);
        let bytes = active.waiting_bytes();
        drop(active);
        self.sync_large(bytes);
        self.appended(appended)
    }

    #[inline]
    fn sync_large(&self, bytes: usize) {
        if bytes > SYNC_PAST && !self.large.swap(true, Ordering::SeqCst) {
            self.want_sync(None);
        }
    }

    #[inline]
    fn appended(&self, outcome: Result<()>) -> Result<()> {
        if let Err(e) = &outcome {
            self.note_failure(e);
            self.figures.lock().writing_fails = true;
        } else if !self.unsynced.swap(true, Ordering::SeqCst) {
            self.wake_up();
        }
        outcome
    }

    #[cold]
    fn note_failure(&self, e: &Error) {
        let mut figures = self.figures.lock();
        figures.errors += 1;
        figures.last_error = Some(e.message().to_owned());
    }

    #[cold]
    fn wake_up(&self) {
        if std::mem::take(&mut self.queue.lock().asleep) {
            self.wake.notify_one();
        }
    }

    /// Calls `done` when everything so far survives power loss. Whoever asks meanwhile shares the next sync.
    pub fn flush(&self, done: Done) {
        self.submit(Job::Flush, done);
    }

    /// Removes the lines of a user up to a number from all segments, and calls `done` when they are gone from the disk. Whatever else the log
    /// does goes on meanwhile.
    pub fn remove(&self, user_id: &str, up_to: Seq, done: Done) {
        self.submit(Job::Remove(user_id.to_owned(), up_to), done);
    }

    /// Calls `done` when what was to be removed is, or could not be.
    pub fn finish_removals(&self, done: Done) {
        self.submit(Job::Finish, done);
    }

    /// Flushes and ends the threads, once what was to be removed is.
    pub fn stop(&self, done: Done) {
        self.submit(Job::Stop, done);
    }

    fn submit(&self, job: Job, done: Done) {
        let mut queue = self.queue.lock();
        if let Err(done) = queue.jobs.add(job, done) {
            drop(queue);
            return done(Err(Error::closed()));
        }
        queue.asleep = false;
        self.wake.notify_one();
    }

    /// How it is doing.
    #[must_use]
    pub fn report(&self) -> LogReport {
        let (low_water, unsynced, written) = {
            let active = self.active.lock();
            (active.low_water(), active.unsynced_bytes(), active.written_bytes())
        };
        let figures = self.figures.lock();
        LogReport {
            epoch: self.epoch.load(Ordering::Acquire),
            segments: figures.segments,
            bytes: figures.bytes_with(written),
            low_water,
            unsynced_bytes: unsynced as u64,
            dropped_pulls: figures.dropped_pulls + self.dropped.load(Ordering::Relaxed),
            errors: figures.errors,
            last_error: figures.last_error.clone(),
            failing: figures.writing_fails || figures.syncing_fails,
        }
    }

    /// Now, as lines have it, in milliseconds since 1970.
    #[must_use]
    pub fn clock_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// The segments on disk, oldest first.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn segments(directory: &Directory) -> Result<Vec<SegmentName>> {
        let mut names: Vec<_> = directory.list(Room::Log)?.iter().filter_map(|name| SegmentName::parse(name)).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Brings the queued pulls to the disk's hands, for somebody who wants to read the segments.
    pub fn settle(&self) {
        let (sender, receiver) = std::sync::mpsc::channel();
        self.flush(Box::new(move |outcome| {
            // Whoever waits wants the lines as far as they could be written.
            let _ = sender.send(outcome);
        }));
        let _ = receiver.recv_timeout(Backoff::LAST);
    }
}

impl std::fmt::Debug for InteractionLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InteractionLog").field("report", &self.report()).finish_non_exhaustive()
    }
}
