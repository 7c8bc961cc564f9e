//! One try: a request, its status, its stream.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use inferometer_catalog::orchestrator::ErrorType;
use reqwest::{
    Client, Response, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
};
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    UpstreamConfig, UpstreamWorker,
    events::{EventReader, TooLong},
    failure::{Failed, cause},
    retry,
    wire::{Chunk, ErrorAnswer, ModelList, UsageBlock},
};
use crate::worker::{FinishReason, Sink, Usage, WorkerError};

/// The longest line or event of a stream.
const LONGEST_EVENT: usize = 1 << 20;
/// What a stream may hold beyond its tokens, and what each token may take, JSON around it included.
const STREAM_BASE: u64 = 1 << 20;
const STREAM_PER_TOKEN: u64 = 4 << 10;
/// The most of an error answer, and of a list of models, that is read.
const LONGEST_ERROR: usize = 64 << 10;
const LONGEST_LIST: usize = 4 << 20;
/// How long to wait for usage and the end mark once the text is whole, and for an error answer's body.
const CLOSING: Duration = Duration::from_secs(2);

/// One try.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    worker: &'a UpstreamWorker,
    sink: &'a Sink,
    /// How many bytes the stream may still bring.
    allowance: u64,
    /// The model has begun: an event about it came.
    begun: bool,
    /// Text was handed on, so the try can't be repeated.
    handed_on: bool,
    finish: Option<FinishReason>,
    usage: Option<UsageBlock>,
}

/// What an event means for the stream.
enum Step {
    More,
    End,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(worker: &'a UpstreamWorker, max_tokens: u32, sink: &'a Sink) -> Self {
        let allowance = STREAM_BASE + STREAM_PER_TOKEN * u64::from(max_tokens);
        Self {
            worker,
            sink,
            allowance,
            begun: false,
            handed_on: false,
            finish: None,
            usage: None,
        }
    }

    pub(super) async fn run(mut self, body: Vec<u8>) -> Result<Usage, Failed> {
        let outcome = self.exchange(body).await;
        outcome.map_err(|failed| Failed {
            again: failed.again && !self.handed_on,
            ..failed
        })
    }

    async fn exchange(&mut self, body: Vec<u8>) -> Result<Usage, Failed> {
        let worker = self.worker;
        let first = Instant::now() + worker.config.first_token_timeout;
        let request = worker
            .client
            .post(worker.completions.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body);
        let response = match timeout_at(first, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(Failed::connection(&worker.place, &error)),
            Err(_) => return Err(self.silent()),
        };
        if !response.status().is_success() {
            return Err(refusal(response, &worker.place).await);
        }
        if !is_event_stream(response.headers()) {
            return Err(Failed::lasting(
                ErrorType::BadResponse,
                format!(
                    "{} answered without a text/event-stream; check that it can stream chat completions",
                    worker.place
                ),
            ));
        }
        self.read(response, first).await
    }

    async fn read(&mut self, mut response: Response, first: Instant) -> Result<Usage, Failed> {
        let mut events = EventReader::new(LONGEST_EVENT);
        loop {
            let until = match (self.finish, self.begun) {
                (Some(_), _) => Instant::now() + CLOSING,
                (None, true) => Instant::now() + self.worker.config.idle_timeout,
                (None, false) => first,
            };
            let bytes = match timeout_at(until, response.chunk()).await {
                Ok(Ok(Some(bytes))) => bytes,
                Ok(Ok(None)) => return self.end(&mut events),
                _ if self.finish.is_some() => return Ok(self.whole(FinishReason::Stop)),
                Ok(Err(error)) => return Err(self.closed(&cause(&error))),
                Err(_) => return Err(self.silent()),
            };
            let length = bytes.len() as u64;
            self.allowance = self
                .allowance
                .checked_sub(length)
                .ok_or_else(|| self.garbage("more than was asked for"))?;
            events.push(&bytes);
            while let Some(data) = events
                .next_event()
                .map_err(|TooLong| self.garbage("an event without end"))?
            {
                match self.take(data)? {
                    Step::More => {}
                    Step::End => return Ok(self.whole(FinishReason::Stop)),
                }
            }
        }
    }

    /// One event's data.
    fn take(&mut self, data: &[u8]) -> Result<Step, Failed> {
        if data.trim_ascii() == b"[DONE]" {
            return Ok(Step::End);
        }
        let chunk: Chunk<'_> = serde_json::from_slice(data)
            .map_err(|_| self.garbage("an event that is no chat completion chunk"))?;
        if let Some(error) = &chunk.error {
            let label = error
                .label()
                .map(|label| format!(" ({label})"))
                .unwrap_or_default();
            return Err(Failed::passing(
                ErrorType::UpstreamStatus,
                format!(
                    "{} ended its stream with an error{label}; see the upstream's own log",
                    self.worker.place
                ),
            ));
        }
        self.usage = chunk.usage.or(self.usage);
        if let Some(choice) = chunk.choices.and_then(|choices| choices.into_iter().next()) {
            self.begun = true;
            let text = choice
                .delta
                .and_then(|delta| delta.content)
                .map(|content| content.0);
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                self.handed_on = true;
                if !self.sink.push(text, 1) {
                    return Err(Failed::departed());
                }
            }
            if let Some(reason) = choice.finish_reason {
                // What else there is (a filter's, say) ends the answer like a stop: no more text comes.
                self.finish = Some(if reason == "length" {
                    FinishReason::Length
                } else {
                    FinishReason::Stop
                });
            }
        }
        Ok(Step::More)
    }

    /// The connection ended in good order; the answer may not have.
    fn end(&mut self, events: &mut EventReader) -> Result<Usage, Failed> {
        if let Some(rest) = events.rest() {
            // Half an event is a stream cut off, not garbage.
            if let Ok(Step::End) = self.take(rest) {
                return Ok(self.whole(FinishReason::Stop));
            }
        }
        match self.finish {
            Some(finish) => Ok(self.whole(finish)),
            None => Err(self.closed("the stream ended early")),
        }
    }

    fn whole(&self, finish: FinishReason) -> Usage {
        Usage {
            prompt_tokens: self.usage.and_then(|usage| usage.prompt_tokens),
            cached_tokens: self
                .usage
                .and_then(|usage| usage.prompt_tokens_details)
                .and_then(|details| details.cached_tokens),
            generated_tokens: self.usage.and_then(|usage| usage.completion_tokens),
            finish: self.finish.unwrap_or(finish),
        }
    }

    fn closed(&self, why: &str) -> Failed {
        let place = &self.worker.place;
        Failed::passing(
            ErrorType::StreamClosed,
            format!(
                "{place} closed its stream before the answer's end: {why}; see the upstream's own log"
            ),
        )
    }

    fn silent(&self) -> Failed {
        let config = &self.worker.config;
        let (limit, what) = if self.begun {
            (config.idle_timeout, "sent nothing more")
        } else {
            (config.first_token_timeout, "sent no first token")
        };
        let message = format!(
            "{} {what} within {limit:?}; raise the limit if that is usual for it",
            self.worker.place
        );
        Failed::passing(ErrorType::Timeout, message)
    }

    fn garbage(&self, what: &str) -> Failed {
        let place = &self.worker.place;
        Failed::lasting(
            ErrorType::BadResponse,
            format!("{place} sent {what}; check that it speaks the OpenAI API"),
        )
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    value
        .split(';')
        .next()
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}

async fn refusal(response: Response, place: &str) -> Failed {
    let status = response.status();
    let wait = retry::retry_after(response.headers(), SystemTime::now());
    let body = timeout(CLOSING, start(response, LONGEST_ERROR)).await;
    let answer = body
        .ok()
        .and_then(Result::ok)
        .and_then(|body| serde_json::from_slice::<ErrorAnswer>(&body).ok());
    Failed::status(
        place,
        status,
        answer.as_ref().map(|answer| &answer.error),
        wait,
    )
}

/// The body's first `limit` bytes or so.
async fn start(mut response: Response, limit: usize) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while body.len() < limit {
        let Some(bytes) = response.chunk().await? else {
            break;
        };
        body.extend_from_slice(&bytes);
    }
    Ok(body)
}

/// The first model that the upstream lists.
pub(super) async fn first_model(
    client: &Client,
    url: Url,
    place: &str,
    config: &UpstreamConfig,
) -> Result<Arc<str>, WorkerError> {
    let ask = async {
        let response = client
            .get(url)
            .send()
            .await
            .map_err(|error| Failed::connection(place, &error))?;
        if !response.status().is_success() {
            return Err(refusal(response, place).await);
        }
        let body = start(response, LONGEST_LIST)
            .await
            .map_err(|error| Failed::connection(place, &error))?;
        let list: ModelList = serde_json::from_slice(&body).map_err(|_| {
            Failed::lasting(
                ErrorType::BadResponse,
                format!(
                    "{place}/models is no list of models; check the base URL, or name the model"
                ),
            )
        })?;
        list.data
            .into_iter()
            .next()
            .map(|entry| entry.id.into())
            .ok_or_else(|| {
                Failed::lasting(
                    ErrorType::BadResponse,
                    format!("{place} lists no model; load one there, or name the model"),
                )
            })
    };
    let outcome = timeout(config.first_token_timeout, ask)
        .await
        .unwrap_or_else(|_| {
            let limit = config.first_token_timeout;
            Err(Failed::passing(
                ErrorType::Timeout,
                format!("{place}/models did not answer within {limit:?}; name the model"),
            ))
        });
    outcome.map_err(|failed| failed.into_error(0))
}
