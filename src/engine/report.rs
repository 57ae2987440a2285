//! What the engine tells about itself and its users, in the shape of the public contract.

use super::Engine;
use super::refusals::RefusedReactions;
use super::roles::RoleSource;
use crate::clock::format_seconds;
use crate::error::printable;
use crate::event::{BusReport, ConnectionState};
use crate::feature::LABELS;
use crate::generate::{BreakerState, GenerateReport};
use crate::log::{Growth, LogReport};
use crate::policy::PolicyName;
use crate::settings::Source;
use crate::state::{Counters, DamagedFile, EPOCH_FILE, ForeignFile, HistoryRow, RecoveryReport};
use serde::Serialize;
use std::fmt::Display;
use std::path::PathBuf;

/// Where one user stands under one policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct PolicyStats {
    pub user_id: String,
    pub policy: PolicyName,
    pub pulls: u64,
    pub reward_count: u64,
    pub cumulative_reward: f64,
    pub estimated_mean_reward: f64,
    pub exploration_rate: f64,
    pub theta: Vec<f64>,
    pub feature_labels: &'static [&'static str],
    pub last_updated: Option<String>,
}

impl PolicyStats {
    #[allow(clippy::cast_precision_loss)] // counts below 2^53
    pub(super) fn new(user_id: &str, policy: PolicyName, counters: &Counters, theta: Vec<f64>) -> Self {
        let share = |sum: f64, count: u64| if count > 0 { sum / count as f64 } else { 0.0 };
        Self {
            user_id: user_id.to_owned(),
            policy,
            pulls: counters.pulls,
            reward_count: counters.reward_count,
            cumulative_reward: counters.cumulative_reward,
            estimated_mean_reward: share(counters.cumulative_reward, counters.reward_count),
            exploration_rate: share(counters.explore_count as f64, counters.pulls),
            theta,
            feature_labels: &LABELS[..policy.dimension()],
            last_updated: counters.last_updated.map(format_seconds),
        }
    }
}

/// A user's last scored vectors, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct FeatureHistory {
    pub user_id: String,
    pub history: Vec<FeatureRecord>,
}

/// One scored vector.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct FeatureRecord {
    pub ts: String,
    pub policy: PolicyName,
    pub tip_id: String,
    pub score: f64,
    pub exploring: bool,
    pub features: RawFeatures,
}

/// The inputs of a scored vector.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct RawFeatures {
    pub hour_of_day: u8,
    pub is_overdue: bool,
    pub task_age_days: f64,
    pub priority: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day_of_week: Option<u8>,
}

impl FeatureHistory {
    pub(super) fn new(user_id: &str, rows: Vec<HistoryRow>) -> Self {
        let record = |HistoryRow { pull, tip_id, .. }: HistoryRow| FeatureRecord {
            ts: format_seconds(pull.seconds),
            policy: pull.policy,
            tip_id,
            score: pull.score,
            exploring: pull.exploring,
            features: RawFeatures {
                hour_of_day: pull.moment.hour,
                is_overdue: pull.task.is_overdue,
                task_age_days: pull.task.task_age_days,
                priority: pull.task.priority,
                day_of_week: (pull.policy != PolicyName::LinUcbV1).then_some(pull.moment.day),
            },
        };
        Self { user_id: user_id.to_owned(), history: rows.into_iter().map(record).collect() }
    }
}

/// How the engine is doing.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct Health {
    pub ok: bool,
    pub version: &'static str,
    pub warnings: Vec<String>,
    pub state_dir: StateDir,
    pub active_policy: ActivePolicy,
    pub users: usize,
    pub evicted_users: u64,
    pub writer: WriterHealth,
    pub log: LogHealth,
    pub refused: RefusedReactions,
    pub recovery: RecoveryReport,
    pub damaged_files: Vec<DamagedFile>,
    pub nats: BusReport,
    pub litellm: GenerateReport,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct StateDir {
    pub path: PathBuf,
    pub source: Source,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct ActivePolicy {
    pub name: PolicyName,
    pub source: RoleSource,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct WriterHealth {
    pub dirty_users: usize,
    pub files_written: u64,
    pub errors: u64,
    pub last_error: Option<String>,
    pub failing: bool,
    pub foreign_writes: u64,
}

#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct LogHealth {
    pub enabled: bool,
    pub epoch: u32,
    pub segments: u64,
    pub bytes: u64,
    pub lasts_hours: Option<f64>,
    pub low_water: [u64; 2],
    pub unsynced_bytes: u64,
    pub dropped_pulls: u64,
    pub errors: u64,
    pub last_error: Option<String>,
    pub failing: bool,
}

impl LogHealth {
    fn new(enabled: bool, report: LogReport, growth: Option<&Growth>) -> Self {
        Self {
            enabled,
            lasts_hours: growth.map(|growth| (growth.lasts_ms / MS_PER_HOUR * 10.0).round() / 10.0),
            epoch: report.epoch,
            segments: report.segments,
            bytes: report.bytes,
            low_water: [report.low_water.epoch.into(), report.low_water.n],
            unsynced_bytes: report.unsynced_bytes,
            dropped_pulls: report.dropped_pulls,
            errors: report.errors,
            last_error: report.last_error,
            failing: report.failing,
        }
    }
}

const MS_PER_HOUR: f64 = 3_600_000.0;
const MIB: f64 = 1_048_576.0;
/// A rate is not the same every day.
const SPARE: f64 = 1.1;

/// What is said before reactions are refused because the log does not have their decisions any more.
#[allow(clippy::cast_precision_loss)] // a hundred years have fewer milliseconds
fn cut_early(growth: &Growth, ttl_ms: u64) -> Option<String> {
    let ttl = ttl_ms as f64;
    if growth.lasts_ms >= ttl {
        return None;
    }
    let hours = |ms: f64| (ms / MS_PER_HOUR).floor();
    let decisions = growth
        .decisions
        .map_or_else(String::new, |(a_second, bytes)| format!(", {a_second:.2} decisions a second of {:.1} kB", bytes / 1e3));
    let shorter = if growth.lasts_ms >= MS_PER_HOUR {
        format!(", or decisionTtlHours to at most {}", hours(growth.lasts_ms))
    } else {
        String::new()
    };
    Some(format!(
        "the log will be cut before decisionTtlHours ({}) are over, and reactions to what it has no more be refused: it grows by {:.1} MB a \
         day{decisions}, and lasts {:.1} hours. Set logRetentionBytes to at least {:.0}{shorter}",
        hours(ttl),
        growth.bytes_per_day / 1e6,
        growth.lasts_ms / MS_PER_HOUR,
        (SPARE * growth.bytes_for(ttl) / MIB).ceil() * MIB,
    ))
}

/// What is said of the event bus.
fn of_bus(nats: &BusReport) -> Vec<String> {
    let mut warnings = Vec::new();
    // A bus that is away is no reason to restart a process that decides and learns: `ok` stays.
    if matches!(nats.state, ConnectionState::Connecting | ConnectionState::Reconnecting) {
        let problem = nats.problem.as_deref().unwrap_or("no answer yet");
        warnings.push(format!("no NATS server is reached at {}: {problem}", nats.servers.join(", ")));
    }
    if nats.state == ConnectionState::Connected {
        for (name, consumer) in &nats.consumers {
            if let Some(problem) = &consumer.problem {
                warnings.push(format!("consumer {name} waits: {problem}"));
            }
            if let (Some(stream), false) = (&consumer.stream, consumer.streams_not_read.is_empty()) {
                let (others, subject) = (consumer.streams_not_read.join(", "), consumer.subject);
                warnings.push(format!("consumer {name} reads stream {stream} alone, but {others} take some of {subject}, too: have one stream take all"));
            }
        }
    }
    for (name, consumer) in &nats.consumers {
        if let Some(last) = &consumer.last_refused_ts {
            warnings
                .push(format!("{} messages of consumer {name} were refused for their `ts`; the last: {last}", consumer.refused_ts));
        }
    }
    if nats.dead > 0 {
        warnings.push(format!("{} messages from the bus were given up: see nats.deadLetters", nats.dead));
    }
    warnings
}

/// Says what files of the directory are not what they were, or none of its own; false when that needs a person.
fn warn_of_files(dir: &impl Display, recovery: &RecoveryReport, foreign: &(u64, String), warnings: &mut Vec<String>) -> bool {
    let mut ok = true;
    if let Some(first) = recovery.cut_segments.first() {
        ok = false;
        let count = recovery.cut_segments.len();
        warnings.push(format!(
            "{count} segments in {dir}/log are shorter than they were ({first}); what is missing is lost unless a state file has it. \
             Does something empty or truncate files there, as logrotate does? See recovery.cutSegments"
        ));
    }
    if recovery.damaged_lines > recovery.cut_segments.len() as u64 {
        ok = false;
        let count = recovery.damaged_lines - recovery.cut_segments.len() as u64;
        warnings.push(format!("{count} places in {dir}/log cannot be read; what they told is lost: see recovery.damage"));
    }
    for ForeignFile { file, problem } in &recovery.foreign_files {
        // A segment was put aside, and somebody has to look whose it is; of `.epoch` nothing is left to do.
        ok &= file == EPOCH_FILE;
        warnings.push(format!("{dir}/{file} cannot be this directory's: {problem}"));
    }
    let (foreign, last) = foreign;
    if *foreign > 0 {
        warnings.push(format!(
            "{foreign} state files have numbers that no log of {dir} has: they are taken as somebody else's, with all they learned; the \
             last: {last}"
        ));
    }
    ok
}

impl Health {
    pub(super) fn new(engine: &Engine) -> Self {
        let Engine { settings, users, writer, store, log, recovery, .. } = engine;
        let (writer, store) = (writer.report(), store.report());
        let growth = log.as_ref().filter(|log| log.is_on()).and_then(|log| log.growth());
        let log = log.as_ref().map_or_else(LogHealth::default, |log| LogHealth::new(log.is_on(), log.report(), growth.as_ref()));
        let refused = engine.refusals.report();
        let damaged_files = users.damaged();
        let (active_policy, active_source) = engine.active_policy();
        let (nats, litellm) = (engine.bus.report(), engine.generator.report());
        let mut warnings = Vec::new();
        let mut ok = true;
        let dir = settings.state_dir.display();
        if settings.state_dir_source == Source::Default {
            warnings.push(format!("state is in {dir}, the default, which a restart of the machine may empty: set STATE_DIR"));
        }
        warnings.extend(engine.directory_warning());
        if let (true, Some(error)) = (writer.failing, &writer.last_error) {
            ok = false;
            warnings.push(format!("{} users wait to be written, and writing fails: {error}", writer.dirty_users));
        }
        if store.foreign_writes > 0 {
            // Two writers on one directory: somebody has to stop one of them.
            ok = false;
            let count = store.foreign_writes;
            warnings.push(format!(
                "{count} state files were replaced by somebody else while this process had {dir}; see {dir}/set-aside"
            ));
        }
        if let (true, Some(error)) = (log.failing, &log.last_error) {
            ok = false;
            warnings.push(format!("the interaction log cannot be written: {error}"));
        }
        if log.dropped_pulls > 0 {
            warnings.push(format!("{} pulls are in no log line: writing was impossible for too long", log.dropped_pulls));
        }
        warnings.extend(growth.and_then(|growth| cut_early(&growth, settings.decision_ttl_ms)));
        if let Some(last) = &refused.last_at {
            warnings.push(format!("{} reactions were refused for their `at`; the last: {last}", refused.at));
        }
        if let Some(last) = &refused.last_reward {
            warnings.push(format!("{} rewards were refused for their size; the last: {last}", refused.reward));
        }
        ok &= warn_of_files(&dir, recovery, &users.foreign(), &mut warnings);
        if !recovery.ambiguous_users.is_empty() {
            let (count, first) = (recovery.ambiguous_users.len(), &recovery.ambiguous_users[0]);
            warnings.push(format!("{count} users lost a state file while the directory was not in use, {first:?} among them"));
        }
        if !damaged_files.is_empty() {
            ok = false;
            warnings
                .push(format!("{} state files were damaged and put together from the log: see damagedFiles", damaged_files.len()));
        }
        warnings.extend(of_bus(&nats));
        if litellm.breaker != BreakerState::Closed {
            warnings.push(format!("the LLM proxy at {} does not answer: {}", litellm.url, litellm.tally.last_failure));
        }
        Self {
            ok,
            version: env!("CARGO_PKG_VERSION"),
            // They go to terminals and logs, and name paths.
            warnings: warnings.iter().map(|warning| printable(warning)).collect(),
            state_dir: StateDir { path: settings.state_dir.clone(), source: settings.state_dir_source },
            active_policy: ActivePolicy { name: active_policy, source: active_source },
            users: users.len(),
            evicted_users: users.evicted(),
            log,
            refused,
            recovery: recovery.clone(),
            damaged_files,
            writer: WriterHealth {
                dirty_users: writer.dirty_users,
                files_written: writer.files_written,
                errors: writer.errors,
                last_error: writer.last_error.clone(),
                failing: writer.failing,
                foreign_writes: store.foreign_writes,
            },
            nats,
            litellm,
        }
    }
}
