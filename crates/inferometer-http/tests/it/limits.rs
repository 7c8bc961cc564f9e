use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

use inferometer::{Counter, LabelSet, MetricSet, Registry};
use inferometer_http::{MetricsServer, ServerOptions};

use crate::{
    client::{connect, get, read, request, until, wait_for_close},
    server::{SHORT, Served, value},
};

const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn silent_and_slow_connections_are_closed_while_scrapes_go_on() {
    let served = Served::set(|options| {
        options.limits.first_byte = 3 * SHORT;
        options.limits.head = 3 * SHORT;
    });
    let bad: Vec<_> = (0..200)
        .map(|number| {
            let mut stream = connect(served.address());
            if number % 2 == 1 {
                stream.write_all(b"GET /metrics HTTP/1.1\r\nA").unwrap();
            }
            stream
        })
        .collect();
    // Some may have been closed already: the machine may be busy.
    until("all of them", || {
        served.value("inferometer_http_connections_accepted_total") >= 200.0
    });
    assert_eq!(get(served.address(), "/metrics", &[]).status, 200);
    for stream in &bad {
        wait_for_close(stream);
    }
    until("their end", || served.open() == 0.0);
    assert_eq!(
        (served.refused("silent"), served.refused("head_timeout")),
        (100.0, 100.0)
    );
}

#[test]
fn trickle_of_bytes_does_not_prolong_a_head() {
    let served = Served::set(|options| options.limits.head = SHORT);
    let stream = connect(served.address());
    let started = Instant::now();
    let mut trickle = stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        while trickle.write_all(b"a").is_ok() && started.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    wait_for_close(&stream);
    // Closed for good, though the other side goes on.
    stream.shutdown(Shutdown::Both).ok();
    writer.join().unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn idle_connection_is_closed_without_a_word() {
    let served = Served::set(|options| options.limits.idle = SHORT);
    let mut stream = connect(served.address());
    stream.write_all(HEALTH).unwrap();
    assert_eq!(read(&mut stream).unwrap().status, 200);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
    assert_eq!(served.refused("silent"), 0.0);
}

#[test]
fn at_the_cap_a_newcomer_displaces_a_silent_one_and_scrapers_stay() {
    let served = Served::set(|options| {
        options.limits.connections = 8;
        options.limits.reserved_connections = 2;
    });
    let mut scraper = connect(served.address());
    let mut scrape = || {
        scraper.write_all(HEALTH).unwrap();
        read(&mut scraper).is_some_and(|answer| answer.status == 200)
    };
    assert!(scrape());
    let crowd: Vec<_> = (0..100).map(|_| connect(served.address())).collect();
    until("their displacement", || served.refused("displaced") >= 92.0);
    assert!(scrape(), "the scraper's connection is as it was");
    assert_eq!(get(served.address(), "/metrics", &[]).status, 200);
    assert!(served.open() <= 11.0, "{}", served.open());
    drop(crowd);
}

#[derive(LabelSet)]
struct BySeries {
    #[label(limit = 100000)]
    series: u32,
}

#[derive(MetricSet)]
#[metrics(namespace = "large")]
struct Large {
    /// Many.
    #[metric(max_series = 200000)]
    many: Counter<BySeries>,
}

/// A registry whose page has about 4 MB: more than sockets hold.
pub(crate) fn large() -> Registry {
    let registry = Registry::new();
    let set: Large = registry.register().unwrap();
    for series in 0..100_000 {
        set.many.with(BySeries { series }).inc();
    }
    registry
}

fn slow_reader(address: std::net::SocketAddr) -> TcpStream {
    let mut stream = connect(address);
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    // The answer has begun, and that's all this client reads.
    stream.read_exact(&mut [0; 15]).unwrap();
    stream
}

#[test]
fn client_that_takes_nothing_is_closed_and_forgotten() {
    let registry = large();
    let mut options = ServerOptions::default();
    options.limits.write = SHORT;
    let server = MetricsServer::new(registry.clone()).with_options(options);
    let server = server.start("127.0.0.1:0").unwrap();
    let readers: Vec<_> = (0..10).map(|_| slow_reader(server.address())).collect();
    let in_flight = || value(&registry, "inferometer_http_requests_in_flight");
    let closed = || {
        value(
            &registry,
            "inferometer_http_refusals_total{reason=\"slow_reader\"}",
        )
    };
    until("their end", || closed() == 10.0 && in_flight() == 0.0);
    drop(readers);
}

/// A byte now and then is progress, so that no standstill ends it: the request's own time does.
#[test]
fn client_that_takes_its_answer_byte_by_byte_is_closed_in_the_end() {
    let registry = large();
    let mut options = ServerOptions::default();
    options.limits.request = 3 * SHORT;
    let server = MetricsServer::new(registry.clone()).with_options(options);
    let server = server.start("127.0.0.1:0").unwrap();
    let mut stream = slow_reader(server.address());
    let started = Instant::now();
    let closed = || {
        value(
            &registry,
            "inferometer_http_refusals_total{reason=\"request_timeout\"}",
        ) == 1.0
    };
    until("its end", || {
        // What the kernel holds already still comes after that.
        let _ = (&stream).read(&mut [0; 512]).unwrap();
        closed()
    });
    assert!(started.elapsed() >= SHORT, "{:?}", started.elapsed());
    let _ = stream.read_to_end(&mut Vec::new());
    until("nothing left", || {
        value(&registry, "inferometer_http_requests_in_flight") == 0.0
    });
}

#[test]
fn reader_of_an_old_page_makes_room_when_pages_are_too_many() {
    let registry = large();
    let mut options = ServerOptions::default();
    options.limits.page_bytes = 0;
    let server = MetricsServer::new(registry.clone()).with_options(options);
    let server = server.start("127.0.0.1:0").unwrap();
    let first = slow_reader(server.address());
    let second = slow_reader(server.address());
    let cut = || {
        value(
            &registry,
            "inferometer_http_refusals_total{reason=\"page_held\"}",
        )
    };
    until("a reader's end", || {
        assert_eq!(get(server.address(), "/metrics", &[]).status, 200);
        cut() >= 1.0
    });
    wait_for_close(&first);
    drop(second);
}

#[test]
fn requests_that_are_reset_midway_leave_nothing_behind() {
    let registry = large();
    let server = MetricsServer::new(registry.clone())
        .start("127.0.0.1:0")
        .unwrap();
    for number in 0..300 {
        let mut stream = connect(server.address());
        stream.write_all(&request("GET", "/metrics", &[])).unwrap();
        if number % 3 == 0 {
            let _ = stream.read(&mut [0; 100]).unwrap();
        }
        // With bytes unread, or with this option, closing resets.
        socket2::SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }
    let left = |series: &str| value(&registry, series) == 0.0;
    until("all gauges at 0", || {
        left("inferometer_http_requests_in_flight") && left("inferometer_http_connections")
    });
}

#[test]
fn requests_sent_ahead_are_answered_in_order() {
    let served = Served::plain();
    let mut stream = connect(served.address());
    let paths = ["/health", "/nowhere", "/health/live", "/metrics"];
    let all: String = paths
        .iter()
        .map(|path| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"))
        .collect();
    stream.write_all(all.as_bytes()).unwrap();
    let statuses = paths.map(|_| read(&mut stream).unwrap().status);
    assert_eq!(statuses, [200, 404, 200, 200]);
}
