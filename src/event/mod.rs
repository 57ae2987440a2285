//! What happens elsewhere: messages on a NATS bus, handled once in effect however often they come, and shown to operators. Here are
//! subjects, payloads, what a message does, the consumers and their connection; the file of a user's last sync. Rewards do not come
//! this way: they are the caller's, by `reward()`. `docs/events.md` is the specification.

mod bus;
mod connection;
mod consumer;
mod guard;
mod handler;
mod masking;
mod pace;
mod payload;
mod publish;
mod ring;
mod settings;
mod subject;
mod sync_files;
mod time;

pub use bus::{BusReport, DeadLetter, EventBus, Published};
pub use connection::ConnectionState;
pub use consumer::ConsumerReport;
pub use handler::handle;
pub use publish::Publication;
pub use ring::{BusEvent, Delivery, EventFilter, EventRing, Outcome, Verdict};
pub use settings::{NatsSettings, Server};
pub use subject::SubjectFilter;
pub use sync_files::{SyncFiles, SyncState, When};
