//! `inferometer serve`.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use inferometer::Registry;
use inferometer_catalog::orchestrator::Objective;
use inferometer_http::ServerOptions;
use orchestrator::{
    api::ApiLimits,
    assembly::Assembler,
    pipeline::PipelineConfig,
    retrieval::{Library, Limits},
    service::{Listeners, Service, ServiceConfig},
    worker::{
        Worker,
        local::{LocalWorker, Settings},
        scripted::{Script, ScriptedWorker},
        upstream::{Secret, UpstreamConfig, UpstreamWorker},
    },
};
use tokio::runtime::{Builder, Runtime};

use crate::{
    addresses::{Addresses, ServiceAddresses},
    cli::{OrchestratorArgs, ServeCommand, WorkerSpec},
    ending,
    loading::Loading,
    models, ports,
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
        ServeCommand::Orchestrator(args) => orchestrator(args),
    }
}

fn orchestrator(args: &OrchestratorArgs) -> anyhow::Result<()> {
    let endpoint = args.endpoint.options();
    endpoint
        .validate()
        .context("the endpoint can't be set up so")?;
    let listeners = listeners(args)?;
    let runtime = runtime()?;
    let pipeline = pipeline(args)?;
    let limits = ApiLimits {
        max_timeout: args.timeout,
        ..ApiLimits::default()
    };
    let workers = runtime.block_on(workers(&args.workers()))?;
    runtime.block_on(async {
        let config = ServiceConfig {
            pipeline,
            workers,
            limits,
            endpoint: endpoint.clone(),
        };
        let registry = if args.enabled {
            Registry::new()
        } else {
            tracing::warn!("metrics are switched off: nothing is recorded");
            Registry::disabled()
        };
        let service = Service::start(config, listeners, registry)?;
        let addresses = addresses(&service, &endpoint);
        announce(&addresses);
        write(&addresses, args.addresses.as_deref())?;
        ending::end(None).await?;
        stop(service).await;
        Ok(())
    })
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

/// Where a service is.
pub(crate) fn addresses(service: &Service, endpoint: &ServerOptions) -> Addresses {
    let api = ServiceAddresses::default().with_api(service.api());
    let whole = match service.metrics() {
        Some(metrics) => api.with_endpoint(metrics, endpoint),
        None => api,
    };
    let mut addresses = Addresses::default();
    addresses.insert("orchestrator", whole);
    addresses
}

/// Ends a service within [`PATIENCE`] and says what it waits for.
pub(crate) async fn stop(service: Service) {
    let under_way = service.pipeline().active();
    if under_way > 0 {
        tracing::info!(
            under_way,
            seconds = PATIENCE.as_secs(),
            "waiting for requests under way"
        );
    }
    if !service.stop(PATIENCE).await {
        tracing::warn!("some requests were still under way and are broken off");
    }
}

fn listeners(args: &OrchestratorArgs) -> Result<Listeners, ports::PortError> {
    Ok(Listeners {
        api: ports::listen("the API", args.api, Some("--api"), args.ports)?,
        metrics: args
            .enabled
            .then(|| ports::listen("the metrics", args.metrics, Some("--metrics"), args.ports))
            .transpose()?,
    })
}

fn pipeline(args: &OrchestratorArgs) -> anyhow::Result<PipelineConfig> {
    let library = match &args.corpus {
        Some(folder) => open_library(folder)?,
        None => Library::builtin(),
    };
    let assembler = match &args.template {
        Some(file) => Assembler::with_template(file).context("--template can't be used")?,
        None => Assembler::default(),
    };
    let other = args.queue_capacity;
    Ok(PipelineConfig {
        library: Arc::new(library),
        assembler: Arc::new(assembler),
        capacities: [other, other, args.inference_capacity, other, other],
        timeout: args.timeout,
        objective: Objective {
            time_to_first_token: Some(args.objective_ttft),
            request_duration: Some(args.objective_duration),
        },
        ..PipelineConfig::default()
    })
}

fn open_library(folder: &Path) -> anyhow::Result<Library> {
    let loading = Loading::start(format!("documents in {}", folder.display()), None);
    let library = Library::open(folder, &Limits::default()).context("--corpus can't be used")?;
    for skipped in library.skipped() {
        tracing::warn!(path = %skipped.path.display(), why = %skipped.why, "document left out");
    }
    loading.done();
    tracing::info!(
        documents = library.documents(),
        passages = library.passages(),
        "corpus read"
    );
    Ok(library)
}

/// The workers that are asked for, in their order.
pub(crate) async fn workers(specs: &[WorkerSpec]) -> anyhow::Result<Vec<Arc<dyn Worker>>> {
    let mut workers: Vec<Arc<dyn Worker>> = Vec::new();
    for spec in specs {
        workers.push(match spec {
            WorkerSpec::Local(path) => Arc::new(local(path.as_deref())?),
            WorkerSpec::OpenAi(url) => {
                let mut config = UpstreamConfig::new(url);
                config.api_key = Secret::from_env("OPENAI_API_KEY");
                let connected = UpstreamWorker::connect(config).await;
                Arc::new(connected.with_context(|| format!("--worker openai:{url} can't be used"))?)
            }
            WorkerSpec::Scripted(text) => {
                let script: Script = text
                    .parse()
                    .with_context(|| format!("--worker scripted:{text} can't be used"))?;
                Arc::new(ScriptedWorker::new(script))
            }
        });
    }
    Ok(workers)
}

/// A local model: the file named, else the larger one that was fetched, else the one built in.
fn local(path: Option<&Path>) -> anyhow::Result<LocalWorker> {
    let fetched = models::cached("smollm2-135m-instruct");
    let (what, worker) = match path.or(fetched.as_deref()) {
        Some(path) => {
            let bytes = path.metadata().ok().map(|file| file.len());
            let loading = Loading::start(format!("model {}", path.display()), bytes);
            let worker = LocalWorker::open(path, Settings::default())
                .context("the local model can't be used")?;
            loading.done();
            (path.display().to_string(), worker)
        }
        None => {
            let loading = Loading::start("the built-in model", None);
            let worker = LocalWorker::embedded(Settings::default())
                .context("the built-in model can't be used")?;
            loading.done();
            ("built in".into(), worker)
        }
    };
    tracing::info!(
        model = worker.model(),
        from = what,
        window = worker.context_window(),
        "local model ready"
    );
    Ok(worker)
}
