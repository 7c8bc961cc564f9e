//! One try's failure, and what follows from it.

use std::{error::Error, time::Duration};

use inferometer_catalog::orchestrator::ErrorType;
use reqwest::StatusCode;

use super::wire::ErrorBlock;
use crate::worker::WorkerError;

/// A try that failed.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) kind: ErrorType,
    pub(super) message: String,
    /// The same upstream may answer the same request if asked again.
    pub(super) again: bool,
    /// Another worker may answer it.
    pub(super) elsewhere: bool,
    /// How long the upstream wants to be left alone.
    pub(super) retry_after: Option<Duration>,
}

impl Failed {
    /// A failure that no other try can mend.
    pub(super) fn new(kind: ErrorType, message: String) -> Self {
        Self {
            kind,
            message,
            again: false,
            elsewhere: false,
            retry_after: None,
        }
    }

    /// This upstream's failure, worth another try here.
    pub(super) fn passing(kind: ErrorType, message: String) -> Self {
        Self {
            again: true,
            elsewhere: true,
            ..Self::new(kind, message)
        }
    }

    /// This upstream's failure, and it would fail again.
    pub(super) fn lasting(kind: ErrorType, message: String) -> Self {
        Self {
            elsewhere: true,
            ..Self::new(kind, message)
        }
    }

    /// Nobody waits for the answer any more.
    pub(super) fn departed() -> Self {
        Self::new(
            ErrorType::Other,
            "the client left before the upstream had answered".to_owned(),
        )
    }

    /// The upstream answered with an error status.
    pub(super) fn status(
        place: &str,
        status: StatusCode,
        block: Option<&ErrorBlock>,
        retry_after: Option<Duration>,
    ) -> Self {
        let label = block.and_then(ErrorBlock::label);
        let detail = label
            .as_deref()
            .map(|label| format!(" ({label})"))
            .unwrap_or_default();
        let code = status.as_u16();
        let mut failed = match code {
            401 | 403 => Self::lasting(
                ErrorType::Authentication,
                format!("{place} refused the key with status {code}{detail}; check OPENAI_API_KEY"),
            ),
            429 => Self::passing(
                ErrorType::RateLimited,
                format!(
                    "{place} said 429, too many requests{detail}; send fewer, or raise the limit there"
                ),
            ),
            400 | 413 | 422 => Self::new(
                ErrorType::InvalidRequest,
                format!(
                    "{place} refused the request with status {code}{detail}; the prompt may be too long for its model"
                ),
            ),
            404 => Self::lasting(
                ErrorType::UpstreamStatus,
                format!("{place} answered 404{detail}; check the base URL and the model's name"),
            ),
            408 | 409 | 425 | 500 | 502..=599 => Self::passing(
                ErrorType::UpstreamStatus,
                format!("{place} answered with status {code}{detail}; see the upstream's own log"),
            ),
            _ => Self::lasting(
                ErrorType::UpstreamStatus,
                format!(
                    "{place} answered with status {code}{detail}; check that it speaks the OpenAI API"
                ),
            ),
        };
        // An empty account answers 429 too, and waiting fills none.
        if matches!(
            label.as_deref(),
            Some("insufficient_quota" | "billing_hard_limit_reached")
        ) {
            failed.again = false;
        }
        failed.retry_after = retry_after;
        failed
    }

    /// No answer at all: no connection, or one that broke before the status line.
    pub(super) fn connection(place: &str, error: &reqwest::Error) -> Self {
        Self::passing(
            ErrorType::Connection,
            format!(
                "no connection to {place}: {}; check that it runs and the base URL is right",
                cause(error)
            ),
        )
    }

    pub(super) fn into_error(self, retries: u32) -> WorkerError {
        WorkerError {
            kind: self.kind,
            message: self.message,
            retryable: self.elsewhere,
            retries,
        }
    }
}

/// The innermost cause, which says what happened; the outer ones repeat the URL, query included.
pub(super) fn cause(error: &reqwest::Error) -> String {
    let mut innermost: Option<&dyn Error> = error.source();
    while let Some(inner) = innermost.and_then(Error::source) {
        innermost = Some(inner);
    }
    match innermost {
        Some(inner) => inner.to_string(),
        None if error.is_timeout() => "timed out".to_owned(),
        None => "the exchange broke off".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_their_kinds_and_only_passing_ones_are_tried_again() {
        let expect = [
            (401, ErrorType::Authentication, false, true),
            (403, ErrorType::Authentication, false, true),
            (429, ErrorType::RateLimited, true, true),
            (400, ErrorType::InvalidRequest, false, false),
            (404, ErrorType::UpstreamStatus, false, true),
            (301, ErrorType::UpstreamStatus, false, true),
            (500, ErrorType::UpstreamStatus, true, true),
            (501, ErrorType::UpstreamStatus, false, true),
            (503, ErrorType::UpstreamStatus, true, true),
        ];
        for (code, kind, again, elsewhere) in expect {
            let status = StatusCode::from_u16(code).expect("a status");
            let failed = Failed::status("http://h/v1", status, None, None);
            assert_eq!(
                (failed.kind, failed.again, failed.elsewhere),
                (kind, again, elsewhere),
                "{code}"
            );
            assert!(
                failed.message.contains("http://h/v1")
                    && failed.message.contains(&code.to_string()),
                "{code}"
            );
        }
    }

    #[test]
    fn an_empty_account_is_not_asked_again() {
        let block: ErrorBlock =
            serde_json::from_str(r#"{"code":"insufficient_quota"}"#).expect("a block");
        let failed = Failed::status(
            "http://h/v1",
            StatusCode::TOO_MANY_REQUESTS,
            Some(&block),
            None,
        );
        assert!(!failed.again && failed.elsewhere);
        assert!(failed.message.contains("insufficient_quota"));
    }
}
