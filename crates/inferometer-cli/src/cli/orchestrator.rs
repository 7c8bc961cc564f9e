//! The options of `inferometer serve orchestrator`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;

use super::{ServingArgs, WorkerSpec, capacity, duration};

/// Options of `inferometer serve orchestrator`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  inferometer serve orchestrator
  inferometer serve orchestrator --worker local:model.gguf --corpus handbook/
  inferometer serve orchestrator --worker openai:https://llm.example/v1 --worker local

Workers:
  local               on this machine's CPU: the model that `inferometer models pull` fetched,
                      or else the one built in
  local:PATH.gguf     a GGUF model of the Llama family
  openai:URL          any OpenAI-compatible server; its key comes from OPENAI_API_KEY
  scripted:SCRIPT     latency and failures by script, for tests
  Of several workers the first that serves the model asked for is tried; if it fails, the next.

Then:
  curl http://127.0.0.1:8080/v1/models
  curl http://127.0.0.1:9090/metrics")]
pub struct OrchestratorArgs {
    /// Where the API listens.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub api: SocketAddr,
    /// Where /metrics and /health listen.
    #[arg(long, default_value = "127.0.0.1:9090", value_name = "ADDRESS")]
    pub metrics: SocketAddr,
    /// The folder of documents to retrieve from [default: the one built in].
    #[arg(long, value_name = "FOLDER")]
    pub corpus: Option<PathBuf>,
    /// The template of the prompt [default: the one built in].
    #[arg(long, value_name = "FILE")]
    pub template: Option<PathBuf>,
    /// What generates; may be given several times [default: local].
    #[arg(long = "worker", value_name = "SPEC")]
    pub workers: Vec<WorkerSpec>,
    /// How many requests may wait for inference.
    #[arg(long, default_value_t = 1024, value_parser = capacity, value_name = "N")]
    pub inference_capacity: usize,
    /// How many requests may wait for each other stage.
    #[arg(long, default_value_t = 1024, value_parser = capacity, value_name = "N")]
    pub queue_capacity: usize,
    /// The most time a request may take, through all stages.
    #[arg(long, default_value = "60s", value_parser = duration, value_name = "DURATION")]
    pub timeout: Duration,
    /// The objective for the time to first token: answers within both objectives count as goodput.
    #[arg(long, default_value = "1s", value_parser = duration, value_name = "DURATION")]
    pub objective_ttft: Duration,
    /// The objective for the whole answer.
    #[arg(long, default_value = "10s", value_parser = duration, value_name = "DURATION")]
    pub objective_duration: Duration,
    /// What every service takes.
    #[command(flatten)]
    pub serving: ServingArgs,
}

impl OrchestratorArgs {
    /// The workers to use: those named, or the local one.
    pub fn workers(&self) -> Vec<WorkerSpec> {
        if self.workers.is_empty() {
            vec![WorkerSpec::Local(None)]
        } else {
            self.workers.clone()
        }
    }
}
