use std::collections::BTreeSet;

use inferometer_http::{
    Access, Component, GpuStats, Health, ModelStats, OPENAPI, Page, QueueStats, Refusal, Scope,
    WorkerStats,
};
use serde_json::Value;

use crate::{client::get, server::Served};

fn document() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

#[test]
fn document_has_every_route_with_its_access_and_nothing_else() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let paths: BTreeSet<_> = document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    let table: BTreeSet<_> = Page::all()
        .map(|page| page.default_path().to_owned())
        .collect();
    assert_eq!(paths, table);
    assert_eq!(
        document["security"].as_array().unwrap().len(),
        2,
        "a key in either header"
    );
    for page in Page::all() {
        let get = &document["paths"][page.default_path()]["get"];
        let public = get["security"].as_array().is_some_and(Vec::is_empty);
        assert_eq!(public, page.default_access() == Access::Public, "{page:?}");
        assert_eq!(get["responses"]["401"].is_object(), !public, "{page:?}");
        assert!(get["operationId"].is_string() && get["summary"].is_string());
    }
}

#[test]
fn document_names_every_reason_that_is_answered() {
    let document = document();
    let reasons = &document["components"]["schemas"]["Problem"]["properties"]["reason"]["enum"];
    let told: BTreeSet<_> = reasons
        .as_array()
        .unwrap()
        .iter()
        .map(|reason| reason.as_str().unwrap())
        .collect();
    let all = <Refusal as inferometer::LabelValue>::VALUES.unwrap();
    assert!(told.iter().all(|reason| all.contains(reason)));
    let closed = [
        Refusal::Silent,
        Refusal::Handshake,
        Refusal::SlowReader,
        Refusal::RequestTimeout,
        Refusal::Displaced,
        Refusal::PageHeld,
        Refusal::Protocol,
    ];
    assert!(closed.iter().all(|refusal| refusal.status().is_none()));
    let closed = closed.map(Refusal::reason);
    let answered = all
        .iter()
        .copied()
        .filter(|reason| !closed.contains(reason));
    assert_eq!(told, answered.collect());
}

/// Whether `value` is as `schema` has it: types, required fields, no field that isn't named, enums, references.
fn fits(document: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.strip_prefix('#').unwrap();
        let schema = document
            .pointer(pointer)
            .unwrap_or_else(|| panic!("no {reference}"));
        return fits(document, schema, value, at);
    }
    if let Some(values) = schema["enum"].as_array() {
        assert!(
            values.contains(value),
            "{at}: {value} is none of {values:?}"
        );
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        other => panic!("{at}: a schema of type {other}"),
    };
    let is = |name: &&str| match *name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_u64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    assert!(types.iter().any(is), "{at}: {value} is not {types:?}");
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        fits(document, &schema["items"], item, &format!("{at}[{index}]"));
    }
    let Some(object) = value.as_object() else {
        return;
    };
    for required in schema["required"].as_array().into_iter().flatten() {
        assert!(
            object.contains_key(required.as_str().unwrap()),
            "{at} lacks {required}"
        );
    }
    for (name, value) in object {
        let (named, more) = (&schema["properties"][name], &schema["additionalProperties"]);
        let at = format!("{at}.{name}");
        match (named, more) {
            (Value::Object(_), _) => fits(document, named, value, &at),
            (_, Value::Object(_)) => fits(document, more, value, &at),
            (_, Value::Bool(true)) => {}
            _ => panic!("{at} is not in the document"),
        }
    }
}

fn every_answer_fits(served: &Served) {
    let document = document();
    for page in Page::all() {
        let path = page.default_path();
        let answer = get(served.address(), path, &[("X-API-Key", &served.keys.admin)]);
        let told = &document["paths"][path]["get"]["responses"][answer.status.to_string()];
        assert!(
            told.is_object(),
            "{path}: {} is not in the document",
            answer.status
        );
        let kind = answer.header("content-type").unwrap();
        let kind = kind.split(';').next().unwrap();
        let content = &told["content"][kind];
        assert!(content.is_object(), "{path}: {kind} is not in the document");
        if kind == "application/json" && page != Page::OpenApi {
            fits(&document, &content["schema"], &answer.json(), path);
        }
    }
    for (path, key) in [("/gpu/stats", ""), ("/nowhere", "")] {
        let problem = get(served.address(), path, &[("X-API-Key", key)]).json();
        fits(
            &document,
            &document["components"]["schemas"]["Problem"],
            &problem,
            path,
        );
    }
}

#[test]
fn answers_fit_the_document_when_nothing_is_known() {
    every_answer_fits(&Served::plain());
}

#[test]
fn answers_fit_the_document_when_all_is_known() {
    let gpu = || {
        vec![GpuStats {
            device_uuid: Some("GPU-1".into()),
            device_name: Some("A card".into()),
            utilization: Some(0.5),
            memory_used: Some(1e9),
            memory_total: Some(2e9),
            memory_free: Some(1e9),
            temperature: Some(61.5),
            power_usage: Some(250.25),
            power_limit: Some(700.0),
            compute_mode: Some("default".into()),
            ..GpuStats::default()
        }]
    };
    let queue = || {
        let queue = QueueStats {
            name: "inference".into(),
            depth: Some(3.0),
            capacity: Some(8.0),
        };
        (
            vec![queue],
            WorkerStats {
                active: Some(1.0),
                total: Some(2.0),
            },
        )
    };
    let models = || {
        vec![ModelStats {
            name: "m".into(),
            loaded: true,
            memory: Some(1e6),
            ..ModelStats::default()
        }]
    };
    let served = Served::new(
        |_| {},
        |server| {
            server
                .with_health(|| Health::Unhealthy("no queue".into()))
                .with_components(|| {
                    vec![Component::new("gpu", Health::Degraded("hot".into())).detail("devices", 1)]
                })
                .with_gpu_stats(gpu)
                .with_queue_stats(queue)
                .with_model_stats(models)
        },
    );
    every_answer_fits(&served);
    let key = [("X-API-Key", served.keys.stats.as_str())];
    let json = get(served.address(), "/gpu/stats", &key).json();
    assert_eq!(json["devices"][0]["utilization"]["text"], "50.0 %");
    let queue = get(served.address(), "/queue/stats", &key).json();
    assert_eq!(queue["utilization"]["value"], 0.375);
}

#[test]
fn served_document_has_the_servers_own_paths_and_keys() {
    let served = Served::set(|options| {
        options.metrics_path = "/monitoring/metrics".into();
        options.access.insert(Page::OpenApi, Access::Public);
        options.access.insert(Page::ModelsStats, Access::Off);
        options
            .access
            .insert(Page::Metrics, Access::Key(Scope::Metrics));
    });
    let document = get(served.address(), "/openapi.json", &[]).json();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.contains_key("/monitoring/metrics") && !paths.contains_key("/metrics"));
    assert!(!paths.contains_key("/models/stats"));
    assert_eq!(
        paths["/openapi.json"]["get"]["security"],
        serde_json::json!([])
    );
    assert!(paths["/monitoring/metrics"]["get"]["security"].is_null());
    for status in ["401", "403", "429"] {
        let told = |path: &str| paths[path]["get"]["responses"][status].is_object();
        assert!(told("/monitoring/metrics"), "{status}");
        assert!(!told("/openapi.json"), "{status}");
        assert!(!told("/health"), "{status}");
    }
}
