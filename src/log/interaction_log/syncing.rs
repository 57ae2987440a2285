//! The thread that syncs. It is another one than that which writes pulls: a sync may take longer than they may wait.

use super::InteractionLog;
use crate::background::{Backoff, guarded, say, stand_back};
use crate::error::{Done, Result};
use std::sync::atomic::Ordering;

impl InteractionLog {
    /// Asks for a sync; `done` is told how it went.
    pub(super) fn want_sync(&self, done: Option<Done>) {
        let mut syncs = self.syncs.lock();
        syncs.wanted = true;
        syncs.waiting.extend(done);
        self.sync_wake.notify_one();
    }

    /// Whether the thread that syncs is at it, or about to be.
    pub(super) fn is_syncing(&self) -> bool {
        let syncs = self.syncs.lock();
        syncs.wanted || syncs.answering
    }

    /// Tells all who wait how the last sync went, and ends the thread. Who asked before the end is told before it.
    pub(super) fn end_syncs(&self, outcome: &Result<()>) {
        let mut syncs = self.syncs.lock();
        syncs.ended = true;
        let waiting = std::mem::take(&mut syncs.waiting);
        self.sync_wake.notify_one();
        while syncs.answering {
            drop(syncs);
            std::thread::yield_now();
            syncs = self.syncs.lock();
        }
        drop(syncs);
        say(outcome, waiting);
    }

    /// The thread that syncs: one sync for all who wait when it begins.
    pub(super) fn run_syncs(&self) {
        stand_back();
        let mut backoff = Backoff::default();
        loop {
            let (waiting, ended) = {
                let mut syncs = self.syncs.lock();
                while !syncs.wanted && !syncs.ended {
                    match backoff.wait() {
                        None => self.sync_wake.wait(&mut syncs),
                        Some(wait) => syncs.wanted |= self.sync_wake.wait_for(&mut syncs, wait).timed_out(),
                    }
                }
                (syncs.wanted, syncs.answering) = (false, true);
                (std::mem::take(&mut syncs.waiting), syncs.ended)
            };
            if ended && waiting.is_empty() {
                self.syncs.lock().answering = false;
                return;
            }
            let synced = guarded("the log's syncing thread", || self.sync());
            backoff.note(&synced);
            if let Err(e) = &synced {
                self.note_failure(e);
            }
            self.figures.lock().syncing_fails = synced.is_err();
            say(&synced, waiting);
            self.syncs.lock().answering = false;
        }
    }

    /// Makes everything appended so far survive power loss. After a failure the lines are written anew, once; what fails again is
    /// tried again later.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn sync(&self) -> Result<()> {
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
}
