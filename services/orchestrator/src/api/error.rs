//! Errors in the OpenAI shape.

use std::{borrow::Cow, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use inferometer_catalog::orchestrator::ErrorType;
use serde::Serialize;

use crate::pipeline::{Failure, FailureReason};

/// A request that gets an error.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    kind: &'static str,
    code: &'static str,
    param: Option<Cow<'static, str>>,
    pub(super) message: String,
    retry_after: Option<Duration>,
    /// What the logs call it.
    pub(super) outcome: &'static str,
}

#[derive(Serialize)]
struct Shape<'a> {
    error: Inner<'a>,
}

#[derive(Serialize)]
struct Inner<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a str>,
    code: &'a str,
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
            outcome: "rejected",
        }
    }

    fn about(self, param: impl Into<Cow<'static, str>>) -> Self {
        Self {
            param: Some(param.into()),
            ..self
        }
    }

    /// The body is no JSON.
    pub(super) fn invalid_json(message: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, INVALID, "invalid_json", message)
    }

    /// A field breaks a rule.
    pub(super) fn invalid(param: impl Into<Cow<'static, str>>, message: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, INVALID, "invalid_value", message).about(param)
    }

    /// A field asks for what this server has not.
    pub(super) fn unsupported(param: impl Into<Cow<'static, str>>, message: String) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            INVALID,
            "unsupported_value",
            message,
        )
        .about(param)
    }

    pub(super) fn unknown_model(message: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, INVALID, "model_not_found", message).about("model")
    }

    pub(super) fn unknown_url(message: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, INVALID, "unknown_url", message)
    }

    pub(super) fn wrong_method(message: String) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            INVALID,
            "method_not_allowed",
            message,
        )
    }

    pub(super) fn body_too_large(limit: usize) -> Self {
        let message = format!(
            "the request's body is larger than {limit} bytes; send fewer or shorter messages"
        );
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            INVALID,
            "body_too_large",
            message,
        )
    }

    pub(super) fn media_type() -> Self {
        let message = "the request's body must be JSON; send it with the header Content-Type: application/json".to_owned();
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            INVALID,
            "unsupported_media_type",
            message,
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

    /// The event stream ended without its last event.
    pub(super) fn broken_off() -> Self {
        let message = "the request was broken off inside the service; its log says why".to_owned();
        Self {
            outcome: "error",
            ..Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "server_error",
                "internal_error",
                message,
            )
        }
    }

    /// Its body.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let shape = Shape {
            error: Inner {
                message: &self.message,
                kind: self.kind,
                param: self.param.as_deref(),
                code: self.code,
            },
        };
        serde_json::to_vec(&shape).expect("strings always have a JSON form")
    }

    pub(super) fn into_answer(self) -> Response {
        let mut response = Response::new(Body::from(self.to_json()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        use ErrorType as E;
        use StatusCode as S;
        let (status, kind, code, outcome) = match failure.reason {
            FailureReason::Shed { .. } => {
                (S::TOO_MANY_REQUESTS, "overloaded", "queue_full", "shed")
            }
            FailureReason::Timeout | FailureReason::Worker(E::Timeout) => (
                S::GATEWAY_TIMEOUT,
                "timeout",
                "deadline_exceeded",
                "timeout",
            ),
            FailureReason::Invalid | FailureReason::Worker(E::InvalidRequest) => {
                (S::BAD_REQUEST, INVALID, "invalid_value", "rejected")
            }
            FailureReason::UnknownModel => (S::NOT_FOUND, INVALID, "model_not_found", "rejected"),
            FailureReason::ShuttingDown => (
                S::SERVICE_UNAVAILABLE,
                "server_error",
                "shutting_down",
                "shed",
            ),
            FailureReason::Worker(E::Connection) => (
                S::BAD_GATEWAY,
                "upstream_error",
                "connection_failed",
                "error",
            ),
            FailureReason::Worker(E::Authentication) => (
                S::BAD_GATEWAY,
                "upstream_error",
                "upstream_authentication",
                "error",
            ),
            FailureReason::Worker(E::RateLimited) => (
                S::BAD_GATEWAY,
                "upstream_error",
                "upstream_rate_limited",
                "error",
            ),
            FailureReason::Worker(E::UpstreamStatus) => {
                (S::BAD_GATEWAY, "upstream_error", "upstream_status", "error")
            }
            FailureReason::Worker(E::BadResponse) => {
                (S::BAD_GATEWAY, "upstream_error", "bad_response", "error")
            }
            FailureReason::Worker(E::StreamClosed) => {
                (S::BAD_GATEWAY, "upstream_error", "stream_closed", "error")
            }
            FailureReason::Worker(_) => (
                S::INTERNAL_SERVER_ERROR,
                "server_error",
                "internal_error",
                "error",
            ),
        };
        let retry_after = match failure.reason {
            FailureReason::Shed { retry_after, .. } => Some(retry_after),
            FailureReason::ShuttingDown => Some(Duration::from_secs(1)),
            FailureReason::Timeout
            | FailureReason::Invalid
            | FailureReason::UnknownModel
            | FailureReason::Worker(_) => None,
        };
        let param =
            matches!(failure.reason, FailureReason::UnknownModel).then_some(Cow::Borrowed("model"));
        Self {
            status,
            kind,
            code,
            param,
            message: failure.message,
            retry_after,
            outcome,
        }
    }
}
