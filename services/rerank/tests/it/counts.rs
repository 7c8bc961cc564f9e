//! What the metrics say is what the client counted.

use futures_util::{StreamExt as _, stream};
use rerank::grpc::proto::{InferRequest, Pair, infer_stream_response::Result as Of};
use serde_json::json;

use crate::served::{Served, asking};

#[tokio::test(flavor = "multi_thread")]
async fn every_counter_is_what_the_client_counted() {
    let served = Served::usual().await;
    let mut client = served.client().await;
    let (mut requests, mut pairs, mut tokens) = (0_u32, 0_u32, 0_u64);
    for passages in [
        &["red fish", "blue"][..],
        &["one fish"],
        &["a b c d e f", "red", "fish"],
    ] {
        let answer = client.infer(asking("red fish", passages)).await.unwrap();
        let answer = answer.into_inner();
        let shared = |passage: &&str| {
            let words = passage.split(' ');
            words.filter(|word| ["red", "fish"].contains(word)).count() as f32
        };
        assert_eq!(
            answer.scores,
            passages.iter().map(shared).collect::<Vec<_>>()
        );
        requests += 1;
        pairs += u32::try_from(passages.len()).unwrap();
        tokens += answer.tokens;
    }
    let streamed = (0..20).map(|at| InferRequest {
        id: at.to_string(),
        pairs: vec![Pair {
            query: "red".into(),
            passage: if at == 7 { String::new() } else { "red".into() },
        }],
        ..InferRequest::default()
    });
    let answers = client.infer_stream(stream::iter(streamed)).await.unwrap();
    let answers: Vec<_> = answers.into_inner().collect().await;
    assert_eq!(answers.len(), 20);
    for answer in answers {
        match answer.unwrap().result.unwrap() {
            Of::Scores(scores) => {
                assert_eq!(scores.scores, [1.0]);
                requests += 1;
                pairs += 1;
                tokens += scores.tokens;
            }
            Of::Error(error) => assert_eq!((&*error.id, error.code), ("7", 3)),
        }
    }
    let body = json!({"query": "red fish", "documents": ["blue", "red fish", {"text": "fish"}], "top_n": 2, "return_documents": true});
    let reply = served.post("/rerank", "", &body.to_string()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let results = reply.body["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    assert_eq!(
        (&results[0]["index"], &results[1]["index"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(results[0]["document"]["text"], "red fish");
    tokens += reply.body["usage"]["total_tokens"].as_u64().unwrap();
    let body = json!({"query": "red fish", "texts": ["blue", "red"], "raw_scores": true});
    let reply = served.post("/rerank", "", &body.to_string()).await;
    assert_eq!(
        reply.body,
        json!([{"index": 1, "score": 1.0}, {"index": 0, "score": 0.0}])
    );
    // This shape doesn't say how many tokens there were.
    tokens += 6;
    requests += 2;
    pairs += 5;

    let scrape = served.rest().await;
    let requests = f64::from(requests);
    for (series, expected) in [
        ("request_count_total", requests),
        ("request_latency_seconds_count", requests),
        ("tokenization_latency_seconds_count", requests),
        ("inference_latency_seconds_count", requests),
        ("queue_wait_latency_seconds_count", requests),
        ("tokenizer_queue_wait_latency_seconds_count", requests),
        ("model_queue_wait_latency_seconds_count", requests),
        ("mp_queue_send_latency_seconds_count", requests),
        ("mp_queue_receive_latency_seconds_count", requests),
        ("scheduler_latency_seconds_count", requests),
        ("overhead_latency_seconds_count", requests),
        ("pipeline_overhead_latency_seconds_count", requests),
        ("grpc_serialize_latency_seconds_count", 23.0),
        ("grpc_deserialize_latency_seconds_count", 23.0),
        ("rerank_pairs_total", pairs.into()),
        ("rerank_sequence_tokens_sum", tokens as f64),
        ("rerank_requests_finished_total{outcome=\"ok\"}", requests),
        ("rerank_requests_finished_total{outcome=\"rejected\"}", 1.0),
    ] {
        assert_eq!(scrape.value(series), expected, "{series}");
    }
    assert_eq!(
        scrape.value("total_tokens_total") - scrape.value("padded_tokens_total"),
        tokens as f64
    );
    assert_eq!(
        scrape.sum("worker_request_count_total"),
        2.0 * requests,
        "each request once at a tokenizer and once at a model"
    );
    assert_eq!(
        scrape.sum("rerank_batches_released_total"),
        scrape.value("rerank_batch_size_pairs_count")
    );
    let stages: f64 = [
        "tokenizer_queue_wait",
        "tokenization",
        "mp_queue_send",
        "scheduler",
        "model_queue_wait",
        "mp_queue_receive",
        "inference",
        "overhead",
        "pipeline_overhead",
    ]
    .iter()
    .map(|stage| scrape.value(&format!("{stage}_latency_seconds_sum")))
    .sum();
    let whole = scrape.value("request_latency_seconds_sum");
    assert!((stages - whole).abs() < 1e-6, "{stages} of {whole}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_name_of_the_contract_is_in_the_scrape_once_something_moved() {
    let served = Served::usual().await;
    let mut client = served.client().await;
    let catalogue = include_str!("../../../../crates/inferometer-catalog/tests/catalogue.tsv");
    let names: Vec<_> = catalogue
        .lines()
        .filter_map(|line| line.strip_prefix("rerank\t")?.split('\t').next())
        // A machine without a GPU has none to show.
        .filter(|name| !name.starts_with("gpu_"))
        .collect();
    assert_eq!(names.len(), 29);
    client
        .infer(asking("red", &["a longer passage", "red"]))
        .await
        .unwrap();
    served
        .until("all names are there", |scrape| {
            let missing = names
                .iter()
                .find(|name| !scrape.0.keys().any(|series| series.starts_with(**name)));
            missing.is_none()
                && scrape.value("overall_throughput_qps") > 0.0
                && scrape.value("padding_ratio") > 0.0
                && scrape.value("max_seq_length") == 4.0
                && scrape.value("avg_seq_length") == 3.0
        })
        .await;
}
