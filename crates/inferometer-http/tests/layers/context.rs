//! Ids and traces: kept, made, logged, answered, and kept as exemplars.

use std::{
    io,
    sync::{Arc, LazyLock, Mutex},
};

use axum::{Extension, Router, http::HeaderMap, routing::get};
use inferometer::Format;
use inferometer_http::layers::{ContextLayer, HttpLayer, HttpServer, RequestContext};
use tracing_subscriber::fmt::MakeWriter;

use crate::world::{Answer, Client, Page, listen};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// Answers with what the handler was told of its request: headers, then extension.
async fn told(headers: HeaderMap, Extension(context): Extension<RequestContext>) -> String {
    tracing::info!("handled");
    let header = |name| {
        let value = headers.get(name).map(|value| value.to_str().unwrap());
        value.unwrap_or("-").to_owned()
    };
    format!(
        "{} {} {} {} {}",
        header("x-request-id"),
        header("traceparent"),
        header("tracestate"),
        context.request_id.to_str().unwrap(),
        context.trace,
    )
}

/// A service under context and metrics, asked once with these headers.
async fn asked(headers: &str) -> (Page, Answer) {
    let page = Page::default();
    let metrics: Arc<HttpServer> = page.register();
    let router = Router::new()
        .route("/", get(told))
        .layer(HttpLayer::new(Arc::clone(&metrics)))
        .layer(ContextLayer::new());
    let mut client = Client::to(listen(router, metrics).await).await;
    client
        .send(&format!(
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n"
        ))
        .await;
    let answer = client.whole().await;
    (page, answer)
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[tokio::test]
async fn a_sane_id_and_a_trace_are_kept() {
    let (page, answer) = asked(&format!(
        "X-Request-Id: order-66/a\r\nTraceparent: 00-{TRACE}-{PARENT}-01\r\nTracestate: a=b\r\n"
    ))
    .await;
    let told: Vec<_> = answer.body.split(' ').collect();
    let given = format!("00-{TRACE}-{PARENT}-01");
    assert_eq!(&told[..4], ["order-66/a", &given, "a=b", "order-66/a"]);
    assert_eq!(answer.header("x-request-id"), Some("order-66/a"));
    let own = answer.header("traceparent").unwrap();
    assert_eq!(own, told[4]);
    let [version, trace, span, flags] = own.split('-').collect::<Vec<_>>()[..] else {
        panic!("{own} has not four parts");
    };
    assert_eq!((version, trace, flags), ("00", TRACE, "01"));
    assert!(is_hex(span, 16) && span != PARENT, "{span}");

    let text = String::from_utf8(page.0.encode(Format::OpenMetricsText)).unwrap();
    let exemplar = format!("# {{trace_id=\"{TRACE}\"}}");
    assert!(
        text.lines().any(|line| {
            line.starts_with("inferometer_http_server_request_duration_seconds_bucket")
                && line.contains(&exemplar)
        }),
        "{text}"
    );
}

#[tokio::test]
async fn what_is_missing_or_insane_is_made_anew() {
    let long = format!("X-Request-Id: {}\r\n", "x".repeat(129));
    for headers in [
        "",
        "X-Request-Id: \r\nTraceparent: nonsense\r\nTracestate: a=b\r\n",
        "X-Request-Id: two words\r\nTraceparent: 00-0-0-0\r\n",
        "X-Request-Id: \u{fc}\r\n",
        &long,
        &format!("Traceparent: 00-{TRACE}-{PARENT}-01\r\nTraceparent: 00-{TRACE}-{PARENT}-01\r\n"),
    ] {
        let (page, answer) = asked(headers).await;
        let told: Vec<_> = answer.body.split(' ').collect();
        let id = answer.header("x-request-id").unwrap();
        assert!(is_hex(id, 32), "{headers:?}: {id}");
        assert_eq!((told[0], told[3]), (id, id), "{headers:?}");
        assert_eq!((told[1], told[2]), ("-", "-"), "{headers:?}");
        let trace = answer
            .header("traceparent")
            .unwrap()
            .split('-')
            .nth(1)
            .unwrap();
        assert!(is_hex(trace, 32) && trace != TRACE, "{headers:?}: {trace}");
        let text = String::from_utf8(page.0.encode(Format::OpenMetricsText)).unwrap();
        assert!(
            text.contains(&format!("# {{trace_id=\"{trace}\"}}")),
            "{headers:?}"
        );
    }
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Of the whole process: what is logged where is settled when it is first logged, and other tests log from the same places.
static LOG: LazyLock<Log> = LazyLock::new(|| {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_writer(log.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    log
});

#[tokio::test]
async fn what_a_handler_logs_is_within_its_requests_span() {
    let log = LOG.clone();
    // No other test has this id.
    let (_, answer) = asked(&format!(
        "X-Request-Id: logged-1\r\nTraceparent: 00-{TRACE}-{PARENT}-01\r\n"
    ))
    .await;
    assert_eq!(answer.status, 200);
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let mut lines = text.lines();
    let line = lines.find(|line| line.contains("handled") && line.contains("logged-1"));
    let line = line.unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    let span = &line["span"];
    assert_eq!(span["name"], "request");
    assert_eq!(span["method"], "GET");
    assert_eq!(span["request_id"], "logged-1");
    assert_eq!(span["trace_id"], TRACE);
    let own = answer.header("traceparent").unwrap();
    assert_eq!(span["span_id"], own.split('-').nth(2).unwrap());
}

#[tokio::test]
async fn without_the_context_the_callers_trace_is_the_exemplar() {
    let page = Page::default();
    let metrics: Arc<HttpServer> = page.register();
    let router = Router::new()
        .route("/", get(async || "x"))
        .layer(HttpLayer::new(Arc::clone(&metrics)));
    let mut client = Client::to(listen(router, metrics).await).await;
    client
        .send(&format!(
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTraceparent: 00-{TRACE}-{PARENT}-00\r\n\r\n"
        ))
        .await;
    assert_eq!(client.whole().await.body, "x");
    let text = String::from_utf8(page.0.encode(Format::OpenMetricsText)).unwrap();
    assert!(text.contains(&format!("# {{trace_id=\"{TRACE}\"}}")));
}
