//! The HTTP API, in the OpenAI shape: any OpenAI client works unchanged.
//!
//! | route | what |
//! |---|---|
//! | `POST /v1/chat/completions` | an answer to a conversation, whole or as server-sent events |
//! | `GET /v1/models` | the models that can be asked for |
//! | `GET /v1/models/{id}` | one of them |
//!
//! **Headers taken.** `X-Session-ID` (1 to 128 visible ASCII characters) names the conversation whose history the prompt joins.
//! `X-Request-Timeout` is how many seconds the client waits. `X-Request-ID`, if it is 1 to 128 visible ASCII characters, is the
//! request's id in logs; else one is made; every answer carries it. A well-formed W3C `traceparent` gives the logs its trace id.
//!
//! **Errors** have the shape `{"error": {"message", "type", "param", "code"}}`:
//!
//! | status | when | type | code |
//! |---|---|---|---|
//! | 400 | a field breaks a rule; `param` is its path | `invalid_request_error` | `invalid_json`, `invalid_value`, `unsupported_value` |
//! | 404 | unknown model or route | `invalid_request_error` | `model_not_found`, `unknown_url` |
//! | 405, 413, 415 | method, size or content type | `invalid_request_error` | `method_not_allowed`, `body_too_large`, `unsupported_media_type` |
//! | 408 | the request's body came too slowly | `timeout` | `body_timeout` |
//! | 429 | a queue is full; `Retry-After` says when to come back | `overloaded` | `queue_full` |
//! | 502 | an upstream failed | `upstream_error` | what failed |
//! | 503 | shutting down | `server_error` | `shutting_down` |
//! | 504 | the deadline passed, here or upstream | `timeout` | `deadline_exceeded` |
//! | 500 | anything else | `server_error` | `internal_error` |
//!
//! An answer's status waits for its first event, so a request that fails before its first token has a right status, streamed or
//! not. What fails later in a stream is an event `data: {"error": …}`, and no `[DONE]` follows.
//!
//! **Leaving.** A client that closes its connection drops the answer at once, whatever stage it is in.

mod completions;
mod error;
mod headers;
mod journal;
mod models;
mod prompts;
mod request;
mod response;
mod stream;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration, time::SystemTime};

use axum::{
    Router,
    extract::Request,
    response::Response,
    routing::{get, post},
};

use self::error::ApiError;
pub use self::prompts::{Events, Prompts};

/// What a client may ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiLimits {
    /// The largest request body in bytes.
    pub body_bytes: usize,
    /// The longest that a request's body may take to come.
    pub body_timeout: Duration,
    /// The longest `X-Request-Timeout`.
    pub max_timeout: Duration,
    /// The most tokens that an answer may be asked to have.
    pub max_tokens: u32,
    /// The most tokens of an answer whose request doesn't say.
    pub default_max_tokens: u32,
}

impl Default for ApiLimits {
    /// Bodies of 4 MiB within 30 s, answers within 10 minutes, up to 32,768 tokens, 1,024 unless asked.
    fn default() -> Self {
        Self {
            body_bytes: 4 << 20,
            body_timeout: Duration::from_secs(30),
            max_timeout: Duration::from_secs(600),
            max_tokens: 32_768,
            default_max_tokens: 1024,
        }
    }
}

/// What every handler sees.
#[derive(Debug)]
struct Api<P> {
    prompts: P,
    limits: ApiLimits,
    /// When the API came up, as the models' creation time, seconds since 1970.
    since: u64,
}

/// The API's routes over `prompts`.
pub fn router<P: Prompts>(prompts: P, limits: ApiLimits) -> Router {
    let api = Arc::new(Api {
        prompts,
        limits,
        since: response::unix_time(SystemTime::now()),
    });
    Router::new()
        .route("/v1/chat/completions", post(completions::create::<P>))
        .route("/v1/models", get(models::list::<P>))
        .route("/v1/models/{*id}", get(models::one::<P>))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .with_state(api)
}

async fn unknown_route(request: Request) -> Response {
    let path: String = request.uri().path().chars().take(200).collect();
    let message = format!(
        "there is nothing at {} {path}; the API has POST /v1/chat/completions and GET /v1/models",
        request.method()
    );
    headers::identified(
        ApiError::unknown_url(message).into_answer(),
        request.headers(),
    )
}

async fn wrong_method(request: Request) -> Response {
    let path: String = request.uri().path().chars().take(200).collect();
    let message = format!(
        "{path} takes no {}; the Allow header says what it takes",
        request.method()
    );
    headers::identified(
        ApiError::wrong_method(message).into_answer(),
        request.headers(),
    )
}
