//! All patterns as one automaton.

use std::sync::LazyLock;

use regex_automata::{
    Anchored, MatchKind,
    dfa::{Automaton, StartKind, dense},
    util::{primitives::StateID, start, syntax},
};

use super::patterns::PATTERNS;

/// The most bytes that are looked at, and so held back, from one place on.
pub(super) const LONGEST: usize = {
    let (mut longest, mut at) = (0, 0);
    while at < PATTERNS.len() {
        if PATTERNS[at].max_len > longest {
            longest = PATTERNS[at].max_len;
        }
        at += 1;
    }
    longest
};

pub(super) static MACHINE: LazyLock<Machine> = LazyLock::new(Machine::new);

/// Looks for every pattern at once, from a given place on; takes each byte once.
#[derive(Debug)]
pub(super) struct Machine {
    automaton: dense::DFA<Vec<u32>>,
    start: StateID,
    begins: [bool; 256],
}

/// A look from one place on that isn't over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    state: StateID,
    /// How many bytes it has taken.
    taken: usize,
    best: Option<Found>,
}

/// A secret: which pattern, and how many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) pattern: usize,
    pub(super) len: usize,
}

/// What a look has come to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    /// What follows decides.
    Open(Look),
    /// The longest match, if there is one.
    Over(Option<Found>),
}

impl Machine {
    fn new() -> Self {
        let patterns: Vec<&str> = PATTERNS.iter().map(|pattern| pattern.regex).collect();
        let automaton = dense::Builder::new()
            .configure(
                dense::Config::new()
                    .match_kind(MatchKind::All)
                    .start_kind(StartKind::Anchored)
                    .accelerate(false),
            )
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .build_many(&patterns)
            .expect("the table's expressions are tested");
        let start = automaton
            .start_state(&start::Config::new().anchored(Anchored::Yes))
            .expect("built with an anchored start and no quitting byte");
        let begins = std::array::from_fn(|byte| {
            !automaton.is_dead_state(automaton.next_state(start, byte_at(byte)))
        });
        Self {
            automaton,
            start,
            begins,
        }
    }

    /// Whether any pattern begins with this byte.
    pub(super) fn begins(&self, byte: u8) -> bool {
        self.begins[usize::from(byte)]
    }

    /// A look that has taken nothing yet.
    pub(super) fn look(&self) -> Look {
        Look {
            state: self.start,
            taken: 0,
            best: None,
        }
    }

    /// Goes on with a look at `bytes`, which begin where the look began; `last` when nothing will follow them.
    /// Patterns whose bit in `enabled` is 0 don't match.
    pub(super) fn go_on(&self, look: Look, bytes: &[u8], last: bool, enabled: u32) -> Verdict {
        let Look {
            mut state,
            taken,
            mut best,
        } = look;
        for (at, &byte) in bytes.iter().enumerate().skip(taken) {
            state = self.automaton.next_state(state, byte);
            if self.automaton.is_special_state(state) {
                if self.automaton.is_match_state(state) {
                    // The automaton tells one byte late, when it has seen what follows a match.
                    best = self.longest(state, &bytes[..at], enabled).or(best);
                } else if self.automaton.is_dead_state(state) {
                    return Verdict::Over(best);
                }
            }
            if at >= LONGEST {
                return Verdict::Over(best);
            }
        }
        if last {
            state = self.automaton.next_eoi_state(state);
            if self.automaton.is_match_state(state) {
                best = self.longest(state, bytes, enabled).or(best);
            }
            return Verdict::Over(best);
        }
        Verdict::Open(Look {
            state,
            taken: bytes.len(),
            best,
        })
    }

    fn longest(&self, state: StateID, text: &[u8], enabled: u32) -> Option<Found> {
        (0..self.automaton.match_len(state))
            .map(|index| self.automaton.match_pattern(state, index).as_usize())
            .filter(|&pattern| enabled & (1 << pattern) != 0)
            .filter(|&pattern| {
                text.len() <= PATTERNS[pattern].max_len && (PATTERNS[pattern].check)(text)
            })
            .min()
            .map(|pattern| Found {
                pattern,
                len: text.len(),
            })
    }
}

fn byte_at(index: usize) -> u8 {
    u8::try_from(index).expect("an array of 256 has indices below 256")
}
