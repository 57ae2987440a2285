//! A user's last scored vectors, in as few bytes as they take: 20 or 24 and the tip's id each.

use super::byte_ring::ByteRing;
use super::order::put_in_order;
use crate::feature::{Moment, TaskFeatures};
use crate::policy::PolicyName;
use std::collections::VecDeque;

/// One scored vector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pull {
    /// Seconds since 1970.
    pub seconds: u32,
    /// Which policy scored.
    pub policy: PolicyName,
    /// Whether the tip was drawn at random.
    pub exploring: bool,
    /// The tip's score.
    pub score: f64,
    /// The hour and day of the request.
    pub moment: Moment,
    /// The tip's features as they were given.
    pub task: TaskFeatures,
}

/// A pull as the state files keep it.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryRow {
    /// How many pulls of the user came before it.
    pub ordinal: u32,
    /// The pull.
    pub pull: Pull,
    /// Its tip's id.
    pub tip_id: String,
}

/// The last pulls, oldest first, as one ring of bytes. An entry is: length of the id (2 bytes), flags (1), moment (1), seconds (4),
/// score (8), age (4 when a single-precision number holds it exactly, else 8), id.
#[derive(Debug, Default, Clone)]
pub struct History {
    bytes: ByteRing,
    entries: u32,
    /// How many pulls there were in all: the next one's ordinal.
    pulls: u32,
    /// The entries' ordinals, where some are missing between them; else they end at `pulls`.
    #[allow(clippy::box_collection)] // seldom there, and users are many: a word, not four
    ordinals: Option<Box<VecDeque<u32>>>,
}

/// Nobody has so many pulls: a row that says so is left out, and numbers go on.
pub const MOST_ORDINAL: u32 = 1 << 31;

/// Bytes of an entry before its age.
const FIXED: usize = 16;
const LONG_AGE: u8 = 0b1000_0000;

impl History {
    /// Adds a pull of a tip with this id (UTF-8), and forgets the oldest ones past `limit`: under which policies these were, one bit each.
    pub fn push(&mut self, pull: &Pull, tip_id: &[u8], limit: u32) -> u8 {
        let ordinal = self.pulls;
        self.pulls = self.pulls.wrapping_add(1);
        let mut forgotten = 0;
        if limit == 0 {
            return forgotten;
        }
        let was_full = self.entries >= limit;
        while self.entries >= limit {
            forgotten |= self.drop_oldest();
        }
        if let Some(ordinals) = &mut self.ordinals {
            ordinals.push_back(ordinal);
        }
        let mut flags = pull.policy as u8 | (u8::from(pull.exploring) << 2) | (u8::from(pull.task.is_overdue) << 3);
        flags |= ((pull.task.priority - 1) & 3) << 4;
        let days = pull.task.task_age_days;
        #[allow(clippy::cast_possible_truncation)] // tried, and undone where it loses anything
        let short = days as f32;
        let is_short = f64::from(short).to_bits() == days.to_bits();
        if !is_short {
            flags |= LONG_AGE;
        }
        let id = cut(tip_id);
        // Users are many: those whose history is full have no memory to spare.
        let is_full = self.entries + 1 == limit;
        self.bytes.reserve(FIXED + 8 + id.len(), if is_full { 0 } else { self.bytes.len() / 2 });
        #[allow(clippy::cast_possible_truncation)] // cut to that
        let [low, high] = (id.len() as u16).to_le_bytes();
        let moment = pull.moment.hour | (pull.moment.day << 5);
        let first = u64::from(u32::from_le_bytes([low, high, flags, moment])) | u64::from(pull.seconds) << 32;
        let fixed = u128::from(first) | u128::from(pull.score.to_bits()) << 64;
        if is_short {
            self.bytes.push_with(|place: &mut [u8; FIXED + 4]| {
                place[..FIXED].copy_from_slice(&fixed.to_le_bytes());
                place[FIXED..].copy_from_slice(&short.to_le_bytes());
            });
        } else {
            self.bytes.push_with(|place: &mut [u8; FIXED + 8]| {
                place[..FIXED].copy_from_slice(&fixed.to_le_bytes());
                place[FIXED..].copy_from_slice(&days.to_le_bytes());
            });
        }
        self.bytes.push(id);
        self.entries += 1;
        if is_full {
            // What others need is given back; but not with every record a little.
            self.bytes.fit(if was_full { self.bytes.len() / 8 } else { 0 });
        }
        forgotten
    }

    /// Says that a pull comes next.
    #[inline]
    pub fn foresee(&self) {
        // An id is seldom longer than what a line of a cache has room for.
        self.bytes.prefetch_ends(FIXED + 40);
    }

    /// Says of which policy it was, as a bit.
    fn drop_oldest(&mut self) -> u8 {
        let mut policy = 0;
        if let Some([low, high, flags]) = self.bytes.front() {
            policy = 1 << (flags & 3);
            let age = if flags & LONG_AGE == 0 { 4 } else { 8 };
            let length = FIXED + age + usize::from(u16::from_le_bytes([low, high]));
            self.bytes.drop_front(length);
        }
        self.entries = self.entries.saturating_sub(1);
        if let Some(ordinals) = &mut self.ordinals {
            ordinals.pop_front();
            let first = self.pulls.wrapping_sub(self.entries);
            if ordinals.front().is_none_or(|&ordinal| ordinal >= first) {
                self.ordinals = None;
            }
        }
        policy
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        // Ordinals go on, so that what comes after never sorts before what was.
        *self = Self { pulls: self.pulls, ..Self::default() };
    }

    /// The pulls with the ids of their tips, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<HistoryRow> {
        let mut bytes = self.bytes.iter();
        let first = self.pulls.wrapping_sub(self.entries);
        let mut place = 0;
        let row = || {
            let (pull, tip_id) = decode(&mut bytes)?;
            let known = self.ordinals.as_ref().and_then(|ordinals| ordinals.get(place as usize));
            let ordinal = known.copied().unwrap_or(first.wrapping_add(place));
            place += 1;
            Some(HistoryRow { ordinal, pull, tip_id })
        };
        std::iter::from_fn(row).collect()
    }

    /// Those of one policy.
    #[must_use]
    pub fn rows_of(&self, policy: PolicyName) -> Vec<HistoryRow> {
        let mut rows = self.list();
        rows.retain(|row| row.pull.policy == policy);
        rows
    }

    /// The history that these rows, in any order, are of; `pulls` is how many there were where there are none. And the policies, one bit
    /// each, of rows for which there is no place in it.
    #[must_use]
    pub fn of_rows(mut rows: Vec<HistoryRow>, pulls: u32, limit: u32) -> (Self, u8) {
        rows.retain(|row| row.ordinal <= MOST_ORDINAL);
        put_in_order(&mut rows, |row| (row.ordinal.into(), row.pull.policy as u64, 0));
        rows.dedup_by_key(|row| (row.ordinal, row.pull.policy));
        let mut history = Self::default();
        let behind = rows.len().saturating_sub(limit as usize);
        let (forgotten, rows) = rows.split_at(behind);
        let forgotten = forgotten.iter().fold(0, |bits, row| bits | 1 << row.pull.policy as u8);
        for row in rows {
            history.push(&row.pull, row.tip_id.as_bytes(), limit);
        }
        history.pulls = rows.last().map_or(pulls, |row| row.ordinal.wrapping_add(1));
        if rows.first().is_some_and(|row| row.ordinal.wrapping_add(history.entries) != history.pulls) {
            history.ordinals = Some(Box::new(rows.iter().map(|row| row.ordinal).collect()));
        }
        (history, forgotten)
    }

    /// The next pull's ordinal.
    #[inline]
    #[must_use]
    pub const fn pulls(&self) -> u32 {
        self.pulls
    }
}

/// As much of an id as the length field can tell, up to the end of a character.
fn cut(id: &[u8]) -> &[u8] {
    let Some(id) = id.get(..=usize::from(u16::MAX)) else { return id };
    let end = id.iter().rposition(|byte| byte & 0b1100_0000 != 0b1000_0000).unwrap_or(0);
    &id[..end]
}

/// Reads the next entry: the pull and its tip's id.
fn decode(bytes: &mut impl Iterator<Item = u8>) -> Option<(Pull, String)> {
    fn take<const N: usize>(bytes: &mut impl Iterator<Item = u8>) -> Option<[u8; N]> {
        let mut array = [0; N];
        for byte in &mut array {
            *byte = bytes.next()?;
        }
        Some(array)
    }
    let id_length = usize::from(u16::from_le_bytes(take(bytes)?));
    let [flags, moment] = take(bytes)?;
    let seconds = u32::from_le_bytes(take(bytes)?);
    let score = f64::from_le_bytes(take(bytes)?);
    let task_age_days =
        if flags & LONG_AGE == 0 { f64::from(f32::from_le_bytes(take(bytes)?)) } else { f64::from_le_bytes(take(bytes)?) };
    let id: Vec<u8> = bytes.by_ref().take(id_length).collect();
    let pull = Pull {
        seconds,
        policy: PolicyName::from_number(flags & 3)?,
        exploring: flags & 4 != 0,
        score,
        moment: Moment { hour: moment & 31, day: moment >> 5 },
        task: TaskFeatures { is_overdue: flags & 8 != 0, task_age_days, priority: ((flags >> 4) & 3) + 1 },
    };
    Some((pull, String::from_utf8_lossy(&id).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pull(i: u32) -> Pull {
        Pull {
            seconds: 1_700_000_000 + i,
            policy: PolicyName::ALL[i as usize % 3],
            exploring: i.is_multiple_of(2),
            score: f64::from(i) * 0.1 - 3.0,
            moment: Moment { hour: (i % 24) as u8, day: (i % 7) as u8 },
            task: TaskFeatures { is_overdue: i.is_multiple_of(5), task_age_days: f64::from(i) / 10.0, priority: (i % 4) as u8 + 1 },
        }
    }

    #[test]
    fn what_goes_in_comes_out_and_the_oldest_leaves() {
        let mut history = History::default();
        for i in 0..1000 {
            history.push(&pull(i), format!("tip-{i}-ü").as_bytes(), 100);
        }
        let expected: Vec<_> =
            (900..1000).map(|i| HistoryRow { ordinal: i, pull: pull(i), tip_id: format!("tip-{i}-ü") }).collect();
        assert_eq!(history.list(), expected);
        history.clear();
        assert!(history.list().is_empty());
    }

    #[test]
    fn a_limit_of_zero_keeps_nothing() {
        let mut history = History::default();
        history.push(&pull(1), b"tip", 0);
        assert!(history.list().is_empty());
    }

    #[test]
    fn a_hundred_entries_take_few_bytes() {
        let mut history = History::default();
        for i in 0..500 {
            history.push(&pull(i), format!("{i:036}").as_bytes(), 100);
        }
        assert!(history.bytes.len() <= 100 * (24 + 36), "{}", history.bytes.len());
        assert!(history.bytes.capacity() <= history.bytes.len() + 64, "{}", history.bytes.capacity());
    }
}
