use std::net::{SocketAddr, TcpListener};

use axum::{Router, routing::get as route};
use inferometer::Registry;
use inferometer_http::{MetricsServer, ServerOptions};

use crate::{
    client::{ask, get, request, until},
    server::{TestKeys, value},
};

#[test]
fn routes_in_a_router_of_the_service_keep_their_access_and_problems() {
    let (registry, keys) = (Registry::new(), TestKeys::new());
    let options = ServerOptions {
        metrics_path: "/monitoring/metrics".into(),
        keys: Some(keys.path.clone()),
        ..ServerOptions::default()
    };
    let monitoring = MetricsServer::new(registry.clone())
        .with_options(options)
        .router()
        .unwrap();
    let router = Router::new()
        .route("/own", route(|| async { "own" }))
        .merge(monitoring);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, service).await.unwrap();
    });
    assert_eq!(get(address, "/own", &[]).text(), "own");
    let page = get(address, "/monitoring/metrics", &[]);
    assert!(page.text().contains("inferometer_http_requests_total"));
    assert_eq!(get(address, "/gpu/stats", &[]).status, 401);
    assert_eq!(
        get(address, "/gpu/stats", &[("X-API-Key", &keys.stats)]).status,
        200
    );
    let post = ask(
        address,
        &request("POST", "/health", &[("Content-Length", "0")]),
    );
    assert_eq!(post.status, 405);
    assert_eq!(
        post.header("content-type"),
        Some("application/problem+json")
    );
    until("the last byte", || {
        value(&registry, "inferometer_http_requests_in_flight") == 0.0
    });
}
