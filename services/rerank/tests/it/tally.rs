//! What clients sent and what came back, counted by them alone, and what the metrics have to say of it.

use std::collections::{BTreeMap, BTreeSet};

use inferometer::{Kind, LabelValue as _, descriptors, lifecycle::Outcome};
use inferometer_catalog::rerank::{ErrorType, Rerank, ShedReason, Stage};
use rerank::grpc::proto::{
    InferRequest, InferResponse, InferStreamResponse, infer_stream_response::Result as Of,
};
use serde_json::json;
use tonic::{Code, Response, Status};

use crate::served::Reply;

/// A query and its passages, to be asked in one way or another.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    query: String,
    passages: Vec<String>,
}

impl Question {
    pub(crate) fn new(query: &str, passages: &[&str]) -> Self {
        Self {
            query: query.to_owned(),
            passages: passages.iter().map(|&passage| passage.into()).collect(),
        }
    }

    pub(crate) fn request(&self) -> InferRequest {
        InferRequest {
            query: self.query.clone(),
            passages: self.passages.clone(),
            ..InferRequest::default()
        }
    }

    pub(crate) fn body(&self) -> String {
        json!({"query": self.query, "documents": self.passages}).to_string()
    }

    fn pairs(&self) -> u64 {
        self.passages.len() as u64
    }

    fn orders(&self, order: &str) -> bool {
        self.passages.iter().any(|passage| passage.contains(order))
    }
}

/// Figures of a service, wherever they were read.
pub(crate) trait Figures {
    /// The sum over the series of `selector`: a name, and perhaps labels that they have.
    fn sum(&self, selector: &str) -> f64;
}

/// How often something happened, by its name.
type Counts = BTreeMap<&'static str, u64>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    finished: Counts,
    errors: Counts,
    shed: Counts,
    missed: Counts,
    restarts: u64,
    /// Made into tokens, answered or not.
    tokenized: u64,
    pairs: u64,
    truncated: u64,
    tokens: u64,
    /// Pairs that went to the model, scored or not.
    released: u64,
    messages_read: u64,
    messages_written: u64,
    calls: Counts,
    exchanges: BTreeMap<String, u64>,
}

impl Tally {
    /// A call has ended so.
    pub(crate) fn called(
        &mut self,
        question: &Question,
        answer: &Result<Response<InferResponse>, Status>,
    ) {
        let code = answer.as_ref().err().map_or(Code::Ok, Status::code);
        *self.calls.entry(code_name(code)).or_default() += 1;
        self.messages_read += 1;
        match answer {
            Ok(answer) => {
                self.messages_written += 1;
                let answer = answer.get_ref();
                self.answered(question.pairs(), answer.tokens, answer.truncated);
            }
            Err(status) => self.failed(question, status.code(), status.message()),
        }
    }

    /// A request within a stream was answered so.
    pub(crate) fn streamed(&mut self, question: &Question, answer: &InferStreamResponse) {
        self.messages_read += 1;
        self.messages_written += 1;
        match answer.result.as_ref().unwrap() {
            Of::Scores(scores) => {
                self.answered(question.pairs(), scores.tokens, scores.truncated);
            }
            Of::Error(error) => self.failed(question, error.code.into(), &error.message),
        }
    }

    /// A stream has ended well.
    pub(crate) fn stream_ended(&mut self) {
        *self.calls.entry(code_name(Code::Ok)).or_default() += 1;
    }

    /// A `POST` was answered so.
    pub(crate) fn posted(&mut self, question: &Question, reply: &Reply) {
        *self.exchanges.entry(reply.status.to_string()).or_default() += 1;
        let message = reply.body["error"]["message"].as_str().unwrap_or_default();
        let code = match reply.status {
            200 => {
                // One shape of the answer doesn't say how many tokens there were: then each word is one.
                let words = |text: &str| text.split_whitespace().count() as u64;
                let query = words(&question.query);
                let counted = question.passages.iter().map(|text| words(text) + query);
                let usage = reply.body["usage"]["total_tokens"].as_u64();
                let tokens = usage.unwrap_or_else(|| counted.sum());
                let truncated = reply.body["meta"]["truncated"].as_u64().unwrap_or(0);
                let truncated = u32::try_from(truncated).unwrap();
                return self.answered(question.pairs(), tokens, truncated);
            }
            400..=428 => Code::InvalidArgument,
            429 => Code::ResourceExhausted,
            503 => Code::Unavailable,
            504 => Code::DeadlineExceeded,
            _ => Code::Internal,
        };
        self.failed(question, code, message);
    }

    /// A call, or a stream with one request, was left while its pairs waited to be put into a batch.
    pub(crate) fn left_call(&mut self) {
        *self.calls.entry(code_name(Code::Cancelled)).or_default() += 1;
        self.messages_read += 1;
        self.left();
    }

    /// The same of a `POST`.
    pub(crate) fn left_post(&mut self) {
        *self.exchanges.entry("none".into()).or_default() += 1;
        self.left();
    }

    fn left(&mut self) {
        self.tokenized += 1;
        *self.finished.entry("cancelled").or_default() += 1;
    }

    fn answered(&mut self, pairs: u64, tokens: u64, truncated: u32) {
        *self.finished.entry("ok").or_default() += 1;
        self.tokenized += 1;
        self.pairs += pairs;
        self.released += pairs;
        self.tokens += tokens;
        self.truncated += u64::from(truncated);
    }

    /// What the client was told of a request without an answer.
    fn failed(&mut self, question: &Question, code: Code, message: &str) {
        let mut error = |name| *self.errors.entry(name).or_default() += 1;
        let outcome = match code {
            Code::InvalidArgument => {
                error("invalid_request");
                "rejected"
            }
            Code::ResourceExhausted | Code::Unavailable => {
                let reasons = [
                    ("the queue is full", "queue_full"),
                    ("the expected wait", "expected_wait"),
                    ("shutting down", "shutting_down"),
                ];
                let reason = reasons.iter().find(|(says, _)| message.contains(says));
                *self.shed.entry(reason.unwrap().1).or_default() += 1;
                "shed"
            }
            Code::DeadlineExceeded => {
                error("timeout");
                let (_, stage) = message.split_once('`').unwrap();
                let stage = stage.split('`').next().unwrap();
                let stages = Stage::VALUES.unwrap();
                let stage = *stages.iter().find(|known| **known == stage).unwrap();
                *self.missed.entry(stage).or_default() += 1;
                self.tokenized += u64::from(stage == "batch_queue" || stage == "model_queue");
                "timeout"
            }
            Code::Internal if message.contains("tokens") => {
                error("tokenizer");
                "error"
            }
            Code::Internal => {
                let panicked = message.contains("panicked");
                error(if panicked { "panic" } else { "model" });
                self.restarts += u64::from(panicked);
                if !question.orders("tokenizer-panics") {
                    self.tokenized += 1;
                    self.released += question.pairs();
                }
                if panicked { "panicked" } else { "error" }
            }
            other => panic!("a request ends with {other:?}: {message}"),
        };
        *self.finished.entry(outcome).or_default() += 1;
    }

    pub(crate) fn finished(&self, outcome: &str) -> u64 {
        self.finished.get(outcome).copied().unwrap_or_default()
    }

    /// Every figure that a client can know, and what it has to be.
    fn figures(&self) -> Vec<(String, u64)> {
        let ok = self.finished("ok");
        let mut figures: Vec<(String, u64)> = [
            (
                "rerank_requests_started_total",
                self.finished.values().sum(),
            ),
            ("request_count_total", ok),
            ("worker_request_count_total{worker_type=\"model\"}", ok),
            (
                "worker_request_count_total{worker_type=\"tokenizer\"}",
                self.tokenized,
            ),
            (
                "rerank_worker_duration_seconds_count{worker_type=\"tokenizer\"}",
                self.tokenized,
            ),
            ("rerank_worker_restarts_total", self.restarts),
            ("rerank_pairs_total", self.pairs),
            ("rerank_pairs_truncated_total", self.truncated),
            ("rerank_sequence_tokens_count", self.pairs),
            ("rerank_sequence_tokens_sum", self.tokens),
            ("rerank_request_pairs_count", ok),
            ("rerank_request_pairs_sum", self.pairs),
            ("rerank_batch_size_pairs_sum", self.released),
            (
                "grpc_serialize_latency_seconds_count",
                self.messages_written,
            ),
            ("grpc_deserialize_latency_seconds_count", self.messages_read),
            (
                "inferometer_grpc_server_calls_started_total",
                self.calls.values().sum(),
            ),
            (
                "inferometer_http_server_requests_started_total",
                self.exchanges.values().sum(),
            ),
        ]
        .map(|(series, count)| (series.to_owned(), count))
        .into();
        for stage in STAGES.iter().chain(&["request", "queue_wait"]) {
            figures.push((format!("{stage}_latency_seconds_count"), ok));
        }
        let mut by = |name: &str, values: Option<&'static [&'static str]>, counts: &Counts| {
            for value in values.unwrap() {
                let count = counts.get(value).copied().unwrap_or_default();
                figures.push((name.replace("{}", value), count));
            }
        };
        by(
            "rerank_requests_finished_total{outcome=\"{}\"}",
            Outcome::VALUES,
            &self.finished,
        );
        by(
            "rerank_errors_total{error_type=\"{}\"}",
            ErrorType::VALUES,
            &self.errors,
        );
        by(
            "rerank_requests_shed_total{reason=\"{}\"}",
            ShedReason::VALUES,
            &self.shed,
        );
        by(
            "rerank_deadline_misses_total{stage=\"{}\"}",
            Stage::VALUES,
            &self.missed,
        );
        for (code, count) in &self.calls {
            let name = "inferometer_grpc_server_calls_finished_total";
            figures.push((format!("{name}{{code=\"{code}\"}}"), *count));
        }
        for (status, count) in &self.exchanges {
            let name = "inferometer_http_server_requests_finished_total";
            figures.push((format!("{name}{{code=\"{status}\"}}"), *count));
        }
        figures
    }

    /// Holds the figures against what the clients counted.
    ///
    /// # Panics
    /// If one differs, or the catalogue has a counter or a histogram that isn't looked at.
    pub(crate) fn compare(&self, read: &impl Figures) {
        let figures = self.figures();
        let differing: Vec<_> = figures
            .iter()
            .map(|(series, expected)| (series, read.sum(series), *expected as f64))
            .filter(|(_, found, expected)| found != expected)
            .collect();
        assert!(
            differing.is_empty(),
            "the metrics have, and the clients counted: {differing:#?}, of {self:#?}"
        );
        let sum = |series| read.sum(series);
        assert_eq!(
            sum("total_tokens_total") - sum("padded_tokens_total"),
            self.tokens as f64
        );
        let batches = sum("rerank_batches_released_total");
        for series in ["rerank_batch_size_pairs_count", "rerank_batch_tokens_count"] {
            assert_eq!(sum(series), batches, "{series}");
        }
        let stages = STAGES
            .iter()
            .map(|stage| read.sum(&format!("{stage}_latency_seconds_sum")));
        let (stages, whole) = (stages.sum::<f64>(), sum("request_latency_seconds_sum"));
        assert!((stages - whole).abs() < 1e-6, "{stages} of {whole}");
        every_name_is_looked_at(&figures);
    }
}

/// The stages that make up a request's latency.
const STAGES: [&str; 9] = [
    "tokenizer_queue_wait",
    "tokenization",
    "mp_queue_send",
    "scheduler",
    "model_queue_wait",
    "mp_queue_receive",
    "inference",
    "overhead",
    "pipeline_overhead",
];

fn every_name_is_looked_at(figures: &[(String, u64)]) {
    // A client can't know how its pairs were put together; these are held against each other.
    let mut looked_at = BTreeSet::from([
        "padded_tokens_total",
        "total_tokens_total",
        "rerank_batches_released_total",
        "rerank_batch_tokens",
    ]);
    looked_at.extend(figures.iter().map(|(series, _)| {
        let name = series.split('{').next().unwrap();
        name.strip_suffix("_count").unwrap_or(name)
    }));
    for descriptor in descriptors::<Rerank>() {
        let name = &*descriptor.name;
        let counts = matches!(descriptor.kind, Kind::Counter | Kind::Histogram);
        // A sum tells of its histogram, too.
        let summed = looked_at.contains(&*format!("{name}_sum"));
        assert!(
            !counts || summed || looked_at.contains(name),
            "{name} is not held against what the clients counted"
        );
    }
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        other => panic!("no call ends with {other:?}"),
    }
}
