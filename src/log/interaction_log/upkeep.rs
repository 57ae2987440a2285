//! What takes long and nobody who writes, syncs or flushes may wait for: taking people's lines out of segments, removing old segments,
//! counting what is left. One thread does it, one thing after the other, so that no segment is removed while it is rewritten; it is
//! there while there is something to do.

use super::InteractionLog;
use crate::background::{guarded, say, stand_back};
use crate::error::{Done, Error, again};
use crate::log::seq::Seq;
use std::sync::Arc;

/// As errors name it.
const THREAD: &str = "the thread that looks after the log's segments";

/// What the thread has to do.
#[derive(Default)]
pub(super) struct Upkeep {
    /// Who is to be removed, up to which number.
    removals: Vec<(Removal, Done)>,
    /// Old segments are to be looked for.
    retention: bool,
    running: bool,
    /// Who waits until there is nothing more to do, and whether they stop the log then.
    ending: Vec<(Ending, Done)>,
}

/// What is to be when there is nothing more to do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Told,
    Stopped,
}

/// A user whose lines up to a number are to go.
pub(super) struct Removal {
    pub user_id: String,
    pub up_to: Seq,
}

impl InteractionLog {
    /// Has the lines of a user removed, which are all in segments by now. All who wait when a pass over the segments begins share it.
    pub(super) fn want_removal(self: &Arc<Self>, removal: Removal, done: Done) {
        self.look_after(|upkeep| upkeep.removals.push((removal, done)));
    }

    /// Has old segments looked for.
    pub(super) fn want_retention(self: &Arc<Self>) {
        self.look_after(|upkeep| upkeep.retention = true);
    }

    fn look_after(self: &Arc<Self>, add: impl FnOnce(&mut Upkeep)) {
        let mut upkeep = self.upkeep.lock();
        add(&mut upkeep);
        if upkeep.running {
            return;
        }
        upkeep.running = true;
        drop(upkeep);
        let log = Arc::clone(self);
        let work = move || {
            stand_back();
            log.run_upkeep();
        };
        if let Err(e) = std::thread::Builder::new().name("bandits-erase".to_owned()).spawn(work) {
            let waiting = {
                let mut upkeep = self.upkeep.lock();
                upkeep.running = false;
                std::mem::take(&mut upkeep.removals)
            };
            let e = Error::io("start a thread for the log's segments", e);
            self.note_failure(&e);
            say(&Err(e), waiting.into_iter().map(|(_, done)| done).collect());
        }
    }

    fn run_upkeep(&self) {
        loop {
            let removals = {
                let mut upkeep = self.upkeep.lock();
                if upkeep.removals.is_empty() && !upkeep.retention {
                    upkeep.running = false;
                    let ending = std::mem::take(&mut upkeep.ending);
                    drop(upkeep);
                    for (ending, done) in ending {
                        if ending == Ending::Stopped { self.stop(done) } else { done(Ok(())) }
                    }
                    return;
                }
                std::mem::take(&mut upkeep.removals)
            };
            self.retain_where_due();
            if removals.is_empty() {
                continue;
            }
            let (removals, waiting): (Vec<_>, Vec<_>) = removals.into_iter().unzip();
            let removed = guarded(THREAD, || self.remove_users(&removals));
            if let Err(e) = &removed {
                self.note_failure(e);
            }
            self.count_segments();
            for done in waiting {
                done(again(&removed));
            }
        }
    }

    /// Removes old segments where that was asked for; between two segments of an erasure, too, which may take long.
    pub(super) fn retain_where_due(&self) {
        if !std::mem::take(&mut self.upkeep.lock().retention) {
            return;
        }
        let removed = guarded(THREAD, || self.remove_old(self.clock.now_ms()));
        if let Err(e) = &removed {
            self.note_failure(e);
        }
        self.count_segments();
    }

    /// Gives `done` back where there is nothing to do. Else it is kept until there is nothing more; until then everything goes on as ever.
    pub(super) fn after_upkeep(&self, ending: Ending, done: Done) -> Option<Done> {
        let mut upkeep = self.upkeep.lock();
        if !upkeep.running {
            return Some(done);
        }
        upkeep.ending.push((ending, done));
        drop(upkeep);
        // The power may go before that is over.
        self.want_sync(None);
        None
    }

    /// Somebody waits for the end, who closes the engine: there is no reason to take time.
    pub(super) fn is_hurried(&self) -> bool {
        !self.upkeep.lock().ending.is_empty()
    }
}
