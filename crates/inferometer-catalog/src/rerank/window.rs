//! Windowed means, out of counters: what the contract shows as gauges of the last value.

use std::{collections::VecDeque, time::Duration, time::Instant};

/// What a batch did to the tokens that the model processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PaddingStats {
    /// Tokens of padding.
    pub padded_tokens: u64,
    /// All tokens, padding among them.
    pub total_tokens: u64,
    /// The longest sequence.
    pub max_seq_length: u64,
}

/// Requests a second; `None` is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ThroughputStats {
    /// At the tokenizer workers.
    pub tokenizer: Option<f64>,
    /// At the model workers.
    pub inference: Option<f64>,
    /// Answered in full.
    pub overall: Option<f64>,
}

/// The totals of one collection.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    pub(super) answered: u64,
    pub(super) padded_tokens: u64,
    pub(super) total_tokens: u64,
    /// Sequences and their tokens.
    pub(super) sequences: (u64, f64),
    /// The longest sequence since the collection before.
    pub(super) longest: u64,
    /// Requests, pieces of work and their seconds, of each worker.
    pub(super) workers: Vec<(u64, (u64, f64))>,
}

/// The totals of the collections within the window, and of the one before it.
#[derive(Debug)]
pub(super) struct Window {
    length: Duration,
    seen: VecDeque<(Instant, Totals)>,
}

impl Window {
    pub(super) fn new(length: Duration) -> Self {
        Self {
            length,
            seen: VecDeque::new(),
        }
    }

    /// Takes the totals of `now`. What is older than the window goes, but for the newest of it, from which the window is measured.
    pub(super) fn push(&mut self, now: Instant, totals: Totals) {
        self.seen.push_back((now, totals));
        while let Some((second, _)) = self.seen.get(1)
            && now.saturating_duration_since(*second) >= self.length
        {
            self.seen.pop_front();
        }
    }

    /// The ends of the window and its seconds; `None` before two collections.
    pub(super) fn ends(&self) -> Option<(&Totals, &Totals, f64)> {
        let (from, first) = self.seen.front()?;
        let (to, last) = self.seen.back()?;
        let seconds = to.saturating_duration_since(*from).as_secs_f64();
        (seconds > 0.0).then_some((first, last, seconds))
    }

    /// The longest sequence of the window.
    pub(super) fn longest(&self) -> u64 {
        let within = self.seen.iter().skip(1);
        within
            .map(|(_, totals)| totals.longest)
            .max()
            .unwrap_or_default()
    }
}

/// A mean; `None` of nothing.
pub(super) fn mean(sum: f64, count: f64) -> Option<f64> {
    (count > 0.0).then(|| sum / count)
}

/// How much a counter grew, as a float.
#[expect(
    clippy::cast_precision_loss,
    reason = "what grows within a window is far below 2^53"
)]
pub(super) fn grown(from: u64, to: u64) -> f64 {
    to.saturating_sub(from) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(answered: u64) -> Totals {
        Totals {
            answered,
            ..Totals::default()
        }
    }

    #[test]
    fn one_collection_makes_no_window() {
        let mut window = Window::new(Duration::from_secs(10));
        window.push(Instant::now(), answered(5));
        assert!(window.ends().is_none());
    }

    #[test]
    fn nothing_is_kept_beyond_the_window() {
        let start = Instant::now();
        let mut window = Window::new(Duration::from_secs(10));
        for second in 0..1000 {
            window.push(start + Duration::from_secs(second), answered(3 * second));
        }
        assert_eq!(window.seen.len(), 11);
        let (first, last, seconds) = window.ends().unwrap();
        assert_eq!(last.answered - first.answered, 30);
        assert!((seconds - 10.0).abs() < 1e-9);
    }

    #[test]
    fn collections_further_apart_than_the_window_still_measure() {
        let start = Instant::now();
        let mut window = Window::new(Duration::from_secs(1));
        window.push(start, answered(0));
        window.push(start + Duration::from_secs(5), answered(10));
        window.push(start + Duration::from_secs(10), answered(30));
        let (first, last, seconds) = window.ends().unwrap();
        assert_eq!((last.answered - first.answered, seconds), (20, 5.0));
    }
}
