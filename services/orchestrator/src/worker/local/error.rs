//! Why a model can't be loaded.

use std::path::PathBuf;

/// A model that can't be loaded: what was tried, on what, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// There is no such file.
    #[error(
        "no model at {}: give the path of a GGUF file, or fetch a known model with \
         `inferometer models pull`",
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
    /// The content is something else.
    #[error("{origin} is not a GGUF file: {detail}; convert the model to GGUF first")]
    NotGguf {
        /// The file, or the name of the bytes.
        origin: String,
        /// What it starts with instead.
        detail: String,
    },
    /// The file ends before what its header promises, or its header is damaged.
    #[error("{origin} is truncated or damaged: {detail}; fetch the file again")]
    Truncated {
        /// The file, or the name of the bytes.
        origin: String,
        /// What was missing.
        detail: String,
    },
    /// A model of another family.
    #[error(
        "{origin} holds a model of the architecture \"{found}\"; only \"llama\" can be run here \
         (SmolLM, TinyLlama, Llama): choose a GGUF of that family"
    )]
    Architecture {
        /// The file, or the name of the bytes.
        origin: String,
        /// The architecture it names.
        found: String,
    },
    /// Sizes that contradict each other, or tensors that aren't there.
    #[error("{origin} doesn't fit together: {detail}; convert or fetch the model again")]
    Weights {
        /// The file, or the name of the bytes.
        origin: String,
        /// What doesn't fit.
        detail: String,
    },
    /// There is no tokenizer inside, or only a part of one.
    #[error(
        "{origin} carries no whole tokenizer: {detail}; convert the model again with its tokenizer"
    )]
    TokenizerMissing {
        /// The file, or the name of the bytes.
        origin: String,
        /// What is missing or broken.
        detail: String,
    },
    /// A tokenizer that isn't byte-level BPE, or that splits text in a way we don't know.
    #[error(
        "{origin} carries a tokenizer of the kind \"{found}\"; byte-level BPE (\"gpt2\", with the \
         splitting of gpt-2, smollm or llama-bpe) is what can be run here: choose another model"
    )]
    TokenizerKind {
        /// The file, or the name of the bytes.
        origin: String,
        /// The kind it names.
        found: String,
    },
    /// The chat template can't be compiled, or fails on the simplest conversation.
    #[error("{origin} carries a broken chat template: {detail}; repair it in the file's metadata")]
    Template {
        /// The file, or the name of the bytes.
        origin: String,
        /// What the template engine said.
        detail: String,
    },
    /// The system gave us no thread to generate on.
    #[error("no thread to generate on: {source}; lower the number of threads, or the load")]
    Threads {
        /// What the system said.
        source: std::io::Error,
    },
}
