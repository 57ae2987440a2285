//! From what is known of a user's moment and of a candidate to the feature vector x. Each feature is defined once, in
//! `definition.rs`, and both scoring and training take it from there. Nothing here knows a policy's state, JSON or time.
//!
//! The order of x is the order of [`LABELS`]; a policy with d features uses the first d.

mod definition;

pub use definition::{Moment, Profile, TaskFeatures, day_angles, hour_angles};

/// The features in the order of x, by the names that the state's readers know.
pub const LABELS: [&str; 12] = [
    "hour_sin",
    "hour_cos",
    "is_overdue",
    "task_age",
    "priority",
    "dow_sin",
    "dow_cos",
    "completion_rate_30d",
    "dismiss_rate_30d",
    "mean_dwell_norm",
    "preferred_hour_alignment",
    "tip_volume_norm",
];

/// Where in x the features stand that differ between candidates; all others are the same for every candidate of a request.
pub const CANDIDATE_SPAN: std::ops::Range<usize> = 2..5;

/// The features of the request, with zeros where a candidate's go.
#[must_use]
pub fn shared<const D: usize>(moment: Moment, profile: &Profile) -> [f64; D] {
    let mut x = [0.0; D];
    let (hour, day) = (hour_angles(moment.hour), day_angles(moment.day));
    x[0] = hour.0;
    x[1] = hour.1;
    if D >= 7 {
        x[5] = day.0;
        x[6] = day.1;
    }
    if D >= 12 {
        x[7..12].copy_from_slice(&profile.features(moment.hour));
    }
    x
}

/// The whole vector x of one candidate.
#[must_use]
pub fn vector<const D: usize>(moment: Moment, profile: &Profile, task: &TaskFeatures) -> [f64; D] {
    let mut x = shared(moment, profile);
    x[CANDIDATE_SPAN].copy_from_slice(&task.features());
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_the_shared_part_with_the_candidate_in_its_span() {
        let moment = Moment { hour: 6, day: 0 };
        let task = TaskFeatures { is_overdue: true, task_age_days: 15.0, priority: 4 };
        let x: [f64; 12] = vector(moment, &Profile::default(), &task);
        assert_eq!(x[CANDIDATE_SPAN], [1.0, 0.5, 1.0]);
        assert_eq!(x[0], 1.0);
        assert_eq!(x[5..7], [0.0, 1.0]);
        assert_eq!(x[7..], [0.0, 0.0, 0.0, 0.5, 0.0]);
        assert_eq!(vector::<5>(moment, &Profile::default(), &task), x[..5]);
    }
}
