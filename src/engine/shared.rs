//! One engine per directory within a process: worker threads that open the same directory, by whatever path, share it. The last
//! handle that closes stops the engine and releases the directory.

use super::reads::{Answered, Bell, Question, Reading};
use super::{Engine, open};
use crate::clock::SystemClock;
use crate::disk::OpenedDirectory;
use crate::error::{Done, Error, ErrorKind, Result, again};
use crate::settings::{Settings, Source};
use crate::state::DirectoryLock;
use parking_lot::{Condvar, Mutex};
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

type Key = (u64, u64);

struct Entry {
    engine: Arc<Engine>,
    /// 0: it is being stopped.
    handles: usize,
    _lock: DirectoryLock,
}

static OPEN: Mutex<Option<HashMap<Key, Entry>>> = Mutex::new(None);
static RELEASED: Condvar = Condvar::new();

/// One opener's share of an engine. Closed, it keeps nothing of the engine: callers may hold on to it for long.
#[derive(Debug)]
pub struct Handle {
    key: Key,
    ending: Arc<Mutex<Ending>>,
    readings: Mutex<Vec<Weak<Reading>>>,
    /// The numbers of the opener's bells. A bell holds what it calls, which may hold this handle.
    bells: Mutex<Vec<u64>>,
}

/// How far a handle's end has come.
enum Ending {
    NotYet(Arc<Engine>),
    Waited(Vec<Done>),
    Over(Result<()>),
}

impl std::fmt::Debug for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotYet(_) => "NotYet",
            Self::Waited(_) => "Waited",
            Self::Over(_) => "Over",
        })
    }
}

/// Opens the directory of `settings`, or joins the engine that this process already has on it.
///
/// # Errors
/// `ERR_STATE_LOCKED`, `ERR_STATE_IO`; `ERR_INVALID_ARGUMENT` when the engine is open already and was told otherwise.
pub fn open_shared(settings: &Settings) -> Result<Handle> {
    open_or_join(settings).map_err(Error::at_opening)
}

fn open_or_join(settings: &Settings) -> Result<Handle> {
    // A path that anybody can guess is not taken from anybody's hands.
    let strict = settings.state_dir_source == Source::Default;
    let directory = OpenedDirectory::open(&settings.state_dir, strict)?;
    let key = directory.key();
    let mut guard = OPEN.lock();
    // An engine that is being stopped still has the directory, for as long as its last files take.
    while guard.as_ref().and_then(|open| open.get(&key)).is_some_and(|entry| entry.handles == 0) {
        RELEASED.wait(&mut guard);
    }
    let engines = guard.get_or_insert_default();
    if let Some(entry) = engines.get_mut(&key) {
        agree(entry.engine.settings(), settings)?;
        entry.handles += 1;
        return Ok(Handle::new(&entry.engine, key));
    }
    settings.check_actions(settings.max_reward)?;
    let lock = DirectoryLock::acquire(&directory)?;
    let settings = Settings { state_dir: directory.path().to_owned(), ..settings.clone() };
    let engine = Arc::new(open(settings, Arc::new(directory.into()), Arc::new(SystemClock))?);
    engines.insert(key, Entry { engine: Arc::clone(&engine), handles: 1, _lock: lock });
    Ok(Handle::new(&engine, key))
}

/// A second opener that asks for something must not get something else; one that asks for nothing takes what there is.
fn agree(running: &Settings, asked: &Settings) -> Result<()> {
    let asks = |option: &str| asked.given.contains(&option);
    let other_policy = asked.active_policy_source != Source::Default && asked.active_policy != running.active_policy;
    let differs = [
        (other_policy, "activePolicy"),
        (asks("seed") && asked.seed != running.seed, "seed"),
        (asks("historySize") && asked.history_size != running.history_size, "historySize"),
        (asks("maxHotUsers") && asked.max_hot_users != running.max_hot_users, "maxHotUsers"),
        (asks("log") && asked.log != running.log, "log"),
        (asks("logRetentionDays") && asked.log_retention_days != running.log_retention_days, "logRetentionDays"),
        (asks("revisableDecisions") && asked.revisable_decisions != running.revisable_decisions, "revisableDecisions"),
        (asks("maxReward") && asked.max_reward.to_bits() != running.max_reward.to_bits(), "maxReward"),
        (asks("decisionTtlHours") && asked.decision_ttl_ms != running.decision_ttl_ms, "decisionTtlHours"),
        (asked.nats.is_some() && asked.nats != running.nats, "nats"),
        (asked.litellm_given && asked.litellm != running.litellm, "litellm"),
        (asks("logRetentionBytes") && asked.log_retention_bytes != running.log_retention_bytes, "logRetentionBytes"),
    ];
    if let Some((_, option)) = differs.into_iter().find(|(differs, _)| *differs) {
        let dir = running.state_dir.display();
        let problem = format_args!("this process has an engine on {dir} with another {option}");
        return Err(Error::invalid(&format!("options.{option}"), problem));
    }
    // Each opener has a table of its own.
    asked.check_actions(running.max_reward)
}

impl Handle {
    fn new(engine: &Arc<Engine>, key: Key) -> Self {
        let ending = Arc::new(Mutex::new(Ending::NotYet(Arc::clone(engine))));
        Self { key, ending, readings: Mutex::default(), bells: Mutex::default() }
    }

    /// Answers a question on another thread. [`Handle::close`] ends it: then `done` is told `ERR_CLOSED`, maybe after the closing.
    pub fn ask(&self, question: Question, reading: Arc<Reading>, bell: Bell, done: Answered) {
        let mut readings = self.readings.lock();
        // Who closes ends what stands here.
        let engine = match self.engine() {
            Ok(engine) => engine,
            Err(e) => {
                drop(readings);
                return done(Err(e));
            }
        };
        readings.retain(|reading| reading.strong_count() > 0);
        readings.push(Arc::downgrade(&reading));
        drop(readings);
        engine.ask(question, reading, bell, done);
    }

    /// Nobody wants this answer any more. One that waits leaves its place to others, and `done` is told.
    pub fn cancel(&self, reading: &Reading) {
        reading.cancel();
        // A closed handle has ended all of its readings.
        if let Ok(engine) = self.engine() {
            engine.reads.sweep();
        }
    }

    /// Has `bell` called for each new event ([`EventRing::watch`](crate::event::EventRing::watch)) until [`Handle::unwatch`] or
    /// [`Handle::close`]. Its number, and the last event before.
    ///
    /// # Errors
    /// `ERR_CLOSED`.
    pub fn watch(&self, bell: Arc<dyn Fn() + Send + Sync>) -> Result<(u64, u64)> {
        let mut bells = self.bells.lock();
        // Who closes lets go of what stands here.
        let (number, last) = self.engine()?.bus().ring().watch(bell);
        bells.push(number);
        Ok((number, last))
    }

    /// The bell of this number is not called any more.
    pub fn unwatch(&self, number: u64) {
        self.bells.lock().retain(|other| *other != number);
        if let Ok(engine) = self.engine() {
            engine.bus().ring().unwatch(number);
        }
    }

    /// Ends what this opener has asked for.
    fn end_asking(&self, engine: &Engine) {
        for reading in self.readings.lock().iter().filter_map(Weak::upgrade) {
            reading.cancel();
        }
        engine.reads.sweep();
        for number in std::mem::take(&mut *self.bells.lock()) {
            engine.bus().ring().unwatch(number);
        }
    }

    /// The engine, until [`Handle::close`].
    ///
    /// # Errors
    /// `ERR_CLOSED`.
    pub fn engine(&self) -> Result<Arc<Engine>> {
        if let Ending::NotYet(engine) = &*self.ending.lock() { Ok(Arc::clone(engine)) } else { Err(Error::closed()) }
    }

    /// Gives up this share; the last one stops the engine. `done` is called when everything is written and the directory is
    /// released, or, with the reason, when it is released although something could not be written. Closing twice is harmless:
    /// both are told at the end.
    pub fn close(&self, done: Done) {
        let mut ending = self.ending.lock();
        let engine = match &mut *ending {
            Ending::NotYet(engine) => {
                let engine = Arc::clone(engine);
                *ending = Ending::Waited(vec![done]);
                engine
            }
            Ending::Waited(waiting) => return waiting.push(done),
            Ending::Over(outcome) => {
                let outcome = again(outcome);
                drop(ending);
                return done(outcome);
            }
        };
        drop(ending);
        self.end_asking(&engine);
        let ending = Arc::clone(&self.ending);
        let over = Box::new(move |result: Result<()>| {
            if let Ending::Waited(waiting) = std::mem::replace(&mut *ending.lock(), Ending::Over(again(&result))) {
                for done in waiting {
                    done(again(&result));
                }
            }
        });
        // The writer is told while the map is locked, so that no other thread's last close can stop it in between.
        let mut guard = OPEN.lock();
        let Some(entry) = guard.as_mut().and_then(|open| open.get_mut(&self.key)) else { return over(Ok(())) };
        entry.handles -= 1;
        if entry.handles > 0 {
            return engine.checkpoint(over);
        }
        let key = self.key;
        engine.close(Box::new(move |result| {
            let mut open = OPEN.lock();
            // The lock file goes while the map is locked: who opens next must find both or neither.
            drop(open.as_mut().and_then(|open| open.remove(&key)));
            drop(open);
            RELEASED.notify_all();
            over(result);
        }));
    }

    /// [`Handle::close`], waiting for at most `patience`: for the end of the process.
    ///
    /// # Errors
    /// What could not be written; `ERR_STATE_IO` when it took longer.
    pub fn close_within(&self, patience: Duration) -> Result<()> {
        let (sender, receiver) = std::sync::mpsc::channel();
        self.close(Box::new(move |result| {
            // Nobody listens any more when it took too long.
            let _ = sender.send(result);
        }));
        receiver.recv_timeout(patience).unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::StateIo, format!("the disk took longer than {} ms", patience.as_millis())))
        })
    }
}

impl Drop for Handle {
    /// A handle that nobody closed: the engine must not keep the directory for the rest of the process's life.
    fn drop(&mut self) {
        self.close(Box::new(|_| {}));
    }
}
