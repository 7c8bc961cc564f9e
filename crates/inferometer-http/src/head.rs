//! Whether the head of an HTTP/1 request is whole, and whether it may be let in.

use crate::{
    options::Limits,
    problem::{Problem, Refusal},
};

/// What HTTP/2 begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the bytes at hand are.
#[derive(Debug)]
pub(crate) enum Head {
    /// The start of something.
    Partial,
    /// HTTP/2 begins.
    Two,
    /// A head of so many bytes.
    Whole(usize),
    /// Nothing that may go on.
    Refused(Problem),
}

/// Looks at the first bytes of a request. `seen` of them were looked at before.
pub(crate) fn read(bytes: &[u8], seen: usize, limits: &Limits) -> Head {
    let common = bytes.len().min(PREFACE.len());
    if bytes[..common] == PREFACE[..common] {
        return if common == PREFACE.len() {
            Head::Two
        } else {
            Head::Partial
        };
    }
    match end(bytes, seen) {
        Some(length) if length <= limits.head_bytes => parse(bytes, limits),
        None if bytes.len() <= limits.head_bytes => {
            // An endless target must not wait for the head's end.
            match target_fits(bytes, limits) {
                true => Head::Partial,
                false => Head::Refused(uri_too_long(limits)),
            }
        }
        _ if !target_fits(bytes, limits) => Head::Refused(uri_too_long(limits)),
        _ => Head::Refused(head_too_large(limits)),
    }
}

/// Where the head ends: after an empty line.
fn end(bytes: &[u8], seen: usize) -> Option<usize> {
    let from = seen.saturating_sub(3);
    let breaks = bytes.iter().enumerate().skip(from);
    let mut breaks = breaks.filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
    // Empty lines before a request are passed over, as RFC 9112 has it.
    let start = bytes.iter().position(|byte| !b"\r\n".contains(byte))?;
    breaks.find_map(|at| match &bytes[at + 1..] {
        _ if at < start => None,
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// Whether the target between the first line's spaces is short enough.
fn target_fits(bytes: &[u8], limits: &Limits) -> bool {
    let line = bytes
        .split(|byte| *byte == b'\n')
        .find(|line| !line.trim_ascii().is_empty());
    let target = line.and_then(|line| line.split(|byte| *byte == b' ').nth(1));
    target.is_none_or(|target| target.len() <= limits.uri_bytes)
}

fn parse(bytes: &[u8], limits: &Limits) -> Head {
    let mut fields = [httparse::EMPTY_HEADER; 100];
    let fields = &mut fields[..limits.head_fields.min(100)];
    let mut request = httparse::Request::new(fields);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Err(httparse::Error::TooManyHeaders) => return Head::Refused(head_too_large(limits)),
        Err(_) if !target_fits(bytes, limits) => return Head::Refused(uri_too_long(limits)),
        Ok(httparse::Status::Partial) | Err(_) => {
            return refused(
                "the request's head isn't HTTP/1.1: send a method, a path and header fields as RFC 9112 has them",
            );
        }
    };
    let target = request.path.unwrap_or_default();
    if target.len() > limits.uri_bytes {
        return Head::Refused(uri_too_long(limits));
    }
    if target.parse::<http::Uri>().is_err() {
        return refused("the request's target isn't a URI: escape what isn't ASCII with %");
    }
    let has = |name: &str| {
        let mut fields = request.headers.iter();
        fields.find(|field| field.name.eq_ignore_ascii_case(name))
    };
    if request.version == Some(1) && has("host").is_none() {
        return refused("HTTP/1.1 takes a Host field, and there is none");
    }
    let empty = has("content-length").is_none_or(|field| field.value == b"0");
    if !empty || has("transfer-encoding").is_some() {
        return Head::Refused(body());
    }
    Head::Whole(length)
}

fn refused(detail: &'static str) -> Head {
    Head::Refused(Problem::new(Refusal::Malformed, detail))
}

pub(crate) fn body() -> Problem {
    let detail =
        "no route here takes a body: send none, and neither Content-Length nor Transfer-Encoding";
    Problem::new(Refusal::Body, detail)
}

pub(crate) fn uri_too_long(limits: &Limits) -> Problem {
    let detail = format!(
        "the request's target has more than {} bytes",
        limits.uri_bytes
    );
    Problem::new(Refusal::UriTooLong, detail)
}

pub(crate) fn head_too_large(limits: &Limits) -> Problem {
    let detail = format!(
        "the request's head has more than {} bytes or {} fields",
        limits.head_bytes, limits.head_fields
    );
    Problem::new(Refusal::HeadTooLarge, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            head_bytes: 1024,
            uri_bytes: 64,
            head_fields: 8,
            ..Limits::default()
        }
    }

    fn refusal(head: &Head) -> Option<Refusal> {
        match head {
            Head::Refused(problem) => Some(problem.refusal),
            _ => None,
        }
    }

    #[test]
    fn head_is_whole_at_its_empty_line_however_it_arrives() {
        let text = b"\r\nGET /metrics HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\nGET / HTTP";
        let whole = text.len() - "GET / HTTP".len();
        for step in [1, 2, 3, 7, text.len()] {
            let mut seen = 0;
            let mut found = None;
            for end in (step..=text.len()).step_by(step) {
                match read(&text[..end], seen, &limits()) {
                    Head::Partial => seen = end,
                    Head::Whole(length) => {
                        found = Some(length);
                        break;
                    }
                    other => panic!("{other:?} at {end}"),
                }
            }
            assert_eq!(found, Some(whole), "in steps of {step}");
        }
        assert!(matches!(
            read(b"GET / HTTP/1.0\n\n", 0, &limits()),
            Head::Whole(16)
        ));
    }

    #[test]
    fn preface_is_told_from_a_head() {
        assert!(matches!(read(&PREFACE[..10], 0, &limits()), Head::Partial));
        assert!(matches!(read(PREFACE, 10, &limits()), Head::Two));
        let more = [PREFACE, b"frames"].concat();
        assert!(matches!(read(&more, 0, &limits()), Head::Two));
    }

    #[test]
    fn what_is_too_large_is_refused_whole_or_not() {
        let long = "x".repeat(2000);
        let fields = "a: b\r\n".repeat(9);
        for (text, reason) in [
            (format!("GET /{long}"), Refusal::UriTooLong),
            (
                format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", &long[..64]),
                Refusal::UriTooLong,
            ),
            (
                format!("GET / HTTP/1.1\r\nHost: {long}"),
                Refusal::HeadTooLarge,
            ),
            (
                format!("GET / HTTP/1.1\r\nHost: {long}\r\n\r\n"),
                Refusal::HeadTooLarge,
            ),
            (
                format!("GET / HTTP/1.1\r\n{fields}\r\n"),
                Refusal::HeadTooLarge,
            ),
        ] {
            let head = read(text.as_bytes(), 0, &limits());
            assert_eq!(refusal(&head), Some(reason), "{text:.40}");
        }
    }

    #[test]
    fn what_is_not_http_is_refused() {
        for text in [
            &b"\xff\xfe\r\n\r\n"[..],
            b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/9\r\nHost: a\r\n\r\n",
            b"GET /\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost\r\n\r\n",
        ] {
            let head = read(text, 0, &limits());
            assert_eq!(
                refusal(&head),
                Some(Refusal::Malformed),
                "{text:?} {head:?}"
            );
        }
    }

    #[test]
    fn body_is_refused_before_it_comes() {
        for field in [
            "Content-Length: 5",
            "Transfer-Encoding: chunked",
            "content-length: 0, 5",
        ] {
            let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
            assert_eq!(
                refusal(&read(text.as_bytes(), 0, &limits())),
                Some(Refusal::Body)
            );
        }
    }
}
