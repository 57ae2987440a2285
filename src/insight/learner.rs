//! A policy that starts from nothing and learns from what it is told while logged decisions are played to it.

use crate::feature::{TaskFeatures, shared, vector};
use crate::log::{RecordedDecision, Seq};
use crate::policy::{Candidates, Distribution, EPSILON, PolicyName, Ridge, Scratch, score_egreedy, score_linucb};
use crate::rng::Draw;
use std::collections::HashMap;
use std::fmt::Debug;

/// A policy of whatever dimension.
pub trait Replayed: Debug {
    /// Whether a user's line comes in its turn: not a second time, nor after a later one.
    fn turn(&mut self, user_id: &str, seq: Seq) -> bool;
    /// What it would show.
    fn choose(&mut self, decision: &RecordedDecision<'_>, draw: Draw) -> usize;
    /// What is shown earned so much.
    fn learn(&mut self, decision: &RecordedDecision<'_>, reward: f64);
    /// The user starts anew.
    fn forget(&mut self, user_id: &str);
}

/// The policy with this name, knowing nobody.
pub fn replayed(policy: PolicyName) -> Box<dyn Replayed> {
    match policy {
        PolicyName::LinUcbV1 => Box::new(Learner::<5, 15>::new(policy)),
        PolicyName::EGreedyV1 => Box::new(Learner::<7, 28>::new(policy)),
        PolicyName::EGreedyV2 => Box::new(Learner::<12, 78>::new(policy)),
    }
}

#[derive(Debug, Default)]
struct Standing<const D: usize, const P: usize> {
    last: Seq,
    ridge: Ridge<D, P>,
}

#[derive(Debug)]
struct Learner<const D: usize, const P: usize> {
    policy: PolicyName,
    users: HashMap<Box<str>, Standing<D, P>>,
    scratch: Scratch,
}

/// A line's candidates as they stand there.
struct Tasks<'a>(&'a [TaskFeatures]);

impl Candidates for Tasks<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // as the trait says
    fn score_each(&self, scores: &mut [f64], score: impl Fn([f64; 3]) -> f64) {
        for (to, task) in scores.iter_mut().zip(self.0) {
            let overdue = f64::from(u8::from(task.is_overdue));
            *to = score([overdue, TaskFeatures::age(task.task_age_days), TaskFeatures::level(f64::from(task.priority))]);
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

impl<const D: usize, const P: usize> Learner<D, P> {
    fn new(policy: PolicyName) -> Self {
        Self { policy, users: HashMap::new(), scratch: Scratch::default() }
    }

    fn user(&mut self, user_id: &str) -> &mut Standing<D, P> {
        if !self.users.contains_key(user_id) {
            self.users.insert(user_id.into(), Standing::default());
        }
        self.users.entry(user_id.into()).or_default()
    }
}

impl<const D: usize, const P: usize> Replayed for Learner<D, P> {
    fn turn(&mut self, user_id: &str, seq: Seq) -> bool {
        let user = self.user(user_id);
        let is_next = user.last < seq;
        user.last = user.last.max(seq);
        is_next
    }

    fn choose(&mut self, decision: &RecordedDecision<'_>, draw: Draw) -> usize {
        let nobody = Ridge::new();
        let ridge = self.users.get(&*decision.user_id).map_or(&nobody, |user| &user.ridge);
        let x = shared(decision.moment, &decision.profile.unwrap_or_default());
        let (candidates, eligible) = (Tasks(&decision.tasks), eligible(decision));
        let (greedy, epsilon) = if self.policy.explores_by_chance() {
            (score_egreedy(ridge, &x, &candidates, eligible.as_deref(), &mut self.scratch), EPSILON)
        } else {
            (score_linucb(ridge, &x, &candidates, eligible.as_deref(), &mut self.scratch), 0.0)
        };
        Distribution { greedy, epsilon, candidates: candidates.len(), eligible: eligible.as_deref() }.choose(draw).0
    }

    fn learn(&mut self, decision: &RecordedDecision<'_>, reward: f64) {
        let Some(task) = decision.tasks.get(decision.index) else { return };
        let x = vector(decision.moment, &decision.profile.unwrap_or_default(), task);
        // What would leave the bounds of numbers was refused when it happened, too.
        let _ = self.user(&decision.user_id).ridge.update(&x, reward);
    }

    fn forget(&mut self, user_id: &str) {
        self.user(user_id).ridge = Ridge::new();
    }
}
