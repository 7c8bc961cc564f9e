//! The data recipe: the prose in the documentation of pinned crates, split into training and held-out text by file.
//!
//! Everything is a function of `training/corpus/Cargo.lock`: the same lock gives the same bytes, which
//! [`Corpus::checksum`] makes checkable.

pub mod chat;
pub mod comments;
pub mod prose;
pub mod sources;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// Ends each document of the training stream, and stands before the first token of each.
pub const END: &str = "<|endoftext|>";

/// What [`Corpus::checksum`] gives for the lock file beside the recipe.
pub const CHECKSUM: &str = "05e511bfe95c46ed1135582f2d8931281eebc37ed46db4bcb19704fda6bc1937";

/// One file in this many is held out.
const HELD_OUT_ONE_IN: usize = 20;

/// The extracted text, one entry a document.
#[derive(Debug, Clone, Default)]
pub struct Corpus {
    /// Training documents: prose and conversations, without the closing [`END`].
    pub training: Vec<String>,
    /// Held-out documents: prose only. None of their paragraphs occurs in the training documents.
    pub held_out: Vec<String>,
}

impl Corpus {
    /// Fetches the crates pinned by `manifest` and extracts their prose.
    ///
    /// # Errors
    ///
    /// When cargo cannot provide the crates, or a file cannot be read.
    pub fn extract(manifest: &Path) -> Result<Self> {
        let mut corpus = Self::default();
        let mut seen = HashSet::new();
        for source in sources::fetch(manifest)? {
            for below in sources::prose_files(&source)? {
                let path = source.root.join(&below);
                let text =
                    std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
                let text = String::from_utf8_lossy(&text);
                let key = format!(
                    "{}/{}",
                    source.name,
                    below.to_string_lossy().replace('\\', "/")
                );
                corpus.add_file(&key, &source.name, &text, &mut seen);
            }
        }
        Ok(corpus)
    }

    fn add_file(&mut self, key: &str, library: &str, text: &str, seen: &mut HashSet<[u8; 32]>) {
        let comments = if key.ends_with(".rs") {
            comments::read(text)
        } else {
            vec![comments::Comment {
                item: None,
                markdown: text.to_owned(),
            }]
        };
        let held_out = mark(key).is_multiple_of(HELD_OUT_ONE_IN);
        let mut prose = Vec::new();
        let mut conversations = Vec::new();
        for (index, comment) in comments.iter().enumerate() {
            let mut paragraphs = prose::paragraphs(&comment.markdown);
            paragraphs.retain(|paragraph| seen.insert(fingerprint(paragraph)));
            if paragraphs.is_empty() {
                continue;
            }
            let key = format!("{key}#{index}");
            let talk =
                !held_out && mark(&key).is_multiple_of(2) && !paragraphs[0].starts_with("- ");
            match talk
                .then(|| chat::conversation(&key, library, comment, &paragraphs))
                .flatten()
            {
                Some(conversation) => conversations.push(conversation),
                None => prose.append(&mut paragraphs),
            }
        }
        if !prose.is_empty() {
            let document = join(&prose);
            if held_out {
                self.held_out.push(document);
            } else {
                self.training.push(document);
            }
        }
        self.training.append(&mut conversations);
    }

    /// The SHA-256 of the training and the held-out text, in hexadecimal.
    #[must_use]
    pub fn checksum(&self) -> String {
        let mut digest = Sha256::new();
        for part in [&self.training, &self.held_out] {
            for document in part {
                digest.update(document.as_bytes());
                digest.update(END.as_bytes());
            }
            digest.update(b"\0");
        }
        digest
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// The fixed part of the held-out text that scores are measured on: documents taken evenly from all of them, cut
    /// at 3,000 bytes each, about `bytes` in all.
    #[must_use]
    pub fn slice(&self, bytes: usize) -> Vec<&str> {
        const LONGEST: usize = 3_000;
        let cut: Vec<&str> = self
            .held_out
            .iter()
            .map(|text| cut_at(text, LONGEST))
            .collect();
        let total: usize = cut.iter().map(|text| text.len()).sum();
        let mut taken = 0;
        let mut passed = 0;
        let mut slice = Vec::new();
        for text in cut {
            passed += text.len();
            if taken * total < passed * bytes {
                taken += text.len();
                slice.push(text);
            }
        }
        slice
    }
}

/// Where the manifest of the pinned crates lies.
#[must_use]
pub fn manifest() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/Cargo.toml")
}

/// The start of a text, at most `longest` bytes of it and no broken character.
fn cut_at(text: &str, longest: usize) -> &str {
    let end = (0..=longest.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// Joins paragraphs as text: list items on lines of their own, an empty line between the rest.
fn join(paragraphs: &[String]) -> String {
    let mut text = String::new();
    for paragraph in paragraphs {
        if !text.is_empty() {
            text.push_str(if paragraph.starts_with("- ") {
                "\n"
            } else {
                "\n\n"
            });
        }
        text.push_str(paragraph);
    }
    text
}

/// A number that depends on nothing but the key: all choices of the recipe are made by it.
pub(crate) fn mark(key: &str) -> usize {
    let digest = Sha256::digest(key.as_bytes());
    usize::from(u16::from_le_bytes([digest[0], digest[1]]))
}

/// What two paragraphs share that differ in digits, punctuation and case only.
pub(crate) fn fingerprint(paragraph: &str) -> [u8; 32] {
    let letters: String = paragraph
        .chars()
        .filter(char::is_ascii_alphabetic)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    Sha256::digest(letters.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_is_used_once_whatever_its_digits() {
        let mut corpus = Corpus::default();
        let mut seen = HashSet::new();
        let text = "/// Returns the low bits of the u32.\npub fn a() {}\n/// Returns the low bits of the u64.\npub fn b() {}\n";
        corpus.add_file("x/src/lib.rs", "x", text, &mut seen);
        corpus.add_file("y/src/lib.rs", "y", text, &mut seen);
        let all: Vec<_> = corpus.training.iter().chain(&corpus.held_out).collect();
        assert_eq!(all.len(), 1, "{all:?}");
    }
}
