//! Refusals: why, with which status, and the JSON that says so (RFC 9457).

use std::{borrow::Cow, time::Duration};

use http::{HeaderValue, Response, StatusCode, header};
use inferometer::LabelValue;
use serde_json::json;

/// Why a request or a connection was turned away: the label `reason` of `inferometer_http_refusals_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
pub enum Refusal {
    /// 401: the route takes a key, and none came.
    MissingKey,
    /// 401: the key is not one of ours.
    WrongKey,
    /// 429: the key is not one of ours, and this client has tried too many of those.
    Slowed,
    /// 403: the key has not the scope that the route takes.
    Scope,
    /// 404: no such route, or it is switched off.
    UnknownRoute,
    /// 405: the route is for GET and HEAD.
    Method,
    /// 413: no route takes a body.
    Body,
    /// 414: the request's target is too long.
    UriTooLong,
    /// 431: the request's head is too large, or has too many fields.
    HeadTooLarge,
    /// 400: what came is not HTTP.
    Malformed,
    /// 400: what came to a TLS port is not TLS.
    NotTls,
    /// 408: the request's head was not whole in time.
    HeadTimeout,
    /// 503: too many requests are in flight.
    Busy,
    /// 503: the answer was not there in time.
    AnswerTimeout,
    /// 500: the code that makes the answer panicked.
    Failed,
    /// Closed: no byte came in time.
    Silent,
    /// Closed: the TLS handshake failed, or was not done in time.
    Handshake,
    /// Closed: the client took nothing of its answer for too long.
    SlowReader,
    /// Closed: request and answer together took too long.
    RequestTimeout,
    /// Closed: the connection that had gone longest without progress made room for a new one.
    Displaced,
    /// Closed: a slow reader held an old page, and there were too many pages in memory.
    PageHeld,
    /// Closed: HTTP/2 frames that break the protocol, or streams opened and reset too fast.
    Protocol,
}

impl Refusal {
    /// The status of its answer; `None` where the connection is closed without one.
    pub fn status(self) -> Option<StatusCode> {
        Some(match self {
            Self::MissingKey | Self::WrongKey => StatusCode::UNAUTHORIZED,
            Self::Slowed => StatusCode::TOO_MANY_REQUESTS,
            Self::Scope => StatusCode::FORBIDDEN,
            Self::UnknownRoute => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Body => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Malformed | Self::NotTls => StatusCode::BAD_REQUEST,
            Self::HeadTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Busy | Self::AnswerTimeout => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Silent
            | Self::Handshake
            | Self::SlowReader
            | Self::RequestTimeout
            | Self::Displaced
            | Self::PageHeld
            | Self::Protocol => return None,
        })
    }

    /// The label's value.
    pub fn reason(self) -> &'static str {
        let reason = Self::VALUES.and_then(|reasons| reasons.get(self.index()));
        reason.copied().unwrap_or_default()
    }
}

/// A refusal that is answered.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) refusal: Refusal,
    detail: Cow<'static, str>,
    retry_after: Option<Duration>,
}

impl Problem {
    /// Says what was wrong and what to do about it. `detail` never has a key in it, nor any other text of the client's.
    pub(crate) fn new(refusal: Refusal, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            refusal,
            detail: detail.into(),
            retry_after: None,
        }
    }

    pub(crate) fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    fn status(&self) -> StatusCode {
        let closed = StatusCode::INTERNAL_SERVER_ERROR;
        self.refusal.status().unwrap_or(closed)
    }

    fn body(&self) -> String {
        let status = self.status();
        let body = json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": self.detail,
            "reason": self.refusal.reason(),
        });
        format!("{body}\n")
    }

    fn headers(&self) -> impl Iterator<Item = (header::HeaderName, HeaderValue)> {
        let fixed = |text| HeaderValue::from_static(text);
        let challenge = (self.status() == StatusCode::UNAUTHORIZED).then(|| {
            (
                header::WWW_AUTHENTICATE,
                fixed("Bearer realm=\"inferometer\""),
            )
        });
        let allow = (self.refusal == Refusal::Method).then(|| (header::ALLOW, fixed("GET, HEAD")));
        let retry = self.retry_after.map(|wait| {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            (header::RETRY_AFTER, HeaderValue::from(seconds))
        });
        [
            (header::CONTENT_TYPE, fixed("application/problem+json")),
            (header::CACHE_CONTROL, fixed("no-store")),
            (header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff")),
        ]
        .into_iter()
        .chain(challenge)
        .chain(allow)
        .chain(retry)
    }

    /// The answer.
    pub(crate) fn response(&self) -> Response<String> {
        let mut response = Response::new(self.body());
        *response.status_mut() = self.status();
        response.headers_mut().extend(self.headers());
        response
    }

    /// The answer as it stands on the wire of an HTTP/1 connection that is closed after it.
    pub(crate) fn on_the_wire(&self) -> Vec<u8> {
        let (status, body) = (self.status(), self.body());
        let mut wire = format!("HTTP/1.1 {status}\r\nconnection: close\r\n").into_bytes();
        for (name, value) in self.headers() {
            wire.extend_from_slice(name.as_str().as_bytes());
            wire.extend_from_slice(b": ");
            wire.extend_from_slice(value.as_bytes());
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        wire.extend_from_slice(body.as_bytes());
        wire
    }
}
