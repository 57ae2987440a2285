//! What messages from the bus do to a directory: in any order, any number of times, on disks that fail and forget.

use crate::memory_disk::{Call, EIO, Fault, MemoryDisk};
use oo_bandits::disk::Room;
use oo_bandits::event::{Delivery, Outcome, SyncFiles, handle};
use oo_bandits::rng::Chance;
use std::collections::HashMap;

/// 2026-11-20T08:15:00Z; the events happened soon after.
const THEN: u64 = 1_795_162_500_000;
const NOW: u64 = THEN + 60_000;

fn synced(user: &str, after_ms: u64, stream_seq: u64) -> Delivery {
    let ms = THEN + after_ms;
    let payload = format!(r#"{{"user_id":"{user}","ts":{ms},"tasks":{stream_seq}}}"#);
    Delivery {
        subject: "signals.task.synced".to_owned(),
        payload: payload.into_bytes().into(),
        stream: "S".to_owned(),
        stream_seq,
        published_ms: THEN,
        deliveries: 1,
    }
}

fn outcomes(files: &SyncFiles, deliveries: &[Delivery]) -> Vec<Outcome> {
    handle(files, deliveries, NOW).into_iter().map(|verdict| verdict.outcome).collect()
}

/// Which event the file is of.
fn standing(files: &SyncFiles, user: &str) -> Option<u64> {
    files.load(user).unwrap().map(|state| state.stream_seq)
}

#[test]
fn the_newest_event_wins_in_whatever_order_and_however_often_they_come() {
    let chance = Chance::seeded(7);
    for _ in 0..200 {
        let disk = MemoryDisk::default();
        let files = SyncFiles::new(disk.directory());
        let mut expected: HashMap<String, (u64, u64)> = HashMap::new();
        for _ in 0..10 {
            let mut batch = Vec::new();
            for _ in 0..chance.draw().below(8) {
                let (user, ms) = (format!("u{}", chance.draw().below(3)), 1000 + chance.draw().below(6) as u64);
                // Several events of one moment, and the same event again.
                let seq = 1 + chance.draw().below(20) as u64;
                batch.push(synced(&user, ms, seq));
                let newest = expected.entry(user).or_insert((ms, seq));
                *newest = (*newest).max((ms, seq));
            }
            let _ = handle(&files, &batch, NOW);
        }
        for (user, (_, seq)) in &expected {
            assert_eq!(standing(&files, user), Some(*seq));
        }
        assert_eq!(disk.image().names(Room::Sync).len(), expected.len());
    }
}

#[test]
fn a_batch_writes_each_user_once_and_says_what_became_of_each_event() {
    let disk = MemoryDisk::default();
    let files = SyncFiles::new(disk.directory());
    let batch = [synced("u", 2000, 1), synced("u", 1000, 2), synced("v", 1, 3), synced("u", 2000, 4), synced("u", 2000, 4)];
    let expected = [Outcome::Handled, Outcome::Stale, Outcome::Handled, Outcome::Handled, Outcome::Stale];
    let steps = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = std::sync::Arc::clone(&steps);
    disk.plan(move |step| {
        if (step.call, step.room) == (Call::Rename, Room::Sync) {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        Fault::None
    });
    assert_eq!(outcomes(&files, &batch), expected);
    assert_eq!(steps.load(std::sync::atomic::Ordering::Relaxed), 2);
    assert_eq!((standing(&files, "u"), standing(&files, "v"), standing(&files, "w")), (Some(4), Some(3), None));
}

#[test]
fn what_is_not_understood_is_given_up_or_ignored_and_holds_up_nobody() {
    use Outcome::{Dead, Handled, Ignored};
    let files = SyncFiles::new(MemoryDisk::default().directory());
    let other = |subject: &str, payload: &str| Delivery {
        subject: subject.to_owned(),
        payload: payload.as_bytes().into(),
        ..synced("u", 1, 1)
    };
    let batch = [
        other("signals.task.synced", "no JSON"),
        other("signals.task.synced", "{}"),
        other("signals.tip.feedback", "[]"),
        other("feedback.tip", r#"{"user_id":"u","action":"done"}"#),
        other("signals.tip.feedback", r#"{"user_id":"u"}"#),
        other("signals.else", "no JSON"),
        other("signals.task.synced.more", "{}"),
        synced("u", 1, 1),
    ];
    assert_eq!(outcomes(&files, &batch), [Dead, Dead, Dead, Handled, Handled, Ignored, Ignored, Handled]);
    assert_eq!(standing(&files, "u"), Some(1));
}

/// Every system call fails once: what was not handled is tried again and then is; power goes off after each answer.
#[test]
fn what_is_acknowledged_survives_power_loss_whichever_call_fails_before() {
    for nth in 0.. {
        let disk = MemoryDisk::default();
        let files = SyncFiles::new(disk.directory());
        assert_eq!(outcomes(&files, &[synced("u", 1, 1), synced("v", 1, 2)]), [Outcome::Handled; 2]);
        let first = disk.steps() + nth;
        disk.plan(move |step| if step.index == first { Fault::Error(EIO) } else { Fault::None });
        let batch = [synced("u", 2, 3), synced("v", 2, 4)];
        let before = outcomes(&files, &batch);
        let has_failed = disk.steps() > first;
        let mut acknowledged = before.clone();
        for _ in 0..3 {
            for (outcome, again) in acknowledged.iter_mut().zip(outcomes(&files, &batch)) {
                if *outcome == Outcome::Retried {
                    *outcome = again;
                }
            }
        }
        assert!(acknowledged.iter().all(|outcome| matches!(outcome, Outcome::Handled | Outcome::Stale)), "{nth}: {acknowledged:?}");
        for seed in 0..8 {
            let after = SyncFiles::new(MemoryDisk::with(disk.cut(seed)).directory());
            assert_eq!((standing(&after, "u"), standing(&after, "v")), (Some(3), Some(4)), "{nth}, power cut {seed}: {before:?}");
        }
        if !has_failed {
            assert!(nth > 5, "only {nth} calls");
            return;
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_replaced_by_the_next_event_and_erasing_leaves_nothing() {
    let disk = MemoryDisk::default();
    let files = SyncFiles::new(disk.directory());
    assert_eq!(outcomes(&files, &[synced("u", 5, 1), synced("ü/..", 5, 2)]), [Outcome::Handled; 2]);
    let mut image = disk.image();
    for name in image.names(Room::Sync).into_iter().map(str::to_owned).collect::<Vec<_>>() {
        assert!(!name.contains('/'));
        image.put(Room::Sync, &name, b"{".to_vec());
    }
    let disk = MemoryDisk::with(image);
    let files = SyncFiles::new(disk.directory());
    assert_eq!(standing(&files, "u"), None);
    assert_eq!(outcomes(&files, &[synced("u", 1, 3)]), [Outcome::Handled]);
    files.erase("u").unwrap();
    files.erase("nobody").unwrap();
    assert_eq!((standing(&files, "u"), disk.cut(1).names(Room::Sync).len()), (None, 1));
}

#[test]
fn an_event_of_the_wrong_time_is_given_up_and_does_not_freeze_its_user() {
    use Outcome::{Dead, Handled, Stale};
    let files = SyncFiles::new(MemoryDisk::default().directory());
    let of = |ts: &str, stream_seq: u64| Delivery {
        payload: format!(r#"{{"user_id":"u","ts":{ts}}}"#).into_bytes().into(),
        ..synced("u", 0, stream_seq)
    };
    let batch = [
        of(r#""9999-12-31T23:59:59Z""#, 1),
        of("1795162500", 2),
        synced("u", 5, 3),
        of(&format!("{}", NOW + 5 * 60_000 + 1), 4),
        of(&format!("{}.5", THEN + 4), 5),
        of(&format!("{}", NOW + 5 * 60_000), 6),
    ];
    let verdicts = handle(&files, &batch, NOW);
    let said: Vec<_> = verdicts.iter().map(|verdict| (verdict.outcome, verdict.is_mistimed)).collect();
    assert_eq!(said, [(Dead, true), (Dead, true), (Handled, false), (Dead, true), (Stale, false), (Handled, false)]);
    assert!(verdicts[1].problem.as_deref().is_some_and(|problem| problem.contains("seconds?")), "{:?}", verdicts[1]);
    assert_eq!(standing(&files, "u"), Some(6));
}

#[test]
fn a_file_of_the_future_that_an_earlier_release_wrote_is_replaced() {
    let files = SyncFiles::new(MemoryDisk::default().directory());
    assert_eq!(outcomes(&files, &[synced("u", 1, 1)]), [Outcome::Handled]);
    let mut state = files.load("u").unwrap().unwrap();
    "9999-12-31T23:59:59.999Z".clone_into(&mut state.ts);
    files.save(&state).unwrap();
    assert_eq!(outcomes(&files, &[synced("u", 2, 2)]), [Outcome::Handled]);
    assert_eq!(standing(&files, "u"), Some(2));
}
