//! Bad input, workers that panic, clients that leave, queues that are full, deadlines, the end.

use std::time::Duration;

use axum::http::uri::PathAndQuery;
use futures_util::{StreamExt as _, future::join_all, stream};
use inferometer::lifecycle::Outcome;
use rerank::{
    grpc::proto::{InferRequest, InferResponse, infer_stream_response::Result as Of},
    pipeline::{BatchLimits, PipelineConfig},
    scripted::Scripted,
};
use serde_json::json;
use tokio::{sync::mpsc, time::timeout};
use tonic::{Code, Request, transport::Endpoint};

use crate::{
    served::{PATIENCE, Served, asking, hold, small},
    tally::Figures as _,
};

/// A message with a number where the protocol has a text.
#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Wrong {
    #[prost(uint64, tag = "1")]
    query: u64,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_can_not_be_read_is_a_request_that_was_rejected() {
    let served = Served::usual().await;
    let endpoint = Endpoint::try_from(format!("http://{}", served.service.grpc())).unwrap();
    let mut client = tonic::client::Grpc::new(endpoint.connect().await.unwrap());
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<Wrong, InferResponse>::default();
    let path = PathAndQuery::from_static("/inferometer.rerank.v1.Reranker/Infer");
    let asked = client.unary(Request::new(Wrong { query: 7 }), path, codec);
    let status = asked.await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert!(status.message().contains("rerank.proto"), "{status}");
    let scrape = served.rest().await;
    assert_eq!(scrape.finished("rejected"), 1.0);
    let errors = "rerank_errors_total{error_type=\"invalid_request\"}";
    assert_eq!(scrape.value(errors), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_scored_is_refused_with_a_reason_and_counts_once() {
    let served = Served::usual().await;
    let mut client = served.client().await;
    let mut refused = 0.0;
    for (request, says) in [
        (asking("", &["a"]), "the query is empty"),
        (asking("q", &[]), "nothing to score"),
        (asking("q", &["a", " "]), "passage 1 is empty"),
        (asking("q", &["a"; 1025]), "1024 are the most"),
    ] {
        let status = client.infer(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(says), "{status}");
        refused += 1.0;
    }
    let good = json!({"query": "q", "documents": ["a"]}).to_string();
    for (body, headers, status, code) in [
        ("{", "", 400, "invalid_json"),
        ("", "", 400, "invalid_json"),
        (
            r#"{"query": "q", "documents": []}"#,
            "",
            400,
            "invalid_value",
        ),
        (
            r#"{"query": "q", "documents": [5]}"#,
            "",
            400,
            "invalid_value",
        ),
        (
            r#"{"query": "q", "documents": ["a"], "model": "other"}"#,
            "",
            404,
            "model_not_found",
        ),
        (&*good, "x-request-timeout: soon\r\n", 400, "invalid_value"),
        (&*" ".repeat((4 << 20) + 1), "", 413, "body_too_large"),
    ] {
        let reply = served.post("/rerank", headers, body).await;
        assert_eq!((reply.status, reply.code()), (status, code), "{reply:?}");
        refused += 1.0;
    }
    let scrape = served.rest().await;
    assert_eq!(scrape.finished("rejected"), refused);
    assert_eq!(
        scrape.value("rerank_errors_total{error_type=\"invalid_request\"}"),
        refused
    );
    for (line, status, code) in [
        ("GET /rerank", 405, "method_not_allowed"),
        ("POST /nothing", 404, "unknown_url"),
    ] {
        let request =
            format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        let reply = served.exchange(&request).await;
        assert_eq!((reply.status, reply.code()), (status, code));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_tokens_are_cut_off_and_counted() {
    let served = Served::usual().await;
    let mut client = served.client().await;
    let long = "word ".repeat(100_000);
    let answer = client
        .infer(asking("word", &[&long, "word"]))
        .await
        .unwrap();
    let answer = answer.into_inner();
    assert_eq!((answer.truncated, answer.tokens), (1, 512 + 2));
    let scrape = served.rest().await;
    assert_eq!(scrape.value("rerank_pairs_truncated_total"), 1.0);
    assert_eq!(scrape.value("request_count_total"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_panics_answers_with_an_error_and_goes_on() {
    let served = Served::usual().await;
    let mut client = served.client().await;
    for order in ["model-panics", "tokenizer-panics"] {
        let status = client.infer(asking("q", &["a", order])).await.unwrap_err();
        assert_eq!(status.code(), Code::Internal);
        assert!(status.message().contains("panicked"), "{status}");
        client.infer(asking("q", &["a"])).await.unwrap();
    }
    for (order, says) in [
        ("model-fails", "the model failed: a text says"),
        (
            "tokenizer-fails",
            "could not be made into tokens: a text says",
        ),
        ("model-says-nan", "it gave NaN as a score"),
    ] {
        let status = client.infer(asking("q", &[order])).await.unwrap_err();
        assert_eq!(status.code(), Code::Internal);
        assert!(status.message().contains(says), "{status}");
    }
    let reply = served
        .post(
            "/rerank",
            "",
            r#"{"query": "q", "documents": ["model-panics"]}"#,
        )
        .await;
    assert_eq!((reply.status, reply.code()), (500, "internal_error"));
    let scrape = served
        .until("all are started anew", |scrape| {
            scrape.sum("rerank_worker_restarts_total") == 3.0
        })
        .await;
    let model = "rerank_worker_restarts_total{worker_id=\"0\",worker_type=\"model\"}";
    assert_eq!(scrape.value(model), 2.0);
    let scrape = served.rest().await;
    assert_eq!(scrape.finished("panicked"), 3.0);
    assert_eq!(scrape.finished("error"), 3.0);
    assert_eq!(scrape.finished("ok"), 2.0);
    for (error, count) in [("panic", 3.0), ("model", 2.0), ("tokenizer", 1.0)] {
        let series = format!("rerank_errors_total{{error_type=\"{error}\"}}");
        assert_eq!(scrape.value(&series), count, "{series}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_of_the_clients_leave_midway_and_the_others_are_answered() {
    let served = Served::usual().await;
    let client = served.client().await;
    let calls: Vec<_> = (0..40).map(|_| hold(&client)).collect();
    served
        .until("all are under way", |scrape| {
            scrape.value("rerank_requests_in_flight") == 40.0
        })
        .await;
    let (leaving, staying): (Vec<_>, Vec<_>) = calls
        .into_iter()
        .enumerate()
        .partition(|(at, _)| at % 2 == 0);
    for (_, call) in leaving {
        call.abort();
    }
    served
        .until(
            "those that left are counted though nothing moves",
            |scrape| {
                scrape.finished("cancelled") == 20.0
                    && scrape.value("rerank_requests_in_flight") == 20.0
            },
        )
        .await;
    served.gate.open();
    for answer in join_all(staying.into_iter().map(|(_, call)| call)).await {
        assert_eq!(answer.unwrap().unwrap().into_inner().scores, [1.0]);
    }
    let scrape = served.rest().await;
    assert_eq!(
        (scrape.finished("ok"), scrape.finished("cancelled")),
        (20.0, 20.0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_turns_away_over_grpc_and_http_and_a_client_that_leaves_frees_its_place() {
    let (served, mut calls) = Served::full().await;
    let client = served.client().await;
    let status = hold(&client).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.metadata().get("retry-after").unwrap(), "1");
    let reply = served
        .post("/rerank", "", r#"{"query": "q", "documents": ["a"]}"#)
        .await;
    assert_eq!((reply.status, reply.code()), (429, "queue_full"));
    assert!(reply.head.contains("retry-after: 1"), "{}", reply.head);
    let scrape = served.scrape().await;
    assert_eq!(
        scrape.value("rerank_requests_shed_total{reason=\"queue_full\"}"),
        2.0
    );
    let queue = "rerank_queue_capacity{queue=\"tokenizer\"}";
    assert_eq!(scrape.value("tokenizer_queue_size"), scrape.value(queue));
    calls.pop().unwrap().abort();
    served
        .until("its place is free", |scrape| {
            scrape.value("tokenizer_queue_size") == 1.0
        })
        .await;
    calls.push(hold(&client));
    served.gate.open();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let scrape = served.rest().await;
    assert_eq!(scrape.finished("shed"), 2.0);
    assert_eq!(scrape.finished("ok"), 6.0);
    assert_eq!(scrape.finished("cancelled"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_passes_is_told_with_its_stage_and_one_that_can_not_be_kept_is_turned_away()
{
    let model = Scripted {
        per_batch: Duration::from_millis(300),
        ..Scripted::default()
    };
    let served = Served::start(small(), model).await;
    let mut client = served.client().await;
    // It learns how long a pair takes.
    client.infer(asking("q", &["a"])).await.unwrap();
    let mut waiting = client.clone();
    let held = tokio::spawn(async move {
        let mut request = Request::new(asking("q", &["model-waits"; 30]));
        request.set_timeout(Duration::from_secs(20));
        waiting.infer(request).await
    });
    served
        .until("it is under way", |scrape| {
            scrape.value("rerank_requests_in_flight") == 1.0
        })
        .await;
    let mut hasty = Request::new(asking("q", &["a"]));
    hasty
        .metadata_mut()
        .insert("grpc-timeout", "500m".parse().unwrap());
    let status = client.infer(hasty).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("expected wait"), "{status}");
    served.gate.open();
    held.await.unwrap().unwrap();

    let late = served
        .post(
            "/rerank",
            "x-request-timeout: 0.15\r\n",
            r#"{"query": "q", "documents": ["a"]}"#,
        )
        .await;
    assert_eq!((late.status, late.code()), (504, "deadline_exceeded"));
    let scrape = served.rest().await;
    assert_eq!(
        (scrape.finished("shed"), scrape.finished("timeout")),
        (1.0, 1.0)
    );
    assert_eq!(
        scrape.value("rerank_requests_shed_total{reason=\"expected_wait\"}"),
        1.0
    );
    assert_eq!(
        scrape.value("rerank_deadline_misses_total{stage=\"inference\"}"),
        1.0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_stops_ends_what_is_under_way_and_takes_nothing_new() {
    let served = Served::usual().await;
    let mut client = served.client().await;
    let under_way = hold(&client);
    served
        .until("one is under way", |scrape| {
            scrape.value("rerank_requests_in_flight") == 1.0
        })
        .await;
    let pipeline = served.service.pipeline().clone();
    pipeline.close();
    let status = client.infer(asking("q", &["a"])).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let stopping = tokio::spawn(served.service.stop(Duration::from_secs(20)));
    served.gate.open();
    assert_eq!(under_way.await.unwrap().unwrap().into_inner().scores, [1.0]);
    assert!(stopping.await.unwrap(), "nothing had to be broken off");
    let counts = &pipeline.recorder().metrics.counts;
    assert_eq!((counts.started(), counts.finished_in_all()), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_kept_open_ends_with_the_service() {
    let served = Served::usual().await;
    let mut client = served.client().await;
    let (say, said) = mpsc::unbounded_channel::<InferRequest>();
    let said = stream::unfold(said, |mut said| async { Some((said.recv().await?, said)) });
    let answers = client.infer_stream(said).await.unwrap();
    let mut answers = answers.into_inner();
    say.send(asking("q", &["q"])).unwrap();
    answers.next().await.unwrap().unwrap();
    say.send(asking("q", &["model-waits"])).unwrap();
    served
        .until("it is under way", |scrape| {
            scrape.value("rerank_requests_in_flight") == 1.0
        })
        .await;
    let gate = served.gate.clone();
    let stopping = tokio::spawn(served.service.stop(PATIENCE));
    gate.open();
    let rest = timeout(PATIENCE, answers.collect::<Vec<_>>())
        .await
        .unwrap();
    let [Ok(answered), Err(end)] = &*rest else {
        panic!("what was under way is answered first, then the stream ends: {rest:?}");
    };
    assert!(
        matches!(answered.result, Some(Of::Scores(_))),
        "{answered:?}"
    );
    assert_eq!(end.code(), Code::Unavailable, "{end}");
    assert!(stopping.await.unwrap());
    drop(say);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_when_patience_ends_is_told_on_its_stream() {
    let served = Served::usual().await;
    let mut client = served.client().await;
    let held = stream::iter([asking("q", &["model-waits"])]).chain(stream::pending());
    let answers = client.infer_stream(held).await.unwrap().into_inner();
    served
        .until("it is under way", |scrape| {
            scrape.value("rerank_requests_in_flight") == 1.0
        })
        .await;
    let pipeline = served.service.pipeline().clone();
    assert!(!served.service.stop(Duration::from_millis(1)).await);
    let rest = timeout(PATIENCE, answers.collect::<Vec<_>>())
        .await
        .unwrap();
    let [Ok(answered), Err(end)] = &*rest else {
        panic!("the request is told first, then the stream ends: {rest:?}");
    };
    let Some(Of::Error(error)) = &answered.result else {
        panic!("it can't have been scored: {answered:?}");
    };
    assert_eq!(Code::from(error.code), Code::Unavailable, "{error:?}");
    assert_eq!(end.code(), Code::Unavailable, "{end}");
    let counts = &pipeline.recorder().metrics.counts;
    assert_eq!(counts.finished(Outcome::Shed), 1);
    served.gate.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn sorting_by_length_saves_padding() {
    let mut padded = Vec::new();
    for sort_by_length in [false, true] {
        let pipeline = PipelineConfig {
            batch: BatchLimits {
                pairs: 8,
                tokens: 4096,
                sort_by_length,
                padding: 1.0,
            },
            ..small()
        };
        let served = Served::start(pipeline, Scripted::default()).await;
        let passages: Vec<_> = (0..64).map(|at| "w ".repeat(1 + (at * 37) % 64)).collect();
        let passages: Vec<_> = passages.iter().map(String::as_str).collect();
        let mut client = served.client().await;
        client.infer(asking("w", &passages)).await.unwrap();
        let scrape = served.rest().await;
        padded.push(scrape.value("padded_tokens_total"));
    }
    assert!(padded[1] * 2.0 < padded[0], "{padded:?}");
}
