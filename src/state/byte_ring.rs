//! A queue of bytes in one piece of memory: records go in at the back whole and leave at the front. `VecDeque` does the same, but
//! adding and dropping a record of some fifty bytes costs it three times as much, and that is on the way of every decision.

use super::prefetch::prefetch;

/// Memory is asked for in multiples of so many bytes.
const STEP: usize = 64;

/// See the module.
#[derive(Debug, Default, Clone)]
pub struct ByteRing {
    bytes: Box<[u8]>,
    /// Where the front is.
    head: u32,
    length: u32,
}

impl ByteRing {
    /// How many bytes are in it.
    #[inline]
    pub const fn len(&self) -> usize {
        self.length as usize
    }

    /// Where the byte that is `i` bytes behind the front stands; `i` is at most the memory's size.
    #[inline]
    const fn place(&self, i: usize) -> usize {
        let at = self.head as usize + i;
        if at >= self.bytes.len() { at - self.bytes.len() } else { at }
    }

    /// The first bytes, if there are so many.
    #[inline]
    pub fn front<const N: usize>(&self) -> Option<[u8; N]> {
        if self.len() < N {
            return None;
        }
        let mut front = [0; N];
        for (i, byte) in front.iter_mut().enumerate() {
            *byte = *self.bytes.get(self.place(i))?;
        }
        Some(front)
    }

    /// Prefetches where the next record begins, so many bytes behind that, and the front.
    #[inline]
    pub fn prefetch_ends(&self, bytes: usize) {
        let start = self.bytes.as_ptr();
        let place = self.place(self.len());
        for at in [self.head as usize, place, place + bytes] {
            prefetch(start.wrapping_add(at));
        }
    }

    /// Adds a record of `N` bytes, which `write` writes where they stay: put together elsewhere and copied, they would be waited for.
    #[inline]
    pub fn push_with<const N: usize>(&mut self, write: impl FnOnce(&mut [u8; N])) {
        let start = self.place(self.len());
        let is_room = self.bytes.len() - self.len() >= N;
        if is_room && let Some(place) = self.bytes.get_mut(start..).and_then(<[u8]>::first_chunk_mut) {
            write(place);
            self.set_len(self.len() + N);
        } else {
            let mut record = [0; N];
            write(&mut record);
            self.push(&record);
        }
    }

    /// Adds a record.
    #[inline]
    pub fn push(&mut self, record: &[u8]) {
        self.reserve(record.len(), 0);
        let start = self.place(self.len());
        let end = start + record.len();
        if let Some(place) = self.bytes.get_mut(start..end) {
            place.copy_from_slice(record);
        } else {
            let (first, second) = record.split_at(self.bytes.len() - start);
            self.bytes[start..].copy_from_slice(first);
            self.bytes[..second.len()].copy_from_slice(second);
        }
        self.set_len(self.len() + record.len());
    }

    #[allow(clippy::cast_possible_truncation)] // 1,000 records of at most 64 KiB
    const fn set_len(&mut self, length: usize) {
        self.length = length as u32;
    }

    /// Drops the first `n` bytes.
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // as the length
    pub fn drop_front(&mut self, n: usize) {
        let n = n.min(self.len());
        self.head = self.place(n) as u32;
        self.set_len(self.len() - n);
    }

    /// Makes room for `more` bytes, and where there is none, for `spare` ones more: records that come one after the other would otherwise
    /// move all before them, each time.
    #[inline]
    pub fn reserve(&mut self, more: usize, spare: usize) {
        if self.bytes.len() - self.len() < more {
            self.resize(self.len() + more + spare);
        }
    }

    /// Gives back what is not needed, where that is more than `spare` and a step.
    #[inline]
    pub fn fit(&mut self, spare: usize) {
        if self.bytes.len() - self.len() > spare + STEP {
            self.resize(self.len());
        }
    }

    #[cold]
    fn resize(&mut self, size: usize) {
        let size = size.next_multiple_of(STEP);
        let mut bytes = Vec::with_capacity(size);
        bytes.extend(self.iter());
        bytes.resize(size, 0);
        (self.bytes, self.head) = (bytes.into_boxed_slice(), 0);
    }

    /// The bytes, front first.
    pub fn iter(&self) -> impl Iterator<Item = u8> {
        let end = self.head as usize + self.len();
        let behind = end.saturating_sub(self.bytes.len());
        let (wrapped, first) = (&self.bytes[..behind], &self.bytes[self.head as usize..end - behind]);
        first.iter().chain(wrapped).copied()
    }

    /// Bytes of memory.
    #[cfg(test)]
    pub const fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        #[test]
        fn does_what_a_deque_does(steps in prop::collection::vec((prop_oneof![prop::collection::vec(any::<u8>(), 0..90), prop::collection::vec(any::<u8>(), 20)], 0_usize..90), 0..200)) {
            let (mut ring, mut deque) = (ByteRing::default(), VecDeque::new());
            for (record, drop) in steps {
                match <[u8; 20]>::try_from(&*record) {
                    Ok(array) => ring.push_with(|place: &mut [u8; 20]| *place = array),
                    Err(_) => ring.push(&record),
                }
                deque.extend(record);
                match drop % 3 {
                    0 => ring.reserve(drop, drop),
                    1 => ring.fit(drop),
                    _ => {}
                }
                prop_assert!(ring.iter().eq(deque.iter().copied()));
                ring.drop_front(drop);
                deque.drain(..drop.min(deque.len()));
                prop_assert_eq!(ring.len(), deque.len());
                prop_assert!(ring.iter().eq(deque.iter().copied()));
                let front: Option<[u8; 3]> = (deque.len() >= 3).then(|| [deque[0], deque[1], deque[2]]);
                prop_assert_eq!(ring.front(), front);
            }
        }
    }

    #[test]
    fn memory_is_what_was_needed_at_most() {
        let mut ring = ByteRing::default();
        for _ in 0..1000 {
            if ring.len() >= 5800 {
                ring.drop_front(58);
            }
            ring.push(&[7; 58]);
        }
        assert!(ring.capacity() <= 5800 + STEP, "{}", ring.capacity());
    }
}
