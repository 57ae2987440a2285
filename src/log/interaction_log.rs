//! The log as the engine sees it: rewards and resets are appended by the thread that makes them, pulls are queued; a thread of
//! its own makes lines of pulls within 10 ms, syncs, begins new segments and removes old ones.

use super::active::{Active, Numbering};
use super::event::{Event, read_line};
use super::line::{LineWriter, PullLine, RewardLine, StateLine};
use super::queue::PullQueue;
use super::segment::{Piece, SegmentName, pieces};
use super::seq::Seq;
use crate::clock::Clock;
use crate::disk::{Directory, Room};
use crate::error::{Done, Error, ErrorKind, Result, again};
use memchr::memmem;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Pulls wait so long for company before lines are made of them.
const COALESCE: Duration = Duration::from_millis(5);
/// What was appended is synced after so long at the latest, whether or not anybody asks.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// Or when it has grown so large: long before appending would be refused.
const SYNC_PAST: usize = 4 << 20;
/// Pulls are written in blocks of about so many bytes, because a reward waits while a block is written.
const BLOCK: usize = 64 << 10;
/// Blocks that could not be written wait, as far as that many bytes; then their pulls are dropped.
const MOST_BACKLOG: usize = 16 << 20;
/// A segment of this age is followed by another one, so that retention by age can remove it.
const OLDEST_SEGMENT_MS: u64 = 24 * 3600 * 1000;
/// How often old segments are looked for when none was begun.
const RETENTION_EVERY: Duration = Duration::from_hours(1);
/// Memory for so many pulls is kept while nothing happens.
const IDLE_PULLS: usize = 1 << 10;
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);

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
    /// Segments on disk.
    pub segments: u64,
    /// Their bytes, without what was appended since they were last counted.
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
    Stop,
}

#[derive(Default)]
struct Queue {
    pulls: PullQueue,
    jobs: Vec<(Job, Done)>,
    /// The thread sleeps until it is woken, or longer than pulls may wait.
    asleep: bool,
    ended: bool,
}

/// What the thread that syncs has to do. It is another one than that which writes pulls: a sync may take longer than they may wait.
#[derive(Default)]
struct SyncQueue {
    wanted: bool,
    waiting: Vec<Done>,
    ended: bool,
}

#[derive(Default)]
struct Figures {
    segments: u64,
    bytes: u64,
    dropped_pulls: u64,
    errors: u64,
    last_error: Option<String>,
    writing_fails: bool,
    syncing_fails: bool,
}

/// See the module.
pub struct InteractionLog {
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
    settings: LogSettings,
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
        let log = Arc::new(Self {
            directory,
            clock,
            settings,
            epoch: AtomicU32::new(epoch),
            next: AtomicU64::new(0),
            active: Mutex::new(Active::new(before.low_water, before.segments.last().copied())),
            queue: Mutex::default(),
            wake: Condvar::new(),
            unsynced: AtomicBool::new(false),
            large: AtomicBool::new(false),
            syncing: Mutex::new(()),
            syncs: Mutex::default(),
            sync_wake: Condvar::new(),
            dropped: AtomicU64::new(0),
            figures: Mutex::default(),
        });
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
    /// gone.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn raise_above(&self, seq: Seq) -> Result<()> {
        let is_below = || {
            let epoch = self.epoch.load(Ordering::Acquire);
            seq.epoch < epoch || (seq.epoch == epoch && seq.n < self.next.load(Ordering::Acquire))
        };
        if is_below() {
            return Ok(());
        }
        let mut active = self.active.lock();
        if !is_below() {
            let before = self.epoch.swap(seq.epoch.saturating_add(1), Ordering::AcqRel);
            active.open_segment(&self.directory, self).inspect_err(|_| self.epoch.store(before, Ordering::Release))?;
        }
        drop(active);
        self.sync()
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

    /// Notes that everything up to `low_water` is in the state files, synced.
    ///
    /// # Errors
    /// As [`InteractionLog::reward`]; nothing is lost then but time at the next start.
    pub fn mark(&self, low_water: Seq) -> Result<()> {
        let mut active = self.active.lock();
        // The last mark covered everything but itself.
        let is_same = low_water.epoch == active.low_water().epoch && low_water.n == active.low_water().n + 1;
        if low_water <= active.low_water() || is_same {
            return Ok(());
        }
        let marked = active.mark(&self.directory, self, low_water);
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

    /// Removes the lines of a user up to a number from all segments, and calls `done` when they are gone from the disk.
    pub fn remove(&self, user_id: &str, up_to: Seq, done: Done) {
        self.submit(Job::Remove(user_id.to_owned(), up_to), done);
    }

    /// Flushes and ends the thread.
    pub fn stop(&self, done: Done) {
        self.submit(Job::Stop, done);
    }

    fn submit(&self, job: Job, done: Done) {
        let mut queue = self.queue.lock();
        if queue.ended {
            drop(queue);
            return done(Err(Error::closed()));
        }
        queue.jobs.push((job, done));
        queue.asleep = false;
        self.wake.notify_one();
    }

    /// How it is doing.
    #[must_use]
    pub fn report(&self) -> LogReport {
        let (low_water, unsynced) = {
            let active = self.active.lock();
            (active.low_water(), active.unsynced_bytes())
        };
        let figures = self.figures.lock();
        LogReport {
            epoch: self.epoch.load(Ordering::Acquire),
            segments: figures.segments,
            bytes: figures.bytes,
            low_water,
            unsynced_bytes: unsynced as u64,
            dropped_pulls: figures.dropped_pulls + self.dropped.load(Ordering::Relaxed),
            errors: figures.errors,
            last_error: figures.last_error.clone(),
            failing: figures.writing_fails || figures.syncing_fails,
        }
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
        let _ = receiver.recv_timeout(LAST_RETRY);
    }

    // --- the thread ---

    fn run(&self) {
        let mut thread = Keeper::default();
        let mut pulls = PullQueue::default();
        loop {
            let jobs = self.next_round(&thread, &mut pulls);
            let round = catch_unwind(AssertUnwindSafe(|| self.round(&mut thread, &mut pulls)));
            let outcome = round.unwrap_or_else(|_| Err(panicked()));
            pulls.clear();
            let mut stop = Vec::new();
            for (job, done) in jobs {
                match job {
                    Job::Flush if outcome.is_ok() => self.want_sync(Some(done)),
                    Job::Flush => done(again(&outcome)),
                    // Lines that could not be written yet may be the user's.
                    Job::Remove(..) if outcome.is_err() => done(again(&outcome)),
                    Job::Remove(user_id, up_to) => {
                        let removed = catch_unwind(AssertUnwindSafe(|| self.remove_user(&user_id, up_to)));
                        done(removed.unwrap_or_else(|_| Err(panicked())));
                    }
                    Job::Stop => stop.push(done),
                }
            }
            if !stop.is_empty() {
                let late = {
                    let mut queue = self.queue.lock();
                    queue.ended = true;
                    std::mem::take(&mut queue.jobs)
                };
                let outcome = again(&outcome).and(self.sync());
                self.syncs.lock().ended = true;
                self.sync_wake.notify_one();
                self.active.lock().close();
                for (_, done) in late {
                    done(Err(Error::closed()));
                }
                for done in stop {
                    done(again(&outcome));
                }
                return;
            }
        }
    }

    /// Waits for something to do.
    fn next_round(&self, thread: &Keeper, pulls: &mut PullQueue) -> Vec<(Job, Done)> {
        let mut queue = self.queue.lock();
        loop {
            if !queue.jobs.is_empty() {
                break;
            }
            let wait = if !thread.backlog.is_empty() || thread.retry.is_some() {
                thread.retry.unwrap_or(FIRST_RETRY)
            } else if !queue.pulls.is_empty() || self.dropped.load(Ordering::Relaxed) > 0 {
                COALESCE
            } else if self.unsynced.load(Ordering::SeqCst) {
                SYNC_EVERY.saturating_sub(thread.unsynced_since.map_or(Duration::ZERO, |since| since.elapsed()))
            } else {
                // Nothing is going on: what a burst needed is given back.
                queue.pulls.shrink(IDLE_PULLS);
                pulls.shrink(IDLE_PULLS);
                self.active.lock().shrink();
                RETENTION_EVERY
            };
            // Pulls do not wait for a sync that is due later, nor for anything else but each other: they wake the thread. So does
            // whoever sets `unsynced`, and takes the lock then.
            queue.asleep = wait > COALESCE;
            let timed_out = self.wake.wait_for(&mut queue, wait).timed_out();
            queue.asleep = false;
            if timed_out || wait == COALESCE {
                break;
            }
        }
        // The memory goes back and forth: the scoring thread seldom has to ask for some.
        std::mem::swap(&mut queue.pulls, pulls);
        std::mem::take(&mut queue.jobs)
    }

    /// Writes the pulls, syncs where that is due or asked for, and looks after the segments.
    fn round(&self, thread: &mut Keeper, pulls: &mut PullQueue) -> Result<()> {
        let mut outcome = self.write_backlog(thread);
        let Keeper { lines, backlog, waiting, .. } = thread;
        pulls.encode(lines, BLOCK, |block| {
            if outcome.is_ok() {
                outcome = self.write_block(block);
                if outcome.is_ok() {
                    return;
                }
            }
            if *waiting + block.len() > MOST_BACKLOG {
                self.dropped.fetch_add(memchr::memchr_iter(b'\n', block).count() as u64, Ordering::Relaxed);
            } else {
                *waiting += block.len();
                backlog.push_back(block.to_vec());
            }
        });
        if outcome.is_ok() {
            outcome = self.write_gap();
        }
        if self.unsynced.load(Ordering::SeqCst) {
            let since = *thread.unsynced_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= SYNC_EVERY {
                self.want_sync(None);
                thread.unsynced_since = None;
            }
        }
        match &outcome {
            Ok(()) => {
                thread.retry = None;
                self.figures.lock().writing_fails = false;
                self.look_after_segments(thread);
            }
            Err(e) => {
                self.note_failure(e);
                self.figures.lock().writing_fails = true;
                thread.retry = Some(thread.retry.map_or(FIRST_RETRY, |last| (last * 2).min(LAST_RETRY)));
            }
        }
        outcome
    }

    /// Asks for a sync; `done` is told how it went.
    fn want_sync(&self, done: Option<Done>) {
        let mut syncs = self.syncs.lock();
        syncs.wanted = true;
        syncs.waiting.extend(done);
        self.sync_wake.notify_one();
    }

    /// The thread that syncs: one sync for all who wait when it begins.
    fn run_syncs(&self) {
        let mut retry: Option<Duration> = None;
        loop {
            let (waiting, ended) = {
                let mut syncs = self.syncs.lock();
                while !syncs.wanted && !syncs.ended {
                    match retry {
                        None => self.sync_wake.wait(&mut syncs),
                        Some(retry) => syncs.wanted |= self.sync_wake.wait_for(&mut syncs, retry).timed_out(),
                    }
                }
                syncs.wanted = false;
                (std::mem::take(&mut syncs.waiting), syncs.ended)
            };
            if ended && waiting.is_empty() {
                return;
            }
            let synced = catch_unwind(AssertUnwindSafe(|| self.sync())).unwrap_or_else(|_| Err(panicked()));
            retry = match (&synced, retry) {
                (Ok(()), _) => None,
                (Err(_), None) => Some(FIRST_RETRY),
                (Err(_), Some(last)) => Some((last * 2).min(LAST_RETRY)),
            };
            if let Err(e) = &synced {
                self.note_failure(e);
            }
            self.figures.lock().syncing_fails = synced.is_err();
            for done in waiting {
                done(again(&synced));
            }
        }
    }

    fn write_backlog(&self, thread: &mut Keeper) -> Result<()> {
        while let Some(block) = thread.backlog.front() {
            self.write_block(block)?;
            thread.waiting -= block.len();
            thread.backlog.pop_front();
        }
        Ok(())
    }

    fn write_block(&self, block: &[u8]) -> Result<()> {
        let mut active = self.active.lock();
        active.append_block(&self.directory, self, block)?;
        let bytes = active.waiting_bytes();
        drop(active);
        self.unsynced.store(true, Ordering::SeqCst);
        self.sync_large(bytes);
        Ok(())
    }

    /// Says how many pulls were dropped, where that is not yet said.
    fn write_gap(&self) -> Result<()> {
        let dropped = self.dropped.load(Ordering::Relaxed);
        if dropped > 0 {
            let (seq, ms) = (self.next(), self.clock.now_ms());
            self.active.lock().append(&self.directory, self, |lines, to| lines.gap(to, seq, ms, dropped))?;
            self.unsynced.store(true, Ordering::SeqCst);
            self.dropped.fetch_sub(dropped, Ordering::Relaxed);
            self.figures.lock().dropped_pulls += dropped;
        }
        Ok(())
    }

    /// Makes everything appended so far survive power loss. After a failure the lines are written anew, once; what fails again is
    /// tried again later.
    pub(crate) fn sync(&self) -> Result<()> {
        let _one_at_a_time = self.syncing.lock();
        let attempt = || {
            self.unsynced.store(false, Ordering::SeqCst);
            self.large.store(false, Ordering::SeqCst);
            let task = self.active.lock().begin_sync(&self.directory, self)?;
            let synced = task.run(&self.directory);
            self.active.lock().end_sync(&task, synced.is_ok());
            synced
        };
        let synced = attempt().or_else(|e| {
            self.note_failure(&e);
            attempt()
        });
        if synced.is_err() {
            self.unsynced.store(true, Ordering::SeqCst);
        }
        synced
    }

    fn look_after_segments(&self, thread: &mut Keeper) {
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

    fn count_segments(&self) {
        let Ok(names) = Self::segments(&self.directory) else { return };
        let sizes = names.iter().filter_map(|name| self.directory.size_and_time(Room::Log, &name.to_string()).ok().flatten());
        let bytes = sizes.map(|(size, _)| size).sum();
        let mut figures = self.figures.lock();
        (figures.segments, figures.bytes) = (names.len() as u64, bytes);
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
    fn remove_user(&self, user_id: &str, up_to: Seq) -> Result<()> {
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
                        kept.extend_from_slice(line);
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
pub(crate) fn is_covered(next: SegmentName, low_water: Seq) -> bool {
    next.0 <= low_water || (next.0.epoch == low_water.epoch && next.0.n == low_water.n + 1)
}

/// What the thread remembers from round to round.
#[derive(Default)]
struct Keeper {
    lines: LineWriter,
    backlog: VecDeque<Vec<u8>>,
    /// Bytes of the backlog.
    waiting: usize,
    retry: Option<Duration>,
    unsynced_since: Option<Instant>,
    retained: Option<Instant>,
}

fn panicked() -> Error {
    Error::new(ErrorKind::Internal, "the log's thread panicked")
}

impl std::fmt::Debug for InteractionLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InteractionLog").field("report", &self.report()).finish_non_exhaustive()
    }
}
