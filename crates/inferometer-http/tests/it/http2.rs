use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use crate::{
    client::{connect, get, until, wait_for_close},
    server::{SHORT, Served},
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

const SETTINGS: u8 = 4;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const GOAWAY: u8 = 7;
/// The headers are whole, and nothing follows.
const END: u8 = 0x4 | 0x1;

fn open(served: &Served) -> TcpStream {
    let mut stream = connect(served.address());
    stream
        .write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat())
        .unwrap();
    stream
}

/// `GET http://a/health`, in HPACK: indexed fields and literals.
fn health() -> Vec<u8> {
    [&[0x82, 0x86, 0x41, 1, b'a', 0x44, 7][..], b"/health"].concat()
}

/// The next frame: kind and payload; `None` when the server has closed.
fn next(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut payload).ok()?;
    Some((head[3], payload))
}

#[test]
fn http2_is_answered_on_the_same_port() {
    let served = Served::plain();
    let mut stream = open(&served);
    for number in [1, 3, 5] {
        stream
            .write_all(&frame(HEADERS, END, number, &health()))
            .unwrap();
        let mut body = String::new();
        while !body.contains("healthy") {
            let (kind, payload) = next(&mut stream).expect("an answer");
            match kind {
                // `:status: 200`, indexed.
                HEADERS => assert_eq!(payload[0], 0x88),
                0 => body += &String::from_utf8(payload).unwrap(),
                _ => {}
            }
        }
    }
    until("the count", || {
        served.value("inferometer_http_requests_total{route=\"health\"}") == 3.0
    });
    until("the last byte", || served.in_flight() == 0.0);
}

#[test]
fn rapid_reset_is_answered_by_goaway() {
    let served = Served::plain();
    let mut stream = open(&served);
    let mut told = false;
    let mut writer = stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        for number in (1..40_000_u32).step_by(2) {
            let open = frame(HEADERS, END, number, &health());
            let reset = frame(RESET, 0, number, &8_u32.to_be_bytes());
            if writer.write_all(&[open, reset].concat()).is_err() {
                break;
            }
        }
    });
    while let Some((kind, _)) = next(&mut stream) {
        told |= kind == GOAWAY;
    }
    writer.join().unwrap();
    assert!(told, "no GOAWAY");
    until("the connection's end", || served.open() == 0.0);
    until("all requests' end", || served.in_flight() == 0.0);
    assert_eq!(served.refused("protocol"), 1.0);
    assert_eq!(get(served.address(), "/health", &[]).status, 200);
}

#[test]
fn http2_that_asks_for_nothing_is_closed() {
    let served = Served::set(|options| {
        options.limits.head = SHORT;
        options.limits.idle = SHORT;
    });
    let silent = open(&served);
    wait_for_close(&silent);
    let mut idle = open(&served);
    idle.write_all(&frame(HEADERS, END, 1, &health())).unwrap();
    wait_for_close(&idle);
    until("their end", || served.open() == 0.0);
    assert_eq!(
        served.refused("head_timeout"),
        1.0,
        "the idle one did nothing wrong"
    );
}

#[test]
fn large_heads_are_refused_in_http2_too() {
    let served = Served::plain();
    let mut stream = open(&served);
    // A literal without indexing, its value long: 0x00, name, value of 127 + 16,923 bytes.
    let value = vec![b'a'; 17_050];
    let field = [&[0x00, 4][..], b"long", &[0x7f, 0x9b, 0x84, 0x01], &value].concat();
    let block = [health(), field].concat();
    let (first, rest) = block.split_at(16_000);
    stream.write_all(&frame(HEADERS, 0x1, 1, first)).unwrap();
    stream.write_all(&frame(9, 0x4, 1, rest)).unwrap();
    let mut body = String::new();
    while !body.contains("head_too_large") {
        let (kind, payload) = next(&mut stream).expect("an answer");
        if kind == 0 {
            body += &String::from_utf8(payload).unwrap();
        }
    }
    assert_eq!(served.refused("head_too_large"), 1.0);
}
