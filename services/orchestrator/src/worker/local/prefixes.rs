//! States of earlier prompts, kept for prompts that begin alike.

use std::{collections::VecDeque, sync::Arc};

/// Fewer shared tokens than this are computed again: it costs less than keeping them.
const WORTH_KEEPING: usize = 16;
const MOST_STATES: usize = 16;
const MOST_PROMPTS: usize = 8;

/// A small store of states after known tokens, the least recently used of which go first.
///
/// A state is used only where *all* of its tokens begin the new prompt. A state can't be cut, so the store also
/// remembers the last prompts: where a new one shares a beginning with one of them, the engine pauses there and keeps that state,
/// and the third prompt of the kind finds it.
#[derive(Debug)]
pub(super) struct Prefixes<S> {
    /// The most tokens whose states are kept, over all states.
    budget: usize,
    /// The least recently used first.
    states: Vec<(Arc<[u32]>, S)>,
    prompts: VecDeque<Arc<[u32]>>,
}

impl<S: Clone> Prefixes<S> {
    pub(super) fn new(budget: usize) -> Self {
        Self {
            budget,
            states: Vec::new(),
            prompts: VecDeque::new(),
        }
    }

    /// The state with the most tokens that begins `prompt` and leaves at least one token to compute.
    pub(super) fn longest(&mut self, prompt: &[u32]) -> Option<(usize, S)> {
        let (index, _) = self
            .states
            .iter()
            .enumerate()
            .filter(|(_, (tokens, _))| tokens.len() < prompt.len() && prompt.starts_with(tokens))
            .max_by_key(|(_, (tokens, _))| tokens.len())?;
        let used = self.states.remove(index);
        self.states.push(used.clone());
        Some((used.0.len(), used.1))
    }

    /// Where to pause on the way through `prompt` and keep the state, when that lies usefully beyond `known` tokens.
    pub(super) fn pause(&mut self, prompt: &[u32], known: usize) -> Option<usize> {
        if self.budget == 0 {
            return None;
        }
        let shared = self
            .prompts
            .iter()
            .map(|earlier| {
                earlier
                    .iter()
                    .zip(prompt)
                    .take_while(|(a, b)| a == b)
                    .count()
            })
            .max()
            .unwrap_or(0)
            .min(prompt.len().saturating_sub(1));
        if self.prompts.len() == MOST_PROMPTS {
            self.prompts.pop_front();
        }
        self.prompts.push_back(prompt.into());
        (shared >= known + WORTH_KEEPING).then_some(shared)
    }

    /// Keeps the state after `tokens`.
    pub(super) fn keep(&mut self, tokens: &[u32], state: S) {
        if tokens.len() < WORTH_KEEPING || tokens.len() > self.budget {
            return;
        }
        self.states.retain(|(kept, _)| **kept != *tokens);
        self.states.push((tokens.into(), state));
        let mut held: usize = self.states.iter().map(|(tokens, _)| tokens.len()).sum();
        while held > self.budget || self.states.len() > MOST_STATES {
            held -= self.states.remove(0).0.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(range: std::ops::Range<u32>) -> Vec<u32> {
        range.collect()
    }

    #[test]
    fn only_a_whole_state_is_reused_and_the_longest_wins() {
        let mut prefixes = Prefixes::new(1_000);
        prefixes.keep(&tokens(0..20), "short");
        prefixes.keep(&tokens(0..40), "long");
        prefixes.keep(&tokens(1..60), "other");
        assert_eq!(prefixes.longest(&tokens(0..50)), Some((40, "long")));
        assert_eq!(prefixes.longest(&tokens(0..39)), Some((20, "short")));
        assert_eq!(
            prefixes.longest(&tokens(0..20)),
            None,
            "one token must be left to compute"
        );
        assert_eq!(prefixes.longest(&tokens(5..90)), None);
    }

    #[test]
    fn a_beginning_seen_twice_is_where_to_pause() {
        let mut prefixes = Prefixes::<()>::new(1_000);
        let first = [tokens(0..30), tokens(100..110)].concat();
        let second = [tokens(0..30), tokens(200..210)].concat();
        assert_eq!(prefixes.pause(&first, 0), None);
        assert_eq!(prefixes.pause(&second, 0), Some(30));
        assert_eq!(
            prefixes.pause(&second, 30),
            None,
            "9 more tokens aren't worth it"
        );
        assert_eq!(
            prefixes.pause(&second, 10),
            Some(39),
            "the last token is always computed"
        );
    }

    #[test]
    fn the_budget_holds_and_the_unused_go_first() {
        let mut prefixes = Prefixes::new(100);
        prefixes.keep(&tokens(0..40), 'a');
        prefixes.keep(&tokens(1..41), 'b');
        assert!(
            prefixes.longest(&tokens(0..50)).is_some(),
            "a is used again"
        );
        prefixes.keep(&tokens(2..42), 'c');
        assert_eq!(prefixes.longest(&tokens(1..50)), None, "b had to go");
        assert!(prefixes.longest(&tokens(0..50)).is_some());
        prefixes.keep(&tokens(0..101), 'd');
        assert_eq!(
            prefixes.longest(&tokens(0..200)),
            Some((40, 'a')),
            "d is above the budget"
        );
        let mut off = Prefixes::new(0);
        off.keep(&tokens(0..40), 'a');
        assert_eq!(off.longest(&tokens(0..50)), None);
        assert_eq!(
            (off.pause(&tokens(0..50), 0), off.pause(&tokens(0..50), 0)),
            (None, None)
        );
    }
}
