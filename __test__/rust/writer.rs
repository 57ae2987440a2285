//! The writer on a store that fails: nothing is lost, everything is told.

use crate::support::{Call, Fault, ManualClock, MemoryStore, PATIENCE, assert_kept, reward, score, some_tasks, wait};
use oo_bandits::engine::Engine;
use oo_bandits::feature::{Moment, TaskFeatures};
use oo_bandits::policy::PolicyName::{self, EGreedyV1, EGreedyV2, LinUcbV1};
use oo_bandits::rng::Chance;
use oo_bandits::settings::Settings;
use oo_bandits::state::{Pull, StateStore, Users, Writer};
use oo_bandits::{ErrorKind, Result};
use parking_lot::Mutex;
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

fn engine() -> (Engine, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::default());
    let settings = Settings { seed: Some(1), ..Settings::at("/nowhere") };
    (Engine::new(settings, Arc::clone(&store) as Arc<dyn StateStore>, ManualClock::at(1_000_000)).unwrap(), store)
}

fn flush(engine: &Engine) -> Result<()> {
    wait(|done| engine.flush(done))
}

fn erase(engine: &Engine, user_id: &str) -> Result<()> {
    wait(|done| engine.erase(user_id, done))
}

/// Makes every call of one kind fail.
fn always(failing: Call, fault: Fault) -> impl FnMut(Call, &str) -> Fault + Send + 'static {
    move |call, _| if call == failing { fault } else { Fault::None }
}

#[test]
fn a_flush_brings_everything_to_the_store() {
    let (engine, store) = engine();
    for i in 0..50 {
        for policy in PolicyName::ALL {
            reward(&engine, &format!("user-{i}"), policy, f64::from(i)).unwrap();
        }
    }
    flush(&engine).unwrap();
    for i in 0..50 {
        for policy in PolicyName::ALL {
            assert_kept(&engine, &store, &format!("user-{i}"), policy);
        }
    }
    let health = engine.health();
    assert!(health.ok);
    assert_eq!((health.writer.dirty_users, health.writer.errors, health.writer.failing), (0, 0, false));
    assert_eq!(health.writer.files_written as usize, store.count(Call::Save));
    assert!(health.writer.files_written >= 150);
}

#[test]
fn what_changes_is_written_without_being_asked() {
    let (engine, store) = engine();
    reward(&engine, "u", EGreedyV1, 1.0).unwrap();
    let end = Instant::now() + PATIENCE;
    while store.durable("u", EGreedyV1).is_none() {
        assert!(Instant::now() < end, "never written");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_kept(&engine, &store, "u", EGreedyV1);
}

#[test]
fn many_changes_of_one_user_cost_few_saves() {
    let (engine, store) = engine();
    for _ in 0..2_000 {
        reward(&engine, "u", EGreedyV1, 1.0).unwrap();
    }
    flush(&engine).unwrap();
    assert!(store.count(Call::Save) < 500, "{}", store.count(Call::Save));
    assert_eq!(store.record("u", EGreedyV1).unwrap().counters.reward_count, 2_000);
}

#[test]
fn a_flush_tells_of_a_save_that_failed_and_the_report_does_too() {
    let (engine, store) = engine();
    store.plan(|call, user| if call == Call::Save && user == "bad" { Fault::Error } else { Fault::None });
    for user in ["a", "bad", "c"] {
        reward(&engine, user, LinUcbV1, 1.0).unwrap();
    }
    let error = flush(&engine).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StateIo);
    assert!(error.message().contains("planned: Save bad"), "{error}");
    let health = engine.health();
    assert!(!health.ok && health.writer.failing);
    assert_eq!(health.writer.dirty_users, 1);
    assert!(health.writer.errors >= 1);
    assert_eq!(health.writer.files_written, 2);
    assert!(health.writer.last_error.unwrap().contains("planned: Save bad"));
    assert!(health.warnings.iter().any(|w| w.contains("1 users wait") && w.contains("planned: Save bad")), "{:?}", health.warnings);
    assert_kept(&engine, &store, "a", LinUcbV1);
    assert_kept(&engine, &store, "c", LinUcbV1);

    store.heal();
    flush(&engine).unwrap();
    assert_kept(&engine, &store, "bad", LinUcbV1);
    let health = engine.health();
    assert!(health.ok && !health.writer.failing && health.writer.last_error.is_some());
    assert_eq!((health.writer.dirty_users, health.writer.files_written), (0, 3));
}

#[test]
fn a_failed_save_is_tried_again_without_being_asked() {
    let (engine, store) = engine();
    let mut failures = 2;
    store.plan(move |call, _| {
        let fails = call == Call::Save && failures > 0;
        failures -= i32::from(fails);
        if fails { Fault::Error } else { Fault::None }
    });
    reward(&engine, "u", EGreedyV2, -0.5).unwrap();
    let end = Instant::now() + PATIENCE;
    while store.durable("u", EGreedyV2).is_none() {
        assert!(Instant::now() < end, "never written");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_kept(&engine, &store, "u", EGreedyV2);
}

/// One policy's file failing must not cost the others of the same user.
#[test]
fn after_the_second_of_three_saves_fails_all_three_are_brought_in() {
    let (engine, store) = engine();
    let mut saves = 0;
    store.plan(move |call, _| {
        saves += u32::from(call == Call::Save);
        if call == Call::Save && saves == 2 { Fault::Error } else { Fault::None }
    });
    for policy in PolicyName::ALL {
        reward(&engine, "u", policy, 1.0).unwrap();
    }
    let _ = flush(&engine);
    flush(&engine).unwrap();
    for policy in PolicyName::ALL {
        assert_kept(&engine, &store, "u", policy);
    }
    assert_eq!(engine.health().writer.dirty_users, 0);
}

#[test]
fn a_save_that_panics_is_an_error_like_any_other() {
    let (engine, store) = engine();
    store.plan(always(Call::Save, Fault::Panic));
    reward(&engine, "u", EGreedyV1, 1.0).unwrap();
    assert_eq!(flush(&engine).unwrap_err().kind(), ErrorKind::Internal);
    assert!(engine.health().writer.failing);
    reward(&engine, "u", EGreedyV1, 1.0).unwrap();
    store.heal();
    flush(&engine).unwrap();
    assert_kept(&engine, &store, "u", EGreedyV1);
    assert_eq!(store.record("u", EGreedyV1).unwrap().counters.reward_count, 2);
}

#[test]
fn after_a_failed_sync_all_records_of_the_round_are_written_anew() {
    let (engine, store) = engine();
    store.plan(always(Call::Sync, Fault::Error));
    for i in 0..20 {
        reward(&engine, &format!("user-{i}"), EGreedyV1, 1.0).unwrap();
        reward(&engine, &format!("user-{i}"), LinUcbV1, 1.0).unwrap();
    }
    let error = flush(&engine).unwrap_err();
    assert!(error.message().contains("planned: Sync"), "{error}");
    let health = engine.health();
    assert!(health.writer.failing && !health.ok);
    assert_eq!(health.writer.dirty_users, 20);
    // The store dropped what the failed sync should have kept: only writing anew brings it back.
    store.heal();
    flush(&engine).unwrap();
    for i in 0..20 {
        assert_kept(&engine, &store, &format!("user-{i}"), EGreedyV1);
        assert_kept(&engine, &store, &format!("user-{i}"), LinUcbV1);
    }
    assert_eq!(engine.health().writer.dirty_users, 0);
}

#[test]
fn a_sync_that_panics_does_not_end_the_writer() {
    let (engine, store) = engine();
    store.plan(always(Call::Sync, Fault::Panic));
    reward(&engine, "u", EGreedyV1, 1.0).unwrap();
    assert!(flush(&engine).is_err());
    store.heal();
    flush(&engine).unwrap();
    assert_kept(&engine, &store, "u", EGreedyV1);
}

/// With nothing to write there is nothing that waits, so a failed sync must not leave `health()` in alarm once it has passed.
#[test]
fn an_idle_writer_does_not_stay_failing() {
    let (engine, store) = engine();
    store.plan(always(Call::Sync, Fault::Error));
    assert!(flush(&engine).is_err());
    store.heal();
    flush(&engine).unwrap();
    assert!(engine.health().ok);
}

#[test]
fn changes_during_a_save_are_saved_after_it() {
    let (engine, store) = engine();
    let (entered, in_save) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let mut first = true;
    store.plan(move |call, _| {
        if call == Call::Save && std::mem::take(&mut first) {
            entered.send(()).unwrap();
            may_go_on.recv_timeout(PATIENCE).unwrap();
        }
        Fault::None
    });
    reward(&engine, "u", EGreedyV1, 1.0).unwrap();
    in_save.recv_timeout(PATIENCE).unwrap();
    // The writer is inside the store: neither lock is held, so this does not wait for it.
    reward(&engine, "u", EGreedyV1, 1.0).unwrap();
    reward(&engine, "v", EGreedyV1, 1.0).unwrap();
    assert_eq!(engine.stats("u", EGreedyV1).unwrap().reward_count, 2);
    assert_eq!(engine.health().writer.dirty_users, 3, "u being written, u again, v");
    go_on.send(()).unwrap();
    flush(&engine).unwrap();
    assert_kept(&engine, &store, "u", EGreedyV1);
    assert_kept(&engine, &store, "v", EGreedyV1);
}

#[test]
fn a_load_that_fails_leaves_nothing_behind_and_the_next_one_works() {
    let (engine, store) = engine();
    store.plan(always(Call::Load, Fault::Error));
    assert_eq!(reward(&engine, "u", EGreedyV1, 1.0).unwrap_err().kind(), ErrorKind::StateIo);
    assert_eq!(engine.stats("u", EGreedyV1).unwrap_err().kind(), ErrorKind::StateIo);
    assert_eq!(engine.health().users, 0);
    store.heal();
    reward(&engine, "u", EGreedyV1, 1.0).unwrap();
    assert_eq!(engine.stats("u", EGreedyV1).unwrap().reward_count, 1);
}

/// A panic while loading must not leave the user in the map as if it had been read.
#[test]
fn a_load_that_panics_leaves_the_user_loadable() {
    let (engine, store) = engine();
    reward(&engine, "u", EGreedyV1, 1.0).unwrap();
    flush(&engine).unwrap();
    let record = store.record("u", EGreedyV1).unwrap();
    store.put("v", EGreedyV1, record);
    store.plan(always(Call::Load, Fault::Panic));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| engine.user("v"))).is_err());
    store.heal();
    reward(&engine, "v", EGreedyV1, 1.0).unwrap();
    assert_eq!(engine.stats("v", EGreedyV1).unwrap().reward_count, 2);
}

#[test]
fn a_damaged_record_is_set_aside_once_however_often_the_save_after_it_fails() {
    let (engine, store) = engine();
    store.damage("u", EGreedyV1);
    assert_eq!(reward(&engine, "u", EGreedyV1, 1.0).unwrap_err().kind(), ErrorKind::StateCorrupt);
    assert_eq!(engine.stats("u", EGreedyV1).unwrap_err().kind(), ErrorKind::StateCorrupt);
    reward(&engine, "u", LinUcbV1, 1.0).unwrap(); // the others go on
    engine.reset("u").unwrap();
    store.plan(always(Call::SetAside, Fault::Error));
    assert!(flush(&engine).is_err());
    assert!(store.is_damaged("u", EGreedyV1) && store.record("u", EGreedyV1).is_none());
    store.plan(always(Call::Save, Fault::Error));
    assert!(flush(&engine).is_err());
    assert!(flush(&engine).is_err());
    assert!(!store.is_damaged("u", EGreedyV1));
    store.heal();
    reward(&engine, "u", EGreedyV1, 1.0).unwrap();
    flush(&engine).unwrap();
    assert_kept(&engine, &store, "u", EGreedyV1);
    assert_kept(&engine, &store, "u", LinUcbV1);
}

#[test]
fn an_erase_that_fails_is_told_and_can_be_repeated() {
    for (call, fault) in [(Call::Erase, Fault::Error), (Call::Erase, Fault::Panic), (Call::Sync, Fault::Error)] {
        let (engine, store) = engine();
        reward(&engine, "u", EGreedyV1, 1.0).unwrap();
        reward(&engine, "other", EGreedyV1, 1.0).unwrap();
        flush(&engine).unwrap();
        store.plan(always(call, fault));
        assert!(erase(&engine, "u").is_err(), "{call:?} {fault:?}");
        store.heal();
        erase(&engine, "u").unwrap();
        assert_eq!(store.record("u", EGreedyV1), None);
        assert_eq!(store.durable("u", EGreedyV1), None);
        assert_eq!(engine.stats("u", EGreedyV1).unwrap().reward_count, 0);
        assert_kept(&engine, &store, "other", EGreedyV1);
        flush(&engine).unwrap();
        assert_eq!(store.record("u", EGreedyV1), None, "{call:?} {fault:?}: came back");
    }
}

/// An erased user's own unwritten change must not bring it back.
#[test]
fn an_erase_forgets_what_was_not_yet_written() {
    let (engine, store) = engine();
    store.plan(always(Call::Save, Fault::Error));
    for policy in PolicyName::ALL {
        reward(&engine, "u", policy, 1.0).unwrap();
    }
    let _ = flush(&engine);
    erase(&engine, "u").unwrap();
    store.heal();
    flush(&engine).unwrap();
    assert_eq!(store.len(), 0);
    assert_eq!(engine.health().writer.dirty_users, 0);
    assert!(engine.features("u").unwrap().history.is_empty());
}

fn writer(store: &Arc<MemoryStore>) -> (Writer, Arc<Users>) {
    let store: Arc<dyn StateStore> = Arc::clone(store) as _;
    let users = Arc::new(Users::new(Arc::clone(&store), None, Settings::at("/nowhere").user_bounds(), 1000));
    (Writer::start(Arc::clone(&users), store, None, Box::new(|_| Ok(()))).unwrap(), users)
}

/// Counts a pull, as the engine does.
fn change(writer: &Writer, users: &Users, user_id: &str) {
    let user = users.get(user_id).unwrap();
    let mut state = user.lock();
    if state.queue() {
        writer.enqueue(&user);
    }
    state.make_ready(EGreedyV1).unwrap();
    state.count(&Pull {
        seconds: 1,
        policy: EGreedyV1,
        exploring: false,
        score: 0.0,
        moment: Moment::default(),
        task: TaskFeatures::default(),
    });
    state.touch(EGreedyV1, None);
}

#[test]
fn stopping_on_a_failing_store_tells_and_ends() {
    for (call, fault) in [(Call::Save, Fault::Error), (Call::Save, Fault::Panic), (Call::Sync, Fault::Error)] {
        let store = Arc::new(MemoryStore::default());
        let (writer, users) = writer(&store);
        store.plan(always(call, fault));
        change(&writer, &users, "u");
        assert!(wait(|done| writer.stop(done)).is_err());
        assert!(writer.report().failing);
        assert_eq!(writer.report().dirty_users, 1);
    }
}

#[test]
fn stopping_writes_what_is_left() {
    let store = Arc::new(MemoryStore::default());
    let (writer, users) = writer(&store);
    for i in 0..100 {
        change(&writer, &users, &format!("user-{i}"));
    }
    wait(|done| writer.stop(done)).unwrap();
    assert_eq!(store.len(), 100);
    assert_eq!(writer.report().dirty_users, 0);
}

/// Jobs that come with or after the stop get an answer, too: a promise that never settles would hang its caller.
#[test]
fn every_job_is_answered_whatever_it_finds() {
    let store = Arc::new(MemoryStore::default());
    let (writer, users) = writer(&store);
    change(&writer, &users, "u");
    let (sender, receiver) = mpsc::channel();
    let answer = |name: &'static str| {
        let sender = sender.clone();
        Box::new(move |result: Result<()>| sender.send((name, result.is_ok())).unwrap_or_default())
    };
    writer.flush(answer("flush"));
    let user = users.get("u").unwrap();
    writer.erase(&user, &mut user.lock(), None, writer.hold_mark(), answer("erase"));
    writer.stop(answer("stop"));
    writer.stop(answer("stop again"));
    writer.flush(answer("flush with the stop"));
    let mut answered: Vec<_> = (0..5).map(|_| receiver.recv_timeout(PATIENCE).expect("never answered").0).collect();
    answered.sort_unstable();
    assert_eq!(answered, ["erase", "flush", "flush with the stop", "stop", "stop again"]);
    std::thread::sleep(Duration::from_millis(50));
    writer.flush(answer("late flush"));
    assert_eq!(receiver.recv_timeout(Duration::from_secs(2)).ok(), Some(("late flush", false)), "a flush after the stop");
    writer.erase(&user, &mut user.lock(), None, writer.hold_mark(), answer("late erase"));
    assert_eq!(receiver.recv_timeout(Duration::from_secs(2)).ok(), Some(("late erase", false)), "an erase after the stop");
}

#[test]
fn answers_come_in_the_order_of_the_questions() {
    let store = Arc::new(MemoryStore::default());
    let (writer, users) = writer(&store);
    let order = Arc::new(Mutex::new(Vec::new()));
    for i in 0..50 {
        change(&writer, &users, &format!("user-{i}"));
        let order = Arc::clone(&order);
        writer.flush(Box::new(move |_| order.lock().push(i)));
    }
    wait(|done| writer.stop(done)).unwrap();
    assert_eq!(*order.lock(), (0..50).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(crate::support::cases(24))]

    /// Whatever fails and when, with whatever calls in between: once the store is well again, it has all.
    #[test]
    fn nothing_is_lost_by_any_pattern_of_failures(
        faults in prop::collection::vec(prop_oneof![4 => Just(Fault::None), 2 => Just(Fault::Error), 1 => Just(Fault::Panic)], 1..60),
        sync_faults in prop::collection::vec(prop_oneof![2 => Just(Fault::None), 1 => Just(Fault::Error)], 1..8),
        calls in prop::collection::vec((0u8..4, 0usize..3, 0u8..10), 1..60),
        seed in any::<u64>(),
    ) {
        let (engine, store) = engine();
        let (mut save, mut sync) = (faults.into_iter().cycle(), sync_faults.into_iter().cycle());
        store.plan(move |call, _| match call {
            Call::Save => save.next().unwrap(),
            Call::Sync => sync.next().unwrap(),
            _ => Fault::None,
        });
        let chance = Chance::seeded(seed);
        let mut expected = std::collections::BTreeMap::<(u8, usize), (u64, u64)>::new();
        for (user, policy, action) in calls {
            let id = format!("user-{user}");
            match action {
                0..5 => {
                    reward(&engine, &id, PolicyName::ALL[policy], 1.0).unwrap();
                    expected.entry((user, policy)).or_default().1 += 1;
                }
                5..8 => {
                    score(&engine, &id, PolicyName::ALL[policy], &some_tasks(3, &chance), "tip").unwrap();
                    expected.entry((user, policy)).or_default().0 += 1;
                }
                8 => drop(flush(&engine)),
                _ => {
                    engine.reset(&id).unwrap();
                    expected.iter_mut().filter(|((u, _), _)| *u == user).for_each(|(_, counts)| *counts = (0, 0));
                }
            }
        }
        store.heal();
        flush(&engine).unwrap();
        for ((user, policy), (pulls, rewards)) in expected {
            let (id, policy) = (format!("user-{user}"), PolicyName::ALL[policy]);
            assert_kept(&engine, &store, &id, policy);
            let counters = store.durable(&id, policy).unwrap().counters;
            prop_assert_eq!((counters.pulls, counters.reward_count), (pulls, rewards));
        }
        prop_assert_eq!(engine.health().writer.dirty_users, 0);
    }
}
