//! What the API refuses: the answer's shape, and that each refusal counts once.

use std::{sync::Arc, time::Duration};

use orchestrator::{api::ApiLimits, pipeline::PipelineConfig, worker::Worker};
use serde_json::json;

use crate::{
    gate::Gate,
    served::{Client, Reply, Served, chat, question, scripted},
};

fn small_bodies() -> Served {
    let limits = ApiLimits {
        body_bytes: 1000,
        body_timeout: Duration::from_millis(200),
        ..ApiLimits::default()
    };
    Served::start(
        PipelineConfig::default(),
        vec![scripted("tokens=4,context=200")],
        limits,
    )
}

async fn send(served: &Served, request: &str) -> Reply {
    let mut client = Client::connect(served.0.api()).await;
    client.send(request).await;
    client.reply().await
}

/// Sends what must be refused, and checks the answer and that it counts as one rejected request.
async fn refused(served: &Served, request: &str, status: u16, code: &str) {
    let before = served.rest().await;
    let reply = send(served, request).await;
    assert_eq!(reply.status, status, "{reply:?}");
    assert_eq!(reply.error().1, code, "{reply:?}");
    assert!(reply.header("x-request-id").is_some());
    let after = served.rest().await;
    let grown = |series: &str| after.value(series) - before.value(series);
    for series in [
        "orchestrator_requests_started_total",
        "orchestrator_requests_finished_total{outcome=\"rejected\"}",
    ] {
        assert_eq!(grown(series), 1.0, "{series} after {request}");
    }
    let failed = after.sum("orchestrator_errors_total") - before.sum("orchestrator_errors_total");
    assert_eq!(failed, 1.0, "one error after {request}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_field_is_refused_and_counts_once() {
    let served = small_bodies();
    let message = json!([{"role": "user", "content": "hello"}]);
    let cases = [
        (json!({}), 400, "invalid_json"),
        (json!([]), 400, "invalid_json"),
        (json!({"messages": []}), 400, "invalid_value"),
        (json!({"messages": "hello"}), 400, "invalid_value"),
        (
            json!({"messages": [{"role": "nobody", "content": "x"}]}),
            400,
            "invalid_value",
        ),
        (
            json!({"messages": [{"role": "tool", "content": "x"}]}),
            400,
            "unsupported_value",
        ),
        (
            json!({"messages": [{"role": "assistant", "content": "x"}]}),
            400,
            "invalid_value",
        ),
        (
            json!({"messages": message, "temperature": 2.1}),
            400,
            "invalid_value",
        ),
        (
            json!({"messages": message, "top_p": -0.1}),
            400,
            "invalid_value",
        ),
        (
            json!({"messages": message, "max_tokens": 0}),
            400,
            "invalid_value",
        ),
        (
            json!({"messages": message, "max_tokens": 1_000_000}),
            400,
            "invalid_value",
        ),
        (
            json!({"messages": message, "stop": ["1", "2", "3", "4", "5"]}),
            400,
            "invalid_value",
        ),
        (
            json!({"messages": message, "n": 2}),
            400,
            "unsupported_value",
        ),
        (
            json!({"messages": message, "tools": [{"type": "function"}]}),
            400,
            "unsupported_value",
        ),
        (
            json!({"messages": message, "model": "gpt-9"}),
            404,
            "model_not_found",
        ),
        // Within the body's limit, but not within the model's window.
        (
            json!({"messages": [{"role": "user", "content": "a ".repeat(400)}]}),
            400,
            "invalid_value",
        ),
    ];
    for (body, status, code) in cases {
        refused(&served, &chat("", &body.to_string()), status, code).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_request_is_refused_and_counts_once() {
    let served = small_bodies();
    let good = question(4, false).to_string();
    let with = |headers: &str| chat(headers, &good);
    let typed = |kind: &str| with("").replace("application/json", kind);
    let half = with("").replace(&good, &good[..20]);
    let cases = [
        (chat("", "{\"messages\": ["), 400, "invalid_json"),
        (chat("", ""), 400, "invalid_json"),
        (with("x-session-id: a b\r\n"), 400, "invalid_value"),
        (with("x-request-timeout: soon\r\n"), 400, "invalid_value"),
        (with("x-request-timeout: 601\r\n"), 400, "invalid_value"),
        (typed("text/plain"), 415, "unsupported_media_type"),
        (chat("", &" ".repeat(1001)), 413, "body_too_large"),
        (half, 408, "body_timeout"),
    ];
    for (request, status, code) in cases {
        refused(&served, &request, status, code).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_prompt_is_answered_in_shape_and_not_counted() {
    let served = small_bodies();
    for (line, status, code) in [
        ("GET /v1/chat/completions", 405, "method_not_allowed"),
        ("DELETE /v1/models", 405, "method_not_allowed"),
        ("GET /", 404, "unknown_url"),
        ("GET /metrics", 404, "unknown_url"),
        ("POST /v1/completions", 404, "unknown_url"),
        ("GET /v1/models/gpt-9", 404, "model_not_found"),
    ] {
        let request = format!(
            "{line} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        );
        let reply = send(&served, &request).await;
        assert_eq!(reply.status, status, "{line}: {reply:?}");
        assert_eq!(
            reply.error(),
            ("invalid_request_error".to_owned(), code.to_owned()),
            "{line}"
        );
    }
    assert_eq!(
        served
            .rest()
            .await
            .value("orchestrator_requests_started_total"),
        0.0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_shuts_down_says_so_and_ends_what_is_under_way() {
    let gate = Arc::new(Gate::new());
    let served = Served::by(vec![Arc::clone(&gate) as Arc<dyn Worker>]);
    let under_way = served.ask("", &question(2, true)).await;
    // Begun before the end: its head was read, and its body is waited for.
    let mut late = Client::connect(served.0.api()).await;
    let request = chat("expect: 100-continue\r\n", &question(2, true).to_string());
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    late.send(format!("{head}\r\n\r\n")).await;
    late.read_until("100 Continue\r\n\r\n", 1).await;
    served
        .until("one generates", |scrape| {
            scrape.sum("orchestrator_generations_in_flight") == 1.0
        })
        .await;
    let pipeline = served.0.pipeline().clone();
    let recorder = Arc::clone(pipeline.recorder());
    let health = served.0.metrics().unwrap();
    let stopping = tokio::spawn(served.0.stop(Duration::from_secs(20)));
    crate::gate::until("it takes nothing new", || !pipeline.is_open()).await;
    let seen =
        tokio::task::spawn_blocking(move || inferometer_judges::get(health, "/health", None))
            .await
            .unwrap()
            .unwrap();
    assert_eq!(seen.status, 503);
    late.send(body).await;
    let turned_away = late.reply().await;
    assert_eq!(turned_away.status, 503);
    assert_eq!(turned_away.error().1, "shutting_down");
    gate.allow(2);
    assert_eq!(under_way.reply().await.streamed_text(), "word word ");
    assert!(stopping.await.unwrap(), "nothing had to be broken off");
    assert_eq!(recorder.metrics.counts.in_flight(), 0);
    assert_eq!(recorder.metrics.counts.started(), 2);
    assert_eq!(recorder.metrics.counts.finished_in_all(), 2);
}
