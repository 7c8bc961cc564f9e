//! The data recipe: questions and the passages that answer them, out of the documentation of the same pinned crates that
//! the language model reads.
//!
//! Every doc comment gives one passage and one query for it, in one of three ways, and every passage is a wrong answer
//! to the other queries. A passage is cut the same way whether it serves as the right answer or as a wrong one, so
//! nothing but its content tells which it is.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::language_model::corpus::{comments, fingerprint, mark, prose, sources};

/// One file in this many is held out.
const HELD_OUT_ONE_IN: usize = 12;
/// The most characters of a passage.
const LONGEST: usize = 480;
/// The fewest characters of a passage, and of a query made of a sentence.
const SHORTEST: usize = 60;
const SHORTEST_QUERY: usize = 20;
const LONGEST_QUERY: usize = 160;

/// How a query came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The words of the item's name; the passage is its documentation.
    Name,
    /// The first sentence of the documentation; the passage is the rest.
    Summary,
    /// A sentence out of the middle; the passage is the text around it.
    Cloze,
}

/// A query and where its answer is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// What is asked.
    pub text: String,
    /// How it came about.
    pub kind: Kind,
    /// The index of the passage that answers it.
    pub passage: usize,
}

/// Passages, and queries that each have one of them as their answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pairs {
    /// The passages.
    pub passages: Vec<String>,
    /// The queries, at most one a passage.
    pub queries: Vec<Query>,
}

/// How often each comment is cut, in different ways where it allows them.
pub const VIEWS: usize = 3;

/// What is trained on, and what is measured on.
#[derive(Debug, Clone, Default)]
pub struct Data {
    /// The same comments cut in [`VIEWS`] ways. A list of candidates is taken from one of them.
    pub training: [Pairs; VIEWS],
    /// Of files that nothing is trained on.
    pub held_out: Pairs,
}

impl Data {
    /// Fetches the crates pinned by `manifest` and makes pairs of their documentation.
    ///
    /// # Errors
    ///
    /// When cargo cannot provide the crates, or a file cannot be read.
    pub fn extract(manifest: &Path) -> Result<Self> {
        let mut data = Self::default();
        let mut seen = HashSet::new();
        for source in sources::fetch(manifest)? {
            for below in sources::prose_files(&source)? {
                if below.extension().is_none_or(|ending| ending != "rs") {
                    continue;
                }
                let path = source.root.join(&below);
                let text =
                    std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
                let key = format!(
                    "{}/{}",
                    source.name,
                    below.to_string_lossy().replace('\\', "/")
                );
                data.add_file(&key, &String::from_utf8_lossy(&text), &mut seen);
            }
        }
        Ok(data)
    }

    fn add_file(&mut self, key: &str, text: &str, seen: &mut HashSet<[u8; 32]>) {
        let held_out = mark(key).is_multiple_of(HELD_OUT_ONE_IN);
        for (index, comment) in comments::read(text).iter().enumerate() {
            let mut paragraphs = prose::paragraphs(&comment.markdown);
            paragraphs.retain(|paragraph| seen.insert(fingerprint(paragraph)));
            let sentences: Vec<&str> = paragraphs
                .iter()
                .flat_map(|paragraph| sentences(paragraph))
                .collect();
            let name = comment.item.as_ref().map(|(_, name)| words(name));
            let choice = mark(&format!("{key}#{index}"));
            if held_out {
                self.held_out.add(name.as_deref(), &sentences, choice, 0);
            } else {
                for (view, pairs) in self.training.iter_mut().enumerate() {
                    pairs.add(name.as_deref(), &sentences, choice, view);
                }
            }
        }
    }
}

impl Pairs {
    /// Cuts one comment, in the first way that it allows beginning with number `choice + view`.
    fn add(&mut self, name: Option<&str>, sentences: &[&str], choice: usize, view: usize) {
        let kinds = [Kind::Name, Kind::Summary, Kind::Cloze];
        for turn in 0..kinds.len() {
            let kind = kinds[(choice + view + turn) % kinds.len()];
            let Some((text, passage)) = cut(kind, name, sentences, choice / 8 + view) else {
                continue;
            };
            self.queries.push(Query {
                text,
                kind,
                passage: self.passages.len(),
            });
            self.passages.push(passage);
            return;
        }
    }
}

fn cut(
    kind: Kind,
    name: Option<&str>,
    sentences: &[&str],
    choice: usize,
) -> Option<(String, String)> {
    let (query, rest) = match kind {
        Kind::Name => {
            let name = name.filter(|name| name.contains(' '))?;
            (name.to_owned(), sentences.to_vec())
        }
        Kind::Summary => {
            let (first, rest) = sentences.split_first()?;
            ((*first).to_owned(), rest.to_vec())
        }
        Kind::Cloze => {
            // Beyond what the passage can hold, a sentence would have lost its surroundings.
            let mut room = 0;
            let near = sentences
                .iter()
                .take_while(|sentence| {
                    room += sentence.len() + 1;
                    room < LONGEST
                })
                .count();
            if near < 3 {
                return None;
            }
            let place = 1 + choice % (near - 1);
            let mut rest = sentences.to_vec();
            (rest.remove(place).to_owned(), rest)
        }
    };
    let mut passage = String::new();
    for sentence in rest {
        if !passage.is_empty() {
            if passage.len() + sentence.len() >= LONGEST {
                break;
            }
            passage.push(' ');
        }
        passage.push_str(sentence);
    }
    let query_fits = kind == Kind::Name || (SHORTEST_QUERY..=LONGEST_QUERY).contains(&query.len());
    (query_fits && (SHORTEST..2 * LONGEST).contains(&passage.len())).then_some((query, passage))
}

/// The sentences of a paragraph, by their full stops; good enough for text that is only cut at them.
fn sentences(paragraph: &str) -> impl Iterator<Item = &str> {
    paragraph
        .trim_start_matches("- ")
        .split_inclusive(". ")
        .map(str::trim)
        .filter(|sentence| !sentence.is_empty())
}

/// `shutdown_timeout` and `TcpListener` as words.
fn words(name: &str) -> String {
    let mut words = String::new();
    let mut before = ' ';
    for character in name.chars() {
        if character == '_' {
            words.push(' ');
        } else {
            if character.is_ascii_uppercase() && before.is_ascii_lowercase() {
                words.push(' ');
            }
            words.push(character.to_ascii_lowercase());
        }
        before = character;
    }
    words.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENTED: &str = "/// Shuts the runtime down. Waits for at most the given duration until all tasks have come \
        to an end. Tasks that go on for longer than that are left behind and may never finish.\n\
        pub fn shutdown_timeout() {}\n";

    #[test]
    fn a_query_is_not_part_of_its_passage() {
        let mut pairs = Pairs::default();
        let sentences = [
            "Shuts it down.",
            "It waits for a while until all tasks have come to an end.",
            "Tasks that go on for longer than that are left behind.",
        ];
        for view in 0..VIEWS {
            pairs.add(Some("shutdown timeout"), &sentences, 0, view);
        }
        assert_eq!(
            pairs
                .queries
                .iter()
                .map(|query| query.kind)
                .collect::<Vec<_>>(),
            [Kind::Name, Kind::Cloze, Kind::Cloze],
            "the first sentence is too short to ask with"
        );
        for query in &pairs.queries {
            assert!(!pairs.passages[query.passage].contains(&query.text));
        }
    }

    #[test]
    fn a_file_is_on_one_side_only() {
        let mut data = Data::default();
        for file in 0..40 {
            let text =
                DOCUMENTED.replace("runtime", ["a", "b"][file % 2].repeat(file + 1).as_str());
            data.add_file(&format!("x/src/{file}.rs"), &text, &mut HashSet::new());
        }
        let training: HashSet<&String> = data
            .training
            .iter()
            .flat_map(|view| &view.passages)
            .collect();
        assert!(!data.held_out.passages.is_empty());
        assert_eq!(
            data.held_out.passages.len() + data.training[0].passages.len(),
            40
        );
        for passage in data
            .held_out
            .passages
            .iter()
            .filter(|passage| passage.starts_with("Shuts"))
        {
            assert!(!training.contains(passage), "{passage}");
        }
    }

    #[test]
    fn names_become_words() {
        assert_eq!(words("shutdown_timeout"), "shutdown timeout");
        assert_eq!(words("TcpListener"), "tcp listener");
        assert_eq!(words("_x"), "x");
    }
}
