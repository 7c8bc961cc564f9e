//! A model that does what the texts say, for tests and for trying out a set-up without weights.
//!
//! A token is a word, and a score is how many words of the passage are words of the query. Some words are orders:
//!
//! | word in a passage | what happens |
//! |---|---|
//! | `tokenizer-panics`, `tokenizer-fails` | while the pair is made into tokens |
//! | `model-panics`, `model-fails` | while its batch is scored |
//! | `model-waits` | its batch is scored once the [`Gate`] is open |
//! | `model-says-nan` | its score is not a number |

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::Duration,
};

use crate::model::{Encoded, Score, Tokenize, WorkError};

const ORDERS: [&str; 4] = [
    "model-panics",
    "model-fails",
    "model-waits",
    "model-says-nan",
];
const PANICS: u32 = 0;
const FAILS: u32 = 1;
const WAITS: u32 = 2;
const NAN: u32 = 3;

/// What batches with the word `model-waits` wait for.
#[derive(Debug, Default)]
pub struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    /// Lets all of them go on, from now on.
    pub fn open(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        while !*open {
            open = self
                .opened
                .wait(open)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The model and its tokenizer.
#[derive(Clone, Debug)]
pub struct Scripted {
    /// What a batch takes.
    pub per_batch: Duration,
    /// What a token takes, padding among them.
    pub per_token: Duration,
    /// The most tokens of a pair.
    pub max_tokens: usize,
    /// What holds batches back.
    pub gate: Arc<Gate>,
}

impl Default for Scripted {
    /// Takes no time, up to 512 tokens a pair.
    fn default() -> Self {
        Self {
            per_batch: Duration::ZERO,
            per_token: Duration::ZERO,
            max_tokens: 512,
            gate: Arc::default(),
        }
    }
}

fn id(word: &str) -> u32 {
    if let Some(order) = (0..).zip(ORDERS).find(|(_, order)| *order == word) {
        return order.0;
    }
    let mut hasher = DefaultHasher::new();
    word.hash(&mut hasher);
    // The low half is as good as the whole; orders have the first numbers.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a half of the hash is wanted"
    )]
    let low = hasher.finish() as u32;
    low | 0x100
}

impl Tokenize for Scripted {
    #[expect(clippy::panic, reason = "the text asks for it")]
    fn encode(&self, query: &str, passage: &str, max_tokens: usize) -> Result<Encoded, WorkError> {
        let mut encoded = Encoded::default();
        for (kind, text) in [(0, query), (1, passage)] {
            for word in text.split_whitespace() {
                match word {
                    "tokenizer-panics" => panic!("a text says that the tokenizer panics"),
                    "tokenizer-fails" => return Err("a text says that the tokenizer fails".into()),
                    _ if encoded.ids.len() == max_tokens => encoded.truncated = true,
                    _ => {
                        encoded.ids.push(id(word));
                        encoded.type_ids.push(kind);
                    }
                }
            }
        }
        Ok(encoded)
    }
}

impl Score for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    #[expect(clippy::panic, reason = "the text asks for it")]
    fn score(&self, batch: &[&Encoded]) -> Result<Vec<f32>, WorkError> {
        let has = |order| batch.iter().any(|pair| pair.ids.contains(&order));
        if has(WAITS) {
            self.gate.pass();
        }
        let longest = batch.iter().map(|pair| pair.ids.len()).max().unwrap_or(0);
        let tokens = u32::try_from(longest * batch.len()).unwrap_or(u32::MAX);
        let time = self.per_batch + self.per_token * tokens;
        if !time.is_zero() {
            thread::sleep(time);
        }
        if has(PANICS) {
            panic!("a text says that the model panics");
        }
        if has(FAILS) {
            return Err("a text says that the model fails".into());
        }
        Ok(batch.iter().map(|pair| overlap(pair)).collect())
    }
}

fn overlap(pair: &Encoded) -> f32 {
    if pair.ids.contains(&NAN) {
        return f32::NAN;
    }
    let words = |kind| {
        let typed = pair.ids.iter().zip(&pair.type_ids);
        typed.filter(move |(_, is)| **is == kind).map(|(id, _)| *id)
    };
    let query: HashSet<u32> = words(0).collect();
    let shared = words(1).filter(|id| query.contains(id)).count();
    f32::from(u16::try_from(shared).unwrap_or(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_how_many_words_are_shared() {
        let model = Scripted::default();
        let pair = |passage| model.encode("red green blue", passage, 512).unwrap();
        let pairs = ["blue and red", "yellow", ""].map(pair);
        let scores = model.score(&pairs.each_ref()).unwrap();
        assert_eq!(scores, [2.0, 0.0, 0.0]);
    }

    #[test]
    fn what_is_too_long_is_cut_off_and_says_so() {
        let model = Scripted::default();
        let long = model.encode("q", "a b c", 3).unwrap();
        assert_eq!((long.ids.len(), long.truncated), (3, true));
        assert!(!model.encode("q", "a b", 3).unwrap().truncated);
    }
}
