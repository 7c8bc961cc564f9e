//! The demo's reranker: the small cross-encoder, asked to put in order what a search for a question finds.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use inferometer::Registry;
use inferometer_catalog::rerank::Recorder;
use inferometer_http::ServerOptions;
use orchestrator::retrieval::Library;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use rerank::{
    grpc::proto::{InferRequest, reranker_client::RerankerClient},
    service::{Listeners, Service},
};
use serde_json::json;
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep_until, timeout},
};
use tonic::transport::{Channel, Endpoint};

use super::SEED;
use crate::{
    addresses::ServiceAddresses,
    command::serve::rerank as serve,
    load::{Arrivals, QUESTIONS, Schedule},
    ports::{self, Ports},
    ticker::Line,
};

/// Where it listens: gRPC, HTTP, then its metrics.
const PORTS: [u16; 3] = [9911, 9912, 9913];

/// It, and the load on it.
#[derive(Debug)]
pub(super) struct Demo {
    service: Service,
    load: Option<JoinHandle<()>>,
}

impl Demo {
    pub(super) async fn start(ports: Ports, rate: f64) -> anyhow::Result<Self> {
        let listeners = listeners(ports)?;
        let config = serve::config(serve::built_in()?);
        let service = Service::start(config, listeners, Registry::new()).await?;
        let load = if rate > 0.0 {
            let load = Load::new(&service).context("the demo's own load can't be sent")?;
            Some(tokio::spawn(load.run(rate)))
        } else {
            None
        };
        Ok(Self { service, load })
    }

    pub(super) fn addresses(&self) -> ServiceAddresses {
        serve::at(&self.service, &ServerOptions::default())
    }

    pub(super) fn model(&self) -> &str {
        self.service.pipeline().model()
    }

    pub(super) fn line(&self) -> Line {
        let recorder = Arc::clone(self.service.pipeline().recorder());
        Line::new(move || text(&recorder))
    }

    pub(super) async fn stop(self) {
        if let Some(load) = self.load {
            load.abort();
        }
        serve::stop(self.service).await;
    }
}

fn listeners(ports: Ports) -> Result<Listeners, ports::PortError> {
    let listen = |what, port| {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        ports::listen(what, address, None, ports)
    };
    Ok(Listeners {
        grpc: listen("the reranker's gRPC", PORTS[0])?,
        http: listen("the reranker's HTTP", PORTS[1])?,
        metrics: Some(listen("the reranker's metrics", PORTS[2])?),
    })
}

/// What is counted, in a few words.
#[expect(clippy::cast_precision_loss, reason = "a mean to be read by people")]
fn text(recorder: &Recorder) -> String {
    let metrics = &recorder.metrics;
    let counts = &metrics.counts;
    let (batches, _) = metrics.batch_size.get();
    let (padded, tokens) = (metrics.padded_tokens.get(), metrics.total_tokens.get());
    let padding = match tokens {
        0 => "no tokens yet".into(),
        tokens => format!("{:.0} % padding", padded as f64 / tokens as f64 * 100.0),
    };
    let latency = match metrics.request_latency.get() {
        (0, _) => "none answered yet".into(),
        (count, sum) => format!("{:.0} ms on average", sum / count as f64 * 1e3),
    };
    format!(
        "{} requests, {} in flight · {} pairs in {batches} batches, {padding} · {latency}",
        counts.started(),
        counts.in_flight(),
        metrics.pairs.get(),
    )
}

/// What clients do, over both ways in.
#[derive(Debug)]
struct Load {
    library: Library,
    calls: RerankerClient<Channel>,
    http: reqwest::Client,
    url: String,
}

/// A client's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// The best three, over HTTP.
    Top,
    /// All scores, over gRPC.
    Scores,
    /// A passage beyond the model's window.
    Long,
    /// A request that can't be meant.
    Bad,
    /// A client that leaves before it is answered.
    Leave,
}

impl Order {
    const WEIGHTS: [(Self, u32); 5] = [
        (Self::Top, 60),
        (Self::Scores, 30),
        (Self::Long, 4),
        (Self::Bad, 3),
        (Self::Leave, 3),
    ];

    fn draw(rng: &mut StdRng) -> Self {
        let mut left = rng.random_range(0..100);
        for (order, weight) in Self::WEIGHTS {
            if left < weight {
                return order;
            }
            left -= weight;
        }
        Self::Top
    }
}

impl Load {
    fn new(service: &Service) -> anyhow::Result<Self> {
        let endpoint = Endpoint::try_from(format!("http://{}", service.grpc()))?;
        Ok(Self {
            library: Library::builtin(),
            calls: RerankerClient::new(endpoint.connect_lazy()),
            // A proxy that the environment names is not for this machine's own ports.
            http: reqwest::Client::builder().no_proxy().build()?,
            url: format!("http://{}/rerank", service.http()),
        })
    }

    /// Sends for ever. Dropped, everything that is under way is left.
    async fn run(self, rate: f64) {
        let mut rng = StdRng::seed_from_u64(SEED);
        let mut under_way = JoinSet::new();
        let start = Instant::now();
        for at in Schedule::new(SEED, Arrivals::Poisson, rate) {
            sleep_until(start + at).await;
            while under_way.try_join_next().is_some() {}
            let order = Order::draw(&mut rng);
            let question = QUESTIONS[rng.random_range(0..QUESTIONS.len())];
            let passages = self.found(question, rng.random_range(2..=24));
            match order {
                Order::Top => under_way.spawn(self.ask(question, &passages)),
                Order::Scores => under_way.spawn(self.call(question, passages)),
                Order::Long => {
                    let long = passages.join("\n").repeat(8);
                    under_way.spawn(self.call(question, vec![long]))
                }
                Order::Bad => under_way.spawn(self.ask("", &passages)),
                Order::Leave => {
                    let call = self.call(question, passages);
                    let patience = Duration::from_millis(rng.random_range(1..10));
                    under_way.spawn(async move { drop(timeout(patience, call).await) })
                }
            };
        }
    }

    /// Passages that a search finds, to be put in order.
    fn found(&self, question: &str, most: usize) -> Vec<String> {
        let hits = self.library.search(question, most);
        hits.into_iter()
            .map(|hit| hit.passage.text().to_string())
            .collect()
    }

    // What comes of a request is in the service's metrics; the demo shows those.

    fn ask(&self, query: &str, documents: &[String]) -> impl Future<Output = ()> + use<> {
        let body = json!({"query": query, "documents": documents, "top_n": 3});
        let request = self
            .http
            .post(&self.url)
            .header("content-type", "application/json")
            .body(body.to_string());
        async move {
            if let Ok(answer) = request.send().await {
                drop(answer.bytes().await);
            }
        }
    }

    fn call(&self, query: &str, passages: Vec<String>) -> impl Future<Output = ()> + use<> {
        let mut calls = self.calls.clone();
        let request = InferRequest {
            query: query.to_owned(),
            passages,
            ..InferRequest::default()
        };
        async move { drop(calls.infer(request).await) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_request_is_sent_and_equal_seeds_send_the_same() {
        let orders = |seed| {
            let mut rng = StdRng::seed_from_u64(seed);
            (0..500).map(|_| Order::draw(&mut rng)).collect::<Vec<_>>()
        };
        assert_eq!(orders(SEED), orders(SEED));
        for (order, weight) in Order::WEIGHTS {
            let share = orders(SEED).iter().filter(|sent| **sent == order).count();
            assert!(share > 0, "{order:?} of weight {weight} is never sent");
        }
        let weights: u32 = Order::WEIGHTS.iter().map(|(_, weight)| weight).sum();
        assert_eq!(weights, 100);
    }

    #[test]
    fn every_question_finds_passages_to_put_in_order() {
        let library = Library::builtin();
        for question in QUESTIONS {
            assert!(library.search(question, 24).len() > 1, "{question}");
        }
    }
}
