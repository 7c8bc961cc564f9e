//! The worker against an upstream of our own: a thread that reads a request and writes what its script says, byte for byte.

mod fake;

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio_util::sync::CancellationToken;

use self::fake::{Act, Upstream};
use super::*;
use crate::worker::{FinishReason, Message, Sampling};

const KEY: &str = "sk-VeryPrivate123";

fn chunk(text: &str) -> String {
    let text = serde_json::to_string(text).expect("JSON");
    format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{text}}},\"finish_reason\":null}}]}}\r\n\r\n"
    )
}

fn head(status: &str, rest: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\n{rest}\r\n")
}

/// The head of a stream, and `body`.
fn stream(body: &str) -> String {
    head(
        "200 OK",
        "content-type: text/event-stream; charset=utf-8\r\n",
    ) + body
}

fn fine() -> String {
    let end = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}\n\n\
               data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,\"prompt_tokens_details\":{\"cached_tokens\":4}}}\n\n\
               data: [DONE]\n\n";
    let begin = ": hello\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
    stream(&[begin, &chunk("Grüß "), &chunk("dich 😀"), end].concat())
}

fn refusal(status: &str, rest: &str, body: &str) -> String {
    head(
        status,
        &format!(
            "content-type: application/json\r\n{rest}content-length: {}\r\n",
            body.len()
        ),
    ) + body
}

fn prompt() -> Prompt {
    Prompt {
        model: "big".into(),
        messages: vec![Message {
            role: "user".into(),
            content: "my private prompt".into(),
        }],
        sampling: Sampling {
            temperature: 0.5,
            top_p: 1.0,
            seed: u64::MAX,
            max_tokens: 64,
            stop: vec!["END".to_owned()].into(),
        },
        deadline: None,
        cancel: CancellationToken::new(),
    }
}

/// A generation's outcome, its text and how often it said that it tried again.
async fn run(worker: &UpstreamWorker, prompt: Prompt) -> (Result<Usage, WorkerError>, String, u32) {
    let (sink, mut receiver) = Sink::new();
    let retries = AtomicU32::new(0);
    let count = || {
        retries.fetch_add(1, Ordering::SeqCst);
    };
    let outcome = worker.generate(prompt, sink, &count).await;
    if let Err(error) = &outcome {
        let all = format!("{error} {error:?} {worker:?}");
        assert!(
            !all.contains(KEY) && !all.contains("private prompt"),
            "{all}"
        );
        assert_eq!(error.retries, retries.load(Ordering::SeqCst));
    }
    let mut text = String::new();
    while let Ok(piece) = receiver.try_recv() {
        text.push_str(&piece.text);
    }
    (outcome, text, retries.load(Ordering::SeqCst))
}

async fn failure(
    acts: Vec<Act>,
    change: impl FnOnce(&mut UpstreamConfig),
) -> (WorkerError, String, u32, Upstream) {
    let upstream = Upstream::start(acts);
    let mut config = upstream.config();
    change(&mut config);
    let worker = UpstreamWorker::connect(config).await.expect("a worker");
    let (outcome, text, retries) = run(&worker, prompt()).await;
    (outcome.expect_err("a failure"), text, retries, upstream)
}

#[tokio::test]
async fn an_answer_comes_with_its_text_usage_and_finish() {
    let upstream = Upstream::start(vec![Act::Say(fine())]);
    let (usage, text, retries) = run(&upstream.worker().await, prompt()).await;
    assert_eq!((text.as_str(), retries), ("Grüß dich 😀", 0));
    let expected = Usage {
        prompt_tokens: Some(9),
        cached_tokens: Some(4),
        generated_tokens: Some(2),
        finish: FinishReason::Length,
    };
    assert_eq!(usage.expect("an answer"), expected);

    let request = upstream.requests().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").expect("a request");
    assert!(
        head.starts_with("POST /v1/chat/completions ")
            && head.contains(&format!("authorization: Bearer {KEY}")),
        "{head}"
    );
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let expected = serde_json::json!({
        "model": "big", "messages": [{"role": "user", "content": "my private prompt"}], "temperature": 0.5, "top_p": 1.0,
        "seed": i64::MAX, "max_tokens": 64, "stop": ["END"], "stream": true, "stream_options": {"include_usage": true},
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn an_upstream_that_never_answers_is_a_timeout() {
    let (error, _, retries, upstream) = failure(vec![Act::SayAndHang(String::new())], |config| {
        config.first_token_timeout = Duration::from_millis(50);
        config.max_retries = 1;
    })
    .await;
    assert_eq!(
        (error.kind, error.retryable, retries),
        (ErrorType::Timeout, true, 1)
    );
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn comments_alone_are_no_first_token() {
    let (error, _, _, _) = failure(vec![Act::SayAndHang(stream(": working\n\n"))], |config| {
        config.first_token_timeout = Duration::from_millis(50);
        config.max_retries = 0;
    })
    .await;
    assert_eq!(error.kind, ErrorType::Timeout);
    assert!(error.message.contains("no first token"), "{error}");
}

#[tokio::test]
async fn a_hang_midway_is_a_timeout_and_is_not_repeated() {
    let (error, text, retries, upstream) =
        failure(vec![Act::SayAndHang(stream(&chunk("half")))], |config| {
            config.idle_timeout = Duration::from_millis(50);
        })
        .await;
    assert_eq!(
        (error.kind, text.as_str(), retries),
        (ErrorType::Timeout, "half", 0)
    );
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn server_errors_are_tried_again_until_it_works() {
    let broken = Act::Say(refusal(
        "500 Internal Server Error",
        "",
        r#"{"error":{"message":"my private prompt"}}"#,
    ));
    let upstream = Upstream::start(vec![broken.clone(), broken.clone(), Act::Say(fine())]);
    let (usage, text, retries) = run(&upstream.worker().await, prompt()).await;
    assert!(usage.is_ok() && text == "Grüß dich 😀" && retries == 2);

    let (error, _, retries, upstream) = failure(vec![broken], |_| {}).await;
    assert_eq!(
        (error.kind, retries, upstream.requests().len()),
        (ErrorType::UpstreamStatus, 2, 3)
    );
}

#[tokio::test]
async fn a_rate_limit_is_waited_out_as_long_as_it_asks() {
    let limited = Act::Say(refusal(
        "429 Too Many Requests",
        "retry-after-ms: 80\r\n",
        r#"{"error":{"code":"rate_limit_exceeded"}}"#,
    ));
    let upstream = Upstream::start(vec![limited, Act::Say(fine())]);
    let started = Instant::now();
    let (usage, _, retries) = run(&upstream.worker().await, prompt()).await;
    assert!(usage.is_ok() && retries == 1 && started.elapsed() >= Duration::from_millis(80));
}

#[tokio::test]
async fn a_rate_limit_beyond_the_deadline_fails_at_once() {
    let limited = Act::Say(refusal("429 Too Many Requests", "retry-after: 50\r\n", ""));
    let upstream = Upstream::start(vec![limited]);
    let mut hurried = prompt();
    hurried.deadline = Some(Instant::now() + Duration::from_secs(20));
    let started = Instant::now();
    let (outcome, _, retries) = run(&upstream.worker().await, hurried).await;
    assert_eq!(
        (outcome.expect_err("limited").kind, retries),
        (ErrorType::RateLimited, 0)
    );
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_refused_key_is_not_tried_again_and_never_shown() {
    let body = format!(
        r#"{{"error":{{"message":"Incorrect key {KEY}","code":"{KEY}","type":"invalid_request_error"}}}}"#
    );
    let (error, _, retries, _) = failure(
        vec![Act::Say(refusal("401 Unauthorized", "", &body))],
        |_| {},
    )
    .await;
    assert_eq!((error.kind, retries), (ErrorType::Authentication, 0));
    assert!(error.message.contains("OPENAI_API_KEY"), "{error}");
}

#[tokio::test]
async fn garbage_is_a_bad_response() {
    let endless = stream(&format!("data: {}", "x".repeat(2 << 20)));
    let flood = stream(&format!(": {}\n", "x".repeat(1000)).repeat(3000));
    for garbage in [
        stream("data: {oops\n\n"),
        stream("data: [1]\n\n"),
        refusal("200 OK", "", "{}"),
        endless,
        flood,
    ] {
        let (error, text, retries, _) = failure(vec![Act::Say(garbage)], |_| {}).await;
        assert_eq!(
            (error.kind, text.as_str(), retries),
            (ErrorType::BadResponse, "", 0),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_stream_closed_midway_is_said_to_be() {
    let cut = r#"data: {"choices":[{"del"#;
    for body in [chunk("half"), chunk("half") + cut] {
        let (error, text, retries, _) = failure(vec![Act::Say(stream(&body))], |_| {}).await;
        assert_eq!(
            (error.kind, text.as_str(), retries),
            (ErrorType::StreamClosed, "half", 0),
            "{error}"
        );
    }
    let broken = head(
        "200 OK",
        "content-type: text/event-stream\r\ncontent-length: 100000\r\n",
    ) + &chunk("half");
    let (error, text, _, _) = failure(vec![Act::Say(broken)], |_| {}).await;
    assert_eq!(
        (error.kind, text.as_str()),
        (ErrorType::StreamClosed, "half"),
        "{error}"
    );

    let upstream = Upstream::start(vec![Act::Say(stream("")), Act::Say(fine())]);
    let (usage, _, retries) = run(&upstream.worker().await, prompt()).await;
    assert!(usage.is_ok() && retries == 1);
}

#[tokio::test]
async fn an_error_within_the_stream_is_the_upstreams() {
    let body = chunk("half")
        + "data: {\"error\":{\"message\":\"my private prompt\",\"code\":\"overloaded\"}}\n\n";
    let (error, text, retries, _) = failure(vec![Act::Say(stream(&body))], |_| {}).await;
    assert_eq!(
        (error.kind, text.as_str(), retries),
        (ErrorType::UpstreamStatus, "half", 0)
    );
    assert!(error.message.contains("overloaded"), "{error}");
}

#[tokio::test]
async fn an_answer_without_its_end_mark_or_blank_line_is_whole() {
    let finish = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    for end in [finish.to_owned(), "data: [DONE]".to_owned()] {
        let upstream = Upstream::start(vec![Act::Say(stream(&(chunk("all") + &end)))]);
        let (usage, text, _) = run(&upstream.worker().await, prompt()).await;
        assert_eq!(
            (usage.expect("whole").finish, text.as_str()),
            (FinishReason::Stop, "all")
        );
    }
}

#[tokio::test]
async fn a_refused_connection_is_tried_again_and_named() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let base = format!("http://{}/v1", listener.local_addr().expect("bound"));
    drop(listener);
    let idle = Upstream {
        base: base.clone(),
        requests: Arc::default(),
        left: Arc::default(),
    };
    let (outcome, _, retries) = run(&idle.worker().await, prompt()).await;
    let error = outcome.expect_err("nobody there");
    assert_eq!(
        (error.kind, error.retryable, retries),
        (ErrorType::Connection, true, 2)
    );
    assert!(error.message.contains(&base), "{error}");
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_exchange_at_once() {
    let upstream = Upstream::start(vec![Act::SayAndHang(stream(&chunk("half")))]);
    let worker = upstream.worker().await;
    let left = prompt();
    let cancel = left.cancel.clone();
    let (sink, mut receiver) = Sink::new();
    let leave = async {
        assert_eq!(receiver.recv().await.expect("a piece").text, "half");
        cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(worker.generate(left, sink, &|| {}), leave);
    let error = outcome.expect_err("left");
    assert!(
        error.message.contains("client left") && !error.retryable,
        "{error}"
    );
    while upstream.left.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn the_deadline_ends_tries_and_waits() {
    let upstream = Upstream::start(vec![Act::SayAndHang(String::new())]);
    let worker = upstream.worker().await;
    let mut hurried = prompt();
    hurried.deadline = Some(Instant::now() + Duration::from_millis(50));
    let (outcome, _, retries) = run(&worker, hurried).await;
    let error = outcome.expect_err("late");
    assert_eq!(
        (error.kind, error.retryable, retries),
        (ErrorType::Timeout, false, 0)
    );
}

#[tokio::test]
async fn the_first_model_listed_is_taken_where_none_is_named() {
    let list = r#"{"object":"list","data":[{"id":"first"},{"id":"second"}]}"#;
    let upstream = Upstream::start(vec![Act::Say(refusal("200 OK", "", list))]);
    let config = UpstreamConfig {
        model: None,
        ..upstream.config()
    };
    let worker = UpstreamWorker::connect(config).await.expect("a worker");
    assert_eq!(worker.model(), "first");
    assert!(upstream.requests()[0].starts_with("GET /v1/models "));

    for (body, kind) in [
        ("{}", ErrorType::BadResponse),
        (r#"{"data":[]}"#, ErrorType::BadResponse),
    ] {
        let upstream = Upstream::start(vec![Act::Say(refusal("200 OK", "", body))]);
        let config = UpstreamConfig {
            model: None,
            ..upstream.config()
        };
        assert_eq!(
            UpstreamWorker::connect(config)
                .await
                .expect_err("no model")
                .kind,
            kind
        );
    }
}

#[test]
fn tokens_are_estimated_from_bytes() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let config = UpstreamConfig {
        model: Some("m".to_owned()),
        ..UpstreamConfig::new("http://127.0.0.1:1/v1")
    };
    let worker = runtime
        .block_on(UpstreamWorker::connect(config))
        .expect("a worker");
    assert_eq!(
        [0, 1, 4, 5].map(|length| worker.count_tokens(&"x".repeat(length))),
        [0, 1, 1, 2]
    );
}
