//! Every release of Prometheus on trial: what each reads out of the same scrape, and how they differ.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener},
    thread,
};

use inferometer_judges::{Feature, Job, Protocol, Relay, Release, get};

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROTOBUF: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// Serves one body at every path, for as long as the test's process lives.
fn endpoint(content_type: &'static str, body: impl Into<Vec<u8>>) -> SocketAddr {
    let body = body.into();
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a loopback listener accepts");
            let head = BufReader::new(stream.try_clone().expect("a socket can be shared")).lines();
            head.map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .for_each(drop);
            let length = body.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            drop(stream.write_all(&[head.as_bytes(), &body].concat()));
        }
    });
    address
}

#[test]
fn installed_release_is_the_first_of_all() {
    let all = Release::all().unwrap();
    let installed = Release::installed().unwrap();
    assert_eq!(all[0].to_string(), installed.to_string());
    assert!(installed.to_string().starts_with("Prometheus "));
    assert!(all.iter().skip(1).all(Release::rewrites_bounds));
    for release in all {
        assert_eq!(release.check_metrics(BARE).unwrap().len(), 1, "{release}");
    }
}

const BARE: &str = "# TYPE bare gauge\nbare 1\n";

#[test]
fn help_unit_exemplars_and_bounds_are_read_from_openmetrics() {
    let body = "# HELP wait_seconds A \\\"long\\\" wait.\n# TYPE wait_seconds histogram\n# UNIT wait_seconds seconds\n\
                wait_seconds_bucket{le=\"1\"} 1 # {trace_id=\"ab\\\"c\"} 0.5\n\
                wait_seconds_bucket{le=\"+Inf\"} 2\nwait_seconds_sum 3.5\nwait_seconds_count 2\n# EOF\n";
    let target = endpoint(OPENMETRICS, body);
    Release::each(|release| {
        let prometheus = release
            .scraping(&[Job::new("shop", target)], &[Feature::ExemplarStorage])
            .unwrap();
        let told = prometheus.metadata("shop").unwrap();
        let wait = told
            .iter()
            .find(|told| told.family == "wait_seconds")
            .unwrap();
        assert_eq!(
            (wait.kind.as_str(), wait.help.as_str(), wait.unit.as_str()),
            ("histogram", "A \"long\" wait.", "seconds")
        );

        let kept = prometheus.exemplars("wait_seconds_bucket").unwrap();
        assert_eq!(kept.len(), 1, "{kept:?}");
        // No release undoes the escapes of an exemplar's labels, though all do so for a series'.
        assert_eq!(
            (kept[0].labels["trace_id"].as_str(), kept[0].value),
            ("ab\\\"c", 0.5)
        );
        assert!(kept[0].at > 1.7e9);
        assert_eq!(kept[0].series["__name__"], "wait_seconds_bucket");

        let bound = if release.rewrites_bounds() {
            "1.0"
        } else {
            "1"
        };
        assert_eq!(kept[0].series["le"], bound);
    })
    .unwrap();
}

#[test]
fn target_that_cannot_be_read_says_why() {
    let broken = endpoint(TEXT, "depth{ 1\n");
    let unheard = endpoint("application/x-unheard-of", "depth 1\n");
    let config = format!(
        r#"{{"global": {{"scrape_interval": "1s"}}, "scrape_configs": [
             {{"job_name": "broken", "static_configs": [{{"targets": ["{broken}"]}}]}},
             {{"job_name": "unheard", "static_configs": [{{"targets": ["{unheard}"]}}]}}]}}"#
    );
    Release::each(|release| {
        let prometheus = release.with_config(&config, &[]).unwrap();
        let targets = prometheus.tried_targets(2).unwrap();
        let of = |job: &str| targets.iter().find(|target| target.job == job).unwrap();
        assert_eq!(of("broken").health, "down");
        assert!(!of("broken").last_error.is_empty());
        // 3.x guesses no format: a wrong content type loses the target.
        let health = if release.rewrites_bounds() {
            "down"
        } else {
            "up"
        };
        assert_eq!(of("unheard").health, health, "{:?}", of("unheard"));
    })
    .unwrap();
}

#[test]
fn release_refuses_a_job_that_asks_for_what_it_cannot_do() {
    let target = endpoint(TEXT, "depth 1\n");
    for release in Release::all().unwrap() {
        let mut refused = Vec::new();
        if !release.chooses_protocols() {
            refused.push(Job::new("worker", target).protocol(Protocol::Text));
        }
        if !release.keeps_classic_beside_native() {
            refused.push(Job::new("worker", target).classic_beside_native());
        }
        for job in refused {
            let refusal = release.scraping(&[job], &[]).unwrap_err().to_string();
            assert!(refusal.contains("job worker: Prometheus 2."), "{refusal}");
        }
    }
}

#[test]
fn relay_notes_what_is_asked_and_asks_for_something_else() {
    let text = endpoint(TEXT, "depth 1\n");
    let openmetrics = endpoint(OPENMETRICS, "depth 1\n# EOF\n");
    Release::each(|release| {
        let plain = Relay::to(text, None).unwrap();
        let turned = Relay::to(openmetrics, Some(Protocol::OpenMetrics.accept())).unwrap();
        let mut plain_job = Job::new("plain", plain.address());
        if release.chooses_protocols() {
            plain_job = plain_job.protocol(Protocol::Text);
        }
        let jobs = [plain_job, Job::new("turned", turned.address())];
        let prometheus = release.scraping(&jobs, &[]).unwrap();
        assert_eq!(prometheus.query("sum(depth)").unwrap()[0].value, 2.0);
        for (relay, content_type) in [(&plain, TEXT), (&turned, OPENMETRICS)] {
            let seen = relay.seen();
            assert!(!seen.is_empty());
            for exchange in seen {
                let asked_for_more = exchange.accept.contains("application/openmetrics-text");
                assert!(exchange.accept.contains("text/plain"));
                assert_eq!(
                    asked_for_more,
                    content_type == OPENMETRICS || !release.chooses_protocols(),
                    "{}",
                    exchange.accept
                );
                assert_eq!(
                    (exchange.status, exchange.content_type.as_str()),
                    (200, content_type)
                );
            }
        }
    })
    .unwrap();
}

#[test]
fn relay_ends_when_dropped_and_answers_for_an_endpoint_that_does_not() {
    let relay = Relay::to(endpoint(TEXT, "depth 1\n"), None).unwrap();
    let gone = relay.address();
    assert_eq!(get(gone, "/", None).unwrap().text(), "depth 1\n");
    drop(relay);
    assert!(get(gone, "/", None).is_err());

    let nowhere = Relay::to(gone, None).unwrap();
    assert_eq!(get(nowhere.address(), "/", None).unwrap().status, 502);
}

/// One value in (1, 2] and three in (2, 4], as native buckets of schema 0 and as classic ones.
fn native_scrape() -> Vec<u8> {
    let classic = |cumulative, bound: f64| {
        let bucket = [varint(1, cumulative), double(2, bound)].concat();
        bytes(3, &bucket)
    };
    let histogram = [
        varint(1, 4),
        double(2, 10.5),
        classic(0, 1.0),
        classic(1, 2.0),
        classic(4, f64::INFINITY),
        varint(5, 0),
        double(6, 0.0),
        varint(7, 0),
        // From bucket 1 on, two of them; each count as the difference to the one before. Zigzag: n is written as 2n.
        bytes(12, &[varint(1, 2), varint(2, 2)].concat()),
        varint(13, 2),
        varint(13, 4),
    ]
    .concat();
    let label = [bytes(1, b"kind"), bytes(2, b"a")].concat();
    let metric = [bytes(1, &label), bytes(7, &histogram)].concat();
    let family = [
        bytes(1, b"wait_seconds"),
        bytes(2, b"Wait."),
        varint(3, 4),
        bytes(4, &metric),
    ]
    .concat();
    let mut message = Vec::new();
    push_varint(&mut message, family.len() as u64);
    message.extend(family);
    message
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn varint(field: u64, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    push_varint(&mut out, field << 3);
    push_varint(&mut out, value);
    out
}

fn double(field: u64, value: f64) -> Vec<u8> {
    let mut out = Vec::new();
    push_varint(&mut out, field << 3 | 1);
    out.extend(value.to_le_bytes());
    out
}

fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    push_varint(&mut out, field << 3 | 2);
    push_varint(&mut out, value.len() as u64);
    out.extend(value);
    out
}

#[test]
fn native_histograms_are_read_and_hide_the_classic_ones_unless_told_otherwise() {
    let target = endpoint(PROTOBUF, native_scrape());
    Release::each(|release| {
        let mut jobs = vec![Job::new("native", target)];
        if release.keeps_classic_beside_native() {
            jobs.push(Job::new("both", target).classic_beside_native());
        }
        let prometheus = release
            .scraping(&jobs, &[Feature::NativeHistograms])
            .unwrap();
        for job in ["native", "both"].into_iter().take(jobs.len()) {
            let found = prometheus
                .query_native(&format!("wait_seconds{{job=\"{job}\"}}"))
                .unwrap();
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].labels["kind"], "a");
            assert_eq!((found[0].count, found[0].sum), (4.0, 10.5));
            assert_eq!(found[0].buckets, [(1.0, 2.0, 1.0), (2.0, 4.0, 3.0)]);
            let median = format!("histogram_quantile(0.5, wait_seconds{{job=\"{job}\"}})");
            let median = prometheus.query(&median).unwrap()[0].value;
            assert!(2.0 < median && median <= 4.0, "{median}");

            let classic = prometheus
                .query(&format!("wait_seconds_bucket{{job=\"{job}\"}}"))
                .unwrap();
            assert_eq!(classic.len(), if job == "both" { 3 } else { 0 });
        }
        let mixed = prometheus.query("wait_seconds").unwrap_err().to_string();
        assert!(mixed.contains("histogram"), "{mixed}");
    })
    .unwrap();
}
