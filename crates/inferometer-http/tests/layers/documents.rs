//! The metrics of HTTP that users know by other names, moved by real requests through the same layers.

use std::{future::pending, num::NonZeroU32, sync::Arc, time::Duration};

use axum::{Router, http::StatusCode, routing::get};
use inferometer::sample::http::{HttpView, LimitView};
use inferometer_catalog::{predict, vla};
use inferometer_http::layers::{
    ConnectionsLayer, HttpLayer, Quota, RateLimitLayer, by_client_address,
};
use tokio::net::TcpListener;
use tower::Layer as _;

use crate::world::{Client, Page, until};

/// A service with a good route, a broken one, one that panics and one that never answers, under `views`.
async fn serve<V, L>(views: Arc<V>, limit: Arc<L>) -> std::net::SocketAddr
where
    V: HttpView + Send + Sync + 'static,
    L: LimitView + Send + Sync + 'static,
{
    let hourly = Quota::new(1, Duration::from_secs(3600)).unwrap();
    let two = hourly.with_burst(NonZeroU32::new(2).unwrap());
    let limited = Router::new()
        .route("/limited", get(async || "served"))
        // Not of what no route takes.
        .route_layer(RateLimitLayer::new(two, by_client_address, limit));
    let router = Router::new()
        .route("/predict/{id}", get(async || "predicted"))
        .route("/broken", get(async || StatusCode::INTERNAL_SERVER_ERROR))
        .route("/panics", get(async || -> () { panic!("on purpose") }))
        .route("/never", get(async || pending::<()>().await))
        .merge(limited)
        .layer(HttpLayer::new(Arc::clone(&views)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<std::net::SocketAddr>();
    let service = ConnectionsLayer::new(views).layer(service);
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

/// Asks for each path once on a connection of its own, and stays on that of `/never`.
async fn ask(address: std::net::SocketAddr) -> Client {
    for path in [
        "/predict/1",
        "/predict/2",
        "/nowhere",
        "/broken",
        "/panics",
        "/limited",
        "/limited",
        "/limited",
    ] {
        let mut client = Client::to(address).await;
        client
            .send(&format!(
                "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            ))
            .await;
        client.rest().await;
    }
    let mut waiting = Client::to(address).await;
    waiting.send("GET /never HTTP/1.1\r\nHost: x\r\n\r\n").await;
    waiting
}

#[tokio::test]
async fn the_robot_apis_metrics_move_with_its_requests() {
    let page = Page::default();
    let http: Arc<vla::http::Http> = page.register();
    let limit: Arc<vla::http::RateLimit> = page.register();
    let waiting = ask(serve(http, limit).await).await;
    let is = |name: &str, value: f64| page.value(name) == Some(value);
    until("one is left", || is("vla_http_connections_active", 1.0)).await;
    until("eight have ended", || is("vla_http_requests_total", 8.0)).await;
    for (name, value) in [
        ("vla_http_request_duration_seconds_count", 8.0),
        // The broken one and the panic.
        ("vla_errors_total", 2.0),
        ("vla_exceptions_total", 1.0),
        ("vla_rate_limit_hits_total", 1.0),
        ("vla_rate_limit_tokens_remaining", 0.0),
    ] {
        assert_eq!(page.value(name), Some(value), "{name}");
    }
    drop(waiting);
    until("the last has ended", || is("vla_http_requests_total", 9.0)).await;
    until("all have left", || is("vla_http_connections_active", 0.0)).await;
    assert!(
        is("vla_errors_total", 2.0),
        "a client that leaves is no error"
    );
}

#[tokio::test]
async fn the_prediction_apis_metrics_move_with_its_requests() {
    let page = Page::default();
    let http: Arc<predict::http::Http> = page.register();
    let limit: Arc<inferometer_http::layers::RateLimit> = page.register();
    let waiting = ask(serve(http, limit).await).await;
    until("one is left", || {
        page.value("active_connections_count") == Some(1.0)
    })
    .await;
    until("eight have ended", || {
        page.sum("api_requests_total", "") == 8.0
    })
    .await;
    let requests = |endpoint: &str, code: &str| {
        let labels = format!("endpoint=\"{endpoint}\",status_code=\"{code}\"");
        page.sum("api_requests_total", &labels)
    };
    for (endpoint, code, count) in [
        ("/predict/{id}", "200", 2.0),
        ("unmatched", "404", 1.0),
        ("/broken", "500", 1.0),
        ("/panics", "none", 1.0),
        ("/limited", "200", 2.0),
        ("/limited", "429", 1.0),
    ] {
        assert_eq!(requests(endpoint, code), count, "{endpoint} {code}");
    }
    assert_eq!(
        page.sum(
            "api_request_duration_seconds_count",
            "endpoint=\"/predict/{id}\""
        ),
        2.0
    );
    for (kind, endpoint) in [("internal", "/broken"), ("panic", "/panics")] {
        let labels = format!("error_type=\"{kind}\",endpoint=\"{endpoint}\"");
        assert_eq!(page.sum("errors_total", &labels), 1.0, "{labels}");
    }
    drop(waiting);
    until("all have left", || {
        page.value("active_connections_count") == Some(0.0)
    })
    .await;
    assert_eq!(requests("/never", "none"), 1.0);
}
