//! Retrieval: the passages of a library that say most about a question.
//!
//! A [`Library`] is built once, from the corpus that is shipped or from a folder, and searched by any number of threads
//! without a lock. Ranking is BM25 (k1 1.2, b 0.75) over words without stop words and plurals.
//!
//! The crate `bm25` gives the words' weights; the postings are our own, with every weight multiplied out when the
//! library is built. The crate's own search engine looks through each matching passage's list of words for each word of
//! the query, hashes every match twice, and copies the text of what it finds; a test holds the two to the same ranking,
//! and `benches/text.rs` measures both: over 5,000
//! passages with common words, tens of microseconds against milliseconds. tantivy was not measured: a few thousand
//! passages in memory need none of its segments, files and query language.
//!
//! **Queries.** The first 4,096 bytes and the first 64 different words in them count. A query of no words, or of stop
//! words alone, finds nothing.

use std::{path::Path, sync::Arc};

mod corpus;
mod folder;
mod index;
mod passage;
mod words;

pub use folder::{LibraryError, Limits, SkipReason, Skipped};
pub use passage::Passage;

use index::Index;

/// A passage that was found.
#[derive(Clone, Debug)]
pub struct Hit {
    /// What was found.
    pub passage: Arc<Passage>,
    /// Its BM25 score: above 0, higher is better; comparable within one search only.
    pub score: f32,
}

/// What a search found, best first.
pub type Passages = Vec<Hit>;

/// Passages that can be searched.
#[derive(Debug)]
pub struct Library {
    passages: Vec<Arc<Passage>>,
    index: Index,
    documents: usize,
    skipped: Vec<Skipped>,
}

impl Library {
    /// The corpus that is shipped: short documents on running models as a service.
    pub fn builtin() -> Self {
        Self::from_documents(
            corpus::DOCUMENTS.iter().copied(),
            Limits::default().passage_words,
        )
    }

    /// Reads every `.md` and `.txt` file in a folder and the folders inside it.
    ///
    /// A document that is not UTF-8, too large or unreadable is left out and listed by [`skipped`](Self::skipped).
    ///
    /// # Errors
    ///
    /// [`LibraryError`] when the folder is missing, is no folder, can't be read, holds no document with text, or holds
    /// more than the limits allow.
    pub fn open(folder: impl AsRef<Path>, limits: &Limits) -> Result<Self, LibraryError> {
        let folder = folder.as_ref();
        let documents = folder::read(folder, limits)?;
        let texts = documents
            .texts
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()));
        let library = Self {
            skipped: documents.skipped,
            ..Self::from_documents(texts, limits.passage_words)
        };
        if library.passages.is_empty() {
            return Err(LibraryError::Empty {
                path: folder.into(),
                skipped: library.skipped.len(),
            });
        }
        Ok(library)
    }

    /// A library of documents at hand, each a name and its text, in passages of about `passage_words` words.
    pub fn from_documents<'a>(
        documents: impl IntoIterator<Item = (&'a str, &'a str)>,
        passage_words: usize,
    ) -> Self {
        let mut passages = Vec::new();
        let mut count = 0;
        for (name, text) in documents {
            count += 1;
            let source: Arc<str> = name.into();
            let texts = passage::split(text, passage_words);
            passages.extend(
                texts
                    .into_iter()
                    .map(|text| Arc::new(Passage::new(Arc::clone(&source), text))),
            );
        }
        let texts: Vec<&str> = passages.iter().map(|passage| &**passage.text()).collect();
        let index = Index::new(&texts);
        Self {
            passages,
            index,
            documents: count,
            skipped: Vec::new(),
        }
    }

    /// The `k` passages that say most about the query, best first; fewer when fewer share a word with it.
    ///
    /// Allocates the list it gives back, when there is something to put in it, and nothing else once a thread has
    /// searched before.
    pub fn search(&self, query: &str, k: usize) -> Passages {
        let mut hits = Vec::new();
        self.index.search(query, k, |ranked| {
            hits.extend(ranked.iter().map(|found| Hit {
                passage: Arc::clone(&self.passages[found.passage as usize]),
                score: found.score,
            }));
        });
        hits
    }

    /// How many passages it holds.
    pub fn passages(&self) -> usize {
        self.passages.len()
    }

    /// How many documents they come from.
    pub fn documents(&self) -> usize {
        self.documents
    }

    /// The documents that were left out, and why.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }
}

#[cfg(test)]
mod tests;
