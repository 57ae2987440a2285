//! The composition root: one engine on one state directory. Here a request meets a user's state, and here it is decided in
//! which order things happen; how they are computed is in `policy`, how they are kept in `state`.

mod report;
mod request;
mod shared;

pub use report::{FeatureHistory, FeatureRecord, Health, PolicyStats};
pub use request::{Refused, RewardCall, ScoreCall};
pub use shared::{Handle, open_shared};

use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::feature;
use crate::policy::{Candidates, Choice, MAX_SUM, PolicyName, Scratch, choose_egreedy, choose_linucb};
use crate::rng::Chance;
use crate::settings::Settings;
use crate::state::{Done, PolicyState, Pull, StateStore, User, UserState, Users, Writer};
use std::sync::Arc;

/// An engine: users, their policies, and the thread that keeps them. Every method may be called from any thread.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    clock: Arc<dyn Clock>,
    chance: Chance,
    users: Arc<Users>,
    store: Arc<dyn StateStore>,
    writer: Writer,
}

impl Engine {
    /// An engine on a store, with time and chance given. [`open_shared`] opens one on a directory.
    ///
    /// # Errors
    /// `ERR_STATE_IO` when the writer's thread cannot be started.
    pub fn new(settings: Settings, store: Arc<dyn StateStore>, clock: Arc<dyn Clock>) -> Result<Self> {
        let users = Arc::new(Users::new(Arc::clone(&store)));
        let writer = Writer::start(Arc::clone(&users), Arc::clone(&store))?;
        let chance = Chance::seeded(settings.seed.unwrap_or_else(Chance::unrepeatable_seed));
        Ok(Self { settings, clock, chance, users, store, writer })
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

    /// Chooses a candidate, counts the pull and adds it to the history. `tip_id` says, once, what the candidate at a place is
    /// called, in UTF-8; it runs under the user's lock.
    ///
    /// # Errors
    /// [`Refused::Retired`] when the user must be looked up again; `ERR_STATE_CORRUPT`.
    #[inline]
    pub fn score<Id: AsRef<[u8]>>(
        &self,
        user: &Arc<User>,
        call: &ScoreCall<'_>,
        scratch: &mut Scratch,
        tip_id: impl FnOnce(usize) -> Result<Id>,
    ) -> Result<Choice, Refused> {
        let seconds = self.seconds();
        let mut state = user.state.lock();
        if state.is_retired() {
            return Err(Refused::Retired);
        }
        let choice = match call.normalised {
            None => self.choose(&mut state, call, &call.lanes, scratch),
            Some(normalised) => self.choose(&mut state, call, normalised, scratch),
        }?;
        let (policy, moment, task) = (call.policy, call.moment, call.lanes.task(choice.index));
        let pull = Pull { seconds, policy, exploring: choice.exploring, score: choice.score, moment, task };
        // Whatever can fail comes before the first change.
        let tip_id = tip_id(choice.index)?;
        state.count(&pull);
        state.history.push(&pull, tip_id.as_ref(), self.settings.history_size);
        if state.touch(policy) {
            self.writer.enqueue(user);
        }
        Ok(choice)
    }

    #[inline]
    fn choose(
        &self,
        state: &mut UserState,
        call: &ScoreCall<'_>,
        candidates: &impl Candidates,
        scratch: &mut Scratch,
    ) -> Result<Choice> {
        let (moment, profile) = (call.moment, &call.profile);
        Ok(match call.policy {
            PolicyName::LinUcbV1 => choose_linucb(&state.linucb()?.ridge, &feature::shared(moment, profile), candidates, scratch),
            PolicyName::EGreedyV1 => {
                let ridge = &state.egreedy()?.ridge;
                choose_egreedy(ridge, &feature::shared(moment, profile), candidates, self.chance.draw(), scratch)
            }
            PolicyName::EGreedyV2 => {
                let ridge = &state.egreedy2()?.ridge;
                choose_egreedy(ridge, &feature::shared(moment, profile), candidates, self.chance.draw(), scratch)
            }
        })
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
        let pulls = self.users.hot(user_id).map(|user| user.state.lock().history.list()).unwrap_or_default();
        Ok(FeatureHistory::new(user_id, pulls))
    }

    /// Puts a user back to the start.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn reset(&self, user_id: &str) -> Result<()> {
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

    /// Writes what is left and ends the writer's thread.
    fn stop(&self, done: Done) {
        self.writer.stop(done);
    }

    /// After [`Engine::stop`]: lets go of what the store holds open, whoever still holds the engine.
    fn release(&self) {
        self.store.close();
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation)] // seconds fit 32 bits until 2106
    fn seconds(&self) -> u32 {
        (self.clock.now_ms() / 1000) as u32
    }
}

fn learn<const D: usize, const P: usize>(state: &mut PolicyState<D, P>, call: &RewardCall, seconds: u32) -> Result<()> {
    let RewardCall { moment, ref profile, ref task, reward, .. } = *call;
    let too_large = || Error::invalid("reward", format_args!("{reward:e} would take the user's sums past ±{MAX_SUM:e}"));
    let sum = state.counters.cumulative_reward + reward;
    if sum.is_nan() || sum.abs() > MAX_SUM {
        return Err(too_large());
    }
    state.ridge.update(&feature::vector(moment, profile, task), reward).map_err(|_| too_large())?;
    state.counters.cumulative_reward = sum;
    state.counters.reward_count = state.counters.reward_count.saturating_add(1);
    state.counters.last_updated = Some(seconds);
    Ok(())
}
