//! Server-sent events, as chat completions stream them.

use std::borrow::Cow;

use serde::{Deserialize, de::IgnoredAny};

use super::tally::Usage;

/// The longest line that is held while its end is awaited.
const LONGEST_LINE: usize = 1 << 20;

/// What one event of a stream says.
#[derive(Debug, PartialEq)]
pub(crate) enum Event {
    /// Text, or nothing new (`text: false`: a role, a reason to finish), and maybe the usage.
    Chunk { text: bool, usage: Option<Usage> },
    /// An error in the place of the rest; holds its message.
    Error(String),
    /// `[DONE]`.
    Done,
    /// Not what a chat completion streams.
    Broken,
}

/// Splits a stream into events, wherever its pieces were cut.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// The start of a line whose end hasn't come.
    rest: Vec<u8>,
}

impl Events {
    /// Takes a piece of the body and hands on each event that it completes, until `on_event` returns `false`.
    pub(crate) fn push(&mut self, mut piece: &[u8], mut on_event: impl FnMut(Event) -> bool) {
        while let Some(end) = piece.iter().position(|&byte| byte == b'\n') {
            let (line, after) = (&piece[..end], &piece[end + 1..]);
            piece = after;
            let event = if self.rest.is_empty() {
                read(line)
            } else {
                self.rest.extend_from_slice(line);
                let event = read(&self.rest);
                self.rest.clear();
                event
            };
            if event.is_some_and(|event| !on_event(event)) {
                return;
            }
        }
        if self.rest.len() + piece.len() > LONGEST_LINE {
            on_event(Event::Broken);
            return;
        }
        self.rest.extend_from_slice(piece);
    }
}

fn read(line: &[u8]) -> Option<Event> {
    let data = line
        .strip_suffix(b"\r")
        .unwrap_or(line)
        .strip_prefix(b"data:")?;
    let data = data.strip_prefix(b" ").unwrap_or(data);
    if data == b"[DONE]" {
        return Some(Event::Done);
    }
    let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(data) else {
        return Some(Event::Broken);
    };
    if let Some(error) = chunk.error {
        let message = error
            .message
            .unwrap_or(Cow::Borrowed("an error without a message"));
        return Some(Event::Error(message.into_owned()));
    }
    let Some(choices) = chunk.choices else {
        return Some(Event::Broken);
    };
    let text = choices.iter().any(|choice| {
        choice
            .delta
            .content
            .as_ref()
            .is_some_and(|text| !text.is_empty())
    });
    Some(Event::Chunk {
        text,
        usage: chunk.usage,
    })
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    usage: Option<Usage>,
    #[serde(borrow)]
    error: Option<ApiError<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    delta: Delta<'a>,
}

#[derive(Default, Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    content: Option<Cow<'a, str>>,
}

/// The error object of the OpenAI API.
#[derive(Deserialize)]
struct ApiError<'a> {
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
}

/// A whole answer that isn't streamed.
#[derive(Deserialize)]
struct Whole {
    /// Must be there, whatever it holds.
    #[serde(rename = "choices")]
    _choices: Vec<IgnoredAny>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Refusal<'a> {
    #[serde(borrow)]
    error: ApiError<'a>,
}

/// The usage in a whole answer, if it gives one.
///
/// # Errors
///
/// When `body` is no chat completion.
pub(crate) fn whole_answer(body: &[u8]) -> Result<Option<Usage>, serde_json::Error> {
    serde_json::from_slice::<Whole>(body).map(|whole| whole.usage)
}

/// The message in a refusal's body, if it has the OpenAI API's shape.
pub(crate) fn refusal_message(body: &[u8]) -> Option<String> {
    let refusal: Refusal<'_> = serde_json::from_slice(body).ok()?;
    refusal.error.message.map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = concat!(
        ": a comment\r\n\r\n",
        "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"h\\u00e9\"}}],\"usage\":null}\n\n",
        "data:{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\r\n\r\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5,",
        "\"prompt_tokens_details\":{\"cached_tokens\":1}}}\n\n",
        "data: [DONE]\n\n",
    );

    fn events(pieces: impl Iterator<Item = Vec<u8>>) -> Vec<Event> {
        let (mut events, mut seen) = (Events::default(), Vec::new());
        for piece in pieces {
            events.push(&piece, |event| {
                seen.push(event);
                true
            });
        }
        seen
    }

    #[test]
    fn events_are_the_same_wherever_the_stream_is_cut() {
        let whole = events([STREAM.as_bytes().to_vec()].into_iter());
        assert_eq!(whole.len(), 5);
        assert_eq!(
            whole[0],
            Event::Chunk {
                text: false,
                usage: None
            }
        );
        assert_eq!(
            whole[1],
            Event::Chunk {
                text: true,
                usage: None
            }
        );
        let Event::Chunk {
            usage: Some(usage), ..
        } = whole[3]
        else {
            panic!("{whole:?}")
        };
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (3, 2));
        assert_eq!(whole[4], Event::Done);
        for size in 1..40 {
            assert_eq!(
                events(STREAM.as_bytes().chunks(size).map(<[u8]>::to_vec)),
                whole,
                "pieces of {size}"
            );
        }
    }

    #[test]
    fn errors_and_garbage_are_told_apart() {
        let text = "data: {\"error\":{\"message\":\"worker gone\",\"type\":\"server_error\"}}\ndata: <html>\ndata: {}\n";
        let seen = events([text.as_bytes().to_vec()].into_iter());
        assert_eq!(
            seen,
            [
                Event::Error("worker gone".into()),
                Event::Broken,
                Event::Broken
            ]
        );
    }

    #[test]
    fn an_endless_line_is_not_held() {
        let mut events = Events::default();
        let mut broken = false;
        events.push(&vec![b'x'; LONGEST_LINE + 1], |event| {
            broken = event == Event::Broken;
            false
        });
        assert!(broken && events.rest.is_empty());
    }
}
