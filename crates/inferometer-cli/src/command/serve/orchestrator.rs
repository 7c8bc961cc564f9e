//! `inferometer serve orchestrator`.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
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

use super::{PATIENCE, ended, endpoint, registry, runtime, until_told, waiting};
use crate::{
    addresses::{Addresses, ServiceAddresses},
    cli::{OrchestratorArgs, WorkerSpec},
    loading::Loading,
    models, ports,
};

pub(super) fn run(args: &OrchestratorArgs) -> anyhow::Result<()> {
    let endpoint = endpoint(&args.serving)?;
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
        let service = Service::start(config, listeners, registry(&args.serving))?;
        let mut addresses = Addresses::default();
        addresses.insert("orchestrator", at(&service, &endpoint));
        until_told(&addresses, &args.serving).await?;
        stop(service).await;
        Ok(())
    })
}

/// Where a service is.
pub(crate) fn at(service: &Service, endpoint: &ServerOptions) -> ServiceAddresses {
    let api = ServiceAddresses::default().with_api(service.api());
    match service.metrics() {
        Some(metrics) => api.with_endpoint(metrics, endpoint),
        None => api,
    }
}

/// Ends a service within [`PATIENCE`] and says what it waits for.
pub(crate) async fn stop(service: Service) {
    waiting(service.pipeline().active());
    ended(service.stop(PATIENCE).await);
}

fn listeners(args: &OrchestratorArgs) -> Result<Listeners, ports::PortError> {
    let ports = args.serving.ports;
    Ok(Listeners {
        api: ports::listen("the API", args.api, Some("--api"), ports)?,
        metrics: args
            .serving
            .enabled
            .then(|| ports::listen("the metrics", args.metrics, Some("--metrics"), ports))
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
