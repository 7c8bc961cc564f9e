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
use inferometer::{Format, Registry};
use inferometer_http::MetricsServer;
use inferometer_monitor::{
    gpu::{DriverPhase, GpuMonitor, Nvml, Recorder, Replay},
    health::{Health, Verdict},
    host::{HostMonitor, Options, Roots},
    scheduler::Scheduler,
};

use super::serve;
use crate::{
    addresses::{Addresses, ServiceAddresses},
    cli::AgentArgs,
    ending, ports,
};

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
    let listener = ports::listen("the metrics", args.listen, Some("--listen"), args.ports)?;
    let scheduler = Scheduler::new(&registry)?;
    let health = Health::new(&registry, &scheduler)?;
    let host = Arc::new(host);
    watch_host(args.interval, host, &scheduler, &health)?;
    if let Some(gpu) = &gpu {
        watch_gpu(args.interval, gpu, &scheduler, &health)?;
    }
    let server = MetricsServer::new(registry).with_health({
        let health = health.clone();
        move || match health.live() {
            Ok(()) => inferometer_http::Health::Healthy,
            Err(impaired) => inferometer_http::Health::Unhealthy(impaired.to_string()),
        }
    });
    let server = server.start_on(listener)?;
    let mut addresses = Addresses::default();
    addresses.insert("agent", ServiceAddresses::scraped(server.address()));
    for (name, at) in addresses.iter() {
        tracing::info!(
            service = name,
            metrics = at.metrics,
            health = at.health,
            "ready"
        );
    }
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
        say(gpu);
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

/// Says what is wrong with the driver, if anything is.
fn say(gpu: &GpuMonitor) {
    let status = gpu.status();
    if let Some(why) = status.why {
        tracing::info!(driver = ?status.driver, "{why}");
    }
    if let Some(complaint) = status.complaint {
        tracing::warn!("{complaint}");
    }
}

fn watch_host(
    interval: Duration,
    host: Arc<HostMonitor>,
    scheduler: &Scheduler,
    health: &Health,
) -> anyhow::Result<()> {
    let sampled = Arc::clone(&host);
    scheduler
        .task("host", interval)
        .run_at_once()
        .overdue_after(interval)
        .start(move || {
            host.update();
        })?;
    health.component("host").cache(interval).check(move || {
        let failures = sampled.failures();
        match failures.as_slice() {
            [] => Verdict::healthy(),
            some => Verdict::degraded(
                some.iter()
                    .map(|(_, why)| why.as_str())
                    .collect::<Vec<_>>()
                    .join("; "),
            ),
        }
    })?;
    Ok(())
}

fn watch_gpu(
    interval: Duration,
    gpu: &GpuMonitor,
    scheduler: &Scheduler,
    health: &Health,
) -> anyhow::Result<()> {
    let polled = gpu.clone();
    scheduler
        .task("gpu", interval)
        .run_at_once()
        .overdue_after(interval)
        .start(move || {
            polled.update();
        })?;
    let gpu = gpu.clone();
    health.component("gpu").cache(interval).check(move || {
        let status = gpu.status();
        let lost: Vec<_> = status
            .devices
            .iter()
            .filter(|device| device.failure.is_some())
            .map(|device| device.device.uuid.to_string())
            .collect();
        match status.driver {
            DriverPhase::Broken => Verdict::degraded(status.why.unwrap_or_default()),
            _ if !lost.is_empty() => {
                Verdict::degraded(format!("no answer from {}", lost.join(", ")))
            }
            // A machine without a GPU is well.
            _ => Verdict::healthy(),
        }
    })?;
    Ok(())
}
