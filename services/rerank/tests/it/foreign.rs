//! Clients that others wrote, unchanged.

use std::{future::Future, net::SocketAddr, time::Duration};

use inferometer_judges::{
    CohereSubject, GrpcSubject, JudgeError, drive_with_cohere_client, drive_with_grpc_client,
    watch_health_with_grpc_client,
};
use rerank::{pipeline::PipelineConfig, scripted::Scripted};
use serde_json::{Value, json};

use crate::{
    served::{Scrape, Served, small},
    tally::Figures as _,
};

/// A passage that is scored once the gate is open.
const HELD: &str = "model-waits";

/// What a judge says, who is asked on a thread of its own.
fn ask<T: Send + 'static>(
    judge: impl FnOnce() -> Result<T, JudgeError> + Send + 'static,
) -> impl Future<Output = T> {
    let asked = tokio::task::spawn_blocking(judge);
    async {
        asked
            .await
            .unwrap()
            .unwrap_or_else(|error| panic!("{error}"))
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// What the client counted, 0 where it counted none.
fn counted(seen: &Value, names: &[&str]) -> f64 {
    let counts = names.iter().map(|name| seen["counts"][name].as_f64());
    counts.map(Option::unwrap_or_default).sum()
}

fn finished(scrape: &Scrape, outcomes: &[&str]) -> f64 {
    outcomes
        .iter()
        .map(|outcome| scrape.finished(outcome))
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_client_that_knows_only_what_reflection_tells_finds_what_it_relies_on() {
    let served = Served::usual().await;
    let hasty = PipelineConfig {
        timeout: Duration::from_millis(100),
        ..small()
    };
    let hasty = Served::start(hasty, Scripted::default()).await;
    let (full, held) = Served::full().await;
    let closing = Served::usual().await;
    closing.service.pipeline().close();
    let metrics = url(served.service.metrics().unwrap()) + "/metrics";
    let [address, hasty_at, full_at, closing_at] =
        [&served, &hasty, &full, &closing].map(|served| served.service.grpc().to_string());
    let seen = ask(move || {
        drive_with_grpc_client(GrpcSubject {
            address: &address,
            metrics: &metrics,
            held: HELD,
            failing: Some("model-fails"),
            hasty: Some(&hasty_at),
            full: Some(&full_at),
            closing: Some(&closing_at),
        })
    })
    .await;

    // Words that a passage shares with the query.
    assert_eq!(seen["scores"], json!([2.0, 1.0, 4.0]));
    assert_eq!(seen["full"]["trailing"]["retry-after"], "1");
    // Everything that was held has left though nothing has moved at the model.
    let scrape = served.rest().await;
    for (outcomes, names) in [
        (&["ok"][..], &["ok"][..]),
        (&["rejected"], &["rejected"]),
        // Whose clock was first, the client's or the service's, says which of the two it is.
        (&["cancelled", "timeout"], &["left", "late"]),
        (&["error"], &["error"]),
        (&["panicked", "shed"], &[]),
    ] {
        let (ours, theirs) = (finished(&scrape, outcomes), counted(&seen, names));
        assert_eq!(ours, theirs, "{outcomes:?}: {seen:#}");
    }
    for (series, name) in [
        ("rerank_pairs_total", "pairs"),
        ("rerank_sequence_tokens_sum", "tokens"),
        ("request_latency_seconds_count", "ok"),
    ] {
        assert_eq!(scrape.value(series), counted(&seen, &[name]), "{series}");
    }
    let scrape = hasty.rest().await;
    assert_eq!(
        (
            scrape.finished("timeout"),
            scrape.sum("rerank_requests_finished_total")
        ),
        (2.0, 2.0)
    );
    let scrape = closing.rest().await;
    assert_eq!(
        scrape.value("rerank_requests_shed_total{reason=\"shutting_down\"}"),
        2.0
    );
    assert_eq!(full.scrape().await.finished("shed"), 2.0);
    for gate in [&served.gate, &hasty.gate, &full.gate] {
        gate.open();
    }
    for call in held {
        call.await.unwrap().unwrap();
    }
    assert_eq!(full.rest().await.finished("ok"), 6.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_client_that_watches_the_health_is_told_of_the_end() {
    let served = Served::usual().await;
    let address = served.service.grpc().to_string();
    let watched = ask(move || watch_health_with_grpc_client(&address));
    served
        .until("it is watched", |scrape| {
            scrape.value("inferometer_grpc_server_active_calls") == 1.0
        })
        .await;
    assert!(served.service.stop(Duration::from_secs(20)).await);
    let seen = watched.await;
    assert_eq!(seen["statuses"], json!(["SERVING", "NOT_SERVING"]));
    assert_eq!(seen["code"], "OK");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_unchanged_cohere_client_finds_what_it_relies_on() {
    let served = Served::usual().await;
    let (full, held) = Served::full().await;
    let [base_url, full_at] = [&served, &full].map(|served| url(served.service.http()));
    let seen = ask(move || {
        drive_with_cohere_client(CohereSubject {
            base_url: &base_url,
            held: HELD,
            full: &full_at,
        })
    })
    .await;

    assert_eq!(seen["model"], "scripted");
    let order = seen["ranking"].as_array().unwrap().iter();
    assert_eq!(
        order.map(|ranked| &ranked[0]).collect::<Vec<_>>(),
        [2, 1, 0, 3]
    );
    assert_eq!(seen["shed"]["retry_after"], "1");
    let scrape = served.rest().await;
    for outcome in ["ok", "rejected", "timeout"] {
        assert_eq!(
            scrape.finished(outcome),
            counted(&seen, &[outcome]),
            "{outcome}: {seen:#}"
        );
    }
    assert_eq!(
        finished(&scrape, &["cancelled", "error", "panicked", "shed"]),
        0.0
    );
    assert_eq!(
        scrape.value("rerank_pairs_total"),
        counted(&seen, &["documents"])
    );
    assert_eq!(
        scrape.value("rerank_sequence_tokens_sum"),
        counted(&seen, &["tokens"])
    );
    assert_eq!(full.scrape().await.finished("shed"), 1.0);
    for gate in [&served.gate, &full.gate] {
        gate.open();
    }
    for call in held {
        call.await.unwrap().unwrap();
    }
}
