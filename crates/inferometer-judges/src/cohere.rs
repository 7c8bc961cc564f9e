use serde_json::Value;

use crate::{JudgeError, program};

/// The services that the Cohere client is to drive.
#[derive(Debug, Clone, Copy)]
pub struct CohereSubject<'a> {
    /// Where the API is, without a path: `http://127.0.0.1:8080`.
    pub base_url: &'a str,
    /// A document on which it works until it is told to stop.
    pub held: &'a str,
    /// The same API of a service that is full and must answer 429.
    pub full: &'a str,
}

/// Drives a reranker with the unchanged `cohere` package, through both versions of its API: rankings, the best few, documents given back,
/// many at once, and refusals by their class.
///
/// Returns what the client saw: `model`, `ranking` (the index and the score of each document), `errors`, `late`, `shed`, and its own
/// `counts` of requests at the first service (`ok`, `rejected`, `timeout`) with their `documents` and `tokens`.
///
/// # Errors
/// The first thing that differs from what the client's users rely on; or that `scripts/setup` was not run.
pub fn drive_with_cohere_client(subject: CohereSubject<'_>) -> Result<Value, JudgeError> {
    let CohereSubject {
        base_url,
        held,
        full,
    } = subject;
    program::ask_python(
        "cohere_client.py",
        &[base_url, "--held", held, "--full", full],
    )
}
