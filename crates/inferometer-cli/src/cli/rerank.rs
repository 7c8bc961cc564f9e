//! The options of `inferometer serve rerank`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;

use super::{ServingArgs, capacity, duration, duration_or_none, share};

/// Options of `inferometer serve rerank`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  inferometer serve rerank
  inferometer serve rerank --model ms-marco-MiniLM-L6-v2/ --batch-tokens 16384
  inferometer serve rerank --max-wait 2ms --queue-capacity 64

Models:
  Any folder of Hugging Face's layout with a cross-encoder of the BERT family: config.json,
  tokenizer.json and model.safetensors, one label. Without --model, the one whose backbone
  `inferometer models pull all-minilm-l6-v2` fetches, or else the small one built in.

Batches:
  Pairs that wait are put together by length until a batch is full (--batch-pairs), its tokens
  with padding reach the budget (--batch-tokens), too much of it would be padding
  (--batch-padding), or a model worker has nothing to do and the oldest has waited for --max-wait.
  --sort-by-length false takes them in their order: compare padded_tokens_total.

Then:
  curl http://127.0.0.1:8080/rerank -H 'Content-Type: application/json' \\
    -d '{\"query\":\"read a file\",\"documents\":[\"Opens a file, reads it.\",\"Joins threads.\"]}'
  grpcurl -plaintext -d '{\"query\":\"q\",\"passages\":[\"p\"]}' 127.0.0.1:50051 \\
    inferometer.rerank.v1.Reranker/Infer
  curl http://127.0.0.1:8000/metrics")]
pub struct RerankArgs {
    /// Where gRPC listens.
    #[arg(long, default_value = "127.0.0.1:50051", value_name = "ADDRESS")]
    pub grpc: SocketAddr,
    /// Where HTTP listens.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub http: SocketAddr,
    /// Where /metrics and /health listen.
    #[arg(long, default_value = "127.0.0.1:8000", value_name = "ADDRESS")]
    pub metrics: SocketAddr,
    /// The model's folder [default: what was fetched, else the small one built in].
    #[arg(long, value_name = "FOLDER")]
    pub model: Option<PathBuf>,
    /// Threads that make tokens of texts.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64), value_name = "N")]
    pub tokenizer_workers: u32,
    /// Threads that score batches; each batch uses all cores by itself.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64), value_name = "N")]
    pub model_workers: u32,
    /// How many requests may wait for a tokenizer; one more is turned away.
    #[arg(long, default_value_t = 256, value_parser = capacity, value_name = "N")]
    pub queue_capacity: usize,
    /// The most pairs of a batch.
    #[arg(long, default_value_t = 32, value_parser = capacity, value_name = "N")]
    pub batch_pairs: usize,
    /// The most tokens of a batch, padding among them.
    #[arg(long, default_value_t = 8192, value_parser = capacity, value_name = "N")]
    pub batch_tokens: usize,
    /// The most of a batch's tokens that may be padding, as a share from 0 to 1; 1 for any.
    #[arg(long, default_value_t = 0.25, value_parser = share, value_name = "SHARE")]
    pub batch_padding: f64,
    /// How long a pair may wait for others while a model worker has nothing to do.
    #[arg(long, default_value = "5ms", value_parser = duration_or_none, value_name = "DURATION")]
    pub max_wait: Duration,
    /// Whether pairs of like length share a batch.
    #[arg(
        long,
        default_value = "true",
        action = clap::ArgAction::Set,
        value_parser = clap::builder::BoolishValueParser::new(),
        value_name = "YES"
    )]
    pub sort_by_length: bool,
    /// The most pairs of a request.
    #[arg(long, default_value_t = 1024, value_parser = capacity, value_name = "N")]
    pub max_pairs: usize,
    /// The most tokens of a pair [default: what the model takes]; longer ones are cut off and counted.
    #[arg(long, value_parser = capacity, value_name = "N")]
    pub max_tokens: Option<usize>,
    /// The most time a request may take.
    #[arg(long, default_value = "60s", value_parser = duration, value_name = "DURATION")]
    pub timeout: Duration,
    /// What throughputs and means are taken over.
    #[arg(long, default_value = "30s", value_parser = duration, value_name = "DURATION")]
    pub window: Duration,
    /// How often throughputs, means and the machine's figures are collected.
    #[arg(long, default_value = "5s", value_parser = duration, value_name = "DURATION")]
    pub collection_interval: Duration,
    /// Whether to look at GPUs; without one, their figures are absent.
    #[arg(
        long = "gpu-monitoring",
        env = "GPU_MONITORING_ENABLED",
        hide_env = true,
        default_value = "true",
        action = clap::ArgAction::Set,
        value_parser = clap::builder::BoolishValueParser::new(),
        value_name = "YES"
    )]
    pub gpu: bool,
    /// What every service takes.
    #[command(flatten)]
    pub serving: ServingArgs,
}
