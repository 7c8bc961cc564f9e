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
