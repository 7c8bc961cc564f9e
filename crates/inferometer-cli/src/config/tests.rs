//! The three ways to say something, and what is said of mistakes.

use std::{ffi::OsString, fs, path::PathBuf};

use clap::CommandFactory as _;
use tempfile::TempDir;

use super::*;
use crate::cli::Cli;

struct Trial {
    folder: TempDir,
    definition: Command,
}

impl Trial {
    fn new() -> Self {
        let mut definition = with_environment(Cli::command());
        definition.build();
        Self {
            folder: tempfile::tempdir().unwrap(),
            definition,
        }
    }

    fn file(&self, text: &str) -> PathBuf {
        let path = self.folder.path().join("inferometer.toml");
        fs::write(&path, text).unwrap();
        path
    }

    fn settle(&self, text: &str, line: &str) -> Result<Settled, ConfigError> {
        let path = self.file(text);
        let mut words: Vec<OsString> = vec!["inferometer".into()];
        words.extend(line.split_whitespace().map(OsString::from));
        words.extend(["--config".into(), path.into()]);
        settle(&self.definition, &words)
    }

    fn print(&self, text: &str, line: &str) -> String {
        let settled = self.settle(text, line).unwrap();
        settled
            .print(&self.definition)
            .replace(&self.folder.path().display().to_string(), "…")
    }

    fn fault(&self, text: &str) -> String {
        let error = self.settle(text, "serve orchestrator").unwrap_err();
        error
            .to_string()
            .replace(&self.folder.path().display().to_string(), "…")
    }
}

const FILE: &str = "\
log_format = \"json\"

[serve.orchestrator]
queue-capacity = 64
timeout = \"5s\"
worker = [\"local\", \"scripted:10ms\"]

[demo]
rate = 2.5
";

#[test]
fn the_command_line_comes_before_the_file_and_the_file_before_the_default() {
    let printed = Trial::new().print(FILE, "serve orchestrator --timeout 7s");
    for line in [
        "log-format = \"json\"  # from …/inferometer.toml, line 1",
        "[serve.orchestrator]",
        "queue-capacity = 64  # from …/inferometer.toml, line 4",
        "timeout = \"7s\"  # from the command line",
        "worker = [\"local\", \"scripted:10ms\"]  # from …/inferometer.toml, line 6",
        "inference-capacity = 1024  # default",
        "# corpus is not set",
    ] {
        assert!(
            printed.lines().any(|printed| printed == line),
            "{line} is not in\n{printed}"
        );
    }
    assert!(!printed.contains("2.5"), "another command's:\n{printed}");
}

#[test]
fn what_is_printed_is_a_file_that_says_the_same() {
    let trial = Trial::new();
    let once = trial.print(FILE, "serve orchestrator");
    let again = trial.print(&once, "serve orchestrator");
    let values = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.split("  # ").next().unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(values(&once), values(&again));
}

#[test]
fn every_option_has_a_variable_that_names_its_command() {
    fn walk(command: &Command, prefix: &str, found: &mut Vec<String>) {
        for arg in command.get_arguments() {
            if let Some(variable) = arg.get_env() {
                found.push(variable.to_string_lossy().into_owned());
            }
        }
        for sub in command.get_subcommands() {
            walk(sub, &format!("{prefix}_{}", sub.get_name()), found);
        }
    }
    let mut found = Vec::new();
    walk(&Trial::new().definition, "INFEROMETER", &mut found);
    for variable in [
        "INFEROMETER_CONFIG",
        "INFEROMETER_LOG_FORMAT",
        "INFEROMETER_DEMO_RATE",
        "INFEROMETER_SERVE_ORCHESTRATOR_QUEUE_CAPACITY",
    ] {
        assert!(
            found.iter().any(|found| found == variable),
            "{variable} is not in {found:?}"
        );
    }
}

#[test]
fn mistakes_in_a_file_are_told_with_their_line_and_the_remedy() {
    let trial = Trial::new();
    for (text, wanted) in [
        (
            "\n[serve.orchestrator]\napii = \"x\"\n",
            "…/inferometer.toml, line 3: `apii` is no setting of `serve orchestrator`; known are api, ",
        ),
        (
            "[serve.bakery]\n",
            "line 1: table `bakery` is no setting of `serve`; known are orchestrator",
        ),
        (
            "colour = true\n",
            "line 1: `colour` is no setting of the whole program; known are log-format",
        ),
        ("config = \"again\"\n", "line 1: `config` is no setting"),
        ("log_format = \"loud\"\n", "line 1: invalid value 'loud'"),
        (
            "log_format = true\n",
            "line 1: `log-format` takes a value in quotes, not true or false",
        ),
        (
            "log_format = [\"json\"]\n",
            "line 1: `log-format` takes one value, not a list",
        ),
        (
            "[serve.orchestrator]\nqueue_capacity = 0\n",
            "line 2: invalid value '0'",
        ),
        (
            "[serve.orchestrator]\nworker = [1979-05-27]\n",
            "line 2: `worker` takes a list of texts or numbers",
        ),
        (
            "[serve.orchestrator]\nprint-config = true\n",
            "line 2: `print-config` is no setting",
        ),
        (
            "[load]\nallow_remote = \"yes\"\n",
            "line 2: `allow-remote` takes true or false",
        ),
        ("log_format = \n", "line 1: not TOML: "),
        ("a = 1\na = 2\n", "line 2: not TOML: "),
    ] {
        let fault = trial.fault(text);
        assert!(fault.contains(wanted), "{text:?}: {fault}");
    }
}

#[test]
fn a_value_in_the_file_is_held_to_its_rule_even_where_another_counts() {
    let error = Trial::new()
        .settle(
            "[serve.orchestrator]\ntimeout = \"soon\"\n",
            "serve orchestrator --timeout 7s",
        )
        .unwrap_err();
    assert!(
        error.to_string().contains("line 2: invalid value 'soon'"),
        "{error}"
    );
}

#[test]
fn a_setting_gives_way_to_an_option_that_excludes_it() {
    let printed = Trial::new().print("[load]\nrate = 3.0\n", "load --closed 4");
    assert!(
        printed.contains("closed = 4  # from the command line"),
        "{printed}"
    );
    assert!(printed.contains("rate = 10  # default"), "{printed}");
}

#[test]
fn a_file_that_is_missing_is_named_with_the_remedy() {
    let words = [
        "inferometer",
        "serve",
        "orchestrator",
        "--config",
        "nowhere.toml",
    ]
    .map(OsString::from);
    let error = settle(&Trial::new().definition, &words)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("can't read the configuration nowhere.toml") && error.contains("--config"),
        "{error}"
    );
}
