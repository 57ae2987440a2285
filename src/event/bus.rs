//! The event bus of one engine: its consumers, started once and stopped with the engine, and what operators ask about them.

use super::connection::{ConnectionReport, ConnectionState, Ended, Standing, connect, options};
use super::consumer::{Consumer, ConsumerReport, Purpose};
use super::guard::guard;
use super::publish::{Line, Publication};
use super::ring::{Delivery, EventRing, Verdict};
use super::settings::{NatsSettings, Server};
use super::subject::check_subject;
use super::sync_files::{SyncFiles, SyncState};
use crate::clock::{Clock, format_millis};
use crate::disk::Directory;
use crate::error::{Done, Error, ErrorKind, Result, printable};
use crate::log::{DeadLine, InteractionLog};
use crate::runtime::{Cancel, runtime};
use async_nats::Client;
use async_nats::connection::State;
use async_nats::jetstream::ContextBuilder;
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

/// One consumer for each kind of subject.
const PURPOSES: [Purpose; 2] =
    [Purpose { name: "signals", filter: "signals.>" }, Purpose { name: "feedback", filter: "feedback.>" }];
/// Closing waits so long for messages that are being handled.
const DRAIN: Duration = Duration::from_secs(3);
/// Asking the server takes at most so long.
const PATIENCE: Duration = Duration::from_secs(5);
/// A consumer's question to a server that is electing a leader is lost; it is asked again after this.
const QUESTION: Duration = Duration::from_secs(2);
/// The last dead letters are shown in health.
const SHOWN_DEAD: usize = 10;

/// What consumers work with.
pub struct Shared {
    pub settings: Arc<NatsSettings>,
    pub files: Arc<SyncFiles>,
    pub ring: Arc<EventRing>,
    pub clock: Arc<dyn Clock>,
    log: Option<Arc<InteractionLog>>,
    dead: Mutex<Dead>,
}

/// What was given up: how much, and the last of it.
#[derive(Default, Clone)]
struct Dead {
    count: u64,
    letters: VecDeque<DeadLetter>,
}

impl Shared {
    pub fn redacted(&self, text: &str) -> String {
        self.settings.redacted(text)
    }

    /// Keeps a message visible that is given up: in the log, on standard error, and in health.
    pub fn bury(&self, delivery: &Delivery, verdict: &Verdict) {
        let problem = verdict.problem.as_deref().unwrap_or_default();
        let Delivery { subject, stream, stream_seq, deliveries, .. } = delivery;
        let line = DeadLine {
            user_id: verdict.user_id.as_deref(),
            subject,
            stream,
            stream_seq: *stream_seq,
            deliveries: *deliveries,
            problem,
        };
        if let Some(log) = &self.log {
            // Where that fails health() says so; the letter is in the ring, and the stream has the message.
            let _ = log.dead(self.clock.now_ms(), &line);
        }
        say(&format!("gave up message {stream_seq} of stream {stream} ({subject}) after {deliveries} deliveries: {problem}"));
        let letter = DeadLetter {
            ts: format_millis(self.clock.now_ms()),
            subject: subject.clone(),
            stream: stream.clone(),
            stream_seq: *stream_seq,
            deliveries: *deliveries,
            user_id: verdict.user_id.clone(),
            problem: problem.to_owned(),
        };
        let mut dead = self.dead.lock();
        dead.count += 1;
        if dead.letters.len() >= SHOWN_DEAD {
            dead.letters.pop_front();
        }
        dead.letters.push_back(letter);
    }
}

#[allow(clippy::print_stderr)] // a person's event is given up: somebody should see it who looks at no health()
fn say(what: &str) {
    eprintln!("@oo/bandits: {}", printable(what));
}

/// A message that was given up.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct DeadLetter {
    pub ts: String,
    pub subject: String,
    pub stream: String,
    pub stream_seq: u64,
    pub deliveries: u64,
    pub user_id: Option<String>,
    pub problem: String,
}

/// Runs the consumers until they are told to stop, and takes leave of the server; false when the client has ended before.
async fn consume(
    client: &Client,
    ended: &mut Ended,
    shared: &Arc<Shared>,
    report: &ConnectionReport,
    consumers: &[Arc<Consumer>],
    stopped: &mut watch::Receiver<bool>,
) -> bool {
    let context = ContextBuilder::new().timeout(QUESTION).build(client.clone());
    let (stop, stopping) = watch::channel(false);
    let run =
        |consumer: &Arc<Consumer>| tokio::spawn(Arc::clone(consumer).run(Arc::clone(shared), context.clone(), stopping.clone()));
    let tasks: Vec<_> = consumers.iter().map(run).collect();
    let is_told = tokio::select! {
        biased;
        _ = stopped.wait_for(|stop| *stop) => true,
        _ = ended.recv() => false,
        () = guard(client, report) => false,
    };
    stop.send_replace(true);
    for task in tasks {
        // One that panicked has ended, too.
        let _ = task.await;
    }
    if is_told {
        // The answers to the last messages are on their way; without a server there is nobody to send them to.
        if client.connection_state() == State::Connected {
            let _ = timeout(PATIENCE, client.flush()).await;
        }
        let _ = timeout(PATIENCE, client.drain()).await;
    }
    is_told
}

/// How the bus does, for `health()`.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct BusReport {
    pub enabled: bool,
    pub state: ConnectionState,
    pub servers: Vec<String>,
    pub server: Option<String>,
    pub problem: Option<String>,
    pub reconnects: u64,
    pub consumers: BTreeMap<&'static str, ConsumerReport>,
    pub dead: u64,
    pub dead_letters: VecDeque<DeadLetter>,
}

/// What a publication became.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct Published {
    pub stream: String,
    pub stream_seq: u64,
    pub duplicate: bool,
}

enum Life {
    NotStarted,
    Starting,
    Running { stop: watch::Sender<bool>, ended: oneshot::Receiver<()> },
    Over,
}

struct Running {
    shared: Arc<Shared>,
    report: Arc<ConnectionReport>,
    consumers: Vec<Arc<Consumer>>,
    life: Arc<Mutex<Life>>,
    clients: Arc<watch::Sender<Line>>,
}

/// See the module.
pub struct EventBus {
    ring: Arc<EventRing>,
    /// `None`: the engine has no directory.
    files: Option<Arc<SyncFiles>>,
    /// `None`: no server was named.
    running: Option<Running>,
}

impl EventBus {
    /// A bus that is not started.
    #[must_use]
    pub fn new(
        settings: Option<Arc<NatsSettings>>,
        directory: Option<Arc<Directory>>,
        log: Option<Arc<InteractionLog>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (ring, files) = (Arc::new(EventRing::default()), directory.map(|directory| Arc::new(SyncFiles::new(directory))));
        let running = settings.zip(files.clone()).map(|(settings, files)| {
            let (ring, dead) = (Arc::clone(&ring), Mutex::default());
            Running {
                shared: Arc::new(Shared { settings, files, ring, clock, log, dead }),
                report: Arc::default(),
                consumers: PURPOSES.map(|purpose| Arc::new(Consumer::new(purpose))).into(),
                life: Arc::new(Mutex::new(Life::NotStarted)),
                clients: Arc::new(watch::channel(Line::Waiting).0),
            }
        });
        Self { ring, files, running }
    }

    /// The last events.
    #[must_use]
    pub const fn ring(&self) -> &Arc<EventRing> {
        &self.ring
    }

    /// A user's last sync.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn sync_state(&self, user_id: &str) -> Result<Option<SyncState>> {
        self.files.as_ref().map_or(Ok(None), |files| files.load(user_id))
    }

    /// Forgets a user: its file and the events about it.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn erase(&self, user_id: &str) -> Result<()> {
        self.ring.forget(user_id);
        if let Some(running) = &self.running {
            running.shared.dead.lock().letters.retain(|letter| letter.user_id.as_deref() != Some(user_id));
        }
        self.files.as_ref().map_or(Ok(()), |files| files.erase(user_id))
    }

    /// Starts the consumers, where a server is named and that has not been done. `done` is called when they run, which does not
    /// mean that a server is there: they keep looking for one.
    pub fn start(&self, done: Done) {
        let Some(Running { shared, report, consumers, life, clients }) = &self.running else { return done(Ok(())) };
        let runtime = match runtime() {
            Ok(runtime) => runtime,
            Err(e) => return done(Err(e)),
        };
        {
            let mut life = life.lock();
            match *life {
                Life::NotStarted => *life = Life::Starting,
                Life::Starting | Life::Running { .. } => {
                    drop(life);
                    return done(Ok(()));
                }
                Life::Over => {
                    drop(life);
                    return done(Err(Error::closed()));
                }
            }
        }
        let (shared, report, consumers) = (Arc::clone(shared), Arc::clone(report), consumers.clone());
        let (life, clients) = (Arc::clone(life), Arc::clone(clients));
        runtime.spawn(async move {
            let options = match options(&shared.settings, &report).await {
                Ok(options) => options,
                Err(e) => {
                    let mut life = life.lock();
                    if matches!(*life, Life::Starting) {
                        *life = Life::NotStarted;
                    }
                    drop(life);
                    return done(Err(e));
                }
            };
            let (stop, mut stopped) = watch::channel(false);
            let (end, ended) = oneshot::channel();
            let was_closed = {
                let mut life = life.lock();
                let was_closed = matches!(*life, Life::Over);
                if !was_closed {
                    *life = Life::Running { stop, ended };
                }
                was_closed
            };
            if was_closed {
                return done(Err(Error::closed()));
            }
            done(Ok(()));
            loop {
                report.set(ConnectionState::Connecting);
                let (client, mut client_ended) = tokio::select! {
                    connected = connect(&options, &shared.settings, &report) => connected,
                    _ = stopped.wait_for(|stop| *stop) => break,
                };
                clients.send_if_modified(|line| line.put(Line::There(client.clone())));
                if consume(&client, &mut client_ended, &shared, &report, &consumers, &mut stopped).await {
                    break;
                }
                clients.send_if_modified(|line| line.put(Line::Waiting));
                report.end();
                let _ = timeout(report.pace.ended(), stopped.wait_for(|stop| *stop)).await;
            }
            report.set(ConnectionState::Stopped);
            // Nobody waits when the engine was closed without patience.
            let _ = end.send(());
        });
    }

    /// Ends the consumers: what is being handled is finished, within a deadline. `done` is called in any case.
    pub fn stop(&self, done: Box<dyn FnOnce() + Send>) {
        let Some(Running { life, report, clients, .. }) = &self.running else { return done() };
        clients.send_replace(Line::Over);
        let before = std::mem::replace(&mut *life.lock(), Life::Over);
        let Life::Running { stop, ended, .. } = before else { return done() };
        // Consumers that have ended do not listen any more.
        let _ = stop.send(true);
        let report = Arc::clone(report);
        match runtime() {
            Ok(runtime) => drop(runtime.spawn(async move {
                // Late ones are cut off by the end of the process, and their messages are delivered again.
                let _ = timeout(DRAIN, ended).await;
                report.set(ConnectionState::Stopped);
                // What is done now may wait for the disk.
                let _ = tokio::task::spawn_blocking(done).await;
            })),
            Err(_) => done(),
        }
    }

    /// Publishes a message and waits until a stream has it. `done` is called once, unless the call is cancelled first: then it gets nothing.
    pub fn publish(&self, publication: Publication, cancel: Cancel, done: impl FnOnce(Option<Result<Published>>) + Send + 'static) {
        if let Err(e) = check_subject("subject", &publication.subject) {
            return done(Some(Err(e)));
        }
        let lasting = |message: &str| Some(Err(Error::new(ErrorKind::NatsUnreachable, message).lasting()));
        let Some(Running { shared, report, life, clients, .. }) = &self.running else {
            return done(lasting("there is no event bus: neither nats.url nor NATS_URL was given"));
        };
        if matches!(*life.lock(), Life::NotStarted) {
            return done(lasting("the event bus is not started: call start()"));
        }
        let (shared, report, line) = (Arc::clone(shared), Arc::clone(report), clients.subscribe());
        match runtime() {
            Ok(runtime) => drop(runtime.spawn(async move {
                done(tokio::select! {
                    biased;
                    () = cancel.cancelled() => None,
                    published = publication.publish(line, &report, |text| shared.redacted(text)) => Some(published),
                });
            })),
            Err(e) => done(Some(Err(e))),
        }
    }

    /// How it does.
    #[must_use]
    pub fn report(&self) -> BusReport {
        let Some(Running { shared, report, consumers, clients, .. }) = &self.running else { return BusReport::default() };
        let Standing { state, problem, reconnects, .. } = report.get();
        let server = match &*clients.borrow() {
            Line::There(client) if state == ConnectionState::Connected => {
                let info = client.server_info();
                Some(format!("{} ({}:{}, {})", info.server_name, info.host, info.port, info.version))
            }
            _ => None,
        };
        let Dead { count, letters } = shared.dead.lock().clone();
        BusReport {
            enabled: true,
            state,
            servers: shared.settings.servers.iter().map(Server::to_string).collect(),
            server,
            problem,
            reconnects,
            consumers: consumers.iter().map(|consumer| (consumer.purpose.name, consumer.report.lock().clone())).collect(),
            dead: count,
            dead_letters: letters,
        }
    }
}

impl std::fmt::Debug for EventBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventBus").field("report", &self.report()).finish_non_exhaustive()
    }
}
