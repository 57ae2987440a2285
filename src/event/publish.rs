//! Publishing: waiting for a server, sending, and what the answers mean.

use super::bus::Published;
use super::connection::ConnectionReport;
use crate::error::{Error, ErrorKind, Result, with_sources};
use async_nats::Client;
use async_nats::connection::State;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::{self, ContextBuilder, ErrorCode};
use std::error::Error as _;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

/// The client does not tell when it is connected again: it is asked this often.
const LOOK: Duration = Duration::from_millis(5);

/// Whether there is a client to publish by.
#[derive(Debug, Clone, Default)]
pub enum Line {
    /// Not yet, or not any more until the next.
    #[default]
    Waiting,
    /// There is; it may have lost its connection for a while.
    There(Client),
    /// The engine is closed.
    Over,
}

impl Line {
    /// Changes it, unless it is over; whether it has.
    pub fn put(&mut self, line: Self) -> bool {
        let goes_on = !matches!(self, Self::Over);
        if goes_on {
            *self = line;
        }
        goes_on
    }
}

/// A message to be published.
#[derive(Debug)]
pub struct Publication {
    /// Where.
    pub subject: String,
    /// What.
    pub payload: Vec<u8>,
    /// How long it may take: waiting for a server, and for a stream's word that it has it.
    pub patience: Duration,
}

impl Publication {
    /// Publishes, and waits until a stream has the message.
    ///
    /// # Errors
    /// `ERR_NATS_UNREACHABLE`, `ERR_INVALID_ARGUMENT` where the payload is too large, `ERR_CLOSED`.
    pub async fn publish(
        self,
        line: watch::Receiver<Line>,
        report: &ConnectionReport,
        redacted: impl Fn(&str) -> String,
    ) -> Result<Published> {
        let Self { subject, payload, patience } = self;
        let deadline = Instant::now() + patience;
        let failed = |problem: &str| {
            let message = format!("publish to {subject}: {}", redacted(problem));
            Error::new(ErrorKind::NatsUnreachable, message)
        };
        let Ok(client) = timeout_at(deadline, connected(line)).await else {
            let why = report.get().problem.map_or_else(String::new, |problem| format!(": {problem}"));
            return Err(failed(&format!("no server is connected after {} ms{why}", patience.as_millis())));
        };
        let client = client?;
        let (size, limit) = (payload.len(), client.max_payload());
        let context = ContextBuilder::new().timeout(patience).build(client);
        let sent = async { context.publish(subject.clone(), payload.into()).await?.await };
        let answer = timeout_at(deadline, sent).await;
        let acknowledged = answer.map_err(|_| failed(&format!("no answer within {} ms", patience.as_millis())))?;
        let ack = acknowledged.map_err(|e| match e.kind() {
            PublishErrorKind::MaxPayloadExceeded => {
                Error::invalid("payload", format_args!("{size} bytes; the server takes at most {limit} (its max_payload)"))
            }
            _ if is_too_large_for_stream(&e) => Error::invalid(
                "payload",
                format_args!("{size} bytes; the stream that takes {subject} allows fewer (its max_msg_size): nats stream info"),
            ),
            _ => failed(&with_sources(&e)),
        })?;
        Ok(Published { stream: ack.stream, stream_seq: ack.sequence, duplicate: ack.duplicate })
    }
}

/// Resolves when a server is connected: what is sent before would be sent at any time later, when its caller was told that it failed.
async fn connected(mut line: watch::Receiver<Line>) -> Result<Client> {
    loop {
        let there = line.wait_for(|line| !matches!(line, Line::Waiting)).await.map(|line| line.clone());
        let Ok(Line::There(client)) = there else { return Err(Error::closed()) };
        if client.connection_state() == State::Connected {
            return Ok(client);
        }
        sleep(LOOK).await;
    }
}

fn is_too_large_for_stream(e: &PublishError) -> bool {
    let answer = e.source().and_then(|source| source.downcast_ref::<jetstream::Error>());
    answer.is_some_and(|answer| answer.error_code() == ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM)
}
