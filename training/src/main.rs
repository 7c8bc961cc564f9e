//! Trains the small models in this repository.

use anyhow::Result;
use clap::{Parser, Subcommand};
use inferometer_training::language_model;

/// Trains the small models that ship with this repository, on one CPU core, from data that package registries serve.
#[derive(Parser)]
#[command(version)]
struct Program {
    #[command(subcommand)]
    model: Model,
}

#[derive(Subcommand)]
enum Model {
    /// The orchestrator's small language model: documentation English, about 2 million parameters.
    ///
    /// Fetches the crates pinned in training/corpus through cargo, extracts their prose, learns a tokenizer, trains and
    /// writes one GGUF file. Stop it whenever you like: with --checkpoint it goes on where it was.
    ///
    /// Example: train language-model --steps 200 --out tiny.gguf --checkpoint tiny.safetensors
    LanguageModel(language_model::Options),
    /// Measures a language model on held-out text against two 5-grams: bits per byte, less is better.
    LanguageModelScore(language_model::ScoreOptions),
}

fn main() -> Result<()> {
    match Program::parse().model {
        Model::LanguageModel(options) => language_model::run(&options),
        Model::LanguageModelScore(options) => language_model::score(&options),
    }
}
