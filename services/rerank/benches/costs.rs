//! What the reranker does in a second at which latency, what sorting by length saves, and what its metrics cost.
//!
//! ```text
//! cargo bench -p rerank --bench costs -- [curve] [metrics] [model] [--seconds 2] [--pairs 20] [--folder MODEL]
//!     [--requests 512] [--write FILE]
//! ```
//!
//! - `curve`: clients over gRPC on loopback, 1 to 256 of them, each with one request under way, once in the order of arrival and once
//!   sorted by length.
//! - `metrics`: in process, 32 requests under way, by the model, and by one that costs nothing, whose difference shows what metrics cost
//!   where the model's own time would hide it; runs with metrics on and off alternate, and so does which comes first. CPU time is that
//!   of this process' threads (`/proc/self/task/*/schedstat`, in nanoseconds).
//! - `model`: the model alone, in batches of 32 pairs sorted by length, on as many threads as it likes.
//!
//! `--write` writes the pairs as JSON, for `scripts/compare-models` to give to others.
//!
//! A request is a question with 8 passages of 4 to 200 words, as many of each length as of twice that length, the same ones each time.
//! Without arguments it runs briefly, to show that it works.

#![expect(clippy::print_stdout, reason = "a benchmark tells its figures")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people"
)]

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use inferometer::Registry;
use rerank::{
    encoder::CrossEncoder,
    grpc::proto::{InferRequest, reranker_client::RerankerClient},
    model::{Score, Tokenize},
    pipeline::{Ask, BatchLimits, Pipeline, PipelineConfig},
    scripted::Scripted,
    service::{Listeners, Service, ServiceConfig},
};
use tokio::runtime::{Builder, Runtime};
use tonic::transport::Endpoint;

/// Passages of a request.
const PASSAGES: usize = 8;

const QUESTION: &str = "Which queue bounds what waits for a worker?";

#[derive(Clone, Copy, Debug)]
enum What {
    Curve,
    Metrics,
    Model,
}

struct Options {
    seconds: f64,
    pairs: usize,
    /// Requests, sent again and again.
    requests: usize,
    folder: Option<PathBuf>,
}

fn main() {
    let (mut what, mut brief, mut write) = (Vec::new(), true, None);
    let mut options = Options {
        seconds: 0.2,
        pairs: 1,
        requests: 512,
        folder: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|value| value.parse().ok());
        match argument.as_str() {
            "--seconds" => options.seconds = number().expect("--seconds takes a number"),
            "--pairs" => options.pairs = number().expect("--pairs takes a number") as usize,
            "--requests" => {
                options.requests = number().expect("--requests takes a number") as usize;
            }
            "--write" => write = arguments.next(),
            "--folder" => options.folder = arguments.next().map(PathBuf::from),
            "curve" => what.push(What::Curve),
            "metrics" => what.push(What::Metrics),
            "model" => what.push(What::Model),
            _ => continue,
        }
        brief = false;
    }
    if what.is_empty() {
        what = vec![What::Curve, What::Metrics, What::Model];
    }
    let model = Arc::new(match &options.folder {
        Some(folder) => CrossEncoder::open(folder).expect("a model"),
        None => CrossEncoder::embedded().expect("the built-in model loads"),
    });
    let requests: Arc<[Vec<String>]> = requests(options.requests).into();
    if let Some(file) = write {
        let pairs: Vec<_> = requests.iter().flatten().map(|p| [QUESTION, p]).collect();
        let text = serde_json::to_vec(&pairs).expect("texts are JSON");
        std::fs::write(file, text).expect("the file can be written");
    }
    println!("model {}, {}", model.name(), lengths(&model, &requests));
    for what in what {
        match what {
            What::Curve => curve(&options, brief, &model, &requests),
            What::Metrics => metrics(&options, &model, &requests),
            What::Model => alone(&options, &model, &requests),
        }
    }
}

/// Passages whose lengths are spread evenly on a logarithmic scale.
fn requests(count: usize) -> Vec<Vec<String>> {
    let words: Vec<&str> = include_str!("../models/inferometer-rerank-tiny.md")
        .split_whitespace()
        .collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut passage = || {
        let length = (4.0 * 50_f64.powf(random())) as usize;
        let start = (random() * words.len() as f64) as usize;
        let all = words.iter().cycle().skip(start).take(length);
        all.copied().collect::<Vec<_>>().join(" ")
    };
    (0..count)
        .map(|_| (0..PASSAGES).map(|_| passage()).collect())
        .collect()
}

fn lengths(model: &CrossEncoder, requests: &[Vec<String>]) -> String {
    let mut lengths: Vec<_> = encoded(model, requests)
        .iter()
        .map(|pair| pair.len())
        .collect();
    lengths.sort_unstable();
    let last = lengths.len() - 1;
    format!(
        "pairs of {} to {} tokens, half of them up to {}",
        lengths[0],
        lengths[last],
        lengths[last / 2]
    )
}

fn encoded(model: &CrossEncoder, requests: &[Vec<String>]) -> Vec<rerank::model::Encoded> {
    let tokenizer = model.tokenizer();
    let most = model.max_tokens();
    requests
        .iter()
        .flatten()
        .map(|passage| tokenizer.encode(QUESTION, passage, most).expect("tokens"))
        .collect()
}

fn config(sort_by_length: bool) -> PipelineConfig {
    let usual = PipelineConfig::default();
    PipelineConfig {
        tokenizer_queue: 1024,
        batch_queue: 1024,
        batch: BatchLimits {
            sort_by_length,
            ..usual.batch
        },
        ..usual
    }
}

/// A line for each number of clients, unsorted and sorted.
fn curve(options: &Options, brief: bool, model: &Arc<CrossEncoder>, requests: &Arc<[Vec<String>]>) {
    let all = [1, 2, 4, 8, 16, 32, 64, 128, 256];
    let clients = if brief { &all[..2] } else { &all[..] };
    println!(
        "\nclients  order     requests/s  pairs/s    p50 ms    p95 ms    p99 ms  pairs/batch  padding"
    );
    for &clients in clients {
        let rates = [false, true].map(|sorted| {
            let found = runtime().block_on(point(options, clients, sorted, model, requests));
            found.print(clients, sorted);
            found.rate()
        });
        println!("{clients:>7}  sorted is {:.2}x", rates[1] / rates[0]);
    }
}

struct Point {
    latencies: Vec<Duration>,
    took: Duration,
    padding: f64,
    batch: f64,
}

impl Point {
    fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    fn print(&self, clients: usize, sorted: bool) {
        let last = self.latencies.len().saturating_sub(1);
        let at = |share: f64| {
            let place = (last as f64 * share).round() as usize;
            let latency = self.latencies.get(place).copied().unwrap_or_default();
            latency.as_secs_f64() * 1e3
        };
        let rate = self.rate();
        println!(
            "{clients:>7}  {:<8}  {rate:>10.1}  {:>7.0}  {:>8.1}  {:>8.1}  {:>8.1}  {:>11.1}  {:>6.1} %",
            if sorted { "sorted" } else { "arrival" },
            rate * PASSAGES as f64,
            at(0.5),
            at(0.95),
            at(0.99),
            self.batch,
            self.padding * 100.0,
        );
    }
}

async fn point(
    options: &Options,
    clients: usize,
    sorted: bool,
    model: &Arc<CrossEncoder>,
    requests: &Arc<[Vec<String>]>,
) -> Point {
    let tokenizer = Arc::new(model.tokenizer());
    let config = ServiceConfig {
        pipeline: config(sorted),
        ..ServiceConfig::new(tokenizer, Arc::clone(model) as _)
    };
    let listeners = Listeners::on_free_ports().expect("ports");
    let service = Service::start(config, listeners, Registry::new())
        .await
        .expect("a service");
    let endpoint = Endpoint::try_from(format!("http://{}", service.grpc())).expect("an address");
    let stop = Arc::new(AtomicBool::new(false));
    let start = Instant::now();
    let mut tasks = Vec::new();
    for client in 0..clients {
        let channel = endpoint.connect().await.expect("a connection");
        let mut calls = RerankerClient::new(channel);
        let (stop, requests) = (Arc::clone(&stop), Arc::clone(requests));
        tasks.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            let mine = requests.iter().cycle().skip(client * 7);
            for passages in mine {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let request = InferRequest {
                    query: QUESTION.to_owned(),
                    passages: passages.clone(),
                    ..InferRequest::default()
                };
                let sent = Instant::now();
                calls.infer(request).await.expect("an answer");
                latencies.push(sent.elapsed());
            }
            latencies
        }));
    }
    tokio::time::sleep(Duration::from_secs_f64(options.seconds)).await;
    stop.store(true, Ordering::Relaxed);
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.expect("a client ends"));
    }
    let took = start.elapsed();
    latencies.sort_unstable();
    let metrics = &service.pipeline().recorder().metrics;
    let (batches, pairs) = metrics.batch_size.get();
    let point = Point {
        latencies,
        took,
        padding: metrics.padded_tokens.get() as f64 / metrics.total_tokens.get() as f64,
        batch: pairs / batches as f64,
    };
    service.stop(Duration::from_secs(5)).await;
    point
}

/// What the metrics cost of a request's CPU time, and how much of a request's time no stage explains.
fn metrics(options: &Options, model: &Arc<CrossEncoder>, requests: &Arc<[Vec<String>]>) {
    let scripted = Arc::new(Scripted::default());
    compare(options, "by the model", |enabled| {
        let tokenizer = Arc::new(model.tokenizer());
        let model = Arc::clone(model);
        let run = in_process(
            options.seconds,
            enabled,
            tokenizer,
            model,
            Arc::clone(requests),
        );
        runtime().block_on(run)
    });
    compare(options, "by a model that costs nothing", |enabled| {
        let (tokenizer, model) = (Arc::clone(&scripted), Arc::clone(&scripted));
        let run = in_process(
            options.seconds,
            enabled,
            tokenizer,
            model,
            Arc::clone(requests),
        );
        runtime().block_on(run)
    });
}

fn compare(options: &Options, what: &str, run: impl Fn(bool) -> Measured) {
    run(true);
    let (mut rates, mut costs, mut ratios, mut rests) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut differences = Vec::new();
    for pair in 0..options.pairs {
        let first_on = pair % 2 == 0;
        let (first, second) = (run(first_on), run(!first_on));
        let (on, off) = if first_on {
            (first, second)
        } else {
            (second, first)
        };
        rates.push(on.rate);
        costs.push(on.cpu * 1e6);
        ratios.push((on.cpu / off.cpu - 1.0) * 100.0);
        differences.push((on.cpu - off.cpu) * 1e6);
        rests.push(on.rest * 100.0);
    }
    println!(
        "\n{what}, {} pairs of runs of {} s",
        options.pairs, options.seconds
    );
    println!(
        "  requests/s, metrics on               {}",
        spread(&mut rates)
    );
    println!(
        "  µs of CPU a request                  {}",
        spread(&mut costs)
    );
    println!(
        "  CPU on against off, %                {}",
        spread(&mut ratios)
    );
    println!(
        "  of it for metrics, µs                {}",
        spread(&mut differences)
    );
    println!(
        "  unexplained of a request at p95, %   {}",
        spread(&mut rests)
    );
}

struct Measured {
    rate: f64,
    /// Seconds of CPU a request.
    cpu: f64,
    /// The share of a request's time that no stage explains, at the 95th percentile.
    rest: f64,
}

async fn in_process(
    seconds: f64,
    enabled: bool,
    tokenizer: Arc<dyn Tokenize>,
    model: Arc<dyn Score>,
    requests: Arc<[Vec<String>]>,
) -> Measured {
    let registry = if enabled {
        Registry::new()
    } else {
        Registry::disabled()
    };
    let pipeline = Pipeline::start(config(true), tokenizer, model, &registry).expect("a pipeline");
    let stop = Arc::new(AtomicBool::new(false));
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let clients: Vec<_> = (0..32)
        .map(|client| {
            let (stop, pipeline, requests) =
                (Arc::clone(&stop), pipeline.clone(), Arc::clone(&requests));
            tokio::spawn(async move {
                let mut rests = Vec::new();
                for passages in requests.iter().cycle().skip(client * 7) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let ask = Ask::new(QUESTION, passages.iter().cloned());
                    let answer = pipeline.infer(ask).await.expect("an answer");
                    let rest = answer.latency.saturating_sub(answer.timings.explained());
                    rests.push(rest.as_secs_f64() / answer.latency.as_secs_f64());
                }
                rests
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    stop.store(true, Ordering::Relaxed);
    let mut rests = Vec::new();
    for client in clients {
        rests.extend(client.await.expect("a client ends"));
    }
    let count = rests.len() as f64;
    rests.sort_by(f64::total_cmp);
    let counts = &pipeline.recorder().metrics.counts;
    if enabled {
        assert_eq!(counts.started(), rests.len() as u64, "every request counts");
        assert_eq!(counts.finished_in_all(), rests.len() as u64, "and ends");
    }
    let measured = Measured {
        rate: count / start.elapsed().as_secs_f64(),
        cpu: (cpu_seconds() - cpu) / count,
        rest: rests[(rests.len() - 1) * 95 / 100],
    };
    pipeline.drain(Duration::from_secs(5)).await;
    measured
}

/// Pairs a second by the model alone.
fn alone(options: &Options, model: &CrossEncoder, requests: &[Vec<String>]) {
    let mut pairs = encoded(model, requests);
    pairs.sort_by_key(rerank::model::Encoded::len);
    let batches: Vec<Vec<_>> = pairs
        .chunks(32)
        .map(|batch| batch.iter().collect())
        .collect();
    let mut rates = Vec::new();
    for _ in 0..options.pairs {
        let start = Instant::now();
        let mut scored = 0;
        // Every length as often as it is there.
        while scored == 0 || start.elapsed().as_secs_f64() < options.seconds {
            for batch in &batches {
                scored += model.score(batch).expect("scores").len();
            }
        }
        rates.push(scored as f64 / start.elapsed().as_secs_f64());
    }
    println!("\nmodel alone, pairs/s   {}", spread(&mut rates));
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// The median, and an interval for it that holds it 19 times in 20.
fn spread(values: &mut [f64]) -> String {
    values.sort_by(f64::total_cmp);
    let last = values.len() - 1;
    let reach = (0.98 * (values.len() as f64).sqrt()).ceil() as usize;
    let middle = last / 2;
    let (low, high) = (
        values[middle.saturating_sub(reach)],
        values[(middle + reach).min(last)],
    );
    format!(
        "median {:.2} (95 % interval {low:.2} to {high:.2})",
        values[middle]
    )
}

/// The CPU time of every thread of this process, in seconds.
fn cpu_seconds() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux tells its threads");
    let nanoseconds: u64 = tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|stat| stat.split_whitespace().next()?.parse::<u64>().ok())
        .sum();
    nanoseconds as f64 / 1e9
}
