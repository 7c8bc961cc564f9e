//! Many connections at once that do nothing good.

use std::{
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
};

use crate::{
    Row,
    figures::{kilobytes, millis},
    server::Attacked,
    wire::{Scraper, connect, value},
};

/// The start of a record of TLS, and of the message in it.
const HALF_HELLO: &[u8] = &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 7, 7, 7];

const HALF: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: a\r\nX-Slow: ";

/// Scrapes once a second, each time on a new connection, until it is told to end. Returns how long the slowest took, and the most memory the
/// server had meanwhile.
fn good_scrapes(attacked: &Attacked, end: &AtomicBool) -> (Duration, u64) {
    let (mut slowest, mut memory) = (Duration::ZERO, 0);
    let mut next = Instant::now();
    while !end.load(Relaxed) {
        if Instant::now() >= next {
            next += Duration::from_secs(1);
            let started = Instant::now();
            let (status, _) = Scraper::to(attacked).get("/metrics", "");
            assert_eq!(status, 200);
            slowest = slowest.max(started.elapsed());
        }
        memory = memory.max(attacked.memory());
        thread::sleep(Duration::from_millis(20));
    }
    (slowest, memory)
}

/// Opens them all, half of them silent and half saying `half` of something; how long until the last was closed, counted from its opening.
fn open_slow(address: SocketAddr, many: usize, half: &'static [u8]) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for number in 0..many {
            let stream = tokio::net::TcpStream::connect(address).await;
            tasks.spawn(async move {
                let Ok(mut stream) = stream else {
                    return Duration::ZERO;
                };
                let opened = Instant::now();
                if number % 2 == 0 {
                    let _ = stream.write_all(half).await;
                }
                let mut scrap = [0; 1024];
                while stream.read(&mut scrap).await.is_ok_and(|many| many > 0) {}
                opened.elapsed()
            });
        }
        tasks.join_all().await.into_iter().max().unwrap_or_default()
    })
}

/// Good scrapes may take 100 ms, `slack` times.
pub(crate) fn slow(many: usize, cap: usize, slack: u32) -> Row {
    let attacked = Attacked::start(cap, 1_000, "-");
    let what = format!("{many} silent or slow heads, cap {cap}");
    slow_towards(&attacked, what, many, HALF, slack)
}

/// The same towards TLS.
pub(crate) fn slow_handshakes(many: usize, slack: u32) -> Row {
    let attacked = Attacked::start_tls(20_000, 1_000);
    let what = format!("{many} silent or slow TLS handshakes, cap 20000");
    slow_towards(&attacked, what, many, HALF_HELLO, slack)
}

fn slow_towards(
    attacked: &Attacked,
    what: String,
    many: usize,
    half: &'static [u8],
    slack: u32,
) -> Row {
    Scraper::to(attacked).get("/metrics", "");
    let before = attacked.memory();
    let end = AtomicBool::new(false);
    let (closed, (slowest, memory)) = thread::scope(|scope| {
        let good = scope.spawn(|| good_scrapes(attacked, &end));
        let closed = open_slow(attacked.address, many, half);
        end.store(true, Relaxed);
        (closed, good.join().unwrap())
    });
    let each = memory.saturating_sub(before) as f64 / many as f64;
    Row {
        what,
        found: format!(
            "closed within {:.1} s, {} each, slowest good scrape {}",
            closed.as_secs_f64(),
            kilobytes(each),
            millis(slowest)
        ),
        target: "10 s, 20 KB, 100 ms".into(),
        kept: closed <= Duration::from_secs(10)
            && each <= 20.0 * 1024.0
            && slowest < slack * Duration::from_millis(100),
    }
}

fn slow_reader(address: SocketAddr) -> TcpStream {
    let stream = connect(address);
    // Its own share of the machine's memory stays small.
    SockRef::from(&stream)
        .set_recv_buffer_size(4 << 10)
        .unwrap();
    std::io::Write::write_all(&mut &stream, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    stream
}

pub(crate) fn readers(many: usize) -> Row {
    let attacked = Attacked::start(20_000, 100_000, "-");
    let body = Scraper::new(attacked.address).get("/metrics", "").1.len();
    // Without the one page that any scrape takes.
    let before = attacked.memory() - body as u64;
    let end = AtomicBool::new(false);
    let opened = AtomicUsize::new(0);
    let memory = thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut memory = 0;
            while !end.load(Relaxed) {
                memory = memory.max(attacked.memory());
                thread::sleep(Duration::from_millis(20));
            }
            memory
        });
        let readers: Vec<_> = (0..many)
            .map(|_| {
                opened.fetch_add(1, Relaxed);
                slow_reader(attacked.address)
            })
            .collect();
        // Until the last of them has its answer under way.
        let mut first = [0];
        readers.last().unwrap().peek(&mut first).unwrap();
        thread::sleep(Duration::from_millis(500));
        end.store(true, Relaxed);
        watch.join().unwrap()
    });
    let over = memory.saturating_sub(before) as f64 - 2.0 * body as f64;
    let each = over / many as f64;
    Row {
        what: format!("{many} slow readers of {:.1} MB", body as f64 / 1e6),
        found: format!("2 × body + {} each", kilobytes(each)),
        target: "2 × body + 32 KB each".into(),
        kept: each <= 32.0 * 1024.0,
    }
}

/// What a connection may be up to when the server is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bad {
    Silent,
    HalfHead,
    SlowReader,
    TricklingReader,
    IdleHttp2,
}

impl Bad {
    fn name(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::HalfHead => "half a head",
            Self::SlowReader => "slow readers",
            Self::TricklingReader => "readers of 500 bytes a second",
            Self::IdleHttp2 => "HTTP/2 that asks for nothing",
        }
    }

    fn connect(self, address: SocketAddr) -> TcpStream {
        let say = |bytes: &[u8]| {
            let stream = connect(address);
            std::io::Write::write_all(&mut &stream, bytes).unwrap();
            stream
        };
        match self {
            Self::Silent => say(b""),
            Self::HalfHead => say(HALF),
            Self::SlowReader | Self::TricklingReader => slow_reader(address),
            Self::IdleHttp2 => say(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
        }
    }
}

/// Tells the server to end while fifty connections are up to no good.
pub(crate) fn end(kind: Bad, signal: rustix::process::Signal) -> Row {
    let mut attacked = Attacked::start(512, 100_000, "-");
    let bad: Vec<_> = (0..50).map(|_| kind.connect(attacked.address)).collect();
    if matches!(kind, Bad::SlowReader | Bad::TricklingReader) {
        for stream in &bad {
            stream.peek(&mut [0]).unwrap();
        }
    }
    // Until the server has seen the rest of them; the scrape is one itself.
    let open = || value(attacked.address, "inferometer_http_connections");
    while open() < 51.0 {
        thread::sleep(Duration::from_millis(10));
    }
    let over = AtomicBool::new(false);
    let took = thread::scope(|scope| {
        if kind == Bad::TricklingReader {
            scope.spawn(|| {
                let mut piece = [0; 50];
                while !over.load(Relaxed) {
                    for mut stream in &bad {
                        let _ = std::io::Read::read(&mut stream, &mut piece);
                    }
                    thread::sleep(Duration::from_millis(100));
                }
            });
        }
        let took = attacked.end(signal);
        over.store(true, Relaxed);
        took
    });
    let signal = if signal == rustix::process::Signal::INT {
        "SIGINT"
    } else {
        "SIGTERM"
    };
    Row {
        what: format!("{signal} with 50 connections: {}", kind.name()),
        found: format!("exits in {:.2} s", took.as_secs_f64()),
        target: "10 s".into(),
        kept: took <= Duration::from_secs(10),
    }
}
