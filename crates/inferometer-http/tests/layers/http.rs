//! What is told of an exchange that takes its course.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{StatusCode, header},
    response::IntoResponse,
    routing::{any, get, post},
};
use futures_util::{StreamExt as _, stream};
use inferometer::sample::http::{Exchange, HttpView};
use inferometer_http::layers::{Head, HttpLayer, ProcessTimeLayer, Route};
use tokio::sync::mpsc;

use crate::world::{Client, Page, World, listen, until};

/// A body of the pieces that come over a channel.
pub(crate) fn streaming(pieces: mpsc::Receiver<&'static str>) -> Body {
    let stream = stream::unfold(pieces, async |mut pieces| {
        let piece = pieces.recv().await?;
        Some((
            Ok::<_, Infallible>(Bytes::from_static(piece.as_bytes())),
            pieces,
        ))
    });
    Body::from_stream(stream)
}

#[tokio::test]
async fn an_exchange_is_told_with_its_method_route_status_and_sizes() {
    let echo = post(async |body: Bytes| body);
    let world = World::serving(Router::new().route("/models/{id}", echo)).await;
    let mut client = world.connect().await;
    client
        .send("POST /models/7 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello")
        .await;
    assert_eq!(client.whole().await.body, "hello");

    let page = &world.page;
    until("one finished", || page.finished_in_all() == 1.0).await;
    assert_eq!(page.finished("POST", "/models/{id}", "200", "ok"), 1.0);
    let labels = "{method=\"POST\",route=\"/models/{id}\"}";
    for (name, expected) in [
        ("request_body_size_bytes_sum", 5.0),
        ("response_body_size_bytes_sum", 5.0),
        ("response_chunks_total", 1.0),
        ("time_to_first_byte_seconds_count", 1.0),
    ] {
        let series = format!("inferometer_http_server_{name}{labels}");
        assert_eq!(page.value(&series), Some(expected), "{series}");
    }
    let duration = "inferometer_http_server_request_duration_seconds_count";
    assert_eq!(page.sum(duration, "status=\"2xx\""), 1.0);
    assert_eq!((page.started(), page.active()), (1.0, 0.0));
}

#[tokio::test]
async fn a_body_in_chunks_of_unknown_length_is_counted_as_it_is_read() {
    let count = post(async |body: Bytes| body.len().to_string());
    let world = World::serving(Router::new().route("/", count)).await;
    let mut client = world.connect().await;
    let head =
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    client
        .send(&format!("{head}3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"))
        .await;
    assert_eq!(client.whole().await.body, "7");
    let page = &world.page;
    until("one finished", || page.finished_in_all() == 1.0).await;
    assert_eq!(
        page.sum("inferometer_http_server_request_body_size_bytes_sum", ""),
        7.0
    );
}

#[tokio::test]
async fn a_stream_is_timed_from_its_first_byte_to_its_last() {
    let (pieces, received) = mpsc::channel(1);
    let received = Arc::new(std::sync::Mutex::new(Some(received)));
    let handler = get(async move || streaming(received.lock().unwrap().take().unwrap()));
    let world = World::serving(Router::new().route("/stream", handler)).await;
    let mut client = world.connect().await;
    client
        .send("GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;

    pieces.send("first").await.unwrap();
    client.read_to("first").await;
    let read = Instant::now();
    let page = &world.page;
    assert_eq!((page.active(), page.finished_in_all()), (1.0, 0.0));
    pieces.send("second").await.unwrap();
    client.read_to("second").await;
    until("time has passed", || {
        read.elapsed() > Duration::from_millis(10)
    })
    .await;
    let gap = read.elapsed();
    pieces.send("third").await.unwrap();
    drop(pieces);
    client.rest().await;

    until("one finished", || page.finished_in_all() == 1.0).await;
    assert_eq!(page.finished("GET", "/stream", "200", "ok"), 1.0);
    assert_eq!(page.active(), 0.0);
    assert_eq!(
        page.sum("inferometer_http_server_response_chunks_total", ""),
        3.0
    );
    let bytes = page.sum("inferometer_http_server_response_body_size_bytes_sum", "");
    assert_eq!(bytes, 16.0);
    let first = page.sum("inferometer_http_server_time_to_first_byte_seconds_sum", "");
    let whole = page.sum("inferometer_http_server_request_duration_seconds_sum", "");
    assert!(
        whole - first >= gap.as_secs_f64(),
        "{first} {whole} {gap:?}"
    );
}

#[tokio::test]
async fn answers_that_send_no_body_have_come_to_their_end() {
    let router = Router::new()
        .route("/text", get(async || "text"))
        .route("/nothing", get(async || StatusCode::NO_CONTENT))
        .route("/same", get(async || StatusCode::NOT_MODIFIED))
        // A handler that answers HEAD with a body, as proxies do; the server sends none of it.
        .route(
            "/any",
            any(async || Body::from_stream(stream::pending::<Result<Bytes, Infallible>>())),
        );
    let world = World::serving(router).await;
    for (request, route, code) in [
        ("HEAD /text", "/text", "200"),
        ("GET /nothing", "/nothing", "204"),
        ("GET /same", "/same", "304"),
        ("HEAD /any", "/any", "200"),
    ] {
        let answer = world.ask(&format!("{request} HTTP/1.1")).await;
        assert_eq!(
            (answer.status.to_string(), &*answer.body),
            (code.to_owned(), "")
        );
        let method = request.split(' ').next().unwrap();
        let page = &world.page;
        until(request, || page.finished(method, route, code, "ok") == 1.0).await;
        assert_eq!(page.active(), 0.0, "{request}");
    }
    let first = "inferometer_http_server_time_to_first_byte_seconds_count";
    assert_eq!(world.page.sum(first, ""), 0.0);
}

/// A server that has all bytes it was told of asks for no more: the stream's own end is never seen.
#[tokio::test]
async fn a_stream_of_a_length_that_was_told_ends_with_its_last_byte() {
    let handler = get(async || {
        let pieces =
            ["abc", "def"].map(|piece| Ok::<_, Infallible>(Bytes::from_static(piece.as_bytes())));
        let body = Body::from_stream(stream::iter(pieces).chain(stream::pending()));
        ([(header::CONTENT_LENGTH, "6")], body)
    });
    let world = World::serving(Router::new().route("/file", handler)).await;
    assert_eq!(world.ask("GET /file HTTP/1.1").await.body, "abcdef");
    let page = &world.page;
    until("finished", || {
        page.finished("GET", "/file", "200", "ok") == 1.0
    })
    .await;
}

#[tokio::test]
async fn every_status_comes_to_its_outcome() {
    let handler = get(
        async |axum::extract::Path(code): axum::extract::Path<u16>| {
            StatusCode::from_u16(code).unwrap().into_response()
        },
    );
    let world = World::serving(Router::new().route("/{code}", handler)).await;
    for (code, label, outcome) in [
        (200, "200", "ok"),
        (418, "418", "rejected"),
        (408, "408", "timeout"),
        (429, "429", "shed"),
        (500, "500", "error"),
        (503, "503", "shed"),
        (504, "504", "timeout"),
        (599, "other", "error"),
        (999, "other", "error"),
    ] {
        assert_eq!(
            world.ask(&format!("GET /{code} HTTP/1.1")).await.status,
            code
        );
        let page = &world.page;
        until(label, || {
            page.finished("GET", "/{code}", label, outcome) == 1.0
                || (code == 999 && page.finished("GET", "/{code}", label, outcome) == 2.0)
        })
        .await;
    }
    let duration = "inferometer_http_server_request_duration_seconds_count";
    for (class, count) in [("2xx", 1.0), ("4xx", 3.0), ("5xx", 4.0), ("other", 1.0)] {
        assert_eq!(
            world.page.sum(duration, &format!("status=\"{class}\"")),
            count
        );
    }
}

/// Counts bytes of answers.
#[derive(Debug, Default)]
struct Bill(AtomicU64);

impl HttpView for Bill {
    fn ended(&self, exchange: &Exchange<'_>) {
        self.0.fetch_add(exchange.traffic.response_bytes, Relaxed);
    }
}

#[tokio::test]
async fn several_views_are_told_and_routes_can_come_from_elsewhere() {
    fn routes(head: Head<'_>) -> Route {
        match head.uri.path() {
            "/a" => Route::new("/a"),
            path if path.starts_with("/b/") => Route::from(Arc::<str>::from("/b/{rest}")),
            _ => Route::UNMATCHED,
        }
    }
    let page = Page::default();
    let metrics: Arc<inferometer_http::layers::HttpServer> = page.register();
    let bill = Arc::new(Bill::default());
    let both = Arc::new((Arc::clone(&metrics), Arc::clone(&bill)));
    let router = Router::new()
        .fallback(async || "four")
        .layer(HttpLayer::new(both).with_routes(routes));
    let address = listen(router, metrics).await;
    for path in ["/a", "/b/1", "/b/2", "/c"] {
        let mut client = Client::to(address).await;
        client
            .send(&format!(
                "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            ))
            .await;
        assert_eq!(client.whole().await.body, "four");
    }
    until("all are told", || page.finished_in_all() == 4.0).await;
    for (route, count) in [("/a", 1.0), ("/b/{rest}", 2.0), ("unmatched", 1.0)] {
        assert_eq!(page.finished("GET", route, "200", "ok"), count, "{route}");
    }
    assert_eq!(bill.0.load(Relaxed), 16);
}

#[tokio::test]
async fn connections_are_counted_while_they_are_open() {
    let world = World::serving(Router::new().route("/", get(async || "x"))).await;
    let page = &world.page;
    let open = || page.sum("inferometer_http_server_open_connections", "");
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = world.connect().await;
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        client.read_to("\r\n\r\nx").await;
        clients.push(client);
    }
    assert_eq!(open(), 3.0);
    clients.pop();
    until("one has left", || open() == 2.0).await;
    clients.clear();
    until("all have left", || open() == 0.0).await;
    let opened = "inferometer_http_server_connections_opened_total";
    assert_eq!(page.sum(opened, ""), 3.0);
}

#[tokio::test]
async fn answers_say_how_long_they_took_unless_that_is_switched_off() {
    for enabled in [true, false] {
        let router = Router::new()
            .route("/", get(async || "x"))
            .layer(ProcessTimeLayer::new().enabled(enabled));
        let world = World::serving(router).await;
        let asked = Instant::now();
        let answer = world.ask("GET / HTTP/1.1").await;
        let most = asked.elapsed().as_secs_f64();
        match answer.header("X-Process-Time") {
            Some(seconds) if enabled => {
                let seconds: f64 = seconds.parse().unwrap();
                assert!((0.0..=most + 1e-6).contains(&seconds), "{seconds} {most}");
            }
            found => assert_eq!((found, enabled), (None, false)),
        }
    }
}
