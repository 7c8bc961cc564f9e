//! What the orchestrator does in a second, and what its metrics cost of it.
//!
//! ```text
//! cargo bench -p orchestrator --all-features --bench costs -- [pipeline] [http] [local] [--seconds 2] [--pairs 20]
//! ```
//!
//! - `pipeline`: through the five stages in process, 256 requests under way. The worker is scripted and answers at once, the corpus
//!   is one line and the rendered template is kept, so what is measured is the pipeline.
//! - `http`: the same over HTTP on loopback, driven by `wrk` (a process of its own) on 64 connections.
//! - `local`: in process, two requests at a time, by the built-in model, 16 tokens each.
//!
//! Runs with metrics on and off alternate, and so does which comes first. CPU time is that of this process' threads
//! (`/proc/self/task/*/schedstat`, in nanoseconds). Without arguments it runs briefly, to show that it works.

#![expect(clippy::print_stdout, reason = "a benchmark tells its figures")]

use std::{
    io::Write as _,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use inferometer::Registry;
use orchestrator::{
    pipeline::{Event, Pipeline, PipelineConfig, PromptRequest},
    retrieval::Library,
    service::{Listeners, Service, ServiceConfig},
    worker::{
        Message, Sampling, Worker,
        local::{LocalWorker, Settings},
        scripted::{Script, ScriptedWorker},
    },
};
use tokio::runtime::{Builder, Runtime};

const QUESTION: &str = "What waits for a worker in a queue?";
const CONNECTIONS: usize = 64;

#[derive(Clone, Copy, Debug)]
enum What {
    Pipeline,
    Http,
    Local,
}

fn main() {
    let (mut seconds, mut pairs, mut what) = (0.2, 1.0, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|value| value.parse().ok());
        match argument.as_str() {
            "--seconds" => seconds = number().expect("--seconds takes a number"),
            "--pairs" => pairs = number().expect("--pairs takes a number"),
            "pipeline" => what.push(What::Pipeline),
            "http" => what.push(What::Http),
            "local" => what.push(What::Local),
            _ => {}
        }
    }
    if what.is_empty() {
        what = vec![What::Pipeline, What::Local];
    }
    println!("resident at the start: {:.1} MB", resident());
    for what in what {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small count"
        )]
        compare(what, Duration::from_secs_f64(seconds), pairs as usize);
    }
}

fn compare(what: What, length: Duration, pairs: usize) {
    let run = |enabled| match what {
        What::Pipeline => in_process(length, enabled, 256, || {
            Arc::new(ScriptedWorker::new(Script::default()))
        }),
        What::Http => over_http(length, enabled),
        What::Local => in_process(length, enabled, 2, || {
            Arc::new(LocalWorker::embedded(Settings::default()).expect("the built-in model loads"))
        }),
    };
    run(true);
    let (mut rates, mut costs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..pairs {
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
    }
    println!(
        "{what:?}, {pairs} pairs of {length:?}, resident {:.1} MB",
        resident()
    );
    println!("  requests/s, metrics on        {}", spread(&mut rates));
    println!("  µs of CPU a request           {}", spread(&mut costs));
    println!("  CPU on against off, %         {}", spread(&mut ratios));
}

/// The median, the quartiles, and an interval for the median that holds it 19 times in 20.
fn spread(values: &mut [f64]) -> String {
    values.sort_by(f64::total_cmp);
    let last = values.len() - 1;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "places in a short list"
    )]
    let reach = (0.98 * (values.len() as f64).sqrt()).ceil() as usize;
    let middle = last / 2;
    let (low, high) = (
        values[middle.saturating_sub(reach)],
        values[(middle + reach).min(last)],
    );
    format!(
        "median {:.2} (95 % interval {low:.2} to {high:.2}; quartiles {:.2}, {:.2})",
        values[middle],
        values[last / 4],
        values[last * 3 / 4],
    )
}

struct Measured {
    rate: f64,
    /// Seconds of CPU a request.
    cpu: f64,
}

impl Measured {
    fn new(requests: u64, start: Instant, cpu: f64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
        let requests = requests as f64;
        Self {
            rate: requests / start.elapsed().as_secs_f64(),
            cpu: (cpu_seconds() - cpu) / requests,
        }
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

fn registry(enabled: bool) -> Registry {
    if enabled {
        Registry::new()
    } else {
        Registry::disabled()
    }
}

fn config() -> PipelineConfig {
    let library =
        Library::from_documents([("line.md", "A queue holds what waits for a worker.")], 200);
    PipelineConfig {
        library: Arc::new(library),
        ..PipelineConfig::default()
    }
}

fn check(pipeline: &Pipeline, enabled: bool, requests: u64) {
    let counts = &pipeline.recorder().metrics.counts;
    if enabled {
        assert_eq!(
            counts.started(),
            counts.finished_in_all(),
            "every request ends once"
        );
        assert_eq!(counts.started(), requests, "every request is counted");
    }
}

fn in_process(
    length: Duration,
    enabled: bool,
    under_way: usize,
    worker: impl FnOnce() -> Arc<dyn Worker>,
) -> Measured {
    let worker = worker();
    runtime().block_on(async move {
        let pipeline =
            Pipeline::start(config(), vec![worker], &registry(enabled)).expect("a pipeline");
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicU64::new(0));
        let (start, cpu) = (Instant::now(), cpu_seconds());
        let clients: Vec<_> = (0..under_way)
            .map(|_| {
                tokio::spawn(client(
                    pipeline.clone(),
                    Arc::clone(&stop),
                    Arc::clone(&done),
                ))
            })
            .collect();
        tokio::time::sleep(length).await;
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.await.expect("a client ends");
        }
        let requests = done.load(Ordering::Relaxed);
        let measured = Measured::new(requests, start, cpu);
        check(&pipeline, enabled, requests);
        measured
    })
}

async fn client(pipeline: Pipeline, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) {
    let stops: Arc<[String]> = Arc::new([]);
    let messages = vec![Message {
        role: "user".into(),
        content: QUESTION.into(),
    }];
    while !stop.load(Ordering::Relaxed) {
        let request = PromptRequest {
            session: None,
            model: None,
            messages: messages.clone(),
            sampling: Sampling {
                temperature: 0.0,
                top_p: 1.0,
                seed: 0,
                max_tokens: 16,
                stop: Arc::clone(&stops),
            },
            timeout: None,
        };
        let mut answer = pipeline.submit(request).expect("there is a place");
        while let Some(event) = answer.next().await {
            assert!(!matches!(event, Event::Failed(_)), "{event:?}");
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
}

fn over_http(length: Duration, enabled: bool) -> Measured {
    let mut script = tempfile::NamedTempFile::new().expect("a file for wrk's script");
    write!(
        script,
        "wrk.method='POST' wrk.headers['Content-Type']='application/json' wrk.body='{{\"model\":\"default\",\
         \"max_tokens\":16,\"messages\":[{{\"role\":\"user\",\"content\":\"{QUESTION}\"}}]}}'\n\
         done=function(s) local e=s.errors io.write('requests='..s.requests..' errors='..\
         (e.connect+e.read+e.write+e.status+e.timeout)..'\\n') end\n"
    )
    .expect("the script is written");
    let runtime = runtime();
    let worker: Arc<dyn Worker> = Arc::new(ScriptedWorker::new(Script::default()));
    let service = runtime.block_on(async {
        let config = ServiceConfig {
            pipeline: config(),
            ..ServiceConfig::new(vec![worker])
        };
        Service::start(
            config,
            Listeners::on_free_ports().expect("ports"),
            registry(enabled),
        )
        .expect("a service")
    });
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let output = Command::new("wrk")
        .args([
            "-t1",
            &format!("-c{CONNECTIONS}"),
            &format!("-d{}s", length.as_secs().max(1)),
            "-s",
        ])
        .arg(script.path())
        .arg(format!("http://{}/v1/chat/completions", service.api()))
        .output()
        .expect("wrk runs; scripts/setup installs it");
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = |name: &str| -> u64 {
        let value = output
            .split_whitespace()
            .find_map(|word| word.strip_prefix(name)?.parse().ok());
        value.expect("wrk prints what its script says")
    };
    assert_eq!(told("errors="), 0, "every request is answered with 200");
    let measured = Measured::new(told("requests="), start, cpu);
    runtime.block_on(service.stop(Duration::from_secs(5)));
    measured
}

/// The CPU time of every thread of this process, in seconds.
fn cpu_seconds() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux tells its threads");
    let nanoseconds: u64 = tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|stat| stat.split_whitespace().next()?.parse::<u64>().ok())
        .sum();
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of CPU")]
    let seconds = nanoseconds as f64 / 1e9;
    seconds
}

/// The resident memory of this process, in MB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = status.lines().find_map(|line| {
        line.strip_prefix("VmRSS:")?
            .split_whitespace()
            .next()?
            .parse()
            .ok()
    });
    let kilobytes: f64 = kilobytes.unwrap_or(f64::NAN);
    kilobytes / 1e3
}
