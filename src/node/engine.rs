//! The classes that `lib/` holds. All slow calls are here; their results cross as JSON.

use super::channel::Channel;
use super::error::to_napi;
use super::gate::Gate;
use super::memory::show_numbers;
use super::promise::promise;
use super::raw::{
    TextArguments, choose_function, feedback_function, foresee_function, pull_function, pulls_function, recommend_function,
    reward_function, score_set_function,
};
use crate::boundary::LAYOUT;
use crate::engine::{Handle, open_shared};
use crate::error::Error;
use crate::policy::PolicyName;
use crate::settings::Settings;
use crate::state::UserBounds;
use napi::bindgen_prelude::{AsyncTask, Float64ArraySlice, Function, Object};
use napi::{Env, Result, Task};
use napi_derive::napi;
use serde_json::{Map, Value};
use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;

pub(super) fn checked<T>(result: crate::Result<T>) -> Result<T> {
    result.map_err(|error| to_napi(&error))
}

pub(super) fn json<T: serde::Serialize>(value: crate::Result<T>) -> Result<String> {
    checked(value.and_then(|value| {
        serde_json::to_string(&value).map_err(|e| Error::new(crate::ErrorKind::Internal, format!("cannot write JSON: {e}")))
    }))
}

pub(super) fn object(what: &str, json: &str) -> crate::Result<Map<String, Value>> {
    serde_json::from_str(json).map_err(|e| Error::invalid(what, format_args!("not a plain object: {e}")))
}

/// `options` and `environment` are JSON objects.
fn settings(options: &str, environment: &str) -> crate::Result<Settings> {
    let environment = object("environment", environment)?;
    Settings::check(&object("options", options)?, |name| environment.get(name).and_then(Value::as_str).map(str::to_owned))
}

/// The environment variables that settings are read from.
#[napi(catch_unwind)]
pub fn environment_names() -> Vec<&'static str> {
    Settings::ENVIRONMENT.to_vec()
}

/// The options that there are.
#[napi(catch_unwind)]
pub fn option_names() -> Vec<&'static str> {
    Settings::OPTIONS.to_vec()
}

/// `ReplayReport`; `options` is a JSON object.
#[napi(catch_unwind, ts_return_type = "Promise<string>")]
pub fn replay(log_dir: String, state_dir: String, options: String) -> Result<AsyncTask<Replaying>> {
    let bounds = checked(object("options", &options).and_then(|options| Settings::check_replay(&options)))?;
    Ok(AsyncTask::new(Replaying { log_dir: log_dir.into(), state_dir: state_dir.into(), bounds }))
}

/// One JavaScript environment's side of the boundary.
#[napi]
pub struct Boundary {
    gate: Rc<Gate>,
    handles: Handles,
}

/// What this environment has opened.
type Handles = Rc<RefCell<Vec<Weak<Handle>>>>;

/// How long the end of an environment may wait for the disk.
const PATIENCE: Duration = Duration::from_secs(5);

#[napi]
impl Boundary {
    /// Made once an environment.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env) -> Result<Self> {
        let handles = Handles::default();
        // A worker that is terminated, by the main thread's process.exit() say, runs no JavaScript any more: this is its only
        // chance to have written what it has changed.
        env.add_env_cleanup_hook(Rc::clone(&handles), |handles| {
            for handle in handles.take().iter().filter_map(Weak::upgrade) {
                // Nobody is left who could be told of a failure.
                let _ = handle.close_within(PATIENCE);
            }
        })?;
        Ok(Self { gate: Rc::new(Gate::new()), handles })
    }

    /// Which description of the boundary this binary was compiled from; `lib/frame.ts` has to agree.
    #[napi(getter, catch_unwind)]
    #[allow(clippy::unused_self)] // a getter has one
    pub fn layout(&self) -> u32 {
        LAYOUT
    }

    /// The memory of the frame.
    #[napi(catch_unwind)]
    pub fn frame(&self, env: Env) -> Result<Float64ArraySlice<'static>> {
        show_numbers(env, &self.gate.frame.block)
    }

    /// The function that chooses for the requests in the frame.
    #[napi(catch_unwind, ts_return_type = "() => void")]
    pub fn choose_function(&self, env: Env) -> Result<Function<'static, (), ()>> {
        choose_function(env, &self.gate)
    }

    /// The function that remembers what was chosen for the request in the frame; its arguments are the chosen candidate's id and, as far
    /// as META names them, when the profile was computed and the candidate's prompt version.
    #[napi(catch_unwind, ts_return_type = "(...texts: readonly unknown[]) => void")]
    pub fn pull_function(&self, env: Env) -> Result<Function<'static, TextArguments, ()>> {
        pull_function(env, &self.gate)
    }

    /// The same for several requests, with the texts of one behind those of the other; at most `Limit.MOST_TEXTS` of them.
    #[napi(catch_unwind, ts_return_type = "(...texts: readonly unknown[]) => void")]
    pub fn pulls_function(&self, env: Env) -> Result<Function<'static, TextArguments, ()>> {
        pulls_function(env, &self.gate)
    }

    /// The function that chooses from a prepared set for the request in the frame and remembers the choice; its argument is when the profile
    /// was computed.
    #[napi(catch_unwind, ts_return_type = "(...computedAt: readonly unknown[]) => void")]
    pub fn score_set_function(&self, env: Env) -> Result<Function<'static, TextArguments, ()>> {
        score_set_function(env, &self.gate)
    }

    /// The function that rewards what is in the frame; its arguments are the tip's id and when the profile was computed.
    #[napi(catch_unwind, ts_return_type = "(tipId: unknown, computedAt: unknown) => void")]
    pub fn reward_function(&self, env: Env) -> Result<Function<'static, TextArguments, ()>> {
        reward_function(env, &self.gate)
    }

    /// The function that decides on what is in the frame, where the answer is afterwards; its arguments are when the profile was computed,
    /// the candidates' prompt versions as a JSON array, and the candidates' ids, or one text with all of them.
    #[napi(catch_unwind, ts_return_type = "(computedAt: unknown, promptVersions: unknown, ...ids: readonly unknown[]) => void")]
    pub fn recommend_function(&self, env: Env) -> Result<Function<'static, TextArguments, ()>> {
        recommend_function(env, &self.gate)
    }

    /// The function that says that a request of the user who is named in the frame comes next.
    #[napi(catch_unwind, ts_return_type = "() => void")]
    pub fn foresee_function(&self, env: Env) -> Result<Function<'static, (), ()>> {
        foresee_function(env, &self.gate)
    }

    /// The function that learns from the reaction in the frame, where the answer is afterwards; its argument is whose decision it has to
    /// be.
    #[napi(catch_unwind, ts_return_type = "(...userId: readonly unknown[]) => void")]
    pub fn feedback_function(&self, env: Env) -> Result<Function<'static, TextArguments, ()>> {
        feedback_function(env, &self.gate)
    }

    /// Throws what the last failed call failed of.
    #[napi(catch_unwind)]
    pub fn throw_error(&self) -> Result<()> {
        Err(to_napi(&self.gate.take_error()))
    }

    /// Keeps the candidates of the frame's first request; returns the number of the set. `ids` are theirs, one behind the other; behind the
    /// lanes stands how long each is. Their prompt versions are all of them, or none where no candidate has one.
    #[napi(catch_unwind)]
    pub fn prepare(&self, ids: String, prompt_versions: Vec<Option<String>>) -> Result<u32> {
        checked(self.gate.frame.prepare(ids, prompt_versions))
    }

    /// Lets go of a set.
    #[napi(catch_unwind)]
    pub fn release(&self, set: u32) {
        self.gate.frame.release(set);
    }
}

/// One thread's way to one engine.
#[napi]
pub struct NativeChannel {
    gate: Rc<Gate>,
    /// `None` once it is closed: another channel may have its place.
    number: Cell<Option<u32>>,
}

impl NativeChannel {
    fn channel(&self) -> Result<Rc<Channel>> {
        checked(self.number.get().ok_or_else(Error::closed).and_then(|number| self.gate.channel(number as usize)))
    }
}

impl Drop for NativeChannel {
    fn drop(&mut self) {
        self.close();
    }
}

#[napi]
impl NativeChannel {
    /// What [`NativeChannel`] is called in the frame.
    #[napi(getter, catch_unwind)]
    pub fn place(&self) -> Result<u32> {
        checked(self.number.get().ok_or_else(Error::closed))
    }

    /// Lets go of the engine and its users, whoever still holds this object. Nothing may be called in its place from here on.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        if let Some(number) = self.number.take() {
            self.gate.close(number);
        }
    }

    /// Numbers a user.
    #[napi(catch_unwind)]
    pub fn number(&self, user_id: String) -> Result<u32> {
        checked(self.channel()?.number(&user_id))
    }

    /// Starts numbering afresh.
    #[napi(catch_unwind)]
    pub fn forget_users(&self) -> Result<()> {
        self.channel()?.forget_users();
        Ok(())
    }

    /// What the last decision is made of, `NativeExplanation`; null where that was not asked for.
    #[napi(catch_unwind)]
    pub fn explanation(&self) -> Result<String> {
        json(Ok(self.channel()?.take_explanation()))
    }
}

/// A share of an engine.
#[napi]
pub struct NativeEngine {
    pub(super) handle: Arc<Handle>,
}

#[napi]
impl NativeEngine {
    /// Opens a directory.
    #[napi(factory, catch_unwind)]
    pub fn open(options: String, environment: String) -> Result<Self> {
        checked(settings(&options, &environment).and_then(|settings| open_shared(&settings)))
            .map(|handle| Self { handle: Arc::new(handle) })
    }

    /// The same on another thread.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeEngine>")]
    pub fn open_async(options: String, environment: String) -> AsyncTask<Opening> {
        AsyncTask::new(Opening { options, environment })
    }

    /// This thread's way to the engine.
    #[napi(catch_unwind)]
    pub fn channel(&self, boundary: &Boundary) -> Result<NativeChannel> {
        let engine = checked(self.handle.engine())?;
        let mut handles = boundary.handles.borrow_mut();
        handles.retain(|handle| handle.strong_count() > 0);
        handles.push(Arc::downgrade(&self.handle));
        let gate = Rc::clone(&boundary.gate);
        let number = checked(gate.open(engine))?;
        Ok(NativeChannel { gate, number: Cell::new(Some(number)) })
    }

    /// The number of the active policy.
    #[napi(getter, catch_unwind)]
    pub fn active_policy(&self) -> Result<u8> {
        checked(self.handle.engine().map(|engine| engine.active() as u8))
    }

    /// `PolicyStats`.
    #[napi(catch_unwind)]
    pub fn stats(&self, user_id: String, policy: u8) -> Result<String> {
        let policy =
            PolicyName::from_number(policy).ok_or_else(|| Error::new(crate::ErrorKind::Internal, "no policy has this number"));
        let policy = checked(policy)?;
        json(self.handle.engine().and_then(|engine| engine.stats(&user_id, policy)))
    }

    /// `{ userId, history }`.
    #[napi(catch_unwind)]
    pub fn features(&self, user_id: String) -> Result<String> {
        json(self.handle.engine().and_then(|engine| engine.features(&user_id)))
    }

    /// `PolicyRole[]`.
    #[napi(catch_unwind)]
    pub fn policies(&self) -> Result<String> {
        json(self.handle.engine().map(|engine| engine.policies()))
    }

    /// `change` is a checked `PolicyChange`.
    #[napi(catch_unwind)]
    pub fn set_policy(&self, policy: String, change: String) -> Result<()> {
        let change = checked(serde_json::from_str(&change).map_err(|e| Error::invalid("change", e)))?;
        checked(PolicyName::parse("policy", &policy).and_then(|policy| self.handle.engine()?.set_policy(policy, &change)))
    }

    /// Puts a user back to the start.
    #[napi(catch_unwind)]
    pub fn reset(&self, user_id: String) -> Result<()> {
        checked(self.handle.engine().and_then(|engine| engine.reset(&user_id)))
    }

    /// `RecoveryReport`.
    #[napi(catch_unwind)]
    pub fn recovery(&self) -> Result<String> {
        json(self.handle.engine().map(|engine| engine.recovery().clone()))
    }

    /// `Health`.
    #[napi(catch_unwind)]
    pub fn health(&self) -> Result<String> {
        json(self.handle.engine().map(|engine| engine.health()))
    }

    /// What is to be said of the directory when it is opened.
    #[napi(getter, catch_unwind)]
    pub fn directory_warning(&self) -> Result<Option<String>> {
        checked(self.handle.engine().map(|engine| engine.directory_warning()))
    }

    /// Removes a user.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn erase(&self, env: Env, user_id: String) -> Result<Object<'static>> {
        let (done, promise) = promise(env)?;
        match self.handle.engine() {
            Ok(engine) => engine.erase(&user_id, done),
            Err(error) => done(Err(error)),
        }
        Ok(promise)
    }

    /// Resolves when everything so far survives power loss; with `checkpoint`, when the state files have it, too.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn flush(&self, env: Env, checkpoint: bool) -> Result<Object<'static>> {
        let (done, promise) = promise(env)?;
        match self.handle.engine() {
            Ok(engine) if checkpoint => engine.checkpoint(done),
            Ok(engine) => engine.flush(done),
            Err(error) => done(Err(error)),
        }
        Ok(promise)
    }

    /// Gives up the share.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn close(&self, env: Env) -> Result<Object<'static>> {
        let (done, promise) = promise(env)?;
        self.handle.close(done);
        Ok(promise)
    }

    /// Gives up the share and waits: for the end of the process, when no promise is waited for any more.
    #[napi(catch_unwind)]
    pub fn close_now(&self) -> Result<()> {
        checked(self.handle.close_within(PATIENCE))
    }
}

/// Opens a directory on a thread of libuv's pool.
pub struct Opening {
    options: String,
    environment: String,
}

#[napi]
impl Task for Opening {
    type Output = Handle;
    type JsValue = NativeEngine;

    fn compute(&mut self) -> Result<Handle> {
        checked(settings(&self.options, &self.environment).and_then(|settings| open_shared(&settings)))
    }

    fn resolve(&mut self, _env: Env, handle: Handle) -> Result<NativeEngine> {
        Ok(NativeEngine { handle: Arc::new(handle) })
    }
}

/// Replays a log on a thread of libuv's pool.
pub struct Replaying {
    log_dir: PathBuf,
    state_dir: PathBuf,
    bounds: UserBounds,
}

#[napi]
impl Task for Replaying {
    type Output = String;
    type JsValue = String;

    fn compute(&mut self) -> Result<String> {
        json(crate::engine::replay(&self.log_dir, &self.state_dir, self.bounds))
    }

    fn resolve(&mut self, _env: Env, report: String) -> Result<String> {
        Ok(report)
    }
}
