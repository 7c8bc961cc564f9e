use serde_json::Value;

use crate::{JudgeError, program};

/// The service that the OpenAI client is to drive.
#[derive(Debug, Clone, Copy)]
pub struct OpenAiSubject<'a> {
    /// Where the API is, with its `/v1`: `http://127.0.0.1:8080/v1`.
    pub base_url: &'a str,
    /// The model to ask; `None` takes the first one listed.
    pub model: Option<&'a str>,
    /// The same API of a service that is full and must answer 429, where that is to be judged too.
    pub shed_url: Option<&'a str>,
}

/// Drives a service with the unchanged `openai` package: models, a whole answer, a stream with its usage, a stream left after its
/// first chunk, and refusals by their class.
///
/// Returns what the client saw: `models`, `chat` and `stream` (each with `content`, `finish_reason`, `usage`), `errors`, `shed`.
///
/// # Errors
/// The first thing that differs from what the client's users rely on; or that `scripts/setup` was not run.
pub fn drive_with_openai_client(subject: OpenAiSubject<'_>) -> Result<Value, JudgeError> {
    let mut arguments = vec![subject.base_url];
    for (flag, value) in [("--model", subject.model), ("--shed-url", subject.shed_url)] {
        arguments.extend(value.into_iter().flat_map(|value| [flag, value]));
    }
    program::ask_python("openai_client.py", &arguments)
}
