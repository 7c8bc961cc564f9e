//! What the contracts name of HTTP and gRPC is declared as they name it, and moves as it should.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should panic where it stands"
)]

use std::{collections::BTreeSet, time::Duration};

use inferometer::{
    Descriptor, LabelBound, MetricSet, Registry, descriptors,
    lifecycle::Outcome,
    sample::http::{Decision, Exchange, HttpView, LimitView, Method, Status, TraceId, Traffic},
};
use inferometer_catalog::{predict, rerank, vla};

use crate::rows;

/// Holds what is declared to the rows of `system` that are `about` this; neither has one that the other lacks.
fn judge(system: &str, about: &[&str], declared: &[Descriptor]) {
    let mut named = BTreeSet::new();
    for row in rows(system) {
        let name = row.name;
        if !about.contains(&name) {
            continue;
        }
        named.insert(name);
        let descriptor = declared
            .iter()
            .find(|descriptor| descriptor.name == name)
            .unwrap_or_else(|| panic!("{name} is not declared"));
        assert_eq!(descriptor.kind.as_str(), row.kind, "{name}");
        assert_eq!(descriptor.unit.as_deref(), Some(row.unit), "{name}");
        // Labels in brackets are our reading where the contract gives none.
        let promised: BTreeSet<_> = row
            .labels
            .iter()
            .map(|label| label.trim_matches(['(', ')']))
            .collect();
        let labels: BTreeSet<_> = descriptor.labels.iter().map(|label| &*label.name).collect();
        assert_eq!(labels, promised, "{name}");
        for label in &descriptor.labels {
            assert!(
                !matches!(label.bound, LabelBound::Open(limit) if limit > 100),
                "{name}: {} has no bound to speak of",
                label.name
            );
        }
    }
    let about: BTreeSet<_> = about.iter().copied().collect();
    assert_eq!(named, about, "not all are in the contract");
    let declared: BTreeSet<_> = declared.iter().map(|declared| &*declared.name).collect();
    assert_eq!(declared, about);
}

#[test]
fn each_row_about_http_is_declared_with_its_kind_labels_and_unit() {
    judge(
        "vla",
        &[
            "vla_errors_total",
            "vla_exceptions_total",
            "vla_http_connections_active",
            "vla_http_request_duration_seconds",
            "vla_http_requests_total",
        ],
        &descriptors::<vla::http::Http>(),
    );
    judge(
        "vla",
        &[
            "vla_rate_limit_hits_total",
            "vla_rate_limit_tokens_remaining",
        ],
        &descriptors::<vla::http::RateLimit>(),
    );
    judge(
        "predict",
        &[
            "active_connections_count",
            "api_request_duration_seconds",
            "api_requests_total",
            "errors_total",
        ],
        &descriptors::<predict::http::Http>(),
    );
    judge(
        "rerank",
        &[
            "grpc_deserialize_latency_seconds",
            "grpc_serialize_latency_seconds",
        ],
        &descriptors::<rerank::http::Messages>(),
    );
}

fn registered<S: MetricSet>() -> (Registry, S) {
    let registry = Registry::new();
    let set = registry.register().unwrap();
    (registry, set)
}

/// The value of a sample on the page, by all that stands before it.
fn value(registry: &Registry, series: &str) -> Option<f64> {
    let page = registry.encode_text();
    page.lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
        .map(|value| value.parse().unwrap())
}

fn exchange(status: Status, outcome: Outcome) -> Exchange<'static> {
    Exchange {
        method: Method::Post,
        route: "/predict",
        status,
        outcome,
        traffic: Traffic {
            duration: Duration::from_millis(20),
            ..Traffic::default()
        },
        trace: None,
    }
}

/// One exchange of each kind.
fn exchanges() -> Vec<Exchange<'static>> {
    let answered = |code| exchange(Status::of(code), Status::of(code).outcome());
    vec![
        answered(200),
        answered(422),
        answered(408),
        answered(429),
        answered(500),
        answered(503),
        answered(504),
        exchange(Status::of(200), Outcome::Cancelled),
        exchange(Status::of(200), Outcome::Error),
        exchange(Status::NONE, Outcome::Error),
        exchange(Status::NONE, Outcome::Panicked),
    ]
}

#[test]
fn vla_counts_its_own_errors_and_not_its_clients() {
    let (registry, http) = registered::<vla::http::Http>();
    for exchange in exchanges() {
        http.ended(&exchange);
    }
    for (series, expected) in [
        ("vla_http_requests_total", 11.0),
        ("vla_http_request_duration_seconds_count", 11.0),
        // 500, 503, 504, broken off, no answer, panic.
        ("vla_errors_total", 6.0),
        ("vla_exceptions_total", 2.0),
    ] {
        assert_eq!(value(&registry, series), Some(expected), "{series}");
    }
    http.connected();
    http.connected();
    http.disconnected();
    assert_eq!(value(&registry, "vla_http_connections_active"), Some(1.0));
}

#[test]
fn predict_tells_exchanges_and_errors_apart() {
    let (registry, http) = registered::<predict::http::Http>();
    for exchange in exchanges() {
        http.ended(&exchange);
    }
    http.failed(predict::http::ErrorType::Database, "/predict");
    let by_code = |code: &str| {
        format!(
            "api_requests_total{{method=\"POST\",endpoint=\"/predict\",status_code=\"{code}\"}}"
        )
    };
    for (code, expected) in [("200", 3.0), ("422", 1.0), ("503", 1.0), ("none", 2.0)] {
        assert_eq!(value(&registry, &by_code(code)), Some(expected), "{code}");
    }
    let by_type =
        |error: &str| format!("errors_total{{error_type=\"{error}\",endpoint=\"/predict\"}}");
    for (error, expected) in [
        ("internal", Some(1.0)),
        ("unavailable", Some(1.0)),
        ("timeout", Some(1.0)),
        ("aborted", Some(2.0)),
        ("panic", Some(1.0)),
        ("database", Some(1.0)),
        ("other", None),
    ] {
        assert_eq!(value(&registry, &by_type(error)), expected, "{error}");
    }
    assert_eq!(
        value(
            &registry,
            "api_request_duration_seconds_count{method=\"POST\",endpoint=\"/predict\"}"
        ),
        Some(11.0)
    );
}

#[test]
fn a_slow_bucket_of_predict_leads_to_a_trace() {
    let (registry, http) = registered::<predict::http::Http>();
    let trace = TraceId::parse("4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
    http.ended(&Exchange {
        trace: Some(&trace),
        ..exchange(Status::of(200), Outcome::Ok)
    });
    let page = registry.encode(inferometer::Format::OpenMetricsText);
    let page = String::from_utf8(page).unwrap();
    assert!(
        page.lines().any(|line| {
            line.starts_with("api_request_duration_seconds_bucket")
                && line.contains("# {trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\"} 0.02")
        }),
        "{page}"
    );
}

#[test]
fn messages_and_limits_are_counted() {
    let (registry, messages) = registered::<rerank::http::Messages>();
    messages.serialized(Duration::from_micros(20));
    messages.deserialized(Duration::from_micros(30));
    messages.deserialized(Duration::from_micros(30));
    for (series, expected) in [
        ("grpc_serialize_latency_seconds_count", 1.0),
        ("grpc_deserialize_latency_seconds_count", 2.0),
    ] {
        assert_eq!(value(&registry, series), Some(expected), "{series}");
    }

    let (registry, limit) = registered::<vla::http::RateLimit>();
    assert_eq!(value(&registry, "vla_rate_limit_tokens_remaining"), None);
    for (allowed, remaining) in [(true, 1), (true, 0), (false, 0)] {
        limit.decided(&Decision {
            allowed,
            remaining,
            burst: 2,
            shared: false,
            keys: 1,
            most_keys: 10,
        });
    }
    assert_eq!(value(&registry, "vla_rate_limit_hits_total"), Some(1.0));
    assert_eq!(
        value(&registry, "vla_rate_limit_tokens_remaining"),
        Some(0.0)
    );
}
