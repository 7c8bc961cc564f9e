use std::{
    io::Write as _,
    sync::{Mutex, mpsc},
    time::Duration,
};

use inferometer_http::{Access, Health, Page};

use crate::{
    client::{Answer, ask, connect, get, read, request, until},
    server::{SHORT, Served},
};

/// A refusal says in JSON what was wrong, and is counted.
fn problem(served: &Served, answer: &Answer, status: u16, reason: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    let json = answer.json();
    assert_eq!(json["status"], status);
    assert_eq!(json["reason"], reason);
    assert_eq!(json["type"], "about:blank");
    assert!(
        json["title"]
            .as_str()
            .is_some_and(|title| !title.is_empty())
    );
    assert!(
        json["detail"]
            .as_str()
            .is_some_and(|detail| detail.len() > 10)
    );
    assert!(served.refused(reason) >= 1.0, "{reason} is not counted");
}

#[test]
fn every_answered_refusal_has_its_status_its_problem_and_its_count() {
    let served = Served::plain();
    let long = "a".repeat(20 << 10);
    let fields = "a: b\r\n".repeat(65);
    let key = served.keys.metrics.clone();
    let rows: [(Vec<u8>, u16, &str); 13] = [
        (request("GET", "/gpu/stats", &[]), 401, "missing_key"),
        (
            request("GET", "/gpu/stats", &[("X-API-Key", "")]),
            401,
            "wrong_key",
        ),
        (
            request("GET", "/gpu/stats", &[("X-API-Key", &key)]),
            403,
            "scope",
        ),
        (request("GET", "/nowhere", &[]), 404, "unknown_route"),
        (request("POST", "/metrics", &[]), 405, "method"),
        (request("BREW", "/metrics", &[]), 405, "method"),
        (
            request("POST", "/metrics", &[("Content-Length", "9")]),
            413,
            "body",
        ),
        (
            request("GET", &format!("/{}", &long[..5000]), &[]),
            414,
            "uri_too_long",
        ),
        (
            request("GET", "/metrics", &[("X-API-Key", &long)]),
            431,
            "head_too_large",
        ),
        (
            format!("GET /metrics HTTP/1.1\r\n{fields}\r\n").into(),
            431,
            "head_too_large",
        ),
        (b"\x00\x01\r\n\r\n".into(), 400, "malformed"),
        (b"GET /metrics HTTP/1.1\r\n\r\n".into(), 400, "malformed"),
        (
            b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            400,
            "malformed",
        ),
    ];
    for (request, status, reason) in &rows {
        let answer = ask(served.address(), request);
        problem(&served, &answer, *status, reason);
        match status {
            401 => assert!(answer.header("www-authenticate").is_some()),
            405 => assert_eq!(answer.header("allow"), Some("GET, HEAD")),
            _ => {}
        }
    }
    assert_eq!(served.refused("head_too_large"), 2.0);
    assert_eq!(
        served.refused("wrong_key"),
        1.0,
        "a key past the limit is not compared"
    );
    until("every connection's end", || served.open() == 0.0);
}

#[test]
fn refusals_of_later_heads_are_told_as_those_of_the_first() {
    let served = Served::plain();
    for (text, status) in [
        (&b"GET / HTTP/1.1\r\nHost: a\r\nno field\r\n\r\n"[..], 400),
        (&[b"GET /", &[b'a'; 9000][..]].concat(), 414),
    ] {
        let mut stream = connect(served.address());
        for _ in 0..2 {
            stream
                .write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
                .unwrap();
            assert_eq!(read(&mut stream).unwrap().status, 200);
        }
        stream.write_all(text).unwrap();
        let answer = read(&mut stream).unwrap();
        assert_eq!(answer.status, status);
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
    }
}

#[test]
fn head_that_is_not_whole_in_time_is_told() {
    let served = Served::set(|options| options.limits.head = SHORT);
    let mut stream = connect(served.address());
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost:").unwrap();
    let answer = read(&mut stream).unwrap();
    problem(&served, &answer, 408, "head_timeout");
}

#[test]
fn too_many_at_once_and_too_slow_answers_are_503() {
    let (go, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let served = Served::new(
        |options| {
            options.limits.in_flight = 1;
            options.limits.answer = Duration::from_millis(700);
        },
        |server| {
            server.with_health(move || {
                let _ = gate.lock().unwrap().recv();
                Health::Healthy
            })
        },
    );
    let mut waiting = connect(served.address());
    waiting.write_all(&request("GET", "/health", &[])).unwrap();
    until("the first request", || served.in_flight() == 1.0);
    let busy = get(served.address(), "/metrics", &[]);
    problem(&served, &busy, 503, "busy");
    assert_eq!(busy.header("retry-after"), Some("1"));
    let slow = read(&mut waiting).unwrap();
    problem(&served, &slow, 503, "answer_timeout");
    assert_eq!(slow.header("retry-after"), Some("1"));
    assert_eq!(
        get(served.address(), "/metrics", &[]).status,
        200,
        "only that provider hangs"
    );
    drop(go);
    until("the provider's return", || {
        get(served.address(), "/health", &[]).status == 200
    });
}

#[test]
fn panic_in_a_provider_is_a_500_and_no_more() {
    let served = Served::new(
        |_| {},
        |server| server.with_health(|| panic!("as the test wants it")),
    );
    let answer = get(served.address(), "/health", &[]);
    problem(&served, &answer, 500, "failed");
    assert_eq!(get(served.address(), "/metrics", &[]).status, 200);
}

#[test]
fn health_has_its_status_in_every_form() {
    let served = Served::new(
        |options| {
            options.access.insert(Page::HealthDetailed, Access::Public);
        },
        |server| {
            server
                .with_health(|| Health::Unhealthy("no model".into()))
                .with_ready(|| Health::Healthy)
        },
    );
    let health = get(served.address(), "/health", &[]);
    assert_eq!(health.status, 503);
    assert_eq!(health.json()["status"], "unhealthy");
    assert_eq!(health.json()["reason"], "no model");
    assert!(health.json()["timestamp"].is_string());
    assert_eq!(get(served.address(), "/health/live", &[]).status, 200);
    assert_eq!(get(served.address(), "/health/ready", &[]).status, 200);
    let detailed = get(served.address(), "/health/detailed", &[]);
    assert_eq!(detailed.status, 503);
    assert_eq!(
        detailed.json()["components"]["database"]["status"],
        "unknown"
    );
}
