//! Methods, paths and headers that a client makes up.

use std::fmt::Write as _;

use axum::{Router, routing::get};

use crate::world::{World, until};

/// As many as it takes to see that none has a series of its own.
const MADE_UP: usize = 5_000;
const BATCHES: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_made_up_methods_and_paths_have_no_series_of_their_own() {
    let world = World::serving(Router::new().route("/models/{id}", get(async || "x"))).await;
    let page = &world.page;
    let mut answered = 0;
    for batch in 0..BATCHES {
        let mut client = world.connect().await;
        let mut requests = String::new();
        for number in (batch..MADE_UP).step_by(BATCHES) {
            let line = match number % 3 {
                0 => format!("M{number} /a/{number}"),
                1 => format!("GET /%ff%fe{number}?q=%00"),
                // A route, under a method of nobody's.
                _ => format!("X-{number} /models/{number}"),
            };
            let last = number + BATCHES >= MADE_UP;
            let end = if last { "Connection: close\r\n" } else { "" };
            let _ = write!(requests, "{line} HTTP/1.1\r\nHost: x\r\n{end}\r\n");
        }
        answered += client
            .exchange(&requests)
            .await
            .matches("HTTP/1.1 40")
            .count();

        // Bytes that no text has: the server may refuse them before the layers see them.
        let mut client = world.connect().await;
        client.send_bytes(b"GET /\xff\xfe\x80").await;
        client
            .send(&format!(
                "{batch} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            ))
            .await;
        assert!(client.rest().await.starts_with("HTTP/1.1 40"));
    }
    assert_eq!(answered, MADE_UP);
    until("all have ended", || {
        page.active() == 0.0 && page.started() == page.finished_in_all()
    })
    .await;
    assert!(page.started() >= 5_000.0);

    let finished = page.series("inferometer_http_server_requests_finished_total");
    let mut labels: Vec<_> = finished.iter().map(|(labels, _)| labels.as_str()).collect();
    labels.sort_unstable();
    let known = [
        "{method=\"GET\",route=\"unmatched\",code=\"404\",outcome=\"rejected\"}",
        "{method=\"other\",route=\"/models/{id}\",code=\"405\",outcome=\"rejected\"}",
        "{method=\"other\",route=\"unmatched\",code=\"404\",outcome=\"rejected\"}",
    ];
    assert_eq!(labels, known);
    // Twelve families of at most three series each, and the methods.
    let all = page.0.encode_text();
    let series = all
        .lines()
        .filter(|line| line.starts_with("inferometer_http_server_"))
        .filter(|line| !line.contains("_bucket"))
        .count();
    assert!(series < 60, "{series} series:\n{all}");
}

#[tokio::test]
async fn more_routes_than_the_label_takes_share_one_series() {
    let mut router = Router::new();
    for at in 0..150 {
        router = router.route(&format!("/route-{at}"), get(async || "x"));
    }
    let world = World::serving(router).await;
    let mut client = world.connect().await;
    let mut requests = String::new();
    for at in 0..150 {
        let _ = write!(requests, "GET /route-{at} HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    requests.push_str("GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    client.exchange(&requests).await;
    let page = &world.page;
    until("all have ended", || page.finished_in_all() == 151.0).await;
    let finished = page.series("inferometer_http_server_requests_finished_total");
    assert_eq!(
        finished.len(),
        101 + 1,
        "a hundred, the rest, and 404 for the rest"
    );
    assert_eq!(page.finished("GET", "other", "200", "ok"), 50.0);
    let dropped = "inferometer_label_values_dropped_total";
    assert!(page.sum(dropped, "inferometer_http_server_requests_finished_total") >= 50.0);
}
