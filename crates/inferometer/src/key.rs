//! What a series of an open set is found by: its label values, each with its length, one after another.
//!
//! Two keys are equal only when all values are. A closed label's value is written as its index, an open one's as its text.

/// A key under construction. Up to [`Key::SHORT`] bytes take no allocation.
#[derive(Debug)]
#[doc(hidden)]
pub struct Key {
    len: usize,
    short: [u8; Self::SHORT],
    long: Vec<u8>,
}

impl Key {
    const SHORT: usize = 120;

    #[inline]
    pub(crate) fn new() -> Self {
        Self {
            len: 0,
            short: [0; Self::SHORT],
            long: Vec::new(),
        }
    }

    /// Adds a closed label's value.
    #[inline]
    pub fn index(&mut self, index: usize) {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        self.push(&index.to_le_bytes());
    }

    /// Adds an open label's value.
    #[inline]
    pub fn text(&mut self, text: &str) {
        self.index(text.len());
        self.push(text.as_bytes());
    }

    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if let Some(place) = self.short.get_mut(self.len..end)
            && self.long.is_empty()
        {
            place.copy_from_slice(bytes);
            self.len = end;
        } else {
            self.push_long(bytes);
        }
    }

    #[cold]
    fn push_long(&mut self, bytes: &[u8]) {
        if self.long.is_empty() {
            self.long.extend_from_slice(&self.short[..self.len]);
        }
        self.long.extend_from_slice(bytes);
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        if self.long.is_empty() {
            &self.short[..self.len]
        } else {
            &self.long
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(texts: &[&str]) -> Vec<u8> {
        let mut key = Key::new();
        for text in texts {
            key.text(text);
        }
        key.bytes().to_vec()
    }

    #[test]
    fn keys_differ_when_a_value_does_or_a_border_moves() {
        assert_eq!(key(&["ab", "c"]), key(&["ab", "c"]));
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_ne!(key(&["", "a"]), key(&["a", ""]));
    }

    #[test]
    fn a_long_key_keeps_what_came_before() {
        let (long, other) = ("x".repeat(500), "y".repeat(119));
        assert_ne!(key(&["a", &long, "c"]), key(&["b", &long, "c"]));
        assert_eq!(key(&[&other, "z"]).len(), 4 + 119 + 4 + 1);
        assert_eq!(key(&["a", &long]).len(), 4 + 1 + 4 + 500);
    }
}
