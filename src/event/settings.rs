//! What the event bus is told, checked. Secrets are in here and come out in no message, log line or debug output.

use super::masking::masked;
use crate::error::{Error, Result, shown};
use crate::settings::{Given, Text};
use async_nats::ServerAddr;
use percent_encoding::percent_decode_str;
use std::fmt;
use std::path::PathBuf;

/// Names of durable consumers begin with this.
const DEFAULT_PREFIX: &str = "oo-bandits";
/// So often a message is delivered whose handling fails.
const DEFAULT_DELIVERIES: u32 = 5;
/// More than this is no attempt to succeed any more.
const MOST_DELIVERIES: u64 = 1000;
const LONGEST_PREFIX: usize = 64;

/// See the module.
#[derive(Clone, PartialEq, Eq)]
pub struct NatsSettings {
    /// Where servers are: at least one.
    pub servers: Vec<Server>,
    /// Names of durable consumers begin with this.
    pub durable_prefix: String,
    /// So often a message is delivered whose handling fails; at least 1.
    pub max_deliver: u32,
    /// A `.creds` file.
    pub credentials_file: Option<PathBuf>,
    /// PEM of the authorities whose servers are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
}

/// One server.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    /// Its address, without who we are.
    pub address: ServerAddr,
    user: String,
    password: Option<String>,
}

impl NatsSettings {
    /// What was given; `None` when no server is named. All of it is checked, also then.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT`.
    pub fn read(given: &Given<'_>) -> Result<Option<Self>> {
        let durable_prefix = match given.text("nats.durablePrefix", "NATS_DURABLE_PREFIX")? {
            Some(Text { text, path, .. }) => {
                Self::check_prefix(&path, &text)?;
                text
            }
            None => DEFAULT_PREFIX.to_owned(),
        };
        let max_deliver = match (given.whole("nats.maxDeliver", 1, MOST_DELIVERIES)?, given.variable("NATS_MAX_DELIVER")) {
            (Some(given), _) => given,
            (None, Some(Text { text, path, .. })) => {
                let number = text.parse().ok().filter(|n| (1..=MOST_DELIVERIES).contains(n));
                number.ok_or_else(|| {
                    let problem = format!("must be a whole number from 1 to {MOST_DELIVERIES}, got {}", shown(&text));
                    Error::invalid(&path, problem)
                })?
            }
            (None, None) => DEFAULT_DELIVERIES.into(),
        };
        let credentials_file = given.text("nats.credentialsFile", "NATS_CREDS")?.map(Text::into_path).transpose()?;
        let ca_file = given.text("nats.caFile", "NATS_CA")?.map(Text::into_path).transpose()?;
        let servers = match given.text("nats.url", "NATS_URL")? {
            Some(Text { text, path, .. }) if !text.is_empty() => Self::servers(&path, &text)?,
            _ => return Ok(None),
        };
        let max_deliver = u32::try_from(max_deliver).unwrap_or(DEFAULT_DELIVERIES);
        Ok(Some(Self { servers, durable_prefix, max_deliver, credentials_file, ca_file }))
    }

    /// Reads a list of URLs, separated by commas (the client's own parser takes one URL only); `path` is where it stood.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT`, without the URL: it may hold a password.
    pub fn servers(path: &str, urls: &str) -> Result<Vec<Server>> {
        let bad = |number: usize, problem: &str| Error::invalid(path, format_args!("URL {} {problem}", number + 1));
        let mut servers = Vec::new();
        for (i, text) in urls.split(',').map(str::trim).enumerate() {
            let with_scheme = if text.contains("://") { text.to_owned() } else { format!("nats://{text}") };
            let parsed: ServerAddr =
                with_scheme.parse().map_err(|_| bad(i, "is none: expected nats://[user:password@]host[:port]"))?;
            let mut url = parsed.into_inner();
            if !["nats", "tls"].contains(&url.scheme()) {
                return Err(bad(i, "must begin with nats:// or tls://"));
            }
            if url.host_str().is_none_or(str::is_empty) {
                return Err(bad(i, "names no host"));
            }
            let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            let (user, password) = (decoded(url.username()), url.password().map(decoded));
            let stripped = url.set_username("").and_then(|()| url.set_password(None));
            let address = stripped.ok().and_then(|()| ServerAddr::from_url(url).ok()).ok_or_else(|| bad(i, "cannot be used"))?;
            servers.push(Server { address, user, password });
        }
        Ok(servers)
    }

    /// Checks a prefix: what a consumer's name may hold.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT`.
    pub fn check_prefix(path: &str, prefix: &str) -> Result<()> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if (1..=LONGEST_PREFIX).contains(&prefix.len()) && prefix.chars().all(is_name) {
            return Ok(());
        }
        let problem = format_args!("must be 1 to {LONGEST_PREFIX} of A-Z a-z 0-9 - _, got {}", shown(prefix));
        Err(Error::invalid(path, problem))
    }

    /// User and password, where a URL has both.
    #[must_use]
    pub fn user_and_password(&self) -> Option<(&str, &str)> {
        self.servers.iter().find_map(|server| Some((server.user.as_str(), server.password.as_deref()?)))
    }

    /// A token: what stands before the `@` of a URL without a colon.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        let token = |server: &&Server| server.password.is_none() && !server.user.is_empty();
        self.servers.iter().find(token).map(|server| server.user.as_str())
    }

    /// A text of others', without our secrets.
    #[must_use]
    pub fn redacted(&self, text: &str) -> String {
        let secrets =
            self.servers.iter().flat_map(|server| [server.password.as_deref(), server.password.is_none().then_some(&*server.user)]);
        secrets.flatten().filter(|secret| !secret.is_empty()).fold(text.to_owned(), |text, secret| masked(&text, secret))
    }
}

impl fmt::Debug for NatsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsSettings")
            .field("servers", &self.servers)
            .field("durable_prefix", &self.durable_prefix)
            .field("max_deliver", &self.max_deliver)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = (self.address.scheme(), self.address.host(), self.address.port());
        if host.contains(':') { write!(f, "{scheme}://[{host}]:{port}") } else { write!(f, "{scheme}://{host}:{port}") }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(urls: &str) -> Result<NatsSettings> {
        Ok(NatsSettings {
            servers: NatsSettings::servers("options.nats.url", urls)?,
            durable_prefix: DEFAULT_PREFIX.to_owned(),
            max_deliver: DEFAULT_DELIVERIES,
            credentials_file: None,
            ca_file: None,
        })
    }

    #[test]
    fn urls_are_several_and_keep_their_secrets() {
        let found = settings("nats://me:p%40ss@one:4333, tls://two,three:5").unwrap();
        let shown: Vec<_> = found.servers.iter().map(Server::to_string).collect();
        assert_eq!(shown, ["nats://one:4333", "tls://two:4222", "nats://three:5"]);
        assert_eq!((found.user_and_password(), found.token()), (Some(("me", "p@ss")), None));
        let debug = format!("{found:?}");
        assert!(!debug.contains("p@ss") && !debug.contains("me:"), "{debug}");
        assert_eq!(found.redacted("refused p@ss for me"), "refused *** for me");
        let token = settings("nats://s3cret@one").unwrap();
        assert_eq!((token.user_and_password(), token.token()), (None, Some("s3cret")));
        assert_eq!(token.redacted("s3cret"), "***");
        let short = settings("nats://me:a@one,nats://n@two").unwrap();
        assert_eq!(short.redacted("cannot connect: \"a\" not allowed"), "cannot connect: \"***\" not allowed");
    }

    #[test]
    fn what_is_no_url_is_refused_without_repeating_it() {
        for urls in ["", ",", "http://secret:p@x", "nats://", "nats://secret:p@:1", "nats://secret@x:99999", "ws://secret@x"] {
            let problem = settings(urls).map(|found| format!("{found:?}")).unwrap_err();
            assert!(problem.message().starts_with("options.nats.url: URL ") && !problem.message().contains("secret"), "{problem}");
        }
        for prefix in ["", "a.b", "a b", "ü", &"x".repeat(65)] {
            assert!(NatsSettings::check_prefix("p", prefix).is_err(), "{prefix}");
        }
    }
}
