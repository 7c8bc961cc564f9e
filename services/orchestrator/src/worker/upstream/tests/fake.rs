//! An upstream of our own.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use super::{super::*, KEY};

/// What the upstream does with one connection.
#[derive(Clone)]
pub(super) enum Act {
    /// Writes this and closes.
    Say(String),
    /// Writes this, then waits until the client closes.
    SayAndHang(String),
}

pub(super) struct Upstream {
    pub(super) base: String,
    /// The requests received, headers and body.
    pub(super) requests: Arc<Mutex<Vec<String>>>,
    /// How many clients closed while the upstream hung.
    pub(super) left: Arc<AtomicU32>,
}

impl Upstream {
    /// Serves one act a connection, in order; the last one again and again.
    pub(super) fn start(acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let base = format!("http://{}/v1", listener.local_addr().expect("bound"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let left = Arc::new(AtomicU32::new(0));
        let (seen, gone) = (Arc::clone(&requests), Arc::clone(&left));
        thread::spawn(move || {
            for (place, stream) in listener.incoming().enumerate() {
                let Ok(stream) = stream else { return };
                let act = acts[place.min(acts.len() - 1)].clone();
                let (seen, gone) = (Arc::clone(&seen), Arc::clone(&gone));
                thread::spawn(move || play(stream, &act, &seen, &gone));
            }
        });
        Self {
            base,
            requests,
            left,
        }
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn config(&self) -> UpstreamConfig {
        UpstreamConfig {
            model: Some("big".to_owned()),
            api_key: Some(Secret::new(KEY)),
            backoff: Backoff {
                base: Duration::from_millis(1),
                cap: Duration::from_millis(5),
            },
            ..UpstreamConfig::new(self.base.clone())
        }
    }

    pub(super) async fn worker(&self) -> UpstreamWorker {
        UpstreamWorker::connect(self.config())
            .await
            .expect("a worker")
    }
}

fn play(mut stream: TcpStream, act: &Act, seen: &Mutex<Vec<String>>, gone: &AtomicU32) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let Ok(read @ 1..) = stream.read(&mut buffer) else {
            return;
        };
        request.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        });
        if body.len() >= length.unwrap_or(0) {
            break;
        }
    }
    seen.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(String::from_utf8_lossy(&request).into_owned());
    match act {
        Act::Say(text) => {
            let _ = stream.write_all(text.as_bytes());
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read(&mut buffer);
        }
        Act::SayAndHang(text) => {
            let _ = stream.write_all(text.as_bytes());
            while let Ok(1..) = stream.read(&mut buffer) {}
            gone.fetch_add(1, Ordering::SeqCst);
        }
    }
}
