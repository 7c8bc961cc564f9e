//! What the layers cost a request, beside `axum-prometheus`.
//!
//! `cargo bench -p inferometer-http --bench layers`; with `-- --quick` it only shows that every row works.
//!
//! A request goes through axum's router in memory, is answered with eleven bytes, and its body is read to the end. Each row does a share, then
//! every row the next one, so that what disturbs the machine disturbs all. A share's time is processor time of its threads. What a layer costs is
//! its row less the bare router's of the same repetition; a ratio is that of two such costs.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on should stop where it stands, and prints what it found"
)]

use std::{convert::Infallible, sync::Arc, thread, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, Response},
    routing::{Route, get},
};
use axum_prometheus::PrometheusMetricLayer;
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use inferometer::Registry;
use inferometer_http::layers::{
    Caller, ContextLayer, Head, HttpLayer, HttpServer, ProcessTimeLayer, Quota, RateLimit,
    RateLimitLayer,
};
use rustix::time::{ClockId, clock_gettime};
use tower::{Service, layer::layer_fn};

/// A row of the table.
struct Row {
    name: &'static str,
    router: Router,
    /// Nanoseconds of each repetition's requests.
    shares: Vec<f64>,
}

impl Row {
    fn new(name: &'static str, router: Router) -> Self {
        Self {
            name,
            router,
            shares: Vec::new(),
        }
    }
}

fn bare() -> Router {
    Router::new().route("/models/{id}", get(async || "hello world"))
}

fn with_metrics(router: Router) -> (Router, Registry) {
    let registry = Registry::new();
    let metrics: HttpServer = registry.register().unwrap();
    (router.layer(HttpLayer::new(Arc::new(metrics))), registry)
}

fn everybody(_: Head<'_>) -> Option<Caller> {
    Some(Caller::new(&"everybody"))
}

fn rows() -> (Vec<Row>, Registry) {
    let (ours, registry) = with_metrics(bare());
    let disabled: HttpServer = Registry::disabled().register().unwrap();
    let (with_context, _) = with_metrics(bare());
    let (with_all, other) = with_metrics(bare().layer(ProcessTimeLayer::new()));
    let limit: RateLimit = other.register().unwrap();
    let quota = Quota::new(1_000_000_000, Duration::from_secs(1)).unwrap();
    let limited = bare().layer(RateLimitLayer::new(quota, everybody, Arc::new(limit)));
    let (theirs, _handle) = PrometheusMetricLayer::pair();
    let rows = vec![
        Row::new("bare router", bare()),
        Row::new(
            "a layer that does nothing",
            bare().layer(layer_fn(|service: Route| service)),
        ),
        Row::new("HttpLayer", ours),
        Row::new(
            "HttpLayer, recording nothing",
            bare().layer(HttpLayer::new(Arc::new(disabled))),
        ),
        Row::new("axum-prometheus", bare().layer(theirs)),
        Row::new(
            "HttpLayer and ContextLayer",
            with_context.layer(ContextLayer::new()),
        ),
        Row::new(
            "HttpLayer, ContextLayer and ProcessTimeLayer",
            with_all.layer(ContextLayer::new()),
        ),
        Row::new("RateLimitLayer", limited),
    ];
    (rows, registry)
}

/// Serves `requests` and reads their answers.
fn serve(router: &mut Router, requests: u32) {
    for _ in 0..requests {
        let request = Request::get("/models/7").body(Body::empty()).unwrap();
        let answer = Service::<Request<Body>>::call(router, request).now_or_never();
        let answer: Result<Response<Body>, Infallible> = answer.unwrap();
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 200);
        let body = answer
            .into_body()
            .collect()
            .now_or_never()
            .unwrap()
            .unwrap();
        assert_eq!(body.to_bytes().len(), 11);
    }
}

/// Processor time of this thread, in nanoseconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "hours are far below 2^53 nanoseconds"
)]
fn spent() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    (now.tv_sec * 1_000_000_000 + now.tv_nsec) as f64
}

/// Requests before the clock is read.
fn warming(requests: u32) -> u32 {
    requests / 20 + 1
}

/// Nanoseconds of one request, over all threads.
fn share(router: &Router, requests: u32, threads: usize) -> f64 {
    let each: Vec<f64> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                let mut router = router.clone();
                scope.spawn(move || {
                    serve(&mut router, warming(requests));
                    let before = spent();
                    serve(&mut router, requests);
                    (spent() - before) / f64::from(requests)
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect()
    });
    each.iter().sum::<f64>() / f64::from(u32::try_from(threads).unwrap())
}

/// Median, least and greatest.
fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (
        values[values.len() / 2],
        values[0],
        values[values.len() - 1],
    )
}

fn measure(rows: &mut [Row], threads: usize, requests: u32, repetitions: usize) {
    for row in rows.iter_mut() {
        row.shares.clear();
    }
    for _ in 0..repetitions {
        for row in rows.iter_mut() {
            let nanoseconds = share(&row.router, requests, threads);
            row.shares.push(nanoseconds);
        }
    }
    let costs = |row: &Row| -> Vec<f64> {
        row.shares
            .iter()
            .zip(&rows[0].shares)
            .map(|(with, without)| with - without)
            .collect()
    };
    let ours = costs(&rows[2]);
    println!(
        "\n{threads} thread(s), {repetitions} repetitions of {requests} requests, ns of processor time a request\n"
    );
    println!("| row | a request | the layers cost | times HttpLayer |\n|---|---|---|---|");
    for row in &*rows {
        let (whole, least, most) = spread(row.shares.clone());
        let (cost, cheapest, dearest) = spread(costs(row));
        let ratios = costs(row)
            .iter()
            .zip(&ours)
            .map(|(theirs, ours)| theirs / ours)
            .collect();
        let (ratio, lowest, highest) = spread(ratios);
        println!(
            "| {} | {whole:.0} [{least:.0}..{most:.0}] | {cost:.0} [{cheapest:.0}..{dearest:.0}] | {ratio:.2} [{lowest:.2}..{highest:.2}] |",
            row.name
        );
    }
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick" || argument == "--test");
    let (requests, repetitions) = if quick { (100, 2) } else { (40_000, 21) };
    // axum-prometheus tidies up in a task.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let (mut rows, registry) = rows();
    for threads in [1, 2] {
        measure(&mut rows, threads, requests, repetitions);
    }
    // What was counted is what was served.
    let served = u64::try_from(3 * repetitions).unwrap() * u64::from(requests + warming(requests));
    let counted = format!("inferometer_http_server_requests_started_total {served}\n");
    assert!(
        registry.encode_text().contains(&counted),
        "{counted} isn't there"
    );
}
