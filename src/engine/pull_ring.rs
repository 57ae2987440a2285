//! How the id of a chosen tip gets from the caller's thread into the user's history without a second call: a ring in memory that
//! both sides see. The engine writes a pull's numbers into the next record while it scores; the caller then writes the tip's id
//! beside them and publishes the record; any thread takes published records out.
//!
//! One thread produces; who consumes holds the consumer's lock. All words are atomics because JavaScript writes some of them.
//! Layout, in 8-byte words: head (records published, 4 bytes), tail (records taken, 4 bytes), then [`RING_RECORDS`] records of
//! user, seconds and flags, score, age, length of the id, id (one byte a character, Latin-1).

use crate::feature::{Moment, TaskFeatures};
use crate::policy::PolicyName;
use crate::state::{Pull, User};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many records the ring holds; a power of two.
pub const RING_RECORDS: usize = 512;
/// Words of a record.
pub const RECORD_WORDS: usize = 16;
/// Words before the first record.
pub const RING_HEADER_WORDS: usize = 2;
/// Which word of a record holds the length of the id; the id follows.
pub const ID_LENGTH_WORD: usize = 4;
/// Bytes for the id. Longer ids, and ids with characters past U+00FF, go to [`PullRing::take_last`].
pub const RECORD_ID_BYTES: usize = (RECORD_WORDS - ID_LENGTH_WORD - 1) * 8;
/// The length of an id that came another way: see [`PullRing::take_last`].
const NAMED_ALREADY: u32 = u32::MAX;
/// How many records a producer that finds the ring full takes out at once: enough to make it rare, few enough to be quick.
const MAKE_ROOM: usize = 32;

#[cfg(target_endian = "big")]
compile_error!("the ring's 4-byte counters are read as the low half of a word");

/// The ring of one producing thread.
#[derive(Debug)]
pub struct PullRing {
    words: Box<[AtomicU64]>,
    /// The producer's users by number; whoever takes records out holds the lock.
    users: Mutex<Vec<Arc<User>>>,
}

impl PullRing {
    pub(super) fn new() -> Self {
        let words = (0..RING_HEADER_WORDS + RING_RECORDS * RECORD_WORDS).map(|_| AtomicU64::new(0)).collect();
        Self { words, users: Mutex::default() }
    }

    /// The memory, to be shown to the producer.
    #[must_use]
    pub fn words(&self) -> &[AtomicU64] {
        &self.words
    }

    /// Tells the consumers of the producer's next user; users are numbered from 0 in this order.
    pub fn add_user(&self, user: Arc<User>) {
        self.users.lock().push(user);
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation)] // the low half is the counter
    fn counter(&self, word: usize, order: Ordering) -> u32 {
        self.words[word].load(order) as u32
    }

    #[inline]
    fn record(&self, number: u32) -> &[AtomicU64] {
        let start = RING_HEADER_WORDS + (number as usize % RING_RECORDS) * RECORD_WORDS;
        &self.words[start..start + RECORD_WORDS]
    }

    /// Producer: writes a pull of user number `user` into the record `ahead` of the next one to be published.
    #[inline]
    pub fn write(&self, ahead: u32, user: u32, pull: &Pull, remember: impl Fn(&User, &Pull, &str)) {
        let number = self.counter(0, Ordering::Relaxed).wrapping_add(ahead);
        // The consumer's tail is read with Acquire: its reads of the record are over before this thread writes it anew.
        while number.wrapping_sub(self.counter(1, Ordering::Acquire)) as usize >= RING_RECORDS {
            self.settle(MAKE_ROOM, &remember);
        }
        let record = self.record(number);
        let flags = u64::from(pull.policy as u8)
            | u64::from(pull.exploring) << 8
            | u64::from(pull.task.is_overdue) << 9
            | u64::from(pull.task.priority) << 10
            | u64::from(pull.moment.hour) << 16
            | u64::from(pull.moment.day) << 24;
        record[0].store(user.into(), Ordering::Relaxed);
        record[1].store(u64::from(pull.seconds) << 32 | flags, Ordering::Relaxed);
        record[2].store(pull.score.to_bits(), Ordering::Relaxed);
        record[3].store(pull.task.task_age_days.to_bits(), Ordering::Relaxed);
    }

    /// Takes up to `most` published records out, oldest first.
    pub fn settle(&self, most: usize, remember: impl Fn(&User, &Pull, &str)) {
        let users = self.users.lock();
        let tail = self.counter(1, Ordering::Relaxed);
        // Pairs with the producer's publishing store: what it wrote into the records before is seen.
        let published = self.counter(0, Ordering::Acquire).wrapping_sub(tail) as usize;
        let mut id = String::new();
        for i in 0..published.min(most) {
            #[allow(clippy::cast_possible_truncation)] // at most RING_RECORDS
            let number = tail.wrapping_add(i as u32);
            let (user, pull) = self.read(number);
            if let (Some(user), true) = (users.get(user), self.read_id(number, &mut id)) {
                remember(user, &pull, &id);
            }
            self.words[1].store(number.wrapping_add(1).into(), Ordering::Release);
        }
    }

    /// Producer: takes out all that is published and then the next pull, under an id that does not fit a record. The producer
    /// publishes that record with the id's length set to 2^32 − 1, which keeps it from being taken again.
    pub fn take_last(&self, tip_id: &str, remember: impl Fn(&User, &Pull, &str)) {
        self.settle(usize::MAX, &remember);
        let (user, pull) = self.read(self.counter(0, Ordering::Relaxed));
        if let Some(user) = self.users.lock().get(user) {
            remember(user, &pull, tip_id);
        }
    }

    /// Forgets the producer's users, after taking out all that is published.
    pub fn forget_users(&self, remember: impl Fn(&User, &Pull, &str)) {
        self.settle(usize::MAX, remember);
        *self.users.lock() = Vec::new();
    }

    #[allow(clippy::cast_possible_truncation)] // unpacks what write() packed
    fn read(&self, number: u32) -> (usize, Pull) {
        let record = self.record(number);
        let word = |i: usize| record[i].load(Ordering::Relaxed);
        let packed = word(1);
        let pull = Pull {
            seconds: (packed >> 32) as u32,
            policy: PolicyName::from_number(packed as u8).unwrap_or(PolicyName::LinUcbV1),
            exploring: packed & 1 << 8 != 0,
            score: f64::from_bits(word(2)),
            moment: Moment { hour: (packed >> 16) as u8, day: (packed >> 24) as u8 & 7 },
            task: TaskFeatures {
                is_overdue: packed & 1 << 9 != 0,
                task_age_days: f64::from_bits(word(3)),
                priority: (packed >> 10) as u8 & 7,
            },
        };
        (word(0) as usize, pull)
    }

    /// False when the pull was taken already.
    #[allow(clippy::cast_possible_truncation)] // the length is 4 bytes
    fn read_id(&self, number: u32, id: &mut String) -> bool {
        let record = self.record(number);
        let length = record[ID_LENGTH_WORD].load(Ordering::Relaxed) as u32;
        if length == NAMED_ALREADY {
            return false;
        }
        let length = (length as usize).min(RECORD_ID_BYTES);
        id.clear();
        let words = record[ID_LENGTH_WORD + 1..].iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes());
        id.extend(words.take(length).map(char::from));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn publish(ring: &PullRing, id: &str) {
        let number = ring.counter(0, Ordering::Relaxed);
        let record = ring.record(number);
        record[ID_LENGTH_WORD].store(id.len() as u64, Ordering::Relaxed);
        for (i, chunk) in id.as_bytes().chunks(8).enumerate() {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            record[ID_LENGTH_WORD + 1 + i].store(u64::from_le_bytes(bytes), Ordering::Relaxed);
        }
        ring.words[0].store(number.wrapping_add(1).into(), Ordering::Release);
    }

    fn pull(i: u32) -> Pull {
        Pull {
            seconds: i,
            policy: PolicyName::EGreedyV2,
            exploring: i % 2 == 1,
            score: f64::from(i),
            moment: Moment { hour: 23, day: 6 },
            task: TaskFeatures { is_overdue: true, task_age_days: -1.5, priority: 4 },
        }
    }

    #[test]
    fn every_published_pull_is_taken_once_and_in_order_across_the_wrap() {
        let ring = PullRing::new();
        // Near the end of the counters' range, to cross it.
        for word in 0..2 {
            ring.words[word].store((u32::MAX - 100).into(), Ordering::Relaxed);
        }
        let taken = RefCell::new(Vec::new());
        let remember = |_: &User, pull: &Pull, id: &str| taken.borrow_mut().push((*pull, id.to_owned()));
        let store = crate::state::Users::new(std::sync::Arc::new(NoStore));
        ring.add_user(store.get("u").unwrap());
        for i in 0..5000 {
            ring.write(0, 0, &pull(i), remember);
            publish(&ring, &format!("tip-{i}"));
        }
        ring.settle(usize::MAX, remember);
        let expected: Vec<_> = (0..5000).map(|i| (pull(i), format!("tip-{i}"))).collect();
        assert_eq!(*taken.borrow(), expected);
    }

    #[derive(Debug)]
    struct NoStore;

    impl crate::state::StateStore for NoStore {
        fn load(&self, _: &str, _: PolicyName) -> crate::Result<(Option<crate::state::Record>, crate::state::Stamp)> {
            Ok((None, crate::state::Stamp::default()))
        }
        fn save(&self, _: &str, _: PolicyName, _: &crate::state::Record, _: &mut crate::state::Stamp) -> crate::Result<()> {
            Ok(())
        }
        fn set_aside(&self, _: &str, _: PolicyName, _: &mut crate::state::Stamp) -> crate::Result<String> {
            Ok(String::new())
        }
        fn erase(&self, _: &str, _: PolicyName) -> crate::Result<()> {
            Ok(())
        }
        fn sync(&self) -> crate::Result<()> {
            Ok(())
        }
        fn report(&self) -> crate::state::StoreReport {
            crate::state::StoreReport::default()
        }
    }
}
