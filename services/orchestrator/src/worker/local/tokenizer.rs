//! The model's own tokenizer, from its metadata: byte-level BPE.

use std::collections::{HashMap, HashSet};

use regex::Regex;
use tokenizers::{
    PreTokenizerWrapper, Tokenizer as Encoder,
    models::bpe::BPE,
    pre_tokenizers::{
        byte_level::ByteLevel,
        digits::Digits,
        sequence::Sequence,
        split::{Split, SplitPattern},
    },
    tokenizer::SplitDelimiterBehavior,
};

use super::{LoadError, gguf::Metadata};

/// How Llama 3 cuts text into words before it merges bytes.
const LLAMA_3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Values of `tokenizer.ggml.token_type`.
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;

/// Control tokens that end an answer in one or the other chat format of the family.
const ENDS: [&str; 6] = [
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|end_of_text|>",
    "<|end|>",
    "</s>",
];

/// Text to tokens and back.
///
/// There are two ways in. [`encode`](Self::encode) takes text as text: no content of it ever becomes a control token.
/// [`encode_marked`](Self::encode_marked) takes a rendered chat template, in which the template's own control
/// tokens are recognised and those that came out of a message are not.
pub(super) struct Tokenizer {
    encoder: Encoder,
    /// Finds control and user-defined tokens in a rendered template, longest first.
    specials: Option<Regex>,
    special_ids: HashMap<String, u32>,
    special_starts: HashSet<char>,
    /// What each token adds to the text; nothing for control tokens.
    bytes: Vec<Box<[u8]>>,
    ends: Vec<u32>,
    /// The token that starts every prompt, where the model wants one.
    start: Option<u32>,
    /// The texts of the first and the last token, as chat templates use them.
    pub(super) bos: String,
    pub(super) eos: String,
}

impl Tokenizer {
    pub(super) fn from_metadata(metadata: &Metadata) -> Result<Self, LoadError> {
        let broken = |detail: String| LoadError::TokenizerMissing {
            origin: metadata.origin.clone(),
            detail,
        };
        let lacks = |key: &str| broken(format!("the metadata lacks {key}"));
        match metadata.string("tokenizer.ggml.model") {
            Some("gpt2") => {}
            Some(found) => {
                return Err(LoadError::TokenizerKind {
                    origin: metadata.origin.clone(),
                    found: found.into(),
                });
            }
            None => return Err(lacks("tokenizer.ggml.model")),
        }
        let tokens = metadata
            .strings("tokenizer.ggml.tokens")
            .ok_or_else(|| lacks("tokenizer.ggml.tokens"))?;
        let merges = metadata
            .strings("tokenizer.ggml.merges")
            .ok_or_else(|| lacks("tokenizer.ggml.merges"))?;
        let types = metadata
            .numbers("tokenizer.ggml.token_type")
            .ok_or_else(|| lacks("tokenizer.ggml.token_type"))?;
        if types.len() != tokens.len() {
            return Err(broken(format!(
                "{} tokens, and {} token types",
                tokens.len(),
                types.len()
            )));
        }
        let encoder = encoder(metadata, &tokens, &merges)?;
        let bytes_of = byte_alphabet();
        let (mut special_ids, mut bytes) = (HashMap::new(), Vec::with_capacity(tokens.len()));
        let mut ends = Vec::new();
        for (id, (token, kind)) in (0u32..).zip(tokens.iter().zip(&types)) {
            // One character alone can't be told from text that happens to hold it.
            if matches!(*kind, CONTROL | USER_DEFINED) && token.chars().nth(1).is_some() {
                special_ids.insert((*token).to_owned(), id);
            }
            bytes.push(match *kind {
                CONTROL => Box::default(),
                USER_DEFINED => token.as_bytes().into(),
                _ => token
                    .chars()
                    .map(|char| bytes_of.get(&char).copied())
                    .collect::<Option<Box<[u8]>>>()
                    .unwrap_or_else(|| token.as_bytes().into()),
            });
            if *kind == CONTROL && ENDS.contains(token) {
                ends.push(id);
            }
        }
        let named = |key: &str| {
            let id = metadata.number(key).and_then(|id| u32::try_from(id).ok())?;
            Some((id, (*tokens.get(id as usize)?).to_owned()))
        };
        let bos = named("tokenizer.ggml.bos_token_id");
        let eos = named("tokenizer.ggml.eos_token_id")
            .ok_or_else(|| lacks("tokenizer.ggml.eos_token_id"))?;
        ends.push(eos.0);
        ends.extend(named("tokenizer.ggml.eot_token_id").map(|(id, _)| id));
        ends.sort_unstable();
        ends.dedup();
        let wants_start = metadata
            .flag("tokenizer.ggml.add_bos_token")
            .unwrap_or(false);
        Ok(Self {
            encoder,
            specials: finder(&special_ids),
            special_starts: special_ids
                .keys()
                .filter_map(|text| text.chars().next())
                .collect(),
            special_ids,
            bytes,
            ends,
            start: bos.as_ref().map(|(id, _)| *id).filter(|_| wants_start),
            bos: bos.map(|(_, token)| token).unwrap_or_default(),
            eos: eos.1,
        })
    }

    /// The tokens of a text. Nothing in it becomes a control token.
    pub(super) fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        self.encode_into(text, &mut ids);
        ids
    }

    /// The tokens of a rendered template, the first one included where the model wants it.
    pub(super) fn encode_marked(&self, marked: &super::template::Marked) -> Vec<u32> {
        let mut ids = Vec::new();
        let plain = |run: &str, ids: &mut Vec<u32>| {
            if run.contains(marked.guard) {
                self.encode_into(&run.replace(marked.guard, ""), ids);
            } else {
                self.encode_into(run, ids);
            }
        };
        let mut end = 0;
        for special in self
            .specials
            .iter()
            .flat_map(|specials| specials.find_iter(&marked.text))
        {
            plain(&marked.text[end..special.start()], &mut ids);
            ids.extend(self.special_ids.get(special.as_str()));
            end = special.end();
        }
        plain(&marked.text[end..], &mut ids);
        if let Some(start) = self.start
            && ids.first() != Some(&start)
        {
            ids.insert(0, start);
        }
        ids
    }

    fn encode_into(&self, text: &str, ids: &mut Vec<u32>) {
        if text.is_empty() {
            return;
        }
        let encoding = self
            .encoder
            .encode_fast(text, false)
            .expect("byte-level BPE without dropout takes any text");
        ids.extend_from_slice(encoding.get_ids());
    }

    /// Marks `content` so that nothing in it, nor where it touches its surroundings, reads as a control token.
    ///
    /// `guard` is a character that stands in no message; [`encode_marked`](Self::encode_marked) takes it out again.
    pub(super) fn guard(&self, content: &str, guard: char) -> String {
        let mut guarded = String::with_capacity(content.len());
        let starts = |rest: &str| {
            self.special_ids
                .keys()
                .any(|special| rest.starts_with(special))
        };
        let overlaps = |end: bool| {
            self.special_ids.keys().any(|special| {
                special.char_indices().skip(1).any(|(cut, _)| {
                    let (head, tail) = special.split_at(cut);
                    if end {
                        content.ends_with(head)
                    } else {
                        content.starts_with(tail)
                    }
                })
            })
        };
        if overlaps(false) {
            guarded.push(guard);
        }
        let mut rest = content.chars();
        loop {
            let here = rest.as_str();
            let Some(char) = rest.next() else { break };
            guarded.push(char);
            // Inside the token, after its first character: broken in two, it is text.
            if self.special_starts.contains(&char) && starts(here) {
                guarded.push(guard);
            }
        }
        if overlaps(true) {
            guarded.push(guard);
        }
        guarded
    }

    /// What a token adds to the text.
    pub(super) fn bytes(&self, id: u32) -> &[u8] {
        self.bytes.get(id as usize).map_or(&[], AsRef::as_ref)
    }

    /// Whether a token ends the answer.
    pub(super) fn ends(&self, id: u32) -> bool {
        self.ends.binary_search(&id).is_ok()
    }
}

fn encoder(metadata: &Metadata, tokens: &[&str], merges: &[&str]) -> Result<Encoder, LoadError> {
    let broken = |detail: String| LoadError::TokenizerMissing {
        origin: metadata.origin.clone(),
        detail,
    };
    let bytes =
        |own_words: bool| PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, false, own_words));
    let split = match metadata.string("tokenizer.ggml.pre") {
        None | Some("gpt-2" | "gpt2") => bytes(true),
        Some("smollm") => PreTokenizerWrapper::Sequence(Sequence::new(vec![
            PreTokenizerWrapper::Digits(Digits::new(true)),
            bytes(true),
        ])),
        Some("llama-bpe" | "llama3" | "llama-v3") => {
            let words = Split::new(
                SplitPattern::Regex(LLAMA_3.into()),
                SplitDelimiterBehavior::Isolated,
                false,
            )
            .expect("the pattern compiles: a test loads it");
            PreTokenizerWrapper::Sequence(Sequence::new(vec![
                PreTokenizerWrapper::Split(words),
                bytes(false),
            ]))
        }
        Some(other) => {
            return Err(LoadError::TokenizerKind {
                origin: metadata.origin.clone(),
                found: format!("gpt2, split as {other}"),
            });
        }
    };
    let vocabulary: HashMap<String, u32> = tokens
        .iter()
        .map(|token| (*token).to_owned())
        .zip(0u32..)
        .collect();
    // Some models of the family never saw the rarer control characters and have no token for them: those bytes are left
    // out of a prompt. Without plain text it is no byte-level vocabulary.
    if let Some((missing, _)) = byte_alphabet().into_iter().find(|(char, byte)| {
        matches!(byte, b'\n' | b' '..=b'~')
            && !vocabulary.contains_key(char.encode_utf8(&mut [0; 4]) as &str)
    }) {
        return Err(broken(format!(
            "the vocabulary lacks the byte written \"{missing}\""
        )));
    }
    let pairs = merges
        .iter()
        .map(|merge| {
            let (left, right) = merge
                .split_once(' ')
                .ok_or_else(|| broken(format!("the merge \"{merge}\" names no two tokens")))?;
            Ok((left.to_owned(), right.to_owned()))
        })
        .collect::<Result<Vec<_>, LoadError>>()?;
    let whole_words = matches!(split, PreTokenizerWrapper::Sequence(_))
        && metadata.string("tokenizer.ggml.pre") != Some("smollm");
    let model = BPE::builder()
        .vocab_and_merges(
            vocabulary
                .into_iter()
                .collect::<tokenizers::models::bpe::Vocab>(),
            pairs,
        )
        .ignore_merges(whole_words)
        .build()
        .map_err(|error| broken(error.to_string()))?;
    let mut encoder = Encoder::new(model);
    encoder.with_pre_tokenizer(Some(split));
    Ok(encoder)
}

fn finder(specials: &HashMap<String, u32>) -> Option<Regex> {
    if specials.is_empty() {
        return None;
    }
    let mut texts: Vec<&String> = specials.keys().collect();
    texts.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
    let pattern: Vec<String> = texts.into_iter().map(|text| regex::escape(text)).collect();
    Regex::new(&pattern.join("|")).ok()
}

/// The characters that byte-level BPE writes bytes with: printable Latin-1 for itself, the others from U+0100 on.
fn byte_alphabet() -> HashMap<char, u8> {
    let mut next = 0x100u32;
    (0..=u8::MAX)
        .map(|byte| {
            let printable = matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
            let char = if printable {
                char::from(byte)
            } else {
                next += 1;
                char::from_u32(next - 1).expect("0x100 to 0x143 are characters")
            };
            (char, byte)
        })
        .collect()
}
