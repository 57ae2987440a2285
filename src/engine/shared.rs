//! One engine per directory within a process: worker threads that open the same directory, by whatever path, share it. The last
//! handle that closes stops the engine and releases the directory.

use super::Engine;
use crate::clock::SystemClock;
use crate::error::{Error, ErrorKind, Result};
use crate::settings::{Settings, Source};
use crate::state::{Directory, DirectoryLock, Done, StateFiles};
use parking_lot::{Condvar, Mutex};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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

/// One opener's share of an engine.
#[derive(Debug)]
pub struct Handle {
    engine: Arc<Engine>,
    key: Key,
    closed: AtomicBool,
}

/// Opens the directory of `settings`, or joins the engine that this process already has on it.
///
/// # Errors
/// `ERR_STATE_LOCKED`, `ERR_STATE_IO`; `ERR_INVALID_ARGUMENT` when the engine is open already and was told otherwise.
pub fn open_shared(settings: Settings) -> Result<Handle> {
    // A path that anybody can guess is not taken from anybody's hands.
    let strict = settings.state_dir_source == Source::Default;
    let directory = Arc::new(Directory::open(&settings.state_dir, strict)?);
    let key = directory.key();
    let mut guard = OPEN.lock();
    // An engine that is being stopped still has the directory, for as long as its last files take.
    while guard.as_ref().and_then(|open| open.get(&key)).is_some_and(|entry| entry.handles == 0) {
        RELEASED.wait(&mut guard);
    }
    let open = guard.get_or_insert_default();
    if let Some(entry) = open.get_mut(&key) {
        agree(entry.engine.settings(), &settings)?;
        entry.handles += 1;
        return Ok(Handle { engine: Arc::clone(&entry.engine), key, closed: AtomicBool::new(false) });
    }
    let lock = DirectoryLock::acquire(&directory)?;
    let settings = Settings { state_dir: directory.path().to_owned(), ..settings };
    let engine = Arc::new(Engine::new(settings, Arc::new(StateFiles::new(directory)), Arc::new(SystemClock))?);
    open.insert(key, Entry { engine: Arc::clone(&engine), handles: 1, _lock: lock });
    Ok(Handle { engine, key, closed: AtomicBool::new(false) })
}

/// A second opener must not be told one thing and get another.
fn agree(running: &Settings, asked: &Settings) -> Result<()> {
    let differs = if asked.active_policy != running.active_policy {
        Some("activePolicy")
    } else if asked.seed != running.seed && asked.seed.is_some() {
        Some("seed")
    } else if asked.history_size != running.history_size {
        Some("historySize")
    } else {
        None
    };
    differs.map_or(Ok(()), |option| {
        let dir = running.state_dir.display();
        Err(Error::invalid(&format!("options.{option}"), format_args!("this process has an engine on {dir} with another {option}")))
    })
}

impl Handle {
    /// The engine, until [`Handle::close`].
    ///
    /// # Errors
    /// `ERR_CLOSED`.
    pub fn engine(&self) -> Result<&Arc<Engine>> {
        if self.closed.load(Ordering::Relaxed) {
            Err(Error::new(ErrorKind::Closed, "the engine was closed"))
        } else {
            Ok(&self.engine)
        }
    }

    /// Gives up this share; the last one stops the engine. `done` is called when everything is written and the directory is
    /// released, or, with the reason, when it is released although something could not be written. Closing twice is harmless.
    pub fn close(&self, done: Done) {
        if self.closed.swap(true, Ordering::Relaxed) {
            return done(Ok(()));
        }
        let mut guard = OPEN.lock();
        let Some(entry) = guard.as_mut().and_then(|open| open.get_mut(&self.key)) else { return done(Ok(())) };
        entry.handles -= 1;
        if entry.handles > 0 {
            drop(guard);
            return self.engine.flush(done);
        }
        drop(guard);
        let key = self.key;
        self.engine.stop(Box::new(move |result| {
            let entry = OPEN.lock().as_mut().and_then(|open| open.remove(&key));
            drop(entry);
            RELEASED.notify_all();
            done(result);
        }));
    }

    /// [`Handle::close`], waiting for at most `patience`. False when it took longer: the process may be about to end.
    pub fn close_within(&self, patience: Duration) -> bool {
        let (sender, receiver) = std::sync::mpsc::channel();
        self.close(Box::new(move |result| {
            // Nobody listens any more when it took too long.
            let _ = sender.send(result);
        }));
        receiver.recv_timeout(patience).is_ok()
    }
}

impl Drop for Handle {
    /// A handle that nobody closed: the engine must not keep the directory for the rest of the process's life.
    fn drop(&mut self) {
        self.close(Box::new(|_| {}));
    }
}
