//! `inferometer agent`.

use std::{
    fs::File,
    io::{self, Write as _},
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::Context as _;
use inferometer::{Descriptor, Format, Registry, sample::health::GPU};
use inferometer_http::MetricsServer;
use inferometer_monitor::{
    gpu::{GpuMonitor, Nvml, Recorder, Replay},
    health::Health,
    host::{HostMonitor, Options, Roots},
    scheduler::Scheduler,
};

use super::serve;
use crate::{
    addresses::{Addresses, ServiceAddresses},
    cli::AgentArgs,
    ending, ports,
};

/// What it is called in the addresses file and in the catalogue.
pub(crate) const NAME: &str = "agent";

/// How long a sample under way may take to end once the program is told to.
const PATIENCE: Duration = Duration::from_secs(3);

/// How far apart the two samples of `--once` are: the usage of processors is what happened between two.
const GAP: Duration = Duration::from_millis(500);

/// Watches this machine until Ctrl-C, or prints one scrape.
///
/// # Errors
///
/// When the port is taken, or a file that was named can't be used.
pub fn run(args: &AgentArgs) -> anyhow::Result<()> {
    let registry = Registry::new();
    let gpu = args.gpu.then(|| gpu(args, &registry)).transpose()?;
    let host = HostMonitor::new(&registry, options(args))
        .context("the machine's metrics can't be declared")?;
    if args.once {
        return once(&registry, &host, gpu.as_ref());
    }
    let endpoint = args.endpoint.options();
    endpoint
        .validate()
        .context("the endpoint can't be set up so")?;
    let listener = ports::listen("the metrics", args.listen, Some("--listen"), args.ports)?;
    let scheduler = Scheduler::new(&registry)?;
    let health = Health::new(&registry, &scheduler)?;
    let host = Arc::new(host);
    host.start(&scheduler, args.interval)?;
    let watched = Arc::clone(&host);
    health
        .component("host")
        .cache(args.interval)
        .check(move || watched.verdict())?;
    let mut server = MetricsServer::new(registry)
        .with_options(endpoint.clone())
        .with_health_report({
            let health = health.clone();
            move || health.report()
        });
    if let Some(gpu) = &gpu {
        gpu.start(&scheduler, args.interval)?;
        let watched = gpu.clone();
        health
            .component(GPU)
            .cache(args.interval)
            .check(move || watched.verdict())?;
        let sampled = gpu.clone();
        server = server.with_gpu_samples(move || sampled.stats_all());
    }
    let server = server.start_on(listener)?;
    let mut addresses = Addresses::default();
    let address = server.address();
    addresses.insert(
        NAME,
        ServiceAddresses::default().with_endpoint(address, &endpoint),
    );
    serve::announce(&addresses);
    serve::write(&addresses, args.addresses.as_deref())?;
    serve::runtime()?.block_on(ending::end(args.duration))?;
    server.stop();
    if let Err(stuck) = scheduler.stop(PATIENCE) {
        tracing::warn!("{stuck}");
    }
    if let Some(gpu) = gpu {
        gpu.shutdown();
    }
    Ok(())
}

/// Every metric that the agent has on a machine with GPUs.
pub(crate) fn descriptors() -> Vec<Descriptor> {
    let registry = Registry::new();
    let declared = || -> anyhow::Result<()> {
        GpuMonitor::builder().register(&registry)?;
        HostMonitor::new(&registry, Options::default())?;
        let scheduler = Scheduler::new(&registry)?;
        Health::new(&registry, &scheduler)?;
        // Mounted nowhere: it is to declare what it has.
        drop(MetricsServer::new(registry.clone()).router()?);
        Ok(())
    };
    declared().expect("a new registry has room for all of them");
    registry.descriptors()
}

fn options(args: &AgentArgs) -> Options {
    let default = Roots::default();
    Options::default().roots(Roots {
        proc: args.proc.clone().unwrap_or(default.proc),
        sys: args.sys.clone().unwrap_or(default.sys),
        root: default.root,
    })
}

fn gpu(args: &AgentArgs, registry: &Registry) -> anyhow::Result<GpuMonitor> {
    let mut builder = GpuMonitor::builder();
    if let Some(path) = &args.replay {
        check(path)?;
        builder = builder.source(Replay::of(path));
    } else if let Some(path) = &args.nvml {
        builder = builder.source(Nvml::at(path));
    }
    if args.pcie_and_fans {
        builder = builder.pcie_and_fans();
    }
    if let Some(path) = &args.record {
        let file = File::create(path).with_context(|| {
            format!(
                "can't write the recording {}; name a file in a folder that is there",
                path.display()
            )
        })?;
        builder = builder.view(Recorder::new(file));
    }
    builder
        .register(registry)
        .context("the GPUs' metrics can't be declared")
}

/// A recording that was named must be there: a driver that isn't is a state, a file that isn't is a mistake.
fn check(path: &Path) -> anyhow::Result<()> {
    File::open(path).map(drop).with_context(|| {
        format!(
            "can't read the recording {}; `inferometer agent --record FILE` makes one on a machine with a GPU",
            path.display()
        )
    })
}

fn once(registry: &Registry, host: &HostMonitor, gpu: Option<&GpuMonitor>) -> anyhow::Result<()> {
    host.update();
    thread::sleep(GAP);
    host.update();
    if let Some(gpu) = gpu {
        gpu.update();
    }
    for (collector, why) in host.failures() {
        tracing::warn!(%collector, "{why}");
    }
    let page = registry.encode(Format::PrometheusText);
    match io::stdout().write_all(&page) {
        // Who reads it has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("can't write to the terminal"),
    }
}
