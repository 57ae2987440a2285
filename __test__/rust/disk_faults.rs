//! Disks that fail: calls are refused with their type and change nothing, decisions go on, and once the disk is well again everything
//! is there that was acknowledged, and nothing else.

use crate::memory_disk::{Call, EIO, EMFILE, ENOSPC, Fault, Image, MemoryDisk, Running, open_on};
use crate::support::{ManualClock, PATIENCE, reward, score, some_tasks, wait};
use oo_bandits::ErrorKind;
use oo_bandits::disk::Room;
use oo_bandits::policy::PolicyName::{self, EGreedyV1};
use oo_bandits::rng::Chance;
use oo_bandits::settings::Settings;
use oo_bandits::state::{StateFiles, replay};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const USERS: [&str; 2] = ["u", "v"];

fn open(disk: &MemoryDisk) -> Running {
    let settings = Settings { seed: Some(1), max_reward: f64::MAX, ..Settings::at("/memory") };
    open_on(disk, settings, &ManualClock::at(1_700_000_000)).unwrap()
}

type Sums = [[(u64, f64, u64); 3]; 2];

fn sums(engine: &Running) -> Sums {
    USERS.map(|user| {
        PolicyName::ALL.map(|policy| {
            let stats = engine.stats(user, policy).unwrap();
            (stats.reward_count, stats.cumulative_reward, stats.pulls)
        })
    })
}

/// Rewards, pulls, resets, flushes and checkpoints on a disk of which some calls fail: from the `nth` on, `many`.
fn suffer(nth: u64, many: u64, fault: Fault) {
    let what = format!("{fault:?} of {many} calls from the {nth}th on");
    let disk = MemoryDisk::default();
    let engine = open(&disk);
    let mut expected: Sums = Sums::default();
    for (user, id) in USERS.iter().enumerate() {
        reward(&engine, id, EGreedyV1, 1.0).unwrap();
        expected[user][EGreedyV1 as usize] = (1, 1.0, 0);
    }
    let first = disk.steps() + nth;
    disk.plan(move |step| if (first..first + many).contains(&step.index) { fault } else { Fault::None });
    let chance = Chance::seeded(nth);
    for step in 1..40 {
        let (user, policy) = (chance.draw().below(2), PolicyName::ALL[chance.draw().below(3)]);
        let of = &mut expected[user];
        let outcome = match chance.draw().below(10) {
            0..5 => reward(&engine, USERS[user], policy, 2f64.powi(step)).map(|()| {
                of[policy as usize].0 += 1;
                of[policy as usize].1 += 2f64.powi(step);
            }),
            5..7 => {
                of[policy as usize].2 += 1;
                score(&engine, USERS[user], policy, &some_tasks(3, &chance), "tip").map(drop)
            }
            7 => engine.reset(USERS[user]).map(|()| *of = Default::default()),
            8 => wait(|done| engine.flush(done)),
            _ => wait(|done| engine.checkpoint(done)),
        };
        if let Err(e) = outcome {
            assert!(matches!(e.kind(), ErrorKind::StateIo | ErrorKind::Backpressure), "{what}: {e}");
        }
        assert_eq!(sums(&engine), expected, "{what}");
    }
    disk.heal();
    let end = Instant::now() + PATIENCE;
    while let Err(e) = wait(|done| engine.checkpoint(done)) {
        assert!(Instant::now() < end, "{what}: never well again: {e}");
    }
    let health = engine.health();
    assert!(health.ok && health.log.dropped_pulls == 0, "{what}: {:?}", health.warnings);
    let images: Vec<Image> = std::iter::once(disk.image()).chain((0..3).map(|seed| disk.cut(seed))).collect();
    drop(engine);
    for image in images {
        let disk = MemoryDisk::with(image);
        let engine = open(&disk);
        assert_eq!((sums(&engine), engine.recovery().damaged_lines), (expected, 0), "{what}, and a crash behind a checkpoint");
        // Nothing is missing: calls that were refused took their numbers with them, and what could not be written is not there.
        assert_eq!(engine.recovery().cut_segments, [], "{what}");
        let (log, copy) = (disk.directory(), MemoryDisk::default());
        let report = replay(&log, None, &StateFiles::new(copy.directory()), engine.settings().user_bounds()).unwrap();
        assert_eq!(report.missing, [], "{what}");
        assert!(!report.reasons.iter().any(|reason| reason.contains("shorter")), "{what}: {:?}", report.reasons);
    }
}

#[test]
fn a_call_that_fails_changes_nothing_and_everything_else_is_kept() {
    for (i, fault) in [ENOSPC, EIO, EMFILE].map(Fault::Error).into_iter().chain([1, 2, 40].map(Fault::Short)).enumerate() {
        for nth in (i as u64..90).step_by(11) {
            suffer(nth, 1, fault);
        }
    }
}

#[test]
fn a_disk_that_fails_for_a_while_costs_no_more_than_what_it_refused() {
    for (i, fault) in [ENOSPC, EIO, EMFILE].map(Fault::Error).into_iter().chain([1, 60].map(Fault::Short)).enumerate() {
        for nth in (i as u64..80).step_by(19) {
            suffer(nth, 15, fault);
        }
    }
}

/// The line is there but for its newline, and its caller was told that it failed.
#[test]
fn a_line_without_its_newline_was_refused_and_stays_so() {
    for less in [1, 2, 19] {
        let disk = MemoryDisk::default();
        let engine = open(&disk);
        reward(&engine, "u", EGreedyV1, 1.0).unwrap();
        let segments = disk.image().names(Room::Log).len();
        let seen = AtomicU64::new(0);
        disk.plan(move |step| {
            let is_it = (step.call, step.room) == (Call::Write, Room::Log) && seen.fetch_add(1, Ordering::SeqCst) == 0;
            if is_it { Fault::Short(less) } else { Fault::None }
        });
        assert_eq!(reward(&engine, "u", EGreedyV1, 2.0).unwrap_err().kind(), ErrorKind::StateIo);
        let images = [disk.image()];
        reward(&engine, "u", EGreedyV1, 4.0).unwrap();
        assert_eq!(disk.image().names(Room::Log).len(), segments + 1, "a segment that ends in half a line was written to");
        for (image, sum) in images.into_iter().chain([disk.image()]).zip([1.0, 5.0]) {
            let engine = open(&MemoryDisk::with(image));
            let stats = engine.stats("u", EGreedyV1).unwrap();
            assert_eq!((stats.cumulative_reward, engine.recovery().torn_lines), (sum, 1), "{less} bytes short");
        }
    }
}

/// What the system could not write it may have dropped: another sync of the same file would say that all is well.
/// ([`MemoryDisk`] takes note of such a sync, and [`Running`] looks at the end.)
#[test]
fn what_could_not_be_synced_is_written_anew() {
    for call in [Call::SyncFile, Call::SyncRoom] {
        let disk = MemoryDisk::default();
        let engine = open(&disk);
        reward(&engine, "u", EGreedyV1, 1.0).unwrap();
        let seen = AtomicU64::new(0);
        disk.plan(move |step| {
            let is_it = (step.call, step.room) == (call, Room::Log) && seen.fetch_add(1, Ordering::SeqCst) == 0;
            if is_it { Fault::Error(EIO) } else { Fault::None }
        });
        // A directory is synced when there is a new segment.
        reward(&engine, "u", EGreedyV1, 2.0).unwrap();
        wait(|done| engine.flush(done)).unwrap();
        assert_eq!(disk.violations(), Vec::<String>::new());
        for seed in 0..16 {
            let engine = open(&MemoryDisk::with(disk.cut(seed)));
            assert_eq!(engine.stats("u", EGreedyV1).unwrap().cumulative_reward, 3.0, "{call:?}, seed {seed}");
        }
    }
}

/// While a state file cannot be written, the log must not say that what it lacks is in it.
#[test]
fn the_mark_waits_for_the_files() {
    let disk = MemoryDisk::default();
    let engine = open(&disk);
    reward(&engine, "u", EGreedyV1, 1.0).unwrap();
    wait(|done| engine.checkpoint(done)).unwrap();
    for failing in [Call::Rename, Call::SyncRoom] {
        disk.plan(move |step| if (step.call, step.room) == (failing, Room::State) { Fault::Error(EIO) } else { Fault::None });
        reward(&engine, "u", EGreedyV1, 2.0).unwrap();
        let before = engine.health().log.low_water;
        assert_eq!(wait(|done| engine.checkpoint(done)).unwrap_err().kind(), ErrorKind::StateIo);
        assert_eq!(engine.health().log.low_water, before, "{failing:?}");
        assert!(!engine.health().ok);
        let killed = open(&MemoryDisk::with(disk.image()));
        assert_eq!(sums(&killed), sums(&engine), "{failing:?}");
    }
}
