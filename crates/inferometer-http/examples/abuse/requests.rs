//! Requests, good and bad.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use inferometer_http::{NewKey, Scope};
use socket2::SockRef;

use crate::{
    Row,
    figures::{micros, millis, quantile},
    server::Attacked,
    wire::{Scraper, connect, read, value},
};

/// It may take 20 ms, `slack` times.
pub(crate) fn scrape(slack: u32) -> Row {
    let attacked = Attacked::start(512, 100_000, "-");
    let mut scraper = Scraper::new(attacked.address);
    let mut times: Vec<_> = (0..100)
        .map(|_| {
            let started = Instant::now();
            scraper.get("/metrics", "");
            started.elapsed()
        })
        .collect();
    let (median, slow) = (quantile(&mut times, 0.5), quantile(&mut times, 0.95));
    Row {
        what: "100,000 series scraped end to end".into(),
        found: format!("median {}, 95 % within {}", millis(median), millis(slow)),
        target: "20 ms".into(),
        kept: median <= slack * Duration::from_millis(20),
    }
}

pub(crate) fn strange(many: usize) -> Row {
    let attacked = Attacked::start(512, 10, "-");
    let series = || {
        let (_, page) = Scraper::new(attacked.address).get("/metrics", "");
        let page = String::from_utf8(page).unwrap();
        page.lines().filter(|line| !line.starts_with('#')).count()
    };
    series();
    let before = series();
    for number in 0..many {
        let mut stream = connect(attacked.address);
        let seed = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let method: String = seed
            .to_be_bytes()
            .map(|byte| char::from(b'A' + byte % 26))
            .iter()
            .collect();
        let path: Vec<u8> = seed.to_le_bytes().iter().map(|byte| byte | 0x80).collect();
        let request = if number % 2 == 0 {
            [method.as_bytes(), b" /metrics"].concat()
        } else {
            [&b"GET /"[..], &path].concat()
        };
        let request = [
            &request[..],
            b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        ]
        .concat();
        stream.write_all(&request).unwrap();
        let (status, _) = read(&mut stream).unwrap();
        assert!([400, 404, 405].contains(&status), "{status}");
    }
    let added = series() - before;
    Row {
        what: format!("{many} random methods and non-UTF-8 paths"),
        found: format!("{added} series more"),
        target: "0".into(),
        kept: added == 0,
    }
}

pub(crate) fn resets(many: usize) -> Row {
    let attacked = Attacked::start(512, 1_000, "-");
    for number in 0..many {
        let mut stream = connect(attacked.address);
        let request = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
        let sent = [request.len(), 20, request.len()][number % 3];
        stream.write_all(&request[..sent]).unwrap();
        if number % 3 == 2 {
            let _ = stream.read(&mut [0; 64]);
        }
        SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }
    let gauges = || {
        // The scrape that looks is one itself.
        let in_flight = value(attacked.address, "inferometer_http_requests_in_flight") - 1.0;
        let open = value(attacked.address, "inferometer_http_connections") - 1.0;
        (in_flight, open)
    };
    let started = Instant::now();
    while gauges() != (0.0, 0.0) && started.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(50));
    }
    let (in_flight, open) = gauges();
    Row {
        what: format!("{many} requests reset midway"),
        found: format!("{in_flight} in flight, {open} open"),
        target: "0, 0".into(),
        kept: (in_flight, open) == (0.0, 0.0),
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

pub(crate) fn rapid_reset() -> Row {
    let attacked = Attacked::start(512, 1_000, "-");
    let mut stream = connect(attacked.address);
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .unwrap();
    stream.write_all(&frame(4, 0, 0, &[])).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let block = [&[0x82, 0x86, 0x41, 1, b'a', 0x44, 8][..], b"/metrics"].concat();
    let writer = thread::spawn(move || {
        for number in (1..200_000_u32).step_by(2) {
            let open = frame(1, 5, number, &block);
            let reset = frame(3, 0, number, &8_u32.to_be_bytes());
            if writer.write_all(&[open, reset].concat()).is_err() {
                return number / 2;
            }
        }
        100_000
    });
    let told = goaway(&mut stream);
    let sent = writer.join().unwrap();
    Row {
        what: "HTTP/2 rapid reset".into(),
        found: format!("GOAWAY: {told}, after {sent} streams at the most"),
        target: "GOAWAY".into(),
        kept: told && value(attacked.address, "inferometer_http_requests_in_flight") == 1.0,
    }
}

fn goaway(stream: &mut TcpStream) -> bool {
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).is_err() {
            return false;
        }
        if head[3] == 7 {
            return true;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        if stream.read_exact(&mut payload).is_err() {
            return false;
        }
    }
}

/// Wrong keys of every kind in turn, on one connection: their times must not differ by more than the noise.
pub(crate) fn keys(many: usize) -> Row {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let key = NewKey::generate("one", &[Scope::Stats]).unwrap();
    key.add_to(&path).unwrap();
    let attacked = Attacked::start(512, 10, path.to_str().unwrap());
    let right = key.secret();
    let wrong = "0".repeat(right.len());
    let kinds = [
        ("wrong", wrong.clone()),
        ("prefix", right[..right.len() - 1].to_owned()),
        ("empty", String::new()),
        // Against itself: what differs here is noise.
        ("wrong again", wrong),
    ];
    let mut scraper = Scraper::new(attacked.address);
    let mut times = kinds.each_ref().map(|_| Vec::new());
    for _ in 0..many {
        for ((_, key), times) in kinds.iter().zip(&mut times) {
            let started = Instant::now();
            let (status, _) = scraper.get("/gpu/stats", &format!("X-API-Key: {key}\r\n"));
            times.push(started.elapsed());
            assert_eq!(status, 401);
        }
    }
    let (status, _) = Scraper::new(attacked.address).get(
        "/gpu/stats",
        &format!("X-API-Key: {}\r\n", "0".repeat(20 << 10)),
    );
    let wrong_keys = value(
        attacked.address,
        "inferometer_http_refusals_total{reason=\"wrong_key\"}",
    );
    let compared = wrong_keys - (kinds.len() * many) as f64;
    let medians = times.each_mut().map(|times| quantile(times, 0.5));
    let noise = times
        .each_mut()
        .map(|times| quantile(times, 0.75) - quantile(times, 0.25));
    let spread = medians
        .iter()
        .max()
        .unwrap()
        .abs_diff(*medians.iter().min().unwrap());
    let told: Vec<_> = kinds
        .iter()
        .zip(medians)
        .map(|((name, _), median)| format!("{name} {}", micros(median)))
        .collect();
    Row {
        what: format!("{many} wrong keys of each kind; one past the head's limit"),
        found: format!(
            "{}; medians {} apart, half of all within {}; {status}, {compared} compared",
            told.join(", "),
            micros(spread),
            micros(noise[0])
        ),
        target: "apart less than the noise or 1 µs; 431, 0 compared".into(),
        // A longer key takes longer to send, to read and to hash, which tells of nothing but itself.
        kept: spread <= noise[0].max(Duration::from_micros(1)) && status == 431 && compared == 0.0,
    }
}
