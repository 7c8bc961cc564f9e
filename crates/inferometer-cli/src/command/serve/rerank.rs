//! `inferometer serve rerank`.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use inferometer_http::ServerOptions;
use rerank::{
    encoder::{BACKBONE, CrossEncoder},
    pipeline::{BatchLimits, PipelineConfig},
    service::{Listeners, Service, ServiceConfig, WatchConfig},
};

use super::{PATIENCE, ended, endpoint, registry, runtime, until_told, waiting};
use crate::{
    addresses::{Addresses, ServiceAddresses},
    cli::RerankArgs,
    loading::Loading,
    models, ports,
};

pub(super) fn run(args: &RerankArgs) -> anyhow::Result<()> {
    let endpoint = endpoint(&args.serving)?;
    let listeners = listeners(args)?;
    let model = model(args.model.as_deref())?;
    runtime()?.block_on(async {
        let config = ServiceConfig {
            pipeline: pipeline(args),
            endpoint: endpoint.clone(),
            watch: WatchConfig {
                interval: args.collection_interval,
                gpus: args.gpu,
                ..WatchConfig::default()
            },
            ..config(model)
        };
        let service = Service::start(config, listeners, registry(&args.serving)).await?;
        let mut addresses = Addresses::default();
        addresses.insert("rerank", at(&service, &endpoint));
        until_told(&addresses, &args.serving).await?;
        stop(service).await;
        Ok(())
    })
}

/// The defaults for this model.
pub(crate) fn config(model: CrossEncoder) -> ServiceConfig {
    let tokenizer = model.tokenizer();
    ServiceConfig::new(Arc::new(tokenizer), Arc::new(model))
}

/// Where a service is.
pub(crate) fn at(service: &Service, endpoint: &ServerOptions) -> ServiceAddresses {
    let apis = ServiceAddresses::default()
        .with_api(service.http())
        .with_grpc(service.grpc());
    match service.metrics() {
        Some(metrics) => apis.with_endpoint(metrics, endpoint),
        None => apis,
    }
}

/// Ends a service within [`PATIENCE`] and says what it waits for.
pub(crate) async fn stop(service: Service) {
    waiting(service.pipeline().active());
    ended(service.stop(PATIENCE).await);
}

fn listeners(args: &RerankArgs) -> Result<Listeners, ports::PortError> {
    let ports = args.serving.ports;
    Ok(Listeners {
        grpc: ports::listen("gRPC", args.grpc, Some("--grpc"), ports)?,
        http: ports::listen("HTTP", args.http, Some("--http"), ports)?,
        metrics: args
            .serving
            .enabled
            .then(|| ports::listen("the metrics", args.metrics, Some("--metrics"), ports))
            .transpose()?,
    })
}

fn pipeline(args: &RerankArgs) -> PipelineConfig {
    PipelineConfig {
        tokenizer_workers: args.tokenizer_workers,
        model_workers: args.model_workers,
        tokenizer_queue: args.queue_capacity,
        batch_queue: args.queue_capacity,
        batch: BatchLimits {
            pairs: args.batch_pairs,
            tokens: args.batch_tokens,
            sort_by_length: args.sort_by_length,
            padding: args.batch_padding,
        },
        max_wait: args.max_wait,
        timeout: args.timeout,
        max_pairs: args.max_pairs,
        max_tokens: args.max_tokens,
        window: args.window,
        ..PipelineConfig::default()
    }
}

/// The model in the folder that is named, else the larger one if its backbone was fetched, else the one built in.
fn model(folder: Option<&Path>) -> anyhow::Result<CrossEncoder> {
    if let Some(folder) = folder {
        return load(format!("model {}", folder.display()), || {
            CrossEncoder::open(folder).context("--model can't be used")
        });
    }
    match models::cached(BACKBONE) {
        Some(backbone) => load(format!("the model on {BACKBONE}"), || {
            CrossEncoder::minilm(&backbone).context("the fetched model can't be used")
        }),
        None => built_in(),
    }
}

/// The small model that comes with the program.
pub(crate) fn built_in() -> anyhow::Result<CrossEncoder> {
    load("the built-in model".into(), || {
        CrossEncoder::embedded().context("the built-in model can't be used")
    })
}

fn load(
    what: String,
    read: impl FnOnce() -> anyhow::Result<CrossEncoder>,
) -> anyhow::Result<CrossEncoder> {
    let loading = Loading::start(what, None);
    let model = read()?;
    loading.done();
    tracing::info!(
        model = model.name(),
        max_tokens = model.max_tokens(),
        "cross-encoder ready"
    );
    Ok(model)
}
