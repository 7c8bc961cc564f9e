//! Bodies that are made within their request's span.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tracing::Span;

pin_project! {
    /// The body of an answer: what its making logs is within the request's span.
    #[derive(Debug)]
    pub struct SpannedBody<B> {
        #[pin]
        inner: B,
        span: Span,
    }
}

impl<B> SpannedBody<B> {
    pub(super) fn new(inner: B, span: Span) -> Self {
        Self { inner, span }
    }
}

impl<B: Body> Body for SpannedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let _entered = this.span.enter();
        this.inner.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
