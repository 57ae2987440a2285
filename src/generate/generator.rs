//! The way to the proxy, shared by all calls of one engine.

use super::breaker::{Breaker, FAILURES, Standing};
use super::call::{Call, GenerateResult};
use super::client::Client;
use super::prompt::Prompt;
use super::render::GenerateRequest;
use super::report::{BreakerState, GenerateReport, Tally};
use super::settings::LlmSettings;
use super::turn::Turn;
use crate::clock::{Clock, format_millis};
use crate::error::{Error, ErrorKind, Result};
use crate::rng::Chance;
use crate::runtime::{Cancel, runtime};
use futures_util::FutureExt;
use parking_lot::Mutex;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

/// See the module.
#[derive(Debug)]
pub struct Generator {
    shared: Arc<Shared>,
    chance: Chance,
}

/// What the calls of one engine have in common.
#[derive(Debug)]
pub struct Shared {
    pub settings: Arc<LlmSettings>,
    clock: Arc<dyn Clock>,
    client: Mutex<Option<Client>>,
    pub turns: Arc<Semaphore>,
    pub breaker: Breaker,
    pub tally: Mutex<Tally>,
    over: watch::Sender<bool>,
}

impl Generator {
    /// Touches no network yet. Which prompts are drawn is up to `chance`.
    #[must_use]
    pub fn new(settings: Arc<LlmSettings>, chance: Chance, clock: Arc<dyn Clock>) -> Self {
        let turns = Arc::new(Semaphore::new(settings.max_concurrent));
        let (client, breaker, tally) = (Mutex::default(), Breaker::default(), Mutex::default());
        let shared = Shared { settings, clock, client, turns, breaker, tally, over: watch::channel(false).0 };
        Self { shared: Arc::new(shared), chance }
    }

    /// The prompts that there are.
    #[must_use]
    pub fn prompts(&self) -> &[Prompt] {
        self.shared.settings.registry.list()
    }

    /// The prompt of a request: the one it names, else one of the settings', drawn.
    fn choose(&self, request: &GenerateRequest) -> Result<Prompt> {
        let LlmSettings { registry, versions, .. } = &*self.shared.settings;
        let version = match &request.prompt_version {
            Some(version) => version,
            None => &versions[self.chance.draw().below(versions.len())],
        };
        registry.get("promptVersion", version).cloned()
    }

    /// Writes candidates. `done` is called once, on another thread or this one, unless the call is cancelled first.
    pub fn generate(
        &self,
        request: GenerateRequest,
        cancel: Cancel,
        done: impl FnOnce(Option<Result<GenerateResult>>) + Send + 'static,
    ) {
        let prompt = match self.choose(&request) {
            Ok(prompt) => prompt,
            Err(e) => return done(Some(Err(e))),
        };
        let runtime = match runtime() {
            Ok(runtime) => runtime,
            Err(e) => return done(Some(Err(e))),
        };
        let shared = Arc::clone(&self.shared);
        shared.tally.lock().calls += 1;
        // Here and not in the task: turns are taken in the order of the calls.
        let turn = Turn::queue(&shared);
        runtime.spawn(async move {
            let mut over = shared.over.subscribe();
            let call = AssertUnwindSafe(async { Call::new(&shared, &prompt, &request).run(turn).await }).catch_unwind();
            let outcome = tokio::select! {
                biased;
                () = cancel.cancelled() => None,
                _ = over.wait_for(|over| *over) => Some(Err(Error::closed())),
                outcome = call => Some(outcome.unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "generate() panicked")))),
            };
            shared.tally.lock().end(outcome.as_ref(), &*shared.clock);
            done(outcome);
        });
    }

    /// Ends what is under way, and the connections.
    pub fn stop(&self) {
        self.shared.over.send_replace(true);
        drop(self.shared.client.lock().take());
    }

    /// How the proxy does.
    #[must_use]
    pub fn report(&self) -> GenerateReport {
        let Shared { settings, breaker, tally, clock, .. } = &*self.shared;
        let at = |left: Duration| format_millis(clock.now_ms().saturating_add(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)));
        let (breaker, retry_at) = match breaker.standing(Instant::now()) {
            Standing::Closed => (BreakerState::Closed, None),
            Standing::Open(left) => (BreakerState::Open, Some(at(left))),
            Standing::Probing => (BreakerState::Probing, None),
        };
        let (url, prompt_versions) = (settings.shown_url(), settings.versions.clone());
        GenerateReport { url, prompt_versions, tally: tally.lock().clone(), breaker, retry_at }
    }
}

impl Shared {
    /// The client, made at the first request.
    pub fn client(&self) -> Result<Client> {
        let mut client = self.client.lock();
        if *self.over.borrow() {
            return Err(Error::closed());
        }
        match &*client {
            Some(client) => Ok(client.clone()),
            None => Ok(client.insert(Client::new(&self.settings)?).clone()),
        }
    }

    /// What those get who are not let through.
    pub fn refused(&self, left: Duration) -> Error {
        let problem = self.tally.lock().last_failure.clone();
        let (url, left) = (self.settings.shown_url(), left.as_millis());
        let message = format!(
            "the proxy at {url} failed at least {FAILURES} times in a row and is not asked for {left} ms; the last time: {problem}"
        );
        Error::new(ErrorKind::LlmUnreachable, message)
    }

    /// What those get for whom there is no turn.
    pub fn busy(&self, why: &str) -> Error {
        let most = self.settings.max_concurrent;
        Error::new(
            ErrorKind::Backpressure,
            format!("{most} requests to the LLM proxy are under way (litellm.maxConcurrent) and {why}"),
        )
    }
}
