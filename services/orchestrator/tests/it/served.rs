//! A service on real sockets, and a client that shares no HTTP library with it.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use inferometer::Registry;
use inferometer_judges as judges;
use orchestrator::{
    api::ApiLimits,
    pipeline::PipelineConfig,
    service::{Listeners, Service, ServiceConfig},
    worker::{
        Generation, Prompt, Sink, Worker,
        scripted::{Script, ScriptedWorker},
    },
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::gate::until;

/// How long to wait for what must happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running service.
pub(crate) struct Served(pub(crate) Service);

impl Served {
    /// One with these workers and the usual limits.
    pub(crate) fn by(workers: Vec<Arc<dyn Worker>>) -> Self {
        Self::start(PipelineConfig::default(), workers, ApiLimits::default())
    }

    /// One with a scripted worker.
    pub(crate) fn scripted(script: &str) -> Self {
        Self::by(vec![scripted(script)])
    }

    pub(crate) fn start(
        pipeline: PipelineConfig,
        workers: Vec<Arc<dyn Worker>>,
        limits: ApiLimits,
    ) -> Self {
        let config = ServiceConfig {
            pipeline,
            limits,
            ..ServiceConfig::new(workers)
        };
        Self::on(Listeners::on_free_ports().unwrap(), config)
    }

    pub(crate) fn on(listeners: Listeners, config: ServiceConfig) -> Self {
        Self(Service::start(config, listeners, Registry::new()).unwrap())
    }

    /// The API's base URL, as OpenAI clients take it.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.0.api())
    }

    /// A connection that has sent a chat request.
    pub(crate) async fn ask(&self, headers: &str, body: &Value) -> Client {
        let mut client = Client::connect(self.0.api()).await;
        client.send(chat(headers, &body.to_string())).await;
        client
    }

    /// The whole answer to a chat request.
    pub(crate) async fn chat(&self, headers: &str, body: &Value) -> Reply {
        self.ask(headers, body).await.reply().await
    }

    /// What the metrics port says.
    pub(crate) async fn metrics(&self, path: &'static str, accept: &'static str) -> judges::Answer {
        let address = self.0.metrics().unwrap();
        tokio::task::spawn_blocking(move || judges::get(address, path, Some(accept)))
            .await
            .unwrap()
            .unwrap()
    }

    pub(crate) async fn scrape(&self) -> Scrape {
        Scrape::read(&self.metrics("/metrics", "text/plain").await.text())
    }

    /// Waits until a scrape is as wanted, and returns it.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&Scrape) -> bool) -> Scrape {
        let seen = timeout(PATIENCE, async {
            loop {
                let scrape = self.scrape().await;
                if wanted(&scrape) {
                    return scrape;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        match seen.await {
            Ok(scrape) => scrape,
            Err(_) => panic!("never happened: {what}; {:#?}", self.scrape().await.0),
        }
    }

    /// Waits until nothing is under way and every answer was let go of, and checks the equation over what was scraped.
    pub(crate) async fn rest(&self) -> Scrape {
        until("every answer is let go of", || {
            self.0.pipeline().active() == 0
        })
        .await;
        self.settled().await
    }

    /// Waits until nothing is under way, and checks the equation over what was scraped.
    pub(crate) async fn settled(&self) -> Scrape {
        let scrape = self
            .until("everything comes to rest", |scrape| {
                scrape.in_motion().next().is_none()
            })
            .await;
        assert_eq!(
            scrape.value("orchestrator_requests_started_total"),
            scrape.sum("orchestrator_requests_finished_total"),
        );
        for gauge in AT_REST {
            assert!(scrape.series(gauge).count() > 0, "{gauge} is in the scrape");
        }
        scrape
    }
}

const AT_REST: [&str; 3] = [
    "orchestrator_queue_depth",
    "orchestrator_generations_in_flight",
    "orchestrator_requests_in_flight",
];

/// The values of a scrape in the text format, by series as printed.
#[derive(Debug)]
pub(crate) struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    pub(crate) fn read(text: &str) -> Self {
        let sample = |line: &str| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        };
        Self(
            text.lines()
                .filter(|line| !line.starts_with('#'))
                .map(sample)
                .collect(),
        )
    }

    /// The series of a name, with its labels as printed.
    pub(crate) fn series(&self, name: &str) -> impl Iterator<Item = (&str, f64)> {
        self.0
            .iter()
            .filter(move |(series, _)| series.split('{').next() == Some(name))
            .map(|(series, value)| (series.as_str(), *value))
    }

    pub(crate) fn value(&self, series: &str) -> f64 {
        *self
            .0
            .get(series)
            .unwrap_or_else(|| panic!("{series} is not in the scrape"))
    }

    pub(crate) fn sum(&self, name: &str) -> f64 {
        assert!(
            self.series(name).next().is_some(),
            "{name} is not in the scrape"
        );
        self.series(name).map(|(_, value)| value).sum()
    }

    /// Requests that ended so.
    pub(crate) fn finished(&self, outcome: &str) -> f64 {
        self.value(&format!(
            "orchestrator_requests_finished_total{{outcome=\"{outcome}\"}}"
        ))
    }

    /// The label sets of `orchestrator_errors_total` that are not 0: `stage/error_type` and the value.
    pub(crate) fn errors(&self) -> Vec<(String, f64)> {
        let labels = |series: &str| {
            let values: Vec<_> = series.split('"').skip(1).step_by(2).collect();
            values.join("/")
        };
        self.series("orchestrator_errors_total")
            .filter(|(_, value)| *value != 0.0)
            .map(|(series, value)| (labels(series), value))
            .collect()
    }

    /// Requests by how they ended, without the outcomes that none had.
    pub(crate) fn outcomes(&self) -> Vec<(&str, f64)> {
        self.series("orchestrator_requests_finished_total")
            .filter(|(_, value)| *value != 0.0)
            .map(|(series, value)| (series.split('"').nth(1).expect("a label"), value))
            .collect()
    }

    fn in_motion(&self) -> impl Iterator<Item = (&str, f64)> {
        AT_REST
            .into_iter()
            .flat_map(|gauge| self.series(gauge))
            .filter(|(_, value)| *value != 0.0)
    }
}

/// A connection to the API.
pub(crate) struct Client {
    stream: TcpStream,
    seen: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        Self {
            stream,
            seen: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads until `wanted` pieces of `text` have come.
    pub(crate) async fn read_until(&mut self, text: &str, wanted: usize) {
        while String::from_utf8_lossy(&self.seen).matches(text).count() < wanted {
            assert!(
                self.read().await > 0,
                "the answer ended before {wanted} × {text:?}: {}",
                String::from_utf8_lossy(&self.seen)
            );
        }
    }

    async fn read(&mut self) -> usize {
        timeout(PATIENCE, self.stream.read_buf(&mut self.seen))
            .await
            .expect("the service sends something")
            .unwrap()
    }

    /// Closes with a reset instead of a farewell.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// Everything up to the end of the connection.
    pub(crate) async fn reply(mut self) -> Reply {
        while self.read().await > 0 {}
        Reply::parse(&self.seen)
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Reply {
    fn parse(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).unwrap();
        let text = text
            .strip_prefix("HTTP/1.1 100 Continue\r\n\r\n")
            .unwrap_or(text);
        let (head, rest) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no whole head: {text:?}"));
        let head = head.to_owned();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut reply = Self {
            status,
            head,
            body: String::new(),
        };
        reply.body = match reply.header("transfer-encoding") {
            Some("chunked") => unchunked(rest),
            _ => rest.to_owned(),
        };
        reply
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .find(|(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The data of a stream's events.
    pub(crate) fn events(&self) -> Vec<&str> {
        assert_eq!(
            self.header("content-type"),
            Some("text/event-stream; charset=utf-8"),
            "{self:?}"
        );
        self.body
            .split_terminator("\n\n")
            .map(|event| event.strip_prefix("data: ").expect("an event has data"))
            .collect()
    }

    /// The text of a stream, which has to be whole.
    pub(crate) fn streamed_text(&self) -> String {
        let events = self.events();
        let (last, parts) = events.split_last().expect("a stream has events");
        assert_eq!(*last, "[DONE]");
        parts.iter().map(|part| text_of(part)).collect()
    }

    /// Checks that the body is an error in the OpenAI shape, and returns its type and code.
    pub(crate) fn error(&self) -> (String, String) {
        assert_eq!(self.header("content-type"), Some("application/json"));
        error_of(&self.json())
    }
}

/// The text that an event of a stream brings.
fn text_of(event: &str) -> String {
    let event: Value = serde_json::from_str(event).unwrap();
    event["choices"][0]["delta"]["content"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// The type and code of an error in the OpenAI shape.
pub(crate) fn error_of(body: &Value) -> (String, String) {
    let error = body["error"]
        .as_object()
        .unwrap_or_else(|| panic!("{body}"));
    let names: Vec<_> = error.keys().map(String::as_str).collect();
    assert_eq!(names, ["code", "message", "param", "type"]);
    let text = |name: &str| error[name].as_str().unwrap().to_owned();
    assert!(!text("message").is_empty());
    (text("type"), text("code"))
}

fn unchunked(mut rest: &str) -> String {
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n").expect("a chunk has a size");
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            assert_eq!(after, "\r\n", "the last chunk ends the answer");
            return body;
        }
        body.push_str(&after[..size]);
        rest = after[size..]
            .strip_prefix("\r\n")
            .expect("a chunk ends with a line");
    }
}

/// The bytes of a chat request with these further header lines, each ended by `\r\n`.
pub(crate) fn chat(headers: &str, body: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len(),
    )
}

/// A question that may be answered with this many tokens.
pub(crate) fn question(tokens: u32, stream: bool) -> Value {
    json!({
        "model": "default",
        "messages": [{"role": "user", "content": "What does a queue hold?"}],
        "max_tokens": tokens,
        "stream": stream,
    })
}

pub(crate) fn scripted(script: &str) -> Arc<dyn Worker> {
    Arc::new(ScriptedWorker::new(script.parse::<Script>().unwrap()))
}

/// A worker that begins nothing before it is told to.
pub(crate) struct Held {
    pub(crate) inner: ScriptedWorker,
    pub(crate) open: tokio_util::sync::CancellationToken,
}

impl Worker for Held {
    fn worker_type(&self) -> inferometer_catalog::orchestrator::WorkerType {
        self.inner.worker_type()
    }

    fn model(&self) -> &str {
        self.inner.model()
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.inner.count_tokens(text)
    }

    fn context_window(&self) -> usize {
        self.inner.context_window()
    }

    fn concurrency(&self) -> usize {
        self.inner.concurrency()
    }

    fn generate<'a>(
        &'a self,
        prompt: Prompt,
        sink: Sink,
        on_retry: &'a (dyn Fn() + Send + Sync),
    ) -> Generation<'a> {
        Box::pin(async move {
            self.open.cancelled().await;
            self.inner.generate(prompt, sink, on_retry).await
        })
    }
}
