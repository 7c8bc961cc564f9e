use std::{path::Path, process::Command};

use crate::{JudgeError, Release, program};

/// One finding of `promtool check metrics`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Complaint {
    /// The metric it is about.
    pub metric: String,
    /// What promtool said about it.
    pub text: String,
}

/// Lints a scrape in the text format with the installed `promtool check metrics`; an empty answer is a clean scrape.
///
/// # Errors
/// promtool is missing, or cannot parse the scrape.
pub fn promtool_check_metrics(body: &str) -> Result<Vec<Complaint>, JudgeError> {
    check_metrics(&program::find("promtool")?, body)
}

impl Release {
    /// Lints a scrape in the text format with this release's `promtool check metrics`; an empty answer is a clean scrape.
    ///
    /// # Errors
    /// promtool cannot parse the scrape.
    pub fn check_metrics(&self, body: &str) -> Result<Vec<Complaint>, JudgeError> {
        check_metrics(&self.promtool, body)
    }
}

fn check_metrics(promtool: &Path, body: &str) -> Result<Vec<Complaint>, JudgeError> {
    let output = program::run(
        Command::new(promtool).args(["check", "metrics"]),
        body.as_bytes(),
    )?;
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => Ok(Vec::new()),
        // 3: it could read everything, and has something to say.
        Some(3) => Ok(said.lines().filter_map(complaint).collect()),
        _ => Err(JudgeError::new(format!(
            "promtool check metrics ({}): {}",
            output.status,
            said.trim()
        ))),
    }
}

fn complaint(line: &str) -> Option<Complaint> {
    let (metric, text) = line.split_once(' ')?;
    Some(Complaint {
        metric: metric.to_owned(),
        text: text.to_owned(),
    })
}
