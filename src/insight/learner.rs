//! A policy that starts from nothing and learns from what it is told while logged decisions are played to it.

use crate::feature::vector;
use crate::log::{RecordedDecision, Seq};
use crate::policy::{Distribution, EGreedy2Ridge, EGreedyRidge, Folded, Lanes, LinUcbRidge, PolicyName, Scratch, score};
use crate::rng::Draw;
use std::collections::HashMap;

/// A policy and everybody whom it has met.
#[derive(Debug)]
pub struct Learner {
    policy: PolicyName,
    users: HashMap<Box<str>, Standing>,
    scratch: Scratch,
    /// The candidates of one decision, as scoring takes them.
    block: Vec<f64>,
}

#[derive(Debug)]
struct Standing {
    last: Seq,
    ridge: AnyRidge,
}

/// An estimator of the dimension of its policy.
#[derive(Debug)]
enum AnyRidge {
    LinUcb(Box<LinUcbRidge>),
    EGreedy1(Box<EGreedyRidge>),
    EGreedy2(Box<EGreedy2Ridge>),
}

impl AnyRidge {
    fn new(policy: PolicyName) -> Self {
        match policy {
            PolicyName::LinUcbV1 => Self::LinUcb(Box::default()),
            PolicyName::EGreedyV1 => Self::EGreedy1(Box::default()),
            PolicyName::EGreedyV2 => Self::EGreedy2(Box::default()),
        }
    }
}

/// Which candidates of a decision could be chosen; `None`: all.
pub fn eligible(decision: &RecordedDecision<'_>) -> Option<Vec<bool>> {
    if decision.masked.is_empty() {
        return None;
    }
    let mut eligible = vec![true; decision.ids.len()];
    for &place in &decision.masked {
        if let Some(eligible) = eligible.get_mut(place) {
            *eligible = false;
        }
    }
    Some(eligible)
}

impl Learner {
    /// The policy with this name, knowing nobody.
    pub fn new(policy: PolicyName) -> Self {
        Self { policy, users: HashMap::new(), scratch: Scratch::default(), block: Vec::new() }
    }

    /// How many it has met.
    pub fn users(&self) -> usize {
        self.users.len()
    }

    fn user(&mut self, user_id: &str) -> &mut Standing {
        let policy = self.policy;
        self.users.entry(user_id.into()).or_insert_with(|| Standing { last: Seq::default(), ridge: AnyRidge::new(policy) })
    }

    /// Whether a user's line comes in its turn: not a second time, nor after a later one.
    pub fn turn(&mut self, user_id: &str, seq: Seq) -> bool {
        let user = self.user(user_id);
        let is_next = user.last < seq;
        user.last = user.last.max(seq);
        is_next
    }

    /// What it would show to somebody whose [`Learner::turn`] it is.
    pub fn choose(&mut self, decision: &RecordedDecision<'_>, draw: Draw) -> usize {
        let candidates = decision.tasks.len();
        let lanes = Lanes::written(&decision.tasks, &mut self.block);
        let Some(user) = self.users.get(&*decision.user_id) else { return 0 };
        let (moment, profile, eligible) = (decision.moment, decision.profile.unwrap_or_default(), eligible(decision));
        let folded = match &user.ridge {
            AnyRidge::LinUcb(ridge) => Folded::linucb(ridge, moment, &profile),
            AnyRidge::EGreedy1(ridge) => Folded::egreedy(ridge, moment, &profile),
            AnyRidge::EGreedy2(ridge) => Folded::egreedy(ridge, moment, &profile),
        };
        let eligible = eligible.as_deref();
        let greedy = score(&folded, &lanes, eligible, &mut self.scratch);
        Distribution { greedy, epsilon: folded.epsilon(), candidates, eligible }.choose(draw).0
    }

    /// What is shown earned so much.
    pub fn learn(&mut self, decision: &RecordedDecision<'_>, reward: f64) {
        let Some(task) = decision.tasks.get(decision.index) else { return };
        let (moment, profile) = (decision.moment, decision.profile.unwrap_or_default());
        // What would leave the bounds of numbers was refused when it happened, too.
        let _ = match &mut self.user(&decision.user_id).ridge {
            AnyRidge::LinUcb(ridge) => ridge.update(&vector(moment, &profile, task), reward),
            AnyRidge::EGreedy1(ridge) => ridge.update(&vector(moment, &profile, task), reward),
            AnyRidge::EGreedy2(ridge) => ridge.update(&vector(moment, &profile, task), reward),
        };
    }

    /// The user starts anew.
    pub fn forget(&mut self, user_id: &str) {
        let policy = self.policy;
        self.user(user_id).ridge = AnyRidge::new(policy);
    }
}
