//! Bytes of tokens put together to text, and the search for stop strings in it.

/// Puts the bytes of tokens together to whole characters. What is no UTF-8 becomes U+FFFD.
#[derive(Debug, Default)]
pub(super) struct Characters {
    /// The start of a character whose end hasn't come yet: 3 bytes at most between two calls.
    open: Vec<u8>,
}

impl Characters {
    /// Adds a token's bytes and gives the characters that are whole now.
    pub(super) fn push(&mut self, bytes: &[u8]) -> String {
        self.open.extend_from_slice(bytes);
        let mut text = String::new();
        let mut rest = self.open.as_slice();
        let kept = loop {
            let error = match str::from_utf8(rest) {
                Ok(whole) => {
                    text.push_str(whole);
                    break 0;
                }
                Err(error) => error,
            };
            let (whole, tail) = rest.split_at(error.valid_up_to());
            text.push_str(str::from_utf8(whole).expect("checked up to here"));
            match error.error_len() {
                None => break tail.len(),
                Some(bad) => {
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &tail[bad..];
                }
            }
        };
        self.open.drain(..self.open.len() - kept);
        text
    }
}

/// Watches generated text for the first stop string.
#[derive(Debug)]
pub(super) struct Stops<'a> {
    stops: &'a [String],
    longest: usize,
    /// The end of the text so far, no longer than a stop string could still need.
    tail: String,
}

impl<'a> Stops<'a> {
    pub(super) fn new(stops: &'a [String]) -> Self {
        let longest = stops.iter().map(String::len).max().unwrap_or(0);
        Self {
            stops,
            longest,
            tail: String::new(),
        }
    }

    /// Adds text; `true` when a stop string is now in it.
    pub(super) fn push(&mut self, text: &str) -> bool {
        if self.longest == 0 {
            return false;
        }
        self.tail.push_str(text);
        if self
            .stops
            .iter()
            .any(|stop| !stop.is_empty() && self.tail.contains(stop.as_str()))
        {
            return true;
        }
        let cut = self
            .tail
            .floor_char_boundary(self.tail.len().saturating_sub(self.longest - 1));
        self.tail.drain(..cut);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_comes_whole_or_not_at_all() {
        let text = "aé👩‍👩‍👧 e\u{301}\u{0}\u{7f}";
        let mut characters = Characters::default();
        let mut pieces = String::new();
        for byte in text.as_bytes() {
            pieces.push_str(&characters.push(&[*byte]));
        }
        assert_eq!(pieces, text);
    }

    #[test]
    fn bytes_that_are_no_utf8_become_the_replacement_character() {
        let mut characters = Characters::default();
        assert_eq!(
            characters.push(&[b'a', 0xff, b'b', 0xe2, 0x82]),
            "a\u{fffd}b"
        );
        assert_eq!(characters.push(b"c"), "\u{fffd}c");
    }

    #[test]
    fn a_stop_string_is_found_across_pieces() {
        let stops = [String::from("END."), String::from("\n\n")];
        let mut watch = Stops::new(&stops);
        assert!(!watch.push("the E"));
        assert!(!watch.push("N"));
        assert!(watch.push("D. and"));
        let mut watch = Stops::new(&stops);
        assert!(!watch.push("one\n"));
        assert!(watch.push("\n"));
        assert!(!Stops::new(&[String::new()]).push("anything"));
    }
}
