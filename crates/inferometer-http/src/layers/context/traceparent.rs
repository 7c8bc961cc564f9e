//! W3C Trace Context, level 1.

use std::fmt;

use http::{HeaderMap, HeaderValue};
use inferometer::sample::http::TraceId;

use super::{TRACE_PARENT, ids};

/// The mark of a trace that is recorded.
const SAMPLED: u8 = 1;

/// A request's place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span of whoever asked; `None` where the trace begins here.
    pub parent_id: Option<u64>,
    /// The request's own span.
    pub span_id: u64,
    /// The flags; the lowest says that the trace is recorded.
    pub flags: u8,
}

impl TraceContext {
    /// The place that the headers say the caller has: `None` when there is no `traceparent`, more than one, or one that breaks a rule.
    ///
    /// Version 00 has nothing after its flags; a later one may, and is read as far as it is known. Version ff is none, nor are ids of
    /// nothing but 0, nor digits in upper case.
    pub(super) fn of(headers: &HeaderMap) -> Option<Caller> {
        let mut values = headers.get_all(&TRACE_PARENT).into_iter();
        let text = values.next()?.to_str().ok()?;
        if values.next().is_some() {
            return None;
        }
        let version = text.get(..2)?;
        let known = match (hex(version)?, text.as_bytes().get(55)) {
            (0xff, _) => false,
            (0, more) => more.is_none(),
            (_, more) => more.is_none_or(|more| *more == b'-'),
        };
        let dashes = [2, 35, 52]
            .iter()
            .all(|at| text.as_bytes().get(*at) == Some(&b'-'));
        if !known || !dashes {
            return None;
        }
        let flags = u8::try_from(hex(text.get(53..55)?)?).ok()?;
        Some(Caller {
            trace_id: TraceId::parse(text.get(3..35)?)?,
            span_id: hex(text.get(36..52)?).filter(|span| *span != 0)?,
            flags,
        })
    }

    /// A request that `caller` makes within its trace.
    pub(super) fn child(caller: Caller) -> Self {
        Self {
            trace_id: caller.trace_id,
            parent_id: Some(caller.span_id),
            span_id: span_id(),
            flags: caller.flags,
        }
    }

    /// A request that begins a trace.
    pub(super) fn begin() -> Self {
        let trace_id = loop {
            if let Some(id) = TraceId::from_number(ids::long_number()) {
                break id;
            }
        };
        Self {
            trace_id,
            parent_id: None,
            span_id: span_id(),
            flags: SAMPLED,
        }
    }

    /// Whether the trace is recorded.
    pub fn sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The `traceparent` of what this request asks of others, and of its answer.
    pub(super) fn header(&self) -> HeaderValue {
        // As `Display` writes it, and several times as fast: each request has one.
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        text[3..35].copy_from_slice(self.trace_id.as_str().as_bytes());
        text[36..52].copy_from_slice(&ids::digits::<16>(self.span_id.into()));
        text[53..].copy_from_slice(&ids::digits::<2>((self.flags & SAMPLED).into()));
        HeaderValue::from_bytes(&text).expect("digits and dashes fit a header")
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            trace_id,
            span_id,
            flags,
            ..
        } = self;
        // Of the flags, a version 00 knows this one.
        let flags = flags & SAMPLED;
        write!(f, "00-{trace_id}-{span_id:016x}-{flags:02x}")
    }
}

/// Whoever asked, and in which trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) trace_id: TraceId,
    pub(super) span_id: u64,
    pub(super) flags: u8,
}

/// The number that is written so, in lower-case hexadecimal digits alone.
fn hex(text: &str) -> Option<u64> {
    let digits = text
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    digits.then(|| u64::from_str_radix(text, 16).ok())?
}

fn span_id() -> u64 {
    loop {
        let id = ids::number();
        if id != 0 {
            return id;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const PARENT: &str = "00f067aa0ba902b7";

    fn read(values: &[&str]) -> Option<Caller> {
        let mut headers = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(TRACE_PARENT, value);
        }
        TraceContext::of(&headers)
    }

    #[test]
    fn a_well_formed_one_is_read() {
        for good in [
            format!("00-{TRACE}-{PARENT}-01"),
            format!("cc-{TRACE}-{PARENT}-01"),
            format!("cc-{TRACE}-{PARENT}-01-what-comes-later"),
        ] {
            let caller = read(&[&good]).expect(&good);
            assert_eq!(caller.trace_id.as_str(), TRACE);
            assert_eq!(caller.span_id, 0x00f0_67aa_0ba9_02b7);
            assert_eq!(caller.flags, 1);
            let child = TraceContext::child(caller);
            assert!(child.sampled());
            assert_eq!(child.parent_id, Some(caller.span_id));
            let written = child.header();
            assert_eq!(written.to_str().unwrap(), child.to_string());
            assert_eq!(
                read(&[written.to_str().unwrap()]).unwrap().trace_id,
                caller.trace_id
            );
        }
    }

    #[test]
    fn what_breaks_a_rule_is_none() {
        for bad in [
            String::new(),
            format!("00-{TRACE}-{PARENT}"),
            format!("00-{TRACE}-{PARENT}-"),
            format!("00-{TRACE}-{PARENT}-1"),
            format!("00-{TRACE}-{PARENT}-01-"),
            format!("00-{TRACE}-{PARENT}-01-more"),
            format!("cc-{TRACE}-{PARENT}-01more"),
            format!("ff-{TRACE}-{PARENT}-01"),
            format!("0-{TRACE}-{PARENT}-01"),
            format!("00-{}-{PARENT}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{}-01", PARENT.to_uppercase()),
            format!("0A-{TRACE}-{PARENT}-01"),
            format!("00-{}-{PARENT}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{TRACE}-{PARENT}-0g"),
            format!("00-{TRACE}-{PARENT}-+1"),
            format!("00-+{}-{PARENT}-01", &TRACE[1..]),
            format!("00_{TRACE}-{PARENT}-01"),
            format!("00-{}-{PARENT}-01", &TRACE[1..]),
            format!(" 00-{TRACE}-{PARENT}-01"),
            format!("00-{TRACE}-{PARENT}-01\u{e9}"),
        ] {
            assert_eq!(read(&[&bad]), None, "{bad}");
        }
        let good = format!("00-{TRACE}-{PARENT}-01");
        assert_eq!(read(&[&good, &good]), None, "two of them");
    }

    #[test]
    fn a_trace_that_begins_here_has_ids_of_its_own() {
        let (one, two) = (TraceContext::begin(), TraceContext::begin());
        assert_ne!(one.trace_id, two.trace_id);
        assert_ne!(one.span_id, two.span_id);
        assert_eq!(one.parent_id, None);
        assert!(read(&[&one.to_string()]).is_some());
    }
}
