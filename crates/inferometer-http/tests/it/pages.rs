use std::{
    io::Read as _,
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use inferometer::{Counter, Gauge, MetricSet, Registry};
use inferometer_http::MetricsServer;

use crate::{
    client::get,
    limits::large,
    server::{Served, value},
};

#[derive(MetricSet)]
#[metrics(namespace = "probe")]
struct Probe {
    /// How often it was read.
    reads: Gauge,
    /// Events.
    events: Counter,
}

#[test]
fn crowd_of_scrapers_shares_few_pages_and_none_is_older_than_its_question() {
    let registry = Registry::new();
    let probe: Probe = registry.register().unwrap();
    let reads = Arc::new(AtomicUsize::new(0));
    let _tracking = {
        let reads = Arc::clone(&reads);
        probe.reads.track(move || {
            // A page takes its time, so that a crowd gathers.
            thread::sleep(std::time::Duration::from_millis(30));
            Some(f64::from(
                u32::try_from(reads.fetch_add(1, SeqCst)).unwrap(),
            ))
        })
    };
    let server = MetricsServer::new(registry.clone())
        .start("127.0.0.1:0")
        .unwrap();
    let many = 40;
    let together = Barrier::new(many);
    thread::scope(|scope| {
        for _ in 0..many {
            scope.spawn(|| {
                together.wait();
                probe.events.inc();
                let seen = probe.events.get();
                let page = get(server.address(), "/metrics", &[]).text();
                let line = page
                    .lines()
                    .find(|line| line.starts_with("probe_events_total "))
                    .unwrap();
                let scraped: u64 = line.rsplit_once(' ').unwrap().1.parse().unwrap();
                assert!(scraped >= seen, "{scraped} of {seen}");
            });
        }
    });
    let rounds = reads.load(SeqCst);
    assert!(rounds < many / 2, "{rounds} pages for {many} scrapers");
    assert_eq!(
        value(&registry, "inferometer_http_scrapes_total{format=\"text\"}"),
        40.0
    );
}

#[test]
fn page_is_compressed_as_asked_and_says_so() {
    let registry = large();
    let server = MetricsServer::new(registry).start("127.0.0.1:0").unwrap();
    let ask = |coding| get(server.address(), "/metrics", &[("Accept-Encoding", coding)]);
    let plain = ask("identity");
    assert_eq!(plain.header("content-encoding"), None);
    assert_eq!(plain.header("vary"), Some("accept, accept-encoding"));
    let gzip = ask("gzip");
    assert_eq!(gzip.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*gzip.body)
        .read_to_string(&mut text)
        .unwrap();
    let line = "large_many_total{series=\"99999\"} 1";
    assert!(text.contains(line) && plain.text().contains(line));
    let zstd = ask("zstd, gzip;q=0.5");
    assert_eq!(zstd.header("content-encoding"), Some("zstd"));
    let text = zstd::decode_all(&*zstd.body).unwrap();
    assert!(String::from_utf8(text).unwrap().contains(line));
    assert!(gzip.body.len() < plain.body.len() / 4 && zstd.body.len() < plain.body.len() / 4);
}

/// Rendering and compressing are one piece of work: where a page is rendered, it is compressed.
#[test]
fn pages_are_made_on_threads_that_may_wait() {
    let registry = Registry::new();
    let probe: Probe = registry.register().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let _tracking = probe.reads.track(move || {
        let _ = tell.send(thread::current().name().map(str::to_owned));
        Some(1.0)
    });
    let server = MetricsServer::new(registry).start("127.0.0.1:0").unwrap();
    let page = get(server.address(), "/metrics", &[("Accept-Encoding", "gzip")]);
    assert_eq!(page.header("content-encoding"), Some("gzip"));
    let thread = told.recv().unwrap().unwrap();
    assert_eq!(
        thread, "inferometer-http-worker",
        "the server's own thread only talks"
    );
}

#[test]
fn servers_of_one_registry_share_their_metrics() {
    let registry = Registry::new();
    let start = || {
        MetricsServer::new(registry.clone())
            .start("127.0.0.1:0")
            .unwrap()
    };
    let (one, two) = (start(), start());
    for server in [&one, &two] {
        assert_eq!(get(server.address(), "/health", &[]).status, 200);
    }
    one.stop();
    let three = start();
    assert_eq!(get(three.address(), "/health", &[]).status, 200);
    assert_eq!(
        value(
            &registry,
            "inferometer_http_requests_total{route=\"health\"}"
        ),
        3.0
    );
}

#[test]
fn scrape_is_measured() {
    let served = Served::plain();
    let body = get(served.address(), "/metrics", &[]).body.len();
    crate::client::until("its measure", || {
        served.value("inferometer_http_scrape_duration_seconds_count") == 1.0
    });
    let size = served.value("inferometer_http_scrape_size_bytes_sum");
    assert_eq!(size, f64::from(u32::try_from(body).unwrap()));
    assert_eq!(
        served.value("inferometer_http_requests_total{route=\"metrics\"}"),
        1.0
    );
    assert_eq!(served.in_flight(), 0.0);
}
