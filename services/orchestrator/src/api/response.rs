//! Answers in the OpenAI shape; everything borrows.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::{pipeline::Finished, worker::FinishReason};

/// A whole answer.
#[derive(Serialize)]
pub(super) struct Completion<'a> {
    id: CompletionId<'a>,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: [Choice<'a>; 1],
    usage: Usage,
}

/// `chatcmpl-` and the request's id.
#[derive(Clone, Copy)]
struct CompletionId<'a>(&'a str);

impl Serialize for CompletionId<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("chatcmpl-{}", self.0))
    }
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    message: Message<'a>,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
    refusal: Option<()>,
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
}

#[derive(Serialize)]
struct PromptDetails {
    cached_tokens: u64,
}

impl From<&Finished> for Usage {
    fn from(finished: &Finished) -> Self {
        Self {
            prompt_tokens: finished.prompt_tokens,
            completion_tokens: finished.generated_tokens,
            total_tokens: finished
                .prompt_tokens
                .saturating_add(finished.generated_tokens),
            prompt_tokens_details: PromptDetails {
                cached_tokens: finished.cached_tokens,
            },
        }
    }
}

/// What all parts of one answer say of it.
#[derive(Clone, Copy)]
pub(super) struct Heading<'a> {
    pub(super) id: &'a str,
    pub(super) created: u64,
    pub(super) model: &'a str,
}

impl Heading<'_> {
    /// The whole answer's JSON.
    pub(super) fn completion(self, text: &str, finished: &Finished) -> Vec<u8> {
        let mut body = Vec::with_capacity(text.len() + 448);
        let completion = Completion {
            id: CompletionId(self.id),
            object: "chat.completion",
            created: self.created,
            model: self.model,
            choices: [Choice {
                index: 0,
                message: Message {
                    role: "assistant",
                    content: text,
                    refusal: None,
                },
                logprobs: None,
                finish_reason: reason(finished.finish),
            }],
            usage: finished.into(),
        };
        serde_json::to_writer(&mut body, &completion)
            .expect("strings and numbers always have a JSON form");
        body
    }

    /// Writes one event of a stream. With `usage`, all events have the field, and it is null in all but the one that says it.
    pub(super) fn event(self, part: Part<'_>, usage: bool, into: &mut Vec<u8>) {
        let choice = |role, content, finish_reason| {
            Some(StreamChoice {
                index: 0,
                delta: Delta { role, content },
                logprobs: None,
                finish_reason,
            })
        };
        let (choice, figures) = match part {
            Part::Begin => (choice(Some("assistant"), Some(""), None), None),
            Part::Text(text) => (choice(None, Some(text), None), None),
            Part::End(finish) => (choice(None, None, Some(reason(finish))), None),
            Part::Usage(finished) => (None, Some(finished.into())),
        };
        let chunk = Chunk {
            id: CompletionId(self.id),
            object: "chat.completion.chunk",
            created: self.created,
            model: self.model,
            choices: choice.as_slice(),
            usage: usage.then_some(figures),
        };
        into.extend_from_slice(b"data: ");
        serde_json::to_writer(&mut *into, &chunk)
            .expect("strings and numbers always have a JSON form");
        into.extend_from_slice(b"\n\n");
    }
}

/// One event of a stream.
#[derive(Clone, Copy)]
pub(super) enum Part<'a> {
    /// The first: whose message it is.
    Begin,
    /// Some text.
    Text(&'a str),
    /// The text is whole.
    End(FinishReason),
    /// What it took.
    Usage(&'a Finished),
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: CompletionId<'a>,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [StreamChoice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Usage>>,
}

#[derive(Serialize)]
struct StreamChoice<'a> {
    index: u32,
    delta: Delta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
}

fn reason(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
    }
}

/// Seconds since 1970.
pub(super) fn unix_time(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
