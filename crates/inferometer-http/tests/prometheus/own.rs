//! The page of a server with all its own metrics, and those of the layers.

use inferometer::{MetricSet, Registry};
use inferometer_http::{
    MetricsServer,
    layers::{GrpcServer, HttpServer, RateLimit},
};
use inferometer_judges::{Release, get, judge_exposition};

fn registered<S: MetricSet>(registry: &Registry) -> S {
    registry.register().unwrap()
}

#[test]
fn page_of_our_own_metrics_pleases_every_linter() {
    let registry = Registry::new();
    let _http: HttpServer = registered(&registry);
    let _grpc: GrpcServer = registered(&registry);
    let _limit: RateLimit = registered(&registry);
    let server = MetricsServer::new(registry).start("127.0.0.1:0").unwrap();
    // Each kind of series is there: a scrape, a refusal, health.
    for path in ["/metrics", "/health", "/nowhere"] {
        get(server.address(), path, None).unwrap();
    }
    let page = get(server.address(), "/metrics", None).unwrap();
    let text = page.text();
    for family in [
        "inferometer_http_scrapes_total",
        "inferometer_http_scrape_duration_seconds",
        "inferometer_http_scrape_size_bytes",
        "inferometer_http_refusals_total",
        "inferometer_http_server_request_duration_seconds",
        "inferometer_grpc_server_call_duration_seconds",
        "inferometer_http_server_rate_limit_hits_total",
    ] {
        assert!(text.contains(&format!("# TYPE {family} ")), "no {family}");
    }
    Release::each(|release| assert_eq!(release.check_metrics(&text).unwrap(), [])).unwrap();
    judge_exposition(&page.body, page.header("content-type").unwrap()).unwrap();
}
