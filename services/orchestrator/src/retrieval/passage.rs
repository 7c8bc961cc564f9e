//! Documents into passages.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::words::start;

/// A piece of a document, short enough to be put before a model.
#[derive(Debug, PartialEq, Eq)]
pub struct Passage {
    id: u64,
    source: Arc<str>,
    text: Arc<str>,
}

impl Passage {
    /// A passage of `source` that says `text`.
    pub fn new(source: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            source: source.into(),
            text: text.into(),
        }
    }

    /// A number that no other passage of this process has, so that what was worked out for a passage can be kept.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The document it comes from: a path relative to the library's folder.
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// What it says.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }
}

/// No passage is longer than this many bytes for each word it may have, whatever a document holds.
const BYTES_PER_WORD: usize = 32;

/// Splits a document at headings and paragraphs into texts of about `words` words.
///
/// A heading begins a new passage once the current one has a quarter of its words. A paragraph that doesn't fit goes to
/// the next passage; one that is too long by itself is cut between words. A passage that goes on under a heading of an
/// earlier one repeats it, so that each can be read alone.
pub(super) fn split(document: &str, words: usize) -> Vec<String> {
    let words = words.max(1);
    let mut splitter = Splitter {
        words,
        ..Splitter::default()
    };
    let mut paragraph = String::new();
    let mut fenced = false;
    for line in document.lines() {
        let line = line.trim_end();
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        let heading = !fenced && is_heading(line);
        if heading || (line.is_empty() && !fenced) {
            splitter.paragraph(&paragraph);
            paragraph.clear();
        }
        if heading {
            splitter.heading(line.trim_start_matches('#').trim());
        } else if !line.is_empty() {
            if !paragraph.is_empty() {
                paragraph.push('\n');
            }
            paragraph.push_str(line);
        }
    }
    splitter.paragraph(&paragraph);
    splitter.end_passage();
    splitter.passages
}

fn is_heading(line: &str) -> bool {
    let marks = line.bytes().take_while(|&byte| byte == b'#').count();
    (1..=6).contains(&marks) && line[marks..].starts_with(' ')
}

#[derive(Default)]
struct Splitter {
    words: usize,
    passages: Vec<String>,
    heading: String,
    text: String,
    count: usize,
}

impl Splitter {
    fn heading(&mut self, heading: &str) {
        if self.count * 4 >= self.words {
            self.end_passage();
        }
        heading.clone_into(&mut self.heading);
        if !self.text.is_empty() {
            self.text.push_str("\n\n");
            self.text.push_str(heading);
        }
    }

    fn paragraph(&mut self, paragraph: &str) {
        let count = paragraph.split_whitespace().count();
        if count == 0 {
            return;
        }
        if self.count > 0 && self.count + count > self.words {
            self.end_passage();
        }
        if count <= self.words && paragraph.len() <= self.words * BYTES_PER_WORD {
            self.add(paragraph, "\n\n", count);
            return;
        }
        for word in paragraph.split_whitespace() {
            let mut rest = word;
            while !rest.is_empty() {
                let part = start(rest, self.words.max(4) * BYTES_PER_WORD / 2);
                if self.count >= self.words
                    || self.text.len() + part.len() + 2 > self.words.max(4) * BYTES_PER_WORD
                {
                    self.end_passage();
                }
                self.add(part, if self.count == 0 { "\n\n" } else { " " }, 1);
                rest = &rest[part.len()..];
            }
        }
    }

    fn add(&mut self, text: &str, separator: &str, count: usize) {
        if self.text.is_empty() {
            self.text.push_str(&self.heading);
        }
        if !self.text.is_empty() {
            self.text.push_str(separator);
        }
        self.text.push_str(text);
        self.count += count;
    }

    fn end_passage(&mut self) {
        if self.count > 0 {
            self.passages.push(std::mem::take(&mut self.text));
        }
        self.text.clear();
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_document_is_one_passage() {
        assert_eq!(
            split("# Queues\n\nThey fill.\n\nThey drain.\n", 200),
            ["Queues\n\nThey fill.\n\nThey drain."]
        );
    }

    #[test]
    fn heading_begins_a_new_passage_when_the_last_one_has_enough() {
        let passages = split("# One\n\na b c d\n\n## Two\n\ne f g h\n", 8);
        assert_eq!(passages, ["One\n\na b c d", "Two\n\ne f g h"]);
    }

    #[test]
    fn continued_section_repeats_its_heading() {
        assert_eq!(
            split("# One\n\na b c\n\nd e f\n", 4),
            ["One\n\na b c", "One\n\nd e f"]
        );
    }

    #[test]
    fn comment_in_a_code_fence_is_no_heading() {
        assert_eq!(
            split("a\n\n```\n# b\n\nc\n```\n", 100),
            ["a\n\n```\n# b\nc\n```"]
        );
    }

    #[test]
    fn words_all_arrive_once_and_in_order() {
        let text: Vec<String> = (0..1000).map(|number| format!("w{number}")).collect();
        let passages = split(&text.join(" "), 200);
        assert_eq!(passages.len(), 5);
        assert_eq!(passages.join(" "), text.join(" "));
    }

    #[test]
    fn endless_word_is_cut_at_character_boundaries() {
        let passages = split(&"ä".repeat(100_000), 200);
        assert!(
            passages
                .iter()
                .all(|passage| passage.len() <= 200 * BYTES_PER_WORD)
        );
        assert_eq!(
            passages
                .concat()
                .chars()
                .filter(|&character| character == 'ä')
                .count(),
            100_000
        );
    }

    #[test]
    fn empty_document_has_no_passage() {
        assert!(split("", 200).is_empty());
        assert!(split("\n\n  \n# Title only\n", 200).is_empty());
    }
}
