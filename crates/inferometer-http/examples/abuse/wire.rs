//! Plain HTTP/1.1 over blocking sockets, for those who behave.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use rustls::{ClientConnection, StreamOwned, pki_types::ServerName};

use crate::server::Attacked;

/// A socket, with TLS around it or not.
trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

pub(crate) struct Scraper {
    address: SocketAddr,
    stream: Box<dyn Stream>,
}

impl Scraper {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            stream: Box::new(connect(address)),
        }
    }

    /// As the server speaks.
    pub(crate) fn to(attacked: &Attacked) -> Self {
        let Some(config) = &attacked.tls else {
            return Self::new(attacked.address);
        };
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
        Self {
            address: attacked.address,
            stream: Box::new(StreamOwned::new(connection, connect(attacked.address))),
        }
    }

    /// The status, and the body's text.
    pub(crate) fn get(&mut self, path: &str, fields: &str) -> (u16, Vec<u8>) {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n",
            self.address
        );
        self.stream.write_all(request.as_bytes()).unwrap();
        read(&mut self.stream).expect("an answer")
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    stream
}

pub(crate) fn read(stream: &mut impl Read) -> Option<(u16, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 256 << 10];
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(many) => bytes.extend_from_slice(&chunk[..many]),
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.get(9..12)?.parse().ok()?;
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let (_, length) = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    let length: usize = length.parse().ok()?;
    let mut body = bytes.split_off(end);
    body.reserve(length.saturating_sub(body.len()));
    while body.len() < length {
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(many) => body.extend_from_slice(&chunk[..many]),
        }
    }
    Some((status, body))
}

/// A series of a server's page.
pub(crate) fn value(address: SocketAddr, series: &str) -> f64 {
    let (_, page) = Scraper::new(address).get("/metrics", "");
    let page = String::from_utf8(page).unwrap();
    let mut lines = page.lines().filter_map(|line| line.rsplit_once(' '));
    let found = lines.find(|(name, _)| *name == series);
    found.map_or(f64::NAN, |(_, value)| value.parse().unwrap())
}
