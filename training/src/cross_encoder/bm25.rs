//! The rival, and the source of hard negatives: BM25 with the weights of the crate that the orchestrator searches with.

use std::collections::HashMap;

use bm25::{Embedder, EmbedderBuilder, Tokenizer};

/// English words that say nothing about a subject.
const STOP_WORDS: [&str; 40] = [
    "a", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "do", "does",
    "for", "from", "has", "have", "if", "in", "into", "is", "it", "its", "of", "on", "or", "so",
    "that", "the", "then", "there", "these", "this", "to", "was", "when", "which", "will", "with",
];

/// Lowercased words, without stop words and the endings of plurals, of "-ed" and of "-ing".
#[derive(Debug, Clone, Copy, Default)]
pub struct Words;

impl Tokenizer for Words {
    fn tokenize(&self, text: &str) -> Vec<String> {
        text.split(|character: char| !character.is_alphanumeric())
            .map(str::to_lowercase)
            .filter(|word| !word.is_empty() && STOP_WORDS.binary_search(&word.as_str()).is_err())
            .map(|word| stem(&word).to_owned())
            .collect()
    }
}

fn stem(word: &str) -> &str {
    for (ending, least) in [("ing", 6), ("ed", 5), ("es", 5), ("s", 4)] {
        if word.len() >= least
            && !word.ends_with("ss")
            && let Some(stem) = word.strip_suffix(ending)
        {
            return stem.strip_suffix('e').unwrap_or(stem);
        }
    }
    word.strip_suffix('e')
        .filter(|stem| stem.len() > 3)
        .unwrap_or(word)
}

/// Passages by their words.
pub struct Index {
    embedder: Embedder<u32, Words>,
    postings: HashMap<u32, Vec<(usize, f32)>>,
    passages: usize,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index")
            .field("passages", &self.passages)
            .finish_non_exhaustive()
    }
}

impl Index {
    /// Indexes the passages.
    #[must_use]
    pub fn new(passages: &[String]) -> Self {
        let texts: Vec<&str> = passages.iter().map(String::as_str).collect();
        let embedder = EmbedderBuilder::with_tokenizer_and_fit_to_corpus(Words, &texts).build();
        let mut postings: HashMap<u32, Vec<(usize, f32)>> = HashMap::new();
        for (passage, text) in texts.iter().enumerate() {
            for word in embedder.embed(text).iter() {
                let list = postings.entry(word.index).or_default();
                // The library lists a word once for each time it occurs, with the same weight.
                if list.last().is_none_or(|last| last.0 != passage) {
                    list.push((passage, word.value));
                }
            }
        }
        Self {
            embedder,
            postings,
            passages: passages.len(),
        }
    }

    /// The score of every passage, as the library's own `Scorer` gives it; 0 without a common word.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "thousands of passages")]
    pub fn scores(&self, query: &str) -> Vec<f32> {
        let mut scores = vec![0.0; self.passages];
        for word in self.embedder.embed(query).indices() {
            let Some(list) = self.postings.get(word) else {
                continue;
            };
            let (all, with) = (self.passages as f32, list.len() as f32);
            let weight = (1.0 + (all - with + 0.5) / (with + 0.5)).ln();
            for (passage, value) in list {
                scores[*passage] += weight * value;
            }
        }
        scores
    }
}

/// The `count` passages with the highest scores but for `answer`, best first; of equal ones the earlier.
#[must_use]
pub fn top(scores: &[f32], answer: usize, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len())
        .filter(|passage| *passage != answer)
        .collect();
    let better = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b));
    if count < order.len() {
        order.select_nth_unstable_by(count, better);
        order.truncate(count);
    }
    order.sort_unstable_by(better);
    order
}

#[cfg(test)]
mod tests {
    use bm25::Scorer;

    use super::*;

    #[test]
    fn stop_words_are_in_order() {
        assert!(STOP_WORDS.is_sorted());
    }

    #[test]
    fn scores_are_the_librarys() {
        let passages = [
            "Closes the channel. Closing a closed channel does nothing.",
            "Opens a file for reading.",
            "The file that was opened, and the channel it writes to.",
        ]
        .map(str::to_owned);
        let index = Index::new(&passages);
        let mut scorer = Scorer::<usize, u32>::new();
        for (number, text) in passages.iter().enumerate() {
            scorer.upsert(&number, index.embedder.embed(text));
        }
        for query in [
            "close channels",
            "open the file",
            "a channel, a channel",
            "nowhere",
        ] {
            let embedded = index.embedder.embed(query);
            for (number, mine) in index.scores(query).into_iter().enumerate() {
                let theirs = scorer.score(&number, &embedded).unwrap_or(0.0);
                assert!(
                    (mine - theirs).abs() < 1e-5,
                    "{query}, {number}: {mine} and {theirs}"
                );
            }
        }
        assert_eq!(top(&index.scores("open the file"), 1, 1), [2]);
    }
}
