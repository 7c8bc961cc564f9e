//! The HTTP API, in the shape that rerank clients speak.
//!
//! | route | what |
//! |---|---|
//! | `POST /rerank`, `/v1/rerank`, `/v2/rerank` | the documents, the best first |
//! | `GET /v1/models` | the model |
//!
//! **Asked** with `query` and `documents` (texts, or objects with a `text`), and perhaps `top_n`, `return_documents` and `model`, as Cohere
//! and Jina have it, the answer is `{"id", "model", "results": [{"index", "relevance_score", "document"}], "usage"}`. **Asked** with
//! `query` and `texts`, and perhaps `return_text` and `raw_scores`, as Text Embeddings Inference has it, it is `[{"index", "score",
//! "text"}]`. Scores are between 0 and 1, the model's logit through the logistic function, and the logit itself with `raw_scores`.
//!
//! **Headers taken.** `X-Request-Timeout` is how many seconds the client waits. `X-Request-ID` and `traceparent` are given back.
//!
//! **Errors** have the shape `{"error": {"message", "type", "param", "code"}}`:
//!
//! | status | when | type | code |
//! |---|---|---|---|
//! | 400 | a field breaks a rule; `param` is its path | `invalid_request_error` | `invalid_json`, `invalid_value` |
//! | 404 | unknown model or route | `invalid_request_error` | `model_not_found`, `unknown_url` |
//! | 405, 413, 415 | method, size or content type | `invalid_request_error` | `method_not_allowed`, `body_too_large`, `unsupported_media_type` |
//! | 408 | the request's body came too slowly | `timeout` | `body_timeout` |
//! | 429 | turned away; `Retry-After` says when to come back | `overloaded` | `queue_full`, `expected_wait` |
//! | 503 | shutting down | `server_error` | `shutting_down` |
//! | 504 | the deadline passed | `timeout` | `deadline_exceeded` |
//! | 500 | anything else | `server_error` | `internal_error` |

mod error;
mod request;
mod response;

use std::{sync::Arc, time::Duration, time::Instant};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Request, header},
    response::Response,
    routing::{get, post},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::{Value, json};
use tokio::time::timeout;

use self::{error::ApiError, request::Rerank};
use crate::pipeline::{Ask, Pipeline};

/// What a client may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiLimits {
    /// The largest request body, and the largest gRPC message, in bytes.
    pub body_bytes: usize,
    /// The longest that an HTTP request's body may take to come.
    pub body_timeout: Duration,
}

impl Default for ApiLimits {
    /// 4 MiB within 30 s.
    fn default() -> Self {
        Self {
            body_bytes: 4 << 20,
            body_timeout: Duration::from_secs(30),
        }
    }
}

struct Api {
    pipeline: Pipeline,
    limits: ApiLimits,
}

/// The API's routes over `pipeline`.
pub fn router(pipeline: Pipeline, limits: ApiLimits) -> Router {
    Router::new()
        .route("/rerank", post(rerank))
        .route("/v1/rerank", post(rerank))
        .route("/v2/rerank", post(rerank))
        .route("/v1/models", get(models))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .with_state(Arc::new(Api { pipeline, limits }))
}

async fn rerank(State(api): State<Arc<Api>>, request: Request<Body>) -> Response {
    serve(&api, request)
        .await
        .unwrap_or_else(ApiError::into_answer)
}

async fn serve(api: &Api, request: Request<Body>) -> Result<Response, ApiError> {
    let (asked, deadline) = read(api, request).await.inspect_err(|error| {
        let _ = api.pipeline.refuse("body", error.message.clone());
    })?;
    let ask = Ask::new(&asked.query, asked.documents.iter().cloned()).by(deadline);
    let answer = api.pipeline.infer(ask).await?;
    Ok(response::write(&asked, &answer, api.pipeline.model()))
}

async fn read(api: &Api, request: Request<Body>) -> Result<(Rerank, Option<Instant>), ApiError> {
    let arrived = Instant::now();
    let (parts, body) = request.into_parts();
    let deadline = deadline(&parts.headers, arrived)?;
    if !is_json(&parts.headers) {
        return Err(ApiError::media_type());
    }
    let body = collect(body, &api.limits).await?;
    Ok((Rerank::read(&body, api.pipeline.model())?, deadline))
}

async fn collect(body: Body, limits: &ApiLimits) -> Result<Bytes, ApiError> {
    let whole = Limited::new(body, limits.body_bytes).collect();
    match timeout(limits.body_timeout, whole).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(ApiError::body_too_large(limits.body_bytes))
        }
        Ok(Err(error)) => Err(ApiError::invalid_json(format!(
            "the request's body broke off: {error}"
        ))),
        Err(_) => Err(ApiError::body_timeout(limits.body_timeout)),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// When the client stops waiting, if it says so.
fn deadline(headers: &HeaderMap, arrived: Instant) -> Result<Option<Instant>, ApiError> {
    let Some(value) = headers.get("x-request-timeout") else {
        return Ok(None);
    };
    let seconds = value.to_str().ok();
    let seconds = seconds.and_then(|text| text.trim().parse::<f64>().ok());
    seconds
        .filter(|seconds| *seconds > 0.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .and_then(|timeout| arrived.checked_add(timeout))
        .map(Some)
        .ok_or_else(|| {
            ApiError::invalid(
                "X-Request-Timeout",
                "X-Request-Timeout must be seconds, more than 0".to_owned(),
            )
        })
}

async fn models(State(api): State<Arc<Api>>) -> Json<Value> {
    Json(json!({
        "object": "list",
        "data": [{ "id": api.pipeline.model(), "object": "model", "owned_by": "inferometer" }],
    }))
}

async fn unknown_route(request: Request<Body>) -> Response {
    let path: String = request.uri().path().chars().take(200).collect();
    let message = format!(
        "there is nothing at {} {path}; the API has POST /rerank and GET /v1/models",
        request.method()
    );
    ApiError::unknown_url(message).into_answer()
}

async fn wrong_method(request: Request<Body>) -> Response {
    let path: String = request.uri().path().chars().take(200).collect();
    let message = format!(
        "{path} takes no {}; the Allow header says what it takes",
        request.method()
    );
    ApiError::wrong_method(message).into_answer()
}
