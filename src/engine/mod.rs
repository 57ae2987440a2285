//! The composition root: one engine on one state directory. Here a request meets a user's state, and here it is decided in
//! which order things happen; how they are computed is in `policy`, how they are kept in `state`.

mod pull_ring;
mod report;
mod request;
mod shared;

pub use pull_ring::{PullRing, RECORD_ID_BYTES, RECORD_WORDS, RING_HEADER_WORDS, RING_RECORDS};
pub use report::{FeatureHistory, FeatureRecord, Health, PolicyStats};
pub use request::{Refused, RewardCall, ScoreCall};
pub use shared::{Handle, open_shared};

use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::feature;
use crate::policy::{Choice, MAX_SUM, PolicyName, Scratch, choose_egreedy, choose_linucb};
use crate::rng::Chance;
use crate::settings::Settings;
use crate::state::{Counters, Done, PolicyState, Pull, StateStore, User, Users, Writer};
use parking_lot::Mutex;
use std::sync::{Arc, Weak};

/// An engine: users, their policies, and the thread that keeps them. Every method may be called from any thread.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    clock: Arc<dyn Clock>,
    chance: Chance,
    users: Arc<Users>,
    store: Arc<dyn StateStore>,
    writer: Writer,
    rings: Arc<Mutex<Vec<Weak<PullRing>>>>,
}

impl Engine {
    /// An engine on a store, with time and chance given. [`open_shared`] opens one on a directory.
    ///
    /// # Errors
    /// `ERR_STATE_IO` when the writer's thread cannot be started.
    pub fn new(settings: Settings, store: Arc<dyn StateStore>, clock: Arc<dyn Clock>) -> Result<Self> {
        let users = Arc::new(Users::new(Arc::clone(&store)));
        let rings: Arc<Mutex<Vec<Weak<PullRing>>>> = Arc::default();
        let (to_settle, limit) = (Arc::clone(&rings), settings.history_size);
        let collect = Box::new(move || settle(&to_settle, limit));
        let writer = Writer::start(Arc::clone(&users), Arc::clone(&store), collect)?;
        let chance = Chance::seeded(settings.seed.unwrap_or_else(Chance::unrepeatable_seed));
        Ok(Self { settings, clock, chance, users, store, writer, rings })
    }

    /// What the engine was told.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The user, loaded at first sight. The id was checked by the caller.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn user(&self, user_id: &str) -> Result<Arc<User>> {
        self.users.get(user_id)
    }

    /// Chooses a candidate and counts the pull. The pull is not yet in the history: see [`Engine::remember`] and [`PullRing`].
    ///
    /// # Errors
    /// [`Refused::Retired`] when the user must be looked up again; `ERR_STATE_CORRUPT`.
    #[inline]
    pub fn score(&self, user: &Arc<User>, call: &ScoreCall<'_>, scratch: &mut Scratch) -> Result<(Choice, Pull), Refused> {
        let seconds = self.seconds();
        let mut state = user.state.lock();
        if state.is_retired() {
            return Err(Refused::Retired);
        }
        let choice = match call.policy {
            PolicyName::LinUcbV1 => {
                let PolicyState { ridge, counters, .. } = state.linucb()?;
                let choice = choose_linucb(ridge, &feature::shared(call.moment, &call.profile), call.normalised, scratch);
                count_pull(counters, &choice, seconds);
                choice
            }
            PolicyName::EGreedyV1 => {
                let PolicyState { ridge, counters, .. } = state.egreedy()?;
                let x = feature::shared(call.moment, &call.profile);
                let choice = choose_egreedy(ridge, &x, call.normalised, self.chance.draw(), scratch);
                count_pull(counters, &choice, seconds);
                choice
            }
            PolicyName::EGreedyV2 => {
                let PolicyState { ridge, counters, .. } = state.egreedy2()?;
                let x = feature::shared(call.moment, &call.profile);
                let choice = choose_egreedy(ridge, &x, call.normalised, self.chance.draw(), scratch);
                count_pull(counters, &choice, seconds);
                choice
            }
        };
        if state.touch(call.policy) {
            self.writer.enqueue(user);
        }
        drop(state);
        let (policy, moment, task) = (call.policy, call.moment, call.lanes.task(choice.index));
        Ok((choice, Pull { seconds, policy, exploring: choice.exploring, score: choice.score, moment, task }))
    }

    /// Whether [`Engine::score`] would refuse this user and policy.
    ///
    /// # Errors
    /// Those of [`Engine::score`].
    pub fn probe(&self, user: &User, policy: PolicyName) -> Result<(), Refused> {
        let state = user.state.lock();
        if state.is_retired() {
            return Err(Refused::Retired);
        }
        state.standing(policy)?;
        Ok(())
    }

    /// Adds a pull to its user's history.
    pub fn remember(&self, user: &User, pull: &Pull, tip_id: &str) {
        user.state.lock().history.push(pull, tip_id, self.settings.history_size);
    }

    /// Learns from a reaction.
    ///
    /// # Errors
    /// [`Refused::Retired`] when the user must be looked up again; `ERR_STATE_CORRUPT`; `ERR_INVALID_ARGUMENT` when the sums
    /// would leave the range of doubles. Nothing has changed then.
    pub fn reward(&self, user: &Arc<User>, call: &RewardCall) -> Result<(), Refused> {
        let seconds = self.seconds();
        let mut state = user.state.lock();
        if state.is_retired() {
            return Err(Refused::Retired);
        }
        match call.policy {
            PolicyName::LinUcbV1 => learn(state.linucb()?, call, seconds),
            PolicyName::EGreedyV1 => learn(state.egreedy()?, call, seconds),
            PolicyName::EGreedyV2 => learn(state.egreedy2()?, call, seconds),
        }?;
        if state.touch(call.policy) {
            self.writer.enqueue(user);
        }
        Ok(())
    }

    /// Where a user stands.
    ///
    /// # Errors
    /// `ERR_STATE_CORRUPT`, `ERR_STATE_IO`.
    pub fn stats(&self, user_id: &str, policy: PolicyName) -> Result<PolicyStats> {
        let (counters, theta) = self.users.look(user_id, |state| state.standing(policy))?;
        Ok(PolicyStats::new(user_id, policy, &counters, theta))
    }

    /// The user's last scored vectors.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn features(&self, user_id: &str) -> Result<FeatureHistory> {
        self.settle();
        let pulls = self.users.hot(user_id).map(|user| user.state.lock().history.list()).unwrap_or_default();
        Ok(FeatureHistory::new(user_id, pulls))
    }

    /// Puts a user back to the start.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn reset(&self, user_id: &str) -> Result<()> {
        self.settle();
        loop {
            let user = self.users.get(user_id)?;
            let mut state = user.state.lock();
            if state.is_retired() {
                continue;
            }
            if state.reset() {
                self.writer.enqueue(&user);
            }
            return Ok(());
        }
    }

    /// Removes a user from memory and store; `done` is called when the removal is on disk.
    pub fn erase(&self, user_id: &str, done: Done) {
        self.settle();
        self.writer.erase(user_id, done);
    }

    /// Calls `done` when everything acknowledged so far survives power loss.
    pub fn flush(&self, done: Done) {
        self.writer.flush(done);
    }

    /// How the engine is doing.
    #[must_use]
    pub fn health(&self) -> Health {
        Health::new(&self.settings, self.users.len(), &self.writer.report(), &self.store.report())
    }

    /// Makes a ring through which one thread hands over the ids of its pulls.
    #[must_use]
    pub fn pull_ring(&self) -> Arc<PullRing> {
        let ring = Arc::new(PullRing::new());
        let mut rings = self.rings.lock();
        rings.retain(|ring| ring.strong_count() > 0);
        rings.push(Arc::downgrade(&ring));
        ring
    }

    /// Brings all published pulls into the histories.
    pub fn settle(&self) {
        settle(&self.rings, self.settings.history_size);
    }

    /// Writes what is left and ends the writer's thread.
    fn stop(&self, done: Done) {
        self.settle();
        self.writer.stop(done);
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation)] // seconds fit 32 bits until 2106
    fn seconds(&self) -> u32 {
        (self.clock.now_ms() / 1000) as u32
    }
}

fn settle(rings: &Mutex<Vec<Weak<PullRing>>>, history_size: u32) {
    let rings: Vec<Arc<PullRing>> = rings.lock().iter().filter_map(Weak::upgrade).collect();
    for ring in rings {
        ring.settle(usize::MAX, |user, pull, tip_id| user.state.lock().history.push(pull, tip_id, history_size));
    }
}

#[inline]
fn count_pull(counters: &mut Counters, choice: &Choice, seconds: u32) {
    counters.pulls += 1;
    counters.explore_count += u64::from(choice.exploring);
    counters.last_updated = Some(seconds);
}

fn learn<const D: usize, const P: usize>(state: &mut PolicyState<D, P>, call: &RewardCall, seconds: u32) -> Result<()> {
    let RewardCall { moment, ref profile, ref task, reward, .. } = *call;
    let too_large = || Error::invalid("reward", format_args!("{reward} would take the user's sums past ±{MAX_SUM:e}"));
    let sum = state.counters.cumulative_reward + reward;
    // The negation is what refuses NaN, too.
    if !(sum.abs() <= MAX_SUM) {
        return Err(too_large());
    }
    state.ridge.update(&feature::vector(moment, profile, task), reward).map_err(|_| too_large())?;
    state.counters.cumulative_reward = sum;
    state.counters.reward_count += 1;
    state.counters.last_updated = Some(seconds);
    Ok(())
}
