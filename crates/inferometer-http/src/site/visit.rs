//! A request from its arrival to the last byte of its answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderValue, header};
use http_body_util::Full;
use inferometer::InFlight;

use crate::{crowd::Answering, own::HttpMetrics, page::Page};

use super::{Answer, Content, Reply};

/// Ends when it is dropped, wherever that happens: in an answer's last byte, in a handler that was given up, in a connection
/// that broke.
#[derive(Debug)]
pub(crate) struct Visit {
    started: Instant,
    metrics: HttpMetrics,
    scrape: bool,
    /// The connection, where the server has one of its own to look after.
    answering: Option<Answering>,
    _in_flight: InFlight,
}

impl Visit {
    pub(crate) fn begin(metrics: &HttpMetrics, answering: Option<Answering>) -> Self {
        Self {
            started: Instant::now(),
            _in_flight: metrics.requests_in_flight.enter(),
            metrics: metrics.clone(),
            scrape: false,
            answering,
        }
    }

    /// It is a scrape, whose duration counts.
    pub(super) fn scrape(&mut self) {
        self.scrape = true;
    }

    pub(super) fn with(self, reply: Reply) -> Answer {
        let mut answer = Answer::new(Full::new(Bytes::from_owner(Lease::new(
            self,
            reply.content,
        ))));
        *answer.status_mut() = reply.status;
        *answer.headers_mut() = reply.headers;
        answer
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer.headers_mut().insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        answer
    }

    pub(super) fn refused(self, answer: http::Response<String>) -> Answer {
        answer.map(|body| {
            let content = Content::Bytes(body.into());
            Full::new(Bytes::from_owner(Lease::new(self, content)))
        })
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if self.scrape {
            self.metrics
                .scrape_duration
                .observe_duration(self.started.elapsed());
        }
    }
}

/// The bytes of an answer, for as long as they are needed, and the visit that ends with them.
pub(crate) struct Lease {
    content: Content,
    reader: u64,
    _visit: Visit,
}

impl Lease {
    fn new(visit: Visit, content: Content) -> Self {
        static READERS: AtomicU64 = AtomicU64::new(0);
        let reader = READERS.fetch_add(1, Relaxed);
        if let (Content::Page(page), Some(answering)) = (&content, &visit.answering) {
            page.taken_by(reader, Arc::clone(answering.seat()));
        }
        Self {
            content,
            reader,
            _visit: visit,
        }
    }
}

impl AsRef<[u8]> for Lease {
    fn as_ref(&self) -> &[u8] {
        match &self.content {
            Content::Page(page) => page.bytes(),
            Content::Bytes(bytes) => bytes,
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Content::Page(page) = &self.content {
            Page::left_by(page, self.reader);
        }
    }
}
