//! The engine as a whole, on a store in memory with time and chance given.

use crate::support::{
    Call, ManualClock, MemoryStore, assert_kept, normalised, reward, score, score_call, score_on, some_tasks, wait, with_lanes,
};
use oo_bandits::clock::format_seconds;
use oo_bandits::disk::OpenedDirectory;
use oo_bandits::engine::{Engine, Refused, ScoreCall};
use oo_bandits::feature::{LABELS, Moment};
use oo_bandits::policy::PolicyName::{self, EGreedyV1, EGreedyV2, LinUcbV1};
use oo_bandits::rng::Chance;
use oo_bandits::settings::Settings;
use oo_bandits::state::{StateFiles, StateStore, parse, plain_name};
use oo_bandits::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

fn on(store: Arc<dyn StateStore>, clock: &Arc<ManualClock>, seed: u64) -> Engine {
    Engine::new(settings(seed), store, Arc::clone(clock) as _).unwrap()
}

fn settings(seed: u64) -> Settings {
    Settings { seed: Some(seed), ..Settings::at("/nowhere") }
}

fn engine() -> (Engine, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::default());
    (on(Arc::clone(&store) as _, &ManualClock::at(1_000_000), 1), store)
}

fn flush(engine: &Engine) -> Result<()> {
    wait(|done| engine.flush(done))
}

fn erase(engine: &Engine, user_id: &str) -> Result<()> {
    wait(|done| engine.erase(user_id, done))
}

#[test]
fn the_same_seed_makes_the_same_choices() {
    let run = |seed| {
        let engine = on(Arc::new(MemoryStore::default()), &ManualClock::at(5), seed);
        let chance = Chance::seeded(99);
        (0..400)
            .map(|i| {
                let (user, policy) = (format!("user-{}", i % 3), PolicyName::ALL[i % 3]);
                let choice = score(&engine, &user, policy, &some_tasks(12, &chance), "tip").unwrap();
                reward(&engine, &user, policy, if choice.index.is_multiple_of(2) { 1.0 } else { -1.0 }).unwrap();
                (choice.index, choice.score.to_bits(), choice.exploring)
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn stats_count_what_happened() {
    let (engine, _) = engine();
    let chance = Chance::seeded(3);
    let mut explored = 0;
    for _ in 0..200 {
        explored += u32::from(score(&engine, "u", EGreedyV2, &some_tasks(5, &chance), "tip").unwrap().exploring);
    }
    for value in [1.0, 0.5, 0.0, -0.5, -1.0, 1.0] {
        reward(&engine, "u", EGreedyV2, value).unwrap();
    }
    let stats = engine.stats("u", EGreedyV2).unwrap();
    assert_eq!((stats.pulls, stats.reward_count, stats.cumulative_reward), (200, 6, 1.0));
    assert_eq!(stats.estimated_mean_reward, 1.0 / 6.0);
    assert_eq!(stats.exploration_rate, f64::from(explored) / 200.0);
    assert_eq!((stats.theta.len(), stats.feature_labels), (12, &LABELS[..]));
    let other = engine.stats("u", LinUcbV1).unwrap();
    assert_eq!((other.pulls, other.reward_count, other.last_updated, other.theta), (0, 0, None, vec![0.0; 5]));
    assert_eq!((other.estimated_mean_reward, other.exploration_rate), (0.0, 0.0));
}

#[test]
fn looking_at_a_stranger_does_not_make_a_user_of_it() {
    let (engine, store) = engine();
    assert_eq!(engine.stats("stranger", EGreedyV1).unwrap().pulls, 0);
    assert!(engine.features("stranger").unwrap().history.is_empty());
    flush(&engine).unwrap();
    assert_eq!((engine.health().users, store.len()), (0, 0));
}

#[test]
fn last_updated_is_the_clock_s_and_a_clock_that_jumps_back_is_harmless() {
    let store = Arc::new(MemoryStore::default());
    let clock = ManualClock::at(1_700_000_000);
    let engine = on(Arc::clone(&store) as _, &clock, 1);
    let last = || engine.stats("u", EGreedyV1).unwrap().last_updated;
    reward(&engine, "u", EGreedyV1, 1.0).unwrap();
    assert_eq!(last(), Some(format_seconds(1_700_000_000)));
    for seconds in [1_700_000_100, 1_600_000_000, 0, 4_294_967_295, 1_700_000_200] {
        clock.set(seconds);
        score(&engine, "u", EGreedyV1, &some_tasks(3, &Chance::seeded(1)), &format!("at-{seconds}")).unwrap();
        assert_eq!(last(), Some(format_seconds(seconds as u32)));
        flush(&engine).unwrap();
        assert_eq!(store.record("u", EGreedyV1).unwrap().counters.last_updated, Some(seconds as u32));
    }
    let history = engine.features("u").unwrap().history;
    let times: Vec<_> = history.iter().map(|r| r.ts.clone()).collect();
    assert_eq!(times, [1_700_000_100, 1_600_000_000, 0, u32::MAX, 1_700_000_200].map(format_seconds));
}

/// The id may turn out not to be one when the choice is made already: then nothing was chosen.
#[test]
fn a_tip_without_an_id_is_no_pull() {
    let (engine, store) = engine();
    let tasks = some_tasks(5, &Chance::seeded(1));
    let user = engine.user("u").unwrap();
    score(&engine, "u", EGreedyV1, &tasks, "first").unwrap();
    flush(&engine).unwrap();
    let saves = store.count(Call::Save);
    let before = (engine.stats("u", EGreedyV1).unwrap(), engine.features("u").unwrap());
    let refused = score_on(&engine, &user, EGreedyV1, &tasks, |_| Err(Error::invalid("candidates[0].id", "is no string")));
    assert!(matches!(refused, Err(Refused::Failed(e)) if e.kind() == ErrorKind::InvalidArgument));
    let panics = || score_on(&engine, &user, EGreedyV1, &tasks, |_| -> Result<String> { std::panic::resume_unwind(Box::new(())) });
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
    assert_eq!((engine.stats("u", EGreedyV1).unwrap(), engine.features("u").unwrap()), before);
    flush(&engine).unwrap();
    assert_eq!(store.count(Call::Save), saves);
    // The user is not locked for good, and its id is asked for the chosen place.
    let mut asked = None;
    let chosen = score_on(&engine, &user, EGreedyV1, &tasks, |index| {
        asked = Some(index);
        Ok(format!("tip-{index}"))
    });
    let index = chosen.unwrap().index;
    assert_eq!(asked, Some(index));
    assert_eq!(engine.features("u").unwrap().history[1].tip_id, format!("tip-{index}"));
}

/// Refused calls on a user whom nobody knows leave nothing that a reset could put back, and no file.
#[test]
fn refused_calls_on_a_stranger_leave_no_record() {
    let (engine, store) = engine();
    let tasks = some_tasks(5, &Chance::seeded(1));
    let user = engine.user("u").unwrap();
    assert!(score_on(&engine, &user, EGreedyV1, &tasks, |_| Err(Error::invalid("id", "is no string"))).is_err());
    assert!(reward(&engine, "u", EGreedyV2, f64::INFINITY).is_err());
    engine.reset("u").unwrap();
    flush(&engine).unwrap();
    assert_eq!(store.len(), 0);
}

/// A prepared set is the same candidates: same choices, same history.
#[test]
fn prepared_candidates_are_scored_as_given_ones() {
    let (given, prepared) = (engine().0, engine().0);
    let chance = Chance::seeded(12);
    for i in 0..300 {
        let policy = PolicyName::ALL[i % 3];
        let tasks = some_tasks(1 + i % 40, &chance);
        let set = normalised(&tasks);
        let id = |index| Ok(format!("tip-{index}"));
        let one = score_on(&given, &given.user("u").unwrap(), policy, &tasks, id).unwrap();
        let two = with_lanes(&tasks, |lanes| {
            let moment = Moment { hour: 9, day: 2 };
            let call = ScoreCall { policy, moment, profile: None, lanes, normalised: Some(&set), eligible: None };
            score_call(&prepared, &prepared.user("u").unwrap(), &call, id).unwrap()
        });
        assert_eq!(one, two);
        let learned = [&given, &prepared].map(|engine| reward(engine, "u", policy, one.score).is_ok());
        assert_eq!(learned, [true; 2]);
    }
    assert_eq!(given.features("u").unwrap(), prepared.features("u").unwrap());
}

/// The history holds the last 100 of all policies together, as they were scored.
#[test]
fn the_history_is_one_for_all_policies() {
    let (engine, _) = engine();
    let chance = Chance::seeded(4);
    let mut expected = Vec::new();
    for i in 0..250 {
        let (policy, tasks) = (PolicyName::ALL[i % 3], some_tasks(4, &chance));
        let tip = format!("tip-{i}");
        let choice = score(&engine, "u", policy, &tasks, &tip).unwrap();
        expected.push((tip, policy, choice.score, choice.exploring, tasks[choice.index]));
    }
    let history = engine.features("u").unwrap().history;
    assert_eq!(history.len(), 100);
    for (record, (tip, policy, score, exploring, task)) in history.iter().zip(&expected[150..]) {
        assert_eq!((&record.tip_id, record.policy, record.score, record.exploring), (tip, *policy, *score, *exploring));
        let features = &record.features;
        assert_eq!(
            (features.is_overdue, features.task_age_days, features.priority),
            (task.is_overdue, task.task_age_days, task.priority)
        );
        assert_eq!((features.hour_of_day, features.day_of_week), (9, (*policy != LinUcbV1).then_some(2)));
    }
}

#[test]
fn a_reset_puts_all_policies_back_and_forgets_the_history() {
    let (engine, store) = engine();
    let tasks = some_tasks(3, &Chance::seeded(1));
    for policy in [LinUcbV1, EGreedyV2] {
        score(&engine, "u", policy, &tasks, "tip").unwrap();
        reward(&engine, "u", policy, 1.0).unwrap();
    }
    flush(&engine).unwrap();
    engine.reset("u").unwrap();
    flush(&engine).unwrap();
    for policy in [LinUcbV1, EGreedyV2] {
        let stats = engine.stats("u", policy).unwrap();
        assert_eq!((stats.pulls, stats.reward_count, stats.last_updated), (0, 0, None));
        assert!(stats.theta.iter().all(|&t| t == 0.0));
        assert_kept(&engine, &store, "u", policy);
        assert!(store.record("u", policy).unwrap().b.iter().all(|&b| b == 0.0));
    }
    assert!(store.record("u", EGreedyV1).is_none(), "a policy that never saw the user stays unknown");
    assert!(engine.features("u").unwrap().history.is_empty());
    engine.reset("stranger").unwrap();
    flush(&engine).unwrap();
    assert_eq!(store.len(), 2);
}

#[test]
fn a_restarted_engine_goes_on_with_the_same_numbers() {
    let store = Arc::new(MemoryStore::default());
    let clock = ManualClock::at(77);
    let chance = Chance::seeded(8);
    let one = on(Arc::clone(&store) as _, &clock, 1);
    let straight = on(Arc::new(MemoryStore::default()), &clock, 1);
    let learn = |engine: &Engine, value| PolicyName::ALL.iter().for_each(|&p| reward(engine, "u", p, value).unwrap());
    let values: Vec<f64> = (0..600).map(|_| chance.draw().below(5) as f64 / 2.0 - 1.0).collect();
    values[..300].iter().for_each(|&v| learn(&one, v));
    flush(&one).unwrap();
    let two = on(Arc::clone(&store) as _, &clock, 1);
    values[300..].iter().for_each(|&v| learn(&two, v));
    for &v in &values {
        learn(&straight, v);
    }
    for policy in PolicyName::ALL {
        let (two, straight) = (two.stats("u", policy).unwrap(), straight.stats("u", policy).unwrap());
        assert_eq!((two.reward_count, two.cumulative_reward), (straight.reward_count, straight.cumulative_reward));
        assert!(two.theta.iter().zip(&straight.theta).all(|(a, b)| (a - b).abs() <= 1e-9 * b.abs().max(1.0)));
    }
}

#[test]
fn a_reward_past_the_range_is_refused_and_changes_nothing() {
    // No option allows so much.
    let (settings, store) = (Settings { max_reward: f64::MAX, ..settings(1) }, Arc::new(MemoryStore::default()));
    let engine = Engine::new(settings, Arc::clone(&store) as _, ManualClock::at(1_000_000)).unwrap();
    reward(&engine, "u", EGreedyV1, 1e300).unwrap();
    let before = engine.stats("u", EGreedyV1).unwrap();
    for value in [1e300, f64::MAX, f64::INFINITY, f64::NAN] {
        assert_eq!(reward(&engine, "u", EGreedyV1, value).unwrap_err().kind(), ErrorKind::InvalidArgument, "{value}");
    }
    assert_eq!(engine.stats("u", EGreedyV1).unwrap(), before);
    reward(&engine, "u", EGreedyV1, -1e300).unwrap();
    flush(&engine).unwrap();
    assert_eq!(store.record("u", EGreedyV1).unwrap().counters.reward_count, 2);
}

#[test]
fn an_erased_user_is_a_new_one_to_those_who_still_hold_it() {
    let (engine, store) = engine();
    let held = engine.user("u").unwrap();
    let tasks = some_tasks(3, &Chance::seeded(1));
    let again = || score_on(&engine, &held, EGreedyV1, &tasks, |_| Ok("tip".to_owned()));
    again().unwrap();
    reward(&engine, "u", LinUcbV1, 1.0).unwrap();
    erase(&engine, "u").unwrap();
    assert_eq!(store.len(), 0);
    assert_eq!(engine.stats("u", EGreedyV1).unwrap().pulls, 0);
    // Nothing was left of it, so it left memory, too.
    assert!(matches!(again(), Err(Refused::Retired)));
    score(&engine, "u", EGreedyV1, &tasks, "tip").unwrap();
    assert_eq!(engine.stats("u", EGreedyV1).unwrap().pulls, 1);
    assert_eq!(engine.features("u").unwrap().history.len(), 1);
    flush(&engine).unwrap();
    assert_eq!(store.record("u", EGreedyV1).unwrap().counters.pulls, 1);
    assert_eq!(store.record("u", LinUcbV1), None);
}

#[test]
fn threads_that_meet_a_user_first_get_the_same_one() {
    for round in 0..200 {
        let (engine, id) = (engine().0, format!("user-{round}"));
        let users: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| engine.user(&id).unwrap())).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(users.iter().all(|user| Arc::ptr_eq(user, &users[0])));
        assert_eq!(engine.health().users, 1);
    }
}

#[test]
fn threads_that_score_and_reward_together_lose_no_count() {
    const THREADS: u64 = 4;
    const ROUNDS: u64 = 1_500;
    let (engine, store) = engine();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let engine = &engine;
            scope.spawn(move || {
                let chance = Chance::seeded(thread);
                let tasks = some_tasks(6, &chance);
                for round in 0..ROUNDS {
                    let (user, policy) = (format!("user-{}", round % 3), PolicyName::ALL[round as usize / 3 % 3]);
                    score(engine, &user, policy, &tasks, "tip").unwrap();
                    reward(engine, &user, policy, 0.5).unwrap();
                    if round % 200 == 0 {
                        flush(engine).unwrap();
                    }
                }
            });
        }
    });
    flush(&engine).unwrap();
    let mut total = (0, 0, 0.0);
    for user in ["user-0", "user-1", "user-2"] {
        for policy in PolicyName::ALL {
            let stats = engine.stats(user, policy).unwrap();
            total = (total.0 + stats.pulls, total.1 + stats.reward_count, total.2 + stats.cumulative_reward);
            assert_kept(&engine, &store, user, policy);
        }
        assert_eq!(engine.features(user).unwrap().history.len(), 100);
    }
    assert_eq!(total, (THREADS * ROUNDS, THREADS * ROUNDS, (THREADS * ROUNDS) as f64 * 0.5));
}

/// Everything at once: nothing panics, nothing hangs, and afterwards memory and store agree.
#[test]
fn threads_that_do_everything_at_once_end_in_agreement() {
    let (engine, store) = engine();
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let engine = &engine;
            scope.spawn(move || {
                let chance = Chance::seeded(100 + thread);
                let tasks = some_tasks(6, &chance);
                for _ in 0..500 {
                    let (user, policy) = (format!("user-{}", chance.draw().below(3)), PolicyName::ALL[chance.draw().below(3)]);
                    match chance.draw().below(20) {
                        0 => engine.reset(&user).unwrap(),
                        1 => erase(engine, &user).unwrap(),
                        2 => drop(engine.stats(&user, policy).unwrap()),
                        3 => drop(engine.features(&user).unwrap()),
                        4 => flush(engine).unwrap(),
                        5 => drop(engine.health()),
                        6..13 => drop(score(engine, &user, policy, &tasks, "tip").unwrap()),
                        _ => reward(engine, &user, policy, 1.0).unwrap(),
                    }
                }
            });
        }
    });
    flush(&engine).unwrap();
    for user in ["user-0", "user-1", "user-2"] {
        for policy in PolicyName::ALL {
            if store.record(user, policy).is_some() {
                assert_kept(&engine, &store, user, policy);
            } else {
                assert_eq!(engine.stats(user, policy).unwrap().pulls, 0);
            }
        }
        erase(&engine, user).unwrap();
    }
    flush(&engine).unwrap();
    assert_eq!(store.len(), 0);
    assert_eq!(engine.health().writer.dirty_users, 0);
}

/// A user that is erased while others reward it: no change may go to a copy of the user that is no longer the one in memory.
/// Such a copy shows as a write of our own that we take for somebody else's.
#[test]
fn an_erase_among_rewards_leaves_one_copy_of_the_user() {
    let dir = tempfile::tempdir().unwrap();
    let files = Arc::new(StateFiles::new(Arc::new(OpenedDirectory::open(dir.path(), false).unwrap().into())));
    let engine = on(files, &ManualClock::at(9), 1);
    let over = AtomicBool::new(false);
    let acknowledged = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    reward(&engine, "u", EGreedyV1, 1.0).unwrap();
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..60 {
            erase(&engine, "u").unwrap();
        }
        over.store(true, Ordering::Relaxed);
    });
    flush(&engine).unwrap();
    let on_disk = std::fs::read(dir.path().join(plain_name("u", EGreedyV1).unwrap())).ok().map(|b| parse(&b).unwrap().record);
    let counted = on_disk.map_or(0, |record| record.counters.reward_count);
    assert_eq!(counted, engine.stats("u", EGreedyV1).unwrap().reward_count, "the file and memory differ");
    assert_eq!(engine.health().writer.foreign_writes, 0, "we met ourselves");
    assert!(acknowledged.load(Ordering::Relaxed) > 0);
}
