//! `POST /v1/chat/completions`.

use std::{sync::Arc, time::SystemTime};

use axum::{
    body::{Body, Bytes},
    extract::{
        DefaultBodyLimit, FromRequest, Request, State,
        rejection::{BytesRejection, FailedToBufferBody},
    },
    http::{HeaderValue, header},
    response::Response,
};
use tokio::time::timeout;
use tracing::Instrument;

use super::{
    Api, Events, Prompts,
    error::ApiError,
    headers,
    journal::Journal,
    request::ChatRequest,
    response::{Heading, unix_time},
    stream,
};
use crate::pipeline::{Event, PromptRequest};

pub(super) async fn create<P: Prompts>(
    State(api): State<Arc<Api<P>>>,
    request: Request,
) -> Response {
    let mut id = headers::request_id(request.headers());
    let mut journal = Journal::open(request.headers(), id.as_ref());
    let span = journal.span().clone();
    let answer = match serve(&api, request, &mut id, &mut journal)
        .instrument(span)
        .await
    {
        Ok(Ready::Whole(response)) => Ok(response),
        Ok(Ready::Stream(first, started)) => Ok(stream::response(first, started, journal)),
        Err(error) => {
            if id.is_none() {
                let made = headers::made_id();
                journal.name(made.to_str().unwrap_or_default());
                id = Some(made);
            }
            journal.failed(&error);
            Err(error)
        }
    };
    let mut response = answer.unwrap_or_else(ApiError::into_answer);
    headers::put_request_id(&mut response, id.unwrap_or_else(headers::made_id));
    response
}

/// What the first events gave.
enum Ready<A> {
    /// The whole answer.
    Whole(Response),
    /// A stream's first event, and what comes after.
    Stream(Event, Started<A>),
}

/// An answer under way.
pub(super) struct Started<A> {
    pub(super) answer: A,
    /// The model that answers.
    pub(super) model: Arc<str>,
    pub(super) include_usage: bool,
}

async fn serve<P: Prompts>(
    api: &Api<P>,
    request: Request,
    id: &mut Option<HeaderValue>,
    journal: &mut Journal,
) -> Result<Ready<P::Answer>, ApiError> {
    let (ask, options) = read(api, request)
        .await
        .inspect_err(|_| api.prompts.refuse())?;
    let asked = ask.model.clone();
    let mut answer = api.prompts.submit(ask)?;
    if id.is_none() {
        journal.name(answer.id());
        *id = HeaderValue::from_str(answer.id()).ok();
    }
    if options.stream {
        return match answer.next().await {
            Some(Event::Failed(failure)) => Err(failure.into()),
            None => Err(ApiError::broken_off()),
            Some(first) => Ok(Ready::Stream(
                first,
                Started {
                    model: model(&answer, asked),
                    answer,
                    include_usage: options.include_usage,
                },
            )),
        };
    }
    let mut text = String::new();
    loop {
        match answer.next().await {
            Some(Event::Text(piece)) if text.is_empty() => text = piece,
            Some(Event::Text(piece)) => text.push_str(&piece),
            Some(Event::Done(finished)) => {
                journal.finished(&finished);
                let heading = Heading {
                    id: answer.id(),
                    created: unix_time(SystemTime::now()),
                    model: &model(&answer, asked),
                };
                let mut response = Response::new(Body::from(heading.completion(&text, &finished)));
                response.headers_mut().insert(
                    header::CONTENT_TYPE,
                    HeaderValue::from_static("application/json"),
                );
                return Ok(Ready::Whole(response));
            }
            Some(Event::Failed(failure)) => return Err(failure.into()),
            None => return Err(ApiError::broken_off()),
        }
    }
}

/// The model that answered, or else the one that was asked for.
fn model(answer: &impl Events, asked: Option<Arc<str>>) -> Arc<str> {
    answer.model().or(asked).unwrap_or_else(|| "default".into())
}

/// How the answer is to come.
struct Options {
    stream: bool,
    include_usage: bool,
}

async fn read<P>(api: &Api<P>, mut request: Request) -> Result<(PromptRequest, Options), ApiError> {
    let limits = &api.limits;
    if !headers::is_json(request.headers()) {
        return Err(ApiError::media_type());
    }
    let session = headers::session(request.headers())?;
    let wait = headers::timeout(request.headers(), limits)?;
    DefaultBodyLimit::max(limits.body_bytes).apply(&mut request);
    let body = match timeout(limits.body_timeout, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => body,
        Ok(Err(BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)))) => {
            return Err(ApiError::body_too_large(limits.body_bytes));
        }
        Ok(Err(rejection)) => {
            return Err(ApiError::invalid_json(format!(
                "the body broke off: {rejection}"
            )));
        }
        Err(_) => return Err(ApiError::body_timeout(limits.body_timeout)),
    };
    let chat = ChatRequest::read(&body, limits)?;
    let options = Options {
        stream: chat.stream,
        include_usage: chat.include_usage,
    };
    let ask = PromptRequest {
        session,
        model: chat.model,
        messages: chat.messages,
        sampling: chat.sampling,
        timeout: wait,
    };
    Ok((ask, options))
}
