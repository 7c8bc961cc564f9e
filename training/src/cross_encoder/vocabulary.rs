//! The tokenizer: lowercased word pieces in the manner of BERT, as a `tokenizer.json`.

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::models::wordpiece::{WordPiece, WordPieceTrainerBuilder};
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, Model, Tokenizer, TokenizerBuilder};

/// The special tokens, in the order of their numbers from 0.
pub const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
const OPEN: u32 = 2;
const CLOSE: u32 = 3;

/// A pair as the network reads it.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The tokens.
    pub ids: Vec<u32>,
    /// How many of them, from the start, belong to the query.
    pub first: usize,
}

/// What holds a pair together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    open: u32,
    close: u32,
}

impl Marks {
    /// `[CLS] query [SEP] passage [SEP]`, the passage's end cut off beyond `longest` tokens.
    ///
    /// # Errors
    ///
    /// When the query alone leaves no room.
    pub fn pair(self, query: &[u32], passage: &[u32], longest: usize) -> Result<Pair> {
        let room = longest
            .checked_sub(query.len() + 3)
            .context("the query alone is too long")?;
        let mut ids = vec![self.open];
        ids.extend(query);
        ids.push(self.close);
        let first = ids.len();
        ids.extend(&passage[..room.min(passage.len())]);
        ids.push(self.close);
        Ok(Pair { ids, first })
    }
}

/// A tokenizer for pairs.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    tokenizer: Tokenizer,
    marks: Marks,
}

impl Vocabulary {
    /// Learns `size` pieces from the texts.
    ///
    /// # Errors
    ///
    /// When the texts hold too little for that many pieces.
    pub fn learn<'a>(texts: impl Iterator<Item = &'a str> + Send, size: usize) -> Result<Self> {
        let special: Vec<AddedToken> = SPECIAL
            .iter()
            .map(|text| AddedToken::from(*text, true))
            .collect();
        let mut trainer = WordPieceTrainerBuilder::new()
            .vocab_size(size)
            .min_frequency(2)
            .limit_alphabet(120)
            .show_progress(false)
            .special_tokens(special.clone())
            .build();
        let mut learner = TokenizerBuilder::<
            WordPiece,
            _,
            _,
            tokenizers::PostProcessorWrapper,
            WordPieceDecoder,
        >::new()
        .with_model(WordPiece::default())
        .with_normalizer(Some(BertNormalizer::default()))
        .with_pre_tokenizer(Some(BertPreTokenizer))
        .with_post_processor(None)
        .with_decoder(None)
        .build()
        .map_err(|error| anyhow!("building the tokenizer to train: {error}"))?;
        learner
            .train(&mut trainer, texts.map(str::to_owned))
            .map_err(|error| anyhow!("learning the pieces: {error}"))?;
        let mut tokenizer = Tokenizer::new(learner.get_model().clone());
        tokenizer
            .with_normalizer(Some(BertNormalizer::default()))
            .map_err(|error| anyhow!("setting the normalizer: {error}"))?;
        tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
        tokenizer.with_post_processor(Some(BertProcessing::new(
            ("[SEP]".into(), CLOSE),
            ("[CLS]".into(), OPEN),
        )));
        tokenizer.with_decoder(Some(WordPieceDecoder::default()));
        tokenizer
            .add_special_tokens(special)
            .map_err(|error| anyhow!("adding the special tokens: {error}"))?;
        let vocabulary = Self {
            tokenizer,
            marks: Marks {
                open: OPEN,
                close: CLOSE,
            },
        };
        ensure!(
            vocabulary.len() == size,
            "{size} pieces asked for, the text gives {}",
            vocabulary.len()
        );
        for (id, text) in (0..).zip(SPECIAL) {
            ensure!(
                vocabulary.tokenizer.token_to_id(text) == Some(id),
                "{text} is not number {id}"
            );
        }
        Ok(vocabulary)
    }

    /// Reads a `tokenizer.json`, without the length and the padding that it may fix.
    ///
    /// # Errors
    ///
    /// When it is none, or lacks the marks of a pair.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let broken = |error| anyhow!("reading the tokenizer: {error}");
        let mut tokenizer = Tokenizer::from_bytes(json).map_err(broken)?;
        tokenizer.with_truncation(None).map_err(broken)?;
        tokenizer.with_padding(None);
        let mark = |token| {
            tokenizer
                .token_to_id(token)
                .with_context(|| format!("the tokenizer has no {token}"))
        };
        let marks = Marks {
            open: mark("[CLS]")?,
            close: mark("[SEP]")?,
        };
        Ok(Self { tokenizer, marks })
    }

    /// Reads the `tokenizer.json` in a model's folder.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("tokenizer.json");
        let json = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        Self::from_json(&json)
    }

    /// What holds a pair together.
    #[must_use]
    pub fn marks(&self) -> Marks {
        self.marks
    }

    /// The tokenizer as a `tokenizer.json`.
    ///
    /// # Errors
    ///
    /// When it cannot be written down.
    pub fn json(&self) -> Result<String> {
        self.tokenizer
            .to_string(false)
            .map_err(|error| anyhow!("writing the tokenizer: {error}"))
    }

    /// How many pieces there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// Whether there are no pieces.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokenizer.get_model().get_vocab_size() == 0
    }

    /// The pieces of a text, without marks.
    ///
    /// # Errors
    ///
    /// When the tokenizer refuses the text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self
            .tokenizer
            .encode_fast(text, false)
            .map_err(|error| anyhow!("tokenizing a text: {error}"))?;
        Ok(encoding.get_ids().to_vec())
    }
}
