//! Why a model can't be loaded, a text not be tokenized, or a batch not be scored.

use std::path::PathBuf;

/// A model that can't be loaded: what was tried, on what, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The folder, or one of the three files in it, isn't there.
    #[error(
        "no {}: give the folder of a Hugging Face cross-encoder, with config.json, tokenizer.json and model.safetensors \
         in it",
        path.display()
    )]
    Missing {
        /// The path that was tried.
        path: PathBuf,
    },
    /// The file is there, but the system doesn't let us read it.
    #[error("{} can't be read as a file: {source}; check its permissions", path.display())]
    Unreadable {
        /// The path that was tried.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// `config.json` isn't JSON, lacks a size, or holds sizes that contradict each other.
    #[error("{} doesn't describe a model: {detail}; take the file as it was published", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        detail: String,
    },
    /// A model of another family, or a variant of BERT that isn't known here.
    #[error(
        "{} describes a model with {found}; what can be run here is BERT with absolute positions and GELU or ReLU: \
         choose a cross-encoder of that family (MiniLM and TinyBERT are)",
        path.display()
    )]
    Architecture {
        /// The file.
        path: PathBuf,
        /// What it names.
        found: String,
    },
    /// A classifier, not a scorer.
    #[error(
        "{} has {labels} labels, and a score needs exactly one: choose a model that was trained to rank",
        path.display()
    )]
    Labels {
        /// The file that says so.
        path: PathBuf,
        /// How many labels it has.
        labels: usize,
    },
    /// `model.safetensors` isn't such a file, or ends too early.
    #[error("{} is not a whole safetensors file: {detail}; fetch the file again", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        detail: String,
    },
    /// A tensor that the model needs isn't in the file.
    #[error(
        "{} has no tensor {name}; it is not a cross-encoder of the sizes in config.json (a sentence encoder lacks the \
         classifier): choose another model, or fetch both files from the same place",
        path.display()
    )]
    TensorMissing {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        name: String,
    },
    /// A tensor isn't what `config.json` says.
    #[error(
        "{}: the tensor {name} is {found:?}, and config.json makes it {expected:?}; fetch both files from the same place",
        path.display()
    )]
    TensorShape {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        name: String,
        /// Its dimensions.
        found: Vec<usize>,
        /// The dimensions that follow from `config.json`.
        expected: Vec<usize>,
    },
    /// The backbone that trained layers belong to isn't there.
    #[error(
        "no {}: {model} needs the backbone {backbone}; fetch it with `inferometer models pull {backbone}`",
        path.display()
    )]
    BackboneMissing {
        /// The path that was tried.
        path: PathBuf,
        /// The model that needs it.
        model: String,
        /// The backbone's name.
        backbone: String,
    },
    /// The folder holds another backbone than the one that the layers were trained on.
    #[error(
        "{} is not of the backbone {backbone}, on which {model} was trained: its SHA-256 is {found} instead of {expected}; \
         fetch the right one with `inferometer models pull {backbone}`",
        path.display()
    )]
    Backbone {
        /// The file.
        path: PathBuf,
        /// The model that needs it.
        model: String,
        /// The backbone's name.
        backbone: String,
        /// The SHA-256 of the file that is there.
        found: String,
        /// That of the file that the layers were trained on.
        expected: String,
    },
    /// `tokenizer.json` isn't one.
    #[error("{} is not a tokenizer: {detail}; fetch the file again", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        detail: String,
    },
    /// The tokenizer doesn't know a token that a pair is built with.
    #[error(
        "{} has no token {token}, with which BERT builds a pair; take the tokenizer that belongs to the model",
        path.display()
    )]
    SpecialToken {
        /// The file.
        path: PathBuf,
        /// The token.
        token: &'static str,
    },
    /// The tokenizer makes tokens that the model has no embedding for.
    #[error(
        "{} numbers its tokens up to {highest}, and the model has embeddings for {embeddings}; take the tokenizer that \
         belongs to the model",
        path.display()
    )]
    Vocabulary {
        /// The tokenizer's file.
        path: PathBuf,
        /// The highest number of a token.
        highest: u32,
        /// `vocab_size` of `config.json`.
        embeddings: usize,
    },
}

/// A pair of texts that can't be turned into tokens.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizeError {
    /// No room for the three tokens that hold a pair together.
    #[error("{max_tokens} tokens hold no pair: the marks around it alone are 3; raise the limit")]
    NoRoom {
        /// The limit that was given.
        max_tokens: usize,
    },
    /// The tokenizer gave up.
    #[error("the tokenizer refused the {which}: {detail}; send other text")]
    Refused {
        /// `query` or `passage`.
        which: &'static str,
        /// What the tokenizer said.
        detail: String,
    },
}

/// A batch that can't be scored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// Pair `index` has no tokens.
    #[error("pair {index} of the batch is empty; encode it with the model's own tokenizer")]
    Empty {
        /// Its place in the batch.
        index: usize,
    },
    /// Pair `index` is longer than the model's positions.
    #[error(
        "pair {index} of the batch has {tokens} tokens, and the model has {positions} positions; encode it with that limit"
    )]
    TooLong {
        /// Its place in the batch.
        index: usize,
        /// Its length.
        tokens: usize,
        /// What the model takes.
        positions: usize,
    },
    /// Pair `index` holds a token or a segment that the model doesn't know, or not one segment for each token.
    #[error(
        "pair {index} of the batch is not of this model: {detail}; encode it with the model's own tokenizer"
    )]
    Foreign {
        /// Its place in the batch.
        index: usize,
        /// What doesn't fit.
        detail: String,
    },
    /// The forward pass failed: memory, in practice.
    #[error(
        "scoring {pairs} pairs of up to {longest} tokens failed: {source}; send smaller batches"
    )]
    Forward {
        /// Pairs in the batch.
        pairs: usize,
        /// The longest of them, in tokens.
        longest: usize,
        /// What the library said.
        source: candle_core::Error,
    },
}
