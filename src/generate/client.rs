//! One HTTP request to the proxy.

use super::retry_after::retry_after;
use super::settings::{LlmSettings, excerpt};
use crate::error::{Error, ErrorKind, Result, with_sources};
use crate::tls::{client_config, trusting_nobody};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use reqwest::{Response, Url};
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, timeout_at};

/// A reply of a few tips takes some kilobytes.
const LARGEST_BODY: usize = 1 << 20;
/// Of an error's body, for people.
const LARGEST_ERROR_BODY: usize = 64 * 1024;
/// And so long is waited for it: what counts is the status.
const ERROR_PATIENCE: Duration = Duration::from_secs(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);

/// The proxy's connections, kept for the next request.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    endpoint: Url,
}

/// What came back with a status of success.
#[derive(Debug)]
pub struct Received {
    pub body: Vec<u8>,
    /// How long the proxy asks to be left alone: an error may come with such a status, too.
    pub retry_after: Option<Duration>,
}

/// What came back instead.
#[derive(Debug)]
pub enum Failure {
    /// No answer, or not all of it.
    Unreachable(String),
    /// Not in time.
    Late,
    /// An answer with a status that is no success.
    Status { status: u16, problem: String, retry_after: Option<Duration> },
    /// A success with a body that nobody would want.
    TooLarge,
}

impl Client {
    /// Connects to nobody yet. For https this reads the system's certificates.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT` when `caFile` cannot be used.
    pub fn new(settings: &LlmSettings) -> Result<Self> {
        let broken =
            |e: reqwest::Error| Error::new(ErrorKind::Internal, format!("cannot make an HTTP client: {}", with_sources(&e)));
        let option = "options.litellm.caFile";
        let is_encrypted = settings.url.scheme() == "https";
        let config = if is_encrypted { client_config(option, settings.ca_file.as_deref()) } else { trusting_nobody(option) }?;
        let headers = HeaderMap::from_iter([(AUTHORIZATION, settings.key.header()?)]);
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            .default_headers(headers)
            .user_agent(concat!("oo-bandits/", env!("CARGO_PKG_VERSION")))
            // The key goes where it was meant to go: not where a reply or the environment sends it.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            // Whether to repeat a request is decided in one place.
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build()
            .map_err(broken)?;
        let mut endpoint = settings.url.clone();
        endpoint.set_path(&format!("{}/chat/completions", settings.url.path().trim_end_matches('/')));
        Ok(Self { http, endpoint })
    }

    /// Sends a request and reads the whole answer, within `patience`.
    pub async fn post(&self, settings: &LlmSettings, body: String, patience: Duration) -> Result<Received, Failure> {
        let until = Instant::now() + patience;
        let late = |_| Failure::Late;
        let lost = |e: reqwest::Error| Failure::Unreachable(settings.key.redact(&with_sources(&e.without_url())));
        let request = self.http.post(self.endpoint.clone()).header(CONTENT_TYPE, "application/json").body(body);
        let mut response = timeout_at(until, request.send()).await.map_err(late)?.map_err(lost)?;
        let (status, mut body) = (response.status(), Vec::new());
        let retry_after = retry_after(response.headers(), SystemTime::now());
        if status.is_success() {
            timeout_at(until, read_up_to(&mut response, LARGEST_BODY, &mut body)).await.map_err(late)?.map_err(lost)?;
            return if body.len() > LARGEST_BODY { Err(Failure::TooLarge) } else { Ok(Received { body, retry_after }) };
        }
        let until = until.min(Instant::now() + ERROR_PATIENCE);
        let is_whole = timeout_at(until, read_up_to(&mut response, LARGEST_ERROR_BODY, &mut body)).await;
        if !matches!(is_whole, Ok(Ok(()))) || body.len() > LARGEST_ERROR_BODY {
            // A key that was cut off would not be found.
            body.truncate(body.len().saturating_sub(settings.key.longest_form()));
        }
        let problem = excerpt(&settings.key.redact(&String::from_utf8_lossy(&body)));
        Err(Failure::Status { status: status.as_u16(), problem, retry_after })
    }
}

/// Reads until the end, or until there is more than `largest`; what is left unread goes with the connection.
async fn read_up_to(response: &mut Response, largest: usize, body: &mut Vec<u8>) -> Result<(), reqwest::Error> {
    while body.len() <= largest
        && let Some(chunk) = response.chunk().await?
    {
        body.extend_from_slice(&chunk);
    }
    Ok(())
}
