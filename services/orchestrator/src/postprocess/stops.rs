//! Stop sequences: the answer ends before the first of them.

use std::sync::Arc;

use memchr::memmem;

/// The most stop sequences, and the most bytes of one.
const MOST: usize = 16;
const BYTES: usize = 1024;

/// Why stop sequences can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StopError {
    /// One is empty, and every answer would end before it began.
    #[error("stop sequence {index} is empty; leave it out or give at least one character")]
    Empty {
        /// Which one, from 0.
        index: usize,
    },
    /// One is too long.
    #[error("stop sequence {index} has {bytes} bytes, more than {BYTES}; shorten it")]
    TooLong {
        /// Which one, from 0.
        index: usize,
        /// Its length.
        bytes: usize,
    },
    /// There are too many.
    #[error("{count} stop sequences are more than {MOST}; give fewer")]
    TooMany {
        /// How many.
        count: usize,
    },
}

/// Looks for stop sequences in a text that comes in pieces.
///
/// Of all occurrences in the whole text the one that begins first counts; the longer sequence when two begin at one
/// place. Only what may be the beginning of a sequence is held back.
#[derive(Clone, Debug)]
pub(super) struct Stops {
    stops: Arc<[String]>,
    /// What may be the beginning of a stop sequence.
    held: String,
    found: bool,
}

impl Stops {
    pub(super) fn new(stops: Arc<[String]>) -> Result<Self, StopError> {
        if stops.len() > MOST {
            return Err(StopError::TooMany { count: stops.len() });
        }
        for (index, stop) in stops.iter().enumerate() {
            match stop.len() {
                0 => return Err(StopError::Empty { index }),
                bytes if bytes > BYTES => return Err(StopError::TooLong { index, bytes }),
                _ => {}
            }
        }
        Ok(Self {
            stops,
            held: String::new(),
            found: false,
        })
    }

    /// Hands on what of the text so far is certainly before any stop sequence; gives the sequence's index once it is met.
    pub(super) fn push(&mut self, chunk: &str, mut pass: impl FnMut(&str)) -> Option<usize> {
        if self.found {
            return None;
        }
        if self.stops.is_empty() {
            pass(chunk);
            return None;
        }
        if self.held.is_empty() {
            let (end, stop) = self.settle(chunk);
            pass(&chunk[..end]);
            if stop.is_none() {
                self.held.push_str(&chunk[end..]);
            }
            self.found = stop.is_some();
            return stop;
        }
        let mut text = std::mem::take(&mut self.held);
        text.push_str(chunk);
        let (end, stop) = self.settle(&text);
        pass(&text[..end]);
        self.found = stop.is_some();
        if stop.is_none() {
            text.drain(..end);
            self.held = text;
        }
        stop
    }

    /// How many bytes are held back.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// Hands on what was held back, up to a stop sequence that a longer one might have preceded.
    pub(super) fn finish(&mut self, mut pass: impl FnMut(&str)) -> Option<usize> {
        let text = std::mem::take(&mut self.held);
        let first = self.first(&text);
        pass(&text[..first.map_or(text.len(), |(start, _)| start)]);
        self.found |= first.is_some();
        first.map(|(_, index)| index)
    }

    /// How much of the text is settled, and the stop sequence that follows it.
    fn settle(&self, text: &str) -> (usize, Option<usize>) {
        let open = self.open(text);
        match self.first(text) {
            // A sequence that began earlier, or a longer one that began here, may still come.
            Some((start, index)) if start < open => (start, Some(index)),
            _ => (open, None),
        }
    }

    /// The first whole occurrence: its start and which sequence it is.
    fn first(&self, text: &str) -> Option<(usize, usize)> {
        let mut best: Option<(usize, usize)> = None;
        for (index, stop) in self.stops.iter().enumerate() {
            if let Some(start) = memmem::find(text.as_bytes(), stop.as_bytes())
                && best.is_none_or(|(earliest, which)| {
                    start < earliest || (start == earliest && stop.len() > self.stops[which].len())
                })
            {
                best = Some((start, index));
            }
        }
        best
    }

    /// Where the text's longest ending begins that a stop sequence may grow out of; its length when none may.
    fn open(&self, text: &str) -> usize {
        let bytes = text.as_bytes();
        let mut open = bytes.len();
        for stop in self.stops.iter() {
            let stop = stop.as_bytes();
            let from = bytes.len().saturating_sub(stop.len() - 1);
            let begins =
                |&start: &usize| bytes[start] == stop[0] && stop.starts_with(&bytes[start..]);
            if let Some(start) = (from..open).find(begins) {
                open = start;
            }
        }
        open
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run<'a>(
        stops: &[&str],
        chunks: impl IntoIterator<Item = &'a str>,
    ) -> (String, Option<usize>) {
        let stops: Vec<String> = stops.iter().map(|&stop| stop.to_owned()).collect();
        let mut stops = Stops::new(stops.into()).unwrap();
        let mut out = String::new();
        let mut met = None;
        for chunk in chunks {
            met = met.or(stops.push(chunk, |text| out.push_str(text)));
        }
        met = met.or(stops.finish(|text| out.push_str(text)));
        (out, met)
    }

    #[test]
    fn answer_ends_exactly_before_the_stop() {
        assert_eq!(run(&["END"], ["one END two"]), ("one ".into(), Some(0)));
        assert_eq!(
            run(&["END"], ["one E", "N", "D two"]),
            ("one ".into(), Some(0))
        );
        assert_eq!(
            run(&["END"], ["one E", "N", "E", "ND"]),
            ("one EN".into(), Some(0))
        );
        assert_eq!(run(&["END"], ["one E", "N"]), ("one EN".into(), None));
        assert_eq!(run(&["\n\n", "ö"], ["a\n", "\nb"]), ("a".into(), Some(0)));
    }

    #[test]
    fn stop_that_begins_first_counts() {
        assert_eq!(
            run(&["c", "abcd"], ["xab", "c", "d"]),
            ("x".into(), Some(1))
        );
        assert_eq!(
            run(&["c", "abcd"], ["xab", "c", "e"]),
            ("xab".into(), Some(0))
        );
        assert_eq!(run(&["c", "abcd"], ["xab", "c"]), ("xab".into(), Some(0)));
        assert_eq!(run(&["ab", "abc"], ["ab", "c"]), (String::new(), Some(1)));
    }

    #[test]
    fn only_a_possible_beginning_is_held_back() {
        let mut stops = Stops::new(Arc::new(["STOP".to_owned()])).unwrap();
        let mut out = String::new();
        stops.push("no SSTO", |text| out.push_str(text));
        assert_eq!(out, "no S");
        stops.push("x", |text| out.push_str(text));
        assert_eq!(out, "no SSTOx");
    }

    #[test]
    fn unusable_stops_are_refused() {
        let new = |stops: Vec<String>| Stops::new(stops.into()).map(|_| ());
        assert_eq!(
            new(vec!["a".into(), String::new()]),
            Err(StopError::Empty { index: 1 })
        );
        assert_eq!(
            new(vec!["a".repeat(1025)]),
            Err(StopError::TooLong {
                index: 0,
                bytes: 1025
            })
        );
        assert_eq!(
            new(vec!["a".into(); 17]),
            Err(StopError::TooMany { count: 17 })
        );
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(
            chunks in prop::collection::vec("[abö]{0,4}", 0..12),
            stops in prop::collection::vec("[abö]{1,4}", 0..4),
        ) {
            let text = chunks.concat();
            let stops: Vec<&str> = stops.iter().map(String::as_str).collect();
            let expected = stops.iter().filter_map(|stop| text.find(stop)).min();
            let (out, met) = run(&stops, chunks.iter().map(String::as_str));
            prop_assert_eq!(&out, &text[..expected.unwrap_or(text.len())]);
            prop_assert_eq!(met.is_some(), expected.is_some());
            prop_assert_eq!((out, met), run(&stops, [text.as_str()]));
        }
    }
}
