//! `inferometer demo`.

use std::{
    io::stdout,
    net::{Ipv4Addr, SocketAddr},
};

use anyhow::Context as _;
use inferometer::Registry;
use inferometer_catalog::orchestrator::Objective;
use inferometer_http::ServerOptions;
use orchestrator::{
    pipeline::PipelineConfig,
    service::{Listeners, Service, ServiceConfig},
};

use super::serve;
use crate::{
    banner,
    cli::{DemoArgs, WorkerSpec},
    ending,
    load::{self, Arrivals, Pace, Plan, Target},
    ports::Ports,
    terminal::Palette,
    ticker::Ticker,
};

/// Where the demo's orchestrator listens: its API, then its metrics.
pub const ORCHESTRATOR_PORTS: [u16; 2] = [9901, 9902];

/// The seed of the demo's load: every demo sends the same prompts at the same moments.
const SEED: u64 = 9900;

/// Runs services under a light load until Ctrl-C or the time given.
///
/// # Errors
///
/// When a port is taken or a service can't be started.
pub fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let listeners = listeners(args.ports)?;
    let runtime = serve::runtime()?;
    let workers = runtime.block_on(serve::workers(&[WorkerSpec::Local(None)]))?;
    let model = workers
        .first()
        .map(|worker| worker.model().to_owned())
        .unwrap_or_default();
    runtime.block_on(async {
        let pipeline = PipelineConfig {
            objective: Objective {
                time_to_first_token: Some(std::time::Duration::from_secs(1)),
                request_duration: Some(std::time::Duration::from_secs(10)),
            },
            ..PipelineConfig::default()
        };
        let config = ServiceConfig {
            pipeline,
            ..ServiceConfig::new(workers)
        };
        let service = Service::start(config, listeners, Registry::new())?;
        let addresses = serve::addresses(&service, &ServerOptions::default());
        let load = light_load(service.api(), args.rate)
            .map(load::start)
            .transpose()
            .context("the demo's own load can't be sent")?;
        let sending = match &load {
            Some(_) => format!(
                "load     {} requests/s, the same ones in every demo",
                args.rate
            ),
            None => "load     none (--rate 0)".into(),
        };
        let notes = [format!("model    {model}"), sending];
        let text = banner::render(&addresses, &notes, Palette::of(&stdout()));
        std::io::Write::write_all(&mut stdout(), text.as_bytes())
            .context("can't write to the terminal")?;
        serve::write(&addresses, args.addresses.as_deref())?;
        let ticker = Ticker::start(service.pipeline().recorder());
        ending::end(args.duration).await?;
        drop(ticker);
        if let Some(load) = load {
            load.abort();
            // The load's own report is for `inferometer load`; the demo's numbers are in its scrape.
            let _ = tokio::task::spawn_blocking(move || load.join()).await;
        }
        serve::stop(service).await;
        Ok(())
    })
}

/// Listeners on the demo's ports.
///
/// # Errors
///
/// When a port is taken.
pub fn listeners(ports: Ports) -> anyhow::Result<Listeners> {
    let [api, metrics] =
        ORCHESTRATOR_PORTS.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    Ok(Listeners {
        api: crate::ports::listen("the orchestrator's API", api, None, ports)?,
        metrics: Some(crate::ports::listen(
            "the orchestrator's metrics",
            metrics,
            None,
            ports,
        )?),
    })
}

/// A light load on the API at `api`, until it is stopped; `None` for a rate of 0.
pub fn light_load(api: SocketAddr, rate: f64) -> Option<Plan> {
    let mut plan = Plan::new(Target::from(api));
    plan.pace = Pace::Open {
        rate,
        arrivals: Arrivals::Poisson,
    };
    plan.seed = SEED;
    (rate > 0.0).then_some(plan)
}

#[cfg(test)]
mod tests {
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
}
