//! What several subjects need: a clock to set, a store that fails on demand, requests, and waiting with an end.

use oo_bandits::clock::Clock;
use oo_bandits::engine::{Engine, PullCall, Refused, RewardCall, ScoreCall, Texts};
use oo_bandits::error::Done;
use oo_bandits::feature::{Moment, TaskFeatures};
use oo_bandits::policy::{CHUNK, Candidates, Choice, FoldCache, Lanes, NormalisedLanes, PolicyName, Scratch};
use oo_bandits::rng::Chance;
use oo_bandits::state::{Place, Reaction, Record, Stamp, StateStore, StoreReport, User, place_of};
use oo_bandits::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use proptest::test_runner::{Config, RngSeed};
use std::cell::Cell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Once, mpsc};
use std::time::{Duration, Instant};

/// Nothing in these tests takes anything near this long: whoever waits longer is stuck.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// The same cases on every run.
pub fn cases(cases: u32) -> Config {
    Config { cases, rng_seed: RngSeed::Fixed(20_261_120), failure_persistence: None, ..Config::default() }
}

/// A number from 0 to 1 in steps of 2^-20.
pub fn unit(chance: &Chance) -> f64 {
    chance.draw().below(1 << 20) as f64 / f64::from(1 << 20)
}

/// Waits for a call that answers through [`Done`].
pub fn wait(call: impl FnOnce(Done)) -> Result<()> {
    let (sender, receiver) = mpsc::channel();
    call(Box::new(move |result| sender.send(result).unwrap_or_default()));
    receiver.recv_timeout(PATIENCE).expect("was never answered")
}

/// Looks again and again until it is so.
pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what}: never");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Where a thread waits until it is let go.
#[derive(Clone, Default)]
pub struct Gate {
    pub reached: Arc<AtomicBool>,
    pub open: Arc<AtomicBool>,
}

impl Gate {
    pub fn wait_here(&self) {
        self.reached.store(true, Ordering::SeqCst);
        until("the gate opens", || self.open.load(Ordering::SeqCst));
    }

    pub fn until_reached(&self) {
        until("somebody comes", || self.reached.load(Ordering::SeqCst));
    }

    pub fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
    }
}

/// Asks again while memory has no room for the user. An engine waits 100 ms for its writer, which a busy machine can take longer to run.
pub fn with_room<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Backpressure && Instant::now() < end => {}
            answer => return answer,
        }
    }
}

/// A clock that stands where it is put.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    pub fn at(seconds: u64) -> Arc<Self> {
        let clock = Self::default();
        clock.set(seconds);
        Arc::new(clock)
    }

    pub fn set(&self, seconds: u64) {
        self.set_ms(seconds * 1000);
    }

    pub fn set_ms(&self, ms: u64) {
        self.0.store(ms, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the store is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Load,
    Save,
    SetAside,
    Erase,
    Sync,
}

/// How it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    Error,
    Panic,
}

type Plan = Box<dyn FnMut(Call, &str) -> Fault + Send>;
type Key = (String, PolicyName);

/// Records in memory. What was saved is durable after the next successful sync only; a sync that fails drops what it should
/// have made durable, as a kernel does with the pages of a failed fsync.
#[derive(Default)]
pub struct MemoryStore {
    plan: Mutex<Option<Plan>>,
    /// How often it was healed.
    plans: AtomicU64,
    records: Mutex<HashMap<Key, Record>>,
    unsynced: Mutex<HashSet<Key>>,
    durable: Mutex<HashMap<Key, Record>>,
    damaged: Mutex<HashSet<Key>>,
    calls: Mutex<Vec<Call>>,
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl MemoryStore {
    /// From now on `plan` decides about each call.
    pub fn plan(&self, plan: impl FnMut(Call, &str) -> Fault + Send + 'static) {
        silence_planned_panics();
        *self.plan.lock() = Some(Box::new(plan));
    }

    pub fn heal(&self) {
        self.plans.fetch_add(1, Ordering::SeqCst);
        *self.plan.lock() = None;
    }

    pub fn record(&self, user_id: &str, policy: PolicyName) -> Option<Record> {
        self.records.lock().get(&(user_id.to_owned(), policy)).cloned()
    }

    pub fn durable(&self, user_id: &str, policy: PolicyName) -> Option<Record> {
        self.durable.lock().get(&(user_id.to_owned(), policy)).cloned()
    }

    pub fn len(&self) -> usize {
        self.records.lock().len()
    }

    pub fn put(&self, user_id: &str, policy: PolicyName, record: Record) {
        self.records.lock().insert((user_id.to_owned(), policy), record);
    }

    pub fn damage(&self, user_id: &str, policy: PolicyName) {
        self.damaged.lock().insert((user_id.to_owned(), policy));
    }

    pub fn is_damaged(&self, user_id: &str, policy: PolicyName) -> bool {
        self.damaged.lock().contains(&(user_id.to_owned(), policy))
    }

    /// How often it was asked, failures included.
    pub fn count(&self, call: Call) -> usize {
        self.calls.lock().iter().filter(|&&c| c == call).count()
    }

    fn decide(&self, call: Call, user_id: &str) -> Result<()> {
        self.calls.lock().push(call);
        // Taken out while it runs: a plan may wait for something that calls the store.
        let planned = self.plans.load(Ordering::SeqCst);
        let Some(mut plan) = self.plan.lock().take() else { return Ok(()) };
        let fault = plan(call, user_id);
        // Not where the store was healed meanwhile.
        if self.plans.load(Ordering::SeqCst) == planned {
            self.plan.lock().get_or_insert(plan);
        }
        match fault {
            Fault::None => Ok(()),
            Fault::Error => Err(Error::new(ErrorKind::StateIo, format!("planned: {call:?} {user_id}"))),
            Fault::Panic => panic!("planned: {call:?} {user_id}"),
        }
    }
}

impl StateStore for MemoryStore {
    fn load(&self, user_id: &str, policy: PolicyName) -> Result<(Option<Record>, Stamp)> {
        self.decide(Call::Load, user_id)?;
        if self.is_damaged(user_id, policy) {
            return Err(Error::new(ErrorKind::StateCorrupt, format!("planned: {user_id} is damaged")));
        }
        Ok((self.record(user_id, policy), Stamp::default()))
    }

    fn save(&self, user_id: &str, policy: PolicyName, record: &Record, _: &mut Stamp) -> Result<()> {
        self.decide(Call::Save, user_id)?;
        assert!(!self.is_damaged(user_id, policy), "saved over a damaged record");
        let key = (user_id.to_owned(), policy);
        self.records.lock().insert(key.clone(), record.clone());
        self.unsynced.lock().insert(key);
        Ok(())
    }

    fn set_aside(&self, user_id: &str, policy: PolicyName, _: &mut Stamp) -> Result<()> {
        self.decide(Call::SetAside, user_id)?;
        assert!(self.damaged.lock().remove(&(user_id.to_owned(), policy)), "set aside twice");
        Ok(())
    }

    fn erase(&self, user_id: &str, policy: PolicyName) -> Result<()> {
        self.decide(Call::Erase, user_id)?;
        let key = (user_id.to_owned(), policy);
        self.records.lock().remove(&key);
        self.unsynced.lock().insert(key);
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        let unsynced = std::mem::take(&mut *self.unsynced.lock());
        self.decide(Call::Sync, "")?;
        let (records, mut durable) = (self.records.lock(), self.durable.lock());
        for key in unsynced {
            match records.get(&key) {
                Some(record) => durable.insert(key, record.clone()),
                None => durable.remove(&key),
            };
        }
        Ok(())
    }

    fn close(&self) {}

    fn stored_users(&self, after: Option<&Place>, _: usize, _: &AtomicBool) -> Result<(Vec<Place>, bool)> {
        let places = self.records.lock().keys().map(|(user_id, _)| place_of(user_id)).collect::<BTreeSet<_>>();
        Ok((places.into_iter().filter(|place| after.is_none_or(|after| place > after)).collect(), false))
    }

    fn report(&self) -> StoreReport {
        StoreReport::default()
    }
}

/// Panics that a plan asked for are not worth a page of output.
fn silence_planned_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !info.payload().downcast_ref::<String>().is_some_and(|message| message.starts_with("planned: ")) {
                others(info);
            }
        }));
    });
}

/// The raw lanes of some candidates. What pads them to whole chunks must not matter, so it is as bad as can be: no number, a
/// candidate better than all others, or one just like the last.
pub fn block(tasks: &[TaskFeatures]) -> Vec<f64> {
    let number: [fn(&TaskFeatures) -> f64; 3] =
        [|t| f64::from(u8::from(t.is_overdue)), |t| t.task_age_days, |t| f64::from(t.priority)];
    let mut block = Vec::with_capacity(Lanes::words(tasks.len()));
    for lane in number {
        let last = tasks.last().map_or(0.0, lane);
        block.extend(tasks.iter().map(lane));
        block.resize(block.len().next_multiple_of(CHUNK), [f64::NAN, f64::INFINITY, last][tasks.len() % 3]);
    }
    block
}

/// Calls with the candidates as they are given.
pub fn with_lanes<T>(tasks: &[TaskFeatures], call: impl FnOnce(Lanes<'_>) -> T) -> T {
    call(Lanes::new(Cell::from_mut(&mut block(tasks)[..]).as_slice_of_cells(), tasks.len()).unwrap())
}

pub fn normalised(tasks: &[TaskFeatures]) -> NormalisedLanes {
    with_lanes(tasks, |lanes| NormalisedLanes::new(&lanes))
}

pub fn some_tasks(n: usize, chance: &Chance) -> Vec<TaskFeatures> {
    (0..n)
        .map(|_| TaskFeatures {
            is_overdue: chance.draw().happens(0.5),
            task_age_days: chance.draw().below(400) as f64 / 10.0 - 5.0,
            priority: 1 + chance.draw().below(4) as u8,
        })
        .collect()
}

/// Scores on a user that is at hand, at nine on a Wednesday.
pub fn score_on(
    engine: &Engine,
    user: &Arc<User>,
    policy: PolicyName,
    tasks: &[TaskFeatures],
    tip_id: impl FnOnce(usize) -> Result<String>,
) -> Result<Choice, Refused> {
    with_lanes(tasks, |lanes| {
        let call = ScoreCall { policy, moment: Moment { hour: 9, day: 2 }, profile: None, lanes, normalised: None, eligible: None };
        score_call(engine, user, &call, tip_id)
    })
}

/// Chooses and remembers, as a channel does.
pub fn score_call(
    engine: &Engine,
    user: &Arc<User>,
    call: &ScoreCall<'_>,
    tip_id: impl FnOnce(usize) -> Result<String>,
) -> Result<Choice, Refused> {
    let choice = engine.choose(user, call, &mut FoldCache::default(), &mut Scratch::default())?;
    let ScoreCall { policy, moment, profile, lanes, .. } = *call;
    let (task, candidates) = (lanes.task(choice.index), u32::try_from(lanes.len()).unwrap());
    let allowed = call.eligible.map_or(0, |eligible| u32::try_from(eligible.iter().filter(|may| **may).count()).unwrap());
    let tip_id = tip_id(choice.index)?;
    let call = PullCall { policy, moment, profile, choice, task, candidates, allowed };
    engine.pull(user, &call, || Ok(Texts { tip_id: &tip_id, ..Texts::default() }))?;
    Ok(choice)
}

/// Scores, looking the user up again as often as it takes. All candidates have the same id.
pub fn score(engine: &Engine, user_id: &str, policy: PolicyName, tasks: &[TaskFeatures], tip_id: &str) -> Result<Choice> {
    loop {
        let user = engine.user(user_id)?;
        match score_on(engine, &user, policy, tasks, |_| Ok(tip_id.to_owned())) {
            Ok(choice) => return Ok(choice),
            Err(Refused::Retired) => {}
            Err(Refused::Failed(error)) => return Err(error),
        }
    }
}

/// A reward for the default tip.
pub fn reward_call(policy: PolicyName, moment: Moment, reward: f64) -> RewardCall<'static> {
    let reaction = Reaction { policy, moment, profile: None, task: TaskFeatures::default(), reward };
    RewardCall { reaction, tip_id: "tip", computed_at: None }
}

/// Rewards the default tip at nine on a Wednesday.
pub fn reward(engine: &Engine, user_id: &str, policy: PolicyName, reward: f64) -> Result<()> {
    give(engine, user_id, &reward_call(policy, Moment { hour: 9, day: 2 }, reward))
}

/// Rewards, looking the user up again as often as it takes.
pub fn give(engine: &Engine, user_id: &str, call: &RewardCall<'_>) -> Result<()> {
    loop {
        let user = engine.user(user_id)?;
        match engine.reward(&user, call) {
            Ok(()) => return Ok(()),
            Err(Refused::Retired) => {}
            Err(Refused::Failed(error)) => return Err(error),
        }
    }
}

/// Every record in the store says what the engine says.
pub fn assert_kept(engine: &Engine, store: &MemoryStore, user_id: &str, policy: PolicyName) {
    let stats = engine.stats(user_id, policy).unwrap();
    let record = store.durable(user_id, policy).unwrap_or_else(|| panic!("{user_id} has no durable record"));
    assert_eq!(record.counters.pulls, stats.pulls, "{user_id}");
    assert_eq!(record.counters.reward_count, stats.reward_count, "{user_id}");
    assert_eq!(record.counters.cumulative_reward.to_bits(), stats.cumulative_reward.to_bits(), "{user_id}");
    let theta = theta(&record);
    for (kept, known) in theta.iter().zip(&stats.theta) {
        assert!((kept - known).abs() <= 1e-9 * known.abs().max(1.0), "{user_id}: {theta:?}, {:?}", stats.theta);
    }
}

/// A⁻¹b by another way than the crate's.
pub fn theta(record: &Record) -> Vec<f64> {
    let d = record.b.len();
    let a = full(&record.a, d);
    a.lu().solve(&nalgebra::DVector::from_column_slice(&record.b)).unwrap().as_slice().to_vec()
}

/// A symmetric matrix from its packed lower triangle.
pub fn full(packed: &[f64], d: usize) -> nalgebra::DMatrix<f64> {
    nalgebra::DMatrix::from_fn(d, d, |i, j| packed[oo_bandits::policy::packed_index(i.max(j), i.min(j))])
}
