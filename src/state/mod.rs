//! Where users stand and how that is kept: the state of one user in memory, the map of users, the state files with their
//! names and owners, the thread that writes them, the lock on the directory, and what the interaction log means for a state.
//! What a reward does to an estimator is in `policy`; the log itself is in `log`; when things happen is decided in `engine`.
//!
//! A change goes one way: user (under its lock) → writer's queue → state file. The [`StateStore`] trait is the seam behind
//! which another kind of storage can stand.

mod byte_ring;
mod epoch_file;
mod file;
mod file_name;
mod history;
mod ledger;
mod listing;
mod lock;
mod order;
mod policy_file;
mod prefetch;
mod record;
mod recovery;
mod replay;
mod store;
mod user;
mod users;
mod writer;

pub use epoch_file::{NAME as EPOCH_FILE, kept_epoch, next_epoch, reserve_epoch};
pub use file::{parse, serialise, serialise_state};
pub use file_name::hashed_name;
pub use file_name::{distinct_name, plain_name};
pub use history::{History, HistoryRow, Pull};
pub use ledger::{Entry, Ledger};
pub use listing::{ListedUser, Place, place_of};
pub use lock::DirectoryLock;
pub use policy_file::{load_policies, remove_unfinished, save_policies};
pub use record::{Counters, Extra, Record, UserBounds};
pub use recovery::{
    Change, Damage, ForeignFile, Gathered, Progress, Rebuilt, Recovered, RecoveryReport, ShortSegment, What, gather_all,
    gather_tail, rebuild, survey,
};
pub use replay::{ReplayReport, replay};
pub use store::{Naming, Stamp, StateFiles, StateStore, StoreReport};
pub use user::{PolicyState, Reaction, User, UserState};
pub use users::{Completeness, DamagedFile, Journal, Users};
pub use writer::{EraseElsewhere, MarkHold, Writer, WriterReport};
