//! How NATS is reached: servers, who we are, TLS.

use super::pace::{Pace, STEADY};
use super::settings::NatsSettings;
use crate::error::{Error, Result, with_sources};
use crate::tls::{authorities, choose_provider};
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use parking_lot::Mutex;
use serde::Serialize;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// So many connections in a row that did not last are no accident.
const FLAPPING: u64 = 3;

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
    pub pace: Pace,
}

/// How the connection stands.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    pub state: ConnectionState,
    /// Why that is not better.
    pub problem: Option<String>,
    /// How often the connection was lost.
    pub reconnects: u64,
    /// Why we broke off the connection ourselves.
    broken_off: Option<String>,
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
                standing.reconnects += 1;
                let short_lives = self.pace.short_lives();
                standing.problem = Some(match standing.broken_off.take() {
                    Some(why) => why,
                    None if short_lives >= FLAPPING => format!(
                        "the connection was lost {short_lives} times in a row within {} s of being made: is it a NATS server, and does \
                         something between change what it sends?",
                        STEADY.as_secs()
                    ),
                    None => "the connection was lost".to_owned(),
                });
            }
            Event::ServerError(error) => self.fail(settings, &error.to_string()),
            Event::ClientError(error) => self.fail(settings, &error.to_string()),
            Event::LameDuckMode => self.fail(settings, "the server is shutting down"),
            Event::SlowConsumer(_) | Event::Draining | Event::Closed => {}
        }
    }

    /// We break off the connection: the client will say only that it is lost.
    pub fn break_off(&self, why: &str) {
        self.standing.lock().broken_off = Some(why.to_owned());
    }

    /// The client has ended by itself.
    pub fn end(&self) {
        let mut standing = self.standing.lock();
        standing.state = ConnectionState::Reconnecting;
        standing.reconnects += 1;
        standing.problem = Some("the server sent what the client cannot read: is it a NATS server?".to_owned());
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
    let pacing = Arc::clone(report);
    let mut options = ConnectOptions::new()
        .name("@oo/bandits")
        .connection_timeout(Duration::from_secs(5))
        .ping_interval(Duration::from_secs(10))
        .request_timeout(Some(Duration::from_secs(5)))
        .reconnect_delay_callback(move |attempts| pacing.pace.wait(attempts));
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

/// Says, by its own end, that the client has ended: a panic in the client ends its task, and its handle goes on as if nothing was.
pub type Ended = mpsc::Receiver<Infallible>;

/// Connects, however long that takes; later the client does by itself. (The client could try the first time, too, but would not
/// tell why it fails.)
pub async fn connect(options: &ConnectOptions, settings: &Arc<NatsSettings>, report: &Arc<ConnectionReport>) -> (Client, Ended) {
    let servers: Vec<ServerAddr> = settings.servers.iter().map(|server| server.address.clone()).collect();
    let mut attempt = 0;
    loop {
        attempt += 1;
        // The callback is the client's alone: it is let go of when the client's tasks end.
        let (alive, ended) = mpsc::channel::<Infallible>(1);
        let (heard, told) = (Arc::clone(report), Arc::clone(settings));
        let options = options.clone().event_callback(move |event| {
            let _held = &alive;
            heard.hear(&told, &event);
            std::future::ready(())
        });
        // A panic in there must not end the task.
        match tokio::spawn(options.connect(servers.clone())).await {
            Ok(Ok(client)) => {
                report.pace.connected();
                report.set(ConnectionState::Connected);
                return (client, ended);
            }
            Ok(Err(e)) => report.fail(settings, &with_sources(&e)),
            Err(_) => report.fail(settings, "the server sent what the client cannot read: is it a NATS server?"),
        }
        tokio::time::sleep(report.pace.wait(attempt)).await;
    }
}
