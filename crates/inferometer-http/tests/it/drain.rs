use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use inferometer_http::{Health, MetricsServer, ServerOptions};

use crate::{
    client::{connect, read, request, until, wait_for_close},
    limits::large,
    log::Log,
    server::{Served, value},
};

#[test]
fn idle_and_unfinished_connections_do_not_delay_the_end() {
    let served = Served::plain();
    let silent = connect(served.address());
    let mut partial = connect(served.address());
    partial.write_all(b"GET /metrics HT").unwrap();
    let mut idle = connect(served.address());
    idle.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    assert_eq!(read(&mut idle).unwrap().status, 200);
    let mut two = connect(served.address());
    two.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
        .unwrap();
    two.read_exact(&mut [0; 9]).unwrap();
    until("all of them", || served.open() == 4.0);
    let address = served.address();
    let started = Instant::now();
    served.handle.stop();
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    for stream in [&silent, &partial, &idle, &two] {
        wait_for_close(stream);
    }
    assert!(
        TcpStream::connect(address).is_err(),
        "nobody listens any more"
    );
}

#[test]
fn answer_under_way_is_taken_to_its_end() {
    let (go, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let served = Served::new(
        |_| {},
        |server| {
            server.with_health(move || {
                let _ = gate.lock().unwrap().recv();
                Health::Healthy
            })
        },
    );
    let mut stream = connect(served.address());
    stream.write_all(&request("GET", "/health", &[])).unwrap();
    until("the request", || served.in_flight() == 1.0);
    let address = served.address();
    let stopping = thread::spawn(move || served.handle.stop());
    until("the listener's end", || {
        TcpStream::connect(address).is_err()
    });
    go.send(()).unwrap();
    assert_eq!(read(&mut stream).unwrap().status, 200);
    stopping.join().unwrap();
}

#[test]
fn slow_reader_delays_the_end_by_the_drain_and_no_more() {
    let registry = large();
    let options = ServerOptions {
        drain: Duration::from_millis(500),
        ..ServerOptions::default()
    };
    let server = MetricsServer::new(registry.clone()).with_options(options);
    let server = server.start("127.0.0.1:0").unwrap();
    let mut stream = connect(server.address());
    stream.write_all(&request("GET", "/metrics", &[])).unwrap();
    stream.read_exact(&mut [0; 15]).unwrap();
    let started = Instant::now();
    server.stop();
    let took = started.elapsed();
    assert!(
        took >= Duration::from_millis(400) && took < Duration::from_secs(4),
        "{took:?}"
    );
    assert_eq!(value(&registry, "inferometer_http_requests_in_flight"), 0.0);
    assert_eq!(value(&registry, "inferometer_http_connections"), 0.0);
}

#[test]
fn what_the_end_waits_for_is_said() {
    let log = Log::of_all();
    let options = ServerOptions {
        // No other test has this one.
        drain: Duration::from_millis(517),
        ..ServerOptions::default()
    };
    let server = MetricsServer::new(large()).with_options(options);
    let server = server.start("127.0.0.1:0").unwrap();
    let mut slow = connect(server.address());
    slow.write_all(&request("GET", "/metrics", &[])).unwrap();
    slow.read_exact(&mut [0; 15]).unwrap();
    server.stop();
    let said = log.text();
    let lines: Vec<_> = said.lines().filter(|line| line.contains("517ms")).collect();
    let [waiting, cut] = lines[..] else {
        panic!("{lines:?}");
    };
    for part in [
        "waiting for the answers under way, 517ms at the most",
        "answering=1",
        "clients=[127.0.0.1]",
    ] {
        assert!(waiting.contains(part), "{waiting}");
    }
    for part in ["WARN", "are cut off", "clients=[127.0.0.1]"] {
        assert!(cut.contains(part), "{cut}");
    }
}

/// One of each kind, and the drain holds for all of them together.
#[test]
fn no_kind_of_client_prolongs_the_end() {
    let registry = large();
    let options = ServerOptions {
        drain: Duration::from_millis(700),
        ..ServerOptions::default()
    };
    let server = MetricsServer::new(registry.clone()).with_options(options);
    let server = server.start("127.0.0.1:0").unwrap();
    let address = server.address();
    let said = |bytes: &[u8]| {
        let mut stream = connect(address);
        stream.write_all(bytes).unwrap();
        stream
    };
    let whole = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut kinds = vec![
        said(b""),
        said(b"GET /metrics HTTP/1.1\r\nA"),
        said(whole),
        said(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
        // It sends ahead and never reads.
        said(&whole.repeat(50)),
        // It was refused, and goes on.
        said(b"\x00\r\n\r\n"),
    ];
    let mut trickling = said(whole);
    trickling.read_exact(&mut [0; 15]).unwrap();
    kinds.push(trickling.try_clone().unwrap());
    let trickle = thread::spawn(move || {
        while trickling.read(&mut [0; 1024]).is_ok_and(|many| many > 0) {
            thread::sleep(Duration::from_millis(1));
        }
    });
    let under_way = || value(&registry, "inferometer_http_requests_in_flight") >= 3.0;
    until("the answers", under_way);
    let started = Instant::now();
    server.stop();
    let took = started.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    drop(kinds);
    trickle.join().unwrap();
}
