//! The interaction log: what happened, one JSON line per pull, reward and reset, in segments under `STATE_DIR/log/`.
//! `docs/interaction-log.md` is its specification. Here are the lines, the segments, the thread that writes pulls and syncs; what
//! a line means for a user's state is in `state`, when lines are written is decided in `engine`.

mod active;
mod bounds;
mod cut;
mod decision;
mod decision_event;
mod event;
mod interaction_log;
mod lean;
mod line;
mod queue;
mod segment;
mod seq;
mod unsynced;

pub use bounds::{LAST_EPOCH, LAST_NUMBER, MOST_SKIPPED, Sorted, sort_segments};
pub use cut::{CutSegment, cut_segments};
pub use decision::{ChoiceLine, DecisionLine, FeedbackLine};
pub use decision_event::{RecordedChoice, RecordedDecision, RecordedFeedback};
pub use event::{Event, LineError, Recorded, read_line, written_head};
pub use interaction_log::{Growth, InteractionLog, LogReport, LogSettings, LogStanding, Lookup, is_covered};
pub use lean::{Day, Evaluated, LeanDecision, LeanFeedback, Line, put_in_order};
pub use line::{DeadLine, Inputs, LineWriter, PreviousSegment, PullLine, RewardLine, StateLine};
pub use segment::{Piece, SegmentName, last_low_water, pieces};
pub use seq::Seq;
