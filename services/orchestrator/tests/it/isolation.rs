//! The metrics port keeps its promise when the service's own runtime can't.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use inferometer_judges::get;

use crate::served::{Scrape, Served, question};

/// Holds every thread of the service's runtime while it lives.
struct Blockage {
    over: Arc<AtomicBool>,
    blocked: Arc<AtomicUsize>,
}

impl Blockage {
    fn of(runtime: &tokio::runtime::Runtime, threads: usize) -> Self {
        let blockage = Self {
            over: Arc::default(),
            blocked: Arc::default(),
        };
        for number in 0..threads {
            let (over, blocked) = (Arc::clone(&blockage.over), Arc::clone(&blockage.blocked));
            runtime.spawn(async move {
                blocked.fetch_add(1, SeqCst);
                while !over.load(SeqCst) {
                    // One thread burns its core, the others sleep on the job.
                    if number == 0 {
                        std::hint::spin_loop();
                    } else {
                        thread::sleep(Duration::from_millis(1));
                    }
                }
                blocked.fetch_sub(1, SeqCst);
            });
        }
        while blockage.blocked.load(SeqCst) < threads {
            thread::sleep(Duration::from_millis(1));
        }
        blockage
    }
}

impl Drop for Blockage {
    fn drop(&mut self) {
        self.over.store(true, SeqCst);
    }
}

#[test]
fn metrics_and_health_answer_at_once_while_the_service_is_blocked() {
    const THREADS: usize = 3;
    const LIMIT: Duration = Duration::from_millis(100);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .unwrap();
    let served = runtime.block_on(async {
        let served = Served::scripted("tokens=4");
        assert_eq!(served.chat("", &question(4, false)).await.status, 200);
        served.rest().await;
        served
    });
    let (api, metrics) = (served.0.api(), served.0.metrics().unwrap());
    let blockage = Blockage::of(&runtime, THREADS);

    let mut stuck = TcpStream::connect(api).unwrap();
    stuck
        .write_all(b"GET /v1/models HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
        .unwrap();
    for path in ["/metrics", "/health"].repeat(25) {
        let asked = Instant::now();
        let answer = get(metrics, path, None).unwrap();
        let took = asked.elapsed();
        assert_eq!(answer.status, 200);
        assert!(took < LIMIT, "GET {path} took {took:?}");
        if path == "/metrics" {
            assert_eq!(Scrape::read(&answer.text()).finished("ok"), 1.0);
        }
    }
    // The blockage was real: the API, asked before all that, has said nothing yet.
    stuck.set_nonblocking(true).unwrap();
    let mut answer = Vec::new();
    let silent = stuck.read_to_end(&mut answer).unwrap_err();
    assert_eq!(silent.kind(), std::io::ErrorKind::WouldBlock);
    assert!(answer.is_empty());

    drop(blockage);
    stuck.set_nonblocking(false).unwrap();
    stuck
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stuck.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"));
    runtime.block_on(served.rest());
}
