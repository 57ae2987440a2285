//! Options and environment, checked: options outrank the environment, which outranks the defaults.

mod given;

pub use given::{Given, Text};

use crate::error::{Error, Result};
use crate::event::NatsSettings;
use crate::generate::LlmSettings;
use crate::policy::PolicyName;
use crate::state::UserBounds;
use given::brief;
use serde::Serialize;
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::sync::Arc;

/// Where a setting was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// Given by the caller.
    Option,
    /// Given by the environment.
    Environment,
    /// Given by nobody.
    Default,
}

/// Everything an engine can be told, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where the state files are.
    pub state_dir: PathBuf,
    /// How that was found.
    pub state_dir_source: Source,
    /// The policy of calls that name none.
    pub active_policy: PolicyName,
    /// How that was found.
    pub active_policy_source: Source,
    /// Makes exploration reproducible.
    pub seed: Option<u64>,
    /// How many scored vectors are remembered per user.
    pub history_size: u32,
    /// About how many users are in memory at most.
    pub max_hot_users: u64,
    /// Whether what happens is appended to the interaction log.
    pub log: bool,
    /// How many days segments of the log are kept at least as far as size allows.
    pub log_retention_days: u64,
    /// How many bytes of the log are kept at most.
    pub log_retention_bytes: u64,
    /// For how long reactions to a decision are learned from.
    pub decision_ttl_ms: u64,
    /// Of how many decisions of a user, the last ones that were reacted to, a later reaction can replace an earlier one.
    pub revisable_decisions: usize,
    /// No reward is larger, in either direction.
    pub max_reward: f64,
    /// The reward in the opener's table of actions that is the largest, in either direction.
    pub largest_action: f64,
    /// The event bus; `None`: no server is named.
    pub nats: Option<Arc<NatsSettings>>,
    /// The LLM proxy.
    pub litellm: Arc<LlmSettings>,
    /// Whether anything of that was given.
    pub litellm_given: bool,
    /// The options that the caller gave.
    pub given: Vec<&'static str>,
}

/// The old service's directory, for those that set nothing.
pub const DEFAULT_STATE_DIR: &str = "/tmp/oo-bandit-state";
const DEFAULT_HISTORY: u32 = 100;
/// A history stands in the user's state files, each of which is written whole.
const LARGEST_HISTORY: u64 = 1_000;
const DEFAULT_HOT_USERS: u64 = 50_000;
const LARGEST_HOT_USERS: u64 = 100_000_000;
const DEFAULT_RETENTION_DAYS: u64 = 30;
const LONGEST_RETENTION_DAYS: u64 = 36_500;
const DEFAULT_RETENTION_BYTES: u64 = 1 << 30;
const LARGEST_RETENTION_BYTES: u64 = (1 << 53) - 1;
const DEFAULT_TTL_HOURS: u64 = 7 * 24;
const DEFAULT_REVISABLE: usize = 64;
/// They stand in the user's state files, too.
const LARGEST_REVISABLE: u64 = 10_000;
const DEFAULT_MAX_REWARD: f64 = 1e6;
/// A revision takes the former reward out of b, to 2⁻⁵³ of it: past this what is left of it would show.
const LARGEST_MAX_REWARD: f64 = 1e12;
const LONGEST_TTL_HOURS: u64 = 100 * 365 * 24;
const MS_PER_HOUR: u64 = 3600 * 1000;
const LARGEST_SEED: u64 = (1 << 53) - 1;

impl Settings {
    /// The options that [`Settings::check`] takes.
    pub const OPTIONS: [&str; 26] = [
        "decisionTtlHours",
        "revisableDecisions",
        "maxReward",
        "rewards",
        "stateDir",
        "activePolicy",
        "seed",
        "historySize",
        "maxHotUsers",
        "log",
        "logRetentionDays",
        "logRetentionBytes",
        "nats.url",
        "nats.durablePrefix",
        "nats.maxDeliver",
        "nats.credentialsFile",
        "nats.caFile",
        "litellm.url",
        "litellm.masterKey",
        "litellm.promptVersion",
        "litellm.prompts",
        "litellm.promptsDir",
        "litellm.maxConcurrent",
        "litellm.timeoutMs",
        "litellm.deadlineMs",
        "litellm.caFile",
    ];
    /// The environment variables that it asks for.
    pub const ENVIRONMENT: [&str; 12] = [
        "STATE_DIR",
        "ACTIVE_POLICY",
        "NATS_URL",
        "NATS_DURABLE_PREFIX",
        "NATS_MAX_DELIVER",
        "NATS_CREDS",
        "NATS_CA",
        "LITELLM_URL",
        "LITELLM_MASTER_KEY",
        "LITELLM_CA",
        "TIP_PROMPT_VERSION",
        "DEFAULT_PROMPT_VERSION",
    ];

    /// The settings for one directory, all else by default.
    #[must_use]
    pub fn at(state_dir: impl Into<PathBuf>) -> Self {
        Self {
            state_dir: state_dir.into(),
            state_dir_source: Source::Option,
            active_policy: PolicyName::EGreedyV1,
            active_policy_source: Source::Default,
            seed: None,
            history_size: DEFAULT_HISTORY,
            max_hot_users: DEFAULT_HOT_USERS,
            log: true,
            log_retention_days: DEFAULT_RETENTION_DAYS,
            log_retention_bytes: DEFAULT_RETENTION_BYTES,
            decision_ttl_ms: DEFAULT_TTL_HOURS * MS_PER_HOUR,
            revisable_decisions: DEFAULT_REVISABLE,
            max_reward: DEFAULT_MAX_REWARD,
            largest_action: 0.0,
            nats: None,
            litellm: LlmSettings::standard(),
            litellm_given: false,
            given: Vec::new(),
        }
    }

    /// Checks the options of a replay and says how much is kept of each user.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT`, naming the option.
    pub fn check_replay(options: &Map<String, Value>) -> Result<UserBounds> {
        user_bounds(&Given::new(options, &|_| None, &["historySize", "revisableDecisions"])?)
    }

    /// How much is kept of each user.
    #[must_use]
    pub const fn user_bounds(&self) -> UserBounds {
        UserBounds { history_size: self.history_size, revisable_decisions: self.revisable_decisions }
    }

    /// Whether an opener's table of actions keeps within what the engine learns from.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT`.
    pub fn check_actions(&self, max_reward: f64) -> Result<()> {
        if self.largest_action <= max_reward {
            return Ok(());
        }
        let worth = self.largest_action;
        let problem =
            format!("an action is worth {worth} (or minus that), past options.maxReward, {max_reward}: change one of the two");
        Err(Error::invalid("options.rewards", problem))
    }

    /// Checks the caller's options (`null` and missing are the same) and, for those not given, what `environment` says; an empty
    /// variable counts as not set.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT` or `ERR_UNKNOWN_POLICY`, naming the option or variable.
    pub fn check(options: &Map<String, Value>, environment: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let given = Given::new(options, &environment, &Self::OPTIONS)?;
        let mut settings = Self { state_dir_source: Source::Default, ..Self::at(DEFAULT_STATE_DIR) };
        if let Some(text) = given.text("stateDir", "STATE_DIR")? {
            (settings.state_dir_source, settings.state_dir) = (text.source, text.into_path()?);
        }
        if let Some(Text { text, source, path }) = given.text("activePolicy", "ACTIVE_POLICY")? {
            (settings.active_policy, settings.active_policy_source) = (PolicyName::parse(&path, &text)?, source);
        }
        settings.seed = given.whole("seed", 0, LARGEST_SEED)?;
        UserBounds { history_size: settings.history_size, revisable_decisions: settings.revisable_decisions } =
            user_bounds(&given)?;
        settings.max_reward = given.positive("maxReward", LARGEST_MAX_REWARD)?.unwrap_or(DEFAULT_MAX_REWARD);
        settings.largest_action = given.option("rewards").and_then(Value::as_f64).unwrap_or_default();
        settings.max_hot_users = given.whole("maxHotUsers", 1, LARGEST_HOT_USERS)?.unwrap_or(DEFAULT_HOT_USERS);
        settings.log_retention_days = given.whole("logRetentionDays", 0, LONGEST_RETENTION_DAYS)?.unwrap_or(DEFAULT_RETENTION_DAYS);
        settings.log_retention_bytes =
            given.whole("logRetentionBytes", 0, LARGEST_RETENTION_BYTES)?.unwrap_or(DEFAULT_RETENTION_BYTES);
        settings.log = match given.option("log") {
            None => true,
            Some(Value::String(text)) if text == "on" => true,
            Some(Value::String(text)) if text == "off" => false,
            Some(other) => {
                return Err(Error::invalid("options.log", format_args!("must be \"on\" or \"off\", got {}", brief(other))));
            }
        };
        // What the log does not have any more cannot be learned from.
        let most = (settings.log_retention_days * 24).clamp(1, LONGEST_TTL_HOURS);
        let hours = given.whole("decisionTtlHours", 1, most)?.unwrap_or(DEFAULT_TTL_HOURS.min(most));
        settings.decision_ttl_ms = hours * MS_PER_HOUR;
        settings.nats = NatsSettings::read(&given)?.map(Arc::new);
        settings.litellm = Arc::new(LlmSettings::read(&given)?);
        settings.litellm_given = settings.litellm != LlmSettings::standard();
        settings.given = Self::OPTIONS.into_iter().filter(|key| given.option(key).is_some()).collect();
        Ok(settings)
    }
}

/// The options of `replay()`, too.
fn user_bounds(given: &Given<'_>) -> Result<UserBounds> {
    let history = given.whole("historySize", 0, LARGEST_HISTORY)?;
    let revisable = given.whole("revisableDecisions", 1, LARGEST_REVISABLE)?;
    Ok(UserBounds {
        history_size: history.and_then(|size| u32::try_from(size).ok()).unwrap_or(DEFAULT_HISTORY),
        revisable_decisions: revisable.and_then(|most| usize::try_from(most).ok()).unwrap_or(DEFAULT_REVISABLE),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(options: Value, environment: &[(&str, &str)]) -> Result<Settings> {
        let Value::Object(options) = options else { panic!("options are an object") };
        Settings::check(&options, |key| environment.iter().find(|(k, _)| *k == key).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn options_outrank_the_environment_which_outranks_defaults() {
        let environment = [("STATE_DIR", "/e"), ("ACTIVE_POLICY", "linucb-v1")];
        let s = check(json!({"stateDir": "/o"}), &environment).unwrap();
        assert_eq!((s.state_dir.as_path(), s.state_dir_source), ("/o".as_ref(), Source::Option));
        assert_eq!((s.active_policy, s.active_policy_source), (PolicyName::LinUcbV1, Source::Environment));
        let s = check(json!({"stateDir": null}), &[("ACTIVE_POLICY", "")]).unwrap();
        assert_eq!((s.state_dir.as_path(), s.state_dir_source), (DEFAULT_STATE_DIR.as_ref(), Source::Default));
        assert_eq!((s.active_policy, s.history_size, s.seed), (PolicyName::EGreedyV1, 100, None));
        assert_eq!(check(json!({"seed": 7.0, "historySize": 0}), &[]).unwrap().seed, Some(7));
    }

    #[test]
    fn mistakes_are_named() {
        for (options, environment, part) in [
            (json!({"stateDirectory": "/x"}), vec![], "stateDirectory"),
            (json!({"stateDir": 5}), vec![], "options.stateDir"),
            (json!({"stateDir": ""}), vec![], "options.stateDir"),
            (json!({"stateDir": "s3://bucket/state"}), vec![], "options.stateDir"),
            (json!({}), vec![("STATE_DIR", "file:state")], "STATE_DIR"),
            (json!({"nats.caFile": "https://ca", "nats.url": "nats://x"}), vec![], "options.nats.caFile"),
            (json!({"seed": -1}), vec![], "options.seed"),
            (json!({"seed": 0.5}), vec![], "options.seed"),
            (json!({"seed": "7"}), vec![], "options.seed"),
            (json!({"historySize": 1_001}), vec![], "options.historySize"),
            (json!({"maxHotUsers": 0}), vec![], "options.maxHotUsers"),
            (json!({"revisableDecisions": 0}), vec![], "options.revisableDecisions"),
            (json!({"maxReward": 0}), vec![], "options.maxReward"),
            (json!({"maxReward": 1.1e12}), vec![], "options.maxReward"),
            (json!({"maxReward": "5"}), vec![], "options.maxReward"),
            (json!({"log": "no"}), vec![], "options.log"),
            (json!({"log": true}), vec![], "options.log"),
            (json!({"logRetentionDays": -1}), vec![], "options.logRetentionDays"),
            (json!({"logRetentionBytes": 0.5}), vec![], "options.logRetentionBytes"),
            (json!({"activePolicy": "thompson"}), vec![], "options.activePolicy"),
            (json!({}), vec![("ACTIVE_POLICY", "x")], "ACTIVE_POLICY"),
        ] {
            let error = check(options.clone(), &environment).unwrap_err();
            assert!(error.message().contains(part), "{options}: {error}");
        }
    }
}
