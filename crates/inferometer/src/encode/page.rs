//! The bytes of a scrape while they are written.

use std::fmt;

/// The step in which the fast paths copy: more than they need, because a copy of known length costs less than one of the right
/// length.
pub(super) const BLOCK: usize = 64;

/// The most bytes that are cleared at a time; they are still in the cache when they are overwritten.
const STEP: usize = 64 * 1024;

/// A page under way: bytes up to a position, and after it, room that holds anything.
#[derive(Debug)]
pub(super) struct Page<'p> {
    bytes: &'p mut Vec<u8>,
    at: usize,
}

impl<'p> Page<'p> {
    pub(super) fn new(bytes: &'p mut Vec<u8>) -> Self {
        Self { bytes, at: 0 }
    }

    /// At least `need` bytes to be overwritten; [`wrote`](Self::wrote) says how many were.
    #[inline]
    pub(super) fn room(&mut self, need: usize) -> &mut [u8] {
        if self.bytes.len() - self.at < need {
            self.grow(need);
        }
        &mut self.bytes[self.at..]
    }

    #[cold]
    fn grow(&mut self, need: usize) {
        let need = self.at + need;
        let wanted = need + need.clamp(BLOCK, STEP);
        let (length, capacity) = (self.bytes.len(), self.bytes.capacity());
        if wanted > capacity {
            // By half: a page that is kept never holds more than half its length in vain.
            self.bytes
                .reserve_exact(wanted.max(capacity / 2 * 3) - length);
        }
        self.bytes.resize(wanted, 0);
    }

    #[inline]
    pub(super) fn wrote(&mut self, count: usize) {
        self.at += count;
    }

    /// Where the next byte goes.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    #[inline]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.room(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.wrote(bytes.len());
    }

    /// Replaces bytes that were written before.
    pub(super) fn patch(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Cuts the page to what was written.
    pub(super) fn finish(self) {
        self.bytes.truncate(self.at);
    }
}

impl fmt::Write for Page<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes());
        Ok(())
    }
}

/// Copies the first `length` bytes in whole blocks, so up to a block more: both sides must reach that far.
#[inline(always)]
pub(super) fn copy_blocks(to: &mut [u8], from: &[u8], length: usize) {
    to[..BLOCK].copy_from_slice(&from[..BLOCK]);
    if length > BLOCK {
        copy_more(to, from, length);
    }
}

#[inline(never)]
fn copy_more(to: &mut [u8], from: &[u8], length: usize) {
    let whole = length.next_multiple_of(BLOCK);
    to[BLOCK..whole].copy_from_slice(&from[BLOCK..whole]);
}

/// The next bytes as an array.
#[inline(always)]
pub(super) fn array<const N: usize>(room: &mut [u8]) -> &mut [u8; N] {
    room.first_chunk_mut()
        .expect("whoever asks for room asks for enough")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_replaces_what_stood_there_and_is_cut_to_its_length() {
        let mut bytes = b"an older and longer page".to_vec();
        let mut page = Page::new(&mut bytes);
        page.put(b"new");
        page.finish();
        assert_eq!(bytes, b"new");
    }

    #[test]
    fn a_page_grows_by_half_at_most_once_it_is_large() {
        let mut bytes = Vec::new();
        let mut page = Page::new(&mut bytes);
        let line = [b'x'; 1000];
        for _ in 0..10_000 {
            page.put(&line);
        }
        page.finish();
        assert_eq!(bytes.len(), 10_000_000);
        assert!(bytes.iter().all(|byte| *byte == b'x'));
        assert!(bytes.capacity() < 15_100_000, "{}", bytes.capacity());
    }

    #[test]
    fn blocks_copy_at_least_what_is_asked() {
        let from: Vec<u8> = (0..200).collect();
        for length in [0, 1, 63, 64, 65, 128] {
            let mut to = vec![0; 300];
            copy_blocks(&mut to[7..], &from[3..], length);
            assert_eq!(to[7..7 + length], from[3..3 + length]);
        }
    }
}
