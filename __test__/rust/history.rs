//! The feature history on its own: what goes in comes out, and no more than that is kept.

use crate::support::cases;
use oo_bandits::feature::{Moment, TaskFeatures};
use oo_bandits::policy::PolicyName;
use oo_bandits::state::{History, Pull};
use proptest::prelude::*;

fn pulls() -> impl Strategy<Value = (Pull, String)> {
    let finite = |v: &f64| v.is_finite();
    let age = prop_oneof![any::<f64>().prop_filter("finite", finite), (0u8..40).prop_map(f64::from), Just(-0.0), Just(1e308)];
    let score = any::<f64>().prop_filter("finite", finite);
    let id = prop_oneof![".{0,40}", "[a-z0-9-]{36}", Just("ж".repeat(500))];
    (any::<u32>(), 0usize..3, any::<bool>(), score, 0u8..24, 0u8..7, any::<bool>(), age, 1u8..=4, id).prop_map(
        |(seconds, policy, exploring, score, hour, day, is_overdue, task_age_days, priority, id)| {
            let (policy, moment) = (PolicyName::ALL[policy], Moment { hour, day });
            (Pull { seconds, policy, exploring, score, moment, task: TaskFeatures { is_overdue, task_age_days, priority } }, id)
        },
    )
}

fn listed(history: &History) -> Vec<(Pull, String)> {
    history.list().into_iter().map(|row| (row.pull, row.tip_id)).collect()
}

fn bits(list: &[(Pull, String)]) -> Vec<(u64, u64)> {
    list.iter().map(|(pull, _)| (pull.score.to_bits(), pull.task.task_age_days.to_bits())).collect()
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn the_last_ones_come_out_as_they_went_in(pulls in prop::collection::vec(pulls(), 0..120), limit in 0usize..40) {
        let mut history = History::default();
        for (i, (pull, id)) in pulls.iter().enumerate() {
            history.push(pull, id.as_bytes(), limit as u32);
            let from = (i + 1).saturating_sub(limit);
            prop_assert_eq!(&listed(&history)[..], &pulls[from..=i]);
            prop_assert_eq!(bits(&listed(&history)), bits(&pulls[from..=i]));
        }
        history.clear();
        prop_assert!(history.list().is_empty());
    }

    /// A limit that shrinks between two pushes takes the oldest ones out at once.
    #[test]
    fn a_smaller_limit_takes_effect_with_the_next_push(pulls in prop::collection::vec(pulls(), 20..60), smaller in 1usize..20) {
        let mut history = History::default();
        let (last, before) = pulls.split_last().unwrap();
        for (pull, id) in before {
            history.push(pull, id.as_bytes(), 100);
        }
        history.push(&last.0, last.1.as_bytes(), smaller as u32);
        prop_assert_eq!(&listed(&history)[..], &pulls[pulls.len() - smaller..]);
    }
}

/// An id longer than its length field is cut, between two characters, and its neighbours are whole.
#[test]
fn an_id_past_the_length_field_is_cut_to_a_prefix() {
    let pull = Pull {
        seconds: 1,
        policy: PolicyName::EGreedyV1,
        exploring: false,
        score: 0.5,
        moment: Moment::default(),
        task: TaskFeatures::default(),
    };
    let huge = "ж".repeat(40_000);
    let mut history = History::default();
    for id in ["before", &huge, "after"] {
        history.push(&pull, id.as_bytes(), 10);
    }
    let ids: Vec<_> = history.list().into_iter().map(|row| row.tip_id).collect();
    assert_eq!((&*ids[0], &*ids[2]), ("before", "after"));
    assert!(ids[1].len() > 60_000 && huge.starts_with(&ids[1]), "the id ends in {:?}", ids[1].chars().last());
}
