//! A service on real sockets, a gRPC client, an HTTP client that writes bytes, and what a scrape says.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use inferometer::Registry;
use inferometer_judges as judges;
use rerank::{
    encoder::CrossEncoder,
    grpc::proto::{InferRequest, InferResponse, reranker_client::RerankerClient},
    model::{Score, Tokenize},
    pipeline::{BatchLimits, PipelineConfig},
    scripted::{Gate, Scripted},
    service::{Listeners, Service, ServiceConfig, WatchConfig},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
};
use tonic::{
    Response, Status,
    transport::{Channel, Endpoint},
};

use crate::tally::Figures;

/// How long to wait for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running service with a scripted model.
pub(crate) struct Served {
    pub(crate) service: Service,
    pub(crate) gate: Arc<Gate>,
}

/// A pipeline whose figures are easy to foresee.
pub(crate) fn small() -> PipelineConfig {
    PipelineConfig {
        max_wait: Duration::from_millis(1),
        ..PipelineConfig::default()
    }
}

/// A watch that tests need not wait for; it looks for no GPU.
pub(crate) fn often() -> WatchConfig {
    WatchConfig {
        interval: Duration::from_millis(20),
        gpus: false,
        ..WatchConfig::default()
    }
}

impl Served {
    pub(crate) async fn usual() -> Self {
        Self::start(small(), Scripted::default()).await
    }

    /// With the model that comes with the program.
    pub(crate) async fn embedded(pipeline: PipelineConfig) -> Self {
        let model = CrossEncoder::embedded().unwrap();
        let tokenizer = Arc::new(model.tokenizer());
        let service = service(pipeline, tokenizer, Arc::new(model), often()).await;
        let gate = Arc::default();
        Self { service, gate }
    }

    pub(crate) async fn start(pipeline: PipelineConfig, model: Scripted) -> Self {
        Self::watching(pipeline, model, often()).await
    }

    pub(crate) async fn watching(
        pipeline: PipelineConfig,
        model: Scripted,
        watch: WatchConfig,
    ) -> Self {
        let gate = Arc::clone(&model.gate);
        let model = Arc::new(model);
        let service = service(pipeline, Arc::clone(&model) as _, model, watch).await;
        Self { service, gate }
    }

    /// The one with every place taken: a request is at the model, one released, one waits to be batched, one is with the tokenizer and
    /// two queue. All end when the gate is opened.
    pub(crate) async fn full() -> (
        Self,
        Vec<JoinHandle<Result<Response<InferResponse>, Status>>>,
    ) {
        let pipeline = PipelineConfig {
            tokenizer_workers: 1,
            tokenizer_queue: 2,
            batch_queue: 1,
            model_queue: 1,
            batch: BatchLimits {
                pairs: 1,
                ..PipelineConfig::default().batch
            },
            ..small()
        };
        let served = Self::start(pipeline, Scripted::default()).await;
        let client = served.client().await;
        let mut held = Vec::new();
        for sent in 1..=6 {
            held.push(hold(&client));
            served
                .until("it is under way", |scrape| {
                    let places = [
                        ("tokenizer_queue_size", f64::from((sent - 4).max(0))),
                        ("batch_queue_size", f64::from((sent - 2).clamp(0, 1))),
                        ("model_queue_size", f64::from((sent - 1).clamp(0, 1))),
                    ];
                    scrape.value("rerank_requests_in_flight") == f64::from(sent)
                        && places
                            .iter()
                            .all(|(queue, size)| scrape.value(queue) == *size)
                })
                .await;
        }
        (served, held)
    }

    pub(crate) async fn client(&self) -> RerankerClient<Channel> {
        let endpoint = Endpoint::try_from(format!("http://{}", self.service.grpc())).unwrap();
        RerankerClient::new(endpoint.connect().await.unwrap())
    }

    /// What `POST path` answers.
    pub(crate) async fn post(&self, path: &str, headers: &str, body: &str) -> Reply {
        self.exchange(&posting(path, headers, body)).await
    }

    /// The same, of which nobody has read the answer yet.
    pub(crate) async fn begin(&self, path: &str, headers: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.service.http()).await.unwrap();
        let request = posting(path, headers, body);
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    pub(crate) async fn exchange(&self, request: &str) -> Reply {
        let mut stream = TcpStream::connect(self.service.http()).await.unwrap();
        let mut read = Vec::new();
        let (mut reading, mut writing) = stream.split();
        let (written, _) = tokio::join!(
            writing.write_all(request.as_bytes()),
            reading.read_to_end(&mut read)
        );
        drop(written);
        Reply::read(&String::from_utf8(read).unwrap())
    }

    pub(crate) async fn scrape(&self) -> Scrape {
        Scrape::of(self.service.metrics().unwrap()).await
    }

    /// Waits until a scrape is as wanted, and returns it.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&Scrape) -> bool) -> Scrape {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let scrape = self.scrape().await;
            if wanted(&scrape) {
                return scrape;
            }
            assert!(
                Instant::now() < deadline,
                "never happened: {what}; {:#?}",
                scrape.0
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until nothing is under way, and checks the equation and the gauges over what was scraped.
    pub(crate) async fn rest(&self) -> Scrape {
        let scrape = self
            .until("everything comes to rest", |scrape| {
                [
                    "rerank_requests_in_flight",
                    "tokenizer_queue_size",
                    "batch_queue_size",
                    "model_queue_size",
                    "inferometer_grpc_server_active_calls",
                    "inferometer_http_server_active_requests",
                ]
                .iter()
                .all(|gauge| scrape.sum(gauge) == 0.0)
            })
            .await;
        assert_eq!(
            scrape.value("rerank_requests_started_total"),
            scrape.sum("rerank_requests_finished_total"),
        );
        scrape
    }
}

/// Every sample of a scrape.
#[derive(Debug)]
pub(crate) struct Scrape(pub(crate) BTreeMap<String, f64>);

impl Scrape {
    pub(crate) async fn of(address: SocketAddr) -> Self {
        let answer = tokio::task::spawn_blocking(move || {
            judges::get(address, "/metrics", Some("text/plain"))
        });
        let page = answer.await.unwrap().unwrap().text();
        let samples = page.lines().filter(|line| !line.starts_with('#'));
        Self(
            samples
                .map(|line| {
                    let (series, value) = line.rsplit_once(' ').unwrap();
                    (series.to_owned(), value.parse().unwrap())
                })
                .collect(),
        )
    }

    /// The value of exactly this series.
    pub(crate) fn value(&self, series: &str) -> f64 {
        *self
            .0
            .get(series)
            .unwrap_or_else(|| panic!("there is no {series}"))
    }

    pub(crate) fn finished(&self, outcome: &str) -> f64 {
        self.value(&format!(
            "rerank_requests_finished_total{{outcome=\"{outcome}\"}}"
        ))
    }
}

impl Figures for Scrape {
    fn sum(&self, selector: &str) -> f64 {
        let (name, labels) = selector.split_once('{').unwrap_or((selector, "}"));
        let labels = labels.strip_suffix('}').unwrap().split(',');
        let series = self.0.iter().filter(|(series, _)| {
            let rest = series.strip_prefix(name);
            rest.is_some_and(|rest| {
                let named = rest.is_empty() || rest.starts_with('{');
                named && labels.clone().all(|label| rest.contains(label))
            })
        });
        series.map(|(_, value)| value).sum()
    }
}

/// An answer, as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl Reply {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Self {
            status: status.unwrap_or_else(|| panic!("no answer: {text:?}")),
            head: head.to_ascii_lowercase(),
            body: serde_json::from_str(body).unwrap_or(Value::Null),
        }
    }

    pub(crate) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }
}

/// A running service over a model, with its metrics collected often.
pub(crate) async fn service(
    pipeline: PipelineConfig,
    tokenizer: Arc<dyn Tokenize>,
    model: Arc<dyn Score>,
    watch: WatchConfig,
) -> Service {
    let config = ServiceConfig {
        pipeline,
        watch,
        ..ServiceConfig::new(tokenizer, model)
    };
    let listeners = Listeners::on_free_ports().unwrap();
    Service::start(config, listeners, Registry::new())
        .await
        .unwrap()
}

fn posting(path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )
}

/// A request that is held at the model until the gate is opened.
pub(crate) fn hold(
    client: &RerankerClient<Channel>,
) -> JoinHandle<Result<Response<InferResponse>, Status>> {
    let mut client = client.clone();
    tokio::spawn(async move { client.infer(asking("q", &["model-waits q"])).await })
}

pub(crate) fn asking(query: &str, passages: &[&str]) -> InferRequest {
    InferRequest {
        query: query.to_owned(),
        passages: passages.iter().map(|&passage| passage.into()).collect(),
        ..InferRequest::default()
    }
}
