//! Lines that no sync has covered, in chunks: appending never moves what is there, and a chunk is used again.

/// Bytes of a chunk. The longest line, somebody else's state with a long history, may make one larger.
const CHUNK: usize = 256 << 10;
/// So many empty chunks are kept.
const SPARE: usize = 32;

/// See the module.
#[derive(Debug, Default)]
pub struct Unsynced {
    chunks: Vec<Vec<u8>>,
    bytes: usize,
}

impl Unsynced {
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn chunks(&self) -> &[Vec<u8>] {
        &self.chunks
    }

    /// Adds what `encode` appends, about `room` bytes, and shows it. `spare` is where empty chunks come from.
    pub fn append(&mut self, spare: &mut Vec<Vec<u8>>, room: usize, encode: impl FnOnce(&mut Vec<u8>)) -> &[u8] {
        if self.chunks.last().is_none_or(|chunk| chunk.len() + room > CHUNK) {
            self.chunks.push(spare.pop().unwrap_or_else(|| Vec::with_capacity(CHUNK)));
        }
        let last = self.chunks.len() - 1;
        let chunk = &mut self.chunks[last];
        let start = chunk.len();
        encode(chunk);
        self.bytes += chunk.len() - start;
        &chunk[start..]
    }

    /// Takes the last `bytes` back, which were appended together.
    pub fn take_back(&mut self, bytes: usize) {
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.truncate(chunk.len().saturating_sub(bytes));
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }

    /// Puts these lines behind others.
    pub fn append_to(&mut self, others: &mut Self) {
        others.chunks.append(&mut self.chunks);
        others.bytes += std::mem::take(&mut self.bytes);
    }

    /// Forgets everything; the memory goes to `spare`.
    pub fn clear(&mut self, spare: &mut Vec<Vec<u8>>) {
        self.bytes = 0;
        for mut chunk in self.chunks.drain(..) {
            if spare.len() < SPARE && chunk.capacity() <= 2 * CHUNK {
                chunk.clear();
                spare.push(chunk);
            }
        }
    }
}
