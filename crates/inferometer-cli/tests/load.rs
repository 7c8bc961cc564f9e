//! The load generator against servers that count for themselves.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should panic where it stands"
)]

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::{StreamExt as _, stream};
use inferometer_cli::load::{
    self, Arrivals, Kind, LoadError, Mix, Outcome, Pace, Plan, Report, Target,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What the server saw.
#[derive(Debug, Default)]
struct Seen {
    requests: AtomicU64,
    whole: AtomicU64,
    streams_begun: AtomicU64,
    streams_ended: AtomicU64,
    streams_dropped: AtomicU64,
    sessions: AtomicU64,
    rejected: AtomicU64,
    shed: AtomicU64,
    failed: AtomicU64,
    chunks: AtomicU64,
    tokens: AtomicU64,
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(SeqCst)
}

fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, SeqCst);
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let models = get(|| async { Json(json!({"object": "list", "data": [{"id": "test-model"}]})) });
    let app = app.route("/v1/models", models);
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

fn plan(address: SocketAddr, rate: f64, seconds: f64) -> Plan {
    let mut plan = Plan::new(Target::from(address));
    plan.pace = Pace::Open {
        rate,
        arrivals: Arrivals::Poisson,
    };
    plan.duration = Some(Duration::from_secs_f64(seconds));
    plan.timeout = Duration::from_secs(20);
    plan
}

async fn run(plan: Plan) -> Report {
    tokio::task::spawn_blocking(|| load::start(plan).unwrap().join().unwrap())
        .await
        .unwrap()
}

fn assert_accounted(report: &Report) {
    let counts = &report.counts;
    assert_eq!(counts.scheduled, counts.sent + counts.not_sent);
    let ended: u64 = Outcome::ALL
        .iter()
        .map(|&outcome| counts.ended(outcome))
        .sum();
    assert_eq!(counts.sent, ended, "{report:#?}");
    let by_kind: u64 = Kind::ALL
        .iter()
        .map(|&kind| report.by_kind.get(kind).sent)
        .sum();
    assert_eq!(counts.sent, by_kind);
}

fn answer() -> Json<Value> {
    Json(json!({
        "choices": [{"message": {"role": "assistant", "content": "yes"}}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}},
    }))
}

/// Tells, when dropped, whether a stream came to its end.
struct Watched {
    seen: Arc<Seen>,
    ended: bool,
}

impl Drop for Watched {
    fn drop(&mut self) {
        let counter = if self.ended {
            &self.seen.streams_ended
        } else {
            &self.seen.streams_dropped
        };
        add(counter, 1);
    }
}

/// Streams as many pieces, `gap` apart, then the usage and the end.
fn streamed(seen: Arc<Seen>, pieces: u64, gap: Duration) -> Response {
    add(&seen.streams_begun, 1);
    let watched = Watched { seen, ended: false };
    let body = stream::unfold((watched, 0), move |(mut watched, at)| async move {
        let text = if at < pieces {
            tokio::time::sleep(gap).await;
            add(&watched.seen.chunks, 1);
            r#"data: {"choices":[{"delta":{"content":"word "}}]}"#.to_owned()
        } else if at == pieces {
            add(&watched.seen.tokens, pieces);
            format!(
                r#"data: {{"choices":[],"usage":{{"prompt_tokens":1,"completion_tokens":{pieces}}}}}"#
            )
        } else if at == pieces + 1 {
            watched.ended = true;
            "data: [DONE]".to_owned()
        } else {
            return None;
        };
        Some((Ok::<_, Infallible>(text + "\n\n"), (watched, at + 1)))
    });
    (
        [("content-type", "text/event-stream")],
        Body::from_stream(body),
    )
        .into_response()
}

/// A server as it should be, which sheds each seventh request and fails each eleventh.
async fn chat(seen: Arc<Seen>, headers: HeaderMap, body: Bytes) -> Response {
    add(&seen.requests, 1);
    let refuse =
        |status: StatusCode| (status, Json(json!({"error": {"message": "no"}}))).into_response();
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let valid = request["messages"]
        .as_array()
        .is_some_and(|messages| !messages.is_empty())
        && request["model"] == "test-model"
        && request["max_tokens"].as_u64().is_some()
        && request.get("temperature").is_none_or(Value::is_number);
    if !valid {
        add(&seen.rejected, 1);
        return refuse(StatusCode::BAD_REQUEST);
    }
    let number = count(&seen.requests);
    if number.is_multiple_of(7) {
        add(&seen.shed, 1);
        return refuse(StatusCode::TOO_MANY_REQUESTS);
    }
    if number.is_multiple_of(11) {
        add(&seen.failed, 1);
        return refuse(StatusCode::INTERNAL_SERVER_ERROR);
    }
    if headers.contains_key("x-session-id") {
        add(&seen.sessions, 1);
    }
    if request["stream"] == true {
        // A leaving client asks for a long answer, which it must not be able to outstay.
        let long = request["max_tokens"] == 512;
        return streamed(
            seen,
            if long { 100_000 } else { 6 },
            Duration::from_millis(1),
        );
    }
    add(&seen.whole, 1);
    add(&seen.tokens, 3);
    answer().into_response()
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_equal_the_servers_own() {
    let seen = Arc::<Seen>::default();
    let app = Router::new().route("/v1/chat/completions", {
        let seen = Arc::clone(&seen);
        post(move |headers, body| chat(Arc::clone(&seen), headers, body))
    });
    let mut plan = plan(serve(app).await, 600.0, 1.5);
    plan.mix = "short=4,long=1,stream=4,session=2,bad=2,leave=2"
        .parse()
        .unwrap();
    let report = run(plan).await;

    assert_accounted(&report);
    let counts = &report.counts;
    assert!(counts.sent > 600 && counts.not_sent == 0, "{counts:?}");
    // A client may leave before its request has been read: only those reach the server's own count.
    let unread = counts.sent - count(&seen.requests);
    assert!(
        unread <= report.by_kind.leave.left,
        "{unread} requests unread"
    );
    assert_eq!(counts.shed, count(&seen.shed));
    assert_eq!(counts.rejected, count(&seen.rejected));
    assert_eq!(report.by_kind.bad.rejected, report.by_kind.bad.sent);
    assert_eq!(counts.error, count(&seen.failed));
    assert_eq!(counts.ok, count(&seen.whole) + count(&seen.streams_ended));
    assert_eq!(report.by_kind.session.ok, count(&seen.sessions));
    assert_eq!(report.tokens.completion, count(&seen.tokens));
    assert_eq!(report.tokens.answers_with_usage, counts.ok);
    assert_eq!(report.by_kind.leave.ok, 0);
    assert_eq!((counts.timeout, counts.connection), (0, 0));
    assert_eq!(report.by_status[&429], counts.shed);
    assert!(report.stream_chunks <= count(&seen.chunks));
    let expected = counts.ok;
    assert_eq!(report.latency_seconds.answer.unwrap().count, expected);
    assert_eq!(
        report.latency_seconds.refusal.unwrap().count,
        counts.shed + counts.rejected
    );
    let failure = report
        .failures
        .iter()
        .find(|failure| failure.outcome == Outcome::Error)
        .unwrap();
    assert_eq!(
        (failure.message.as_str(), failure.count),
        ("status 500: no", counts.error)
    );
}

/// Waits until `done`, and fails with `what` when it never comes.
async fn until(what: &str, done: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < limit, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaving_client_really_closes_its_connection() {
    let seen = Arc::<Seen>::default();
    let app = Router::new().route("/v1/chat/completions", {
        let seen = Arc::clone(&seen);
        post(move || {
            let seen = Arc::clone(&seen);
            async move { streamed(seen, u64::MAX - 2, Duration::from_millis(2)) }
        })
    });
    let mut plan = plan(serve(app).await, 100.0, 0.5);
    plan.mix = Mix::only(Kind::Leave);
    let running = load::start(plan).unwrap();
    until(
        "streams that the server sees dropped while the load goes on",
        || count(&seen.streams_dropped) > 3,
    )
    .await;
    let report = tokio::task::spawn_blocking(|| running.join().unwrap())
        .await
        .unwrap();
    assert_accounted(&report);
    assert_eq!(report.counts.left, report.counts.sent);
    until("every stream dropped", || {
        count(&seen.streams_dropped) == count(&seen.streams_begun)
    })
    .await;
    assert_eq!(count(&seen.streams_ended), 0);
}

/// Stalls everybody between 0.5 s and 1.5 s from the first request.
async fn stalling(start: Arc<std::sync::OnceLock<Instant>>) -> Json<Value> {
    let elapsed = start.get_or_init(Instant::now).elapsed();
    let (from, to) = (Duration::from_millis(500), Duration::from_millis(1500));
    if (from..to).contains(&elapsed) {
        tokio::time::sleep(to - elapsed).await;
    }
    answer()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stall_shows_in_every_request_that_was_due_meanwhile() {
    let app = || {
        let start = Arc::default();
        Router::new().route(
            "/v1/chat/completions",
            post(move || stalling(Arc::clone(&start))),
        )
    };
    let mut open = plan(serve(app()).await, 200.0, 3.0);
    open.mix = Mix::only(Kind::Short);
    open.pace = Pace::Open {
        rate: 200.0,
        arrivals: Arrivals::Constant,
    };
    let mut closed = open.clone();
    let open = run(open).await;
    assert_accounted(&open);
    assert_eq!(open.counts.ok, 600);
    let latency = open.latency_seconds.answer.unwrap();
    // A third of the requests fell due within the stall; they waited 1 s down to nothing, evenly.
    assert!(latency.p99 > 0.9 && latency.max < 1.6, "{latency:?}");
    assert!((0.5..0.9).contains(&latency.p90), "{latency:?}");

    // The closed loop asks a stalled server once, and its p99 tells nothing of the stall: why it is no default.
    closed.target = Target::from(serve(app()).await);
    closed.pace = Pace::Closed { connections: 1 };
    let closed = run(closed).await;
    assert_accounted(&closed);
    let latency = closed.latency_seconds.answer.unwrap();
    assert!(latency.max > 0.9 && latency.p99 < 0.3, "{latency:?}");
    assert_eq!(closed.latency_seconds.send_lag, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn arrivals_beyond_the_limit_are_counted_as_not_sent() {
    let asked = Arc::<Seen>::default();
    let app = Router::new().route("/v1/chat/completions", {
        let asked = Arc::clone(&asked);
        post(move || {
            add(&asked.requests, 1);
            std::future::pending::<()>()
        })
    });
    let mut plan = plan(serve(app).await, 500.0, 0.5);
    plan.mix = Mix::only(Kind::Short);
    plan.max_in_flight = 10;
    plan.pace = Pace::Open {
        rate: 500.0,
        arrivals: Arrivals::Constant,
    };
    plan.timeout = Duration::from_secs(2);
    let report = run(plan).await;
    assert_accounted(&report);
    assert_eq!(report.counts.scheduled, 250);
    assert_eq!((report.counts.sent, report.counts.timeout), (10, 10));
    assert_eq!(count(&asked.requests), 10);
    // The wait of those that timed out is part of the latency.
    assert!(report.latency_seconds.answer.unwrap().p50 >= 1.99);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_load_drains_and_an_aborted_one_leaves() {
    let seen = Arc::<Seen>::default();
    let app = Router::new().route("/v1/chat/completions", {
        let seen = Arc::clone(&seen);
        post(move || {
            let seen = Arc::clone(&seen);
            async move { streamed(seen, u64::MAX - 2, Duration::from_millis(2)) }
        })
    });
    let mut plan = plan(serve(app).await, 50.0, 1.0);
    plan.duration = None;
    plan.mix = Mix::only(Kind::Stream);
    let running = load::start(plan).unwrap();
    until("ten streams", || count(&seen.streams_begun) >= 10).await;
    running.stop();
    let live = Arc::clone(running.live());
    until("all sent begun", || {
        count(&seen.streams_begun) >= live.sent()
    })
    .await;
    assert!(!running.is_finished() && live.in_flight() == live.sent());
    running.abort();
    let report = tokio::task::spawn_blocking(|| running.join().unwrap())
        .await
        .unwrap();
    assert_accounted(&report);
    assert!(report.interrupted);
    assert_eq!(report.counts.left, report.counts.sent);
    assert_eq!(live.in_flight(), 0);
    // A request that was sent in the last moment may have been aborted before the server began it.
    until("every stream dropped", || {
        count(&seen.streams_dropped) == count(&seen.streams_begun)
    })
    .await;
}

/// Holds an error back until what came before it is surely on its way.
async fn late_error<T, E>(piece: Result<T, E>) -> Result<T, E> {
    if piece.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    piece
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_answers_are_errors_and_broken_connections_are_told_apart() {
    let half = || async {
        let pieces = stream::iter([
            Ok("data: {\"choices\":[{\"delta\":{\"content\":\"h\"}}]}\n\n"),
            Err(std::io::Error::other("cut")),
        ]);
        (
            [("content-type", "text/event-stream")],
            Body::from_stream(pieces.then(late_error)),
        )
    };
    for (route, outcome, message) in [
        (post(half), Outcome::Connection, "broke during the answer"),
        (
            post(|| async { "<html>" }),
            Outcome::Error,
            "no chat completion",
        ),
        (
            post(|| async {
                (
                    [("content-type", "text/event-stream")],
                    "data: {\"choices\":[]}\n\n",
                )
            }),
            Outcome::Error,
            "without [DONE]",
        ),
        (
            post(|| async {
                (
                    [("content-type", "text/event-stream")],
                    "data: {\"error\":{\"message\":\"gone\"}}\n\n",
                )
            }),
            Outcome::Error,
            "error within a stream: gone",
        ),
    ] {
        let mut plan = plan(
            serve(Router::new().route("/v1/chat/completions", route)).await,
            100.0,
            0.2,
        );
        plan.mix = Mix::only(Kind::Stream);
        let report = run(plan).await;
        assert_accounted(&report);
        assert_eq!(
            report.counts.ended(outcome),
            report.counts.sent,
            "{report:#?}"
        );
        assert!(
            report
                .failures
                .iter()
                .any(|failure| failure.message.contains(message)),
            "{:?}",
            report.failures
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_server_is_explained_and_one_that_goes_is_counted() {
    let unused = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let mut plan = plan(unused, 100.0, 0.2);
    let error = load::start(plan.clone()).unwrap().join().unwrap_err();
    assert!(matches!(&error, LoadError::NoModel { .. }));
    assert!(error.to_string().contains("can't connect"), "{error}");
    plan.model = Some("m".into());
    let report = run(plan).await;
    assert_accounted(&report);
    assert_eq!(
        report.counts.connection + report.counts.left,
        report.counts.sent
    );
    assert_eq!(report.latency_seconds.answer, None);
}

#[test]
fn another_machine_is_refused_unless_allowed() {
    // TEST-NET-1, which leads nowhere.
    let mut plan = Plan::new("http://192.0.2.1:80".parse().unwrap());
    let error = load::start(plan.clone()).unwrap_err();
    assert!(error.to_string().contains("--allow-remote"), "{error}");
    plan.max_in_flight = 0;
    plan.allow_remote = true;
    assert!(matches!(load::start(plan).unwrap_err(), LoadError::Plan(_)));
}

/// The keys of a JSON value, as paths, with the kinds of their values.
fn shape(value: &Value, path: &str, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(key, value)| shape(value, &format!("{path}.{key}"), into)),
        Value::Array(items) => items
            .iter()
            .take(1)
            .for_each(|item| shape(item, &format!("{path}[]"), into)),
        Value::Null => into.push(format!("{path}: null")),
        Value::Bool(_) => into.push(format!("{path}: bool")),
        Value::String(_) => into.push(format!("{path}: string")),
        Value::Number(number) if number.is_f64() => into.push(format!("{path}: float")),
        Value::Number(_) => into.push(format!("{path}: integer")),
    }
}

/// Set `UPDATE_GOLDEN=1` to write the file anew.
#[tokio::test(flavor = "multi_thread")]
async fn the_json_keeps_its_shape() {
    let seen = Arc::<Seen>::default();
    let app = Router::new().route("/v1/chat/completions", {
        post(move |headers, body| chat(Arc::clone(&seen), headers, body))
    });
    let mut plan = plan(serve(app).await, 400.0, 0.5);
    plan.mix = "short=2,stream=2,bad=1".parse().unwrap();
    let report = serde_json::to_value(run(plan).await).unwrap();
    let mut lines = Vec::new();
    shape(&report, "", &mut lines);
    let found = lines.join("\n") + "\n";
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/load-report.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(golden, &found).unwrap();
    }
    let expected = std::fs::read_to_string(golden).unwrap_or_default();
    assert_eq!(
        found, expected,
        "the report's JSON changed; programs rely on it (UPDATE_GOLDEN=1 accepts it)"
    );
}
