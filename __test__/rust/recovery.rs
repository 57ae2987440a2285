//! What an engine makes of what it finds: logs and state files that were copied, cut, damaged, removed or written by others.

use crate::memory_disk::{Call, EIO, Fault, Image, MemoryDisk, Running, open_on};
use crate::support::{ManualClock, reward, score, some_tasks, until, wait, with_lanes};
use oo_bandits::ErrorKind;
use oo_bandits::disk::Room;
use oo_bandits::engine::{Refused, ScoreCall};
use oo_bandits::feature::Moment;
use oo_bandits::policy::PolicyName::{self, EGreedyV1, LinUcbV1};
use oo_bandits::policy::{FoldCache, Scratch};
use oo_bandits::rng::Chance;
use oo_bandits::settings::Settings;
use oo_bandits::state::{Completeness, Record, StateFiles, parse, replay};

const NOW: u64 = 1_700_000_000;
const FILE: &str = "u_egreedy.json";

fn settings() -> Settings {
    Settings { seed: Some(1), ..Settings::at("/memory") }
}

fn open(disk: &MemoryDisk) -> Running {
    open_on(disk, settings(), &ManualClock::at(NOW)).unwrap()
}

fn open_image(image: Image) -> (MemoryDisk, Running) {
    let disk = MemoryDisk::with(image);
    let engine = open(&disk);
    (disk, engine)
}

fn sum(engine: &Running, user_id: &str) -> f64 {
    engine.stats(user_id, EGreedyV1).unwrap().cumulative_reward
}

fn checkpoint(engine: &Running) {
    wait(|done| engine.checkpoint(done)).unwrap();
}

/// No state file can be written: all is in the log alone.
fn keep_files_back(disk: &MemoryDisk) {
    disk.plan(|step| if (step.call, step.room) == (Call::Rename, Room::State) { Fault::Error(EIO) } else { Fault::None });
}

/// The lines of a segment, each with its newline.
fn lines(segment: &[u8]) -> Vec<&[u8]> {
    segment.split_inclusive(|&b| b == b'\n').collect()
}

fn segments(image: &Image) -> Vec<String> {
    image.names(Room::Log).into_iter().map(str::to_owned).collect()
}

fn record(image: &Image) -> Record {
    parse(image.get(Room::State, FILE).unwrap()).unwrap().record
}

/// What a killed engine left that was told rewards of 1, 2 and 4, and whose state files were last written after `saved` of them.
fn killed_after(saved: usize) -> Image {
    let disk = MemoryDisk::default();
    let engine = open(&disk);
    for (i, value) in [1.0, 2.0, 4.0].into_iter().enumerate() {
        if i == saved {
            keep_files_back(&disk);
        }
        reward(&engine, "u", EGreedyV1, value).unwrap();
        if i + 1 == saved {
            checkpoint(&engine);
        }
    }
    disk.image()
}

#[test]
fn a_line_that_stands_in_two_segments_counts_once() {
    let mut image = killed_after(0);
    let copy = image.get(Room::Log, &segments(&image)[0]).unwrap().to_vec();
    image.put(Room::Log, "0000000001-0000000000000500.jsonl", copy);
    let (_, engine) = open_image(image);
    assert_eq!((sum(&engine, "u"), engine.recovery().duplicates, engine.recovery().applied), (7.0, 3, 3));
}

#[test]
fn lines_are_applied_in_the_order_of_their_numbers() {
    let disk = MemoryDisk::default();
    let engine = open(&disk);
    keep_files_back(&disk);
    reward(&engine, "u", EGreedyV1, 1.0).unwrap();
    engine.reset("u").unwrap();
    reward(&engine, "u", EGreedyV1, 2.0).unwrap();
    reward(&engine, "u", LinUcbV1, 4.0).unwrap();
    let mut image = disk.image();
    let name = segments(&image).remove(0);
    let segment = image.get(Room::Log, &name).unwrap().to_vec();
    let mut lines = lines(&segment);
    lines[1..].reverse();
    image.put(Room::Log, &name, lines.concat());
    let (_, engine) = open_image(image);
    let count = engine.stats("u", EGreedyV1).unwrap().reward_count;
    assert_eq!((sum(&engine, "u"), count, engine.recovery().damaged_lines), (2.0, 1, 0));
}

#[test]
fn a_file_that_vanished_is_said_where_the_log_knows_of_it() {
    for (saved, said, left) in [(0, 0, 7.0), (1, 1, 6.0), (3, 0, 0.0)] {
        let mut image = killed_after(saved);
        image.remove(Room::State, FILE);
        let (_, engine) = open_image(image);
        let ambiguous = engine.recovery().ambiguous_users.len();
        assert_eq!((ambiguous, sum(&engine, "u")), (said, left), "{saved} of 3 rewards were in the file");
    }
}

#[test]
fn a_damaged_file_is_put_together_again_from_the_log() {
    let image = killed_after(3);
    let whole = record(&image);
    let ours = image.get(Room::State, FILE).unwrap().to_vec();
    let mut flipped = ours.clone();
    flipped[ours.len() / 2] ^= 1;
    let foreign = foreign(&ours);
    for (bytes, expected) in [
        (flipped, Completeness::Complete),
        (foreign[..foreign.len() / 2].to_vec(), Completeness::Partial),
        (Vec::new(), Completeness::Partial),
    ] {
        let mut image = image.clone();
        image.put(Room::State, FILE, bytes.clone());
        let (disk, engine) = open_image(image.clone());
        assert_eq!(sum(&engine, "u"), 7.0, "{expected:?}");
        checkpoint(&engine);
        let found: Vec<_> = engine.health().damaged_files.into_iter().map(|file| file.rebuilt).collect();
        assert_eq!((found, disk.image().get(Room::SetAside, &format!("{FILE}.1"))), (vec![expected], Some(&bytes[..])));
        let now = record(&disk.image());
        assert_eq!((now.a, now.b, now.counters), (whole.a.clone(), whole.b.clone(), whole.counters));
        // Where the log has nothing, nobody makes zeros of it.
        image.clear(Room::Log);
        let (disk, engine) = open_image(image);
        assert_eq!(reward(&engine, "u", EGreedyV1, 8.0).unwrap_err().kind(), ErrorKind::StateCorrupt);
        reward(&engine, "u", LinUcbV1, 8.0).unwrap();
        checkpoint(&engine);
        assert_eq!(disk.image().get(Room::State, FILE), Some(&bytes[..]));
    }
}

/// A state file as Python's `json.dumps` writes it: with spaces, and without our checksum.
fn foreign(bytes: &[u8]) -> Vec<u8> {
    let mut json: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    json["meta"].as_object_mut().unwrap().remove("checksum");
    serde_json::to_vec_pretty(&json).unwrap()
}

#[test]
fn somebody_elses_file_is_taken_as_it_is_and_told_to_the_log() {
    // The mark is behind the first reward, the file behind the second one.
    let disk = MemoryDisk::default();
    let engine = open(&disk);
    for value in [1.0, 2.0, 4.0] {
        reward(&engine, "u", EGreedyV1, value).unwrap();
        disk.plan(move |step| {
            let marks = std::thread::current().name() == Some("bandits-state") && step.room == Room::Log;
            let fails = marks && value > 1.0 || value > 2.0 && step.call == Call::Rename;
            if fails { Fault::Error(EIO) } else { Fault::None }
        });
        let _ = wait(|done| engine.checkpoint(done));
    }
    let mut image = disk.image();
    image.put(Room::State, FILE, foreign(image.get(Room::State, FILE).unwrap()));
    let (disk, engine) = open_image(image);
    let recovery = engine.recovery();
    assert_eq!((sum(&engine, "u"), recovery.applied, recovery.already_in_files), (7.0, 1, 1));
    reward(&engine, "u", EGreedyV1, 8.0).unwrap();
    engine.close().unwrap();
    let image = disk.image();
    assert_eq!(String::from_utf8(image.log()).unwrap().matches("\"kind\":\"state\"").count(), 1);
    let rebuilt = MemoryDisk::default();
    replay(&disk.directory(), None, &StateFiles::new(rebuilt.directory()), settings().user_bounds()).unwrap();
    let (now, rebuilt) = (record(&image), record(&rebuilt.image()));
    assert_eq!((now.counters.cumulative_reward, now.counters.reward_count), (15.0, 4));
    assert_eq!((rebuilt.a, rebuilt.b, rebuilt.counters), (now.a, now.b, now.counters));
}

/// Numbers go on above those of the files: otherwise what comes next would be taken for known.
#[test]
fn files_without_their_log_lose_nothing_that_comes_next() {
    for (restarts, has_epoch) in (0..4).flat_map(|restarts| [(restarts, true), (restarts, false)]) {
        let mut image = killed_after(3);
        for _ in 0..restarts {
            let (disk, engine) = open_image(image);
            reward(&engine, "u", EGreedyV1, 0.0).unwrap();
            engine.close().unwrap();
            image = disk.image();
        }
        image.clear(Room::Log);
        if !has_epoch {
            image.remove(Room::State, ".epoch");
        }
        let (disk, engine) = open_image(image);
        keep_files_back(&disk);
        reward(&engine, "u", EGreedyV1, 8.0).unwrap();
        let (_, engine) = open_image(disk.image());
        assert_eq!(sum(&engine, "u"), 15.0, "after {restarts} restarts, {has_epoch}");
    }
}

#[test]
fn a_later_releases_log_is_refused() {
    let content = br#"{"v":2,"seq":[9,0],"what":"ever""#;
    let line = [&content[..], format!(",\"crc\":\"{:08x}\"}}\n", crc32fast::hash(content)).as_bytes()].concat();
    let mut image = killed_after(3);
    image.put(Room::Log, "0000000009-0000000000000000.jsonl", line);
    let disk = MemoryDisk::with(image.clone());
    let error = open_on(&disk, settings(), &ManualClock::at(NOW)).map(drop).unwrap_err();
    assert!(error.kind() == ErrorKind::StateCorrupt && error.message().contains("later release"), "{error}");
    assert_eq!(disk.image(), image);
}

/// Three engines, each killed, on files that cannot be written.
fn three_epochs(settings: &Settings) -> MemoryDisk {
    let disk = MemoryDisk::default();
    disk.set_time(NOW);
    for value in [1.0, 2.0, 4.0] {
        keep_files_back(&disk);
        let engine = open_on(&disk, settings.clone(), &ManualClock::at(NOW + 3 * 24 * 3600)).unwrap();
        reward(&engine, "u", EGreedyV1, value).unwrap();
        wait(|done| engine.flush(done)).unwrap();
    }
    disk
}

#[test]
fn a_segment_goes_when_it_is_old_or_too_much_and_not_before_its_lines_are_in_the_files() {
    for settings in [Settings { log_retention_bytes: 0, ..settings() }, Settings { log_retention_days: 1, ..settings() }] {
        let disk = three_epochs(&settings);
        let clock = ManualClock::at(NOW + 3 * 24 * 3600);
        assert_eq!(segments(&disk.image()).len(), 3, "a segment went whose lines are in no file");
        disk.heal();
        let engine = open_on(&disk, settings.clone(), &clock).unwrap();
        checkpoint(&engine);
        engine.close().unwrap();
        let engine = open_on(&disk, settings, &clock).unwrap();
        wait(|done| engine.flush(done)).unwrap();
        until("old segments go", || segments(&disk.image()).len() <= 2);
        assert_eq!(sum(&engine, "u"), 7.0);
    }
}

#[test]
fn a_segment_that_is_missing_is_said() {
    let mut image = three_epochs(&settings()).image();
    let names = segments(&image);
    image.remove(Room::Log, &names[1]);
    let (_, engine) = open_image(image);
    assert_eq!((sum(&engine, "u"), engine.recovery().damaged_lines), (5.0, 1));
    assert_eq!(engine.recovery().damage[0].segment, names[1]);
    assert!(!engine.health().ok);
}

#[test]
fn a_history_keeps_its_order_over_leaving_memory_restarts_and_damage() {
    let disk = MemoryDisk::default();
    let clock = ManualClock::at(NOW);
    let open = || open_on(&disk, Settings { max_hot_users: 2, ..settings() }, &clock).unwrap();
    let tasks = some_tasks(3, &Chance::seeded(1));
    let tips = |engine: &Running| engine.features("u").unwrap().history.into_iter().map(|row| row.tip_id).collect::<Vec<_>>();
    let mut expected = Vec::new();
    for round in 0..4 {
        let engine = open();
        assert_eq!(tips(&engine), expected, "round {round}");
        for i in 0..5 {
            for policy in PolicyName::ALL {
                let tip = format!("tip {}", expected.len());
                score(&engine, "u", policy, &tasks, &tip).unwrap();
                expected.push(tip);
            }
            checkpoint(&engine);
            for other in ["v", "w", "x"] {
                reward(&engine, &format!("{other}{i}"), EGreedyV1, 1.0).unwrap();
                // Whoever comes next finds somebody written whose place it can have, however slow the writer is.
                checkpoint(&engine);
            }
        }
        assert_eq!(tips(&engine), expected, "round {round}");
        assert!(engine.health().evicted_users > 0);
        drop(engine);
    }
    let mut image = disk.image();
    let mut bytes = image.remove(Room::State, FILE).unwrap();
    bytes[40] ^= 1;
    image.put(Room::State, FILE, bytes);
    let (_, engine) = open_image(image);
    assert_eq!((tips(&engine), engine.health().damaged_files.len()), (expected, 1));
}

#[test]
fn where_there_is_no_room_a_tip_is_shown_and_nothing_else_is_pretended() {
    let disk = MemoryDisk::default();
    let clock = ManualClock::at(NOW);
    let settings = Settings { max_hot_users: 2, ..settings() };
    let engine = open_on(&disk, settings.clone(), &clock).unwrap();
    keep_files_back(&disk);
    for user in ["a", "b"] {
        reward(&engine, user, EGreedyV1, 1.0).unwrap();
    }
    for _ in 0..3 {
        score(&engine, "c", EGreedyV1, &some_tasks(3, &Chance::seeded(1)), "tip").unwrap();
        assert_eq!(reward(&engine, "c", EGreedyV1, 2.0).unwrap_err().kind(), ErrorKind::Backpressure);
        assert_eq!(wait(|done| engine.erase("c", done)).unwrap_err().kind(), ErrorKind::Backpressure);
    }
    assert_eq!(engine.health().log.dropped_pulls, 3);
    disk.heal();
    checkpoint(&engine);
    reward(&engine, "c", EGreedyV1, 4.0).unwrap();
    wait(|done| engine.flush(done)).unwrap();
    let image = disk.image();
    assert!(String::from_utf8(image.log()).unwrap().contains("\"kind\":\"gap\""));
    drop(engine);
    let engine = open_on(&MemoryDisk::with(image), settings, &clock).unwrap();
    let stats = engine.stats("c", EGreedyV1).unwrap();
    assert_eq!((stats.cumulative_reward, stats.reward_count, stats.pulls), (4.0, 1, 0));
    assert_eq!((sum(&engine, "a"), sum(&engine, "b")), (1.0, 1.0));
}

#[test]
fn who_found_no_room_is_chosen_for_once_and_looked_up_again() {
    let disk = MemoryDisk::default();
    let engine = open_on(&disk, Settings { max_hot_users: 2, ..settings() }, &ManualClock::at(NOW)).unwrap();
    keep_files_back(&disk);
    for user in ["a", "b"] {
        reward(&engine, user, EGreedyV1, 1.0).unwrap();
    }
    let mut folds = FoldCache::default();
    let mut choose = |user| {
        with_lanes(&some_tasks(3, &Chance::seeded(1)), |lanes| {
            let call =
                ScoreCall { policy: EGreedyV1, moment: Moment::default(), profile: None, lanes, normalised: None, eligible: None };
            engine.choose(user, &call, &mut folds, &mut Scratch::default())
        })
    };
    let user = engine.user("c").unwrap();
    choose(&user).unwrap();
    // No pull came: what was chosen was refused.
    assert!(matches!(choose(&user), Err(Refused::Retired)));
    disk.heal();
    checkpoint(&engine);
    let user = engine.user("c").unwrap();
    for _ in 0..2 {
        choose(&user).unwrap();
    }
}

#[test]
fn users_whose_ids_differ_in_case_alone_stay_apart_on_a_disk_that_does_not_tell() {
    let disk = MemoryDisk::folding_case(Image::default());
    let mut expected = [0.0; 3];
    for round in 0..4 {
        let engine = open(&disk);
        for (i, user) in ["User", "user", "USER"].into_iter().enumerate() {
            let value = f64::from(1 << (3 * round + i));
            reward(&engine, user, EGreedyV1, value).unwrap();
            expected[i] += value;
        }
        if round < 2 {
            checkpoint(&engine);
        }
        drop(engine);
        let engine = open(&disk);
        assert_eq!(["User", "user", "USER"].map(|user| sum(&engine, user)), expected, "round {round}");
        assert_eq!(engine.health().writer.foreign_writes, 0);
        engine.close().unwrap();
    }
}

#[test]
fn a_clock_that_jumps_back_changes_no_order() {
    let disk = MemoryDisk::default();
    for (i, seconds) in [NOW, NOW - 1_000_000, 1, NOW + 1_000_000_000].into_iter().enumerate() {
        let clock = ManualClock::at(seconds);
        let engine = open_on(&disk, settings(), &clock).unwrap();
        keep_files_back(&disk);
        reward(&engine, "u", EGreedyV1, 64.0).unwrap();
        clock.set(seconds.saturating_sub(1000));
        engine.reset("u").unwrap();
        reward(&engine, "u", EGreedyV1, 1.0).unwrap();
        clock.set(seconds / 2);
        reward(&engine, "u", EGreedyV1, 2.0).unwrap();
        assert_eq!(sum(&engine, "u"), 3.0, "{i}");
        drop(engine);
        let engine = open_on(&disk, settings(), &ManualClock::at(NOW)).unwrap();
        assert_eq!(sum(&engine, "u"), 3.0, "{i}");
        disk.heal();
        engine.close().unwrap();
    }
}

/// Whether the state under `FILE` comes back from the log as it is in the file, from damage and by a replay; with its sum of rewards.
fn comes_back(image: &Image) -> (bool, f64) {
    let whole = record(image);
    let mut damaged = image.clone();
    damaged.put(Room::State, FILE, b"{".to_vec());
    let (_, engine) = open_image(damaged);
    let rebuilt = MemoryDisk::default();
    replay(&MemoryDisk::with(image.clone()).directory(), None, &StateFiles::new(rebuilt.directory()), settings().user_bounds())
        .unwrap();
    let replayed = record(&rebuilt.image());
    let stats = engine.stats("u", EGreedyV1).unwrap();
    let is_rebuilt = (stats.cumulative_reward, stats.pulls) == (whole.counters.cumulative_reward, whole.counters.pulls);
    let is_replayed = (replayed.a, replayed.b, replayed.counters) == (whole.a, whole.b, whole.counters);
    (is_rebuilt && is_replayed, whole.counters.cumulative_reward)
}

/// The old service's reset removes the files: what the log has from before must not come back with a later damage.
#[test]
fn what_was_before_somebody_removed_the_file_stays_gone() {
    for pulls in 0..3 {
        let mut image = killed_after(3);
        image.remove(Room::State, FILE);
        let (disk, engine) = open_image(image);
        for _ in 0..pulls {
            score(&engine, "u", EGreedyV1, &some_tasks(3, &Chance::seeded(1)), "tip").unwrap();
        }
        for value in [8.0, 16.0] {
            reward(&engine, "u", EGreedyV1, value).unwrap();
        }
        engine.close().unwrap();
        assert_eq!(comes_back(&disk.image()), (true, 24.0), "{pulls} pulls before the first reward");
    }
}

/// A recovered user has no file yet, and is not new for that.
#[test]
fn what_was_recovered_and_is_in_no_file_yet_is_not_taken_for_removed() {
    let disk = MemoryDisk::default();
    for value in [1.0, 2.0, 4.0] {
        keep_files_back(&disk);
        let engine = open(&disk);
        reward(&engine, "u", EGreedyV1, value).unwrap();
        drop(engine);
    }
    disk.heal();
    open(&disk).close().unwrap();
    assert_eq!(comes_back(&disk.image()), (true, 7.0));
}

#[test]
fn a_replay_says_which_epochs_have_no_end() {
    let reasons = |image: &Image| {
        let rebuilt = MemoryDisk::default();
        replay(&MemoryDisk::with(image.clone()).directory(), None, &StateFiles::new(rebuilt.directory()), settings().user_bounds())
            .unwrap()
            .reasons
    };
    let (disk, engine) = open_image(Image::default());
    reward(&engine, "u", EGreedyV1, 1.0).unwrap();
    checkpoint(&engine);
    // A checkpoint's mark is not the end: the process may score and die.
    assert_eq!(reasons(&disk.image()).len(), 1, "it runs");
    engine.close().unwrap();
    assert_eq!(reasons(&disk.image()), Vec::<String>::new(), "it ended");
    open(&disk).close().unwrap();
    assert_eq!(reasons(&disk.image()), Vec::<String>::new(), "nothing happened and it ended");
    let (disk, engine) = open_image(killed_after(3));
    engine.close().unwrap();
    let reasons = reasons(&disk.image());
    assert!(reasons.len() == 1 && reasons[0].contains("the first of them 1"), "{reasons:?}");
}
