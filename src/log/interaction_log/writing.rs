//! The thread that makes lines of pulls and writes them, begins segments, and sees to it that others sync and look after the segments. It
//! waits for none of them: while it waited, pulls would be in no line.

use super::upkeep::{Ending, Removal};
use super::{InteractionLog, Job};
use crate::background::{Backoff, guarded, say, say_closed};
use crate::error::{Done, Result, again};
use crate::log::active::Numbering;
use crate::log::line::LineWriter;
use crate::log::queue::PullQueue;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Pulls wait so long for company before lines are made of them.
const COALESCE: Duration = Duration::from_millis(5);
/// What was appended is synced after so long at the latest, whether or not anybody asks.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// A large segment is followed by another one after so long, or when its first bytes are synced.
const NEXT_SEGMENT: Duration = Duration::from_millis(50);
/// Pulls are written in blocks of about so many bytes, because a reward waits while a block is written.
const BLOCK: usize = 64 << 10;
/// Blocks that could not be written wait, as far as that many bytes; then their pulls are dropped.
const MOST_BACKLOG: usize = 16 << 20;
/// How often old segments are looked for when none was begun.
pub(super) const RETENTION_EVERY: Duration = Duration::from_hours(1);
/// Memory for so many pulls is kept while nothing happens.
const IDLE_PULLS: usize = 1 << 10;

/// As errors name it.
const THREAD: &str = "the log's thread";

/// What the thread remembers from round to round.
#[derive(Default)]
pub(super) struct Keeper {
    lines: LineWriter,
    backlog: VecDeque<Vec<u8>>,
    /// Bytes of the backlog.
    waiting: usize,
    backoff: Backoff,
    unsynced_since: Option<Instant>,
    pub(super) retained: Option<Instant>,
}

impl InteractionLog {
    pub(super) fn run(self: &Arc<Self>) {
        let mut thread = Keeper::default();
        let mut pulls = PullQueue::default();
        loop {
            let jobs = self.next_round(&mut thread, &mut pulls);
            let outcome = guarded(THREAD, || self.round(&mut thread, &mut pulls));
            pulls.clear();
            let mut stop = Vec::new();
            for (job, done) in jobs {
                match job {
                    Job::Flush if outcome.is_ok() => self.want_sync(Some(done)),
                    Job::Flush => done(again(&outcome)),
                    // Lines that could not be written yet may be the user's.
                    Job::Remove(..) if outcome.is_err() => done(again(&outcome)),
                    Job::Remove(user_id, up_to) => self.want_removal(Removal { user_id, up_to }, done),
                    Job::Finish => {
                        if let Some(done) = self.after_upkeep(Ending::Told, done) {
                            done(Ok(()));
                        }
                    }
                    Job::Stop => stop.extend(self.after_upkeep(Ending::Stopped, done)),
                }
            }
            if !stop.is_empty() {
                let late = self.queue.lock().jobs.end();
                let outcome = again(&outcome).and(self.sync());
                self.end_syncs(&outcome);
                self.active.lock().close();
                say_closed(late);
                say(&outcome, stop);
                return;
            }
        }
    }

    /// Waits for something to do.
    fn next_round(&self, thread: &mut Keeper, pulls: &mut PullQueue) -> Vec<(Job, Done)> {
        let mut queue = self.queue.lock();
        loop {
            if !queue.jobs.is_empty() {
                break;
            }
            let mut is_large = false;
            let wait = if !thread.backlog.is_empty() || thread.backoff.wait().is_some() {
                thread.backoff.wait().unwrap_or(Backoff::FIRST)
            } else if !queue.pulls.is_empty() || self.dropped.load(Ordering::Relaxed) > 0 {
                COALESCE
            } else if self.unsynced.load(Ordering::SeqCst) {
                // From here on, not from the next wake-up: whoever appends much wakes this thread after every sync.
                let since = *thread.unsynced_since.get_or_insert_with(Instant::now);
                is_large = self.active.lock().is_large();
                let left = SYNC_EVERY.saturating_sub(since.elapsed());
                if is_large { left.min(NEXT_SEGMENT) } else { left }
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
            if timed_out || is_large || wait == COALESCE {
                break;
            }
        }
        // The memory goes back and forth: the scoring thread seldom has to ask for some.
        std::mem::swap(&mut queue.pulls, pulls);
        queue.jobs.take()
    }

    /// Writes the pulls, asks for a sync where one is due, and looks after the segments.
    fn round(self: &Arc<Self>, thread: &mut Keeper, pulls: &mut PullQueue) -> Result<()> {
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
        thread.backoff.note(&outcome);
        match &outcome {
            Ok(()) => {
                self.figures.lock().writing_fails = false;
                self.look_after_segments(thread);
            }
            Err(e) => {
                self.note_failure(e);
                self.figures.lock().writing_fails = true;
            }
        }
        outcome
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
}
