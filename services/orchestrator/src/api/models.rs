//! The models that can be asked for.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use inferometer_catalog::orchestrator::WorkerType;
use serde::Serialize;

use super::{Api, Prompts, error::ApiError, headers};
use crate::pipeline::Model;

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Entry<'a>>,
}

/// A model in the OpenAI shape, and two fields of our own.
#[derive(Serialize)]
struct Entry<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
    worker_type: &'static str,
    context_window: usize,
}

impl<'a> Entry<'a> {
    fn new(model: &'a Model, since: u64) -> Self {
        let worker_type = match model.worker_type {
            WorkerType::Openai => "openai",
            WorkerType::Local => "local",
            WorkerType::Scripted => "scripted",
            WorkerType::Other => "other",
        };
        Self {
            id: &model.id,
            object: "model",
            created: since,
            owned_by: "orchestrator",
            worker_type,
            context_window: model.context_window,
        }
    }
}

pub(super) async fn list<P: Prompts>(State(api): State<Arc<Api<P>>>, asked: HeaderMap) -> Response {
    let models = api.prompts.models();
    let data = models
        .iter()
        .map(|model| Entry::new(model, api.since))
        .collect();
    headers::identified(
        json(&List {
            object: "list",
            data,
        }),
        &asked,
    )
}

pub(super) async fn one<P: Prompts>(
    State(api): State<Arc<Api<P>>>,
    Path(id): Path<String>,
    asked: HeaderMap,
) -> Response {
    let models = api.prompts.models();
    let answer = match models.iter().find(|model| *model.id == *id) {
        Some(model) => json(&Entry::new(model, api.since)),
        None => {
            let id: String = id.chars().take(200).collect();
            ApiError::unknown_model(format!(
                "there is no model `{id}`; GET /v1/models lists those there are"
            ))
            .into_answer()
        }
    };
    headers::identified(answer, &asked)
}

fn json(value: &impl Serialize) -> Response {
    let body = serde_json::to_vec(value).expect("strings and numbers always have a JSON form");
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}
