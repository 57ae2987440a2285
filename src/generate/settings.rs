//! What the LLM client is told, checked. The key is in here and comes out in no message, log line or debug output.

use super::registry::Registry;
use crate::error::{Error, Result};
use crate::settings::{Given, Text};
use crate::tls::authorities;
use reqwest::Url;
use reqwest::header::HeaderValue;
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Where the proxy is, unless somebody says otherwise.
const DEFAULT_URL: &str = "http://localhost:4000";
/// The old service's key for development.
const DEFAULT_KEY: &str = "sk-oo-dev";
/// The prompt of requests that name none.
const DEFAULT_VERSION: &str = "v1";
const LONGEST_KEY: usize = 1024;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LlmSettings {
    /// Where the proxy is, without a slash at the end.
    pub url: Url,
    /// The bearer token.
    pub key: Secret,
    /// The prompts of requests that name none: at least one, all of them in the registry.
    pub versions: Vec<String>,
    /// The prompts that there are.
    pub registry: Registry,
    /// So many requests at once; at least 1.
    pub max_concurrent: usize,
    /// For one request.
    pub timeout: Duration,
    /// For one call.
    pub deadline: Duration,
    /// PEM of the authorities that are trusted instead of the system's.
    pub ca_file: Option<PathBuf>,
}

impl Default for LlmSettings {
    #[allow(clippy::expect_used)] // constants, which a test reads
    fn default() -> Self {
        Self {
            url: Self::check_url("url", DEFAULT_URL).expect("the default URL is one"),
            key: Secret::check("key", DEFAULT_KEY).expect("the default key is one"),
            versions: vec![DEFAULT_VERSION.to_owned()],
            registry: Registry::default(),
            max_concurrent: 16,
            timeout: Duration::from_secs(30),
            deadline: Duration::from_secs(90),
            ca_file: None,
        }
    }
}

impl LlmSettings {
    /// The defaults. Their prompts are read once a process, not at every open.
    #[must_use]
    pub fn standard() -> Arc<Self> {
        static STANDARD: LazyLock<Arc<LlmSettings>> = LazyLock::new(Arc::default);
        Arc::clone(&STANDARD)
    }

    /// What was given. Prompts and certificates are read here, so that what is wrong with them is said at open.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT`, `ERR_UNKNOWN_PROMPT_VERSION`.
    pub fn read(given: &Given<'_>) -> Result<Self> {
        let mut settings = (*Self::standard()).clone();
        if let Some(Text { text, path, .. }) = given.text("litellm.url", "LITELLM_URL")? {
            settings.url = Self::check_url(&path, &text)?;
        }
        if let Some(Text { text, path, .. }) = given.text("litellm.masterKey", "LITELLM_MASTER_KEY")? {
            settings.key = Secret::check(&path, &text)?;
        }
        if let Some(prompts) = given.option("litellm.prompts") {
            let path = "options.litellm.prompts";
            let prompts = serde_json::from_value(prompts.clone()).map_err(|e| Error::invalid(path, e))?;
            settings.registry.add_all(path, prompts)?;
        }
        if let Some(directory) = given.option_text("litellm.promptsDir")? {
            let path = directory.path.clone();
            settings.registry.add_directory(&path, &directory.into_path()?)?;
        }
        let versions = given.text("litellm.promptVersion", "TIP_PROMPT_VERSION")?;
        if let Some(Text { text, path, .. }) = versions.or_else(|| given.variable("DEFAULT_PROMPT_VERSION")) {
            settings.versions = settings.check_versions(&path, &text)?;
        }
        if let Some(most) = given.whole("litellm.maxConcurrent", 1, 1000)? {
            settings.max_concurrent = usize::try_from(most).unwrap_or(usize::MAX);
        }
        if let Some(ms) = given.whole("litellm.timeoutMs", 1, 600_000)? {
            settings.timeout = Duration::from_millis(ms);
        }
        if let Some(ms) = given.whole("litellm.deadlineMs", 1, 3_600_000)? {
            settings.deadline = Duration::from_millis(ms);
        }
        if let Some(file) = given.text("litellm.caFile", "LITELLM_CA")? {
            let path = file.path.clone();
            let file = file.into_path()?;
            authorities(&path, &file)?;
            settings.ca_file = Some(file);
        }
        Ok(settings)
    }

    /// Reads a URL; `path` is where it stood.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT`, without the URL: it may hold a password.
    pub fn check_url(path: &str, text: &str) -> Result<Url> {
        let bad = |problem: &str| Error::invalid(path, problem);
        let mut url: Url =
            text.parse().map_err(|_| bad("is no URL: expected http[s]://host[:port][/path], the host in ASCII (punycode)"))?;
        if !["http", "https"].contains(&url.scheme()) {
            return Err(bad("must begin with http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("must not hold user or password; the proxy's key is litellm.masterKey"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("must have neither ? nor #"));
        }
        let inner = url.path().trim_end_matches('/').to_owned();
        if inner.ends_with("/chat/completions") {
            return Err(bad("must end before /chat/completions, which is added"));
        }
        url.set_path(&inner);
        Ok(url)
    }

    /// Reads one version or several with commas between, all of which the registry has to know; `path` is where they stood.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT`, `ERR_UNKNOWN_PROMPT_VERSION`.
    pub fn check_versions(&self, path: &str, text: &str) -> Result<Vec<String>> {
        let check = |version: &str| match version.trim() {
            "" => Err(Error::invalid(path, "names an empty version: expected one, or several with commas between")),
            version => self.registry.get(path, version).map(|prompt| prompt.version.clone()),
        };
        text.split(',').map(check).collect()
    }

    /// The URL for people.
    #[must_use]
    pub fn shown_url(&self) -> String {
        self.url.as_str().trim_end_matches('/').to_owned()
    }
}

/// A bearer token.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    key: String,
    /// The forms in which others could repeat it: as it is, as JSON has it, and its hash, which the proxy puts into messages.
    forms: [String; 3],
}

impl Secret {
    /// Reads a key; `path` is where it stood.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT`, without the key.
    pub fn check(path: &str, key: &str) -> Result<Self> {
        let is_token = |c: char| c.is_ascii_graphic();
        if !(1..=LONGEST_KEY).contains(&key.len()) || !key.chars().all(is_token) {
            return Err(Error::invalid(path, format_args!("must be 1 to {LONGEST_KEY} visible ASCII characters without spaces")));
        }
        let json = serde_json::Value::from(key).to_string();
        let hash = format!("{:x}", Sha256::digest(key));
        let inner = json.get(1..json.len() - 1).unwrap_or_default().to_owned();
        Ok(Self { key: key.to_owned(), forms: [key.to_owned(), inner, hash] })
    }

    /// The header that says who we are.
    ///
    /// # Errors
    /// None: the characters were checked.
    pub fn header(&self) -> Result<HeaderValue> {
        let failed = |_| Error::invalid("options.litellm.masterKey", "cannot be sent");
        let mut header: HeaderValue = format!("Bearer {}", self.key).parse().map_err(failed)?;
        header.set_sensitive(true);
        Ok(header)
    }

    /// The bytes that the longest of its forms takes.
    #[must_use]
    pub fn longest_form(&self) -> usize {
        self.forms.iter().map(String::len).max().unwrap_or_default()
    }

    /// A text of others', without the key.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        self.forms.iter().fold(text.to_owned(), |text, form| text.replace(form.as_str(), "***"))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The first of a text of others', on one line.
pub fn excerpt(text: &str) -> String {
    const LONGEST: usize = 200;
    let mut excerpt: String = text.trim().chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.trim().chars().nth(LONGEST).is_some() {
        excerpt.push('…');
    }
    if excerpt.is_empty() { "(empty)".to_owned() } else { excerpt }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_checked_and_not_repeated() {
        let shown = |text: &str| {
            let url = LlmSettings::check_url("options.litellm.url", text)?;
            Ok::<_, Error>(LlmSettings { url, ..LlmSettings::default() }.shown_url())
        };
        assert_eq!(shown("http://localhost:4000/").unwrap(), "http://localhost:4000");
        assert_eq!(shown("https://x.example/llm/").unwrap(), "https://x.example/llm");
        for text in [
            "",
            "localhost:4000",
            "secret",
            "ftp://secret",
            "http://user:secret@x",
            "http://secret@x",
            "http://x/?secret",
            "http://x#secret",
            "http://",
        ] {
            let error = shown(text).unwrap_err();
            assert!(error.message().starts_with("options.litellm.url: ") && !error.message().contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn keys_are_kept_from_sight() {
        let secret = Secret::check("k", r#"sk-"a\b"#).unwrap();
        let hash = secret.forms[2].clone();
        let text = secret.redact(&format!(r#"got sk-"a\b, as JSON "sk-\"a\\b", hash {hash}"#));
        assert_eq!(text, r#"got ***, as JSON "***", hash ***"#);
        assert_eq!(format!("{secret:?}"), "***");
        assert!(!format!("{:?}", secret.header().unwrap()).contains("sk-"));
        for key in ["", "a b", "a\nb", "ü", &"x".repeat(1025)] {
            let error = Secret::check("options.litellm.masterKey", key).unwrap_err();
            assert!(key.is_empty() || !error.message().contains(key), "{error}");
        }
    }

    #[test]
    fn versions_are_one_or_several() {
        let settings = LlmSettings::default();
        assert_eq!(settings.check_versions("p", "v1").unwrap(), ["v1"]);
        assert_eq!(settings.check_versions("p", "v1, v2-mentor,v1").unwrap(), ["v1", "v2-mentor", "v1"]);
        for text in ["v1,", ",", " "] {
            assert_eq!(settings.check_versions("p", text).unwrap_err().kind().code(), "ERR_INVALID_ARGUMENT", "{text}");
        }
        for text in ["v9", "v1,v9"] {
            assert_eq!(
                settings.check_versions("TIP_PROMPT_VERSION", text).unwrap_err().kind().code(),
                "ERR_UNKNOWN_PROMPT_VERSION",
                "{text}"
            );
        }
    }

    #[test]
    fn excerpts_are_short_and_on_one_line() {
        assert_eq!(excerpt(" a\nb\u{1b}c "), "a b c");
        assert_eq!(excerpt(&"x".repeat(300)).chars().count(), 201);
        assert_eq!(excerpt(""), "(empty)");
    }
}
