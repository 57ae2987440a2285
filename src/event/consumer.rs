//! One durable pull consumer: finds its stream, takes messages in batches, hands them to the handler and answers the server. It
//! goes on until it is told to stop, whatever the server does meanwhile.

use super::bus::Shared;
use super::handler::handle;
use super::ring::{Delivery, Outcome, Verdict};
use crate::background::{Backoff, guarded, spread_wait};
use crate::clock::format_millis;
use crate::error::{Error, ErrorKind, Result, with_sources};
use async_nats::Client;
use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, FromConsumer, PullConsumer};
use async_nats::jetstream::stream::{ConsumerError, ConsumerErrorKind, Stream};
use async_nats::jetstream::{AckKind, Context, ErrorCode, Message};
use futures_util::StreamExt;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

/// Messages handled together at most: syncs of one user among them cost one file.
const BATCH: usize = 500;
/// As many bytes are asked for at a time, unless one message alone has more: what is on its way when a request has expired comes again.
const BATCH_BYTES: usize = 1 << 20;
/// A link that does not bring these in time is asked for less and less, down to this.
const LEAST_BYTES: usize = 1 << 16;
/// A request for messages stands so long. One that a dying server has lost is noticed no earlier, so it is short.
const REQUEST: Duration = Duration::from_secs(2);
/// How much later than that the server's word for it may come.
const SLACK: Duration = Duration::from_millis(250);
/// A batch waits so long for company once its first message is there.
const COALESCE: Duration = Duration::from_millis(2);
/// When stopping, messages that are on their way arrive within this.
const LAST_WORDS: Duration = Duration::from_millis(20);
/// The server delivers again what was not answered within this: a batch takes a fraction of it.
const ACK_WAIT: Duration = Duration::from_secs(30);
/// Waits between attempts to find the stream.
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(2);
/// Messages that may be unanswered at a time: a few batches that died with their processes must not hold up the next one's.
const MOST_UNANSWERED: i64 = 10_000;
/// A request whose messages are still coming is waited for so long at most: well within [`ACK_WAIT`].
const SLOW: Duration = Duration::from_secs(6);
/// The server's code for a consumer that is not there.
const NO_SUCH_CONSUMER: u64 = 10014;
/// What the server says of a request that cannot take the next message because of its size, also when it has taken others.
const NO_ROOM: &str = "Exceeds MaxBytes";

/// What a consumer is for.
#[derive(Debug, Clone, Copy)]
pub struct Purpose {
    /// In names and in health.
    pub name: &'static str,
    /// Of which subjects.
    pub filter: &'static str,
}

/// How a consumer does, for `health()`.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct ConsumerReport {
    pub subject: &'static str,
    pub stream: Option<String>,
    pub streams_not_read: Vec<String>,
    pub durable: Option<String>,
    pub last_msg_ts: Option<String>,
    pub processed: u64,
    pub ignored: u64,
    pub errors: u64,
    pub redelivered: u64,
    pub terminated: u64,
    pub refused_ts: u64,
    #[serde(skip)]
    pub last_refused_ts: Option<String>,
    pub pending: Option<u64>,
    pub problem: Option<String>,
}

/// A consumer of one engine.
pub struct Consumer {
    pub purpose: Purpose,
    pub report: Mutex<ConsumerReport>,
}

impl Consumer {
    pub fn new(purpose: Purpose) -> Self {
        Self { purpose, report: Mutex::new(ConsumerReport { subject: purpose.filter, ..ConsumerReport::default() }) }
    }

    /// Consumes until `stop` says so.
    pub async fn run(self: Arc<Self>, shared: Arc<Shared>, context: Context, mut stop: watch::Receiver<bool>) {
        let mut backoff = Backoff::between(FIRST_RETRY, LAST_RETRY);
        while !*stop.borrow() {
            let attached = tokio::select! {
                attached = self.attach(&shared, &context) => attached,
                () = told(&mut stop) => return,
            };
            let outcome = match attached {
                Ok(consumer) => {
                    backoff = Backoff::between(FIRST_RETRY, LAST_RETRY);
                    self.report.lock().problem = None;
                    self.consume(&shared, &context, &consumer, &mut stop).await
                }
                Err(e) => Err(e),
            };
            backoff.note(&outcome);
            if let (Err(problem), Some(wait)) = (outcome, backoff.wait()) {
                self.report.lock().problem = Some(shared.redacted(&problem));
                // Told to stop while waiting: the loop's condition sees it.
                let _ = timeout(wait, told(&mut stop)).await;
            }
        }
    }

    /// Finds the stream and the durable consumer, which is made where it is not there.
    async fn attach(&self, shared: &Shared, context: &Context) -> std::result::Result<PullConsumer, String> {
        let Purpose { name, filter } = self.purpose;
        let found = streams_by_subject(context, filter).await;
        let mut names = found.map_err(|problem| format!("no stream for {filter} is there (yet): {problem}"))?.into_iter();
        let stream_name = names.next().ok_or_else(|| format!("no stream for {filter} is there (yet): stream not found"))?;
        // Nothing is asked of it but its consumers, and reading all that can be said of a stream would be 0.1 MB of code.
        let stream =
            context.get_stream_no_info(&stream_name).await.map_err(|e| format!("stream {stream_name}: {}", with_sources(&e)))?;
        let plain = format!("{}-{name}", shared.settings.durable_prefix);
        let successor = format!("{plain}-pull");
        let (mut durable, existing, start) = match (info(&stream, &successor).await?, info(&stream, &plain).await?) {
            (Some(existing), _) => (successor, Some(existing), None),
            // A push consumer, the old service's: it cannot be made a pull consumer (10012), so another one goes on from where it
            // stands. It stays as it is, for those who want to go back.
            (None, Some(old)) if old.config.deliver_subject.is_some() => (successor, None, Some(old.ack_floor.stream_sequence + 1)),
            (None, existing) => (plain.clone(), existing, None),
        };
        let config = |durable: &str, kept: Option<Config>, start: Option<u64>| Config {
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            // Without end: whoever counts the attempts is this code, which fails a message; a process that dies fails none, and the
            // server would drop what it has delivered too often without anybody having tried.
            max_deliver: -1,
            max_ack_pending: MOST_UNANSWERED,
            backoff: Vec::new(),
            ..kept.unwrap_or_else(|| Config {
                durable_name: Some(durable.to_owned()),
                filter_subject: filter.to_owned(),
                deliver_policy: start
                    .map_or(DeliverPolicy::All, |start_sequence| DeliverPolicy::ByStartSequence { start_sequence }),
                ..Config::default()
            })
        };
        // What operators have set (replicas, limits) stays; where delivery began cannot be changed (10012).
        let kept = existing.and_then(|info| Config::try_from_consumer_config(info.config).ok());
        let created = match stream.create_consumer(config(&durable, kept, start)).await {
            // Only one consumer may take a subject of a work queue, and none may begin anywhere but at its first message.
            Err(e) if is_of_work_queue(&e) => {
                move_over(&stream, &stream_name, &plain).await?;
                durable = plain;
                stream.create_consumer(config(&durable, None, None)).await
            }
            created => created,
        };
        let consumer = created.map_err(|e| format!("consumer {durable}: {}", with_sources(&e)))?;
        let mut report = self.report.lock();
        report.stream = Some(stream_name);
        report.streams_not_read = names.collect();
        report.durable = Some(durable);
        report.pending = Some(consumer.cached_info().num_pending);
        Ok(consumer)
    }

    /// Takes batch after batch. Ends with a problem that attaching anew may mend, or when it is told to.
    async fn consume(
        &self,
        shared: &Arc<Shared>,
        context: &Context,
        consumer: &PullConsumer,
        stop: &mut watch::Receiver<bool>,
    ) -> std::result::Result<(), String> {
        let client = context.client();
        // Operators may have set smaller ones; what asks for more is refused.
        let limits = &consumer.cached_info().config;
        let (most, most_bytes) = (within(BATCH, limits.max_batch), within(BATCH_BYTES, limits.max_bytes));
        let mut bytes = most_bytes;
        let mut is_next_larger = false;
        loop {
            // No heartbeats: on one the client's batch sleeps without asking to be woken (`Batch::poll_next` in async-nats 0.51).
            let request = consumer.batch().expires(REQUEST);
            let request = if is_next_larger { request.max_messages(1) } else { request.max_messages(most).max_bytes(bytes) };
            let mut batch = request.messages().await.map_err(|e| e.to_string())?;
            let mut arrival = Arrival::begin(&client);
            let mut stopping = false;
            is_next_larger = false;
            loop {
                let first = tokio::select! {
                    biased;
                    () = told(stop), if !stopping => {
                        stopping = true;
                        continue;
                    }
                    // What the server has sent is handled: given back, it would have used up an attempt.
                    first = timeout_at(if stopping { Instant::now() + LAST_WORDS } else { arrival.end }, batch.next()) => first,
                };
                let mut messages = match first {
                    Ok(Some(Ok(message))) => vec![message],
                    Ok(Some(Err(e))) if e.to_string().contains(NO_ROOM) => {
                        is_next_larger = !arrival.has_messages;
                        break;
                    }
                    Ok(Some(Err(e))) => return Err(e.to_string()),
                    Err(_) if !stopping && arrival.goes_on() => continue,
                    // All that was asked for is here, or there was nothing more.
                    Ok(None) | Err(_) => break,
                };
                arrival.has_messages = true;
                let mut failed = None;
                let company = Instant::now() + COALESCE;
                while messages.len() < BATCH {
                    match timeout_at(company, batch.next()).await {
                        Ok(Some(Ok(message))) => messages.push(message),
                        Ok(Some(Err(e))) => {
                            failed = Some(e.to_string());
                            break;
                        }
                        Ok(None) | Err(_) => break,
                    }
                }
                self.work(shared, messages).await?;
                match failed {
                    Some(problem) if problem.contains(NO_ROOM) => break,
                    Some(problem) => return Err(problem),
                    None => {}
                }
            }
            if stopping {
                return Ok(());
            }
            bytes = if arrival.is_late() { (bytes / 4).max(LEAST_BYTES.min(most_bytes)) } else { (bytes * 2).min(most_bytes) };
            self.report.lock().problem = None;
        }
    }

    /// Handles messages and answers the server.
    async fn work(&self, shared: &Arc<Shared>, messages: Vec<Message>) -> std::result::Result<(), String> {
        let mut deliveries = Vec::with_capacity(messages.len());
        let mut answers = Vec::with_capacity(messages.len());
        let mut pending = None;
        for message in messages {
            let Ok(delivery) = delivery(&message) else { continue };
            pending = message.info().ok().map(|info| info.pending);
            deliveries.push(delivery);
            answers.push(message);
        }
        let deliveries: Arc<[Delivery]> = deliveries.into();
        let (of_thread, delivered) = (Arc::clone(shared), Arc::clone(&deliveries));
        let handled = tokio::task::spawn_blocking(move || {
            guarded("an event handler", || Ok(handle(&of_thread.files, &delivered, of_thread.clock.now_ms())))
        })
        .await;
        let handled = handled.unwrap_or_else(|e| Err(Error::new(ErrorKind::Internal, e.to_string())));
        let mut verdicts = handled.unwrap_or_else(|e| vec![failed(&e); deliveries.len()]);
        for (delivery, verdict) in deliveries.iter().zip(&mut verdicts) {
            if verdict.outcome == Outcome::Retried && delivery.deliveries >= u64::from(shared.settings.max_deliver) {
                verdict.outcome = Outcome::Dead;
            }
            if verdict.outcome == Outcome::Dead {
                shared.bury(delivery, verdict);
            }
        }
        self.count(&deliveries, &verdicts, pending);
        shared.ring.note(deliveries.iter().zip(&verdicts), shared.clock.now_ms());
        for ((message, delivery), verdict) in answers.iter().zip(&*deliveries).zip(&verdicts) {
            let answer = match verdict.outcome {
                Outcome::Handled | Outcome::Stale | Outcome::Ignored => AckKind::Ack,
                // Never without a delay: a bare nak comes back within a millisecond and burns the attempts.
                Outcome::Retried => AckKind::Nak(Some(retry_delay(delivery.deliveries))),
                Outcome::Dead => AckKind::Term,
            };
            message.ack_with(answer).await.map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    fn count(&self, deliveries: &[Delivery], verdicts: &[Verdict], pending: Option<u64>) {
        let of = |outcome| verdicts.iter().filter(|verdict| verdict.outcome == outcome).count() as u64;
        let mut report = self.report.lock();
        report.processed += of(Outcome::Handled) + of(Outcome::Stale) + of(Outcome::Ignored);
        report.ignored += of(Outcome::Ignored);
        report.errors += of(Outcome::Retried) + of(Outcome::Dead);
        report.terminated += of(Outcome::Dead);
        report.refused_ts += verdicts.iter().filter(|verdict| verdict.is_mistimed).count() as u64;
        let last = verdicts.iter().rfind(|verdict| verdict.is_mistimed).and_then(|verdict| verdict.problem.clone());
        report.last_refused_ts = last.or(report.last_refused_ts.take());
        report.redelivered += deliveries.iter().filter(|delivery| delivery.deliveries > 1).count() as u64;
        report.last_msg_ts = deliveries.last().map(|delivery| format_millis(delivery.published_ms)).or(report.last_msg_ts.take());
        report.pending = pending.or(report.pending);
    }
}

/// Waits until it is said, or nobody is left to say it.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Until when the messages of a request are waited for.
struct Arrival<'c> {
    client: &'c Client,
    end: Instant,
    last_end: Instant,
    /// What the connection had brought when it was last looked.
    bytes: u64,
    has_messages: bool,
}

impl<'c> Arrival<'c> {
    fn begin(client: &'c Client) -> Self {
        let now = Instant::now();
        Self { client, end: now + REQUEST + SLACK, last_end: now + SLOW, bytes: bytes_of(client), has_messages: false }
    }

    /// A link may be slow: as long as it brings something, what was asked for may be on its way.
    fn goes_on(&mut self) -> bool {
        let bytes = bytes_of(self.client);
        let has_come = bytes > self.bytes;
        self.bytes = bytes;
        self.end = (self.end + SLACK).min(self.last_end);
        has_come && self.end < self.last_end
    }

    /// The server's word that the request has expired is overdue.
    fn is_late(&self) -> bool {
        Instant::now() > self.end
    }
}

/// What is asked for, unless there is a limit below it; 0 is none.
fn within(asked: usize, limit: i64) -> usize {
    usize::try_from(limit).ok().filter(|limit| *limit > 0).map_or(asked, |limit| asked.min(limit))
}

fn bytes_of(client: &Client) -> u64 {
    client.statistics().in_bytes.load(Ordering::Relaxed)
}

/// The names of the streams that take some of a subject, in the order of their names, as the server gives them; of more than 1,024 the
/// first. (`Context::stream_by_subject` gives the last of them, and reads further pages as a stream of their own.)
async fn streams_by_subject(context: &Context, filter: &str) -> std::result::Result<Vec<String>, String> {
    let answer: Value = context.request("STREAM.NAMES", &json!({ "subject": filter })).await.map_err(|e| with_sources(&e))?;
    if let Some(error) = answer.get("error") {
        return Err(error.get("description").and_then(Value::as_str).unwrap_or("jetstream error").to_owned());
    }
    let names = answer.get("streams").and_then(Value::as_array).into_iter().flatten();
    let mut names: Vec<_> = names.filter_map(Value::as_str).map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

/// The server does not take a consumer because its stream is a work queue.
fn is_of_work_queue(e: &ConsumerError) -> bool {
    const CODES: [ErrorCode; 3] = [
        ErrorCode::CONSUMER_WQ_MULTIPLE_UNFILTERED,
        ErrorCode::CONSUMER_WQ_CONSUMER_NOT_UNIQUE,
        ErrorCode::CONSUMER_WQ_CONSUMER_NOT_DELIVER_ALL,
    ];
    matches!(e.kind(), ConsumerErrorKind::JetStream(error) if CODES.contains(&error.error_code()))
}

/// Makes room in a work queue, where it is our predecessor who has it: a push consumer of our name to which nobody listens any more. What it
/// has not acknowledged is still in the queue.
async fn move_over(stream: &Stream<()>, stream_name: &str, plain: &str) -> std::result::Result<(), String> {
    let queue = format!("stream {stream_name} is a work queue, of which only one consumer may take a subject");
    let old = info(stream, plain).await?.filter(|old| old.config.deliver_subject.is_some());
    let Some(old) = old else {
        return Err(format!(
            "{queue}, and another one takes some of ours: remove it (nats consumer ls {stream_name}, nats consumer rm {stream_name} …), or \
             have the stream keep messages by limits or interest"
        ));
    };
    if old.push_bound {
        return Err(format!(
            "{queue}, and the push consumer {plain} has it, to which somebody listens: stop the old service. Then this goes on by itself \
             (or now, with nats consumer rm {stream_name} {plain})"
        ));
    }
    stream.delete_consumer(plain).await.map(|_| ()).map_err(|e| format!("consumer {plain}: {}", with_sources(&e)))
}

async fn info(stream: &Stream<()>, consumer: &str) -> std::result::Result<Option<async_nats::jetstream::consumer::Info>, String> {
    use async_nats::jetstream::context::ConsumerInfoErrorKind;
    match stream.consumer_info(consumer).await {
        Ok(info) => Ok(Some(info)),
        Err(e) if e.kind() == ConsumerInfoErrorKind::NotFound => Ok(None),
        Err(e) => match e.kind() {
            ConsumerInfoErrorKind::JetStream(error) if error.error_code().0 == NO_SUCH_CONSUMER => Ok(None),
            _ => Err(format!("consumer {consumer}: {e}")),
        },
    }
}

fn delivery(message: &Message) -> Result<Delivery> {
    let info = message.info().map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
    let published_ms = info.published.unix_timestamp_nanos() / 1_000_000;
    Ok(Delivery {
        subject: message.subject.to_string(),
        payload: message.payload.as_ref().into(),
        stream: info.stream.to_owned(),
        stream_seq: info.stream_sequence,
        published_ms: u64::try_from(published_ms).unwrap_or(0),
        deliveries: u64::try_from(info.delivered).unwrap_or(1),
    })
}

fn failed(e: &Error) -> Verdict {
    Verdict { outcome: Outcome::Retried, user_id: None, problem: Some(e.message().to_owned()), is_mistimed: false }
}

/// 1, 2, 4 … s up to a minute, and up to a quarter of that more.
fn retry_delay(deliveries: u64) -> Duration {
    spread_wait(Duration::from_secs(1), deliveries.saturating_sub(1), Duration::from_mins(1), 0.25)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_a_minute() {
        for (deliveries, seconds) in [(0, 1), (1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (1000, 60)] {
            let delay = retry_delay(deliveries).as_secs_f64();
            let least = f64::from(seconds);
            assert!((least..=1.25 * least).contains(&delay), "{deliveries}: {delay}");
        }
    }
}
