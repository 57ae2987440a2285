//! How NATS is reached: servers, who we are, TLS, and for how long to wait before the next attempt.

use super::settings::NatsSettings;
use crate::background::spread_wait;
use crate::error::{Error, Result, with_sources};
use crate::tls::{authorities, choose_provider};
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use parking_lot::Mutex;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// The longest wait before another attempt to connect.
const LAST_RETRY: Duration = Duration::from_secs(4);

/// How the connection is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub enum ConnectionState {
    #[default]
    Stopped,
    Connecting,
    Connected,
    Reconnecting,
}

/// What was last heard of the connection.
#[derive(Debug, Default)]
pub struct ConnectionReport {
    standing: Mutex<Standing>,
}

/// How the connection stands.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    pub state: ConnectionState,
    /// Why that is not better.
    pub problem: Option<String>,
    /// How often the connection was lost.
    pub reconnects: u64,
}

impl ConnectionReport {
    pub fn get(&self) -> Standing {
        self.standing.lock().clone()
    }

    pub fn set(&self, state: ConnectionState) {
        let mut standing = self.standing.lock();
        standing.state = state;
        if matches!(state, ConnectionState::Connected | ConnectionState::Stopped) {
            standing.problem = None;
        }
    }

    fn hear(&self, settings: &NatsSettings, event: &Event) {
        match event {
            Event::Connected => self.set(ConnectionState::Connected),
            Event::Disconnected => {
                let mut standing = self.standing.lock();
                standing.state = ConnectionState::Reconnecting;
                standing.problem = Some("the connection was lost".to_owned());
                standing.reconnects += 1;
            }
            Event::ServerError(error) => self.fail(settings, &error.to_string()),
            Event::ClientError(error) => self.fail(settings, &error.to_string()),
            Event::LameDuckMode => self.fail(settings, "the server is shutting down"),
            Event::SlowConsumer(_) | Event::Draining | Event::Closed => {}
        }
    }

    /// What the client says may quote what it was told.
    fn fail(&self, settings: &NatsSettings, problem: &str) {
        self.standing.lock().problem = Some(settings.redacted(problem));
    }
}

/// How to connect.
///
/// # Errors
/// `ERR_INVALID_ARGUMENT` for credentials or certificates that cannot be read.
pub async fn options(settings: &Arc<NatsSettings>, report: &Arc<ConnectionReport>) -> Result<ConnectOptions> {
    choose_provider();
    let (heard, told) = (Arc::clone(report), Arc::clone(settings));
    let mut options = ConnectOptions::new()
        .name("@oo/bandits")
        .connection_timeout(Duration::from_secs(5))
        .ping_interval(Duration::from_secs(10))
        .request_timeout(Some(Duration::from_secs(5)))
        .reconnect_delay_callback(retry_after)
        .event_callback(move |event| {
            heard.hear(&told, &event);
            std::future::ready(())
        });
    if let Some(token) = settings.token() {
        options = options.token(token.to_owned());
    }
    if let Some((user, password)) = settings.user_and_password() {
        options = options.user_and_password(user.to_owned(), password.to_owned());
    }
    if let Some(path) = &settings.credentials_file {
        let given = options.credentials_file(path).await;
        let failed = |e| Error::invalid("options.nats.credentialsFile", format_args!("cannot read {}: {e}", path.display()));
        options = given.map_err(failed)?;
    }
    if let Some(path) = &settings.ca_file {
        authorities("options.nats.caFile", path)?;
        options = options.add_root_certificates(path.clone());
    }
    Ok(options)
}

/// Connects, however long that takes; later the client does by itself. (The client could try the first time, too, but would not
/// tell why it fails.)
pub async fn connect(options: ConnectOptions, settings: &NatsSettings, report: &ConnectionReport) -> Client {
    report.set(ConnectionState::Connecting);
    let servers: Vec<ServerAddr> = settings.servers.iter().map(|server| server.address.clone()).collect();
    let mut attempt = 0;
    loop {
        attempt += 1;
        // A panic in there must not end the task.
        match tokio::spawn(options.clone().connect(servers.clone())).await {
            Ok(Ok(client)) => {
                report.set(ConnectionState::Connected);
                return client;
            }
            Ok(Err(e)) => report.fail(settings, &with_sources(&e)),
            Err(e) => report.fail(settings, &e.to_string()),
        }
        tokio::time::sleep(retry_after(attempt)).await;
    }
}

/// 2, 4, 8 … ms up to a few seconds, and up to a half of that more: many clients must not come back at the same moment. (The
/// client's own waits have no such jitter.)
fn retry_after(attempts: usize) -> Duration {
    spread_wait(Duration::from_millis(1), attempts as u64, LAST_RETRY, 0.5)
}
