//! An answer as server-sent events.

use std::{convert::Infallible, mem, time::SystemTime};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use futures_util::{FutureExt, stream::unfold};

use super::{
    Events,
    completions::Started,
    error::ApiError,
    journal::Journal,
    response::{Heading, Part, unix_time},
};
use crate::pipeline::Event;

/// Events that are ready together travel together, up to about this many bytes.
const FRAME: usize = 16 << 10;

/// The stream's state. Dropping it, as the server does when the client has left, drops the answer, which cancels the request.
struct Stream<A> {
    started: Started<A>,
    created: u64,
    journal: Journal,
    frame: Vec<u8>,
    over: bool,
}

/// The answer to a client: `first`, then what `started` brings.
pub(super) fn response<A: Events>(
    first: Event,
    started: Started<A>,
    mut journal: Journal,
) -> Response {
    journal.began(StatusCode::OK);
    let created = unix_time(SystemTime::now());
    let mut stream = Stream {
        started,
        created,
        journal,
        frame: Vec::with_capacity(512),
        over: false,
    };
    stream.write(Part::Begin);
    stream.take(Some(first));
    let body = Body::from_stream(unfold(stream, |mut stream| async {
        let frame = stream.next_frame().await?;
        Some((Ok::<_, Infallible>(frame), stream))
    }));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream; charset=utf-8"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies of the nginx kind hold back a stream until a buffer is full, unless told.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

impl<A: Events> Stream<A> {
    /// The next bytes; `None` when all were handed out.
    async fn next_frame(&mut self) -> Option<Bytes> {
        if self.frame.is_empty() {
            if self.over {
                return None;
            }
            let event = self.started.answer.next().await;
            self.take(event);
        }
        while !self.over && self.frame.len() < FRAME {
            let Some(event) = self.started.answer.next().now_or_never() else {
                break;
            };
            self.take(event);
        }
        Some(mem::take(&mut self.frame).into())
    }

    fn take(&mut self, event: Option<Event>) {
        match event {
            Some(Event::Text(text)) => self.write(Part::Text(&text)),
            Some(Event::Done(finished)) => {
                self.write(Part::End(finished.finish));
                if self.started.include_usage {
                    self.write(Part::Usage(&finished));
                }
                self.frame.extend_from_slice(b"data: [DONE]\n\n");
                self.journal.finished(&finished);
                self.over = true;
            }
            Some(Event::Failed(failure)) => self.fail(&failure.into()),
            None => self.fail(&ApiError::broken_off()),
        }
    }

    fn fail(&mut self, error: &ApiError) {
        self.frame.extend_from_slice(b"data: ");
        self.frame.extend_from_slice(&error.to_json());
        self.frame.extend_from_slice(b"\n\n");
        self.journal.failed(error);
        self.over = true;
    }

    fn write(&mut self, part: Part<'_>) {
        let heading = Heading {
            id: self.started.answer.id(),
            created: self.created,
            model: &self.started.model,
        };
        heading.event(part, self.started.include_usage, &mut self.frame);
    }
}
