//! Many clients, slow clients and clients that vanish.

use std::{sync::Arc, sync::atomic::Ordering::SeqCst, time::Duration};

use futures_util::future::join_all;
use orchestrator::{
    api::ApiLimits,
    service::{Listeners, ServiceConfig},
    worker::{Worker, scripted::ScriptedWorker},
};
use serde_json::Value;
use tokio::net::TcpSocket;
use tokio_util::sync::CancellationToken;

use crate::{
    gate::{Gate, small, until},
    served::{Client, Held, Served, chat, error_of, question, scripted},
};

const STAGES: [&str; 5] = ["rag", "assemble", "inference", "post", "stream"];

/// Lets this process have the sockets that its crowds need, where the usual limit is 1,024.
fn room_for_a_crowd() {
    let most = rlimit::increase_nofile_limit(8192).unwrap();
    assert!(most >= 2048, "{most} open files are too few for this test");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_streams_at_once_all_end_whole() {
    const STREAMS: u32 = 500;
    const TOKENS: u32 = 16;
    room_for_a_crowd();
    let open = CancellationToken::new();
    let held = Held {
        inner: ScriptedWorker::new("per_token=10ms,jitter=0.5".parse().unwrap()),
        open: open.clone(),
    };
    let served = Served::by(vec![Arc::new(held)]);
    let body = question(TOKENS, true);
    let streams = join_all((0..STREAMS).map(|_| served.chat("", &body)));
    let release = async {
        served
            .until("all of them generate", |scrape| {
                scrape.sum("orchestrator_generations_in_flight") == f64::from(STREAMS)
            })
            .await;
        open.cancel();
    };
    let (replies, ()) = tokio::join!(streams, release);
    let text = "The river rises in the hills, turns the mill, feeds the fields and finds the sea.";
    for reply in &replies {
        assert_eq!(reply.status, 200);
        assert_eq!(reply.streamed_text(), text);
    }
    let scrape = served.rest().await;
    let streams = f64::from(STREAMS);
    assert_eq!(scrape.finished("ok"), streams);
    for stage in STAGES {
        for counter in [
            "orchestrator_requests_total",
            "orchestrator_stage_duration_seconds_count",
            "orchestrator_queue_wait_seconds_count",
        ] {
            let series = format!("{counter}{{stage=\"{stage}\"}}");
            assert_eq!(scrape.value(&series), streams, "{series}");
        }
    }
    for (series, expected) in [
        ("orchestrator_requests_started_total", streams),
        (
            "orchestrator_tokens_generated_total{worker_type=\"scripted\"}",
            streams * f64::from(TOKENS),
        ),
        ("orchestrator_time_to_first_token_seconds_count", streams),
        ("orchestrator_time_per_output_token_seconds_count", streams),
        (
            "orchestrator_request_duration_seconds_count{session=\"none\"}",
            streams,
        ),
    ] {
        assert_eq!(scrape.value(series), expected, "{series}");
    }
    assert_eq!(scrape.errors(), []);
}

/// A service whose connections hold little, so that one who doesn't read is noticed after some kilobytes.
fn with_small_buffers(worker: Arc<dyn Worker>) -> Served {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(4096).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listeners = Listeners {
        api: socket.listen(1024).unwrap().into_std().unwrap(),
        ..Listeners::on_free_ports().unwrap()
    };
    Served::on(listeners, ServiceConfig::new(vec![worker]))
}

async fn reluctant(served: &Served) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    let mut client = Client::over(socket.connect(served.0.api()).await.unwrap());
    let body = question(TOKENS_OF_A_LONG_ANSWER, true).to_string();
    client.send(chat("x-request-timeout: 3\r\n", &body)).await;
    client
}

const TOKENS_OF_A_LONG_ANSWER: u32 = 300;

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_stop_reading_end_by_their_deadline_and_harm_nobody() {
    const SLOW: u32 = 50;
    const FAST: u32 = 20;
    let words = "x".repeat(800);
    let served = with_small_buffers(scripted(&format!(
        "per_token=1ms,tokens={TOKENS_OF_A_LONG_ANSWER},text={words}"
    )));
    let mut slow = join_all((0..SLOW).map(|_| reluctant(&served))).await;
    served
        .until("the slow ones generate", |scrape| {
            scrape.sum("orchestrator_generations_in_flight") == f64::from(SLOW)
                || scrape.value("orchestrator_requests_total{stage=\"inference\"}") > 0.0
        })
        .await;
    let body = question(TOKENS_OF_A_LONG_ANSWER, true);
    let replies = join_all((0..FAST).map(|_| served.chat("", &body))).await;
    for reply in replies {
        assert_eq!(
            reply.streamed_text().split(' ').count(),
            TOKENS_OF_A_LONG_ANSWER as usize
        );
    }
    let scrape = served.settled().await;
    assert_eq!(scrape.finished("ok"), f64::from(FAST));
    assert_eq!(scrape.finished("timeout"), f64::from(SLOW));
    // They were generated in full: it is delivery that the deadline found them in.
    assert_eq!(
        scrape.errors(),
        [("stream/timeout".to_owned(), f64::from(SLOW))]
    );
    assert_eq!(
        scrape.value("orchestrator_tokens_generated_total{worker_type=\"scripted\"}"),
        f64::from((SLOW + FAST) * TOKENS_OF_A_LONG_ANSWER)
    );

    // One that reads after all is told what happened.
    let late = slow.pop().unwrap().reply().await;
    let events = late.events();
    assert!(!events.contains(&"[DONE]"));
    let last: Value = serde_json::from_str(events.last().unwrap()).unwrap();
    assert_eq!(
        error_of(&last),
        ("timeout".into(), "deadline_exceeded".into()),
        "{last}"
    );
    drop(slow);
    served.rest().await;
}

/// Numbers that look random and are the same in every run (Knuth's MMIX constants).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

/// One client that vanishes; returns the pieces of text that it had got by then.
async fn vanish(served: &Served, number: usize) -> usize {
    let mut dice = Dice(number as u64);
    let stream = dice.roll(2) == 0;
    let body = question(30_000, stream || number % 6 > 2).to_string();
    let request = chat("", &body);
    let head = request.len() - body.len();
    let mut client = Client::connect(served.0.api()).await;
    let mut pieces = 0;
    match number % 6 {
        0 => client.send(&request[..1 + dice.roll(head - 4)]).await,
        1 => client.send(&request[..head + dice.roll(body.len())]).await,
        2 => client.send(&request).await,
        3 => {
            client.send(&request).await;
            client.read_until("\r\n\r\n", 1).await;
        }
        4 => {
            client.send(&request).await;
            pieces = 1 + dice.roll(20);
            client.read_until("\"content\":\"", pieces + 1).await;
        }
        _ => {
            client.send(&request).await;
            tokio::time::sleep(Duration::from_millis(dice.roll(20) as u64)).await;
        }
    }
    if number % 6 > 3 && dice.roll(2) == 0 {
        client.reset();
    }
    pieces
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_clients_vanish_at_any_point_and_leave_nothing_behind() {
    room_for_a_crowd();
    // No answer ends by itself, and no more than a hundred are generated at once.
    let served = Served::scripted(
        "first=1ms,per_token=2ms,jitter=0.5,tokens=30000,context=100000,concurrency=100",
    );
    let pieces: usize = join_all((0..300).map(|number| vanish(&served, number)))
        .await
        .into_iter()
        .sum();
    let scrape = served.rest().await;
    let cancelled = scrape.finished("cancelled");
    // A body that broke off is a request that can't be read; all others were given up, and none failed.
    assert_eq!(
        scrape.outcomes(),
        [("cancelled", cancelled), ("rejected", 50.0)]
    );
    // Those that had read something (points 3 and 4) were under way for certain.
    assert!(cancelled >= 100.0, "{cancelled}");
    assert_eq!(scrape.errors(), [("rag/invalid_request".to_owned(), 50.0)]);
    // Tokens count though no generation ended, and nobody generates any more.
    let tokens = "orchestrator_tokens_generated_total{worker_type=\"scripted\"}";
    assert!(scrape.value(tokens) >= pieces as f64);
    assert_eq!(served.scrape().await.value(tokens), scrape.value(tokens));
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_vanish_while_they_wait_free_their_places() {
    const WAITING: u32 = 40;
    let gate = Arc::new(Gate::new());
    let served = Served::start(
        small(WAITING as usize),
        vec![Arc::clone(&gate) as Arc<dyn Worker>],
        ApiLimits::default(),
    );
    let body = question(5, true);
    let first = served.ask("", &body).await;
    until("the first generates", || gate.entered.load(SeqCst) == 1).await;
    let mut waiting = Vec::new();
    for sent in 1..=WAITING {
        waiting.push(served.ask("", &body).await);
        served
            .until("it waits", |scrape| {
                scrape.value("orchestrator_queue_depth{stage=\"inference\"}") == f64::from(sent)
            })
            .await;
    }
    let shed = served.chat("", &body).await;
    assert_eq!((shed.status, shed.error().1.as_str()), (429, "queue_full"));
    let wait: u32 = shed.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait));
    drop(waiting);
    served
        .until("the queue is empty though nothing moved", |scrape| {
            scrape.finished("cancelled") == f64::from(WAITING)
                && scrape.sum("orchestrator_queue_depth") == 0.0
        })
        .await;
    gate.allow(5);
    assert_eq!(first.reply().await.streamed_text(), "word ".repeat(5));
    let scrape = served.rest().await;
    assert_eq!(scrape.finished("ok"), 1.0);
    assert_eq!(scrape.finished("shed"), 1.0);
    assert_eq!(
        scrape.value("orchestrator_requests_shed_total{stage=\"inference\"}"),
        1.0
    );
    assert_eq!(gate.entered.load(SeqCst), 1);
}
