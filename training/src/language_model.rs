//! The small language model that ships with the orchestrator.

pub mod baseline;
pub mod corpus;
pub mod evaluation;
pub mod export;
pub mod network;
pub mod training;
pub mod vocabulary;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;

use corpus::Corpus;
use network::{Network, Shape};
use training::{Plan, tell};
use vocabulary::{SPECIAL, Vocabulary};

/// Options of `language-model`.
#[derive(Debug, Args)]
pub struct Options {
    /// Optimizer steps; 0 writes a model that knows nothing, which is enough to try a loader on.
    #[arg(long, default_value_t = 4_000)]
    steps: usize,
    /// Where to write the GGUF file.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "services/orchestrator/models/inferometer-tiny.gguf"
    )]
    out: PathBuf,
    /// Windows a step.
    #[arg(long, default_value_t = 4)]
    windows: usize,
    /// Tokens a window; also the model's context.
    #[arg(long, default_value_t = 512)]
    length: usize,
    /// The highest learning rate.
    #[arg(long, default_value_t = 0.02)]
    rate: f64,
    /// Numbers that describe a token.
    #[arg(long, default_value_t = 128)]
    width: usize,
    /// Layers.
    #[arg(long, default_value_t = 4)]
    layers: usize,
    /// Attention heads a layer; the width must divide by them.
    #[arg(long, default_value_t = 2)]
    heads: usize,
    /// Width of the gated part of a layer.
    #[arg(long, default_value_t = 384)]
    inner: usize,
    /// Decides the initial weights and the order of the documents.
    #[arg(long, default_value_t = 17)]
    seed: u64,
    /// Saves the state here every hundred steps, and takes it up from here when it is there.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

/// Options of `language-model-score`.
#[derive(Debug, Args)]
pub struct ScoreOptions {
    /// The GGUF file to measure.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "services/orchestrator/models/inferometer-tiny.gguf"
    )]
    model: PathBuf,
    /// Also lets the model go on from this text, greedily but for repetitions.
    #[arg(long, value_name = "TEXT")]
    sample: Option<String>,
}

/// Measures a model and both 5-grams on the held-out slice, and prints bits per byte as JSON.
///
/// # Errors
///
/// When the corpus cannot be had, or the model not be read.
#[expect(clippy::print_stdout, reason = "the result of the command")]
pub fn score(options: &ScoreOptions) -> Result<()> {
    let corpus = Corpus::extract(&corpus::manifest())?;
    let scores = evaluation::score(&corpus, &options.model)?;
    println!("{}", serde_json::to_string_pretty(&scores)?);
    if let Some(text) = &options.sample {
        let (network, vocabulary) = evaluation::open(&options.model)?;
        let mut tokens = vocabulary.encode(text)?;
        for _ in 0..80 {
            let length = tokens.len();
            let mut logits = network
                .logits(&tokens, length)?
                .get(length - 1)?
                .to_vec1::<f32>()?;
            for token in &tokens[length.saturating_sub(12)..] {
                logits[*token as usize] -= 2.0;
            }
            let best = (0..)
                .zip(&logits)
                .max_by(|a, b| a.1.total_cmp(b.1))
                .map_or(0, |(token, _)| token);
            tokens.push(best);
            if (best as usize) < SPECIAL.len() {
                break;
            }
        }
        println!("{}", vocabulary.decode(&tokens)?);
    }
    Ok(())
}

/// Tokens in the vocabulary.
const VOCABULARY: usize = 2_048;

/// Extracts the corpus, learns the tokenizer, trains and writes the model.
///
/// # Errors
///
/// When the corpus cannot be had or a file cannot be written; the message says which.
pub fn run(options: &Options) -> Result<()> {
    let begin = Instant::now();
    let corpus = Corpus::extract(&corpus::manifest())?;
    let bytes = |texts: &[String]| texts.iter().map(String::len).sum::<usize>();
    tell(&format!(
        "corpus: {} training documents, {} bytes; {} held-out documents, {} bytes; sha256 {}",
        corpus.training.len(),
        bytes(&corpus.training),
        corpus.held_out.len(),
        bytes(&corpus.held_out),
        corpus.checksum()
    ));
    let vocabulary = Vocabulary::learn(&corpus.training, VOCABULARY)?;
    let documents: Vec<Vec<u32>> = corpus
        .training
        .iter()
        .map(|text| vocabulary.encode(text))
        .collect::<Result<_>>()?;
    let count: usize = documents.iter().map(Vec::len).sum();
    tell(&format!("tokens: {count} ({:.0?} so far)", begin.elapsed()));
    let shape = Shape {
        vocabulary: vocabulary.len(),
        width: options.width,
        layers: options.layers,
        heads: options.heads,
        inner: options.inner,
        context: options.length,
    };
    let network = Network::random(shape, options.seed)?;
    tell(&format!("network: {} parameters", network.size()));
    let plan = Plan {
        steps: options.steps,
        windows: options.windows,
        length: options.length,
        rate: options.rate,
        seed: options.seed,
        checkpoint: options.checkpoint.clone(),
    };
    let loss = training::train(&network, &documents, vocabulary.end(), &plan)?;
    if let Some(folder) = options.out.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("creating {}", folder.display()))?;
    }
    export::write(&network, &vocabulary, &options.out)?;
    tell(&format!(
        "wrote {} after {:.0?}; last loss {loss:.3}",
        options.out.display(),
        begin.elapsed()
    ));
    Ok(())
}
