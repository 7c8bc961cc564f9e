//! The API over real sockets, before a pipeline that does as it is told.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use inferometer_catalog::orchestrator::{ErrorType, Stage, WorkerType};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;
use crate::{
    pipeline::{Event, Failure, FailureReason, Finished, Model, PromptRequest},
    worker::FinishReason,
};

mod journal;
mod refusals;

/// A pipeline that answers every prompt alike.
#[derive(Clone)]
struct Fake(Arc<State>);

struct State {
    plan: Plan,
    asked: Mutex<Vec<PromptRequest>>,
    refused: AtomicU32,
    submitted: AtomicU32,
    dropped: AtomicU32,
}

#[derive(Clone)]
enum Plan {
    /// Not admitted.
    Turn(Failure),
    /// These events.
    Say(Vec<Event>),
    /// These events, then nothing.
    Hang(Vec<Event>),
}

struct FakeAnswer {
    id: Arc<str>,
    events: mpsc::UnboundedReceiver<Event>,
    _held: Option<mpsc::UnboundedSender<Event>>,
    state: Arc<State>,
}

impl Drop for FakeAnswer {
    fn drop(&mut self) {
        self.state.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

impl Events for FakeAnswer {
    fn id(&self) -> &Arc<str> {
        &self.id
    }

    async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }
}

impl Prompts for Fake {
    type Answer = FakeAnswer;

    fn submit(&self, request: PromptRequest) -> Result<FakeAnswer, Failure> {
        self.0.submitted.fetch_add(1, Ordering::SeqCst);
        self.asked().push(request);
        let (sender, events) = mpsc::unbounded_channel();
        let (said, hangs) = match &self.0.plan {
            Plan::Turn(failure) => return Err(failure.clone()),
            Plan::Say(events) => (events, false),
            Plan::Hang(events) => (events, true),
        };
        for event in said {
            sender.send(event.clone()).expect("the receiver is here");
        }
        Ok(FakeAnswer {
            id: "made-1".into(),
            events,
            _held: hangs.then_some(sender),
            state: Arc::clone(&self.0),
        })
    }

    fn refuse(&self) {
        self.0.refused.fetch_add(1, Ordering::SeqCst);
    }

    fn models(&self) -> Vec<Model> {
        let model = |id: &str, worker_type| Model {
            id: id.into(),
            worker_type,
            context_window: 2048,
        };
        vec![
            model("small", WorkerType::Local),
            model("maker/large", WorkerType::Openai),
        ]
    }
}

impl Fake {
    fn asked(&self) -> MutexGuard<'_, Vec<PromptRequest>> {
        self.0.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self) -> u32 {
        self.0.refused.load(Ordering::SeqCst)
    }

    async fn all_dropped(&self) {
        while self.0.dropped.load(Ordering::SeqCst) < self.0.submitted.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

struct Served {
    fake: Fake,
    address: SocketAddr,
    client: Client,
}

async fn serve(plan: Plan) -> Served {
    serve_within(
        plan,
        ApiLimits {
            body_bytes: 10_000,
            body_timeout: Duration::from_millis(200),
            ..ApiLimits::default()
        },
    )
    .await
}

async fn serve_within(plan: Plan, limits: ApiLimits) -> Served {
    let state = State {
        plan,
        asked: Mutex::default(),
        refused: AtomicU32::new(0),
        submitted: AtomicU32::new(0),
        dropped: AtomicU32::new(0),
    };
    let fake = Fake(Arc::new(state));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("bound");
    let router = router(fake.clone(), limits);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Served {
        fake,
        address,
        client: Client::builder().no_proxy().build().expect("a client"),
    }
}

impl Served {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn ask(&self, body: Value) -> Response {
        self.client
            .post(self.url("/v1/chat/completions"))
            .json(&body)
            .send()
            .await
            .expect("an answer")
    }
}

fn plain() -> Value {
    json!({"model": "small", "messages": [{"role": "user", "content": "a private prompt"}]})
}

fn streamed() -> Value {
    json!({"messages": [{"role": "user", "content": "a private prompt"}], "stream": true})
}

fn text(text: &str) -> Event {
    Event::Text(text.to_owned())
}

fn done() -> Event {
    Event::Done(Finished {
        finish: FinishReason::Length,
        prompt_tokens: 7,
        cached_tokens: 3,
        generated_tokens: 2,
    })
}

fn failure(reason: FailureReason) -> Failure {
    Failure {
        reason,
        message: "what was tried".to_owned(),
    }
}

/// The data of a stream's events.
fn events(body: &str) -> Vec<String> {
    body.split_terminator("\n\n")
        .map(|event| event.strip_prefix("data: ").expect("data").to_owned())
        .collect()
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[tokio::test]
async fn a_whole_answer_has_the_shape_of_openai() {
    let served = serve(Plan::Say(vec![text("Hel"), text("lo \"you\"\n😀"), done()])).await;
    let response = served.ask(plain()).await;
    assert_eq!(
        (
            response.status().as_u16(),
            &response.headers()["content-type"]
        ),
        (200, &"application/json".parse().expect("a header"))
    );
    assert_eq!(response.headers()["x-request-id"], "made-1");
    let mut body: Value = response.json().await.expect("JSON");
    assert!(body["created"].as_u64().expect("a time") > 1_600_000_000);
    body["created"] = json!(0);
    let expected = json!({
        "id": "chatcmpl-made-1", "object": "chat.completion", "created": 0, "model": "small",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello \"you\"\n😀", "refusal": null}, "logprobs": null,
            "finish_reason": "length"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9, "prompt_tokens_details": {"cached_tokens": 3}},
    });
    assert_eq!(body, expected);
    assert_eq!(served.fake.refused(), 0);
}

#[tokio::test]
async fn a_stream_begins_with_the_role_and_ends_with_done() {
    let served = serve(Plan::Say(vec![text("Hel"), text("lo"), done()])).await;
    let response = served.ask(streamed()).await;
    assert_eq!(
        response.headers()["content-type"],
        "text/event-stream; charset=utf-8"
    );
    assert_eq!(response.headers()["x-request-id"], "made-1");
    let events = events(&response.text().await.expect("text"));
    assert_eq!(events.last().map(String::as_str), Some("[DONE]"));
    let choices: Vec<Value> = events[..events.len() - 1]
        .iter()
        .map(|event| parse(event)["choices"][0].take())
        .collect();
    let choice = |delta: Value, finish: Value| json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
    let expected = [
        choice(json!({"role": "assistant", "content": ""}), Value::Null),
        choice(json!({"content": "Hel"}), Value::Null),
        choice(json!({"content": "lo"}), Value::Null),
        choice(json!({}), json!("length")),
    ];
    assert_eq!(choices, expected);
    let first = parse(&events[0]);
    assert_eq!(
        (&first["id"], &first["object"]),
        (&json!("chatcmpl-made-1"), &json!("chat.completion.chunk"))
    );
    assert_eq!(first["model"], "default");
    assert!(first.get("usage").is_none());
}

#[tokio::test]
async fn a_stream_tells_usage_when_asked() {
    let served = serve(Plan::Say(vec![text("x"), done()])).await;
    let mut body = streamed();
    body["stream_options"] = json!({"include_usage": true});
    let events = events(&served.ask(body).await.text().await.expect("text"));
    assert_eq!(parse(&events[0])["usage"], Value::Null);
    assert!(parse(&events[0]).get("usage").is_some());
    let last = parse(&events[events.len() - 2]);
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["total_tokens"], 9);
}

#[tokio::test]
async fn a_failure_midway_ends_the_stream_without_done() {
    let reason = FailureReason::Worker(ErrorType::StreamClosed);
    let served = serve(Plan::Say(vec![
        text("half"),
        Event::Failed(failure(reason)),
    ]))
    .await;
    let events = events(&served.ask(streamed()).await.text().await.expect("text"));
    let last = parse(events.last().expect("an event"));
    let expected = json!({"message": "what was tried", "type": "upstream_error", "param": null, "code": "stream_closed"});
    assert_eq!(last["error"], expected);
    assert!(events.iter().all(|event| event != "[DONE]"));
}

#[tokio::test]
async fn events_that_end_too_early_are_an_error() {
    let served = serve(Plan::Say(vec![text("half")])).await;
    assert_eq!(served.ask(plain()).await.status(), 500);
    let events = events(&served.ask(streamed()).await.text().await.expect("text"));
    assert_eq!(
        parse(events.last().expect("an event"))["error"]["code"],
        "internal_error"
    );
}

#[tokio::test]
async fn models_are_listed_and_found() {
    let served = serve(Plan::Say(vec![done()])).await;
    let get = async |path: &str| {
        let response = served
            .client
            .get(served.url(path))
            .send()
            .await
            .expect("an answer");
        (
            response.status().as_u16(),
            response.json::<Value>().await.expect("JSON"),
        )
    };
    let (status, list) = get("/v1/models").await;
    assert_eq!(
        (status, &list["object"], &list["data"][0]["id"]),
        (200, &json!("list"), &json!("small"))
    );
    assert_eq!(list["data"].as_array().map(Vec::len), Some(2));
    for path in ["/v1/models/maker/large", "/v1/models/maker%2Flarge"] {
        let (status, model) = get(path).await;
        assert_eq!(
            (status, &model["id"], &model["object"]),
            (200, &json!("maker/large"), &json!("model"))
        );
    }
    let (status, error) = get("/v1/models/none").await;
    assert_eq!(
        (status, &error["error"]["code"]),
        (404, &json!("model_not_found"))
    );
}

#[tokio::test]
async fn headers_reach_the_pipeline_and_a_clients_id_comes_back() {
    let served = serve(Plan::Say(vec![done()])).await;
    let request = served
        .client
        .post(served.url("/v1/chat/completions"))
        .json(&plain());
    let request = request
        .header("x-session-id", "s-1")
        .header("x-request-timeout", "2.5")
        .header("x-request-id", "mine-7");
    assert_eq!(
        request.send().await.expect("an answer").headers()["x-request-id"],
        "mine-7"
    );
    let asked = served.fake.asked().remove(0);
    assert_eq!(asked.session.as_deref(), Some("s-1"));
    assert_eq!(asked.timeout, Some(Duration::from_millis(2500)));
    assert_eq!(asked.model.as_deref(), Some("small"));
    let odd = "x".repeat(200);
    let request = served
        .client
        .post(served.url("/v1/chat/completions"))
        .json(&plain())
        .header("x-request-id", odd);
    assert_eq!(
        request.send().await.expect("an answer").headers()["x-request-id"],
        "made-1"
    );
}

#[tokio::test]
async fn a_client_that_leaves_drops_the_answer() {
    for (said, body) in [
        (vec![], plain()),
        (vec![text("half")], plain()),
        (vec![text("half")], streamed()),
        (vec![], streamed()),
    ] {
        let served = serve(Plan::Hang(said)).await;
        let body = body.to_string();
        let length = body.len();
        let head =
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
        let mut client = TcpStream::connect(served.address).expect("connected");
        write!(client, "{head}content-length: {length}\r\n\r\n{body}").expect("written");
        while served.fake.0.submitted.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(client);
        tokio::time::timeout(Duration::from_secs(5), served.fake.all_dropped())
            .await
            .expect("the answer was dropped");
    }
}

/// Prints what reading a request and writing its answer costs; run by hand, optimized, to see it.
#[test]
fn a_plain_request_is_read_and_answered() {
    let body = json!({"model": "small", "temperature": 0.7, "max_tokens": 64, "messages": [
        {"role": "system", "content": "You are brief."}, {"role": "user", "content": "What turns the mill? ".repeat(10)}]})
    .to_string();
    let finished = Finished {
        finish: FinishReason::Stop,
        prompt_tokens: 60,
        cached_tokens: 0,
        generated_tokens: 64,
    };
    let answer = "The river rises in the hills and turns the mill. ".repeat(8);
    let limits = ApiLimits::default();
    const ROUNDS: u32 = 20_000;
    let started = Instant::now();
    for _ in 0..ROUNDS {
        let request = request::ChatRequest::read(body.as_bytes(), &limits).expect("a request");
        assert_eq!(request.messages.len(), 2);
        let heading = response::Heading {
            id: "made-1",
            created: 0,
            model: "small",
        };
        assert!(heading.completion(&answer, &finished).len() > answer.len());
    }
    println!(
        "{:?} to read a request and write its answer",
        started.elapsed() / ROUNDS
    );
}
