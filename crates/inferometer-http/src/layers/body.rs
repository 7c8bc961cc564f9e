//! Bodies that are counted as they pass.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, ready},
};

use bytes::Buf as _;
use http::{HeaderMap, header};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::tally::{Ending, Read, Tally, Witness};

pin_project! {
    /// The body of a request, its bytes counted as the service reads them.
    #[derive(Debug)]
    pub struct RequestBody<B> {
        #[pin]
        inner: B,
        read: Option<Read>,
    }
}

impl<B: Body> RequestBody<B> {
    /// The body, and where its bytes are counted if it can have any.
    pub(super) fn new(inner: B) -> (Self, Option<Read>) {
        let read = (!inner.is_end_stream()).then(|| Read::new(0.into()));
        let counted = read.as_ref().map(Arc::clone);
        (Self { inner, read }, counted)
    }
}

impl<B: Body> Body for RequestBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(cx));
        if let (Some(read), Some(Ok(frame))) = (this.read, &frame)
            && let Some(data) = frame.data_ref()
        {
            read.fetch_add(data.remaining() as u64, Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

pin_project! {
    /// The body of an answer. The exchange ends with it: with its last byte, its error, or its being dropped before that.
    #[derive(Debug)]
    pub struct ResponseBody<B, W>
    where
        W: Witness,
    {
        #[pin]
        inner: B,
        tally: Tally<W>,
        // How many bytes it has, where that is known: a server that has them all asks for no more.
        whole: Option<u64>,
    }
}

impl<B: Body, W: Witness> ResponseBody<B, W> {
    /// `silent` bodies are never asked for: those of answers to `HEAD`, for one.
    pub(super) fn new(inner: B, mut tally: Tally<W>, headers: &HeaderMap, silent: bool) -> Self {
        if silent || inner.is_end_stream() {
            tally.end(Ending::Complete);
        }
        let whole = inner.size_hint().exact().or_else(|| {
            let length = headers.get(header::CONTENT_LENGTH)?;
            length.to_str().ok()?.parse().ok()
        });
        Self {
            inner,
            tally,
            whole,
        }
    }
}

impl<B: Body, W: Witness> Body for ResponseBody<B, W> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        let tally = this.tally;
        let inner = this.inner.as_mut();
        let frame = ready!(tally.watch(|| inner.poll_frame(cx)));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    tally.sent(data.remaining());
                    let sent_all = this
                        .whole
                        .is_some_and(|whole| tally.response_bytes() >= whole);
                    if sent_all || this.inner.is_end_stream() {
                        tally.end_with_last_piece();
                    }
                } else if let Some(trailers) = frame.trailers_ref() {
                    tally.trailers(trailers);
                    tally.end(Ending::Complete);
                }
            }
            Some(Err(_)) => tally.end(Ending::Failed),
            None => tally.end(Ending::Complete),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
