//! The endpoints against their own OpenAPI document.

use inferometer::Registry;
use inferometer_http::{
    Access, Component, GpuStats, Health, MetricsServer, ModelStats, NewKey, Page, QueueStats,
    Scope, ServerOptions, WorkerStats,
};
use inferometer_judges::{OpenApiSubject, ask_with_schemathesis, get};

/// Something is known, and something isn't, of everything.
fn told(server: MetricsServer) -> MetricsServer {
    let gpu = || {
        let known = GpuStats {
            device_name: Some("A card".into()),
            utilization: Some(0.5),
            memory_used: Some(1e9),
            memory_total: Some(2e9),
            temperature: Some(61.5),
            ..GpuStats::default()
        };
        vec![known, GpuStats::default()]
    };
    let queue = || {
        let known = QueueStats {
            name: "inference".into(),
            depth: Some(3.0),
            capacity: Some(8.0),
        };
        (vec![known, QueueStats::default()], WorkerStats::default())
    };
    let models = || {
        let known = ModelStats {
            name: "m".into(),
            loaded: true,
            memory: Some(1e6),
            ..ModelStats::default()
        };
        vec![known, ModelStats::default()]
    };
    let component = || {
        let gpu = Component::new("gpu", Health::Degraded("hot".into()));
        vec![gpu.detail("devices", 2)]
    };
    server
        .with_health(|| Health::Degraded("hot".into()))
        .with_components(component)
        .with_gpu_stats(gpu)
        .with_queue_stats(queue)
        .with_model_stats(models)
}

/// A server under these rules, asked for all that its own document allows.
fn judged(access: impl IntoIterator<Item = (Page, Access)>) -> Registry {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    let key = NewKey::generate("judge", &[Scope::Admin]).unwrap();
    key.add_to(&keys).unwrap();
    let mut options = ServerOptions {
        keys: Some(keys),
        access: access.into_iter().collect(),
        ..ServerOptions::default()
    };
    // For whoever fetches the document without a key.
    options.access.insert(Page::OpenApi, Access::Public);
    // It tries many, and is not to be kept waiting.
    options.limits.wrong_keys = u32::MAX;
    let off = |page: &Page| options.access.get(page) == Some(&Access::Off);
    let routes = Page::all().filter(|page| !off(page)).count();
    let registry = Registry::new();
    let server = told(MetricsServer::new(registry.clone()).with_options(options));
    let server = server.start("127.0.0.1:0").unwrap();
    let document = get(server.address(), "/openapi.json", None).unwrap();
    let asked = ask_with_schemathesis(OpenApiSubject {
        base_url: &format!("http://{}", server.address()),
        document: &document.text(),
        key: Some(key.secret()),
    })
    .unwrap();
    assert_eq!(asked["operations"], routes);
    assert!(asked["cases"].as_u64().unwrap() >= 100, "{asked}");
    registry
}

#[test]
fn every_answer_is_as_the_document_has_it() {
    let page = judged([]).encode_text();
    for reason in ["missing_key", "method"] {
        let none = format!("inferometer_http_refusals_total{{reason=\"{reason}\"}} 0\n");
        assert!(!page.contains(&none), "{reason} was not tried");
    }
}

#[test]
fn document_follows_who_may_have_what() {
    judged([
        (Page::Metrics, Access::Key(Scope::Metrics)),
        (Page::Health, Access::Key(Scope::Stats)),
        (Page::GpuStats, Access::Public),
        (Page::ModelsStats, Access::Off),
    ]);
}
