use std::{error::Error, fmt};

/// A judge that could not be asked, or that found fault.
///
/// The message says which judge, on what, and what to do or what it found; it is meant for a test's output.
#[derive(Debug)]
pub struct JudgeError(String);

impl JudgeError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for JudgeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Error for JudgeError {}
