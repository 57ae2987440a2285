//! Options and environment, checked: options outrank the environment, which outranks the defaults.

use crate::error::{Error, Result, shown};
use crate::event::{DEFAULT_DELIVERIES, DEFAULT_PREFIX, MOST_DELIVERIES, NatsSettings};
use crate::generate::{LlmSettings, Secret};
use crate::json::whole_number;
use crate::policy::PolicyName;
use crate::tls::authorities;
use serde::Serialize;
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

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
#[derive(Debug, Clone, PartialEq, Eq)]
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
const LARGEST_SEED: u64 = (1 << 53) - 1;
const LONGEST_PATH: usize = 4096;

impl Settings {
    /// The options that [`Settings::check`] takes.
    pub const OPTIONS: [&str; 22] = [
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
            nats: None,
            litellm: Arc::default(),
            litellm_given: false,
            given: Vec::new(),
        }
    }

    /// Checks the options of a replay and says how long histories are.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT`, naming the option.
    pub fn check_replay(options: &Map<String, Value>) -> Result<u32> {
        check_names(options, &["historySize"])?;
        history_size(options)
    }

    /// Checks the caller's options (`null` and missing are the same) and, for those not given, what `environment` says; an empty
    /// variable counts as not set.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT` or `ERR_UNKNOWN_POLICY`, naming the option or variable.
    pub fn check(options: &Map<String, Value>, environment: impl Fn(&str) -> Option<String>) -> Result<Self> {
        check_names(options, &Self::OPTIONS)?;
        let text = |key: &str, variable: &str| match options.get(key).filter(|v| !v.is_null()) {
            Some(Value::String(text)) => Ok(Some((text.clone(), Source::Option, format!("options.{key}")))),
            Some(other) => Err(Error::invalid(&format!("options.{key}"), format_args!("must be a string, got {}", brief(other)))),
            None => Ok(environment(variable).filter(|v| !v.is_empty()).map(|v| (v, Source::Environment, variable.to_owned()))),
        };
        let whole_from = |key: &str, least: u64, largest: u64| whole_option(options, key, least, largest);
        let whole = |key: &str, largest: u64| whole_from(key, 0, largest);
        let mut settings = Self { state_dir_source: Source::Default, ..Self::at(DEFAULT_STATE_DIR) };
        if let Some((dir, source, path)) = text("stateDir", "STATE_DIR")? {
            if dir.is_empty() || dir.contains('\0') || dir.len() > LONGEST_PATH {
                return Err(Error::invalid(
                    &path,
                    format_args!("must be a path of 1 to {LONGEST_PATH} bytes, got {}", shown(&dir)),
                ));
            }
            (settings.state_dir, settings.state_dir_source) = (dir.into(), source);
        }
        if let Some((name, source, path)) = text("activePolicy", "ACTIVE_POLICY")? {
            (settings.active_policy, settings.active_policy_source) = (PolicyName::parse(&path, &name)?, source);
        }
        settings.seed = whole("seed", LARGEST_SEED)?;
        settings.history_size = history_size(options)?;
        settings.max_hot_users = whole_from("maxHotUsers", 1, LARGEST_HOT_USERS)?.unwrap_or(DEFAULT_HOT_USERS);
        settings.log_retention_days = whole("logRetentionDays", LONGEST_RETENTION_DAYS)?.unwrap_or(DEFAULT_RETENTION_DAYS);
        settings.log_retention_bytes = whole("logRetentionBytes", LARGEST_RETENTION_BYTES)?.unwrap_or(DEFAULT_RETENTION_BYTES);
        settings.log = match options.get("log").filter(|v| !v.is_null()) {
            None => true,
            Some(Value::String(text)) if text == "on" => true,
            Some(Value::String(text)) if text == "off" => false,
            Some(other) => {
                return Err(Error::invalid("options.log", format_args!("must be \"on\" or \"off\", got {}", brief(other))));
            }
        };
        settings.nats = nats(options, &text)?.map(Arc::new);
        let is_given = |key: &&str| options.get(*key).is_some_and(|v| !v.is_null());
        settings.given = Self::OPTIONS.into_iter().filter(is_given).collect();
        settings.litellm = Arc::new(litellm(options, &text)?);
        settings.litellm_given = *settings.litellm != LlmSettings::default();
        Ok(settings)
    }
}

type Text<'a> = dyn Fn(&str, &str) -> Result<Option<(String, Source, String)>> + 'a;

/// What the event bus is told; all of it is checked, also where no server is named.
fn nats(options: &Map<String, Value>, text: &Text<'_>) -> Result<Option<NatsSettings>> {
    let durable_prefix = match text("nats.durablePrefix", "NATS_DURABLE_PREFIX")? {
        Some((prefix, _, path)) => {
            NatsSettings::check_prefix(&path, &prefix)?;
            prefix
        }
        None => DEFAULT_PREFIX.to_owned(),
    };
    let max_deliver = match whole_option(options, "nats.maxDeliver", 1, MOST_DELIVERIES)? {
        Some(given) => given,
        None => match text("", "NATS_MAX_DELIVER")? {
            Some((variable, _, path)) => variable.parse().ok().filter(|n| (1..=MOST_DELIVERIES).contains(n)).ok_or_else(|| {
                Error::invalid(&path, format_args!("must be a whole number from 1 to {MOST_DELIVERIES}, got {}", shown(&variable)))
            })?,
            None => DEFAULT_DELIVERIES.into(),
        },
    };
    let file = |key: &str, variable: &str| match text(key, variable)? {
        Some((file, _, path)) if file.is_empty() || file.contains('\0') => Err(Error::invalid(&path, "must be a path")),
        found => Ok(found.map(|(file, ..)| PathBuf::from(file))),
    };
    let credentials_file = file("nats.credentialsFile", "NATS_CREDS")?;
    let ca_file = file("nats.caFile", "NATS_CA")?;
    let servers = match text("nats.url", "NATS_URL")? {
        Some((urls, _, path)) if !urls.is_empty() => NatsSettings::servers(&path, &urls)?,
        _ => return Ok(None),
    };
    let max_deliver = u32::try_from(max_deliver).unwrap_or(DEFAULT_DELIVERIES);
    Ok(Some(NatsSettings { servers, durable_prefix, max_deliver, credentials_file, ca_file }))
}

/// What the LLM client is told. Prompts and certificates are read here, so that what is wrong with them is said at open.
fn litellm(options: &Map<String, Value>, text: &Text<'_>) -> Result<LlmSettings> {
    let mut settings = LlmSettings::default();
    if let Some((url, _, path)) = text("litellm.url", "LITELLM_URL")? {
        settings.url = LlmSettings::check_url(&path, &url)?;
    }
    if let Some((key, _, path)) = text("litellm.masterKey", "LITELLM_MASTER_KEY")? {
        settings.key = Secret::check(&path, &key)?;
    }
    if let Some(prompts) = options.get("litellm.prompts").filter(|v| !v.is_null()) {
        let path = "options.litellm.prompts";
        let prompts = serde_json::from_value(prompts.clone()).map_err(|e| Error::invalid(path, e))?;
        settings.registry.add_all(path, prompts)?;
    }
    if let Some((directory, _, path)) = text("litellm.promptsDir", "")? {
        settings.registry.add_directory(&path, directory.as_ref())?;
    }
    for (key, variable) in [("litellm.promptVersion", "TIP_PROMPT_VERSION"), ("", "DEFAULT_PROMPT_VERSION")] {
        if let Some((versions, _, path)) = text(key, variable)? {
            settings.versions = settings.check_versions(&path, &versions)?;
            break;
        }
    }
    let count = |key: &str, largest: u64| whole_option(options, key, 1, largest);
    if let Some(most) = count("litellm.maxConcurrent", 1000)? {
        settings.max_concurrent = usize::try_from(most).unwrap_or(usize::MAX);
    }
    if let Some(ms) = count("litellm.timeoutMs", 600_000)? {
        settings.timeout = Duration::from_millis(ms);
    }
    if let Some(ms) = count("litellm.deadlineMs", 3_600_000)? {
        settings.deadline = Duration::from_millis(ms);
    }
    if let Some((file, _, path)) = text("litellm.caFile", "LITELLM_CA")? {
        authorities(&path, file.as_ref())?;
        settings.ca_file = Some(file.into());
    }
    Ok(settings)
}

/// `historySize`, the one option of `replay()`, too.
fn history_size(options: &Map<String, Value>) -> Result<u32> {
    let size = whole_option(options, "historySize", 0, LARGEST_HISTORY)?;
    Ok(size.and_then(|size| u32::try_from(size).ok()).unwrap_or(DEFAULT_HISTORY))
}

fn check_names(options: &Map<String, Value>, known: &[&str]) -> Result<()> {
    match options.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(Error::invalid("options", format_args!("no option {}; known: {}", shown(key), known.join(", ")))),
        None => Ok(()),
    }
}

fn whole_option(options: &Map<String, Value>, key: &str, least: u64, largest: u64) -> Result<Option<u64>> {
    let Some(value) = options.get(key).filter(|v| !v.is_null()) else { return Ok(None) };
    whole_number(value).filter(|n| (least..=largest).contains(n)).map(Some).ok_or_else(|| {
        let problem = format!("must be a whole number from {least} to {largest}, got {}", brief(value));
        Error::invalid(&format!("options.{key}"), problem)
    })
}

fn brief(value: &Value) -> String {
    match value {
        Value::String(text) => shown(text),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => other.to_string(),
    }
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
            (json!({"seed": -1}), vec![], "options.seed"),
            (json!({"seed": 0.5}), vec![], "options.seed"),
            (json!({"seed": "7"}), vec![], "options.seed"),
            (json!({"historySize": 1_001}), vec![], "options.historySize"),
            (json!({"maxHotUsers": 0}), vec![], "options.maxHotUsers"),
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
