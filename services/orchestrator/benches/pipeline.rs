//! Requests per second through the five stages, in process, and what the metrics cost of it.
//!
//! ```text
//! cargo bench -p orchestrator --bench pipeline -- --seconds 2 --pairs 20
//! ```
//!
//! The worker is scripted and answers at once, the corpus is one line, the rendered template is kept: what is measured is the
//! pipeline. Runs with metrics on and off alternate; CPU time is the process's own (`/proc/self/stat` has too coarse a clock, so
//! `/proc/self/schedstat` of every thread is added up).

use std::{
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
    worker::{
        Message, Sampling, Worker,
        scripted::{Script, ScriptedWorker},
    },
};

/// How many requests are under way at once.
const IN_FLIGHT: usize = 256;

fn main() {
    let mut seconds = 0.2;
    let mut pairs = 1;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().and_then(|value| value.parse::<f64>().ok());
        match argument.as_str() {
            "--seconds" => seconds = value().expect("--seconds takes a number"),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a small count"
            )]
            "--pairs" => pairs = value().expect("--pairs takes a number") as usize,
            _ => {}
        }
    }
    let length = Duration::from_secs_f64(seconds);
    run(length, true);
    let (mut rates, mut ratios) = (Vec::new(), Vec::new());
    for pair in 0..pairs {
        // Who comes first alternates too.
        let first = run(length, pair % 2 == 0);
        let second = run(length, pair % 2 == 1);
        let (on, off) = if pair % 2 == 0 {
            (first, second)
        } else {
            (second, first)
        };
        println!(
            "on {:9.0}/s {:6.2} µs CPU   off {:9.0}/s {:6.2} µs CPU",
            on.rate,
            on.cpu * 1e6,
            off.rate,
            off.cpu * 1e6
        );
        rates.push(on.rate);
        ratios.push(on.cpu / off.cpu - 1.0);
    }
    let (low, mid, high) = quartiles(&mut rates);
    println!("requests per second, metrics on: median {mid:.0}, quartiles {low:.0} to {high:.0}");
    let (low, mid, high) = quartiles(&mut ratios);
    println!(
        "CPU a request, on against off: median {:+.2} %, quartiles {:+.2} to {:+.2} %",
        mid * 100.0,
        low * 100.0,
        high * 100.0
    );
}

fn quartiles(values: &mut [f64]) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |share: usize| values[(values.len() - 1) * share / 4];
    (at(1), at(2), at(3))
}

struct Measured {
    rate: f64,
    /// Seconds of CPU a request.
    cpu: f64,
}

fn run(length: Duration, enabled: bool) -> Measured {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let registry = if enabled {
        Registry::new()
    } else {
        Registry::disabled()
    };
    let measured = runtime.block_on(async move {
        let library =
            Library::from_documents([("line.md", "A queue holds what waits for a worker.")], 200);
        let config = PipelineConfig {
            library: Arc::new(library),
            ..PipelineConfig::default()
        };
        let worker: Arc<dyn Worker> = Arc::new(ScriptedWorker::new(Script::default()));
        let pipeline = Pipeline::start(config, vec![worker], &registry).expect("a pipeline");
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicU64::new(0));
        let (start, cpu) = (Instant::now(), cpu_seconds());
        let clients: Vec<_> = (0..IN_FLIGHT)
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
        #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
        let requests = done.load(Ordering::Relaxed) as f64;
        let measured = Measured {
            rate: requests / start.elapsed().as_secs_f64(),
            cpu: (cpu_seconds() - cpu) / requests,
        };
        let counts = &pipeline.recorder().metrics.counts;
        if enabled {
            assert_eq!(
                counts.started(),
                counts.finished_in_all(),
                "every request ends once"
            );
            assert_eq!(counts.started(), done.load(Ordering::Relaxed));
        }
        measured
    });
    drop(runtime);
    measured
}

async fn client(pipeline: Pipeline, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) {
    let stops: Arc<[String]> = Arc::new([]);
    let messages = vec![Message {
        role: "user".into(),
        content: "What waits for a worker in a queue?".into(),
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
