//! What is said to who asks too often.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of an answer: the service's, or that one asks too often.
    #[derive(Debug)]
    pub struct LimitBody<B> {
        #[pin]
        served: Option<B>,
        refused: Option<Bytes>,
    }
}

impl<B> LimitBody<B> {
    pub(super) fn served(body: B) -> Self {
        Self {
            served: Some(body),
            refused: None,
        }
    }
}

impl<B: Body<Data = Bytes>> Body for LimitBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        match this.served.as_pin_mut() {
            Some(body) => body.poll_frame(cx),
            None => Poll::Ready(this.refused.take().map(|text| Ok(Frame::data(text)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.served {
            Some(body) => body.is_end_stream(),
            None => self.refused.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.served, &self.refused) {
            (Some(body), _) => body.size_hint(),
            (None, Some(text)) => SizeHint::with_exact(text.len() as u64),
            (None, None) => SizeHint::with_exact(0),
        }
    }
}

/// 429, when to come back, and the same as a problem.
pub(super) fn refusal<B>(wait: Duration) -> Response<LimitBody<B>> {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let seconds = seconds.max(1);
    let problem = serde_json::json!({
        "type": "about:blank",
        "title": "Too Many Requests",
        "status": StatusCode::TOO_MANY_REQUESTS.as_u16(),
        "detail": format!("you have asked more often than your quota allows; ask again in {seconds} s"),
    });
    let mut answer = Response::new(LimitBody {
        served: None,
        refused: Some(problem.to_string().into()),
    });
    *answer.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    let headers = answer.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    let kind = HeaderValue::from_static("application/problem+json");
    headers.insert(header::CONTENT_TYPE, kind);
    answer
}
