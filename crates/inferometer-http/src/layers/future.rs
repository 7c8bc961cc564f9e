//! The answer that is being made.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Method, Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;

use super::{
    body::ResponseBody,
    tally::{Ending, Tally, Witness},
};

pin_project! {
    /// An answer that is being made. Dropped before it is there, the client has left.
    #[derive(Debug)]
    pub struct ResponseFuture<F, W>
    where
        W: Witness,
    {
        #[pin]
        inner: F,
        // None once the answer is there: its body has it then.
        tally: Option<Tally<W>>,
        asked: Asked,
    }
}

/// What of a request's method decides whether its answer has a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Head,
    Connect,
    Else,
}

impl Asked {
    pub(super) fn by(method: &Method) -> Self {
        if method == Method::HEAD {
            Self::Head
        } else if method == Method::CONNECT {
            Self::Connect
        } else {
            Self::Else
        }
    }

    /// Whether nothing of the answer's body is ever sent.
    fn silences(self, status: StatusCode) -> bool {
        match self {
            Self::Head => true,
            Self::Connect if status.is_success() => true,
            Self::Connect | Self::Else => {
                status.is_informational()
                    || status == StatusCode::NO_CONTENT
                    || status == StatusCode::NOT_MODIFIED
            }
        }
    }
}

impl<F, W: Witness> ResponseFuture<F, W> {
    pub(super) fn new(inner: F, tally: Tally<W>, asked: Asked) -> Self {
        Self {
            inner,
            tally: Some(tally),
            asked,
        }
    }
}

impl<F, W, B, E> Future for ResponseFuture<F, W>
where
    F: Future<Output = Result<Response<B>, E>>,
    W: Witness,
    B: Body,
{
    type Output = Result<Response<ResponseBody<B, W>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let inner = this.inner;
        let tally = this
            .tally
            .as_mut()
            .expect("a future isn't polled after it was ready");
        let answer = ready!(tally.watch(|| inner.poll(cx)));
        let mut tally = this
            .tally
            .take()
            .expect("it was there for the poll just made");
        Poll::Ready(match answer {
            Ok(answer) => {
                let (parts, body) = answer.into_parts();
                tally.answered(parts.status, &parts.headers);
                let silent = this.asked.silences(parts.status);
                let body = ResponseBody::new(body, tally, &parts.headers, silent);
                Ok(Response::from_parts(parts, body))
            }
            Err(error) => {
                tally.end(Ending::Failed);
                Err(error)
            }
        })
    }
}
