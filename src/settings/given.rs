//! What was given: options and environment, read one by one with the path that a message about them begins with.

use crate::error::{Error, Result, shown};
use crate::json::whole_number;
use serde_json::{Map, Value};

use super::Source;
use std::path::PathBuf;

/// The longest path of Linux; macOS allows fewer bytes, and says so.
const LONGEST_PATH: usize = 4096;

/// See the module.
pub struct Given<'a> {
    options: &'a Map<String, Value>,
    environment: &'a dyn Fn(&str) -> Option<String>,
}

/// A text that was given.
pub struct Text {
    /// It.
    pub text: String,
    /// By whom.
    pub source: Source,
    /// How a message about it begins.
    pub path: String,
}

impl Text {
    /// A path; whether something is there is another question. (`lib/paths.ts` has made paths of `file:` URLs.)
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT` when it cannot be one.
    pub fn into_path(self) -> Result<PathBuf> {
        let Self { text, path, .. } = self;
        if text.is_empty() || text.contains('\0') || text.len() > LONGEST_PATH || is_url(&text) {
            let problem = format!("must be a path of 1 to {LONGEST_PATH} bytes or a file: URL, got {}", shown(&text));
            return Err(Error::invalid(&path, problem));
        }
        Ok(text.into())
    }
}

/// `s3://bucket`, `file:state`: as a path it would be a directory of that name, which nobody means.
fn is_url(text: &str) -> bool {
    text.starts_with("file:")
        || text.split_once("://").is_some_and(|(scheme, _)| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        })
}

impl<'a> Given<'a> {
    /// Options (`null` and missing are the same) and what the environment says; an empty variable counts as not set.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT` for an option that is not `known`.
    pub fn new(options: &'a Map<String, Value>, environment: &'a dyn Fn(&str) -> Option<String>, known: &[&str]) -> Result<Self> {
        match options.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(Error::invalid("options", format_args!("no option {}; known: {}", shown(key), known.join(", ")))),
            None => Ok(Self { options, environment }),
        }
    }

    /// An option as it is.
    #[must_use]
    pub fn option(&self, key: &str) -> Option<&'a Value> {
        self.options.get(key).filter(|value| !value.is_null())
    }

    /// An option that is text.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT` when it is something else.
    pub fn option_text(&self, key: &str) -> Result<Option<Text>> {
        let path = format!("options.{key}");
        match self.option(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(Text { text: text.clone(), source: Source::Option, path })),
            Some(other) => Err(Error::invalid(&path, format_args!("must be a string, got {}", brief(other)))),
        }
    }

    /// A variable of the environment.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<Text> {
        let text = (self.environment)(name).filter(|text| !text.is_empty())?;
        Some(Text { text, source: Source::Environment, path: name.to_owned() })
    }

    /// An option that is text, else a variable.
    ///
    /// # Errors
    /// As [`Given::option_text`].
    pub fn text(&self, key: &str, variable: &str) -> Result<Option<Text>> {
        Ok(self.option_text(key)?.or_else(|| self.variable(variable)))
    }

    /// An option that is a whole number within bounds.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT` when it is something else.
    pub fn whole(&self, key: &str, least: u64, largest: u64) -> Result<Option<u64>> {
        let Some(value) = self.option(key) else { return Ok(None) };
        whole_number(value).filter(|n| (least..=largest).contains(n)).map(Some).ok_or_else(|| {
            let problem = format!("must be a whole number from {least} to {largest}, got {}", brief(value));
            Error::invalid(&format!("options.{key}"), problem)
        })
    }

    /// An option that is a number above 0.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT` when it is something else.
    pub fn positive(&self, key: &str, largest: f64) -> Result<Option<f64>> {
        let Some(value) = self.option(key) else { return Ok(None) };
        value.as_f64().filter(|v| *v > 0.0 && *v <= largest).map(Some).ok_or_else(|| {
            let problem = format!("must be a number above 0, up to {largest:e}, got {}", brief(value));
            Error::invalid(&format!("options.{key}"), problem)
        })
    }
}

/// A value as a message shows it.
pub fn brief(value: &Value) -> String {
    match value {
        Value::String(text) => shown(text),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => other.to_string(),
    }
}
