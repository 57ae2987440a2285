//! What operators ask of an engine while it decides: on threads of their own that stand back behind the one that scores, a few at a
//! time. The answers are made in `insight` and `state`.

use super::Engine;
use crate::background::{guarded, stand_back};
use crate::clock::format_seconds;
use crate::disk::{Directory, OpenedDirectory};
use crate::error::{Error, ErrorKind, Result};
use crate::insight::{
    Analytics, AnalyticsFilter, By, DataQuality, DecisionFilter, DecisionPage, Simulation, SimulationSettings, Watch, analytics,
    data_quality, decisions, parse_decision_id, simulate,
};
use crate::json::whole_number;
use crate::log::InteractionLog;
use crate::policy::PolicyName;
use crate::state::ListedUser;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// So many questions are being answered at the same time.
const AT_ONCE: usize = 2;
/// So many wait for their turn; more are refused.
const MOST_WAITING: usize = 16;
/// The longest page of users.
const MOST_USERS: usize = 1000;

/// A question; which parts it has depends on what is asked.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct Question {
    pub what: String,
    pub user_id: Option<String>,
    pub policy: Option<String>,
    pub since: Option<u64>,
    pub until: Option<u64>,
    pub limit: usize,
    /// Of decisions: only those before the one with this id.
    pub before: Option<String>,
    /// Of users: only those after this one.
    pub after: Option<String>,
    pub by: Option<String>,
    pub min_effective: Option<f64>,
    /// The directory of another log.
    pub log: Option<String>,
}

impl Question {
    /// A question as JSON has it; what is missing or of another kind is not asked for.
    #[must_use]
    pub fn of(parts: &Map<String, Value>) -> Self {
        let text = |key: &str| parts.get(key).and_then(Value::as_str).map(str::to_owned);
        let whole = |key: &str| parts.get(key).and_then(whole_number);
        Self {
            what: text("what").unwrap_or_default(),
            user_id: text("userId"),
            policy: text("policy"),
            since: whole("since"),
            until: whole("until"),
            limit: whole("limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or_default(),
            before: text("before"),
            after: text("after"),
            by: text("by"),
            min_effective: parts.get("minEffective").and_then(Value::as_f64),
            log: text("log"),
        }
    }
}

/// What came of a question.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
#[allow(missing_docs)] // one for each question
pub enum Answer {
    Decisions(DecisionPage),
    Analytics(Analytics),
    DataQuality(DataQuality),
    Simulation(Simulation),
    Users(UserPage),
}

/// A page of users.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UserPage {
    /// In the order of the names of their state files, as far as these differ, then of their ids.
    pub users: Vec<UserRow>,
    /// The last one, where there are more.
    pub next: Option<String>,
}

/// A user as operators see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct UserRow {
    pub user_id: String,
    pub last_updated: Option<String>,
    pub policies: Vec<UserPolicyRow>,
}

/// A user under one policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct UserPolicyRow {
    pub policy: PolicyName,
    pub pulls: u64,
    pub reward_count: u64,
    pub cumulative_reward: f64,
    pub last_updated: Option<String>,
}

/// What whoever asked and the thread that answers share.
#[derive(Debug, Default)]
pub struct Reading {
    cancelled: AtomicBool,
    done: AtomicU32,
    of: AtomicU32,
}

impl Reading {
    /// Ends it: nobody wants the answer any more.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// How many parts are done, and of how many.
    #[must_use]
    pub fn progress(&self) -> (u32, u32) {
        let of = self.of.load(Ordering::Acquire);
        (self.done.load(Ordering::Acquire).min(of), of)
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn note(&self, done: usize, of: usize) {
        let count = |n| u32::try_from(n).unwrap_or(u32::MAX);
        self.of.store(count(of), Ordering::Release);
        self.done.fetch_max(count(done), Ordering::AcqRel);
    }
}

/// Told that a reading has got on; from any thread.
pub type Bell = Box<dyn Fn() + Send + Sync>;
/// Told what came of it, once.
pub type Answered = Box<dyn FnOnce(Result<Answer>) + Send>;

struct Read {
    engine: Arc<Engine>,
    question: Question,
    reading: Arc<Reading>,
    bell: Bell,
    done: Answered,
}

impl Read {
    fn run(self) {
        let Self { engine, question, reading, bell, done } = self;
        let answered = guarded("a reading thread", || {
            let progress = |done, of| {
                reading.note(done, of);
                bell();
            };
            let watch = Watch { cancelled: &reading.cancelled, progress: &progress };
            let answer = if reading.is_cancelled() { None } else { engine.answer(&question, &watch)? };
            // Cancelled after the last look: whoever closed is told so.
            Ok(answer.filter(|_| !reading.is_cancelled()))
        });
        // Nothing of the engine is held when whoever waits goes on.
        drop(engine);
        done(answered.and_then(|answer| answer.ok_or_else(Error::closed)));
    }
}

#[derive(Default)]
struct Queue {
    running: usize,
    waiting: VecDeque<Read>,
}

/// An engine's questions.
#[derive(Default)]
pub struct Reads {
    queue: Mutex<Queue>,
}

impl std::fmt::Debug for Reads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reads").finish_non_exhaustive()
    }
}

impl Reads {
    fn add(self: &Arc<Self>, read: Read) {
        self.sweep();
        let mut queue = self.queue.lock();
        if queue.running >= AT_ONCE {
            if queue.waiting.len() < MOST_WAITING {
                return queue.waiting.push_back(read);
            }
            drop(queue);
            let message = format!("{AT_ONCE} questions are being answered and {MOST_WAITING} wait: ask again later");
            return (read.done)(Err(Error::new(ErrorKind::Backpressure, message)));
        }
        queue.running += 1;
        drop(queue);
        let (reads, first) = (Arc::clone(self), Arc::new(Mutex::new(Some(read))));
        let taken = Arc::clone(&first);
        let work = move || {
            stand_back();
            let mut next = taken.lock().take();
            while let Some(read) = next {
                read.run();
                let mut queue = reads.queue.lock();
                next = queue.waiting.pop_front();
                queue.running -= usize::from(next.is_none());
            }
        };
        if let Err(e) = std::thread::Builder::new().name("bandits-read".to_owned()).spawn(work) {
            self.queue.lock().running -= 1;
            if let Some(read) = first.lock().take() {
                (read.done)(Err(Error::io("start a reading thread", e)));
            }
        }
    }

    /// Tells those who wait and were cancelled.
    pub(super) fn sweep(&self) {
        let mut queue = self.queue.lock();
        let (cancelled, waiting): (VecDeque<Read>, _) =
            std::mem::take(&mut queue.waiting).into_iter().partition(|read| read.reading.is_cancelled());
        queue.waiting = waiting;
        drop(queue);
        for read in cancelled {
            (read.done)(Err(Error::closed()));
        }
    }
}

impl Engine {
    /// Answers a question on another thread.
    pub(super) fn ask(self: &Arc<Self>, question: Question, reading: Arc<Reading>, bell: Bell, done: Answered) {
        self.reads.add(Read { engine: Arc::clone(self), question, reading, bell, done });
    }

    /// `None` when it was cancelled.
    fn answer(&self, question: &Question, watch: &Watch<'_>) -> Result<Option<Answer>> {
        let policy = question.policy.as_deref().map(|name| PolicyName::parse("policy", name)).transpose()?;
        let (since_ms, until_ms) = (question.since, question.until);
        Ok(match question.what.as_str() {
            "decisions" => {
                let limit = question.limit;
                let before = question.before.as_deref().and_then(parse_decision_id);
                let filter = DecisionFilter { user_id: question.user_id.as_deref(), policy, since_ms, until_ms, before, limit };
                decisions(self.logged()?, filter, watch)?.map(Answer::Decisions)
            }
            "analytics" => {
                let by = question.by.as_deref().and_then(By::parse);
                let by = by.ok_or_else(|| Error::invalid("by", "must be day, policy, promptVersion or action"))?;
                analytics(self.logged()?, AnalyticsFilter { since_ms, until_ms, by }, watch)?.map(Answer::Analytics)
            }
            "dataQuality" => data_quality(self.logged()?, since_ms, watch)?.map(Answer::DataQuality),
            "simulate" => {
                let policy = policy.ok_or_else(|| Error::invalid("policy", "must be given"))?;
                let usual = SimulationSettings::of(policy);
                let min_effective = question.min_effective.unwrap_or(usual.min_effective);
                let settings = SimulationSettings { min_effective, since_ms, until_ms, ..usual };
                let other = question.log.as_deref().map(other_log).transpose()?;
                let directory = other.as_ref().map_or_else(|| self.logged(), Ok)?;
                simulate(directory, settings, watch)?.map(|found| told(found, min_effective)).transpose()?
            }
            "users" => self.list_users(question, watch)?.map(Answer::Users),
            _ => return Err(Error::new(ErrorKind::Internal, "no such question")),
        })
    }

    /// Where the log is.
    fn logged(&self) -> Result<&Directory> {
        let directory = self.log_on().and(self.directory.as_deref());
        directory.ok_or_else(|| Error::invalid("options.log", "must be \"on\": decisions are read from the log"))
    }

    fn list_users(&self, question: &Question, watch: &Watch<'_>) -> Result<Option<UserPage>> {
        let limit = question.limit;
        if !(1..=MOST_USERS).contains(&limit) {
            return Err(Error::invalid("limit", format_args!("must be 1 to {MOST_USERS}, got {limit}")));
        }
        let Some((users, has_more)) = self.users.page(question.after.as_deref(), limit, watch.cancelled)? else { return Ok(None) };
        (watch.progress)(1, 1);
        let users: Vec<UserRow> = users.into_iter().map(UserRow::new).collect();
        let next = users.last().filter(|_| has_more).map(|user| user.user_id.clone());
        Ok(Some(UserPage { users, next }))
    }
}

impl UserRow {
    fn new(ListedUser { user_id, policies }: ListedUser) -> Self {
        let last_updated = policies.iter().filter_map(|(_, counters)| counters.last_updated).max().map(format_seconds);
        let row = |(policy, counters): (PolicyName, crate::state::Counters)| UserPolicyRow {
            policy,
            pulls: counters.pulls,
            reward_count: counters.reward_count,
            cumulative_reward: counters.cumulative_reward,
            last_updated: counters.last_updated.map(format_seconds),
        };
        Self { user_id, last_updated, policies: policies.into_iter().map(row).collect() }
    }
}

/// The log in a directory that somebody names, which may be another one.
fn other_log(path: &str) -> Result<Directory> {
    let directory = Directory::from(OpenedDirectory::open_log(Path::new(path)).map_err(Error::at_opening)?);
    if InteractionLog::segments(&directory)?.is_empty() {
        return Err(Error::invalid("log", format_args!("no segment of a log in {path}")));
    }
    Ok(directory)
}

/// A simulation that has a value.
fn told(found: Simulation, needed: f64) -> Result<Answer> {
    if found.value.is_some() {
        return Ok(Answer::Simulation(found));
    }
    let Simulation { decisions, randomised, accepted, effective_sample_size, .. } = found;
    let message = format!(
        "what {} would have earned cannot be told: an effective sample size of {effective_sample_size:.1}, under minEffective {needed}, \
         from {decisions} decisions, {randomised} of them randomised and {accepted} accepted. Log more decisions with a holdout (1 % to 5 %), \
         or simulate more time",
        found.policy.as_str()
    );
    Err(Error::new(ErrorKind::InsufficientData, message))
}
