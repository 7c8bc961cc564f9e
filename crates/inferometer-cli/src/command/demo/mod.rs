//! `inferometer demo`.

mod orchestrator;
mod rerank;

use std::io::stdout;

use anyhow::Context as _;

use super::serve;
use crate::{
    addresses::{Addresses, ServiceAddresses},
    banner,
    cli::{DemoArgs, Service},
    ending,
    ports::Ports,
    terminal::Palette,
    ticker::{Line, Ticker},
};

/// The seed of the demo's load: every demo sends the same requests at the same moments.
const SEED: u64 = 9900;

/// Runs services under a light load until Ctrl-C or the time given.
///
/// # Errors
///
/// When a port is taken or a service can't be started.
pub fn run(args: &DemoArgs) -> anyhow::Result<()> {
    serve::runtime()?.block_on(async {
        let mut running = Vec::new();
        for service in args.services() {
            match Running::start(service, args.ports, args.rate).await {
                Ok(started) => running.push((service, started)),
                Err(error) => {
                    stop(running).await;
                    return Err(error);
                }
            }
        }
        let outcome = show(args, &running).await;
        stop(running).await;
        outcome
    })
}

/// Says what runs where, and shows what it counts until the end.
async fn show(args: &DemoArgs, running: &[(Service, Running)]) -> anyhow::Result<()> {
    let mut addresses = Addresses::default();
    let mut notes = Vec::new();
    for (service, running) in running {
        addresses.insert(service.name(), running.addresses());
        notes.push(format!("{:<12}  model {}", service.name(), running.model()));
    }
    notes.push(if args.rate > 0.0 {
        let rate = args.rate;
        format!("{rate} requests/s to each service, the same ones in every demo")
    } else {
        "no load (--rate 0)".into()
    });
    let text = banner::render(&addresses, &notes, Palette::of(&stdout()));
    std::io::Write::write_all(&mut stdout(), text.as_bytes())
        .context("can't write to the terminal")?;
    serve::write(&addresses, args.addresses.as_deref())?;
    let lines = running
        .iter()
        .map(|(service, running)| (service.name(), running.line()));
    let _ticker = Ticker::start(lines.collect());
    ending::end(args.duration).await?;
    Ok(())
}

/// Ends all services at once.
async fn stop(running: Vec<(Service, Running)>) {
    let mut ending = tokio::task::JoinSet::new();
    for (_, running) in running {
        ending.spawn(running.stop());
    }
    ending.join_all().await;
}

/// A service of the demo at work, and the load on it.
#[derive(Debug)]
enum Running {
    Orchestrator(Box<orchestrator::Demo>),
    Rerank(Box<rerank::Demo>),
}

impl Running {
    async fn start(service: Service, ports: Ports, rate: f64) -> anyhow::Result<Self> {
        Ok(match service {
            Service::Orchestrator => {
                Self::Orchestrator(orchestrator::Demo::start(ports, rate).await?.into())
            }
            Service::Rerank => Self::Rerank(rerank::Demo::start(ports, rate).await?.into()),
        })
    }

    fn addresses(&self) -> ServiceAddresses {
        match self {
            Self::Orchestrator(demo) => demo.addresses(),
            Self::Rerank(demo) => demo.addresses(),
        }
    }

    fn model(&self) -> &str {
        match self {
            Self::Orchestrator(demo) => demo.model(),
            Self::Rerank(demo) => demo.model(),
        }
    }

    fn line(&self) -> Line {
        match self {
            Self::Orchestrator(demo) => demo.line(),
            Self::Rerank(demo) => demo.line(),
        }
    }

    async fn stop(self) {
        match self {
            Self::Orchestrator(demo) => demo.stop().await,
            Self::Rerank(demo) => demo.stop().await,
        }
    }
}
