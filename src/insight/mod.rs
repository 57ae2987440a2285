//! What operators and data people ask of the interaction log: which tips were shown and what became of them ([`decisions()`]), what
//! policies earn ([`analytics()`]), whether the data can be trusted ([`data_quality()`]), and what a policy would have earned
//! ([`simulate()`]). It only reads: no state of users, nothing that a policy learns from, nothing on the way of a decision. Each
//! question goes over the segments as they stand, says how far it is, and stops when it is told to.

mod analytics;
mod calibration;
mod comparison;
mod decisions;
mod estimate;
#[cfg(test)]
mod fixture;
mod join;
mod learner;
mod names;
mod quality;
mod reading;
mod simulate;

pub use analytics::{Analytics, AnalyticsFilter, By, Group, Summary, analytics};
pub use calibration::{Calibration, Frequency};
pub use comparison::{Agreement, PolicyComparison};
pub use decisions::{
    DecisionFilter, DecisionPage, DecisionRow, FeedbackRow, MOST_ROWS, ShadowRow, ShownFeatures, decision_id, decisions,
    parse_decision_id,
};
pub use estimate::Estimate;
pub use quality::{DataQuality, DayCompleteness, Delay, FeatureQuality, ProfileAge, data_quality};
pub use reading::{Found, Watch};
pub use simulate::{Simulation, SimulationSettings, simulate};
