use serde_json::Value;

use crate::{JudgeError, program};

/// The API that is to be held against its OpenAPI document.
#[derive(Debug, Clone, Copy)]
pub struct OpenApiSubject<'a> {
    /// Where it is: `http://127.0.0.1:9090`.
    pub base_url: &'a str,
    /// The document, as JSON.
    pub document: &'a str,
    /// What goes as `X-API-Key` with every request but those that try to do without.
    pub key: Option<&'a str>,
}

/// Asks an API for all that its document allows and much that it forbids, with the package `schemathesis`: answers must have a status,
/// a content type and a shape of the document; keys must be needed where it says so; other methods must be refused.
///
/// Returns how many `operations` and `cases` there were.
///
/// # Errors
/// What differed, with the request that shows it; or that `scripts/setup` was not run.
pub fn ask_with_schemathesis(subject: OpenApiSubject<'_>) -> Result<Value, JudgeError> {
    let environment = subject.key.map(|key| ("JUDGE_API_KEY", key));
    let printed = program::run_python_with(
        "openapi_cases.py",
        &[subject.base_url],
        environment.as_slice(),
        subject.document.as_bytes(),
    )?;
    serde_json::from_slice(&printed)
        .map_err(|error| JudgeError::new(format!("openapi_cases.py printed no JSON: {error}")))
}
