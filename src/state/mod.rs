//! Where users stand and how that is kept: the state of one user in memory, the map of users, the state files with their
//! names and owners, the thread that writes them, and the lock on the directory. What a reward does to an estimator is in
//! `policy`; when things happen is decided in `engine`.
//!
//! A change goes one way: user (under its lock) → writer's queue → state file. The [`StateStore`] trait is the seam behind
//! which another kind of storage can stand.

mod alnum_table;
mod directory;
mod file;
mod file_name;
mod history;
mod lock;
mod record;
mod store;
mod user;
mod users;
mod writer;

pub use directory::Directory;
pub use file::{parse, serialise};
pub use file_name::{distinct_name, plain_name};
pub use history::{History, Pull};
pub use lock::DirectoryLock;
pub use record::{Counters, Extra, Record};
pub use store::{Stamp, StateFiles, StateStore, StoreReport};
pub use user::{PolicyState, User, UserState};
pub use users::Users;
pub use writer::{Done, Writer, WriterReport};
