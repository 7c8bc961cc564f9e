//! A server under the layers, a client that writes bytes, and what a scrape says.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::Router;
use inferometer::{MetricSet, Registry};
use inferometer_http::layers::{ConnectionsLayer, HttpLayer, HttpServer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tower::Layer as _;

/// The longest that a condition may take to come true.
const DEADLINE: Duration = Duration::from_secs(20);

/// Comes back once `condition` holds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "it never came to: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A registry, and what a scrape of it says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page(pub(crate) Registry);

impl Page {
    pub(crate) fn register<S: MetricSet>(&self) -> Arc<S> {
        Arc::new(self.0.register().unwrap())
    }

    /// The value of the sample with exactly this name and these labels.
    pub(crate) fn value(&self, series: &str) -> Option<f64> {
        let page = self.0.encode_text();
        page.lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
            .map(|value| value.parse().unwrap())
    }

    /// The sum of all samples of this name whose labels hold `part`.
    pub(crate) fn sum(&self, name: &str, part: &str) -> f64 {
        self.series(name)
            .iter()
            .filter(|(labels, _)| labels.contains(part))
            .map(|(_, value)| value)
            .sum()
    }

    /// Every sample of this name: its labels as written, and its value.
    pub(crate) fn series(&self, name: &str) -> Vec<(String, f64)> {
        let page = self.0.encode_text();
        page.lines()
            .filter_map(|line| {
                let rest = line.strip_prefix(name)?;
                let (labels, value) = rest.rsplit_once(' ')?;
                let bare = labels.is_empty() || labels.starts_with('{');
                bare.then(|| (labels.to_owned(), value.parse().unwrap()))
            })
            .collect()
    }

    /// Requests that have ended so.
    pub(crate) fn finished(&self, method: &str, route: &str, code: &str, outcome: &str) -> f64 {
        let labels = format!(
            "{{method=\"{method}\",route=\"{route}\",code=\"{code}\",outcome=\"{outcome}\"}}"
        );
        self.value(&format!(
            "inferometer_http_server_requests_finished_total{labels}"
        ))
        .unwrap_or(0.0)
    }

    pub(crate) fn finished_in_all(&self) -> f64 {
        self.sum("inferometer_http_server_requests_finished_total", "")
    }

    pub(crate) fn started(&self) -> f64 {
        self.sum("inferometer_http_server_requests_started_total", "")
    }

    pub(crate) fn active(&self) -> f64 {
        self.sum("inferometer_http_server_active_requests", "")
    }
}

/// A router that is served, with our metrics around it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) page: Page,
    pub(crate) address: SocketAddr,
}

impl World {
    /// Serves `router` under [`HttpLayer`] and [`ConnectionsLayer`].
    pub(crate) async fn serving(router: Router) -> Self {
        let page = Page::default();
        let metrics: Arc<HttpServer> = page.register();
        let router = router.layer(HttpLayer::new(Arc::clone(&metrics)));
        Self {
            address: listen(router, metrics).await,
            page,
        }
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::to(self.address).await
    }

    /// One request on a connection of its own, read to the end.
    pub(crate) async fn ask(&self, request: &str) -> Answer {
        let mut client = self.connect().await;
        client
            .send(&format!(
                "{request}\r\nHost: x\r\nConnection: close\r\n\r\n"
            ))
            .await;
        client.whole().await
    }
}

/// Serves a router as it is, its connections counted by `metrics`.
pub(crate) async fn listen(router: Router, metrics: Arc<HttpServer>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let service = ConnectionsLayer::new(metrics).layer(service);
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

/// A client that knows of HTTP only what it is told to write.
#[derive(Debug)]
pub(crate) struct Client(TcpStream);

/// An answer, as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Self {
            status: status.unwrap_or_else(|| panic!("no answer: {text:?}")),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Client {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes()).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Reads until `end` has come; the connection stays open.
    pub(crate) async fn read_to(&mut self, end: &str) -> String {
        let mut read = Vec::new();
        while !String::from_utf8_lossy(&read).contains(end) {
            let mut piece = [0; 4096];
            let length = self.0.read(&mut piece).await.unwrap();
            assert!(length > 0, "closed before {end:?}: {read:?}");
            read.extend_from_slice(&piece[..length]);
        }
        String::from_utf8_lossy(&read).into_owned()
    }

    /// Reads until the server closes: requests ask it to.
    pub(crate) async fn whole(&mut self) -> Answer {
        Answer::parse(&self.rest().await)
    }

    /// Everything that comes until the server closes.
    pub(crate) async fn rest(&mut self) -> String {
        let mut read = Vec::new();
        let _ = self.0.read_to_end(&mut read).await;
        String::from_utf8_lossy(&read).into_owned()
    }

    /// Sends while it reads everything until the server closes: for more than fits between the two.
    pub(crate) async fn exchange(&mut self, text: &str) -> String {
        let (mut reading, mut writing) = self.0.split();
        let mut read = Vec::new();
        let (written, done) = tokio::join!(
            writing.write_all(text.as_bytes()),
            reading.read_to_end(&mut read)
        );
        written.unwrap();
        done.unwrap();
        String::from_utf8_lossy(&read).into_owned()
    }

    /// Closes with a reset: what is under way is lost.
    pub(crate) fn reset(self) {
        self.0.set_zero_linger().unwrap();
    }
}
