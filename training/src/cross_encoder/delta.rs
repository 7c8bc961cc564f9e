//! The rerank server's cross-encoder on a MiniLM backbone: the last two layers, the pooler and the head, trained; the rest
//! as it was published.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use candle_core::DType;
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::evaluation::{Answers, Lists};
use super::network::Network;
use super::training::{self, Material, Plan};
use super::vocabulary::Vocabulary;
use super::{answers, extract, held_out};
use crate::language_model::training::tell;

/// The backbone's name, as `inferometer models pull` has it.
pub const BACKBONE: &str = "all-minilm-l6-v2";
/// The variable that says where the backbone lies.
pub const VARIABLE: &str = "INFEROMETER_BACKBONE";
/// Files of the backbone that the trained layers depend on.
const DEPENDED_ON: [&str; 2] = ["model.safetensors", "tokenizer.json"];

/// Where the backbone is and where the trained layers are.
#[derive(Debug, Args)]
pub struct Places {
    /// The backbone's folder; without it, $INFEROMETER_BACKBONE, else where `inferometer models pull all-minilm-l6-v2`
    /// put it.
    #[arg(long, value_name = "FOLDER")]
    backbone: Option<PathBuf>,
    /// The folder of config.json, backbone.json and delta.safetensors.
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "services/rerank/models/inferometer-rerank-minilm"
    )]
    delta: PathBuf,
}

/// Options of `cross-encoder-delta`.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    places: Places,
    /// Optimizer steps.
    #[arg(long, default_value_t = 225)]
    steps: usize,
    /// Queries a step, each with eight candidates.
    #[arg(long, default_value_t = 6)]
    queries: usize,
    /// Tokens of a pair, at most; longer ones lose their end.
    #[arg(long, default_value_t = 72)]
    length: usize,
    /// The highest learning rate.
    #[arg(long, default_value_t = 0.002)]
    rate: f64,
    /// Decides the head's first weights, the order of the queries and their candidates.
    #[arg(long, default_value_t = 17)]
    seed: u64,
    /// Saves the state here every hundred steps, and takes it up from here when it is there.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

/// Options of `cross-encoder-delta-score`.
#[derive(Debug, Args)]
pub struct ScoreOptions {
    #[command(flatten)]
    places: Places,
    /// Also writes each score here, for the test that has no backbone.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// Options of `cross-encoder-export`.
#[derive(Debug, Args)]
pub struct ExportOptions {
    #[command(flatten)]
    places: Places,
    /// The folder to write config.json, tokenizer.json, tokenizer_config.json and model.safetensors to.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

/// What the committed layers said of the held-out queries when they were measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Measured {
    /// The SHA-256 of the layers' file.
    pub delta_sha256: String,
    /// Each score.
    pub answers: Answers,
}

/// The backbone's folder: the one that `INFEROMETER_BACKBONE` names, else the one in the folder of fetched models; `None`
/// when neither is there.
///
/// # Errors
///
/// When the variable names what is no folder.
pub fn backbone() -> Result<Option<PathBuf>> {
    let set = |key| {
        std::env::var_os(key)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(folder) = set(VARIABLE) {
        ensure!(
            folder.is_dir(),
            "{VARIABLE} is {}, where there is no folder",
            folder.display()
        );
        return Ok(Some(folder));
    }
    let cache = set("INFEROMETER_CACHE").or_else(|| {
        let shared = set("XDG_CACHE_HOME").filter(|path| path.is_absolute());
        let shared = shared.or_else(|| Some(set("HOME")?.join(".cache")));
        Some(shared?.join("inferometer/models"))
    });
    Ok(cache
        .map(|cache| cache.join(BACKBONE))
        .filter(|folder| folder.join("model.safetensors").is_file()))
}

impl Places {
    fn backbone(&self) -> Result<PathBuf> {
        if let Some(folder) = &self.backbone {
            return Ok(folder.clone());
        }
        backbone()?.with_context(|| {
            format!(
                "the backbone isn't here: fetch it with `inferometer models pull {BACKBONE}`, or name its folder with \
                 --backbone"
            )
        })
    }

    /// The backbone with the trained layers, and its tokenizer.
    fn open(&self) -> Result<(Network, Vocabulary)> {
        let backbone = self.backbone()?;
        let delta = self.delta.join("delta.safetensors");
        let network = Network::with_delta(&backbone, &delta)?;
        Ok((network, Vocabulary::open(&backbone)?))
    }
}

/// Trains on the backbone, and writes what was trained.
///
/// # Errors
///
/// When the crates cannot be had, or a file cannot be read or written; the message says which.
pub fn run(options: &Options) -> Result<()> {
    let begin = Instant::now();
    let backbone = options.places.backbone()?;
    let network = Network::on_backbone(&backbone, options.seed)?;
    let vocabulary = Vocabulary::open(&backbone)?;
    tell(&format!(
        "network: {} numbers to be learned",
        network.size()
    ));
    let data = extract()?;
    let material = Material::new(&data.training, &vocabulary)?;
    tell(&format!(
        "{} queries in all ({:.0?} so far)",
        material.len(),
        begin.elapsed()
    ));
    let plan = Plan {
        steps: options.steps,
        queries: options.queries,
        length: options.length,
        rate: options.rate,
        muon: false,
        easy: options.steps / 2,
        teacher: 0.0,
        seed: options.seed,
        checkpoint: options.checkpoint.clone(),
    };
    let mut lists = Lists::for_trials(&data.held_out);
    lists.keep_one_in(3);
    let watch = |step: usize| -> Result<()> {
        // A look takes as long as a dozen steps: one is enough.
        if step < options.steps {
            return Ok(());
        }
        let scores = answers(&network, &vocabulary, &data.held_out, &lists)?
            .measure(&data.held_out, &lists)?;
        tell(&format!(
            "after {step} steps and {:.0?}: {}",
            begin.elapsed(),
            serde_json::to_string(&scores)?
        ));
        Ok(())
    };
    let loss = training::train(&network, &material, &plan, watch)?;
    let folder = &options.places.delta;
    std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    network.save_delta(folder)?;
    let checksums = DEPENDED_ON
        .into_iter()
        .map(|name| Ok((name, sha256(&backbone.join(name))?)))
        .collect::<Result<BTreeMap<_, _>>>()?;
    write_json(
        &folder.join("backbone.json"),
        &json!({"name": BACKBONE, "sha256": checksums}),
    )?;
    tell(&format!(
        "wrote {} after {:.0?}; last surprise {loss:.3}",
        folder.display(),
        begin.elapsed()
    ));
    Ok(())
}

/// Measures backbone, trained layers and BM25 on the committed queries, and prints mean reciprocal ranks as JSON.
///
/// # Errors
///
/// When a file cannot be read or written.
#[expect(clippy::print_stdout, reason = "the result of the command")]
pub fn score(options: &ScoreOptions) -> Result<()> {
    let (network, vocabulary) = options.places.open()?;
    let pairs = held_out()?;
    let lists = Lists::of(&pairs);
    let mut answers = answers(&network, &vocabulary, &pairs, &lists)?;
    // Four digits are more than the ranks need, and a third of the file.
    for score in answers.hard.iter_mut().chain(&mut answers.random).flatten() {
        *score = (*score * 1e4).round() / 1e4;
    }
    let scores = answers.measure(&pairs, &lists)?;
    println!("{}", serde_json::to_string_pretty(&scores)?);
    if let Some(path) = &options.write {
        let measured = Measured {
            delta_sha256: sha256(&options.places.delta.join("delta.safetensors"))?,
            answers,
        };
        std::fs::write(path, serde_json::to_string(&measured)? + "\n")
            .with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// Writes backbone and trained layers as one ordinary folder, which `transformers` and others read.
///
/// # Errors
///
/// When a file cannot be read or written.
pub fn export(options: &ExportOptions) -> Result<()> {
    let (network, _) = options.places.open()?;
    let out = &options.out;
    std::fs::create_dir_all(out).with_context(|| format!("creating {}", out.display()))?;
    network.save(out, DType::F32)?;
    let path = options.places.backbone()?.join("tokenizer.json");
    let json = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut tokenizer: Value =
        serde_json::from_slice(&json).with_context(|| format!("reading {}", path.display()))?;
    // The published file fixes a length, for sentences. A pair's is the caller's.
    tokenizer["truncation"] = Value::Null;
    tokenizer["padding"] = Value::Null;
    write_json(&out.join("tokenizer.json"), &tokenizer)?;
    write_json(
        &out.join("tokenizer_config.json"),
        &json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": network.shape.positions,
            "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "pad_token": "[PAD]",
            "unk_token": "[UNK]",
            "mask_token": "[MASK]",
        }),
    )
}

/// The SHA-256 of a file, in lower-case hexadecimal digits.
///
/// # Errors
///
/// When it cannot be read.
pub fn sha256(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    std::fs::write(path, serde_json::to_string_pretty(value)? + "\n")
        .with_context(|| format!("writing {}", path.display()))
}
