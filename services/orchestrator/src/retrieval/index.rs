//! Which passages hold which words, and how much each says about them.

use std::cell::RefCell;

use bm25::{Embedder, EmbedderBuilder};

use super::words::{Words, each_word, number, start};

/// How much of a query is looked at: its first bytes, and the first different words in them.
const QUERY_BYTES: usize = 4096;
const QUERY_WORDS: usize = 64;

/// A word in a passage.
#[derive(Clone, Copy, Debug)]
struct Posting {
    passage: u32,
    /// What the word adds to the passage's score.
    weight: f32,
}

/// An inverted index with every posting's part of the score worked out beforehand.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// The words' numbers, ascending.
    words: Box<[u64]>,
    /// Where each word's postings end; they begin where the previous word's end.
    ends: Box<[u32]>,
    postings: Box<[Posting]>,
    passages: usize,
}

/// A passage's place in the library and its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ranked {
    pub(super) passage: u32,
    pub(super) score: f32,
}

/// What one search needs and the next can use again.
#[derive(Default)]
struct Scratch {
    word: String,
    query: Vec<u64>,
    /// A score for each passage; all 0 between searches.
    scores: Vec<f32>,
    /// The passages whose score is not 0.
    scored: Vec<u32>,
    ranked: Vec<Ranked>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Index {
    /// An index of the texts, in their order. At most `u32::MAX` of them and of words in them are taken.
    pub(super) fn new(texts: &[&str]) -> Self {
        let embedder: Embedder<u64, Words> =
            EmbedderBuilder::with_tokenizer_and_fit_to_corpus(Words, texts).build();
        let mut entries: Vec<(u64, Posting)> = Vec::new();
        for (passage, text) in (0u32..).zip(texts) {
            entries.extend(embedder.embed(text).0.into_iter().map(|word| {
                (
                    word.index,
                    Posting {
                        passage,
                        weight: word.value,
                    },
                )
            }));
        }
        // The library lists a word that occurs twice in a text twice, with the same weight.
        entries.sort_by_key(|&(word, posting)| (word, posting.passage));
        entries.dedup_by_key(|&mut (word, posting)| (word, posting.passage));
        entries.truncate(u32::MAX as usize);

        let mut words = Vec::new();
        let mut ends = Vec::new();
        let mut postings = Vec::with_capacity(entries.len());
        for same in entries.chunk_by(|one, other| one.0 == other.0) {
            let rarity = inverse_document_frequency(texts.len(), same.len());
            postings.extend(same.iter().map(|&(_, posting)| Posting {
                weight: posting.weight * rarity,
                ..posting
            }));
            words.push(same[0].0);
            ends.push(u32::try_from(postings.len()).expect("truncated to u32::MAX above"));
        }
        Self {
            words: words.into(),
            ends: ends.into(),
            postings: postings.into(),
            passages: texts.len(),
        }
    }

    /// Calls `take` with the `k` best passages, best first; equal scores in the library's order.
    pub(super) fn search(&self, query: &str, k: usize, take: impl FnOnce(&[Ranked])) {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.read(query);
            scratch.score(self);
            scratch.rank(k);
            take(&scratch.ranked);
        });
    }

    fn postings(&self, word: u64) -> &[Posting] {
        let Ok(at) = self.words.binary_search(&word) else {
            return &[];
        };
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.postings[start as usize..self.ends[at] as usize]
    }
}

impl Scratch {
    /// Brings the query to its different words.
    fn read(&mut self, query: &str) {
        let Self {
            word, query: words, ..
        } = self;
        words.clear();
        each_word(start(query, QUERY_BYTES), word, |word| {
            if words.len() < QUERY_WORDS {
                let word = number(word);
                if !words.contains(&word) {
                    words.push(word);
                }
            }
        });
    }

    fn score(&mut self, index: &Index) {
        if self.scores.len() < index.passages {
            self.scores.resize(index.passages, 0.0);
        }
        self.scored.clear();
        for &word in &self.query {
            for posting in index.postings(word) {
                let score = &mut self.scores[posting.passage as usize];
                if *score == 0.0 {
                    self.scored.push(posting.passage);
                }
                *score += posting.weight;
            }
        }
    }

    /// The best `k` of the scored, and all scores back to 0.
    fn rank(&mut self, k: usize) {
        self.ranked.clear();
        for &passage in &self.scored {
            let score = std::mem::take(&mut self.scores[passage as usize]);
            let place = self.ranked.last().map_or(0, |last| {
                if self.ranked.len() == k && !before((passage, score), last) {
                    return k;
                }
                self.ranked
                    .partition_point(|other| !before((passage, score), other))
            });
            if place < k {
                self.ranked.truncate(k - 1);
                self.ranked.insert(place, Ranked { passage, score });
            }
        }
    }
}

fn before((passage, score): (u32, f32), other: &Ranked) -> bool {
    score > other.score || (score == other.score && passage < other.passage)
}

/// How rare a word is that `holding` of `all` passages hold, as the search library's own scorer has it.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of passages are far below 2^24 where it would matter"
)]
fn inverse_document_frequency(all: usize, holding: usize) -> f32 {
    let (all, holding) = (all as f32, holding as f32);
    (1.0 + (all - holding + 0.5) / (holding + 0.5)).ln()
}

#[cfg(test)]
mod tests {
    use bm25::Scorer;
    use proptest::prelude::*;

    use super::*;

    fn ranking(index: &Index, query: &str, k: usize) -> Vec<Ranked> {
        let mut found = Vec::new();
        index.search(query, k, |ranked| found.extend_from_slice(ranked));
        found
    }

    fn text() -> impl Strategy<Value = String> {
        prop::collection::vec("[a-f]{1,2}", 0..30).prop_map(|words| words.join(" "))
    }

    proptest! {
        #[test]
        fn ranking_is_the_search_librarys_own(texts in prop::collection::vec(text(), 1..20), query in text()) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let index = Index::new(&texts);
            let embedder: Embedder<u64, Words> =
                EmbedderBuilder::with_tokenizer_and_fit_to_corpus(Words, &texts).build();
            let mut scorer = Scorer::new();
            for (number, text) in texts.iter().enumerate() {
                scorer.upsert(&number, embedder.embed(text));
            }
            let mut asked = embedder.embed(&query);
            let mut seen = Vec::new();
            asked.0.retain(|word| !seen.contains(&word.index) && { seen.push(word.index); true });

            let found = ranking(&index, &query, texts.len());
            prop_assert_eq!(found.len(), scorer.matches(&asked).len());
            prop_assert!(found.is_sorted_by(|one, other| one.score >= other.score));
            for ranked in &found {
                let expected = scorer.score(&(ranked.passage as usize), &asked).expect("it was put in");
                prop_assert!((ranked.score - expected).abs() <= 1e-4 * expected.abs(), "{ranked:?} {expected}");
            }
            for k in 0..found.len() {
                prop_assert_eq!(&ranking(&index, &query, k), &found[..k]);
            }
        }
    }

    #[test]
    fn equal_scores_come_in_the_librarys_order() {
        let index = Index::new(&["x y", "x y", "x y"]);
        let places: Vec<u32> = ranking(&index, "x", 2)
            .iter()
            .map(|ranked| ranked.passage)
            .collect();
        assert_eq!(places, [0, 1]);
    }

    #[test]
    fn empty_index_finds_nothing() {
        assert!(ranking(&Index::new(&[]), "anything", 3).is_empty());
    }
}
