//! Erasing on a disk that fails, or whose power goes: what is done is done, and what was begun is finished.

use crate::memory_disk::{Call, EIO, Fault, Image, MemoryDisk, open_on};
use crate::support::{ManualClock, reward, score, some_tasks, wait};
use oo_bandits::disk::Room;
use oo_bandits::policy::PolicyName::{EGreedyV1, EGreedyV2};
use oo_bandits::rng::Chance;
use oo_bandits::settings::Settings;
use std::sync::atomic::{AtomicU64, Ordering};

const PERSON: &str = "person-x";

fn open(image: Image) -> (MemoryDisk, crate::memory_disk::Running) {
    let disk = MemoryDisk::with(image);
    let settings = Settings { seed: Some(1), ..Settings::at("/memory") };
    let engine = open_on(&disk, settings, &ManualClock::at(1_700_000_000)).unwrap();
    (disk, engine)
}

#[test]
fn an_erasure_that_is_done_has_left_nothing_whatever_failed_meanwhile() {
    let mut left_behind = Vec::new();
    for (call, at_once) in
        [(Call::SyncFile, 1), (Call::SyncFile, 2), (Call::Write, 1), (Call::Write, 2), (Call::Create, 1), (Call::SyncRoom, 1)]
    {
        for nth in 0..8 {
            let (disk, engine) = open(Image::default());
            reward(&engine, PERSON, EGreedyV1, 1.0).unwrap();
            reward(&engine, "other", EGreedyV1, 1.0).unwrap();
            score(&engine, PERSON, EGreedyV1, &some_tasks(3, &Chance::seeded(1)), "tip").unwrap();
            let seen = AtomicU64::new(0);
            disk.plan(move |step| {
                let counts = step.call == call && step.room == Room::Log;
                let fails = counts && (nth..nth + at_once).contains(&seen.fetch_add(1, Ordering::SeqCst));
                if fails { Fault::Error(EIO) } else { Fault::None }
            });
            let done = wait(|done| engine.erase(PERSON, done));
            // The log's thread tries again what it could not write.
            std::thread::sleep(std::time::Duration::from_millis(5));
            let _ = wait(|done| engine.flush(done));
            let left = disk.image().files_with(PERSON);
            if done.is_ok() && !left.is_empty() {
                left_behind.push(format!("{at_once} × {call:?} from the {nth}th on: {left:?}"));
            }
        }
    }
    assert!(left_behind.is_empty(), "{}", left_behind.join("\n"));
}

/// After any change of the erasure: either it has not begun, or the next start finishes it; and nobody is said to have lost a file.
#[test]
fn an_erasure_that_was_cut_short_is_finished_at_the_next_start() {
    let (disk, engine) = open(Image::default());
    reward(&engine, PERSON, EGreedyV1, 1.0).unwrap();
    wait(|done| engine.checkpoint(done)).unwrap();
    reward(&engine, PERSON, EGreedyV1, 1.0).unwrap();
    reward(&engine, "other", EGreedyV1, 1.0).unwrap();
    wait(|done| engine.flush(done)).unwrap();
    let before = disk.changes();
    wait(|done| engine.erase(PERSON, done)).unwrap();
    let after = disk.changes();
    drop(engine);
    let mut half = Vec::new();
    for (at, moment) in disk.moments(before..=after) {
        for seed in 0..8 {
            let (what, image) = if seed == 0 { ("kill", moment.kill()) } else { ("power cut", moment.cut(seed)) };
            let (disk, engine) = open(image);
            let ambiguous = engine.recovery().ambiguous_users.len();
            wait(|done| engine.checkpoint(done)).unwrap();
            let rewards = engine.stats(PERSON, EGreedyV1).unwrap().reward_count;
            // What was left to erase is erased in the background, before the engine is closed.
            engine.close().unwrap();
            let left = disk.image().files_with(PERSON);
            let is_whole = rewards == 2 && at < after;
            let is_gone = rewards == 0 && left.is_empty();
            if !(is_whole || is_gone) || ambiguous > 0 {
                half.push(format!(
                    "{what} after {} of {}: {rewards} rewards, {ambiguous} ambiguous, {left:?}",
                    at - before,
                    after - before
                ));
            }
        }
    }
    half.dedup();
    assert!(half.is_empty(), "{}", half.join("\n"));
}

/// What happens to the person meanwhile is a new person's. Its file is there, and it may have left memory, when the erasure is tried
/// again.
#[test]
fn an_erasure_that_is_tried_again_leaves_what_happened_since() {
    let disk = MemoryDisk::default();
    let settings = Settings { seed: Some(1), max_hot_users: 2, ..Settings::at("/memory") };
    let engine = open_on(&disk, settings, &ManualClock::at(1_700_000_000)).unwrap();
    let checkpoint = || wait(|done| engine.checkpoint(done)).unwrap();
    reward(&engine, PERSON, EGreedyV1, 1.0).unwrap();
    checkpoint();
    disk.plan(|step| if step.call == Call::Remove && step.name.contains("person") { Fault::Error(EIO) } else { Fault::None });
    wait(|done| engine.erase(PERSON, done)).unwrap_err();
    reward(&engine, PERSON, EGreedyV1, 2.0).unwrap();
    checkpoint();
    for other in ["a", "b", "c", "d"] {
        reward(&engine, other, EGreedyV1, 1.0).unwrap();
        checkpoint();
    }
    disk.heal();
    // The first one tries again; the second one comes after what the log has to do for it.
    checkpoint();
    checkpoint();
    let now = engine.stats(PERSON, EGreedyV1).unwrap().cumulative_reward;
    let (_, engine) = open(disk.image());
    assert_eq!((now, engine.stats(PERSON, EGreedyV1).unwrap().cumulative_reward), (2.0, 2.0));
}

/// Two users share a plain name. Who has the file is erased with it, although the other one asked for the name later.
#[test]
fn an_erasure_takes_the_file_whose_name_another_user_would_have_had() {
    let (disk, engine) = open(Image::default());
    // In memory before there is a file.
    reward(&engine, "a-b", EGreedyV2, 1.0).unwrap();
    reward(&engine, "a_b", EGreedyV1, 1.0).unwrap();
    wait(|done| engine.checkpoint(done)).unwrap();
    reward(&engine, "a-b", EGreedyV1, 2.0).unwrap();
    wait(|done| engine.checkpoint(done)).unwrap();
    wait(|done| engine.erase("a_b", done)).unwrap();
    assert_eq!(disk.image().files_with("\"user_id\":\"a_b\""), Vec::<String>::new());
    let (_, engine) = open(disk.image());
    let sum = |user| engine.stats(user, EGreedyV1).unwrap().cumulative_reward;
    assert_eq!((sum("a_b"), sum("a-b")), (0.0, 2.0));
}

/// An erasure that fails for long is tried again now and then, not all the time: each try syncs.
#[test]
fn an_erasure_that_goes_on_failing_does_not_keep_the_disk_busy() {
    let (disk, engine) = open(Image::default());
    reward(&engine, PERSON, EGreedyV1, 1.0).unwrap();
    disk.plan(|step| if step.call == Call::Remove && step.name.contains("person") { Fault::Error(EIO) } else { Fault::None });
    reward(&engine, "other", EGreedyV1, 1.0).unwrap();
    wait(|done| engine.erase(PERSON, done)).unwrap_err();
    let before = disk.steps();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let calls = disk.steps() - before;
    assert!(calls < 100, "{calls} calls within 300 ms");
    disk.heal();
    wait(|done| engine.erase(PERSON, done)).unwrap();
    assert_eq!(disk.image().files_with(PERSON), Vec::<String>::new());
}
