//! What a client sends: `POST /v1/chat/completions`, read and checked.

mod fields;

use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use self::fields::{Asked, Content, Stop, Text};
use super::{ApiLimits, error::ApiError, headers};
use crate::worker::{Message, Sampling};

/// The body, as far as it matters. Fields that change nothing here (`user`, `metadata`, `store` and the like) and fields that nobody knows
/// are passed over, as other servers of this API do.
#[derive(Debug, Deserialize)]
struct Body {
    #[serde(default)]
    model: Option<Text>,
    messages: Vec<Entry>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    max_tokens: Option<u32>,
    #[serde(default)]
    max_completion_tokens: Option<u32>,
    #[serde(default)]
    temperature: Option<f32>,
    #[serde(default)]
    top_p: Option<f32>,
    #[serde(default)]
    stop: Option<Stop>,
    #[serde(default)]
    seed: Option<i64>,
    #[serde(default)]
    n: Option<u32>,
    #[serde(default)]
    response_format: Option<Kind>,
    #[serde(default)]
    modalities: Option<Vec<Text>>,
    #[serde(default)]
    tools: Asked,
    #[serde(default)]
    tool_choice: Asked,
    #[serde(default)]
    functions: Asked,
    #[serde(default)]
    function_call: Asked,
    #[serde(default)]
    logprobs: Asked,
    #[serde(default)]
    top_logprobs: Asked,
    #[serde(default)]
    logit_bias: Asked,
    #[serde(default)]
    presence_penalty: Asked,
    #[serde(default)]
    frequency_penalty: Asked,
    #[serde(default)]
    audio: Asked,
    #[serde(default)]
    web_search_options: Asked,
}

#[derive(Debug, Deserialize)]
struct Entry {
    role: Text,
    #[serde(default)]
    content: Option<Content>,
    #[serde(default)]
    tool_calls: Asked,
    #[serde(default)]
    function_call: Asked,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: Text,
}

/// A checked request.
#[derive(Debug)]
pub(super) struct ChatRequest {
    /// `None` leaves the choice to the routing.
    pub(super) model: Option<Arc<str>>,
    pub(super) messages: Vec<Message>,
    pub(super) sampling: Sampling,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
}

static SYSTEM: LazyLock<Arc<str>> = LazyLock::new(|| "system".into());
static USER: LazyLock<Arc<str>> = LazyLock::new(|| "user".into());
static ASSISTANT: LazyLock<Arc<str>> = LazyLock::new(|| "assistant".into());
static NO_STOP: LazyLock<Arc<[String]>> = LazyLock::new(|| Vec::new().into());

/// The most stop sequences, and the most bytes of one: post-processing holds back as much text as one may take.
const MOST_STOPS: usize = 4;
const LONGEST_STOP: usize = 1024;

impl ChatRequest {
    /// Reads a body. An error names the field and its rule.
    pub(super) fn read(json: &[u8], limits: &ApiLimits) -> Result<Self, ApiError> {
        let body: Body = serde_json::from_slice(json).map_err(|_| explain(json))?;
        body.refuse_unsupported()?;
        let model = body
            .model
            .map(|model| model.0)
            .filter(|model| !model.is_empty() && **model != *"default");
        let stream = body.stream.unwrap_or_default();
        Ok(Self {
            model,
            sampling: Sampling {
                temperature: within("temperature", body.temperature, 1.0, 2.0)?,
                top_p: within("top_p", body.top_p, 1.0, 1.0)?,
                // Equal seeds must give equal answers, and a missing one must not.
                seed: body.seed.map_or_else(headers::random, i64::cast_unsigned),
                max_tokens: max_tokens(body.max_tokens, body.max_completion_tokens, limits)?,
                stop: stops(body.stop)?,
            },
            messages: messages(body.messages)?,
            stream,
            include_usage: stream
                && body
                    .stream_options
                    .and_then(|options| options.include_usage)
                    .unwrap_or_default(),
        })
    }
}

impl Body {
    /// What would change the answer and can't be done is refused, never passed over.
    fn refuse_unsupported(&self) -> Result<(), ApiError> {
        let asked = [
            ("tools", &self.tools),
            ("tool_choice", &self.tool_choice),
            ("functions", &self.functions),
            ("function_call", &self.function_call),
            ("logprobs", &self.logprobs),
            ("top_logprobs", &self.top_logprobs),
            ("logit_bias", &self.logit_bias),
            ("presence_penalty", &self.presence_penalty),
            ("frequency_penalty", &self.frequency_penalty),
            ("audio", &self.audio),
            ("web_search_options", &self.web_search_options),
        ];
        if let Some((field, _)) = asked.iter().find(|(_, asked)| asked.0) {
            return Err(ApiError::unsupported(
                *field,
                format!("`{field}` is not supported here; leave it out"),
            ));
        }
        if let Some(n) = self.n.filter(|n| *n != 1) {
            return Err(ApiError::unsupported(
                "n",
                format!("`n` is {n}, and only 1 is supported; send the request {n} times"),
            ));
        }
        if self
            .response_format
            .as_ref()
            .is_some_and(|format| *format.kind.0 != *"text")
        {
            let message =
                "`response_format` can only be {\"type\": \"text\"} here; leave it out".to_owned();
            return Err(ApiError::unsupported("response_format", message));
        }
        if self
            .modalities
            .iter()
            .flatten()
            .any(|modality| *modality.0 != *"text")
        {
            let message = "`modalities` can only be [\"text\"] here; leave it out".to_owned();
            return Err(ApiError::unsupported("modalities", message));
        }
        Ok(())
    }
}

/// Why a body that can't be read can't be. Reads it again, slowly, with the path to the fault.
fn explain(json: &[u8]) -> ApiError {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let fault = serde_path_to_error::deserialize::<_, Body>(&mut reader).err();
    match fault {
        Some(fault) if fault.inner().is_data() => {
            let path = fault.path().to_string();
            let reason = fault.into_inner();
            if path == "." {
                return ApiError::invalid_json(format!("the body can't be read: {reason}"));
            }
            let message = format!("`{path}` can't be read: {reason}");
            ApiError::invalid(path, message)
        }
        Some(fault) => {
            ApiError::invalid_json(format!("the body is no JSON: {}", fault.into_inner()))
        }
        None => ApiError::invalid_json("the body is no JSON: something follows its end".to_owned()),
    }
}

fn within(
    field: &'static str,
    value: Option<f32>,
    default: f32,
    most: f32,
) -> Result<f32, ApiError> {
    let value = value.unwrap_or(default);
    if (0.0..=most).contains(&value) {
        return Ok(value);
    }
    Err(ApiError::invalid(
        field,
        format!("`{field}` is {value}, and must be from 0 to {most}"),
    ))
}

fn max_tokens(old: Option<u32>, new: Option<u32>, limits: &ApiLimits) -> Result<u32, ApiError> {
    let (field, value) = match (new, old) {
        (Some(new), _) => ("max_completion_tokens", new),
        (None, Some(old)) => ("max_tokens", old),
        (None, None) => return Ok(limits.default_max_tokens.min(limits.max_tokens)),
    };
    if (1..=limits.max_tokens).contains(&value) {
        return Ok(value);
    }
    let most = limits.max_tokens;
    Err(ApiError::invalid(
        field,
        format!("`{field}` is {value}, and must be from 1 to {most}"),
    ))
}

fn stops(stop: Option<Stop>) -> Result<Arc<[String]>, ApiError> {
    let Some(Stop(stops)) = stop.filter(|stop| !stop.0.is_empty()) else {
        return Ok(Arc::clone(&NO_STOP));
    };
    if stops.len() > MOST_STOPS {
        let count = stops.len();
        return Err(ApiError::invalid(
            "stop",
            format!("`stop` has {count} sequences, and may have at most {MOST_STOPS}"),
        ));
    }
    if let Some(length) = stops
        .iter()
        .map(String::len)
        .find(|length| !(1..=LONGEST_STOP).contains(length))
    {
        let message =
            format!("a sequence in `stop` has {length} bytes, and must have 1 to {LONGEST_STOP}");
        return Err(ApiError::invalid("stop", message));
    }
    Ok(stops.into())
}

fn messages(entries: Vec<Entry>) -> Result<Vec<Message>, ApiError> {
    let Some(last) = entries.len().checked_sub(1) else {
        return Err(ApiError::invalid(
            "messages",
            "`messages` is empty, and must have at least the user's".to_owned(),
        ));
    };
    let mut messages = Vec::with_capacity(entries.len());
    for (place, entry) in entries.into_iter().enumerate() {
        let role = match &*entry.role.0 {
            "user" => &USER,
            // The newer name for the same.
            "system" | "developer" => &SYSTEM,
            "assistant" => &ASSISTANT,
            "tool" | "function" => {
                let message = format!(
                    "`messages[{place}].role` is a tool's, and tools are not supported here"
                );
                return Err(ApiError::unsupported(
                    format!("messages[{place}].role"),
                    message,
                ));
            }
            _ => {
                let message = format!(
                    "`messages[{place}].role` must be system, developer, user or assistant"
                );
                return Err(ApiError::invalid(
                    format!("messages[{place}].role"),
                    message,
                ));
            }
        };
        if entry.tool_calls.0 || entry.function_call.0 {
            let field = if entry.tool_calls.0 {
                "tool_calls"
            } else {
                "function_call"
            };
            let message =
                format!("`messages[{place}].{field}` is not supported here; leave it out");
            return Err(ApiError::unsupported(
                format!("messages[{place}].{field}"),
                message,
            ));
        }
        if place == last && *entry.role.0 != *"user" {
            let message = format!(
                "`messages[{place}].role` must be user: the last message is the one that is answered"
            );
            return Err(ApiError::invalid(
                format!("messages[{place}].role"),
                message,
            ));
        }
        let content = match entry.content {
            Some(Content::Text(text)) => text.0,
            Some(Content::Parts(parts)) => fields::join(parts, place)?,
            None => {
                let message = format!(
                    "`messages[{place}].content` is missing; it must be text, or parts of type text"
                );
                return Err(ApiError::invalid(
                    format!("messages[{place}].content"),
                    message,
                ));
            }
        };
        messages.push(Message {
            role: Arc::clone(role),
            content,
        });
    }
    Ok(messages)
}

#[cfg(test)]
mod tests;
