use serde_json::Value;

use crate::{JudgeError, program};

/// The services that a gRPC client is to drive, each as `host:port`.
#[derive(Debug, Clone, Copy)]
pub struct GrpcSubject<'a> {
    /// The one that is asked for everything.
    pub address: &'a str,
    /// Where its metrics are: `http://127.0.0.1:8000/metrics`.
    pub metrics: &'a str,
    /// A passage on which it works until it is told to stop.
    pub held: &'a str,
    /// A passage on which it fails.
    pub failing: Option<&'a str>,
    /// One whose own limit on time is short.
    pub hasty: Option<&'a str>,
    /// One whose queue is full.
    pub full: Option<&'a str>,
    /// One that shuts down.
    pub closing: Option<&'a str>,
}

/// Drives a reranker with the package `grpcio`, which learns of its messages by reflection: health, queries with passages, pairs, streams,
/// calls and streams that are cancelled, a deadline that passes, and refusals by their code and words.
///
/// Returns what the client saw: `services`, `health`, `scores`, `stream`, `errors`, `failing`, `late`, `hasty`, `full`, `closing`, and
/// its own `counts` of requests at the first service (`ok`, `rejected`, `error`, `left`, `late`) with their `pairs` and `tokens`.
///
/// # Errors
/// The first thing that differs from what a client relies on; or that `scripts/setup` was not run.
pub fn drive_with_grpc_client(subject: GrpcSubject<'_>) -> Result<Value, JudgeError> {
    let mut arguments = vec![subject.address];
    for (flag, value) in [
        ("--metrics", Some(subject.metrics)),
        ("--held", Some(subject.held)),
        ("--failing", subject.failing),
        ("--hasty", subject.hasty),
        ("--full", subject.full),
        ("--closing", subject.closing),
    ] {
        arguments.extend(value.into_iter().flat_map(|value| [flag, value]));
    }
    program::ask_python("grpc_client.py", &arguments)
}

/// Watches a reranker's health with the package `grpcio` until the watch ends.
///
/// Returns the `statuses` in order, and the `code` with which the watch ended.
///
/// # Errors
/// `scripts/setup` was not run.
pub fn watch_health_with_grpc_client(address: &str) -> Result<Value, JudgeError> {
    program::ask_python("grpc_client.py", &[address, "--watch"])
}
