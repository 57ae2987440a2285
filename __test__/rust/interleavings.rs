//! What happens while something else is under way: a user that leaves memory while its file is written, an open that fails when its
//! threads run already, a flush beside somebody else's sync.

use crate::memory_disk::{Call, EIO, Fault, Image, MemoryDisk, open_on};
use crate::support::{Gate, ManualClock, reward, score, score_on, some_tasks, until, wait};
use oo_bandits::disk::Room;
use oo_bandits::policy::PolicyName::EGreedyV1;
use oo_bandits::rng::Chance;
use oo_bandits::settings::Settings;
use oo_bandits::{Engine, Error, ErrorKind};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

fn settings() -> Settings {
    Settings { seed: Some(1), ..Settings::at("/memory") }
}

fn clock() -> Arc<ManualClock> {
    ManualClock::at(1_700_000_000)
}

/// The sum of rewards: with powers of two as rewards it says which of them are in it.
fn sum(engine: &Engine, user_id: &str) -> f64 {
    engine.stats(user_id, EGreedyV1).unwrap().cumulative_reward
}

fn sum_after_restart(image: Image, user_id: &str) -> f64 {
    sum(&open_on(&MemoryDisk::with(image), settings(), &clock()).unwrap(), user_id)
}

fn checkpoint(engine: &Engine) {
    wait(|done| engine.checkpoint(done)).unwrap();
}

/// The reward of 2 is on its way to the file when others need the room: the user must not be read from the file before it is there.
#[test]
fn a_user_whose_file_is_being_written_does_not_leave_memory() {
    let disk = MemoryDisk::default();
    let engine = open_on(&disk, Settings { max_hot_users: 2, ..settings() }, &clock()).unwrap();
    reward(&engine, "u", EGreedyV1, 1.0).unwrap();
    reward(&engine, "c", EGreedyV1, 1.0).unwrap();
    checkpoint(&engine);
    let gate = Gate::default();
    let at = gate.clone();
    disk.plan(move |step| {
        if (step.call, &*step.name) == (Call::Rename, "u_egreedy.json") {
            at.wait_here();
        }
        Fault::None
    });
    reward(&engine, "u", EGreedyV1, 2.0).unwrap();
    gate.until_reached();
    reward(&engine, "v", EGreedyV1, 1.0).unwrap();
    let while_written = sum(&engine, "u");
    let last = reward(&engine, "u", EGreedyV1, 4.0).map_or(0.0, |()| 4.0);
    gate.open();
    checkpoint(&engine);
    checkpoint(&engine);
    let (foreign, image) = (engine.health().writer.foreign_writes, disk.image());
    let now = sum(&engine, "u");
    assert_eq!((while_written, now, sum_after_restart(image, "u"), foreign), (3.0, 3.0 + last, 3.0 + last, 0));
}

/// The same when that write fails: what is written again is the user's, not that of an empty shell.
#[test]
fn a_user_whose_file_could_not_be_written_is_still_in_memory() {
    let disk = MemoryDisk::default();
    let engine = open_on(&disk, Settings { max_hot_users: 2, ..settings() }, &clock()).unwrap();
    reward(&engine, "u", EGreedyV1, 1.0).unwrap();
    reward(&engine, "c", EGreedyV1, 1.0).unwrap();
    checkpoint(&engine);
    let gate = Gate::default();
    let at = gate.clone();
    disk.plan(move |step| {
        if (step.call, &*step.name) == (Call::Rename, "u_egreedy.json") && !at.reached.load(Ordering::SeqCst) {
            at.wait_here();
            return Fault::Error(EIO);
        }
        Fault::None
    });
    reward(&engine, "u", EGreedyV1, 2.0).unwrap();
    gate.until_reached();
    reward(&engine, "v", EGreedyV1, 1.0).unwrap();
    gate.open();
    until("written", || wait(|done| engine.checkpoint(done)).is_ok());
    checkpoint(&engine);
    let image = disk.image();
    assert_eq!((sum(&engine, "u"), sum_after_restart(image, "u")), (3.0, 3.0));
}

/// A state file's name is not safe when the sync of the directory failed, and another sync would not tell: the file is written again,
/// for which its user must be there.
#[test]
fn a_user_whose_files_name_could_not_be_synced_is_still_in_memory() {
    let disk = MemoryDisk::default();
    let engine = open_on(&disk, Settings { max_hot_users: 2, ..settings() }, &clock()).unwrap();
    reward(&engine, "u", EGreedyV1, 1.0).unwrap();
    reward(&engine, "c", EGreedyV1, 1.0).unwrap();
    checkpoint(&engine);
    let gate = Gate::default();
    let at = gate.clone();
    disk.plan(move |step| {
        if (step.call, step.room) == (Call::SyncRoom, Room::State) && !at.reached.load(Ordering::SeqCst) {
            at.wait_here();
            return Fault::Error(EIO);
        }
        Fault::None
    });
    reward(&engine, "u", EGreedyV1, 2.0).unwrap();
    gate.until_reached();
    reward(&engine, "v", EGreedyV1, 1.0).unwrap();
    gate.open();
    until("written", || wait(|done| engine.checkpoint(done)).is_ok());
    checkpoint(&engine);
    let lost: Vec<u64> = (0..16).filter(|seed| sum_after_restart(disk.cut(*seed), "u") != 3.0).collect();
    assert!(lost.is_empty(), "a power cut behind a checkpoint loses a reward with seeds {lost:?}");
}

/// An open that cannot read a user fails when its threads run already: they must not go on writing beside the next engine's.
#[test]
fn an_open_that_fails_leaves_nobody_behind() {
    let disk = MemoryDisk::default();
    let engine = open_on(&disk, settings(), &clock()).unwrap();
    disk.plan(|step| if step.call == Call::Rename { Fault::Error(EIO) } else { Fault::None });
    for user in ["a", "b", "c"] {
        reward(&engine, user, EGreedyV1, 1.0).unwrap();
    }
    let killed = disk.image();
    drop(engine);

    let disk = MemoryDisk::with(killed);
    // What the first engine's threads ask fails until it is allowed; one read of its opener's fails.
    let (threads, phase, reads) = (Arc::new(Mutex::new(HashSet::new())), Arc::new(AtomicU32::new(0)), AtomicU64::new(0));
    let now = Arc::clone(&phase);
    disk.plan(move |step| {
        let thread = std::thread::current();
        let is_writer = thread.name() == Some("bandits-state");
        let fails = match now.load(Ordering::SeqCst) {
            0 if is_writer => {
                threads.lock().insert(thread.id());
                true
            }
            0 => (step.call, step.room) == (Call::Read, Room::State) && reads.fetch_add(1, Ordering::SeqCst) == 13,
            1 => threads.lock().contains(&thread.id()),
            _ => false,
        };
        if fails { Fault::Error(EIO) } else { Fault::None }
    });
    assert_eq!(open_on(&disk, settings(), &clock()).map(drop).unwrap_err().kind(), ErrorKind::StateIo);
    std::thread::sleep(Duration::from_millis(50));
    phase.store(1, Ordering::SeqCst);
    let engine = open_on(&disk, settings(), &clock()).unwrap();
    reward(&engine, "a", EGreedyV1, 2.0).unwrap();
    checkpoint(&engine);
    checkpoint(&engine);
    phase.store(2, Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(1500));
    let (foreign, image) = (engine.health().writer.foreign_writes, disk.image());
    assert_eq!((sum_after_restart(image, "a"), foreign), (3.0, 0));
}

/// A user whose file is ahead of the log makes its loader begin a sync of its own. What the flush has to cover is in that one.
#[test]
fn a_flush_waits_for_a_sync_that_somebody_else_has_begun() {
    let disk = MemoryDisk::default();
    let engine = open_on(&disk, settings(), &clock()).unwrap();
    for _ in 0..50 {
        reward(&engine, "u", EGreedyV1, 1.0).unwrap();
    }
    checkpoint(&engine);
    drop(engine);
    let mut image = disk.image();
    image.clear(Room::Log);
    image.remove(Room::State, ".epoch");
    let disk = MemoryDisk::with(image);
    let engine = open_on(&disk, settings(), &clock()).unwrap();
    let gate = Gate::default();
    let at = gate.clone();
    disk.plan(move |step| {
        match std::thread::current().name() {
            // It would append a mark, which makes the flush sync.
            Some("bandits-state") => until("the gate opens", || at.open.load(Ordering::SeqCst)),
            Some("loader") if step.call == Call::SyncFile => at.wait_here(),
            _ => {}
        }
        Fault::None
    });
    reward(&engine, "w", EGreedyV1, 1.0).unwrap();
    let flushed = std::thread::scope(|scope| {
        let loader = std::thread::Builder::new().name("loader".to_owned());
        loader.spawn_scoped(scope, || engine.user("u").map(drop).unwrap()).unwrap();
        gate.until_reached();
        let (sender, receiver) = std::sync::mpsc::channel();
        engine.flush(Box::new(move |outcome| sender.send(outcome.is_ok()).unwrap_or_default()));
        let flushed = receiver.recv_timeout(Duration::from_millis(300)) == Ok(true);
        let lost = (0..16).filter(|seed| !String::from_utf8_lossy(&disk.cut(*seed).log()).contains("\"w\"")).count();
        gate.open();
        flushed.then_some(lost)
    });
    assert_eq!(flushed, None, "the flush resolved, and so many of 16 power cuts lose what it covers");
}

/// `first` belongs to the first line, not to the first attempt: a rebuilt state is complete only from there on.
#[test]
fn a_score_that_failed_was_not_the_first_one() {
    let disk = MemoryDisk::default();
    let engine = open_on(&disk, settings(), &clock()).unwrap();
    let (user, tasks) = (engine.user("u").unwrap(), some_tasks(3, &Chance::seeded(1)));
    score_on(&engine, &user, EGreedyV1, &tasks, |_| Err(Error::new(ErrorKind::InvalidArgument, "no id"))).unwrap_err();
    reward(&engine, "u", EGreedyV1, 1.0).unwrap();
    let log = String::from_utf8(disk.image().log()).unwrap();
    assert!(log.contains("\"first\":true"), "{log}");
}

/// The reward's line is in the log at once, the pull's some milliseconds later. A kill in between is no sign of a file that vanished.
#[test]
fn a_reward_behind_a_pull_that_was_lost_makes_nobody_ambiguous() {
    let disk = MemoryDisk::default();
    let engine = open_on(&disk, settings(), &clock()).unwrap();
    score(&engine, "u", EGreedyV1, &some_tasks(3, &Chance::seeded(1)), "tip").unwrap();
    reward(&engine, "u", EGreedyV1, 1.0).unwrap();
    let killed = disk.image();
    assert!(!String::from_utf8(killed.log()).unwrap().contains("\"kind\":\"pull\""), "too slow to tell");
    let engine = open_on(&MemoryDisk::with(killed), settings(), &clock()).unwrap();
    assert_eq!((engine.recovery().ambiguous_users.len(), sum(&engine, "u")), (0, 1.0));
}
