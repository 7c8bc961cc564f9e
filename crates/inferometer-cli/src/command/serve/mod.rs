//! `inferometer serve`.

pub(crate) mod orchestrator;
pub(crate) mod rerank;

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use inferometer::Registry;
use inferometer_http::ServerOptions;
use tokio::runtime::{Builder, Runtime};

use crate::{
    addresses::Addresses,
    cli::{ServeCommand, ServingArgs},
    ending,
};

/// How long requests under way may go on once the program is told to end: less than the 10 s after which a container is killed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);

/// Runs one service until Ctrl-C.
///
/// # Errors
///
/// When a port is taken or the service can't be started.
pub fn run(service: &ServeCommand) -> anyhow::Result<()> {
    match service {
        ServeCommand::Orchestrator(args) => orchestrator::run(args),
        ServeCommand::Rerank(args) => rerank::run(args),
    }
}

/// A runtime with a thread a core.
pub(crate) fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("can't start the threads that serve requests")
}

/// Says in the log where everything is.
pub(crate) fn announce(addresses: &Addresses) {
    for (name, at) in addresses.iter() {
        tracing::info!(
            service = name,
            api = at.api.as_deref(),
            grpc = at.grpc.as_deref(),
            metrics = at.metrics.as_deref(),
            health = at.health.as_deref(),
            "ready"
        );
    }
}

/// Says where a service is, in a file for scripts.
pub(crate) fn write(addresses: &Addresses, file: Option<&Path>) -> anyhow::Result<()> {
    let Some(file) = file else { return Ok(()) };
    addresses
        .write(file)
        .with_context(|| format!("can't write the addresses to {}", file.display()))
}

/// How the endpoint is to be set up.
fn endpoint(serving: &ServingArgs) -> anyhow::Result<ServerOptions> {
    let endpoint = serving.endpoint.options();
    endpoint
        .validate()
        .context("the endpoint can't be set up so")?;
    Ok(endpoint)
}

/// A registry that records, or one that doesn't.
fn registry(serving: &ServingArgs) -> Registry {
    if serving.enabled {
        Registry::new()
    } else {
        tracing::warn!("metrics are switched off: nothing is recorded");
        Registry::disabled()
    }
}

/// Says where a service is, and waits for Ctrl-C.
async fn until_told(addresses: &Addresses, serving: &ServingArgs) -> anyhow::Result<()> {
    announce(addresses);
    write(addresses, serving.addresses.as_deref())?;
    ending::end(None).await?;
    Ok(())
}

/// Says what the end waits for.
pub(crate) fn waiting(under_way: usize) {
    if under_way > 0 {
        tracing::info!(
            under_way,
            seconds = PATIENCE.as_secs(),
            "waiting for requests under way"
        );
    }
}

/// Says how the end went.
pub(crate) fn ended(by_itself: bool) {
    if !by_itself {
        tracing::warn!("some requests were still under way and are broken off");
    }
}
