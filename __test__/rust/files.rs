//! The state files on a real directory: names and owners, what others do to the files, links, rights and the lock.

use crate::support::{reward, wait};
use oo_bandits::clock::SystemClock;
use oo_bandits::disk::{Directory, Disk, FileStat, OpenFile, OpenedDirectory, RealDisk, Room};
use oo_bandits::engine::Engine;
use oo_bandits::feature::TaskFeatures;
use oo_bandits::log::Seq;
use oo_bandits::policy::PolicyName::{self, EGreedyV1, EGreedyV2, LinUcbV1};
use oo_bandits::settings::Settings;
use oo_bandits::state::{
    Counters, DirectoryLock, Record, Stamp, StateFiles, StateStore, distinct_name, parse, plain_name, serialise,
};
use oo_bandits::{ErrorKind, Result};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};
use tempfile::TempDir;

/// A directory and the state files in it.
struct Place {
    dir: TempDir,
    open: fn(&Path) -> Directory,
    files: StateFiles,
}

impl Place {
    fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap(), |path| OpenedDirectory::open(path, false).unwrap().into())
    }

    fn on(dir: TempDir, open: fn(&Path) -> Directory) -> Self {
        let files = StateFiles::new(Arc::new(open(dir.path())));
        Self { dir, open, files }
    }

    /// The same directory as the next process sees it.
    fn reopened(self) -> Self {
        Self::on(self.dir, self.open)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn save(&self, user_id: &str, policy: PolicyName, pulls: u64) -> Stamp {
        let (_, mut stamp) = self.files.load(user_id, policy).unwrap();
        self.files.save(user_id, policy, &record(policy, pulls), &mut stamp).unwrap();
        stamp
    }

    fn pulls(&self, user_id: &str, policy: PolicyName) -> Option<u64> {
        self.files.load(user_id, policy).unwrap().0.map(|record| record.counters.pulls)
    }

    /// A file as the old service writes it: without its owner's name.
    fn legacy(&self, name: &str, policy: PolicyName, pulls: u64) {
        let mut json: serde_json::Value = serde_json::from_slice(&serialise("", policy, &record(policy, pulls))).unwrap();
        let meta = json["meta"].as_object_mut().unwrap();
        for key in ["user_id", "policy", "seq", "history", "checksum"] {
            meta.remove(key);
        }
        fs::write(self.path(name), json.to_string()).unwrap();
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn aside(&self) -> Vec<PathBuf> {
        fs::read_dir(self.path("set-aside")).map_or_else(|_| vec![], |entries| entries.map(|e| e.unwrap().path()).collect())
    }

    fn engine(&self) -> Engine {
        let settings = Settings { seed: Some(1), ..Settings::at(self.dir.path()) };
        let files = StateFiles::new(Arc::new((self.open)(self.dir.path())));
        Engine::new(settings, Arc::new(files), Arc::new(SystemClock)).unwrap()
    }
}

/// This machine's disk with the error numbers of macOS. What cannot be opened is EOPNOTSUPP there when it is a socket (ENXIO on Linux),
/// and a directory that is removed as if it were a file is EPERM, as POSIX has it (EISDIR on Linux).
#[derive(Debug)]
struct MacErrors(RealDisk);

const EPERM: i32 = 1;
const ENXIO: i32 = 6;
const EISDIR: i32 = 21;
const EOPNOTSUPP: i32 = 95;

impl MacErrors {
    fn open(path: &Path) -> Directory {
        Directory::on(Box::new(Self(RealDisk::open(path, true).unwrap().0)), path.to_owned())
    }
}

fn renumbered<T>(outcome: io::Result<T>, from: i32, to: i32) -> io::Result<T> {
    outcome.map_err(|e| if e.raw_os_error() == Some(from) { io::Error::from_raw_os_error(to) } else { e })
}

impl Disk for MacErrors {
    fn read(&self, room: Room, name: &str, from: u64, limit: u64) -> io::Result<Option<(Vec<u8>, FileStat)>> {
        renumbered(self.0.read(room, name, from, limit), ENXIO, EOPNOTSUPP)
    }

    fn stat(&self, room: Room, name: &str) -> io::Result<Option<FileStat>> {
        self.0.stat(room, name)
    }

    fn list(&self, room: Room) -> io::Result<Vec<String>> {
        self.0.list(room)
    }

    fn make(&self, room: Room) -> io::Result<()> {
        self.0.make(room)
    }

    fn create(&self, room: Room, name: &str) -> io::Result<Box<dyn OpenFile>> {
        self.0.create(room, name)
    }

    fn rename(&self, from: (Room, &str), to: (Room, &str)) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, room: Room, name: &str) -> io::Result<()> {
        renumbered(self.0.remove(room, name), EISDIR, EPERM)
    }

    fn sync(&self, room: Room) -> io::Result<()> {
        self.0.sync(room)
    }

    fn close(&self) {
        self.0.close();
    }
}

fn record(policy: PolicyName, pulls: u64) -> Record {
    let d = policy.dimension();
    let a = (0..d).flat_map(|i| (0..=i).map(move |j| if i == j { 1.0 + pulls as f64 } else { 0.0 })).collect();
    Record {
        a,
        b: vec![0.5; d],
        counters: Counters { pulls, ..Counters::default() },
        seq: Seq::default(),
        unlogged: false,
        history: Vec::new(),
        ledger: oo_bandits::state::Ledger::default(),
        extra: None,
    }
}

fn flush(engine: &Engine) -> Result<()> {
    wait(|done| engine.flush(done))
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_record_comes_back_under_the_old_service_s_name() {
    let place = Place::new();
    for (policy, name) in PolicyName::ALL.into_iter().zip(["user_1.json", "user_1_egreedy.json", "user_1_egreedy_v2.json"]) {
        place.save("user-1", policy, 7);
        assert!(place.path(name).is_file(), "{name}");
        assert_eq!(place.files.load("user-1", policy).unwrap().0, Some(record(policy, 7)));
    }
    assert_eq!(place.names().len(), 3, "{:?}", place.names());
    let parsed = parse(&fs::read(place.path("user_1_egreedy.json")).unwrap()).unwrap();
    assert_eq!((parsed.user_id.as_deref(), parsed.policy.as_deref()), (Some("user-1"), Some("egreedy-v1")));
}

#[test]
fn users_whose_plain_names_collide_have_a_file_each() {
    let ids = ["a-b", "a_b", "a b", "a.b", "a/b"];
    let mut place = Place::new();
    for round in 0..3 {
        for (i, id) in (1u64..).zip(ids) {
            place.save(id, EGreedyV1, 10 * i + round);
        }
        place = place.reopened();
        for (i, id) in [1, 2, 3, 4, 5].into_iter().zip(ids).rev() {
            assert_eq!(place.pulls(id, EGreedyV1), Some(10 * i + round), "{id}");
        }
    }
    assert_eq!(place.names().len(), ids.len(), "{:?}", place.names());
    assert!(place.path("a_b_egreedy.json").is_file() && place.path(&distinct_name("a_b", EGreedyV1)).is_file());
    assert_eq!(place.files.report().foreign_writes, 0);
}

/// Both were loaded while neither had a file: the second to be saved finds the first one's.
#[test]
fn users_that_collide_before_either_is_saved_do_not_meet() {
    let place = Place::new();
    let (mut first, mut second) = (Stamp::default(), Stamp::default());
    place.files.save("a-b", LinUcbV1, &record(LinUcbV1, 1), &mut first).unwrap();
    place.files.save("a_b", LinUcbV1, &record(LinUcbV1, 2), &mut second).unwrap();
    place.files.save("a-b", LinUcbV1, &record(LinUcbV1, 3), &mut first).unwrap();
    place.files.save("a_b", LinUcbV1, &record(LinUcbV1, 4), &mut second).unwrap();
    assert_eq!((place.pulls("a-b", LinUcbV1), place.pulls("a_b", LinUcbV1)), (Some(3), Some(4)));
    assert!(place.aside().is_empty());
    assert_eq!(place.files.report().foreign_writes, 0);
}

#[test]
fn the_user_x_egreedy_and_the_egreedy_file_of_x_are_kept_apart() {
    let mut place = Place::new();
    place.save("x", EGreedyV1, 1);
    place.save("x_egreedy", LinUcbV1, 2);
    place.save("x_egreedy_v2", LinUcbV1, 3);
    place.save("x", EGreedyV2, 4);
    place = place.reopened();
    assert_eq!(place.pulls("x", EGreedyV1), Some(1));
    assert_eq!(place.pulls("x_egreedy", LinUcbV1), Some(2));
    assert_eq!(place.pulls("x_egreedy_v2", LinUcbV1), Some(3));
    assert_eq!(place.pulls("x", EGreedyV2), Some(4));
}

#[test]
fn an_unstamped_file_belongs_to_whoever_asks_first() {
    let place = Place::new();
    place.legacy("a_b.json", LinUcbV1, 9);
    assert_eq!(place.pulls("a-b", LinUcbV1), Some(9));
    assert_eq!(place.pulls("a_b", LinUcbV1), None);
    assert_eq!(place.pulls("a-b", LinUcbV1), Some(9), "asking again changes nothing");
    place.save("a_b", LinUcbV1, 1);
    assert_eq!(place.pulls("a-b", LinUcbV1), Some(9));
    place.save("a-b", LinUcbV1, 10);
    let place = place.reopened();
    assert_eq!(place.pulls("a_b", LinUcbV1), Some(1));
    assert_eq!(place.pulls("a-b", LinUcbV1), Some(10));
}

#[test]
fn the_dimension_says_whose_an_unstamped_file_is() {
    let place = Place::new();
    place.legacy("x_egreedy.json", EGreedyV1, 5);
    assert_eq!(place.pulls("x_egreedy", LinUcbV1), None, "seven features are no LinUCB state");
    assert_eq!(place.pulls("x", EGreedyV1), Some(5));
    place.legacy("y_egreedy.json", LinUcbV1, 6);
    assert_eq!(place.pulls("y", EGreedyV1), None);
    assert_eq!(place.pulls("y_egreedy", LinUcbV1), Some(6));
    place.save("y", EGreedyV1, 1);
    assert_eq!(place.pulls("y_egreedy", LinUcbV1), Some(6));
}

/// Somebody copied a file under the name of another policy of the same user: its stamp tells.
#[test]
fn a_file_stamped_for_another_policy_is_not_taken() {
    let place = Place::new();
    fs::write(place.path("user.json"), serialise("user", EGreedyV1, &record(EGreedyV1, 5))).unwrap();
    assert_eq!(place.pulls("user", LinUcbV1), None);
    place.save("user", LinUcbV1, 1);
    assert_eq!(place.pulls("user", LinUcbV1), Some(1));
    assert_eq!(parse(&fs::read(place.path("user.json")).unwrap()).unwrap().record.counters.pulls, 5);
}

/// 2⁵³ − 1.
const LAST_COUNT: u64 = (1 << 53) - 1;

/// What is written can be read, at the largest count that a file may hold, too.
#[test]
fn counting_on_from_the_largest_count_leaves_a_readable_file() {
    let place = Place::new();
    place.save("user", EGreedyV1, LAST_COUNT - 1);
    let engine = place.engine();
    for _ in 0..3 {
        crate::support::score(&engine, "user", EGreedyV1, &[TaskFeatures::default()], "tip").unwrap();
    }
    flush(&engine).unwrap();
    assert_eq!(place.engine().stats("user", EGreedyV1).unwrap().pulls, LAST_COUNT);
}

#[test]
fn ids_too_long_for_a_name_get_a_distinct_one() {
    let place = Place::new();
    let (long, longer) = ("ж".repeat(200), "ж".repeat(201));
    for (id, pulls) in [(&long, 1), (&longer, 2)] {
        assert_eq!(plain_name(id, EGreedyV2), None);
        place.save(id, EGreedyV2, pulls);
    }
    // Room for the LinUCB name, none for the others.
    let edge = "e".repeat(250);
    for policy in PolicyName::ALL {
        place.save(&edge, policy, 3);
    }
    assert!(place.path(&format!("{edge}.json")).is_file());
    let place = place.reopened();
    assert_eq!((place.pulls(&long, EGreedyV2), place.pulls(&longer, EGreedyV2)), (Some(1), Some(2)));
    for policy in PolicyName::ALL {
        assert_eq!(place.pulls(&edge, policy), Some(3));
    }
}

#[test]
fn the_distinct_name_is_looked_for_first() {
    let place = Place::new();
    place.save("user", LinUcbV1, 1);
    fs::write(place.path(&distinct_name("user", LinUcbV1)), serialise("user", LinUcbV1, &record(LinUcbV1, 2))).unwrap();
    assert_eq!(place.pulls("user", LinUcbV1), Some(2));
    place.save("user", LinUcbV1, 3);
    assert_eq!(place.pulls("user", LinUcbV1), Some(3));
    assert_eq!(parse(&fs::read(place.path("user.json")).unwrap()).unwrap().record.counters.pulls, 1);
}

#[test]
fn what_somebody_else_wrote_is_set_aside_and_counted() {
    let place = Place::new();
    let mut stamp = place.save("user", EGreedyV1, 1);
    let name = "user_egreedy.json";
    place.legacy(name, EGreedyV1, 999);
    let foreign = fs::read(place.path(name)).unwrap();
    place.files.save("user", EGreedyV1, &record(EGreedyV1, 2), &mut stamp).unwrap();
    assert_eq!(place.pulls("user", EGreedyV1), Some(2));
    assert_eq!(place.files.report().foreign_writes, 1);
    let aside = place.aside();
    assert_eq!(aside.len(), 1);
    assert_eq!(fs::read(&aside[0]).unwrap(), foreign);
    assert_eq!(mode(&place.path("set-aside")), 0o700);
    place.files.save("user", EGreedyV1, &record(EGreedyV1, 3), &mut stamp).unwrap();
    assert_eq!(place.files.report().foreign_writes, 1, "our own write is not a foreign one");
    // A second one, of garbage this time, does not take the first one's place.
    fs::write(place.path(name), "{").unwrap();
    place.files.save("user", EGreedyV1, &record(EGreedyV1, 4), &mut stamp).unwrap();
    assert_eq!((place.files.report().foreign_writes, place.aside().len()), (2, 2));
}

#[test]
fn a_file_that_appeared_where_there_was_none_is_a_foreign_write_too() {
    let place = Place::new();
    let (_, mut stamp) = place.files.load("user", LinUcbV1).unwrap();
    place.legacy("user.json", LinUcbV1, 50);
    place.files.save("user", LinUcbV1, &record(LinUcbV1, 1), &mut stamp).unwrap();
    assert_eq!((place.files.report().foreign_writes, place.aside().len()), (1, 1));
    assert_eq!(place.pulls("user", LinUcbV1), Some(1));
}

#[test]
fn a_file_that_vanished_is_written_again() {
    let place = Place::new();
    let mut stamp = place.save("user", LinUcbV1, 1);
    fs::remove_file(place.path("user.json")).unwrap();
    place.files.save("user", LinUcbV1, &record(LinUcbV1, 2), &mut stamp).unwrap();
    assert_eq!(place.pulls("user", LinUcbV1), Some(2));
    assert_eq!(place.files.report().foreign_writes, 0);
}

#[test]
fn another_user_s_file_under_our_plain_name_is_left_alone() {
    let place = Place::new();
    let mut stamp = place.save("a-b", EGreedyV1, 1);
    let theirs = serialise("a_b", EGreedyV1, &record(EGreedyV1, 70));
    fs::write(place.path("a_b_egreedy.json"), &theirs).unwrap();
    place.files.save("a-b", EGreedyV1, &record(EGreedyV1, 2), &mut stamp).unwrap();
    place.files.save("a-b", EGreedyV1, &record(EGreedyV1, 3), &mut stamp).unwrap();
    assert_eq!(fs::read(place.path("a_b_egreedy.json")).unwrap(), theirs);
    let place = place.reopened();
    assert_eq!((place.pulls("a-b", EGreedyV1), place.pulls("a_b", EGreedyV1)), (Some(3), Some(70)));
}

#[test]
fn what_others_put_into_meta_is_kept() {
    let place = Place::new();
    place.legacy("user.json", LinUcbV1, 1);
    let text = fs::read_to_string(place.path("user.json")).unwrap().replace(r#""pulls":1"#, r#""pulls":1,"cohort":{"x":[1,null]}"#);
    fs::write(place.path("user.json"), text).unwrap();
    let engine = place.engine();
    reward(&engine, "user", LinUcbV1, 1.0).unwrap();
    flush(&engine).unwrap();
    assert!(fs::read_to_string(place.path("user.json")).unwrap().contains(r#""cohort":{"x":[1,null]}"#));
}

#[test]
fn a_damaged_file_stops_one_policy_and_a_reset_sets_it_aside() {
    let place = Place::new();
    fs::write(place.path("user_egreedy.json"), "{\"A\": [[1,").unwrap();
    let engine = place.engine();
    let error = engine.stats("user", EGreedyV1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StateCorrupt);
    assert!(error.message().contains("user_egreedy.json"), "{error}");
    assert_eq!(reward(&engine, "user", EGreedyV1, 1.0).unwrap_err().kind(), ErrorKind::StateCorrupt);
    reward(&engine, "user", EGreedyV2, 1.0).unwrap();
    flush(&engine).unwrap();
    assert_eq!(fs::read(place.path("user_egreedy.json")).unwrap(), b"{\"A\": [[1,", "left as it is until the reset");
    engine.reset("user").unwrap();
    reward(&engine, "user", EGreedyV1, 1.0).unwrap();
    flush(&engine).unwrap();
    let aside = place.aside();
    assert_eq!(aside.len(), 1);
    assert_eq!(fs::read(&aside[0]).unwrap(), b"{\"A\": [[1,");
    assert_eq!(parse(&fs::read(place.path("user_egreedy.json")).unwrap()).unwrap().record.counters.reward_count, 1);
}

/// An operator took the damaged file away by hand and then asks for the reset that the message told of.
#[test]
fn a_reset_works_when_the_damaged_file_is_gone_already() {
    let place = Place::new();
    fs::write(place.path("user_egreedy.json"), "garbage").unwrap();
    let engine = place.engine();
    assert_eq!(engine.user("user").and_then(|_| engine.stats("user", EGreedyV1)).unwrap_err().kind(), ErrorKind::StateCorrupt);
    fs::remove_file(place.path("user_egreedy.json")).unwrap();
    engine.reset("user").unwrap();
    reward(&engine, "user", EGreedyV1, 1.0).unwrap();
    flush(&engine).unwrap();
    assert!(place.path("user_egreedy.json").is_file());
}

/// A damaged file names no owner, so everybody whose plain name it has is told of the damage. Each resets; whoever comes second
/// must not set the first one's new file aside.
#[test]
fn two_users_reset_out_of_the_same_damaged_file_keep_a_file_each() {
    let place = Place::new();
    fs::write(place.path("a_b_egreedy.json"), "garbage").unwrap();
    let engine = place.engine();
    for id in ["a-b", "a_b"] {
        assert_eq!(reward(&engine, id, EGreedyV1, 1.0).unwrap_err().kind(), ErrorKind::StateCorrupt);
    }
    engine.reset("a-b").unwrap();
    reward(&engine, "a-b", EGreedyV1, 1.0).unwrap();
    flush(&engine).unwrap();
    engine.reset("a_b").unwrap();
    flush(&engine).unwrap();
    let after = place.engine();
    assert_eq!(after.stats("a-b", EGreedyV1).unwrap().reward_count, 1, "the next process finds what flush() promised");
    assert_eq!(after.stats("a_b", EGreedyV1).unwrap().reward_count, 0);
}

#[test]
fn a_link_in_a_file_s_place_is_not_followed() {
    let place = Place::new();
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim.json");
    let theirs = serialise("user", LinUcbV1, &record(LinUcbV1, 70));
    fs::write(&victim, &theirs).unwrap();
    symlink(&victim, place.path("user.json")).unwrap();
    assert!(place.files.load("user", LinUcbV1).is_err());
    let _ = place.files.save("user", LinUcbV1, &record(LinUcbV1, 1), &mut Stamp::default());
    let _ = place.files.erase("user", LinUcbV1);
    assert_eq!(fs::read(&victim).unwrap(), theirs);
}

/// What is no regular file is damage like any other: told as such, gone after a reset, and no hindrance to an erase then.
fn is_reset_away(make: impl Fn(&Path)) {
    for place in [Place::new(), Place::on(tempfile::tempdir().unwrap(), MacErrors::open)] {
        is_reset_away_at(&place, &make);
    }
}

fn is_reset_away_at(place: &Place, make: impl Fn(&Path)) {
    make(&place.path("user.json"));
    let engine = place.engine();
    assert_eq!(engine.stats("user", LinUcbV1).unwrap_err().kind(), ErrorKind::StateCorrupt);
    reward(&engine, "user", EGreedyV1, 1.0).unwrap(); // the other policies go on
    engine.reset("user").unwrap();
    reward(&engine, "user", LinUcbV1, 1.0).unwrap();
    flush(&engine).unwrap();
    assert!(fs::symlink_metadata(place.path("user.json")).unwrap().is_file());
    assert_eq!(place.aside().len(), 1);
    wait(|done| engine.erase("user", done)).unwrap();
    let left = |path: &PathBuf| fs::symlink_metadata(path).unwrap().is_file();
    assert!(!place.aside().iter().any(left), "what is no file holds nothing of the user's");
}

/// A person can be erased whatever stands under the name, without a reset before.
fn is_erased(make: impl Fn(&Path)) {
    for place in [Place::new(), Place::on(tempfile::tempdir().unwrap(), MacErrors::open)] {
        make(&place.path("user.json"));
        place.files.erase("user", LinUcbV1).unwrap();
        assert!(fs::symlink_metadata(place.path("user.json")).is_err());
    }
}

fn link(path: &Path) {
    symlink("/etc/hostname", path).unwrap();
}

fn dangling_link(path: &Path) {
    symlink("/nowhere/at/all", path).unwrap();
}

fn directory(path: &Path) {
    fs::create_dir(path).unwrap();
}

fn huge(path: &Path) {
    fs::write(path, vec![b' '; (1 << 20) + 1]).unwrap();
}

fn socket(path: &Path) {
    std::os::unix::net::UnixListener::bind(path).unwrap();
}

#[test]
fn a_link_is_reset_away() {
    is_reset_away(link);
}

#[test]
fn a_dangling_link_is_reset_away() {
    is_reset_away(dangling_link);
}

#[test]
fn a_directory_is_reset_away() {
    is_reset_away(directory);
}

#[test]
fn a_huge_file_is_reset_away() {
    is_reset_away(huge);
}

#[test]
fn a_socket_is_reset_away() {
    is_reset_away(socket);
}

#[test]
fn garbage_is_erased() {
    is_erased(|path| fs::write(path, "garbage").unwrap());
}

#[test]
fn a_huge_file_is_erased() {
    is_erased(huge);
}

#[test]
fn a_link_is_erased() {
    is_erased(link);
}

#[test]
fn a_socket_is_erased() {
    is_erased(socket);
}

#[test]
fn an_erase_removes_the_user_s_files_set_aside_ones_included_and_nobody_else_s() {
    let place = Place::new();
    let mut stamp = place.save("a-b", EGreedyV1, 1); // owns the plain name
    place.save("a_b", EGreedyV1, 2);
    place.save("a-b", LinUcbV1, 3);
    place.save("c", EGreedyV1, 4);
    for pulls in [5, 6] {
        place.legacy("a_b_egreedy.json", EGreedyV1, 500 + pulls);
        place.files.save("a-b", EGreedyV1, &record(EGreedyV1, pulls), &mut stamp).unwrap();
    }
    fs::write(place.path("set-aside/a_b_egreedy.json.9"), serialise("a_b", EGreedyV1, &record(EGreedyV1, 8))).unwrap();
    fs::write(place.path("set-aside/c_egreedy.json.1"), serialise("c", EGreedyV1, &record(EGreedyV1, 8))).unwrap();
    assert_eq!(place.aside().len(), 4);

    place.files.erase("a-b", EGreedyV1).unwrap();
    assert_eq!(place.pulls("a-b", EGreedyV1), None);
    assert_eq!(place.pulls("a_b", EGreedyV1), Some(2));
    assert_eq!(place.pulls("a-b", LinUcbV1), Some(3));
    assert_eq!(place.pulls("c", EGreedyV1), Some(4));
    let mut aside: Vec<_> = place.aside().into_iter().map(|p| p.file_name().unwrap().to_owned()).collect();
    aside.sort();
    assert_eq!(aside, ["a_b_egreedy.json.9", "c_egreedy.json.1"]);

    place.files.erase("a_b", EGreedyV1).unwrap();
    assert_eq!(place.pulls("a_b", EGreedyV1), None);
    assert_eq!(place.aside().len(), 1);
    assert_eq!(place.pulls("c", EGreedyV1), Some(4));
    place.files.erase("nobody", EGreedyV2).unwrap();
}

#[test]
fn an_erase_does_not_take_the_plain_file_of_another_owner() {
    let place = Place::new();
    place.save("a-b", EGreedyV1, 1);
    place.files.erase("a_b", EGreedyV1).unwrap();
    assert_eq!(place.pulls("a-b", EGreedyV1), Some(1));
    // Likewise across policies: x_egreedy's LinUCB name is the name of x's ε-greedy file.
    place.save("x", EGreedyV1, 2);
    place.files.erase("x_egreedy", LinUcbV1).unwrap();
    assert_eq!(place.pulls("x", EGreedyV1), Some(2));
}

/// a-b has a distinct file, which proves that the plain one is somebody else's, whatever is in it.
#[test]
fn an_erase_leaves_a_damaged_plain_file_that_cannot_be_the_user_s() {
    let place = Place::new();
    place.save("a_b", EGreedyV1, 1);
    place.save("a-b", EGreedyV1, 2);
    assert!(place.path(&distinct_name("a-b", EGreedyV1)).is_file());
    fs::write(place.path("a_b_egreedy.json"), "half of a_b's file").unwrap();
    place.files.erase("a-b", EGreedyV1).unwrap();
    assert!(place.path("a_b_egreedy.json").is_file());
}

#[test]
fn an_erased_user_starts_from_nothing_in_memory_and_on_disk() {
    let place = Place::new();
    let engine = place.engine();
    for policy in PolicyName::ALL {
        reward(&engine, "user", policy, 1.0).unwrap();
    }
    flush(&engine).unwrap();
    wait(|done| engine.erase("user", done)).unwrap();
    assert_eq!(place.names(), Vec::<String>::new());
    reward(&engine, "user", LinUcbV1, 1.0).unwrap();
    flush(&engine).unwrap();
    assert_eq!(place.names(), ["user.json"]);
    assert_eq!(engine.stats("user", LinUcbV1).unwrap().reward_count, 1);
    assert_eq!(engine.health().writer.foreign_writes, 0);
}

#[test]
fn a_left_over_temporary_is_in_nobody_s_way_and_a_link_there_is_not_written_through() {
    let place = Place::new();
    fs::write(place.path(".state.tmp"), "half a fi").unwrap();
    place.save("user", LinUcbV1, 1);
    assert_eq!(place.names(), ["user.json"]);
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, place.path(".state.tmp")).unwrap();
    place.save("user", LinUcbV1, 2);
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    assert!(fs::symlink_metadata(place.path("user.json")).unwrap().is_file());
    assert_eq!(place.names(), ["user.json"]);
}

#[test]
fn files_and_directories_are_for_their_owner_only() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("a/b/state");
    let directory = OpenedDirectory::open(&path, true).unwrap();
    assert_eq!([base.path().join("a"), base.path().join("a/b"), path.clone()].map(|p| mode(&p)), [0o700; 3]);
    let _lock = DirectoryLock::acquire(&directory).unwrap();
    StateFiles::new(Arc::new(directory.into())).save("user", LinUcbV1, &record(LinUcbV1, 1), &mut Stamp::default()).unwrap();
    assert_eq!(mode(&path.join("user.json")), 0o600);
    assert_eq!(mode(&path.join(".lock")), 0o600);
}

#[test]
fn a_directory_is_locked_once_and_free_again_after() {
    let dir = tempfile::tempdir().unwrap();
    let directory = OpenedDirectory::open(dir.path(), false).unwrap();
    let lock = DirectoryLock::acquire(&directory).unwrap();
    let error = DirectoryLock::acquire(&OpenedDirectory::open(dir.path(), false).unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StateLocked);
    assert!(error.retryable());
    assert!(error.message().contains(&format!("process {}", std::process::id())), "{error}");
    assert!(error.message().contains(dir.path().to_str().unwrap()), "{error}");
    drop(lock);
    DirectoryLock::acquire(&directory).unwrap();
    // What a dead process left in the file, or a link in its place, holds nobody up or gets through.
    fs::write(dir.path().join(".lock"), "999999999999 garbage").unwrap();
    DirectoryLock::acquire(&directory).unwrap();
    fs::remove_file(dir.path().join(".lock")).unwrap();
    let victim = dir.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, dir.path().join(".lock")).unwrap();
    assert_eq!(DirectoryLock::acquire(&directory).unwrap_err().kind(), ErrorKind::StateIo);
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
}

#[test]
fn a_directory_that_can_be_guessed_is_taken_only_from_ourselves() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    assert_eq!(OpenedDirectory::open(&link, true).unwrap_err().kind(), ErrorKind::StateIo);
    assert_eq!(OpenedDirectory::open(&link, false).unwrap().key(), OpenedDirectory::open(&real, true).unwrap().key());
    fs::write(dir.path().join("file"), "").unwrap();
    assert!(OpenedDirectory::open(&dir.path().join("file"), false).is_err());
    // Only root can give a directory away.
    if std::os::unix::fs::chown(&real, Some(12_345), None).is_ok() {
        let error = OpenedDirectory::open(&real, true).unwrap_err();
        assert!(error.message().contains("12345"), "{error}");
        OpenedDirectory::open(&real, false).unwrap();
    }
}
