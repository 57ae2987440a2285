//! The composition root: one engine on one state directory. Here a request meets a user's state, and here it is decided in
//! which order things happen; how they are computed is in `policy`, how they are kept in `state`.

mod decide;
mod open;
mod pending;
mod reads;
mod refusals;
mod report;
mod request;
mod roles;
mod shared;

pub use decide::{Chosen, Explanation, FeedbackCall, FeedbackOutcome, RecommendCall, Recommendation};
pub use open::{open, replay};
pub use reads::{Answer, Answered, Bell, Question, Reading, UserPage, UserPolicyRow, UserRow};
pub use refusals::RefusedReactions;
pub use report::{FeatureHistory, FeatureRecord, Health, PolicyStats};
pub use request::{PullCall, Refused, RewardCall, ScoreCall, Texts};
pub use roles::{PolicyRole, RoleSource};
pub use shared::{Handle, open_shared};

use crate::clock::Clock;
use crate::disk::Directory;
use crate::error::{Done, ErrorKind, Result, again};
use crate::event::EventBus;
use crate::generate::Generator;
use crate::log::{Inputs, InteractionLog, PullLine, RewardLine, StateLine};
use crate::policy::{Choice, FoldCache, FoldKey, PolicyName, PolicyRegistry, Scratch, choose, choose_masked};
use crate::rng::Chance;
use crate::settings::Settings;
use crate::state::{Journal, Pull, Reaction, RecoveryReport, StateStore, User, UserState, Users, Writer, serialise_state};
use parking_lot::Mutex;
use pending::Pending;
use reads::Reads;
use refusals::Refusals;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;

/// An engine: users, their policies, and the threads that keep them. Every method may be called from any thread.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    clock: Arc<dyn Clock>,
    chance: Chance,
    users: Arc<Users>,
    store: Arc<dyn StateStore>,
    log: Option<Arc<InteractionLog>>,
    writer: Writer,
    bus: Arc<EventBus>,
    generator: Generator,
    policies: Mutex<PolicyRegistry>,
    /// Held by who changes them, because that waits for the disk.
    changing_policies: Mutex<()>,
    /// The number of the active one.
    active: AtomicU8,
    directory: Option<Arc<Directory>>,
    pending: Arc<Pending>,
    refusals: Refusals,
    reads: Arc<Reads>,
    recovery: RecoveryReport,
}

/// What an engine keeps its state in.
pub struct Keeping {
    /// Where users' states are.
    pub store: Arc<dyn StateStore>,
    /// What is written ahead of every change, if anything is.
    pub log: Option<Arc<InteractionLog>>,
    /// What is asked about states that were read.
    pub journal: Option<Box<dyn Journal>>,
    /// What is known of users from elsewhere; `None`: nothing, and nobody asks.
    pub directory: Option<Arc<Directory>>,
    /// What operators decided about policies.
    pub registry: PolicyRegistry,
    /// The number of this opening of the directory, from 1: what chance does follows from it.
    pub epoch: u32,
}

impl Engine {
    /// An engine on a store alone, with time and chance given. [`open_shared`] opens one on a directory.
    ///
    /// # Errors
    /// `ERR_STATE_IO` when the writer's thread cannot be started.
    pub fn new(settings: Settings, store: Arc<dyn StateStore>, clock: Arc<dyn Clock>) -> Result<Self> {
        Self::with(
            settings,
            Keeping { store, log: None, journal: None, directory: None, registry: PolicyRegistry::default(), epoch: 1 },
            clock,
        )
    }

    /// The same with a log.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn with(settings: Settings, keeping: Keeping, clock: Arc<dyn Clock>) -> Result<Self> {
        let Keeping { store, log, journal, directory, registry, epoch } = keeping;
        let most = usize::try_from(settings.max_hot_users).unwrap_or(usize::MAX);
        let users = Arc::new(Users::new(Arc::clone(&store), journal, settings.user_bounds(), most));
        let bus = Arc::new(EventBus::new(settings.nats.clone(), directory.clone(), log.clone(), Arc::clone(&clock)));
        let pending = Arc::new(Pending::default());
        let active = AtomicU8::new(registry.active(settings.active_policy) as u8);
        let policies = Mutex::new(registry);
        let elsewhere = Arc::clone(&bus);
        let erase_elsewhere = Box::new(move |user_id: &str| elsewhere.erase(user_id));
        let writer = Writer::start(Arc::clone(&users), Arc::clone(&store), log.clone(), erase_elsewhere)?;
        let seed = settings.seed.unwrap_or_else(Chance::unrepeatable_seed);
        // Draws of its own: who asks for tips must not change who explores.
        let generator = Generator::new(Arc::clone(&settings.litellm), Chance::of_opening(!seed, epoch), Arc::clone(&clock));
        let chance = Chance::of_opening(seed, epoch);
        Ok(Self {
            settings,
            clock,
            chance,
            users,
            store,
            log,
            writer,
            bus,
            generator,
            policies,
            changing_policies: Mutex::default(),
            active,
            directory,
            pending,
            refusals: Refusals::default(),
            reads: Arc::default(),
            recovery: RecoveryReport::default(),
        })
    }

    /// What the engine was told.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// [`Directory::warning`].
    #[must_use]
    pub fn directory_warning(&self) -> Option<String> {
        self.directory.as_ref().and_then(|directory| directory.warning()).map(str::to_owned)
    }

    /// What opening the directory found in the log.
    #[must_use]
    pub const fn recovery(&self) -> &RecoveryReport {
        &self.recovery
    }

    /// The user, loaded at first sight. The id was checked by the caller.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn user(&self, user_id: &str) -> Result<Arc<User>> {
        let user = self.users.get(user_id);
        self.write_mended();
        user
    }

    /// Users whose files were damaged are written as they are now.
    fn write_mended(&self) {
        for user in self.users.take_mended() {
            self.writer.enqueue(&user);
        }
    }

    /// Chooses a candidate. Nothing but chance changes by that: what was chosen counts once [`Engine::pull`] is called with it.
    ///
    /// # Errors
    /// [`Refused::Retired`] when the user must be looked up again; `ERR_STATE_CORRUPT`.
    #[inline(always)]
    #[allow(clippy::inline_always)] // called from two places it would become a call, which costs 2 % of a score
    pub fn choose(
        &self,
        user: &User,
        call: &ScoreCall<'_>,
        folds: &mut FoldCache,
        scratch: &mut Scratch,
    ) -> Result<Choice, Refused> {
        let key = |revision| FoldKey::new(revision, call.policy, call.moment, call.profile.as_ref());
        let of_transient;
        let folded = if let Some(folded) = folds.get(&key(user.revision())) {
            folded
        } else {
            let mut state = user.lock();
            if state.is_retired() || !state.may_be_chosen_for() {
                return Err(Refused::Retired);
            }
            let folded = state.fold(call.policy, call.moment, &call.profile.unwrap_or_default())?;
            state.foresee(call.policy);
            if state.is_transient() {
                of_transient = folded;
                &of_transient
            } else {
                folds.put(&key(user.revision()), folded)
            }
        };
        let draw = || self.chance.draw();
        if let Some(eligible) = call.eligible {
            return Ok(match call.normalised {
                None => choose_masked(folded, &call.lanes, eligible, draw, scratch),
                Some(normalised) => choose_masked(folded, normalised, eligible, draw, scratch),
            });
        }
        Ok(match call.normalised {
            None => choose(folded, &call.lanes, draw, scratch),
            Some(normalised) => choose(folded, normalised, draw, scratch),
        })
    }

    /// Counts a choice as a pull, and adds it to the history and the log. `texts` says what is kept of it beside its numbers; it is asked
    /// under the user's lock, once.
    ///
    /// # Errors
    /// As [`Engine::choose`], and those of `texts`: nothing has changed then.
    #[inline(always)]
    #[allow(clippy::inline_always)] // called from two places it would become a call, which costs 2 % of a score
    pub fn pull<'t>(&self, user: &Arc<User>, call: &PullCall, texts: impl FnOnce() -> Result<Texts<'t>>) -> Result<(), Refused> {
        let ms = self.clock.now_ms();
        let mut state = user.lock();
        if state.is_retired() {
            return Err(Refused::Retired);
        }
        if state.is_transient() {
            self.drop_pull(&mut state);
            return Ok(());
        }
        let texts = texts()?;
        let PullCall { policy, moment, profile, choice, task, candidates, allowed } = *call;
        let (was_absent, first) = (state.is_absent(policy), state.is_unknown(policy));
        state.make_ready(policy)?;
        if state.queue() {
            self.writer.enqueue(user);
        }
        // Where that fails it is done with the next change.
        let _ = self.adopt_foreign(&mut state, &user.id, policy, ms);
        if was_absent {
            state.claim(policy, &user.id, &*self.store);
        }
        let (exploring, score) = (choice.exploring, choice.score);
        let pull = Pull { seconds: seconds(ms), policy, exploring, score, moment, task };
        let ordinal = state.history.pulls();
        state.count(&pull);
        state.remember(&pull, texts.tip_id.as_bytes(), self.settings.history_size);
        let seq = self.log_on().map(|log| {
            let seq = log.next_seq();
            #[allow(clippy::cast_possible_truncation)] // at most 100,000 candidates
            let line = PullLine {
                user_id: &user.id,
                tip_id: texts.tip_id,
                inputs: Inputs { policy, moment, task, profile, computed_at: texts.computed_at },
                index: choice.index as u32,
                candidates,
                allowed,
                score,
                exploring,
                propensity: choice.propensity,
                prompt_version: texts.prompt_version,
                ordinal,
                first,
            };
            log.pull(seq, ms, &line);
            seq
        });
        state.touch(policy, seq);
        Ok(())
    }

    /// The log, where what happens is appended.
    #[inline]
    fn log_on(&self) -> Option<&InteractionLog> {
        self.log.as_deref().filter(|log| log.is_on())
    }

    /// Whether what happens is appended to a log.
    #[inline]
    #[must_use]
    pub fn logs(&self) -> bool {
        self.log_on().is_some()
    }

    /// Writes to the log what somebody else's state was before our first change to it, where that is the case.
    ///
    /// # Errors
    /// As [`InteractionLog::reward`].
    #[inline]
    fn adopt_foreign(&self, state: &mut UserState, user_id: &str, policy: PolicyName, ms: u64) -> Result<()> {
        match self.log_on() {
            Some(log) if state.is_foreign(policy) => adopt(log, state, user_id, policy, ms),
            _ => Ok(()),
        }
    }

    /// A user for whom there is no room in memory was scored: the tip can be shown, but nothing is remembered of it.
    #[cold]
    fn drop_pull(&self, state: &mut UserState) {
        // The next call looks whether there is room now.
        state.retire_transient();
        if let Some(log) = &self.log {
            log.drop_pull();
        }
    }

    /// Learns from a reaction, once the log has it.
    ///
    /// # Errors
    /// [`Refused::Retired`] when the user must be looked up again; `ERR_STATE_CORRUPT`; `ERR_INVALID_ARGUMENT` when it is past
    /// `maxReward`, or the sums would leave the range of doubles; `ERR_STATE_IO` and `ERR_BACKPRESSURE`. Nothing has changed then.
    #[inline]
    pub fn reward(&self, user: &Arc<User>, call: &RewardCall<'_>) -> Result<(), Refused> {
        self.refusals.check_reward(call.reaction.reward, self.settings.max_reward)?;
        let ms = self.clock.now_ms();
        let mut state = user.lock();
        may_change(&mut state)?;
        if state.queue() {
            self.writer.enqueue(user);
        }
        let RewardCall { ref reaction, tip_id, computed_at } = *call;
        let Reaction { policy, moment, profile, task, reward } = *reaction;
        let (was_absent, first) = (state.is_absent(policy), state.is_unknown(policy));
        self.adopt_foreign(&mut state, &user.id, policy, ms)?;
        let mut seq = None;
        let learned = state.learn(reaction, seconds(ms), || {
            let Some(log) = self.log_on() else { return Ok(()) };
            let number = log.next_seq();
            let inputs = Inputs { policy, moment, task, profile, computed_at };
            seq = Some(number);
            log.reward(number, ms, &RewardLine { user_id: &user.id, tip_id, inputs, reward, first })
        });
        if learned.is_err() && was_absent {
            // Nothing may have changed, and a state was made to learn with.
            state.forget_new(policy);
        }
        learned?;
        if was_absent {
            state.claim(policy, &user.id, &*self.store);
        }
        state.touch(policy, seq);
        if seq.is_some() {
            state.announce(policy);
        }
        Ok(())
    }

    /// Where a user stands.
    ///
    /// # Errors
    /// `ERR_STATE_CORRUPT`, `ERR_STATE_IO`.
    pub fn stats(&self, user_id: &str, policy: PolicyName) -> Result<PolicyStats> {
        let looked = self.users.look(user_id, |state| state.standing(policy));
        self.write_mended();
        let (counters, theta) = looked?;
        Ok(PolicyStats::new(user_id, policy, &counters, theta))
    }

    /// The user's last scored vectors.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub fn features(&self, user_id: &str) -> Result<FeatureHistory> {
        let rows = self.users.look(user_id, |state| Ok(state.history.list()));
        self.write_mended();
        let rows = rows?;
        Ok(FeatureHistory::new(user_id, rows))
    }

    /// Puts a user back to the start, once the log has it.
    ///
    /// # Errors
    /// `ERR_STATE_IO`, `ERR_BACKPRESSURE`: nothing has changed then.
    pub fn reset(&self, user_id: &str) -> Result<()> {
        let ms = self.clock.now_ms();
        self.with_user(user_id, |user, state| {
            if state.is_at_start() {
                return Ok(());
            }
            if state.queue() {
                self.writer.enqueue(user);
            }
            let append = |log: &InteractionLog| {
                let seq = log.next_seq();
                log.reset(seq, ms, &user.id).map(|()| seq)
            };
            let seq = self.log_on().map(append).transpose()?;
            state.reset(seq);
            Ok(())
        })
    }

    /// Removes a user from memory, state files and log; `done` is called when the removal is on disk. What happens to the user from
    /// now on is a new user's.
    pub fn erase(&self, user_id: &str, done: Done) {
        let ms = self.clock.now_ms();
        let mut done = Some(done);
        if let Err(e) = self.forget_role(user_id) {
            if let Some(done) = done.take() {
                done(Err(e));
            }
            return;
        }
        let begun = self.with_user(user_id, |user, state| {
            // Even where nothing is appended otherwise: the log may have lines of the user's from before.
            let hold = self.writer.hold_mark();
            let seq = self.log.as_deref().map(|log| log.begin_erasing(ms, &user.id)).transpose()?;
            state.forget();
            self.pending.erase(user_id, seq.unwrap_or_default());
            if let Some(done) = done.take() {
                self.writer.erase(user, state, seq, hold, done);
            }
            Ok(())
        });
        if let (Err(e), Some(done)) = (begun, done) {
            done(Err(e));
        }
    }

    /// Runs `change` on a user under its lock.
    fn with_user<T>(&self, user_id: &str, mut change: impl FnMut(&Arc<User>, &mut UserState) -> Result<T>) -> Result<T> {
        loop {
            let user = self.user(user_id)?;
            let mut state = user.lock();
            if state.is_retired() {
                continue;
            }
            if state.is_transient() {
                return Err(Users::no_room());
            }
            return change(&user, &mut state);
        }
    }

    /// Calls `done` when everything acknowledged so far survives power loss: one sync of the log, shared by all who wait for it.
    pub fn flush(&self, done: Done) {
        match &self.log {
            Some(log) if log.is_on() => log.flush(done),
            _ => self.writer.flush(done),
        }
    }

    /// [`Engine::flush`], and calls `done` when every state file is up to date and synced, too.
    pub fn checkpoint(&self, done: Done) {
        let log = self.log.clone();
        self.writer.flush(Box::new(move |written| match log {
            Some(log) => log.flush(Box::new(move |synced| {
                // Whoever closed the engine meanwhile has synced the log.
                let closed = synced.as_ref().is_err_and(|e| e.kind() == ErrorKind::Closed);
                done(if closed { written } else { written.and(synced) });
            })),
            None => done(written),
        }));
    }

    /// The event bus.
    #[must_use]
    pub fn bus(&self) -> &EventBus {
        &self.bus
    }

    /// The way to the LLM proxy.
    #[must_use]
    pub const fn generator(&self) -> &Generator {
        &self.generator
    }

    /// How the engine is doing.
    #[must_use]
    pub fn health(&self) -> Health {
        Health::new(self)
    }

    /// Writes what is left, ends the threads, and lets go of what the store holds open; afterwards every call fails.
    pub fn close(&self, done: Done) {
        self.generator.stop();
        // First, because what the bus brings is written, too.
        let (log, store, writer) = (self.log.clone(), Arc::clone(&self.store), self.writer.clone());
        self.bus.stop(Box::new(move || close_files(log, store, writer, done)));
    }
}

fn close_files(log: Option<Arc<InteractionLog>>, store: Arc<dyn StateStore>, writer: Writer, done: Done) {
    let release: Done = Box::new(move |outcome| {
        store.close();
        done(outcome);
    });
    let Some(log) = log else { return writer.stop(release) };
    // Pulls first, so that the last mark has them behind it and the next start nothing to read.
    log.clone().flush(Box::new(move |_| {
        if !writer.is_mark_held() {
            return stop_threads(log, &writer, release);
        }
        // People who are being erased next, for the same reason: their files by the writer, then their lines. The writer answers a flush
        // before it erases who was named with it, so the second answer says that it has done that.
        writer.clone().flush(Box::new(move |_| {
            writer.clone().flush(Box::new(move |_| {
                log.clone().finish_removals(Box::new(move |_| stop_threads(log, &writer, release)));
            }));
        }));
    }));
}

fn stop_threads(log: Arc<InteractionLog>, writer: &Writer, release: Done) {
    writer.stop(Box::new(move |written| {
        log.stop(Box::new(move |synced| release(again(&written).and(synced))));
    }));
}

/// Whether a user that was looked up before can change now.
#[inline]
fn may_change(state: &mut UserState) -> Result<(), Refused> {
    if state.is_retired() {
        return Err(Refused::Retired);
    }
    if state.is_transient() {
        state.retire_transient();
        return Err(Users::no_room().into());
    }
    Ok(())
}

#[inline]
#[allow(clippy::cast_possible_truncation)] // seconds fit 32 bits until 2106
const fn seconds(ms: u64) -> u32 {
    (ms / 1000) as u32
}

#[cold]
fn adopt(log: &InteractionLog, state: &mut UserState, user_id: &str, policy: PolicyName, ms: u64) -> Result<()> {
    if let Some(text) = state.whole_record(policy).and_then(|record| serialise_state(user_id, policy, &record)) {
        log.state(log.next_seq(), ms, &StateLine { user_id, policy, state: &text })?;
    }
    state.adopt(policy);
    Ok(())
}
