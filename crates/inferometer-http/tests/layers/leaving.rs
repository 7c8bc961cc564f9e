//! Exchanges that don't take their course: clients that leave, handlers that panic, bodies that break off.

use std::{future::pending, panic::AssertUnwindSafe, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::StatusCode,
    middleware::{Next, from_fn},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use inferometer_http::layers::{HttpLayer, HttpServer};

use crate::world::{Client, Page, World, listen, until};

/// Pieces for ever.
fn endless() -> Body {
    let piece = stream::repeat(Bytes::from_static(&[b'x'; 1024]));
    Body::from_stream(piece.map(Ok::<_, std::convert::Infallible>))
}

#[tokio::test]
async fn a_client_that_leaves_before_its_answer_has_cancelled() {
    let world = World::serving(Router::new().route("/", get(async || pending::<()>().await))).await;
    let page = &world.page;
    let mut client = world.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    until("it is under way", || page.active() == 1.0).await;
    drop(client);
    until("it has ended", || page.active() == 0.0).await;
    assert_eq!(page.finished("GET", "/", "none", "cancelled"), 1.0);
    assert_eq!(page.finished_in_all(), 1.0);
}

#[tokio::test]
async fn a_client_that_leaves_midway_has_cancelled_whatever_the_status_was() {
    let world = World::serving(Router::new().route("/", get(async || endless()))).await;
    let page = &world.page;
    let mut client = world.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    client.read_to("xxx").await;
    assert_eq!(page.active(), 1.0);
    client.reset();
    until("it has ended", || page.active() == 0.0).await;
    assert_eq!(page.finished("GET", "/", "200", "cancelled"), 1.0);
    assert!(page.sum("inferometer_http_server_response_chunks_total", "") >= 1.0);
}

#[tokio::test]
async fn a_panic_goes_on_and_is_counted() {
    let router = Router::new()
        .route("/panics", get(async || -> () { panic!("on purpose") }))
        .route("/fine", get(async || "fine"));
    let world = World::serving(router).await;
    let mut client = world.connect().await;
    client.send("GET /panics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(client.rest().await, "", "nothing is left to answer with");
    let page = &world.page;
    until("it has ended", || page.active() == 0.0).await;
    assert_eq!(page.finished("GET", "/panics", "none", "panicked"), 1.0);
    assert_eq!(world.ask("GET /fine HTTP/1.1").await.body, "fine");
}

/// Somebody further out answers for what panicked: the future is then dropped as if its client had left.
async fn catching(request: Request, next: Next) -> Response {
    let caught = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    caught.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

#[tokio::test]
async fn a_panic_that_is_caught_further_out_is_a_panic_all_the_same() {
    let page = Page::default();
    let metrics: Arc<HttpServer> = page.register();
    let router = Router::new()
        .route("/", get(async || -> () { panic!("on purpose") }))
        .layer(HttpLayer::new(Arc::clone(&metrics)))
        .layer(from_fn(catching));
    let mut client = Client::to(listen(router, metrics).await).await;
    client
        .send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(client.whole().await.status, 500);
    assert_eq!(page.finished("GET", "/", "none", "panicked"), 1.0);
    assert_eq!(page.active(), 0.0);
}

#[tokio::test]
async fn a_body_that_breaks_off_has_failed_and_one_that_panics_has_panicked() {
    let begins = || stream::iter([Ok(Bytes::from_static(b"begins"))]);
    let breaks = get(async move || {
        let error = stream::iter([Err(std::io::Error::other("on purpose"))]);
        Body::from_stream(begins().chain(error))
    });
    let panics = get(async move || {
        let panic = stream::once(async { panic!("on purpose") });
        Body::from_stream(begins().chain(panic))
    });
    let router = Router::new()
        .route("/breaks", breaks)
        .route("/panics", panics);
    let world = World::serving(router).await;
    let page = &world.page;
    for (route, outcome) in [("/breaks", "error"), ("/panics", "panicked")] {
        let mut client = world.connect().await;
        client
            .send(&format!("GET {route} HTTP/1.1\r\nHost: x\r\n\r\n"))
            .await;
        // What the server had not sent yet is lost with the connection.
        client.rest().await;
        until(route, || page.finished("GET", route, "200", outcome) == 1.0).await;
    }
    assert_eq!(page.active(), 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_requests_reset_midway_leave_nothing_in_flight() {
    const RESETS: usize = 1_000;
    let router = Router::new()
        .route("/never", get(async || pending::<()>().await))
        .route("/endless", get(async || endless()))
        .route("/takes", post(async |_: Bytes| "taken"));
    let world = World::serving(router).await;
    let page = &world.page;
    let each = (0..RESETS).map(async |at| {
        let mut client = world.connect().await;
        match at % 4 {
            0 => client.send("GET /never HTTP/1.1\r\nHost: x\r\n\r\n").await,
            1 => {
                client
                    .send("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
                    .await;
                client.read_to("xxx").await;
            }
            2 => {
                let head =
                    "POST /takes HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nonly so much";
                client.send(head).await;
            }
            _ => client.send("GET /endless HTTP/1.1\r\nHost:").await,
        }
        client.reset();
    });
    stream::iter(each)
        .buffer_unordered(50)
        .collect::<Vec<_>>()
        .await;

    let open = || page.sum("inferometer_http_server_open_connections", "");
    until("nothing is in flight", || {
        page.active() == 0.0 && open() == 0.0
    })
    .await;
    assert_eq!(page.started(), page.finished_in_all());
    // Those of /endless had read of their answer, so they were certainly served.
    let quarter = 250.0;
    assert_eq!(
        page.finished("GET", "/endless", "200", "cancelled"),
        quarter
    );
    assert_eq!(
        page.sum(
            "inferometer_http_server_requests_finished_total",
            "outcome=\"ok\""
        ),
        0.0
    );
    let opened = page.sum("inferometer_http_server_connections_opened_total", "");
    assert!(opened <= 1_000.0 && opened >= quarter, "{opened}");
}
