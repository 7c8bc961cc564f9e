//! What the metrics say is what the client counted.

use std::time::Duration;

use rerank::{
    grpc::proto::{InferRequest, Pair},
    scripted::Scripted,
};
use serde_json::json;
use tonic::Request;

use crate::{
    crowd::{Crowd, narrow},
    served::Served,
    tally::{Question, Tally},
};

#[tokio::test(flavor = "multi_thread")]
async fn every_counter_is_what_the_client_counted() {
    let served = Served::usual().await;
    let mut client = served.client().await;
    let mut tally = Tally::default();
    for passages in [
        &["red fish", "blue"][..],
        &["one fish"],
        &["a b c d e f", "red", "fish"],
    ] {
        let question = Question::new("red fish", passages);
        let answer = client.infer(question.request()).await;
        tally.called(&question, &answer);
        let shared = |passage: &&str| {
            let words = passage.split(' ');
            words.filter(|word| ["red", "fish"].contains(word)).count() as f32
        };
        assert_eq!(
            answer.unwrap().into_inner().scores,
            passages.iter().map(shared).collect::<Vec<_>>()
        );
    }
    let question = Question::new("red", &["red", "red fish"]);
    let pairs = question.request().passages.into_iter().map(|passage| Pair {
        query: "red".into(),
        passage,
    });
    let paired = InferRequest {
        pairs: pairs.collect(),
        ..InferRequest::default()
    };
    let answer = client.infer(Request::new(paired)).await;
    tally.called(&question, &answer);
    assert_eq!(answer.unwrap().into_inner().scores, [1.0, 1.0]);
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
    let question = Question::new("red fish", &["blue", "red fish", "fish"]);
    tally.posted(&question, &reply);
    let body = json!({"query": "red fish", "texts": ["blue", "red"], "raw_scores": true});
    let reply = served.post("/rerank", "", &body.to_string()).await;
    assert_eq!(
        reply.body,
        json!([{"index": 1, "score": 1.0}, {"index": 0, "score": 0.0}])
    );
    tally.posted(&Question::new("red fish", &["blue", "red"]), &reply);
    tally.compare(&served.rest().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_counter_is_what_a_crowd_counted_to_which_everything_happened() {
    let served = Served::start(narrow(), Scripted::default()).await;
    let crowd = Crowd::of(&served).await;
    crowd.everything(4, Duration::ZERO).await;
    let tally = crowd.tally();
    tally.compare(&served.rest().await);
    for outcome in [
        "ok",
        "rejected",
        "shed",
        "timeout",
        "cancelled",
        "error",
        "panicked",
    ] {
        assert!(tally.finished(outcome) > 0, "{outcome} was not tried");
    }
}
