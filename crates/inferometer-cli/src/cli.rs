//! What the command line may say.

mod endpoint;
mod keys;
mod orchestrator;
mod rerank;
mod serving;
#[cfg(test)]
mod tests;
mod worker;

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

use clap::{
    Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, StyledStr},
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::{
    command,
    config::{self, ConfigError},
    load::{Arrivals, Mix, Target},
    logging::LogFormat,
    models,
    ports::Ports,
};

pub use self::{
    endpoint::{AccessRule, EndpointArgs},
    keys::{CheckKeysArgs, KeysArgs, KeysCommand, NewKeyArgs},
    orchestrator::OrchestratorArgs,
    rerank::RerankArgs,
    serving::{ServeCommand, ServingArgs},
    worker::WorkerSpec,
};

/// Prometheus-native observability for services that run models.
#[derive(Debug, Parser)]
#[command(name = "inferometer", version, max_term_width = 110, after_help = AFTER_HELP, arg_required_else_help = true)]
pub struct Cli {
    /// How log lines look; RUST_LOG says which are shown.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub log_format: LogFormat,
    /// A file of settings in TOML: options by name, in a table for each command, as in [serve.orchestrator].
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print what the configuration is and where each part of it came from, and do nothing else.
    #[arg(long, global = true)]
    pub print_config: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  inferometer demo                                  see real prompts flow and real numbers move
  inferometer demo --for 30s --ports auto           the same for half a minute, on free ports
  inferometer serve orchestrator                    one service alone, for your own clients
  inferometer load --rate 20 --duration 1m          load on it, and what came of every request
  inferometer agent --once                          what this machine and its GPUs do now
  inferometer keys new prometheus --file keys.txt   an API key for the endpoints
  inferometer catalogue orchestrator                every metric that it has

Ports:
  service         what            serve    demo
  orchestrator    API              8080    9901
                  metrics          9090    9902
  rerank          gRPC            50051    9911
                  HTTP             8080    9912
                  metrics          8000    9913
  agent           metrics          9945       –
  A taken port is an error that names the option to change it; --ports auto takes free ones.

Configuration:
  Every option can also be given in a file (--config FILE) or in the environment:
    queue-capacity = 64                                under [serve.orchestrator] of the file
    INFEROMETER_SERVE_ORCHESTRATOR_QUEUE_CAPACITY=64   in the environment
  The command line comes first, then the environment, the file, the default. --print-config shows
  the result, and where each part of it came from.

Environment:
  RUST_LOG          log lines to show, as in info,orchestrator=debug (default: info; demo: warn)
  OPENAI_API_KEY    the key for workers of the kind openai:URL
  METRICS_ENABLED   whether a service measures (default: true)
  GPU_MONITORING_ENABLED  whether agent and reranker look at GPUs (default: true)
  NO_COLOR          set to anything, output has no colours

Exit codes:
  0 fine    1 failed    2 the command line can't be understood";

impl Cli {
    /// Reads a command line, the program's name first; the environment and the file that is named say what it doesn't.
    ///
    /// # Errors
    ///
    /// When it can't be understood, or asks for help.
    pub fn read<I, W>(words: I) -> Result<Reading, ConfigError>
    where
        I: IntoIterator<Item = W>,
        W: Into<OsString>,
    {
        let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
        let mut definition = config::with_environment(Self::command());
        definition.build();
        let settled = config::settle(&definition, &words).map_err(|error| match error {
            ConfigError::Arguments(error) => ConfigError::Arguments(with_known(error)),
            file @ ConfigError::File(_) => file,
        })?;
        let cli = Self::from_arg_matches(&settled.matches)?;
        Ok(if cli.print_config {
            Reading::Print(settled.print(&definition))
        } else {
            Reading::Run(cli.into())
        })
    }
}

/// What a command line asks for.
#[derive(Debug)]
pub enum Reading {
    /// To run a command.
    Run(Box<Cli>),
    /// To print this, and no more.
    Print(String),
}

/// Adds the known names to an error about an unknown one.
fn with_known(mut error: clap::Error) -> clap::Error {
    if error.kind() == ErrorKind::InvalidSubcommand {
        let usage = error
            .get(ContextKind::Usage)
            .map(ToString::to_string)
            .unwrap_or_default();
        let command = Cli::command();
        let serve = command
            .find_subcommand("serve")
            .filter(|_| usage.contains("inferometer serve"));
        let what = if serve.is_some() {
            "services"
        } else {
            "subcommands"
        };
        let known: Vec<&str> = serve
            .unwrap_or(&command)
            .get_subcommands()
            .map(clap::Command::get_name)
            .collect();
        let tip = StyledStr::from(format!("the {what} are {}", known.join(", ")));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    error
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run services under a light load, to see what they measure.
    Demo(DemoArgs),
    /// Run one service.
    #[command(subcommand)]
    Serve(ServeCommand),
    /// Show this machine and its GPUs, for services that aren't ours.
    Agent(AgentArgs),
    /// Make API keys for endpoints, or check a file of them.
    Keys(KeysArgs),
    /// Put load on an OpenAI-compatible endpoint and account for every request.
    Load(LoadArgs),
    /// List every metric: its kind, unit, labels and their bounds, buckets and meaning.
    Catalogue(CatalogueArgs),
    /// Fetch models that are too large to come with the program.
    Models(ModelsArgs),
}

/// A service that this program can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Service {
    /// The LLM pipeline: retrieve, assemble, infer, post-process, stream.
    Orchestrator,
    /// The cross-encoder server: tokenize, batch by length, score.
    Rerank,
}

impl Service {
    /// Its name, as the command line and the addresses file give it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Orchestrator => "orchestrator",
            Self::Rerank => "rerank",
        }
    }
}

/// Options of `inferometer demo`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  inferometer demo
  inferometer demo --rate 5 --for 2m
  inferometer demo --services rerank
  inferometer demo --ports auto --addresses where.json     the file appears when all answers

The demo needs no download: small models come with the program. It listens on 127.0.0.1 only, on
the ports that `inferometer --help` lists. Point Prometheus at 127.0.0.1:9902 under the job name
`orchestrator`, and at 127.0.0.1:9913 under `rerank`.")]
pub struct DemoArgs {
    /// Services to run, separated by commas [default: all].
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAMES")]
    pub services: Vec<Service>,
    /// End by itself after this long, as in 30s or 2m [default: at Ctrl-C].
    #[arg(long = "for", value_parser = duration, value_name = "DURATION")]
    pub duration: Option<Duration>,
    /// Write what runs where to this file, as JSON, once everything answers.
    #[arg(long, value_name = "FILE")]
    pub addresses: Option<PathBuf>,
    /// Listen on the documented ports, or on free ones.
    #[arg(long, value_enum, default_value_t)]
    pub ports: Ports,
    /// Requests a second of the demo's own load, to each service; 0 sends none.
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true, value_parser = rate_or_none, value_name = "RATE")]
    pub rate: f64,
}

impl DemoArgs {
    /// The services to run, each once: those named, or all.
    pub fn services(&self) -> Vec<Service> {
        let mut services = if self.services.is_empty() {
            Service::value_variants().to_vec()
        } else {
            self.services.clone()
        };
        services.sort_unstable();
        services.dedup();
        services
    }
}

/// Options of `inferometer agent`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  inferometer agent                                 this machine and its GPUs on port 9945
  inferometer agent --once | grep gpu               one scrape on standard output
  inferometer agent --record gpus.jsonl             the same, and a recording of the GPUs
  inferometer agent --replay gpus.jsonl             on a machine without one: what was recorded

A machine without a GPU, or without a driver, shows that it has none and goes on; a driver that
is installed later is found. Figures that are replayed are marked: simulated=\"replayed\" in
inferometer_gpu_info, and a line in the log.

Then:
  curl http://127.0.0.1:9945/metrics
  curl http://127.0.0.1:9945/health")]
pub struct AgentArgs {
    /// Where /metrics and /health listen.
    #[arg(long, default_value = "127.0.0.1:9945", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// Listen on the port given, or on a free one of the same host.
    #[arg(long, value_enum, default_value_t)]
    pub ports: Ports,
    /// Write what runs where to this file, as JSON, once it answers.
    #[arg(long, value_name = "FILE")]
    pub addresses: Option<PathBuf>,
    /// Print one scrape and end.
    #[arg(long, conflicts_with_all = ["listen", "addresses", "duration"])]
    pub once: bool,
    /// How often to look.
    #[arg(long, default_value = "5s", value_parser = duration, value_name = "DURATION")]
    pub interval: Duration,
    /// End by itself after this long, as in 30s or 2m [default: at Ctrl-C].
    #[arg(long = "for", value_parser = duration, value_name = "DURATION")]
    pub duration: Option<Duration>,
    /// Whether to look at GPUs.
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
    /// Read PCIe throughput and fans too: more than 40 ms a GPU, in which its driver serves nobody else.
    #[arg(long)]
    pub pcie_and_fans: bool,
    /// The driver's library [default: libnvidia-ml.so.1, where the system looks for it].
    #[arg(long, value_name = "FILE")]
    pub nvml: Option<PathBuf>,
    /// Play recorded GPU figures in the place of the driver's; they are marked as such.
    #[arg(long, value_name = "FILE", conflicts_with = "nvml")]
    pub replay: Option<PathBuf>,
    /// Write what the GPUs show to this file, to be replayed elsewhere.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Where the kernel's process files are, as in a container that sees its host's [default: /proc].
    #[arg(long, value_name = "FOLDER")]
    pub proc: Option<PathBuf>,
    /// Where its device files are [default: /sys].
    #[arg(long, value_name = "FOLDER")]
    pub sys: Option<PathBuf>,
    /// Who may ask for what.
    #[command(flatten)]
    pub endpoint: EndpointArgs,
}

/// Options of `inferometer load`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  inferometer load --rate 20 --duration 1m
  inferometer load --rate 200 --mix short --arrivals constant
  inferometer load --mix short=6,stream=3,bad=1 --json - | jq .counts
  inferometer load --closed 64 --mix short      the top rate: 64 connections ask when answered

Kinds of request, with their weights by default:
  short=30     one question, a short answer
  long=8       eight questions, a long answer
  stream=40    one question, the answer streamed
  session=15   one question within one of --sessions conversations
  bad=2        an invalid request, which the server should refuse
  leave=5      a stream whose client closes the connection midway

Requests are sent by the clock, whether or not earlier ones were answered, as users do. Latency
counts from the moment at which a request was due, so a server that stalls is charged for
everybody who had to wait. An arrival beyond --max-in-flight is counted as not sent. Equal seeds
give equal loads. Ctrl-C ends the load early and reports; a second one doesn't wait for answers.")]
pub struct LoadArgs {
    /// The server's base URL, with or without /v1.
    #[arg(long, default_value_t, value_name = "URL")]
    pub target: Target,
    /// The model to ask for [default: the first that the server lists].
    #[arg(long, value_name = "ID")]
    pub model: Option<String>,
    /// Requests a second, on average.
    #[arg(long, default_value_t = 10.0, allow_negative_numbers = true, value_parser = rate, value_name = "RATE")]
    pub rate: f64,
    /// How arrivals are spread: constant, poisson, or burst (each second's within its first tenth).
    #[arg(long, default_value_t, value_name = "HOW")]
    pub arrivals: Arrivals,
    /// Send when answered instead of by the clock, on so many connections.
    #[arg(long, value_parser = capacity, value_name = "CONNECTIONS", conflicts_with_all = ["rate", "arrivals", "max_in_flight"])]
    pub closed: Option<usize>,
    /// For how long to send, as in 30s or 2m.
    #[arg(long, default_value = "30s", value_parser = duration, value_name = "DURATION")]
    pub duration: Duration,
    /// Kinds of request and their weights, as in short=3,stream=1.
    #[arg(long, default_value_t, value_name = "MIX")]
    pub mix: Mix,
    /// How many conversations the session requests belong to.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    pub sessions: u32,
    /// Equal seeds send the same requests at the same moments.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// The most requests in flight.
    #[arg(long, default_value_t = 1024, value_parser = capacity, value_name = "N")]
    pub max_in_flight: usize,
    /// How long to wait for the end of an answer.
    #[arg(long, default_value = "60s", value_parser = duration, value_name = "DURATION")]
    pub timeout: Duration,
    /// Prompts to send, one a line [default: questions about inference serving].
    #[arg(long, value_name = "FILE")]
    pub prompts: Option<PathBuf>,
    /// Write what was found as JSON to this file, or to standard output with `-`.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Allow a target that is not this machine: a load can take a service down for the people who use it.
    #[arg(long)]
    pub allow_remote: bool,
}

/// Options of `inferometer models`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  inferometer models list
  inferometer models pull
  inferometer serve orchestrator               a model that was pulled is used by itself")]
pub struct ModelsArgs {
    /// What to do with models.
    #[command(subcommand)]
    pub(crate) command: models::Command,
}

/// Options of `inferometer catalogue`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  inferometer catalogue                              every metric of every domain
  inferometer catalogue orchestrator | less -S
  inferometer catalogue --json | jq -r '.[].name'")]
pub struct CatalogueArgs {
    /// The system whose metrics to list [default: all].
    #[arg(value_parser = domain_names())]
    pub domain: Option<String>,
    /// How to print them.
    #[arg(long, value_enum, default_value_t)]
    pub format: CatalogueFormat,
    /// The same as `--format json`.
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
}

/// How `inferometer catalogue` prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum CatalogueFormat {
    /// One metric a line, in columns.
    #[default]
    Table,
    /// A list of objects.
    Json,
}

fn domain_names() -> PossibleValuesParser {
    PossibleValuesParser::new(
        inferometer_catalog::domains()
            .into_iter()
            .map(|domain| domain.name)
            .chain([command::agent::NAME]),
    )
}

fn duration_or_none(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}: write a number and a unit, as in 500ms, 30s, 2m or 1h"))
}

fn duration(text: &str) -> Result<Duration, String> {
    let found = duration_or_none(text)?;
    if found.is_zero() {
        Err("it must be above 0".into())
    } else {
        Ok(found)
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && rate <= 1e6 => Ok(rate),
        _ => Err("give a number of requests a second above 0, at most 1000000".into()),
    }
}

fn rate_or_none(text: &str) -> Result<f64, String> {
    if text.parse() == Ok(0.0) {
        Ok(0.0)
    } else {
        rate(text)
    }
}

fn share(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "give a share from 0 to 1".into())
}

fn capacity(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|&capacity| (1..=1_000_000).contains(&capacity))
        .ok_or_else(|| "give a whole number from 1 to 1000000".into())
}
