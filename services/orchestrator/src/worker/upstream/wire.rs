//! The upstream's side of the OpenAI protocol, as far as a worker needs it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::super::{Message, Prompt};

/// What is asked: always a stream, always with usage.
#[derive(Debug, Serialize)]
pub(super) struct Request<'a> {
    model: &'a str,
    messages: &'a [Message],
    temperature: f32,
    top_p: f32,
    seed: u64,
    max_tokens: u32,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    stream: bool,
    stream_options: StreamOptions,
}

#[derive(Debug, Serialize)]
struct StreamOptions {
    include_usage: bool,
}

impl<'a> Request<'a> {
    pub(super) fn new(model: &'a str, prompt: &'a Prompt) -> Self {
        let sampling = &prompt.sampling;
        Self {
            model,
            messages: &prompt.messages,
            temperature: sampling.temperature,
            top_p: sampling.top_p,
            // The protocol's seed is a signed 64-bit integer, and some servers refuse a negative one.
            seed: sampling.seed & (u64::MAX >> 1),
            max_tokens: sampling.max_tokens,
            stop: &sampling.stop,
            stream: true,
            stream_options: StreamOptions {
                include_usage: true,
            },
        }
    }
}

/// One event of the stream. Every field may be absent: servers differ.
#[derive(Debug, Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(default, borrow)]
    pub(super) choices: Option<Vec<Choice<'a>>>,
    #[serde(default)]
    pub(super) usage: Option<UsageBlock>,
    #[serde(default)]
    pub(super) error: Option<ErrorBlock>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(default, borrow)]
    pub(super) delta: Option<Delta<'a>>,
    #[serde(default)]
    pub(super) finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Delta<'a> {
    #[serde(default, borrow)]
    pub(super) content: Option<Text<'a>>,
}

/// Text that is borrowed where the JSON has no escapes in it.
#[derive(Debug, Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct UsageBlock {
    #[serde(default)]
    pub(super) prompt_tokens: Option<u64>,
    #[serde(default)]
    pub(super) completion_tokens: Option<u64>,
    #[serde(default)]
    pub(super) prompt_tokens_details: Option<PromptDetails>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct PromptDetails {
    #[serde(default)]
    pub(super) cached_tokens: Option<u64>,
}

/// An error's type and code. Its message is left unread: it may quote the prompt or the key.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum ErrorBlock {
    Named {
        #[serde(default, rename = "type")]
        kind: Option<String>,
        #[serde(default)]
        code: Option<Code>,
    },
    /// A bare string, or something else: nothing in it is known to be safe to repeat.
    Other(serde::de::IgnoredAny),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Code {
    Word(String),
    Number(i64),
    Other(serde::de::IgnoredAny),
}

/// The body of an error answer.
#[derive(Debug, Deserialize)]
pub(super) struct ErrorAnswer {
    pub(super) error: ErrorBlock,
}

impl ErrorBlock {
    /// The words of it that can be repeated: its code, else its type, where that is a plain identifier.
    pub(super) fn label(&self) -> Option<String> {
        let Self::Named { kind, code } = self else {
            return None;
        };
        let code = match code {
            Some(Code::Word(word)) => identifier(word),
            Some(Code::Number(number)) => Some(number.to_string()),
            Some(Code::Other(_)) | None => None,
        };
        code.or_else(|| kind.as_deref().and_then(identifier))
    }
}

/// `word` if it looks like an error code: lower case words joined by underscores or the like. Keys don't: they have digits
/// or capitals in them.
fn identifier(word: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    (!word.is_empty() && word.len() <= 48 && word.bytes().all(plain)).then(|| word.to_owned())
}

/// The answer to `GET …/models`.
#[derive(Debug, Deserialize)]
pub(super) struct ModelList {
    pub(super) data: Vec<ModelEntry>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ModelEntry {
    pub(super) id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(json: &str) -> Option<String> {
        serde_json::from_str::<ErrorAnswer>(json)
            .expect("an error answer")
            .error
            .label()
    }

    #[test]
    fn only_plain_codes_are_repeated() {
        assert_eq!(
            label(r#"{"error":{"code":"insufficient_quota","type":"x"}}"#).as_deref(),
            Some("insufficient_quota")
        );
        assert_eq!(
            label(r#"{"error":{"code":null,"type":"server_error"}}"#).as_deref(),
            Some("server_error")
        );
        assert_eq!(
            label(r#"{"error":{"code":429,"message":"secret prompt"}}"#).as_deref(),
            Some("429")
        );
        assert_eq!(
            label(r#"{"error":{"code":"sk-Abc123","type":"no good: my prompt"}}"#),
            None
        );
        assert_eq!(label(r#"{"error":"some text"}"#), None);
    }

    #[test]
    fn text_without_escapes_is_borrowed_and_with_escapes_is_right() {
        let chunk: Chunk<'_> =
            serde_json::from_str(r#"{"choices":[{"delta":{"content":"plain"}}]}"#)
                .expect("a chunk");
        let choices = chunk.choices.expect("choices");
        let content = choices[0]
            .delta
            .as_ref()
            .and_then(|delta| delta.content.as_ref())
            .expect("content");
        assert!(matches!(content.0, Cow::Borrowed("plain")));
        let chunk: Chunk<'_> = serde_json::from_str(
            r#"{"choices":[{"delta":{"content":"a\n\u00e9"},"finish_reason":null}],"usage":null}"#,
        )
        .expect("a chunk");
        let choices = chunk.choices.expect("choices");
        assert_eq!(
            choices[0]
                .delta
                .as_ref()
                .and_then(|delta| delta.content.as_ref())
                .expect("content")
                .0,
            "a\né"
        );
    }
}
