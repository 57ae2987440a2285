//! One number in one file is what nobody's can be: by a slip of the hand, or because the file is another directory's. Its own user keeps
//! what can be kept, and nobody else notices.

use crate::memory_disk::{Image, MemoryDisk, Running, open_on};
use crate::support::{ManualClock, reward, score, some_tasks, wait, with_lanes};
use oo_bandits::ErrorKind;
use oo_bandits::disk::Room;
use oo_bandits::engine::{FeedbackCall, RecommendCall, Refused};
use oo_bandits::event::{Delivery, Outcome, SyncFiles, SyncState, When, handle};
use oo_bandits::feature::Moment;
use oo_bandits::log::{LAST_EPOCH, LAST_NUMBER, MOST_SKIPPED, Seq};
use oo_bandits::policy::PolicyName::{self, EGreedyV1};
use oo_bandits::policy::Scratch;
use oo_bandits::rng::Chance;
use oo_bandits::settings::Settings;
use oo_bandits::state::{StateFiles, parse, replay};
use std::sync::Arc;

const NOW: u64 = 1_700_000_000;
const USERS: [&str; 4] = ["ann", "bob", "cem", "dee"];
const CHECKSUM: &str = ",\"checksum\":\"";
const CRC: &str = ",\"crc\":\"";

fn settings() -> Settings {
    Settings { seed: Some(1), ..Settings::at("/memory") }
}

fn clock() -> Arc<ManualClock> {
    ManualClock::at(NOW)
}

fn open(disk: &MemoryDisk) -> Running {
    open_on(disk, settings(), &clock()).unwrap()
}

fn decide(engine: &Running, user_id: &str) -> Seq {
    let chance = Chance::seeded(1);
    loop {
        let user = engine.user(user_id).unwrap();
        let decided = with_lanes(&some_tasks(2, &chance), |lanes| {
            let call = RecommendCall {
                moment: Moment { hour: 9, day: 2 },
                profile: None,
                computed_at: None,
                lanes,
                normalised: None,
                ids: &["a", "b"],
                prompt_versions: None,
                eligible: None,
                holdout: 0.0,
                explain: false,
            };
            engine.recommend(&user, &call, &mut Scratch::default())
        });
        match decided {
            Ok(decided) => return decided.decision,
            Err(Refused::Retired) => {}
            Err(Refused::Failed(error)) => panic!("{error}"),
        }
    }
}

fn react(engine: &Running, decision: Seq, reward: f64) -> bool {
    engine.feedback(&FeedbackCall { decision, action: None, reward, at: None, user_id: None }).unwrap().applied
}

/// Two starts, of which the last one was killed with everything in the log and, of some users, more than the files have.
fn good() -> Image {
    let disk = MemoryDisk::default();
    for start in 0..2 {
        let engine = open(&disk);
        for user in USERS {
            for policy in PolicyName::ALL {
                reward(&engine, user, policy, 1.0).unwrap();
                score(&engine, user, policy, &some_tasks(2, &Chance::seeded(3)), "tip").unwrap();
            }
            assert!(react(&engine, decide(&engine, user), 0.5));
        }
        wait(|done| engine.checkpoint(done)).unwrap();
        if start == 0 {
            engine.close().unwrap();
        } else {
            for user in USERS {
                reward(&engine, user, EGreedyV1, 2.0).unwrap();
            }
            wait(|done| engine.flush(done)).unwrap();
        }
    }
    disk.image()
}

/// What can be seen of a user, but for the last digits of θ.
fn standing(engine: &Running, user_id: &str) -> String {
    let stats = PolicyName::ALL.map(|policy| {
        let stats = engine.stats(user_id, policy).unwrap();
        (stats.pulls, stats.reward_count, stats.cumulative_reward)
    });
    format!("{stats:?} {:?}", engine.features(user_id).unwrap().history)
}

/// Where numbers stand in a JSON text, outside of strings.
fn numbers(text: &str) -> Vec<std::ops::Range<usize>> {
    let (mut found, mut start, mut in_string, mut escaped) = (Vec::new(), None, false, false);
    for (i, c) in text.char_indices() {
        let is_digit = !in_string && matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E');
        match (is_digit && (start.is_some() || c.is_ascii_digit() || c == '-'), start) {
            (true, None) => start = Some(i),
            (false, Some(from)) => {
                found.push(from..i);
                start = None;
            }
            _ => {}
        }
        (in_string, escaped) = match c {
            '"' if !escaped => (!in_string, false),
            '\\' if in_string && !escaped => (true, true),
            _ => (in_string, false),
        };
    }
    found
}

/// A line or a file again with a checksum that is right.
fn signed(text: &str, key: &str) -> String {
    let Some((content, rest)) = text.rsplit_once(key) else { return text.to_owned() };
    format!("{content}{key}{:08x}{}", crc32fast::hash(content.as_bytes()), &rest[8..])
}

/// As somebody writes it who has no checksum.
fn spaced(text: &str) -> String {
    let content = text.rsplit_once(CHECKSUM).map_or(text.to_owned(), |(content, _)| format!("{content}}}}}"));
    content.replace("\":", "\": ").replace(",\"", ", \"")
}

/// One number of a good directory set to another one; says of whom it is, and what was done.
fn mutated(image: &Image, chance: &Chance) -> (Image, Option<String>, String) {
    const EXTREMES: [&str; 16] = [
        "0",
        "-1",
        "1048570",
        "2147483648",
        "4293918719",
        "4293918720",
        "4294967294",
        "4294967295",
        "4294967296",
        "9007199254740991",
        "9007199254740993",
        "9223372036854775807",
        "18446744073709551615",
        "253402300799999",
        "1e308",
        "-1e300",
    ];
    let mut image = image.clone();
    let extreme = EXTREMES[chance.draw().below(EXTREMES.len())];
    let pick = |room: Room| {
        let names = image.names(room);
        names[chance.draw().below(names.len())].to_owned()
    };
    match chance.draw().below(8) {
        0 => {
            // A segment that is named by it.
            let name = pick(Room::Log);
            let bytes = image.get(Room::Log, &name).unwrap().to_vec();
            let epoch = extreme.parse::<u32>().unwrap_or(u32::MAX);
            let foreign = format!("{epoch:010}-0000000000000000.jsonl");
            if image.get(Room::Log, &foreign).is_none() {
                image.put(Room::Log, &foreign, bytes);
            }
            (image, None, format!("a copy of {name} is {foreign}"))
        }
        1 => {
            image.put(Room::State, ".epoch", format!("{{\"v\":1,\"epoch\":{extreme}}}"));
            (image, None, format!(".epoch is {extreme}"))
        }
        2..5 => {
            let name = pick(Room::Log);
            let segment = String::from_utf8(image.get(Room::Log, &name).unwrap().to_vec()).unwrap();
            let mut lines: Vec<String> = segment.lines().map(str::to_owned).collect();
            let at = chance.draw().below(lines.len());
            let places = numbers(&lines[at]);
            // Mostly those that lines are found and ordered by.
            let place =
                places[chance.draw().below(if chance.draw().happens(0.7) { places.len().min(6) } else { places.len() })].clone();
            let what = format!("{} in {name}: {}", extreme, lines[at]);
            lines[at].replace_range(place, extreme);
            lines[at] = signed(&lines[at], CRC);
            let user = USERS.iter().find(|user| lines[at].contains(*user)).map(|user| (*user).to_owned());
            image.put(Room::Log, &name, lines.join("\n") + "\n");
            (image, user, what)
        }
        _ => {
            let names: Vec<String> = image
                .names(Room::State)
                .into_iter()
                .filter(|name| name.strip_suffix(".json").is_some())
                .map(str::to_owned)
                .collect();
            let name = &names[chance.draw().below(names.len())];
            let mut file = String::from_utf8(image.get(Room::State, name).unwrap().to_vec()).unwrap();
            let user = parse(file.as_bytes()).unwrap().user_id;
            let from = if chance.draw().happens(0.9) { file.find("\"meta\"").unwrap() } else { 0 };
            let places: Vec<_> = numbers(&file).into_iter().filter(|place| place.start >= from).collect();
            let place = places[chance.draw().below(places.len())].clone();
            let what = format!("{extreme} at {} of {name}: {}", place.start, &file[from..]);
            file.replace_range(place, extreme);
            let file = if chance.draw().happens(0.5) { spaced(&file) } else { signed(&file, CHECKSUM) };
            image.put(Room::State, name, file);
            (image, user, what)
        }
    }
}

#[test]
fn one_number_that_cannot_be_costs_nobody_else_anything() {
    let image = good();
    let expected = {
        let engine = open(&MemoryDisk::with(image.clone()));
        USERS.map(|user| standing(&engine, user))
    };
    let chance = Chance::seeded(20_261_201);
    for case in 0..400 {
        let (image, owner, what) = mutated(&image, &chance);
        let others = || USERS.iter().zip(&expected).filter(|(user, _)| owner.as_deref() != Some(**user));
        let disk = MemoryDisk::with(image);
        let engine = open_on(&disk, settings(), &clock()).unwrap_or_else(|e| panic!("case {case}: {what}: {e}"));
        // Whoever it is of comes first, and is not the last.
        if let Some(owner) = &owner {
            match reward(&engine, owner, EGreedyV1, 1.0) {
                Ok(()) => {}
                Err(e) if e.kind() == ErrorKind::StateCorrupt || e.kind() == ErrorKind::InvalidArgument => {}
                Err(e) => panic!("case {case}: {what}: {e}"),
            }
        }
        for (user, expected) in others() {
            assert_eq!(standing(&engine, user), *expected, "case {case}: {user}: {what}");
        }
        let rewards = |engine: &Running, user: &str| engine.stats(user, EGreedyV1).unwrap().reward_count;
        let before: Vec<u64> = others().map(|(user, _)| rewards(&engine, user)).collect();
        let learn = |engine: &Running| {
            for (user, _) in others() {
                reward(engine, user, EGreedyV1, 1.0).unwrap_or_else(|e| panic!("case {case}: {user}: {what}: {e}"));
                assert!(react(engine, decide(engine, user), 1.0), "case {case}: {user}: {what}");
            }
        };
        learn(&engine);
        let epoch = engine.recovery().epoch;
        engine.close().unwrap_or_else(|e| panic!("case {case}: {what}: {e}"));
        let engine = open(&disk);
        learn(&engine);
        assert!(engine.recovery().epoch > epoch && epoch > 2, "case {case}: {what}");
        drop(engine);
        let engine = open(&disk);
        let after: Vec<u64> = others().map(|(user, _)| rewards(&engine, user)).collect();
        let four_more: Vec<u64> = before.iter().map(|count| count + 4).collect();
        assert_eq!(after, four_more, "case {case}: {what}");
    }
}

/// A file of `cem`'s with other text in it.
fn with_file(image: &Image, change: impl Fn(&str) -> String) -> Image {
    const FILE: &str = "cem_egreedy.json";
    let mut image = image.clone();
    let file = String::from_utf8(image.get(Room::State, FILE).unwrap().to_vec()).unwrap();
    let changed = change(&file);
    assert_ne!(changed, file);
    image.put(Room::State, FILE, signed(&changed, CHECKSUM));
    image
}

fn seq_of(image: &Image) -> Seq {
    parse(image.get(Room::State, "cem_egreedy.json").unwrap()).unwrap().record.seq
}

fn clean() -> Image {
    let disk = MemoryDisk::with(good());
    open(&disk).close().unwrap();
    disk.image()
}

#[test]
fn a_state_file_from_a_time_to_come_is_taken_as_somebody_elses() {
    let image = clean();
    let seq = seq_of(&image);
    let before = standing(&open(&MemoryDisk::with(image.clone())), "cem");
    for (epoch, n) in
        [(u32::MAX, 3), (u32::MAX - 1, 3), (LAST_EPOCH, 3), (4 + MOST_SKIPPED, 3), (3, LAST_NUMBER + 1), (3, u64::MAX)]
    {
        let old = format!("\"seq\":[{},{}]", seq.epoch, seq.n);
        let image = with_file(&image, |file| file.replace(&old, &format!("\"seq\":[{epoch},{n}]")));
        let disk = MemoryDisk::with(image);
        let engine = open(&disk);
        reward(&engine, "cem", EGreedyV1, 4.0).unwrap();
        let health = engine.health();
        assert!(health.ok && health.warnings.iter().any(|w| w.contains("no log of") && w.contains("cem")), "{:?}", health.warnings);
        assert_eq!((engine.recovery().epoch, health.log.epoch), (4, 4), "[{epoch}, {n}]");
        engine.close().unwrap();
        // It is in the log now, with what was there before, and has a number of this directory's.
        let stands = seq_of(&disk.image());
        assert!(stands.epoch == 4 && stands.is_possible(), "{stands}");
        let engine = open(&disk);
        assert_eq!(engine.stats("cem", EGreedyV1).unwrap().cumulative_reward, 2.0 * 1.5 + 2.0 + 4.0);
        assert_eq!(engine.health().warnings.iter().filter(|w| w.contains("no log of")).count(), 0);
        let copy = MemoryDisk::default();
        replay(&disk.directory(), None, &StateFiles::new(copy.directory()), settings().user_bounds()).unwrap();
        let replayed = standing(&open(&copy), "cem");
        assert_eq!(replayed, standing(&engine, "cem"));
        assert_ne!(replayed, before);
    }
    // One that is above and can be: whoever lost the log goes on above it.
    let old = format!("\"seq\":[{},{}]", seq.epoch, seq.n);
    let disk = MemoryDisk::with(with_file(&image, |file| file.replace(&old, "\"seq\":[100000,7]")));
    let engine = open(&disk);
    reward(&engine, "cem", EGreedyV1, 4.0).unwrap();
    assert_eq!(engine.health().log.epoch, 100_001);
    engine.close().unwrap();
    assert_eq!(open(&disk).recovery().epoch, 100_002);
}

#[test]
fn decisions_and_reactions_of_a_time_to_come_stand_in_nobodys_way() {
    let image = clean();
    for (from, to) in [
        ("\"feedback\":{", "\"feedback\":{\"floor\":[4294967295,1],\"reset\":[4294967295,1],\"was\":"),
        ("\"feedback\":{", "\"feedback\":{\"floor\":[3,9007199254740991],\"was\":"),
        ("\"feedback\":{", "\"feedback\":{\"floor\":[0,0],\"entries\":[[4294967295,1,1,0.5]],\"was\":"),
    ] {
        let image = with_file(&image, |file| {
            let (head, rest) = file.split_once(from).unwrap();
            let (inner, tail) = rest.split_once('}').unwrap();
            let entries = if to.contains("entries") { String::new() } else { "\"entries\":[],".to_owned() };
            let (open, was) = to.split_at(from.len());
            let was = was.replace("\"was\":", "\"was\":{");
            format!("{head}{open}{entries}{was}{inner}}}}}{tail}")
        });
        let engine = open(&MemoryDisk::with(image));
        let decision = decide(&engine, "cem");
        assert!(react(&engine, decision, 1.0), "{to}");
        assert!(react(&engine, decision, 2.0), "{to}");
    }
    // A reaction that counts until the year 9999 is one of now.
    let disk = MemoryDisk::with(image.clone());
    let decision = {
        let engine = open(&disk);
        let decision = decide(&engine, "cem");
        assert!(react(&engine, decision, 1.0));
        engine.close().unwrap();
        decision
    };
    let at = format!("[{},{},{},1.0]", decision.epoch, decision.n, NOW * 1000);
    let far = format!("[{},{},253402300799999,1.0]", decision.epoch, decision.n);
    let engine = open(&MemoryDisk::with(with_file(&disk.image(), |file| file.replace(&at, &far))));
    let later = FeedbackCall { decision, action: None, reward: 3.0, at: Some(NOW * 1000 + 1), user_id: None };
    assert!(engine.feedback(&later).unwrap().applied);
}

#[test]
fn counts_and_ordinals_have_an_end() {
    let image = clean();
    let pulls = parse(image.get(Room::State, "cem_egreedy.json").unwrap()).unwrap().record.counters.pulls;
    let with =
        |count: &str| with_file(&image, |file| file.replacen(&format!("\"pulls\":{pulls}"), &format!("\"pulls\":{count}"), 1));
    let disk = MemoryDisk::with(with("9007199254740991"));
    for _ in 0..2 {
        let engine = open(&disk);
        score(&engine, "cem", EGreedyV1, &some_tasks(2, &Chance::seeded(3)), "tip").unwrap();
        assert_eq!(engine.stats("cem", EGreedyV1).unwrap().pulls, 9_007_199_254_740_991);
        engine.close().unwrap();
    }
    for count in ["9007199254740992", "18446744073709551615", "-1", "1e300"] {
        let file = with(count);
        assert!(parse(file.get(Room::State, "cem_egreedy.json").unwrap()).unwrap_err().contains("not a count"), "{count}");
        // The log has it: it is rebuilt.
        assert_eq!(open(&MemoryDisk::with(file)).stats("cem", EGreedyV1).unwrap().reward_count, 5);
    }
    // A row that says that there were four billion pulls: those to come are still the newest.
    let disk = MemoryDisk::with(with_file(&image, |file| {
        file.replace("\"history\":[[", "\"history\":[[4294967295,\"2023-11-14T22:13:20Z\",\"odd\",0.5,false,9,2,false,0.0,1],[")
    }));
    for round in 0..3 {
        let engine = open(&disk);
        score(&engine, "cem", EGreedyV1, &some_tasks(2, &Chance::seeded(3)), &format!("tip {round}")).unwrap();
        let history = engine.features("cem").unwrap().history;
        assert_eq!(history.last().unwrap().tip_id, format!("tip {round}"));
        assert!(history.iter().all(|row| row.tip_id != "odd"));
        engine.close().unwrap();
    }
}

#[test]
fn a_segment_of_a_time_to_come_is_set_aside_and_said() {
    for name in ["4294967295-0000000000000000.jsonl", "4293918719-0000000000000000.jsonl", "0002000000-0000000000000000.jsonl"] {
        for content in [&b""[..], b"{\"v\":1,\"seq\":[4294967295,7]"] {
            let mut image = clean();
            image.put(Room::Log, name, content);
            let copy = MemoryDisk::default();
            let report = replay(
                &MemoryDisk::with(image.clone()).directory(),
                None,
                &StateFiles::new(copy.directory()),
                settings().user_bounds(),
            )
            .unwrap();
            assert!(report.reasons.iter().any(|reason| reason.contains(name)), "{:?}", report.reasons);
            let disk = MemoryDisk::with(image);
            let engine = open(&disk);
            let health = engine.health();
            assert_eq!((engine.recovery().epoch, engine.recovery().foreign_files.len(), health.ok), (4, 1, false));
            assert!(health.warnings.iter().any(|warning| warning.contains(name)), "{:?}", health.warnings);
            assert_eq!(disk.image().get(Room::SetAside, &format!("{name}.1")), Some(content));
            engine.close().unwrap();
            let engine = open(&disk);
            assert_eq!((engine.recovery().epoch, engine.health().ok), (5, true));
        }
    }
}

#[test]
fn an_epoch_file_of_a_time_to_come_is_not_believed_and_the_last_number_says_what_to_do() {
    for text in ["{\"v\":1,\"epoch\":4294967295}", "{\"v\":1,\"epoch\":4293918719}", "{\"v\":1,\"epoch\":3000000}", "{\"v\":1}"] {
        let mut image = clean();
        image.put(Room::State, ".epoch", text);
        let disk = MemoryDisk::with(image);
        let engine = open(&disk);
        assert_eq!((engine.recovery().epoch, engine.recovery().foreign_files.len(), engine.health().ok), (4, 1, true), "{text}");
        assert!(engine.health().warnings.iter().any(|warning| warning.contains(".epoch")));
        assert_eq!(disk.image().get(Room::State, ".epoch").unwrap(), b"{\"v\":1,\"epoch\":4}");
    }
    // A number that a person made sure is larger.
    let mut image = clean();
    image.put(Room::State, ".epoch", "{\"v\":1,\"epoch\":100000}");
    assert_eq!(open(&MemoryDisk::with(image)).recovery().epoch, 100_001);
    // The end.
    let mut image = clean();
    image.clear(Room::Log);
    image.put(Room::State, ".epoch", format!("{{\"v\":1,\"epoch\":{}}}", LAST_EPOCH - 1));
    let disk = MemoryDisk::with(image);
    let engine = open(&disk);
    assert_eq!(engine.recovery().epoch, LAST_EPOCH);
    reward(&engine, "ann", EGreedyV1, 1.0).unwrap();
    engine.close().unwrap();
    let before = disk.image();
    let error = open_on(&disk, settings(), &clock()).map(drop).unwrap_err();
    assert!(error.kind() == ErrorKind::StateCorrupt && error.message().contains("/log and "), "{error}");
    assert_eq!(disk.image(), before);
    let mut image = before;
    image.clear(Room::Log);
    image.remove(Room::State, ".epoch");
    let engine = open(&MemoryDisk::with(image));
    assert_eq!((engine.recovery().epoch, engine.stats("ann", EGreedyV1).unwrap().reward_count), (1, 6));
    reward(&engine, "ann", EGreedyV1, 1.0).unwrap();
}

#[test]
fn marks_that_name_what_comes_after_them_hide_nothing() {
    let image = good();
    for (low, own) in [("[4294967295,0]", None), ("[2,9007199254740991]", None), ("[4294967295,5]", Some("[4294967295,6]"))] {
        let mut image = image.clone();
        let name = image.names(Room::Log).last().unwrap().to_string();
        let mut segment = String::from_utf8(image.get(Room::Log, &name).unwrap().to_vec()).unwrap();
        let seq = own.unwrap_or("[2,500]");
        let line = format!(
            "{{\"v\":1,\"seq\":{seq},\"ts\":\"2023-11-14T22:13:20.000Z\",\"kind\":\"mark\",\"lowWater\":{low}{CRC}00000000\"}}"
        );
        segment.push_str(&signed(&line, CRC));
        segment.push('\n');
        image.put(Room::Log, &name, segment);
        let engine = open(&MemoryDisk::with(image));
        assert_eq!((engine.stats("cem", EGreedyV1).unwrap().reward_count, engine.recovery().epoch), (5, 3), "{low}");
        assert_eq!(engine.recovery().damaged_lines, 1, "{low}");
    }
}

/// A copy that bears tomorrow's date must not keep all segments behind it.
#[test]
fn a_segment_dated_in_the_future_keeps_no_others() {
    let disk = MemoryDisk::default();
    for start in 0..4 {
        disk.set_time(if start == 0 { NOW * 2 } else { NOW });
        let engine = open_on(&disk, settings(), &ManualClock::at(NOW)).unwrap();
        reward(&engine, "ann", EGreedyV1, 1.0).unwrap();
        engine.close().unwrap();
    }
    let later = NOW + 40 * 24 * 3600;
    disk.set_time(later);
    let engine = open_on(&disk, settings(), &ManualClock::at(later)).unwrap();
    wait(|done| engine.flush(done)).unwrap();
    engine.close().unwrap();
    let image = disk.image();
    assert!(image.names(Room::Log).len() <= 2, "{:?}", image.names(Room::Log));
}

#[test]
fn a_sync_of_a_time_to_come_freezes_nobody() {
    let at = |ms: u64, stream_seq: u64| Delivery {
        subject: "signals.task.synced".to_owned(),
        payload: format!("{{\"user_id\":\"ann\",\"ts\":{ms}}}").into_bytes().into(),
        stream: "S".to_owned(),
        stream_seq,
        published_ms: NOW * 1000,
        deliveries: 1,
    };
    let disk = MemoryDisk::default();
    let files = SyncFiles::with_clock(disk.directory(), clock());
    let now = NOW * 1000;
    // A clock that runs a little ahead is no reason to forget.
    let ahead = SyncState::new("ann".to_owned(), When { ms: now + 299_000, stream_seq: 1 }, "s", "S", None, serde_json::Map::new());
    files.save(&ahead).unwrap();
    assert_eq!(handle(&files, &[at(now, 2)])[0].outcome, Outcome::Stale);
    for ms in [now + 301_000, 4_102_444_800_000, 253_402_300_799_999] {
        files
            .save(&SyncState::new("ann".to_owned(), When { ms, stream_seq: u64::MAX }, "s", "S", None, serde_json::Map::new()))
            .unwrap();
        assert!(files.load("ann").unwrap().is_none(), "{ms}");
        assert_eq!(handle(&files, &[at(now, 2)])[0].outcome, Outcome::Handled, "{ms}");
        assert_eq!(files.load("ann").unwrap().map(|state| state.stream_seq), Some(2));
        assert_eq!(handle(&files, &[at(now + 1, 3)])[0].outcome, Outcome::Handled);
    }
}
