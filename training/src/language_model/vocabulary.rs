//! The tokenizer: byte-level BPE in the manner of GPT-2, and its place in a GGUF file.

use anyhow::{Context, Result, anyhow, ensure};
use candle_core::quantized::gguf_file::{Content, Value};
use tokenizers::decoders::byte_level::ByteLevel as ByteLevelDecoder;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Model, Tokenizer, TokenizerBuilder};

use super::corpus::{END, chat};

/// The special tokens, in the order of their numbers from 0.
pub const SPECIAL: [&str; 3] = [END, chat::OPEN, chat::CLOSE];

/// Renders messages as ChatML.
const CHAT_TEMPLATE: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + \
    message['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}\
    {{ '<|im_start|>assistant\n' }}{% endif %}";

/// A tokenizer with at most 65,536 tokens.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    tokenizer: Tokenizer,
    merges: Vec<String>,
}

impl Vocabulary {
    /// Learns `size` tokens from the documents.
    ///
    /// # Errors
    ///
    /// When the documents hold too little text for that many tokens.
    pub fn learn(documents: &[String], size: usize) -> Result<Self> {
        let special: Vec<AddedToken> = SPECIAL
            .iter()
            .map(|text| AddedToken::from(*text, true))
            .collect();
        let mut trainer = BpeTrainerBuilder::new()
            .vocab_size(size)
            .min_frequency(2)
            .show_progress(false)
            .special_tokens(special)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build();
        let mut learner = TokenizerBuilder::<
            BPE,
            tokenizers::NormalizerWrapper,
            _,
            tokenizers::PostProcessorWrapper,
            ByteLevelDecoder,
        >::new()
        .with_model(BPE::default())
        .with_normalizer(None)
        .with_pre_tokenizer(Some(byte_level()))
        .with_post_processor(None)
        .with_decoder(None)
        .build()
        .map_err(|error| anyhow!("building the tokenizer to train: {error}"))?;
        let text = documents
            .iter()
            .flat_map(|text| text.split(SPECIAL[1]))
            .flat_map(|text| text.split(SPECIAL[2]));
        learner
            .train(&mut trainer, text.map(str::to_owned))
            .map_err(|error| anyhow!("learning the tokens: {error}"))?;
        let learned =
            serde_json::to_value(learner.get_model()).context("reading the learned merges")?;
        let merges = learned["merges"]
            .as_array()
            .context("the learned tokenizer has no merges")?
            .iter()
            .filter_map(|pair| {
                Some(format!(
                    "{} {}",
                    pair.get(0)?.as_str()?,
                    pair.get(1)?.as_str()?
                ))
            })
            .collect();
        let model = learner.get_model();
        let tokens: Option<Vec<String>> = (0..u32::try_from(model.get_vocab_size())?)
            .map(|id| model.id_to_token(id))
            .collect();
        let tokens = tokens.context("the learned token numbers have gaps")?;
        ensure!(
            tokens.len() == size,
            "{size} tokens asked for, the text gives {}",
            tokens.len()
        );
        Self::assemble(&tokens, merges)
    }

    /// Reads the tokenizer inside a GGUF file.
    ///
    /// # Errors
    ///
    /// When one of its keys is missing or not of its standard type.
    pub fn from_gguf(content: &Content) -> Result<Self> {
        let list = |key: &str| -> Result<Vec<String>> {
            let values = content
                .metadata
                .get(key)
                .with_context(|| format!("the GGUF file has no {key}"))?;
            values
                .to_vec()?
                .iter()
                .map(|value| Ok(value.to_string()?.clone()))
                .collect()
        };
        Self::assemble(
            &list("tokenizer.ggml.tokens")?,
            list("tokenizer.ggml.merges")?,
        )
    }

    fn assemble(tokens: &[String], merges: Vec<String>) -> Result<Self> {
        let vocabulary = tokens
            .iter()
            .cloned()
            .zip(0..)
            .collect::<tokenizers::models::bpe::Vocab>();
        let pairs: Option<Vec<(String, String)>> = merges
            .iter()
            .map(|pair| {
                pair.split_once(' ')
                    .map(|(left, right)| (left.to_owned(), right.to_owned()))
            })
            .collect();
        let model = BPE::builder()
            .vocab_and_merges(vocabulary, pairs.context("a merge is not two tokens")?)
            .build()
            .map_err(|error| anyhow!("building the tokenizer: {error}"))?;
        let mut tokenizer = Tokenizer::new(model);
        tokenizer.with_pre_tokenizer(Some(byte_level()));
        tokenizer.with_decoder(Some(ByteLevelDecoder::new(false, true, true)));
        tokenizer
            .add_special_tokens(SPECIAL.map(|text| AddedToken::from(text, true)))
            .map_err(|error| anyhow!("adding the special tokens: {error}"))?;
        Ok(Self { tokenizer, merges })
    }

    /// How many tokens there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// Whether there are no tokens.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The token that stands between documents.
    #[must_use]
    pub fn end(&self) -> u32 {
        0
    }

    /// Turns text into tokens.
    ///
    /// # Errors
    ///
    /// When the tokenizer refuses the text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self
            .tokenizer
            .encode_fast(text, false)
            .map_err(|error| anyhow!("tokenizing a document: {error}"))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Turns tokens into text, special ones left out.
    ///
    /// # Errors
    ///
    /// When the tokenizer refuses the tokens.
    pub fn decode(&self, tokens: &[u32]) -> Result<String> {
        self.tokenizer
            .decode(tokens, true)
            .map_err(|error| anyhow!("turning tokens into text: {error}"))
    }

    /// The GGUF metadata that describes this tokenizer.
    #[must_use]
    pub fn metadata(&self) -> Vec<(&'static str, Value)> {
        const NORMAL: i32 = 1;
        const CONTROL: i32 = 3;
        let tokens: Vec<String> = (0..)
            .map_while(|id| self.tokenizer.id_to_token(id))
            .collect();
        let types = tokens.iter().map(|token| {
            if SPECIAL.contains(&token.as_str()) {
                CONTROL
            } else {
                NORMAL
            }
        });
        let text = |text: &str| Value::String(text.to_owned());
        vec![
            ("tokenizer.ggml.model", text("gpt2")),
            ("tokenizer.ggml.pre", text("gpt-2")),
            (
                "tokenizer.ggml.token_type",
                Value::Array(types.map(Value::I32).collect()),
            ),
            (
                "tokenizer.ggml.tokens",
                Value::Array(tokens.into_iter().map(Value::String).collect()),
            ),
            (
                "tokenizer.ggml.merges",
                Value::Array(self.merges.iter().cloned().map(Value::String).collect()),
            ),
            ("tokenizer.ggml.bos_token_id", Value::U32(0)),
            ("tokenizer.ggml.eos_token_id", Value::U32(2)),
            ("tokenizer.ggml.add_bos_token", Value::Bool(false)),
            ("tokenizer.chat_template", text(CHAT_TEMPLATE)),
        ]
    }
}

/// Splits as GPT-2 does: its pattern, and no space put before the first word.
fn byte_level() -> ByteLevel {
    ByteLevel::new(false, true, true)
}
