//! The cross-encoders of the rerank server: a small one that it ships whole, and one on a MiniLM backbone of which it
//! ships the trained layers.

pub mod bm25;
pub mod delta;
pub mod evaluation;
mod kernels;
pub mod network;
pub mod pairs;
pub mod training;
pub mod vocabulary;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use candle_core::DType;
use clap::Args;

use crate::language_model::corpus::manifest;
use crate::language_model::training::tell;
use evaluation::{Answers, Lists};
use network::{Bend, Network, Shape};
use pairs::{Data, Pairs};
use training::{Material, Plan};
use vocabulary::{Pair, Vocabulary};

/// Options of `cross-encoder`.
#[derive(Debug, Args)]
pub struct Options {
    /// Optimizer steps; 0 writes a model that knows nothing, which is enough to try a loader on.
    #[arg(long, default_value_t = 1_200)]
    steps: usize,
    /// The folder to write config.json, tokenizer.json and model.safetensors to.
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "services/rerank/models/inferometer-rerank-tiny"
    )]
    out: PathBuf,
    /// Also writes the held-out passages and queries here.
    #[arg(long, value_name = "FILE")]
    held_out: Option<PathBuf>,
    /// Queries a step, each with eight candidates.
    #[arg(long, default_value_t = 6)]
    queries: usize,
    /// Tokens of a pair, at most; longer ones lose their end.
    #[arg(long, default_value_t = 80)]
    length: usize,
    /// The highest learning rate.
    #[arg(long, default_value_t = 0.01)]
    rate: f64,
    /// Decides the initial weights, the order of the queries and their candidates.
    #[arg(long, default_value_t = 17)]
    seed: u64,
    /// Saves the state here every hundred steps, and takes it up from here when it is there.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

/// Options of `cross-encoder-score`.
#[derive(Debug, Args)]
pub struct ScoreOptions {
    /// The folder of the model to measure.
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "services/rerank/models/inferometer-rerank-tiny"
    )]
    model: PathBuf,
}

/// Word pieces in the vocabulary.
const VOCABULARY: usize = 4_096;
const SHAPE: Shape = Shape {
    vocabulary: VOCABULARY,
    width: 128,
    layers: 2,
    heads: 4,
    inner: 512,
    positions: 256,
    bend: Bend::Relu,
    epsilon: 1e-5,
};
/// BM25's share of the teaching at first: that words on both sides matter is learned from it.
const TEACHER: f32 = 0.7;

/// Where the committed held-out passages and queries lie.
#[must_use]
pub fn held_out_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("held-out/cross-encoder.json")
}

/// Reads the committed held-out passages and queries.
///
/// # Errors
///
/// When the file is not there, or is none.
pub fn held_out() -> Result<Pairs> {
    let path = held_out_file();
    let text = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display()))
}

/// Measures a model and BM25 on the committed queries, and prints mean reciprocal ranks as JSON.
///
/// # Errors
///
/// When a file cannot be read.
#[expect(clippy::print_stdout, reason = "the result of the command")]
pub fn score(options: &ScoreOptions) -> Result<()> {
    let pairs = held_out()?;
    let network = Network::open(&options.model)?;
    let vocabulary = Vocabulary::open(&options.model)?;
    let lists = Lists::of(&pairs);
    let scores = answers(&network, &vocabulary, &pairs, &lists)?.measure(&pairs, &lists)?;
    println!("{}", serde_json::to_string_pretty(&scores)?);
    Ok(())
}

fn answers(
    network: &Network,
    vocabulary: &Vocabulary,
    pairs: &Pairs,
    lists: &Lists,
) -> Result<Answers> {
    let marks = vocabulary.marks();
    Answers::of(pairs, lists, |query, passages| {
        let query = vocabulary.encode(query)?;
        let encoded: Vec<Pair> = passages
            .iter()
            .map(|passage| {
                marks.pair(
                    &query,
                    &vocabulary.encode(passage)?,
                    network.shape.positions,
                )
            })
            .collect::<Result<_>>()?;
        Ok(network
            .scores(&encoded.iter().collect::<Vec<_>>())?
            .to_vec1()?)
    })
}

/// Makes the pairs, and tells how many there are.
fn extract() -> Result<Data> {
    let data = Data::extract(&manifest())?;
    let count = |pairs: &Pairs| {
        use pairs::Kind::{Cloze, Name, Summary};
        let of = |kind| {
            pairs
                .queries
                .iter()
                .filter(|query| query.kind == kind)
                .count()
        };
        format!(
            "{} names, {} first sentences, {} others",
            of(Name),
            of(Summary),
            of(Cloze)
        )
    };
    tell(&format!(
        "training, first view: {}",
        count(&data.training[0])
    ));
    tell(&format!("held out: {}", count(&data.held_out)));
    Ok(data)
}

/// Makes the pairs, learns the tokenizer, trains and writes the model.
///
/// # Errors
///
/// When the crates cannot be had or a file cannot be written; the message says which.
pub fn run(options: &Options) -> Result<()> {
    let begin = Instant::now();
    let data = extract()?;
    if let Some(path) = &options.held_out {
        std::fs::write(path, serde_json::to_string(&data.held_out)? + "\n")
            .with_context(|| format!("writing {}", path.display()))?;
    }
    let texts = data.training[0].passages.iter().map(String::as_str);
    let queries = data.training[0]
        .queries
        .iter()
        .map(|query| query.text.as_str());
    let vocabulary = Vocabulary::learn(texts.chain(queries), VOCABULARY)?;
    let material = Material::new(&data.training, &vocabulary)?;
    tell(&format!(
        "{} queries in all ({:.0?} so far)",
        material.len(),
        begin.elapsed()
    ));
    let network = Network::random(SHAPE, options.seed)?;
    tell(&format!("network: {} parameters", network.size()));
    let plan = Plan {
        steps: options.steps,
        queries: options.queries,
        length: options.length,
        rate: options.rate,
        muon: true,
        easy: 0,
        teacher: TEACHER,
        seed: options.seed,
        checkpoint: options.checkpoint.clone(),
    };
    let mut lists = Lists::of(&data.held_out);
    lists.keep_one_in(4);
    let watch = |step: usize| -> Result<()> {
        let scores = answers(&network, &vocabulary, &data.held_out, &lists)?
            .measure(&data.held_out, &lists)?;
        tell(&format!(
            "after {step} steps: {}",
            serde_json::to_string(&scores)?
        ));
        Ok(())
    };
    let loss = training::train(&network, &material, &plan, watch)?;
    std::fs::create_dir_all(&options.out)
        .with_context(|| format!("creating {}", options.out.display()))?;
    let path = options.out.join("tokenizer.json");
    std::fs::write(&path, vocabulary.json()?)
        .with_context(|| format!("writing {}", path.display()))?;
    network.save(&options.out, DType::F16)?;
    tell(&format!(
        "wrote {} after {:.0?}; last surprise {loss:.3}",
        options.out.display(),
        begin.elapsed()
    ));
    Ok(())
}
