//! One request and what comes of it.

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use http::{StatusCode, header};
use serde::Deserialize;

use super::{
    client::{Answer, Broken, Client},
    engine::Engine,
    mix::Kind,
    schedule::Order,
    sse::{self, Event, Events},
    tally::{Outcome, Tally},
};

/// Sends one request and reads its answer. Dropping the future closes the connection.
pub(crate) async fn converse(engine: &Engine, order: Order, scheduled: Instant) -> Outcome {
    let body = engine.bodies.write(order.kind, order.prompt);
    let session = (order.kind == Kind::Session).then(|| Engine::session(order.session));
    let outcome = match engine.client.complete(body, session).await {
        Ok(answer) => judge(engine, order, scheduled, answer).await,
        Err(broken) => Err(broken),
    };
    outcome.unwrap_or_else(|Broken(message)| {
        engine
            .tally
            .borrow_mut()
            .failure(Outcome::Connection, message);
        Outcome::Connection
    })
}

async fn judge(
    engine: &Engine,
    order: Order,
    scheduled: Instant,
    mut answer: Answer,
) -> Result<Outcome, Broken> {
    let status = answer.response.status();
    engine.tally.borrow_mut().status(status.as_u16());
    let outcome = match status {
        StatusCode::OK if streams(&answer) => {
            let outcome = Stream::new(order, scheduled)
                .read(engine, &mut answer)
                .await?;
            if outcome != Outcome::Ok {
                // The rest of the stream isn't wanted: the connection can't be kept.
                return Ok(outcome);
            }
            outcome
        }
        StatusCode::OK => {
            let body = answer.whole().await?;
            let mut tally = engine.tally.borrow_mut();
            match sse::whole_answer(&body) {
                Ok(usage) => {
                    usage.into_iter().for_each(|usage| tally.usage(usage));
                    Outcome::Ok
                }
                Err(error) => {
                    tally.failure(
                        Outcome::Error,
                        format!("status 200 with no chat completion: {error}"),
                    );
                    Outcome::Error
                }
            }
        }
        _ => {
            let body = answer.whole().await?;
            let outcome = match status {
                StatusCode::TOO_MANY_REQUESTS => Outcome::Shed,
                _ if status.is_client_error() => Outcome::Rejected,
                _ => Outcome::Error,
            };
            // A bad request is meant to be refused: nothing to tell.
            if outcome != Outcome::Shed && order.kind != Kind::Bad {
                let message = sse::refusal_message(&body)
                    .unwrap_or_else(|| "no message in the OpenAI shape".into());
                engine
                    .tally
                    .borrow_mut()
                    .failure(outcome, format!("status {}: {message}", status.as_u16()));
            }
            outcome
        }
    };
    engine.client.keep(answer);
    Ok(outcome)
}

fn streams(answer: &Answer) -> bool {
    let content_type = answer.response.headers().get(header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

/// A streamed answer, as it comes.
struct Stream {
    order: Order,
    scheduled: Instant,
    /// When the latest text came.
    latest: Option<Instant>,
    pieces: u32,
    done: bool,
}

impl Stream {
    fn new(order: Order, scheduled: Instant) -> Self {
        Self {
            order,
            scheduled,
            latest: None,
            pieces: 0,
            done: false,
        }
    }

    /// Reads to the end of the body, or until a leaving client has seen enough.
    async fn read(mut self, engine: &Engine, answer: &mut Answer) -> Result<Outcome, Broken> {
        let mut events = Events::default();
        let mut end = ControlFlow::Continue(());
        while let Some(piece) = answer.piece().await? {
            let now = Instant::now();
            let mut tally = engine.tally.borrow_mut();
            events.push(&piece, |event| {
                end = self.take(event, now, &mut tally);
                end.is_continue()
            });
            if let ControlFlow::Break(outcome) = end {
                return Ok(outcome);
            }
        }
        if self.done {
            return Ok(Outcome::Ok);
        }
        let message = "the stream ended without [DONE]".into();
        engine.tally.borrow_mut().failure(Outcome::Error, message);
        Ok(Outcome::Error)
    }

    fn take(&mut self, event: Event, now: Instant, tally: &mut Tally) -> ControlFlow<Outcome> {
        match event {
            Event::Chunk { text, usage } => {
                usage.into_iter().for_each(|usage| tally.usage(usage));
                if text {
                    match self.latest.replace(now) {
                        None => tally.first_token(now - self.scheduled),
                        Some(latest) => tally.next_token(now - latest),
                    }
                    self.pieces += 1;
                }
                if self.order.kind == Kind::Leave && self.pieces >= self.order.pieces {
                    return ControlFlow::Break(Outcome::Left);
                }
            }
            Event::Done => self.done = true,
            Event::Error(message) => {
                tally.failure(Outcome::Error, format!("error within a stream: {message}"));
                return ControlFlow::Break(Outcome::Error);
            }
            Event::Broken => {
                tally.failure(
                    Outcome::Error,
                    "an event in a stream is no chat completion chunk".into(),
                );
                return ControlFlow::Break(Outcome::Error);
            }
        }
        ControlFlow::Continue(())
    }
}

/// The first model that the server lists.
///
/// # Errors
///
/// What was wrong with the server's answer, in words.
pub(crate) async fn first_model(client: &Client, limit: Duration) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Models {
        data: Vec<Model>,
    }
    #[derive(Deserialize)]
    struct Model {
        id: String,
    }

    let ask = async {
        let mut answer = client.models().await.map_err(|Broken(message)| message)?;
        let status = answer.response.status();
        let body = answer.whole().await.map_err(|Broken(message)| message)?;
        client.keep(answer);
        if status != StatusCode::OK {
            return Err(format!("it answered with status {status}"));
        }
        let models: Models = serde_json::from_slice(&body)
            .map_err(|error| format!("its answer is no list of models: {error}"))?;
        models
            .data
            .into_iter()
            .next()
            .map(|model| model.id)
            .ok_or_else(|| "its list is empty".into())
    };
    tokio::time::timeout(limit, ask).await.unwrap_or_else(|_| {
        Err(format!(
            "no answer in {}",
            humantime::format_duration(limit)
        ))
    })
}
