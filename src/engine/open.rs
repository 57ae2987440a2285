//! How an engine begins on a directory: lock held, the log's tail read, its next epoch begun, users brought up to date; and the
//! same without an engine, for a replay.

use super::{Engine, Keeping};
use crate::clock::Clock;
use crate::disk::{Directory, OpenedDirectory, Room};
use crate::error::{Error, Result};
use crate::log::{InteractionLog, LogSettings, Seq, Sorted, cut_segments, sort_segments};
use crate::policy::PolicyName;
use crate::settings::Settings;
use crate::state::{
    DirectoryLock, EPOCH_FILE, ForeignFile, Journal, Progress, Rebuilt, Recovered, ReplayReport, StateFiles, UserBounds,
    gather_tail, kept_epoch, load_policies, next_epoch, rebuild, replay as replay_log, reserve_epoch, survey,
};
use std::path::Path;
use std::sync::Arc;

const MS_PER_DAY: u64 = 24 * 3600 * 1000;

/// The log of an open directory, for states that were read.
struct OpenLog {
    directory: Arc<Directory>,
    log: Arc<InteractionLog>,
}

impl Journal for OpenLog {
    fn seen(&self, seq: Seq) -> Result<bool> {
        self.log.raise_above(seq)
    }

    fn now(&self) -> (Seq, u64) {
        (self.log.last_seq(), self.log.clock_ms())
    }

    fn rebuild(&self, user_id: &str, policy: PolicyName) -> Result<Option<Rebuilt>> {
        self.log.settle();
        rebuild(&self.directory, user_id, policy)
    }
}

/// An engine on a directory that the caller has locked, with everything that the log has in it.
///
/// # Errors
/// `ERR_STATE_IO`; `ERR_STATE_CORRUPT` when a later release wrote the log.
pub fn open(settings: Settings, directory: Arc<Directory>, clock: Arc<dyn Clock>) -> Result<Engine> {
    // First: a start that is refused for this changes nothing.
    let registry = load_policies(&directory)?;
    let mut progress = Progress::default();
    let names = InteractionLog::segments(&directory)?;
    let kept = kept_epoch(&directory, !names.is_empty())?;
    let Sorted { own, foreign, epoch_is_foreign } = sort_segments(&names, kept.as_ref().ok().copied());
    let mut foreign_files = Vec::new();
    let kept = match kept {
        Ok(kept) if !epoch_is_foreign => kept,
        found => {
            let problem = found.map_or_else(|problem| problem, |kept| format!("{kept} is far above the segments of the log"));
            foreign_files
                .push(ForeignFile { file: EPOCH_FILE.to_owned(), problem: format!("{problem}: the log tells the number") });
            0
        }
    };
    let standing = survey(&directory, own)?;
    let epoch = next_epoch(&directory, kept, &standing)?;
    let store = Arc::new(StateFiles::new(Arc::clone(&directory)));
    if !settings.log && standing.segments.is_empty() {
        reserve_epoch(&directory, epoch)?;
        directory.sync(Room::State)?;
        let keeping = Keeping { store, log: None, journal: None, directory: Some(directory), registry, epoch };
        return Engine::with(settings, keeping, clock);
    }
    for name in foreign {
        let file = format!("{}/{name}", Room::Log.name());
        let problem = directory.set_aside(Room::Log, &name.to_string()).map_or_else(
            |e| format!("its number is far above the others, and it is left out ({})", e.message()),
            |to| format!("its number is far above the others: moved to {to}, its lines were not read"),
        );
        foreign_files.push(ForeignFile { file, problem });
    }
    let cut = cut_segments(&directory, &standing.segments);
    let gathered = gather_tail(&directory, &standing, &mut progress)?;
    let log_settings = LogSettings {
        enabled: settings.log,
        retention_ms: settings.log_retention_days.saturating_mul(MS_PER_DAY),
        retention_bytes: settings.log_retention_bytes,
    };
    // The name of the log's next segment has the number, too, and is synced with it: where no state file can be written, that is enough.
    let _ = reserve_epoch(&directory, epoch);
    let log = InteractionLog::begin(Arc::clone(&directory), Arc::clone(&clock), log_settings, epoch, &standing)?;
    let bounds = settings.user_bounds();
    let journal = Box::new(OpenLog { directory: Arc::clone(&directory), log: Arc::clone(&log) });
    let kept_in = Some(Arc::clone(&directory));
    let keeping = Keeping { store, log: Some(Arc::clone(&log)), journal: Some(journal), directory: kept_in, registry, epoch };
    let engine = Engine::with(settings, keeping, clock);
    let mut engine = engine.inspect_err(|_| log.stop(Box::new(|_| {})))?;
    // Until everybody is queued, a round of the writer's says nothing about what the files have.
    let hold = engine.writer.hold_mark();
    let load = |user_id: &str| engine.users.load(user_id);
    let take_in = |recovered| {
        engine.take_in(recovered);
        Ok(())
    };
    let report = match gathered.apply(bounds, false, &mut progress, load, take_in) {
        Ok(report) => report,
        Err(e) => {
            // Nothing of this attempt may write any more: the next one begins from what is on disk.
            directory.close();
            let (sender, receiver) = std::sync::mpsc::channel();
            engine.close(Box::new(move |outcome| drop(sender.send(outcome))));
            let _ = receiver.recv();
            return Err(e);
        }
    };
    drop(hold);
    engine.recovery = report;
    engine.recovery.note_cut(&cut);
    engine.recovery.foreign_files = foreign_files;
    engine.recovery.epoch = epoch;
    engine.recovery.duration_ms = u64::try_from(progress.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(engine)
}

impl Engine {
    /// Takes a user into memory whom the log has changed; it is written soon.
    fn take_in(&self, recovered: Recovered) {
        let Recovered { user_id, mut state, erasing } = recovered;
        for policy in PolicyName::ALL {
            if state.is_dirty(policy) {
                // Where that fails it is done with the next change.
                let _ = self.adopt_foreign(&mut state, &user_id, policy, self.clock.now_ms());
            }
        }
        let changed = !state.is_clean();
        if !changed && erasing.is_none() {
            return;
        }
        let queue = changed && state.queue();
        let user = self.users.admit(&user_id, state);
        if queue {
            self.writer.enqueue(&user);
        }
        if let Some(up_to) = erasing {
            self.pending.erase(&user_id, up_to);
            let hold = self.writer.hold_mark();
            // Nobody waits for it any more; if it fails, the next start tries again.
            self.writer.erase(&user, &mut user.lock(), Some(up_to), hold, Box::new(|_| {}));
        }
    }
}

/// Rebuilds the state files that follow from a log in an empty directory, which is made where it does not exist.
///
/// # Errors
/// `ERR_INVALID_ARGUMENT` when the directory is not empty; `ERR_STATE_IO`; `ERR_STATE_CORRUPT` when a later release wrote the log.
pub fn replay(log_dir: &Path, state_dir: &Path, bounds: UserBounds) -> Result<ReplayReport> {
    replay_into(log_dir, state_dir, bounds).map_err(Error::at_opening)
}

fn replay_into(log_dir: &Path, state_dir: &Path, bounds: UserBounds) -> Result<ReplayReport> {
    let log: Directory = OpenedDirectory::open_log(log_dir)?.into();
    let opened = OpenedDirectory::open(state_dir, false)?;
    let _lock = DirectoryLock::acquire(&opened)?;
    let directory: Directory = opened.into();
    let names = directory.list(Room::State)?;
    if let Some(name) = names.iter().find(|name| ![".", "..", ".lock"].contains(&name.as_str())) {
        let path = directory.path().display();
        return Err(Error::invalid("stateDir", format_args!("{path} is not empty: it holds {}", crate::error::shown(name))));
    }
    let originals = OpenedDirectory::around_log(log_dir).map(|around| StateFiles::new(Arc::new(around.into())));
    replay_log(&log, originals.as_ref(), &StateFiles::new(Arc::new(directory)), bounds)
}
