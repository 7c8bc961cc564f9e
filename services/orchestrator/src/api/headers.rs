//! The headers that the API reads and writes.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::Response,
};

use super::{ApiLimits, error::ApiError};

const SESSION: &str = "x-session-id";
const TIMEOUT: &str = "x-request-timeout";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACE: &str = "traceparent";
/// The longest session or request id.
const LONGEST_ID: usize = 128;

/// `value` if it can be an id: 1 to 128 visible ASCII characters.
fn id(value: &HeaderValue) -> Option<&str> {
    let text = value.to_str().ok()?;
    (1..=LONGEST_ID)
        .contains(&text.len())
        .then_some(text)
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()))
}

/// The conversation that the request belongs to.
pub(super) fn session(headers: &HeaderMap) -> Result<Option<Arc<str>>, ApiError> {
    let Some(value) = headers.get(SESSION) else {
        return Ok(None);
    };
    match id(value) {
        Some(session) => Ok(Some(session.into())),
        None => Err(ApiError::invalid(
            "X-Session-ID",
            "X-Session-ID must be 1 to 128 visible ASCII characters".to_owned(),
        )),
    }
}

/// How long the client waits.
pub(super) fn timeout(
    headers: &HeaderMap,
    limits: &ApiLimits,
) -> Result<Option<Duration>, ApiError> {
    let Some(value) = headers.get(TIMEOUT) else {
        return Ok(None);
    };
    let seconds = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse::<f64>().ok());
    let timeout = seconds
        .filter(|seconds| *seconds > 0.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    match timeout.filter(|timeout| !timeout.is_zero() && *timeout <= limits.max_timeout) {
        Some(timeout) => Ok(Some(timeout)),
        None => {
            let most = limits.max_timeout.as_secs_f64();
            let message =
                format!("X-Request-Timeout must be seconds, more than 0 and at most {most}");
            Err(ApiError::invalid("X-Request-Timeout", message))
        }
    }
}

/// The client's own id for the request, if it is well-formed.
pub(super) fn request_id(headers: &HeaderMap) -> Option<HeaderValue> {
    headers
        .get(REQUEST_ID)
        .filter(|value| id(value).is_some())
        .cloned()
}

/// An id for a request that was never admitted and came without one.
pub(super) fn made_id() -> HeaderValue {
    HeaderValue::try_from(format!("refused-{:016x}", random()))
        .expect("letters and digits fit a header")
}

/// A number that is different each time; not for secrets.
pub(super) fn random() -> u64 {
    // The standard library's map keys: random for each thread, and another pair on each call.
    RandomState::new().hash_one(0_u8)
}

/// The trace id of a well-formed W3C `traceparent`.
pub(super) fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(TRACE)?.to_str().ok()?;
    let hex = |text: &str| {
        text.bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let real = |text: &str| hex(text) && text.bytes().any(|byte| byte != b'0');
    let mut parts = text.splitn(5, '-');
    let (version, trace, parent, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let whole = version.len() == 2 && trace.len() == 32 && parent.len() == 16 && flags.len() == 2;
    // Later versions may add parts; this one may not.
    let known = version != "ff" && (version != "00" || parts.next().is_none());
    (whole && known && hex(version) && real(trace) && real(parent) && hex(flags)).then_some(trace)
}

/// Whether the body is said to be JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    value
        .split(';')
        .next()
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// Puts the request's id on an answer to a request with `asked` headers, where none was given.
pub(super) fn identified(mut response: Response, asked: &HeaderMap) -> Response {
    let id = request_id(asked).unwrap_or_else(made_id);
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// Puts the id `id` on an answer.
pub(super) fn put_request_id(response: &mut Response, id: HeaderValue) {
    response.headers_mut().insert(REQUEST_ID, id);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(
            name,
            HeaderValue::from_bytes(value.as_bytes()).expect("a header"),
        );
        headers
    }

    #[test]
    fn session_ids_are_visible_ascii_of_bounded_length() {
        let longest = "x".repeat(128);
        for good in ["a", "user-7/chat:3", longest.as_str()] {
            assert_eq!(
                session(&with(SESSION, good)).expect(good).as_deref(),
                Some(good)
            );
        }
        let too_long = "x".repeat(129);
        for bad in ["", "a b", "ü", too_long.as_str()] {
            let error = session(&with(SESSION, bad)).expect_err(bad);
            assert!(error.message.contains("X-Session-ID"));
        }
        assert!(session(&HeaderMap::new()).expect("none").is_none());
    }

    #[test]
    fn timeouts_are_positive_and_bounded() {
        let read = |value: &str| timeout(&with(TIMEOUT, value), &ApiLimits::default());
        assert_eq!(
            read("1.5").expect("good"),
            Some(Duration::from_millis(1500))
        );
        assert_eq!(read("600").expect("good"), Some(Duration::from_secs(600)));
        for bad in ["0", "-1", "NaN", "inf", "601", "soon", "1e-300", ""] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_well_formed_trace_parents_count() {
        const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
        let read = |value: &str| trace_id(&with(TRACE, value)).map(str::to_owned);
        assert_eq!(
            read(&format!("00-{TRACE_ID}-00f067aa0ba902b7-01")).as_deref(),
            Some(TRACE_ID)
        );
        assert_eq!(
            read(&format!("cc-{TRACE_ID}-00f067aa0ba902b7-01-later")).as_deref(),
            Some(TRACE_ID)
        );
        for bad in [
            String::new(),
            format!("00-{TRACE_ID}-00f067aa0ba902b7"),
            format!("00-{TRACE_ID}-00f067aa0ba902b7-01-more"),
            format!("ff-{TRACE_ID}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", TRACE_ID.to_uppercase()),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{TRACE_ID}-{}-01", "0".repeat(16)),
            format!("00-{}-00f067aa0ba902b7-01", &TRACE_ID[1..]),
        ] {
            assert_eq!(read(&bad), None, "{bad}");
        }
    }
}
