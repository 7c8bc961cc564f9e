//! Upstreams that fail in every way there is, behind a running service.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use orchestrator::worker::{
    Worker,
    upstream::{Backoff, Secret, UpstreamConfig, UpstreamWorker},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::served::{Reply, Scrape, Served, error_of, question, scripted};

const KEY: &str = "sk-Very0Secret1Key";

/// What the upstream does with one connection: writes this, and closes or waits for the other side to.
#[derive(Clone)]
enum Act {
    Say(String),
    SayAndHang(String),
}

/// A server that plays one act a connection, the last one again and again.
struct Upstream {
    base: String,
    asked: Arc<AtomicUsize>,
}

impl Upstream {
    async fn start(acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/v1", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let act = acts[count.fetch_add(1, SeqCst).min(acts.len() - 1)].clone();
                tokio::spawn(play(stream, act));
            }
        });
        Self { base, asked }
    }

    async fn worker(&self) -> Arc<dyn Worker> {
        worker(&self.base).await
    }
}

async fn worker(base: &str) -> Arc<dyn Worker> {
    let config = UpstreamConfig {
        model: Some("big".to_owned()),
        api_key: Some(Secret::new(KEY)),
        first_token_timeout: Duration::from_millis(150),
        idle_timeout: Duration::from_millis(150),
        backoff: Backoff {
            base: Duration::from_millis(1),
            cap: Duration::from_millis(5),
        },
        ..UpstreamConfig::new(base)
    };
    Arc::new(UpstreamWorker::connect(config).await.unwrap())
}

async fn play(mut stream: TcpStream, act: Act) {
    let mut request = Vec::new();
    loop {
        stream.read_buf(&mut request).await.unwrap();
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        assert!(head.contains(&format!("Bearer {KEY}")), "the key is sent");
        let length = head
            .to_ascii_lowercase()
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            break;
        }
    }
    let (text, hang) = match act {
        Act::Say(text) => (text, false),
        Act::SayAndHang(text) => (text, true),
    };
    // A client that left early has no use for the rest.
    let _ = stream.write_all(text.as_bytes()).await;
    if hang {
        while stream
            .read_buf(&mut request)
            .await
            .is_ok_and(|read| read > 0)
        {}
    }
}

/// An error answer that quotes the key, as a careless upstream does.
fn refusal(status: &str, headers: &str) -> Act {
    let body = format!(r#"{{"error":{{"message":"key {KEY}","type":"{KEY}","code":"{KEY}"}}}}"#);
    Act::Say(format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    ))
}

fn stream(events: &[&str]) -> String {
    let events: String = events
        .iter()
        .map(|event| format!("data: {event}\n\n"))
        .collect();
    format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\n{events}"
    )
}

const HALF: &str = r#"{"choices":[{"index":0,"delta":{"content":"half of it "}}]}"#;
const END: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str =
    r#"{"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}}"#;

fn fine() -> Act {
    Act::Say(stream(&[HALF, END, USAGE, "[DONE]"]))
}

/// What came of one streamed and one whole question to a service with this upstream alone.
struct Seen {
    streamed: Reply,
    whole: Reply,
    scrape: Scrape,
    asked: usize,
}

async fn see(acts: Vec<Act>) -> Seen {
    let upstream = Upstream::start(acts).await;
    let asked = Arc::clone(&upstream.asked);
    let seen = see_at(upstream.worker().await).await;
    Seen {
        asked: asked.load(SeqCst),
        ..seen
    }
}

async fn see_at(worker: Arc<dyn Worker>) -> Seen {
    let served = Served::by(vec![worker]);
    let streamed = served.chat("", &question(8, true)).await;
    let whole = served.chat("", &question(8, false)).await;
    let page = served.metrics("/metrics", "text/plain").await.text();
    for text in [&streamed.body, &whole.body, &page] {
        assert!(!text.contains(KEY), "the key is told: {text}");
    }
    Seen {
        streamed,
        whole,
        scrape: served.rest().await,
        asked: 0,
    }
}

impl Seen {
    fn retries(&self) -> f64 {
        self.scrape
            .value("orchestrator_worker_retries_total{worker_type=\"openai\"}")
    }

    /// Both questions failed before their first token, with the same status, code and series.
    fn fails(&self, status: u16, kind: &str, code: &str, error_type: &str, outcome: &str) {
        for reply in [&self.streamed, &self.whole] {
            assert_eq!(reply.status, status, "{reply:?}");
            assert_eq!(reply.error(), (kind.to_owned(), code.to_owned()));
        }
        self.counts(error_type, outcome);
    }

    fn counts(&self, error_type: &str, outcome: &str) {
        assert_eq!(
            self.scrape.errors(),
            [(format!("inference/{error_type}"), 2.0)]
        );
        assert_eq!(self.scrape.finished(outcome), 2.0, "{outcome}");
        assert_eq!(
            self.scrape.value("orchestrator_requests_started_total"),
            2.0
        );
    }

    /// The streamed answer began and then broke off with this code; the whole one has the status that goes with it.
    fn breaks_off(&self, status: u16, kind: &str, code: &str, error_type: &str, outcome: &str) {
        assert_eq!(self.streamed.status, 200);
        let events = self.streamed.events();
        assert!(!events.contains(&"[DONE]"), "{events:?}");
        assert!(events.iter().any(|event| event.contains("half")));
        let last: Value = serde_json::from_str(events.last().unwrap()).unwrap();
        let error = (kind.to_owned(), code.to_owned());
        assert_eq!(error_of(&last), error);
        assert_eq!((self.whole.status, self.whole.error()), (status, error));
        self.counts(error_type, outcome);
        // What was delivered before counts.
        assert_eq!(
            self.scrape
                .value("orchestrator_tokens_generated_total{worker_type=\"openai\"}"),
            2.0
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_upstream_is_passed_through_with_its_own_count_of_tokens() {
    let seen = see(vec![fine()]).await;
    assert_eq!(seen.streamed.streamed_text(), "half of it ");
    let usage = &seen.whole.json()["usage"];
    assert_eq!(
        (&usage["prompt_tokens"], &usage["completion_tokens"]),
        (&11.into(), &7.into())
    );
    for (counter, expected) in [("tokens_generated", 14.0), ("prompt_tokens", 22.0)] {
        let series = format!("orchestrator_{counter}_total{{worker_type=\"openai\"}}");
        assert_eq!(seen.scrape.value(&series), expected, "{series}");
    }
    assert_eq!(seen.scrape.finished("ok"), 2.0);
    assert_eq!((seen.scrape.errors(), seen.retries()), (vec![], 0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_hangs_before_its_headers_times_out() {
    let seen = see(vec![Act::SayAndHang(String::new())]).await;
    seen.fails(504, "timeout", "deadline_exceeded", "timeout", "timeout");
    assert_eq!((seen.retries(), seen.asked), (4.0, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_hangs_midway_times_out_in_the_stream() {
    let seen = see(vec![Act::SayAndHang(stream(&[HALF]))]).await;
    seen.breaks_off(504, "timeout", "deadline_exceeded", "timeout", "timeout");
    // Text was handed on: there is no second try.
    assert_eq!((seen.retries(), seen.asked), (0.0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_always_fails_is_asked_three_times() {
    let seen = see(vec![refusal("500 Internal Server Error", "")]).await;
    seen.fails(
        502,
        "upstream_error",
        "upstream_status",
        "upstream_status",
        "error",
    );
    assert_eq!((seen.retries(), seen.asked), (4.0, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_recovers_costs_a_retry_and_no_error() {
    let broken = refusal("500 Internal Server Error", "");
    let seen = see(vec![broken.clone(), fine(), broken, fine()]).await;
    assert_eq!(seen.streamed.streamed_text(), "half of it ");
    assert_eq!(seen.whole.status, 200);
    assert_eq!((seen.scrape.errors(), seen.retries()), (vec![], 2.0));
    assert_eq!(seen.scrape.finished("ok"), 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_is_waited_out_or_told() {
    let limited = refusal("429 Too Many Requests", "retry-after-ms: 60\r\n");
    let seen = see(vec![limited, fine()]).await;
    assert_eq!(seen.streamed.streamed_text(), "half of it ");
    assert_eq!((seen.scrape.errors(), seen.retries()), (vec![], 1.0));

    // Longer than the pipeline's own deadline: waiting is of no use.
    let seen = see(vec![refusal(
        "429 Too Many Requests",
        "retry-after: 3600\r\n",
    )])
    .await;
    seen.fails(
        502,
        "upstream_error",
        "upstream_rate_limited",
        "rate_limited",
        "error",
    );
    assert_eq!((seen.retries(), seen.asked), (0.0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_is_told_without_the_key() {
    let seen = see(vec![refusal("401 Unauthorized", "")]).await;
    seen.fails(
        502,
        "upstream_error",
        "upstream_authentication",
        "authentication",
        "error",
    );
    assert_eq!((seen.retries(), seen.asked), (0.0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_a_bad_response() {
    for garbage in [
        stream(&["{oops"]),
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>".to_owned(),
    ] {
        let seen = see(vec![Act::Say(garbage)]).await;
        seen.fails(502, "upstream_error", "bad_response", "bad_response", "error");
    }
    // Not even HTTP.
    let seen = see(vec![Act::Say("\u{1}\u{2}\u{3} hello\r\n\r\n".to_owned())]).await;
    seen.fails(
        502,
        "upstream_error",
        "connection_failed",
        "connection",
        "error",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_closes_midway_breaks_the_stream_off() {
    let seen = see(vec![Act::Say(stream(&[HALF]))]).await;
    seen.breaks_off(
        502,
        "upstream_error",
        "stream_closed",
        "stream_closed",
        "error",
    );
    assert_eq!((seen.retries(), seen.asked), (0.0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_not_there_is_a_failed_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    let seen = see_at(worker(&base).await).await;
    seen.fails(
        502,
        "upstream_error",
        "connection_failed",
        "connection",
        "error",
    );
    assert_eq!(seen.retries(), 4.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_worker_takes_over_and_the_handover_is_counted() {
    let upstream = Upstream::start(vec![refusal("503 Service Unavailable", "")]).await;
    let served = Served::by(vec![upstream.worker().await, scripted("tokens=3")]);
    for stream in [true, false] {
        let reply = served.chat("", &question(8, stream)).await;
        assert_eq!(reply.status, 200);
        assert!(reply.body.contains("river"));
    }
    // The second went straight to the worker that works.
    assert_eq!(upstream.asked.load(SeqCst), 3);
    let scrape = served.rest().await;
    assert_eq!(
        scrape.value("orchestrator_worker_failovers_total{from=\"openai\",to=\"scripted\"}"),
        1.0
    );
    assert_eq!(scrape.sum("orchestrator_worker_failovers_total"), 1.0);
    assert_eq!(
        scrape.value("orchestrator_worker_retries_total{worker_type=\"openai\"}"),
        2.0
    );
    assert_eq!(scrape.finished("ok"), 2.0);
    assert_eq!(scrape.errors(), []);
    assert_eq!(
        scrape.value("orchestrator_tokens_generated_total{worker_type=\"scripted\"}"),
        6.0
    );

    // What a worker began is not begun again by another.
    let upstream = Upstream::start(vec![Act::Say(stream(&[HALF]))]).await;
    let served = Served::by(vec![upstream.worker().await, scripted("tokens=3")]);
    let reply = served.chat("", &question(8, true)).await;
    assert!(!reply.events().contains(&"[DONE]") && !reply.body.contains("river"));
    let scrape = served.rest().await;
    assert_eq!(scrape.sum("orchestrator_worker_failovers_total"), 0.0);
    assert_eq!(scrape.finished("error"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_the_exchange_with_the_upstream() {
    let upstream = Upstream::start(vec![Act::SayAndHang(stream(&[HALF]))]).await;
    let config = UpstreamConfig {
        model: Some("big".to_owned()),
        api_key: Some(Secret::new(KEY)),
        ..UpstreamConfig::new(&upstream.base)
    };
    let worker = Arc::new(UpstreamWorker::connect(config).await.unwrap());
    let served = Served::by(vec![worker]);
    let mut client = served.ask("", &question(8, true)).await;
    client.read_until("half of", 1).await;
    drop(client);
    let scrape = served.rest().await;
    assert_eq!(scrape.finished("cancelled"), 1.0);
    assert_eq!(scrape.errors(), []);
    assert_eq!(
        scrape.value("orchestrator_tokens_generated_total{worker_type=\"openai\"}"),
        1.0
    );
}
