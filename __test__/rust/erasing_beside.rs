//! What goes on while people's lines are taken out of the segments, however long that takes: appending, syncing, flushing, retention,
//! closing. The disk stops where a test says so.

use crate::memory_disk::{Call, Fault, Image, MemoryDisk, Running, Step, open_on};
use crate::support::{Gate, ManualClock, PATIENCE, reward, score, some_tasks, until, wait};
use oo_bandits::disk::Room;
use oo_bandits::policy::PolicyName::EGreedyV1;
use oo_bandits::rng::Chance;
use oo_bandits::settings::Settings;
use oo_bandits::{Engine, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};

const PERSON: &str = "person-x";
const REWRITTEN: &str = "rewrite.tmp";

fn open(disk: &MemoryDisk) -> Running {
    let settings = Settings { seed: Some(1), ..Settings::at("/memory") };
    open_on(disk, settings, &ManualClock::at(1_700_000_000)).unwrap()
}

fn learn(engine: &Running, user_id: &str) {
    reward(engine, user_id, EGreedyV1, 1.0).unwrap();
}

/// A directory whose log has two segments with lines of the person and of another one.
fn lived() -> (MemoryDisk, Running) {
    let disk = MemoryDisk::default();
    let engine = open(&disk);
    learn(&engine, PERSON);
    learn(&engine, "other");
    engine.close().unwrap();
    let engine = open(&disk);
    learn(&engine, PERSON);
    learn(&engine, "other");
    wait(|done| engine.checkpoint(done)).unwrap();
    (disk, engine)
}

fn is_rewriting(step: &Step, call: Call) -> bool {
    step.call == call && step.room == Room::Log && step.name == REWRITTEN
}

/// From now on whoever asks for this of the file that is being written stops.
fn stop_at(disk: &MemoryDisk, call: Call) -> Gate {
    let gate = Gate::default();
    let at = gate.clone();
    disk.plan(move |step| {
        if is_rewriting(step, call) {
            at.wait_here();
        }
        Fault::None
    });
    gate
}

fn erase(engine: &Running, user_id: &str) -> Receiver<Result<()>> {
    let (sender, receiver) = channel();
    engine.erase(user_id, Box::new(move |outcome| sender.send(outcome).unwrap_or_default()));
    receiver
}

fn outcome(told: &Receiver<Result<()>>) -> Result<()> {
    told.recv_timeout(PATIENCE).expect("was never told")
}

/// Whether it is there after a power cut, whatever of the rest is.
fn is_safe(disk: &MemoryDisk, text: &str) -> bool {
    (0..8).all(|seed| !disk.cut(seed).files_with(text).is_empty())
}

#[test]
fn pulls_are_written_rewards_synced_and_flushes_answered_while_an_erasure_waits_for_the_disk() {
    for call in [Call::Write, Call::SyncFile] {
        let (disk, engine) = lived();
        let gate = stop_at(&disk, call);
        let erased = erase(&engine, PERSON);
        gate.until_reached();
        score(&engine, "other", EGreedyV1, &some_tasks(3, &Chance::seeded(1)), "tip-meanwhile").unwrap();
        until("the pull is in a line", || !disk.image().files_with("tip-meanwhile").is_empty());
        wait(|done| engine.flush(done)).unwrap();
        assert!(is_safe(&disk, "tip-meanwhile"));
        // Nobody asks for this one: it is synced within the second.
        learn(&engine, "somebody");
        until("the reward is synced", || is_safe(&disk, "\"userId\":\"somebody\""));
        assert!(erased.try_recv().is_err(), "said to be done before it was");
        gate.open();
        outcome(&erased).unwrap();
        assert_eq!(disk.image().files_with(PERSON), Vec::<String>::new());
        assert!((0..8).all(|seed| disk.cut(seed).files_with(PERSON).is_empty()));
    }
}

#[test]
fn whoever_closes_meanwhile_waits_for_the_erasure_and_what_was_said_is_synced_before() {
    let (disk, engine) = lived();
    let gate = stop_at(&disk, Call::SyncFile);
    let erased = erase(&engine, PERSON);
    gate.until_reached();
    learn(&engine, "somebody");
    let (sender, closed) = channel();
    Engine::close(&engine, Box::new(move |outcome| sender.send(outcome).unwrap_or_default()));
    until("the reward is synced", || is_safe(&disk, "\"userId\":\"somebody\""));
    assert!(closed.try_recv().is_err(), "closed before the erasure was done");
    gate.open();
    outcome(&closed).unwrap();
    erased.try_recv().unwrap().unwrap();
    assert_eq!(disk.image().files_with(PERSON), Vec::<String>::new());
    let again = open(&disk);
    assert_eq!((again.recovery().segments, again.stats("somebody", EGreedyV1).unwrap().reward_count), (0, 1));
}

#[test]
fn those_who_wait_share_one_pass_over_the_segments() {
    const PEOPLE: usize = 20;
    let (disk, engine) = lived();
    let people: Vec<String> = (0..PEOPLE).map(|i| format!("crowd-{i}-")).collect();
    for person in &people {
        learn(&engine, person);
    }
    wait(|done| engine.checkpoint(done)).unwrap();
    let (gate, rewritten) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
    let (at, count) = (gate.clone(), Arc::clone(&rewritten));
    disk.plan(move |step| {
        if is_rewriting(step, Call::Create) {
            count.fetch_add(1, Ordering::SeqCst);
            at.wait_here();
        }
        Fault::None
    });
    let first = erase(&engine, PERSON);
    gate.until_reached();
    let others: Vec<_> = people.iter().map(|person| erase(&engine, person)).collect();
    // The jobs before this one have been handed on when it is answered.
    wait(|done| engine.checkpoint(done)).unwrap();
    wait(|done| engine.checkpoint(done)).unwrap();
    gate.open();
    outcome(&first).unwrap();
    for erased in others {
        outcome(&erased).unwrap();
    }
    let rewritten = rewritten.load(Ordering::SeqCst);
    assert!(rewritten <= 8, "{rewritten} segments were written for {PEOPLE} people");
    assert_eq!(disk.image().files_with("crowd-"), Vec::<String>::new());
}

#[test]
fn a_segment_that_is_removed_while_it_is_rewritten_does_not_come_back() {
    let (disk, engine) = lived();
    let oldest = disk.image().names(Room::Log)[0].to_owned();
    let gate = stop_at(&disk, Call::SyncFile);
    let erased = erase(&engine, PERSON);
    gate.until_reached();
    disk.directory().remove(Room::Log, &oldest).unwrap();
    gate.open();
    outcome(&erased).unwrap();
    let names = disk.image();
    assert!(!names.names(Room::Log).contains(&&*oldest) && !names.names(Room::Log).contains(&REWRITTEN));
    assert_eq!(names.files_with(PERSON), Vec::<String>::new());
}

/// Retention, too, is looked after beside the log.
#[test]
fn nothing_waits_for_old_segments_to_be_removed() {
    let (disk, engine) = lived();
    drop(engine);
    let gate = Gate::default();
    let at = gate.clone();
    disk.plan(move |step| {
        if step.call == Call::Remove && step.room == Room::Log && step.name != REWRITTEN {
            at.wait_here();
        }
        Fault::None
    });
    let settings = Settings { seed: Some(1), log_retention_bytes: 0, ..Settings::at("/memory") };
    let engine = open_on(&disk, settings, &ManualClock::at(1_700_000_000)).unwrap();
    // They are looked for as soon as something happens.
    learn(&engine, "other");
    gate.until_reached();
    score(&engine, "other", EGreedyV1, &some_tasks(3, &Chance::seeded(1)), "tip-meanwhile").unwrap();
    wait(|done| engine.flush(done)).unwrap();
    assert!(is_safe(&disk, "tip-meanwhile"));
    let segments = disk.image().names(Room::Log).len();
    gate.open();
    until("the segment goes", || disk.image().names(Room::Log).len() < segments);
}

#[test]
fn what_was_being_written_when_a_process_died_goes_at_the_next_start() {
    let mut image = Image::default();
    image.put(Room::Log, REWRITTEN, format!("{{\"userId\":\"{PERSON}\"}}\n"));
    let disk = MemoryDisk::with(image);
    let engine = open(&disk);
    assert_eq!(disk.image().files_with(PERSON), Vec::<String>::new());
    engine.close().unwrap();
}

/// The line that says that somebody is being erased goes after all others of that person, in whatever order the segments have them.
#[test]
fn an_erasure_of_two_that_is_cut_short_is_finished_at_the_next_start() {
    const PEOPLE: [&str; 2] = ["person-a", "person-b"];
    let disk = MemoryDisk::default();
    let engine = open(&disk);
    for person in PEOPLE {
        learn(&engine, person);
    }
    learn(&engine, "other");
    wait(|done| engine.checkpoint(done)).unwrap();
    // The lines stay.
    disk.plan(|step| if is_rewriting(step, Call::Create) { Fault::Error(28) } else { Fault::None });
    for person in PEOPLE {
        outcome(&erase(&engine, person)).unwrap_err();
    }
    drop(engine);
    let image = shuffled(&disk.image(), PEOPLE);
    let mut left = Vec::new();
    let disk = MemoryDisk::with(image);
    let engine = open(&disk);
    engine.close().unwrap();
    for (at, moment) in disk.moments(0..=disk.changes()) {
        for seed in 0..4 {
            let (what, image) = if seed == 0 { ("kill", moment.kill()) } else { ("power cut", moment.cut(seed)) };
            let disk = MemoryDisk::with(image);
            open(&disk).close().unwrap();
            let image = disk.image();
            for person in PEOPLE {
                left.extend(image.files_with(person).iter().map(|file| format!("{what} after {at}: {person} in {file}")));
            }
            assert!(!image.files_with("\"userId\":\"other\"").is_empty(), "{what} after {at}: somebody else's line is gone");
        }
    }
    assert!(left.is_empty(), "{}", left.join("\n"));
}

/// A log in two segments: each has the line that says that one of the two is being erased, and the other one's reward.
fn shuffled(image: &Image, people: [&str; 2]) -> Image {
    let log = String::from_utf8(image.log()).unwrap();
    let line = |kind: &str, user_id: &str| {
        let is_it = |line: &&str| line.contains(&format!("\"kind\":\"{kind}\"")) && line.contains(user_id);
        log.lines().find(is_it).unwrap_or_else(|| panic!("no {kind} of {user_id} in {log}"))
    };
    let names = image.names(Room::Log);
    let mut shuffled = Image::default();
    let heads: Vec<&str> = log.lines().filter(|line| line.contains("\"kind\":\"segment\"")).collect();
    let rest = [
        [line("reward", "other"), line("reward", people[1]), line("erase", people[0])],
        [line("reward", people[0]), line("erase", people[1]), ""],
    ];
    let segments = names.iter().filter(|name| **name != REWRITTEN);
    for ((name, head), lines) in segments.zip(heads).zip(rest) {
        let written: Vec<_> = std::iter::once(head).chain(lines).filter(|line| !line.is_empty()).collect();
        shuffled.put(Room::Log, name, written.join("\n") + "\n");
    }
    assert_eq!(shuffled.names(Room::Log).len(), 2, "{names:?}");
    shuffled
}
