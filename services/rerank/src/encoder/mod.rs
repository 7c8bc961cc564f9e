//! The cross-encoder: a tokenizer for pairs of texts, and a model that scores them.
//!
//! A model is a folder as Hugging Face lays it out, of the BERT family, with a head of one label. A small one comes with
//! the program, and so do the trained layers of a better one, whose backbone is fetched.

mod backbone;
mod config;
mod error;
#[cfg(test)]
mod tests;
mod tokenizer;
mod weights;
mod work;

use std::{collections::HashMap, fs, io::ErrorKind, path::Path};

use candle_core::{DType, Device, Tensor};
use candle_nn::{Linear, Module, VarBuilder};
use candle_transformers::models::bert::{BertModel, Config};

pub use self::backbone::BACKBONE;
pub use self::error::{ModelError, ScoreError, TokenizeError};
pub use self::tokenizer::{Encoded, PairTokenizer};

/// A model that reads a query and a passage together and says how well they fit.
///
/// **Consistency.** It is never changed after loading: threads share one behind an `Arc`, and a score doesn't depend on
/// what else is scored at the time.
///
/// # Examples
/// ```
/// # use rerank::encoder::CrossEncoder;
/// let model = CrossEncoder::embedded()?;
/// let tokenizer = model.tokenizer();
/// let query = "read a file into a string";
/// let pairs = [
///     tokenizer.encode(query, "Reads the whole file and gives its text as a string.", model.max_tokens())?,
///     tokenizer.encode(query, "The number of threads that wait for the lock.", model.max_tokens())?,
/// ];
/// let scores = model.score(&[&pairs[0], &pairs[1]])?;
/// assert!(scores[0] > scores[1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct CrossEncoder {
    name: String,
    tokenizer: PairTokenizer,
    positions: usize,
    segments: usize,
    vocabulary: usize,
    pad: u32,
    bert: BertModel,
    pooler: Linear,
    classifier: Linear,
}

impl std::fmt::Debug for CrossEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CrossEncoder")
            .field("name", &self.name)
            .field("positions", &self.positions)
            .finish_non_exhaustive()
    }
}

impl CrossEncoder {
    /// Loads a model from a folder with `config.json`, `tokenizer.json` and `model.safetensors`. It is called as the
    /// folder is.
    ///
    /// # Errors
    /// A [`ModelError`] that names the file and what is wrong with it.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        if !folder.exists() {
            return Err(ModelError::Missing {
                path: folder.into(),
            });
        }
        let name = fs::canonicalize(folder)
            .ok()
            .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .unwrap_or_else(|| folder.display().to_string());
        Self::load(
            name,
            folder,
            &read_file(&folder.join("config.json"))?,
            &read_file(&folder.join("tokenizer.json"))?,
            &read_file(&folder.join("model.safetensors"))?,
        )
    }

    /// Loads the small model that comes with the program.
    ///
    /// # Errors
    /// None in a program that passed its tests: its files are part of it.
    pub fn embedded() -> Result<Self, ModelError> {
        Self::load(
            "inferometer-rerank-tiny".into(),
            Path::new("the embedded model"),
            include_bytes!("../../models/inferometer-rerank-tiny/config.json"),
            include_bytes!("../../models/inferometer-rerank-tiny/tokenizer.json"),
            include_bytes!("../../models/inferometer-rerank-tiny/model.safetensors"),
        )
    }

    fn load(
        name: String,
        folder: &Path,
        config: &[u8],
        tokenizer: &[u8],
        weights: &[u8],
    ) -> Result<Self, ModelError> {
        let config = config::read(&folder.join("config.json"), config)?;
        let path = folder.join("model.safetensors");
        let found = weights::read(&path, weights)?;
        Self::assemble(name, folder, &config, tokenizer, found)
    }

    /// A model of these sizes out of the tensors `found`; `folder` is named when something is wrong with them.
    fn assemble(
        name: String,
        folder: &Path,
        config: &Config,
        tokenizer: &[u8],
        found: HashMap<String, Tensor>,
    ) -> Result<Self, ModelError> {
        let tokenizer =
            PairTokenizer::read(&folder.join("tokenizer.json"), tokenizer, config.vocab_size)?;
        let path = folder.join("model.safetensors");
        let tensors = weights::fit(&path, found, config)?;
        let unfit = |error: candle_core::Error| ModelError::Weights {
            path: path.clone(),
            detail: weights::first_line(&error),
        };
        let builder = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
        let width = config.hidden_size;
        Ok(Self {
            name,
            tokenizer,
            positions: config.max_position_embeddings,
            segments: config.type_vocab_size,
            vocabulary: config.vocab_size,
            pad: u32::try_from(config.pad_token_id)
                .ok()
                .filter(|_| config.pad_token_id < config.vocab_size)
                .unwrap_or(0),
            pooler: candle_nn::linear(width, width, builder.pp("pooler.dense")).map_err(unfit)?,
            classifier: candle_nn::linear(width, 1, builder.pp("classifier")).map_err(unfit)?,
            bert: BertModel::load(builder, config).map_err(unfit)?,
        })
    }

    /// What the model is called: its folder's name, or the name it was given when it was made here.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The most tokens that a pair may have: the model's positions.
    #[must_use]
    pub fn max_tokens(&self) -> usize {
        self.positions
    }

    /// The tokenizer that belongs to the model.
    #[must_use]
    pub fn tokenizer(&self) -> PairTokenizer {
        self.tokenizer.clone()
    }

    /// A score for each pair: the raw output of the head, higher for the better match, on no fixed scale.
    ///
    /// Shorter pairs are padded to the longest, which costs time and changes no score by more than rounding does.
    ///
    /// # Errors
    /// A [`ScoreError`] that says which pair isn't one of this model's; nothing is scored then.
    pub fn score(&self, batch: &[&Encoded]) -> Result<Vec<f32>, ScoreError> {
        let longest = batch.iter().map(|pair| pair.len()).max().unwrap_or(0);
        for (index, pair) in batch.iter().enumerate() {
            self.check(index, pair)?;
        }
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        self.forward(batch, longest)
            .map_err(|source| ScoreError::Forward {
                pairs: batch.len(),
                longest,
                source,
            })
    }

    fn check(&self, index: usize, pair: &Encoded) -> Result<(), ScoreError> {
        let foreign = |detail: String| ScoreError::Foreign { index, detail };
        let beyond = |numbers: &[u32], limit: usize| {
            numbers
                .iter()
                .copied()
                .find(|number| usize::try_from(*number).is_ok_and(|number| number >= limit))
        };
        if pair.is_empty() {
            return Err(ScoreError::Empty { index });
        }
        if pair.len() > self.positions {
            return Err(ScoreError::TooLong {
                index,
                tokens: pair.len(),
                positions: self.positions,
            });
        }
        if pair.type_ids.len() != pair.len() {
            return Err(foreign(format!(
                "{} tokens and {} segments",
                pair.len(),
                pair.type_ids.len()
            )));
        }
        if let Some(token) = beyond(&pair.ids, self.vocabulary) {
            return Err(foreign(format!(
                "token {token} of a vocabulary of {}",
                self.vocabulary
            )));
        }
        if let Some(segment) = beyond(&pair.type_ids, self.segments) {
            return Err(foreign(format!("segment {segment} of {}", self.segments)));
        }
        Ok(())
    }

    fn forward(&self, batch: &[&Encoded], longest: usize) -> candle_core::Result<Vec<f32>> {
        let shape = (batch.len(), longest);
        let padded = |row: &dyn Fn(&Encoded) -> Vec<u32>, filler: u32| {
            let mut values = Vec::with_capacity(batch.len() * longest);
            for (index, pair) in batch.iter().enumerate() {
                values.extend(row(pair));
                values.resize((index + 1) * longest, filler);
            }
            Tensor::from_vec(values, shape, &Device::Cpu)
        };
        let ids = padded(&|pair| pair.ids.clone(), self.pad)?;
        let type_ids = padded(&|pair| pair.type_ids.clone(), 0)?;
        let mask = padded(&|pair| vec![1; pair.len()], 0)?;
        let hidden = self.bert.forward(&ids, &type_ids, Some(&mask))?;
        let first = hidden.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?;
        let pooled = self.pooler.forward(&first)?.tanh()?;
        self.classifier.forward(&pooled)?.squeeze(1)?.to_vec1()
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, ModelError> {
    fs::read(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => ModelError::Missing { path: path.into() },
        _ => ModelError::Unreadable {
            path: path.into(),
            source,
        },
    })
}
