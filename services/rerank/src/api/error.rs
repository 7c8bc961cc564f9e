//! Errors, in the shape that the orchestrator's API has, too.

use std::{borrow::Cow, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use inferometer_catalog::rerank::ShedReason;
use serde_json::json;

use crate::pipeline::{Failure, seconds};

/// A request that gets an error.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    kind: &'static str,
    code: &'static str,
    param: Option<Cow<'static, str>>,
    pub(super) message: String,
    retry_after: Option<Duration>,
}

const INVALID: &str = "invalid_request_error";

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, code: &'static str, message: String) -> Self {
        Self {
            status,
            kind,
            code,
            param: None,
            message,
            retry_after: None,
        }
    }

    /// The body is no JSON.
    pub(super) fn invalid_json(message: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, INVALID, "invalid_json", message)
    }

    /// A field breaks a rule.
    pub(super) fn invalid(param: impl Into<Cow<'static, str>>, message: String) -> Self {
        Self {
            param: Some(param.into()),
            ..Self::new(StatusCode::BAD_REQUEST, INVALID, "invalid_value", message)
        }
    }

    pub(super) fn unknown_model(message: String) -> Self {
        Self {
            param: Some("model".into()),
            ..Self::new(StatusCode::NOT_FOUND, INVALID, "model_not_found", message)
        }
    }

    pub(super) fn unknown_url(message: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, INVALID, "unknown_url", message)
    }

    pub(super) fn wrong_method(message: String) -> Self {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Self::new(status, INVALID, "method_not_allowed", message)
    }

    pub(super) fn body_too_large(limit: usize) -> Self {
        let message = format!(
            "the request's body is larger than {limit} bytes; send fewer or shorter documents"
        );
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            INVALID,
            "body_too_large",
            message,
        )
    }

    pub(super) fn media_type() -> Self {
        let message = "the request's body must be JSON; send it with the header Content-Type: application/json";
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            INVALID,
            "unsupported_media_type",
            message.to_owned(),
        )
    }

    pub(super) fn body_timeout(limit: Duration) -> Self {
        let message = format!("the request's body had not come within {limit:?}; send it faster");
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "timeout",
            "body_timeout",
            message,
        )
    }

    pub(super) fn into_answer(self) -> Response {
        let body = json!({
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }
        });
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds(wait)));
        }
        response
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        use StatusCode as S;
        let message = failure.to_string();
        let (status, kind, code) = match &failure {
            Failure::Invalid(field, _) => {
                let field = if *field == "passages" {
                    "documents"
                } else {
                    field
                };
                return Self::invalid(field, message);
            }
            Failure::Shed { reason, .. } => match reason {
                ShedReason::QueueFull => (S::TOO_MANY_REQUESTS, "overloaded", "queue_full"),
                ShedReason::ExpectedWait => (S::TOO_MANY_REQUESTS, "overloaded", "expected_wait"),
                ShedReason::ShuttingDown => {
                    (S::SERVICE_UNAVAILABLE, "server_error", "shutting_down")
                }
            },
            Failure::Timeout(_) => (S::GATEWAY_TIMEOUT, "timeout", "deadline_exceeded"),
            Failure::Tokenizer(_) | Failure::Model(_) | Failure::Panicked => {
                (S::INTERNAL_SERVER_ERROR, "server_error", "internal_error")
            }
        };
        let retry_after = match failure {
            Failure::Shed { retry_after, .. } => Some(retry_after),
            Failure::Invalid(..)
            | Failure::Timeout(_)
            | Failure::Tokenizer(_)
            | Failure::Model(_)
            | Failure::Panicked => None,
        };
        Self {
            retry_after,
            ..Self::new(status, kind, code, message)
        }
    }
}
