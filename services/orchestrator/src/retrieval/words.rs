//! Text into the words that are searched for.

use bm25::{TokenEmbedder, Tokenizer};

/// English words that say nothing about a passage's subject, in alphabetical order, as [`stem`] leaves them.
const STOP_WORDS: &[&str] = &[
    "a", "about", "after", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be",
    "been", "before", "being", "but", "by", "can", "could", "did", "do", "does", "doing", "for",
    "from", "had", "has", "have", "having", "he", "her", "here", "him", "his", "how", "i", "if",
    "in", "into", "is", "it", "its", "itself", "just", "me", "more", "most", "my", "no", "nor",
    "not", "of", "off", "on", "only", "or", "other", "our", "over", "own", "same", "she", "should",
    "so", "some", "such", "than", "that", "the", "their", "them", "then", "there", "these", "they",
    "this", "those", "through", "to", "too", "under", "until", "up", "very", "was", "we", "were",
    "what", "when", "where", "which", "while", "who", "whom", "why", "will", "with", "would",
    "you", "your",
];

/// Calls `take` with every word of `text` that is worth searching for: a run of letters and digits of any script,
/// lowercased, an English plural brought to its singular, stop words left out. `word` is scratch space.
pub(super) fn each_word(text: &str, word: &mut String, mut take: impl FnMut(&str)) {
    word.clear();
    for character in text.chars() {
        if character.is_ascii_alphanumeric() {
            word.push(character.to_ascii_lowercase());
        } else if !character.is_ascii() && character.is_alphanumeric() {
            word.extend(character.to_lowercase());
        } else if !word.is_empty() {
            hand_over(word, &mut take);
        }
    }
    if !word.is_empty() {
        hand_over(word, &mut take);
    }
}

fn hand_over(word: &mut String, take: &mut impl FnMut(&str)) {
    // No stop word is longer than 7 letters, and none comes about by stemming a longer word.
    if word.len() > 7 || STOP_WORDS.binary_search(&word.as_str()).is_err() {
        take(stem(word));
    }
    word.clear();
}

/// The singular of an English plural, by three rules on its ending; any other word as it is.
fn stem(word: &mut String) -> &str {
    let bytes = word.as_bytes();
    if bytes.len() > 3 && bytes.ends_with(b"s") && word.is_ascii() {
        if bytes.ends_with(b"ies") && bytes.len() > 4 {
            word.truncate(word.len() - 3);
            word.push('y');
        } else if !bytes.ends_with(b"ss") {
            word.truncate(word.len() - 1);
        }
    }
    word
}

/// The number that stands for a word in the index.
///
/// Sixty-four bits of a hash: two words that share one would be taken for the same word, which costs a little relevance
/// and nothing else.
pub(super) fn number(word: &str) -> u64 {
    u64::embed(word)
}

/// As many whole characters from the start of `text` as `bytes` hold.
pub(super) fn start(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// [`each_word`] in the shape that the search library asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Words;

impl Tokenizer for Words {
    fn tokenize(&self, text: &str) -> Vec<String> {
        let mut words = Vec::new();
        each_word(text, &mut String::new(), |word| words.push(word.to_owned()));
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_words_are_sorted_so_that_they_can_be_found() {
        assert!(STOP_WORDS.is_sorted());
        assert!(STOP_WORDS.iter().all(|word| word.len() <= 7));
    }

    #[test]
    fn words_are_lowercased_singular_and_without_stop_words() {
        assert_eq!(
            Words.tokenize("What are the Queues, retries & p99-latencies of GPUs?"),
            ["queue", "retry", "p99", "latency", "gpu"]
        );
    }

    #[test]
    fn words_of_other_scripts_are_words() {
        assert_eq!(
            Words.tokenize("Über ÄPFEL и Очередь 待ち行列"),
            ["über", "äpfel", "и", "очередь", "待ち行列"]
        );
    }

    #[test]
    fn singular_and_plural_are_one_word() {
        for (singular, plural) in [
            ("GPU", "GPUs"),
            ("histogram", "histograms"),
            ("query", "queries"),
            ("loss", "loss"),
        ] {
            assert_eq!(Words.tokenize(singular), Words.tokenize(plural));
        }
        assert_ne!(Words.tokenize("loss"), Words.tokenize("los"));
    }
}
