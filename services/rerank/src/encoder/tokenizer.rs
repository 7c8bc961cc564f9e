//! A query and a passage as one sequence of tokens: `[CLS] query [SEP] passage [SEP]`.

use std::{path::Path, sync::Arc};

use tokenizers::Tokenizer;

use super::error::{ModelError, TokenizeError};
use super::weights::first_line;

/// Tokens around a pair.
const MARKS: usize = 3;
/// Bytes that are read of a text for each token that a pair may have: English takes 4 or 5.
const BYTES_A_TOKEN: usize = 64;
/// Bytes that are read of a text however few tokens a pair may have.
const LEAST_BYTES: usize = 16 * 1024;

/// A pair of texts as a model reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The tokens' numbers.
    pub ids: Vec<u32>,
    /// 0 for each token of the query and the marks around it, 1 for each of the passage and its closing mark.
    pub type_ids: Vec<u32>,
    /// Whether something was cut off the end of the query or of the passage.
    pub truncated: bool,
}

impl Encoded {
    /// How many tokens there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none; no encoded pair is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// Turns pairs of texts into tokens. A clone shares the vocabulary.
#[derive(Clone, Debug)]
pub struct PairTokenizer {
    tokenizer: Arc<Tokenizer>,
    open: u32,
    close: u32,
}

impl PairTokenizer {
    /// Reads `tokenizer.json` for a model with `embeddings` tokens.
    pub(super) fn read(path: &Path, bytes: &[u8], embeddings: usize) -> Result<Self, ModelError> {
        let broken = |error: tokenizers::Error| ModelError::Tokenizer {
            path: path.into(),
            detail: first_line(&error),
        };
        let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(broken)?;
        // A published file may fix a length. Ours is the caller's, and padding is the batch's.
        tokenizer.with_truncation(None).map_err(broken)?;
        tokenizer.with_padding(None);
        // "[SEP]" in a text is five characters, not the end of the query.
        tokenizer.set_encode_special_tokens(true);
        let mark = |token: &'static str| {
            tokenizer
                .token_to_id(token)
                .ok_or_else(|| ModelError::SpecialToken {
                    path: path.into(),
                    token,
                })
        };
        let (open, close) = (mark("[CLS]")?, mark("[SEP]")?);
        let highest = tokenizer.get_vocab(true).into_values().max().unwrap_or(0);
        if usize::try_from(highest).is_ok_and(|highest| highest >= embeddings) {
            return Err(ModelError::Vocabulary {
                path: path.into(),
                highest,
                embeddings,
            });
        }
        Ok(Self {
            tokenizer: Arc::new(tokenizer),
            open,
            close,
        })
    }

    /// Encodes a pair in at most `max_tokens` tokens. What is too long loses its end: the longer of the two texts
    /// first, and both once they are of a length.
    ///
    /// Marks written into a text, such as `[SEP]`, are text.
    ///
    /// Of a text, only so many bytes are read: 64 for each token of `max_tokens`, and never less than 16 KiB. It is cut
    /// there before any token is made, at the last white space, so that ten megabytes cost no more than those few. A text
    /// that isn't longer is not touched by this; of a longer one, tokens can be lost that would have had room only if its
    /// words and gaps are of 64 bytes on average.
    ///
    /// # Errors
    /// [`TokenizeError::NoRoom`] for fewer than 3 tokens; [`TokenizeError::Refused`] when the tokenizer fails on a text.
    pub fn encode(
        &self,
        query: &str,
        passage: &str,
        max_tokens: usize,
    ) -> Result<Encoded, TokenizeError> {
        let room = max_tokens
            .checked_sub(MARKS)
            .ok_or(TokenizeError::NoRoom { max_tokens })?;
        let most = max_tokens.saturating_mul(BYTES_A_TOKEN).max(LEAST_BYTES);
        let (query_read, passage_read) = (beginning(query, most), beginning(passage, most));
        let unread = |text: &str, read: &str| !text[read.len()..].trim_start().is_empty();
        let cut = unread(query, query_read) || unread(passage, passage_read);
        let tokens = |which: &'static str, text: &str| {
            self.tokenizer
                .encode_fast(text, false)
                .map_err(|error| TokenizeError::Refused {
                    which,
                    detail: first_line(&error),
                })
        };
        let (query, passage) = (
            tokens("query", query_read)?,
            tokens("passage", passage_read)?,
        );
        let (all_query, all_passage) = (query.get_ids(), passage.get_ids());
        let (first, second) = longest_first(all_query.len(), all_passage.len(), room);

        let mut ids = Vec::with_capacity(first + second + MARKS);
        ids.push(self.open);
        ids.extend_from_slice(&all_query[..first]);
        ids.push(self.close);
        ids.extend_from_slice(&all_passage[..second]);
        ids.push(self.close);
        let mut type_ids = vec![0; first + 2];
        type_ids.resize(ids.len(), 1);
        Ok(Encoded {
            ids,
            type_ids,
            truncated: cut || first < all_query.len() || second < all_passage.len(),
        })
    }
}

/// The text, or if it has more than `most` bytes, what of it ends at the last white space before; without one, there.
fn beginning(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let read = &text[..text.floor_char_boundary(most)];
    // A word that ends exactly here is whole.
    if text[read.len()..].starts_with(char::is_whitespace) {
        return read;
    }
    read.rfind(char::is_whitespace)
        .map_or(read, |end| &read[..end])
}

/// How much of two texts fits into `room`, as the library's own `LongestFirst` has it: when both must be cut and the room
/// is odd, the longer one gets the odd token.
fn longest_first(first: usize, second: usize, room: usize) -> (usize, usize) {
    if first + second <= room {
        return (first, second);
    }
    let (short, long) = (first.min(second), room / 2 + room % 2);
    let (short, long) = if short <= room / 2 {
        (short, room - short)
    } else {
        (room / 2, long)
    };
    if first > second {
        (long, short)
    } else {
        (short, long)
    }
}

#[cfg(test)]
mod tests {
    use tokenizers::{
        Encoding, TruncationDirection, TruncationParams, TruncationStrategy,
        utils::truncation::truncate_encodings,
    };

    use super::longest_first;

    #[test]
    fn truncation_is_the_librarys_longest_first() {
        let encoding = |length: usize| {
            let mut encoding = Encoding::default();
            for _ in 0..length {
                let token = tokenizers::Token::new(0, "a".into(), (0, 1));
                encoding.merge_with(Encoding::from_tokens(vec![token], 0), false);
            }
            encoding
        };
        for (first, second, room) in
            (0..9).flat_map(|a| (0..9).flat_map(move |b| (1..12).map(move |room| (a, b, room))))
        {
            let parameters = TruncationParams {
                max_length: room,
                strategy: TruncationStrategy::LongestFirst,
                stride: 0,
                direction: TruncationDirection::Right,
            };
            let (a, b) =
                truncate_encodings(encoding(first), Some(encoding(second)), &parameters).unwrap();
            let theirs = (a.len(), b.map_or(0, |b| b.len()));
            assert_eq!(
                longest_first(first, second, room),
                theirs,
                "{first} and {second} in {room}"
            );
        }
    }
}
