//! What all commands that serve have in common.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{EndpointArgs, OrchestratorArgs, RerankArgs};
use crate::ports::Ports;

/// Services of `inferometer serve`.
#[derive(Debug, Subcommand)]
pub enum ServeCommand {
    /// The LLM pipeline behind an OpenAI-compatible API.
    Orchestrator(OrchestratorArgs),
    /// A cross-encoder behind gRPC and POST /rerank.
    Rerank(RerankArgs),
}

/// Options of every service.
#[derive(Args, Debug)]
pub struct ServingArgs {
    /// Listen on the ports given, or on free ones of the same hosts.
    #[arg(long, value_enum, default_value_t)]
    pub ports: Ports,
    /// Write what runs where to this file, as JSON, once everything answers.
    #[arg(long, value_name = "FILE")]
    pub addresses: Option<PathBuf>,
    /// Whether to measure: without, nothing is recorded and nothing listens for scrapes.
    #[arg(
        long = "metrics-enabled",
        env = "METRICS_ENABLED",
        hide_env = true,
        default_value = "true",
        action = clap::ArgAction::Set,
        value_parser = clap::builder::BoolishValueParser::new(),
        value_name = "YES",
        help_heading = "Endpoint"
    )]
    pub enabled: bool,
    /// Who may ask for what.
    #[command(flatten)]
    pub endpoint: EndpointArgs,
}
