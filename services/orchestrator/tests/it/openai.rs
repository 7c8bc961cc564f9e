//! The unchanged OpenAI client.

use std::{sync::Arc, sync::atomic::Ordering::SeqCst};

use inferometer_judges::{OpenAiSubject, drive_with_openai_client};
use orchestrator::{api::ApiLimits, worker::Worker};

use crate::{
    gate::{Gate, small, until},
    served::{Served, question},
};

/// A service with one request at its worker and one in the only place of the queue before it.
async fn full(gate: &Arc<Gate>) -> (Served, [crate::served::Client; 2]) {
    let served = Served::start(
        small(1),
        vec![Arc::clone(gate) as Arc<dyn Worker>],
        ApiLimits::default(),
    );
    let generating = served.ask("", &question(1, true)).await;
    until("one generates", || gate.entered.load(SeqCst) == 1).await;
    let waiting = served.ask("", &question(1, true)).await;
    served
        .until("one waits", |scrape| {
            scrape.value("orchestrator_queue_depth{stage=\"inference\"}") == 1.0
        })
        .await;
    (served, [generating, waiting])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_unchanged_openai_client_finds_what_it_relies_on() {
    let served = Served::scripted("model=mill,first=5ms,per_token=20ms,tokens=64");
    let gate = Arc::new(Gate {
        model: "mill",
        ..Gate::new()
    });
    let (other, [generating, waiting]) = full(&gate).await;
    let (base_url, shed_url) = (served.base_url(), other.base_url());
    let seen = tokio::task::spawn_blocking(move || {
        drive_with_openai_client(OpenAiSubject {
            base_url: &base_url,
            model: None,
            shed_url: Some(&shed_url),
        })
    })
    .await
    .unwrap()
    .unwrap();

    let text = "The river rises in the hills, turns the mill, feeds the fields and finds the sea.";
    assert_eq!(seen["models"], serde_json::json!(["mill"]));
    for answer in ["chat", "stream"] {
        assert_eq!(seen[answer]["content"], text);
        assert_eq!(seen[answer]["finish_reason"], "length");
        assert_eq!(seen[answer]["usage"]["completion_tokens"], 16);
    }
    assert_eq!(seen["shed"]["status"], 429);
    let scrape = served.rest().await;
    // Two whole answers; one stream left after its first chunk; three refusals.
    assert_eq!(scrape.finished("ok"), 2.0);
    assert_eq!(scrape.finished("cancelled"), 1.0);
    assert_eq!(scrape.finished("rejected"), 3.0);
    assert_eq!(
        scrape.value("orchestrator_request_duration_seconds_count{session=\"openai-client\"}"),
        1.0
    );

    gate.allow(2);
    for held in [generating, waiting] {
        assert_eq!(held.reply().await.streamed_text(), "word ");
    }
    let scrape = other.rest().await;
    assert_eq!((scrape.finished("ok"), scrape.finished("shed")), (2.0, 1.0));
}
