//! One engine per directory and process: joining, closing, opening again.

use crate::support::{PATIENCE, reward, wait};
use oo_bandits::disk::OpenedDirectory;
use oo_bandits::engine::{Handle, Question, Reading, open_shared};
use oo_bandits::policy::PolicyName::{EGreedyV1, LinUcbV1};
use oo_bandits::settings::{Settings, Source};
use oo_bandits::state::DirectoryLock;
use oo_bandits::{ErrorKind, Result};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

fn open(path: &Path) -> Result<Handle> {
    open_shared(&Settings::at(path))
}

fn close(handle: &Handle) -> Result<()> {
    wait(|done| handle.close(done))
}

fn rewards(handle: &Handle) -> u64 {
    handle.engine().unwrap().stats("u", EGreedyV1).unwrap().reward_count
}

#[test]
fn openers_of_one_directory_share_an_engine_by_whatever_path() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    let one = open(&real).unwrap();
    symlink(&real, &link).unwrap();
    let two = open(&link).unwrap();
    let other = open(&dir.path().join("other")).unwrap();
    assert!(Arc::ptr_eq(&one.engine().unwrap(), &two.engine().unwrap()));
    assert!(!Arc::ptr_eq(&one.engine().unwrap(), &other.engine().unwrap()));
    reward(&one.engine().unwrap(), "u", EGreedyV1, 1.0).unwrap();
    assert_eq!((rewards(&two), rewards(&other)), (1, 0));
    close(&one).unwrap();
    assert_eq!(one.engine().unwrap_err().kind(), ErrorKind::Closed);
    reward(&two.engine().unwrap(), "u", EGreedyV1, 1.0).unwrap(); // the other share goes on
    let directory = OpenedDirectory::open(&real, false).unwrap();
    assert_eq!(DirectoryLock::acquire(&directory).unwrap_err().kind(), ErrorKind::StateLocked);
    close(&two).unwrap();
    close(&two).unwrap();
    DirectoryLock::acquire(&directory).unwrap();
    assert!(real.join("u_egreedy.json").is_file());
}

#[test]
fn a_closed_handle_keeps_nothing_of_its_engine() {
    let dir = tempfile::tempdir().unwrap();
    let handle = Arc::new(open(dir.path()).unwrap());
    let engine = Arc::downgrade(&handle.engine().unwrap());
    // As a listener in JavaScript does.
    let bell_of = |handle: &Arc<Handle>| {
        let held = Arc::clone(handle);
        Arc::new(move || drop(Arc::clone(&held)))
    };
    let (stopped, _) = handle.watch(bell_of(&handle)).unwrap();
    let bell = bell_of(&handle);
    let kept = Arc::downgrade(&bell);
    handle.watch(bell).unwrap();
    close(&handle).unwrap();
    handle.unwatch(stopped);
    assert!(kept.upgrade().is_none());
    assert_eq!(Arc::strong_count(&handle), 1);
    assert_eq!(handle.watch(Arc::new(|| {})).unwrap_err().kind(), ErrorKind::Closed);
    // The thread that told us lets go of it last.
    while engine.upgrade().is_some() {
        std::thread::yield_now();
    }
}

#[test]
fn a_second_opener_is_not_told_one_thing_and_given_another() {
    let dir = tempfile::tempdir().unwrap();
    let first = Settings { seed: Some(4), ..Settings::at(dir.path()) };
    let handle = open_shared(&first).unwrap();
    for (settings, option) in [
        (Settings { active_policy: LinUcbV1, active_policy_source: Source::Environment, ..first.clone() }, "options.activePolicy"),
        (Settings { seed: Some(5), given: vec!["seed"], ..first.clone() }, "options.seed"),
        (Settings { history_size: 7, given: vec!["historySize"], ..first.clone() }, "options.historySize"),
        (Settings { max_hot_users: 7, given: vec!["maxHotUsers"], ..first.clone() }, "options.maxHotUsers"),
        (Settings { log: false, given: vec!["log"], ..first.clone() }, "options.log"),
    ] {
        let error = open_shared(&settings).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().starts_with(option), "{error}");
    }
    // One that asks for nothing takes what there is.
    let second = open_shared(&Settings { seed: None, active_policy: LinUcbV1, history_size: 7, ..first }).unwrap();
    assert_eq!(second.engine().unwrap().settings().history_size, 100);
    close(&handle).unwrap();
    // The refused ones hold no share: this is the last.
    close(&second).unwrap();
    DirectoryLock::acquire(&OpenedDirectory::open(dir.path(), false).unwrap()).unwrap();
}

#[test]
fn a_directory_in_use_elsewhere_is_refused_and_free_later() {
    let dir = tempfile::tempdir().unwrap();
    let lock = DirectoryLock::acquire(&OpenedDirectory::open(dir.path(), false).unwrap()).unwrap();
    assert_eq!(open(dir.path()).unwrap_err().kind(), ErrorKind::StateLocked);
    drop(lock);
    close(&open(dir.path()).unwrap()).unwrap();
}

#[test]
fn a_default_directory_that_is_a_link_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    symlink(dir.path(), dir.path().join("link")).unwrap();
    let settings = Settings { state_dir_source: Source::Default, ..Settings::at(dir.path().join("link")) };
    assert_eq!(open_shared(&settings).unwrap_err().kind(), ErrorKind::StateIo);
}

#[test]
fn what_was_acknowledged_before_the_close_is_there_after_it() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let handle = open(dir.path()).unwrap();
        assert_eq!(rewards(&handle), 5 * round);
        for _ in 0..5 {
            reward(&handle.engine().unwrap(), "u", EGreedyV1, 1.0).unwrap();
        }
        if round % 2 == 0 {
            close(&handle).unwrap();
        } else {
            // Nobody closes it: dropping it does, and the next opener waits for that.
            drop(handle);
        }
    }
}

#[test]
fn a_dropped_handle_releases_the_directory_and_a_patient_close_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let handle = open(dir.path()).unwrap();
    reward(&handle.engine().unwrap(), "u", EGreedyV1, 1.0).unwrap();
    drop(handle);
    is_released(dir.path());
    let handle = open(dir.path()).unwrap();
    reward(&handle.engine().unwrap(), "u", EGreedyV1, 1.0).unwrap();
    handle.close_within(PATIENCE).unwrap();
    DirectoryLock::acquire(&OpenedDirectory::open(dir.path(), false).unwrap()).unwrap();
    handle.close_within(PATIENCE).unwrap(); // closed already
    let handle = open(dir.path()).unwrap();
    assert_eq!(rewards(&handle), 2);
    close(&handle).unwrap();
}

/// In a moment at the latest.
fn is_released(path: &Path) {
    let end = Instant::now() + PATIENCE;
    while DirectoryLock::acquire(&OpenedDirectory::open(path, false).unwrap()).is_err() {
        assert!(Instant::now() < end, "never released");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn shares_closed_from_several_threads_are_all_answered_and_the_directory_is_free() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..30 {
        let handles: Vec<_> = (0..6).map(|_| open(dir.path()).unwrap()).collect();
        reward(&handles[0].engine().unwrap(), "u", EGreedyV1, 1.0).unwrap();
        let (barrier, answers) = (Barrier::new(12), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            // Each share is closed twice, at the same time.
            for handle in handles.iter().chain(&handles) {
                scope.spawn(|| {
                    barrier.wait();
                    close(handle).unwrap();
                    answers.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        assert_eq!(answers.load(Ordering::Relaxed), 12);
        is_released(dir.path());
    }
}

/// However the openers' first look falls into the last share's closing, none of them is told that the directory is taken.
#[test]
fn whoever_opens_during_the_close_is_let_in() {
    const OPENERS: u64 = 8;
    let dir = tempfile::tempdir().unwrap();
    for round in 0..50 {
        let handle = open(dir.path()).unwrap();
        reward(&handle.engine().unwrap(), "u", EGreedyV1, 1.0).unwrap();
        let barrier = Barrier::new(OPENERS as usize + 1);
        let opened: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..OPENERS)
                .map(|i| {
                    let (barrier, dir) = (&barrier, &dir);
                    scope.spawn(move || {
                        barrier.wait();
                        std::thread::sleep(Duration::from_micros(i * (50 + 9 * round)));
                        open(dir.path())
                    })
                })
                .collect();
            barrier.wait();
            close(&handle).unwrap();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for handle in opened {
            close(&handle.unwrap()).unwrap();
        }
    }
}

/// Openers that come while the engine is being stopped wait, and find everything.
#[test]
fn opening_and_closing_in_threads_loses_nothing() {
    const THREADS: u64 = 4;
    const ROUNDS: u64 = 40;
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let dir = &dir;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let handle = open(dir.path()).unwrap();
                    reward(&handle.engine().unwrap(), "u", EGreedyV1, 1.0).unwrap();
                    if (thread + round) % 3 == 0 {
                        drop(handle);
                    } else {
                        close(&handle).unwrap();
                    }
                }
            });
        }
    });
    let handle = open(dir.path()).unwrap();
    assert_eq!(rewards(&handle), THREADS * ROUNDS);
    assert_eq!(handle.engine().unwrap().health().writer.foreign_writes, 0);
    close(&handle).unwrap();
}

#[test]
fn a_close_that_could_not_write_says_so_and_releases_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let handle = open(&path).unwrap();
    // A directory where the writer's temporary goes: no save can work.
    std::fs::create_dir(path.join(".state.tmp")).unwrap();
    reward(&handle.engine().unwrap(), "u", EGreedyV1, 1.0).unwrap();
    assert_eq!(close(&handle).unwrap_err().kind(), ErrorKind::StateIo);
    DirectoryLock::acquire(&OpenedDirectory::open(&path, false).unwrap()).unwrap();
}

#[test]
fn a_question_that_waits_and_is_cancelled_is_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let handle = open(dir.path()).unwrap();
    let ask = |bell: Box<dyn Fn() + Send + Sync>| {
        let (reading, (sender, told)) = (Arc::new(Reading::default()), std::sync::mpsc::channel());
        let question = Question { what: "users".to_owned(), limit: 1, ..Question::default() };
        handle.ask(question, Arc::clone(&reading), bell, Box::new(move |answer| sender.send(answer.map(drop)).unwrap()));
        (reading, told)
    };
    // Two that are being answered, and do not get on.
    let gate = Arc::new(Barrier::new(3));
    let running = [(); 2].map(|()| {
        let gate = Arc::clone(&gate);
        ask(Box::new(move || {
            gate.wait();
        }))
    });
    let (reading, told) = ask(Box::new(|| {}));
    let (_, other) = ask(Box::new(|| {}));
    handle.cancel(&reading);
    assert_eq!(told.try_recv().unwrap().unwrap_err().kind(), ErrorKind::Closed);
    assert!(other.try_recv().is_err());
    gate.wait();
    for (_, told) in running {
        told.recv_timeout(PATIENCE).unwrap().unwrap();
    }
    other.recv_timeout(PATIENCE).unwrap().unwrap();
    close(&handle).unwrap();
}
