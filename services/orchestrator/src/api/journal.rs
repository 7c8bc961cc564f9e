//! One log line for each finished request.

use std::time::Instant;

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use tracing::{Span, field};

use super::{error::ApiError, headers};
use crate::pipeline::Finished;

/// A request's span and what its log line will say. The line is written when this is dropped: a request that nothing was
/// settled about by then was left by its client.
#[derive(Debug)]
pub(super) struct Journal {
    span: Span,
    arrived: Instant,
    status: Option<StatusCode>,
    outcome: &'static str,
    prompt_tokens: u64,
    generated_tokens: u64,
}

impl Journal {
    /// Opens the span of a request with these headers.
    pub(super) fn open(asked: &HeaderMap, id: Option<&HeaderValue>) -> Self {
        let id = id.and_then(|id| id.to_str().ok());
        let span = tracing::info_span!(
            "request",
            request_id = id,
            trace_id = headers::trace_id(asked)
        );
        Self {
            span,
            arrived: Instant::now(),
            status: None,
            outcome: "cancelled",
            prompt_tokens: 0,
            generated_tokens: 0,
        }
    }

    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    /// Names a request whose client did not.
    pub(super) fn name(&self, id: &str) {
        self.span.record("request_id", field::display(id));
    }

    /// The status is on its way; the outcome is open yet.
    pub(super) fn began(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    pub(super) fn failed(&mut self, error: &ApiError) {
        // A stream that has begun keeps the status that it was sent with.
        self.status.get_or_insert(error.status);
        self.outcome = error.outcome;
    }

    pub(super) fn finished(&mut self, finished: &Finished) {
        self.status.get_or_insert(StatusCode::OK);
        self.outcome = "ok";
        self.prompt_tokens = finished.prompt_tokens;
        self.generated_tokens = finished.generated_tokens;
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        tracing::info!(
            parent: &self.span,
            status = self.status.map(|status| status.as_u16()),
            outcome = self.outcome,
            seconds = self.arrived.elapsed().as_secs_f64(),
            prompt_tokens = self.prompt_tokens,
            generated_tokens = self.generated_tokens,
            "request finished"
        );
    }
}
