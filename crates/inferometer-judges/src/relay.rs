use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{Answer, JudgeError, get};

/// One request that went through a [`Relay`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The `Accept` header, as it came.
    pub accept: String,
    /// The status of the answer; 502 when the endpoint gave none.
    pub status: u16,
    /// Its `Content-Type`.
    pub content_type: String,
}

/// Stands between a scraper and an endpoint: notes what is asked and answered, and can ask for another format than the scraper
/// does. Dropping it ends it.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Exchange>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Passes requests on to `endpoint`: with `accept` in place of their `Accept` header where it is given. Other headers stay
    /// behind, so no answer is compressed.
    ///
    /// # Errors
    /// No port or no thread can be had.
    pub fn to(endpoint: SocketAddr, accept: Option<&'static str>) -> Result<Self, JudgeError> {
        let failed = |error| JudgeError::new(format!("starting a relay to {endpoint}: {error}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (seen, stop) = (Arc::<Mutex<_>>::default(), Arc::<AtomicBool>::default());
        let thread = {
            let (seen, stop) = (Arc::clone(&seen), Arc::clone(&stop));
            thread::Builder::new()
                .name("relay".into())
                .spawn(move || {
                    for stream in listener.incoming() {
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                        // A scraper that broke off asks again.
                        let exchange = stream.and_then(|stream| pass(&stream, endpoint, accept));
                        if let Ok(Some(exchange)) = exchange {
                            lock(&seen).push(exchange);
                        }
                    }
                })
                .map_err(failed)?
        };
        Ok(Self {
            address,
            seen,
            stop,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What went through so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Exchange> {
        lock(&self.seen).clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Its thread waits for a connection. Should none come about, it ends with the process.
        if TcpStream::connect(self.address).is_ok() {
            drop(self.thread.take().map(JoinHandle::join));
        }
    }
}

fn lock(seen: &Mutex<Vec<Exchange>>) -> std::sync::MutexGuard<'_, Vec<Exchange>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Passes one request on, and its answer back; a connection that says nothing is no exchange.
fn pass(
    mut stream: &TcpStream,
    endpoint: SocketAddr,
    accept: Option<&str>,
) -> std::io::Result<Option<Exchange>> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut lines = BufReader::new(stream).lines();
    let Some(request) = lines.next().transpose()? else {
        return Ok(None);
    };
    let path = request.split(' ').nth(1).unwrap_or("/");
    let mut asked = String::new();
    for line in lines {
        let line = line?;
        match line.split_once(':') {
            _ if line.is_empty() => break,
            Some((name, value)) if name.eq_ignore_ascii_case("accept") => {
                value.trim().clone_into(&mut asked);
            }
            _ => {}
        }
    }
    let answer = get(endpoint, path, accept.or(Some(&asked))).unwrap_or_else(|error| Answer {
        status: 502,
        headers: vec![("content-type".into(), "text/plain".into())],
        body: error.to_string().into_bytes(),
    });
    let content_type = answer.header("content-type").unwrap_or_default().to_owned();
    let (status, length) = (answer.status, answer.body.len());
    write!(
        stream,
        "HTTP/1.1 {status} Relayed\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(&answer.body)?;
    Ok(Some(Exchange {
        accept: asked,
        status,
        content_type,
    }))
}
