//! Lines read without what nobody asks for, for questions to a long log: where a line's keys and values stand, and the few values that
//! most questions need. What is told of them is in `insight`; what recovery reads, all of a line, is in [`read_line`](super::read_line).

mod decision;
mod fields;
mod line;

pub use decision::{Evaluated, LeanDecision, LeanFeedback};
pub use line::{Day, Line, put_in_order};
