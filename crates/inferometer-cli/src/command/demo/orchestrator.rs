//! The demo's orchestrator: an LLM pipeline with the local model.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use inferometer::Registry;
use inferometer_catalog::orchestrator::{
    ByStage, ByWorker, Objective, Recorder, Stage, WorkerType,
};
use inferometer_http::ServerOptions;
use orchestrator::{
    pipeline::PipelineConfig,
    service::{Listeners, Service, ServiceConfig},
};

use super::SEED;
use crate::{
    addresses::ServiceAddresses,
    cli::WorkerSpec,
    command::serve::orchestrator as serve,
    load::{self, Arrivals, Pace, Plan, Target},
    ports::{self, Ports},
    ticker::Line,
};

/// Where it listens: its API, then its metrics.
const PORTS: [u16; 2] = [9901, 9902];

/// It, and the load on it.
#[derive(Debug)]
pub(super) struct Demo {
    service: Service,
    model: String,
    load: Option<load::Running>,
}

impl Demo {
    pub(super) async fn start(ports: Ports, rate: f64) -> anyhow::Result<Self> {
        let listeners = listeners(ports)?;
        let workers = serve::workers(&[WorkerSpec::Local(None)]).await?;
        let model = workers
            .first()
            .map(|worker| worker.model().to_owned())
            .unwrap_or_default();
        let config = ServiceConfig {
            pipeline: PipelineConfig {
                objective: Objective {
                    time_to_first_token: Some(Duration::from_secs(1)),
                    request_duration: Some(Duration::from_secs(10)),
                },
                ..PipelineConfig::default()
            },
            ..ServiceConfig::new(workers)
        };
        let service = Service::start(config, listeners, Registry::new())?;
        let load = light_load(service.api(), rate)
            .map(load::start)
            .transpose()
            .context("the demo's own load can't be sent")?;
        Ok(Self {
            service,
            model,
            load,
        })
    }

    pub(super) fn addresses(&self) -> ServiceAddresses {
        serve::at(&self.service, &ServerOptions::default())
    }

    pub(super) fn model(&self) -> &str {
        &self.model
    }

    pub(super) fn line(&self) -> Line {
        let recorder = Arc::clone(self.service.pipeline().recorder());
        let mut before = None;
        Line::new(move || {
            let now = Reading::take(&recorder);
            let now = match &before {
                Some(before) => now.after(before),
                None => now,
            };
            before = Some(now);
            now.text()
        })
    }

    pub(super) async fn stop(self) {
        if let Some(load) = self.load {
            load.abort();
            // The load's own report is for `inferometer load`; the demo's numbers are in its scrape.
            let _ = tokio::task::spawn_blocking(move || load.join()).await;
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
        api: listen("the orchestrator's API", PORTS[0])?,
        metrics: Some(listen("the orchestrator's metrics", PORTS[1])?),
    })
}

/// A light load on the API at `api`, until it is stopped; `None` for a rate of 0.
fn light_load(api: SocketAddr, rate: f64) -> Option<Plan> {
    let mut plan = Plan::new(Target::from(api));
    plan.pace = Pace::Open {
        rate,
        arrivals: Arrivals::Poisson,
    };
    plan.seed = SEED;
    (rate > 0.0).then_some(plan)
}

/// What is counted at a moment, and the pace since the one before.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at: Instant,
    requests: u64,
    in_flight: i64,
    tokens: u64,
    tokens_a_second: f64,
    /// Count and sum of the time to first token.
    first_token: (u64, f64),
    shed: u64,
}

impl Reading {
    fn take(recorder: &Recorder) -> Self {
        let metrics = &recorder.metrics;
        let tokens = |worker_type| {
            metrics
                .tokens_generated
                .with(ByWorker { worker_type })
                .get()
        };
        let shed = |stage| metrics.requests_shed.with(ByStage { stage }).get();
        Self {
            at: Instant::now(),
            requests: metrics.counts.started(),
            in_flight: metrics.counts.in_flight(),
            tokens: WorkerType::ALL.into_iter().map(tokens).sum(),
            tokens_a_second: 0.0,
            first_token: metrics.time_to_first_token.get(),
            shed: Stage::ALL.into_iter().map(shed).sum(),
        }
    }

    /// With the pace since `before`, smoothed so that it can be read.
    #[expect(clippy::cast_precision_loss, reason = "a pace to be read by people")]
    fn after(self, before: &Self) -> Self {
        let seconds = self
            .at
            .duration_since(before.at)
            .as_secs_f64()
            .max(f64::EPSILON);
        let pace = self.tokens.saturating_sub(before.tokens) as f64 / seconds;
        Self {
            tokens_a_second: before.tokens_a_second * 0.8 + pace * 0.2,
            ..self
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a mean to be read by people")]
    fn text(&self) -> String {
        let Self {
            requests,
            in_flight,
            tokens,
            tokens_a_second,
            shed,
            ..
        } = self;
        let first_token = match self.first_token {
            (0, _) => "none yet".into(),
            (count, sum) => format!("{:.0} ms on average", sum / count as f64 * 1e3),
        };
        format!(
            "{requests} requests, {in_flight} in flight, {shed} shed · {tokens} tokens, {tokens_a_second:.0}/s · first token {first_token}"
        )
    }
}

#[cfg(test)]
mod tests {
    use inferometer::lifecycle::Request;

    use super::*;

    #[test]
    fn a_rate_of_zero_sends_nothing() {
        let api = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        assert!(light_load(api, 0.0).is_none());
        assert_eq!(
            light_load(api, 1.0).unwrap().target.to_string(),
            "http://127.0.0.1:1"
        );
    }

    #[test]
    fn automatic_ports_let_two_demos_run_at_once() {
        let (one, other) = (
            listeners(Ports::Auto).unwrap(),
            listeners(Ports::Auto).unwrap(),
        );
        let at = |listener: &std::net::TcpListener| listener.local_addr().unwrap();
        let metrics = |listeners: &Listeners| at(listeners.metrics.as_ref().unwrap());
        assert!(at(&one.api) != at(&other.api) && metrics(&one) != metrics(&other));
    }

    #[test]
    fn the_line_says_what_is_counted() {
        let recorder =
            Arc::new(Recorder::register(&Registry::new(), Objective::default()).unwrap());
        assert!(
            Reading::take(&recorder)
                .text()
                .contains("first token none yet")
        );
        let mut request = Request::admit(&recorder);
        request.tokens(1);
        let by = ByWorker {
            worker_type: WorkerType::Local,
        };
        recorder.metrics.tokens_generated.with(by).add(7);
        let text = Reading::take(&recorder).text();
        assert!(
            text.starts_with("1 requests, 1 in flight, 0 shed · 7 tokens"),
            "{text}"
        );
        assert!(text.ends_with("on average"), "{text}");
    }
}
