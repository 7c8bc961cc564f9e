//! One configuration: the command line over the environment over a file over the defaults.
//!
//! Every option of every command can be given in all three ways, since all three derive from the one definition in [`cli`](crate::cli):
//!
//! | where | `inferometer serve orchestrator --queue-capacity 64` is |
//! |---|---|
//! | file | `queue-capacity = 64` under `[serve.orchestrator]` |
//! | environment | `INFEROMETER_SERVE_ORCHESTRATOR_QUEUE_CAPACITY=64` |

mod file;
mod print;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::{ArgMatches, Command, parser::ValueSource};

use self::file::Setting;

/// A configuration that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The command line, or a variable of the environment, can't be understood; or help was asked for. It prints itself.
    #[error(transparent)]
    Arguments(#[from] clap::Error),
    /// The file can't be read or understood.
    #[error("{0}")]
    File(String),
}

/// The arguments of a command line, with what the environment and the file add.
#[derive(Debug)]
pub struct Settled {
    /// The arguments.
    pub matches: ArgMatches,
    /// The file that was read, and what it says.
    file: Option<(PathBuf, Vec<Setting>)>,
}

/// The name of the option that names the file.
const CONFIG: &str = "config";

/// Options that say what to do with a configuration, and so have no place in one.
const NOT_SETTINGS: [&str; 4] = [CONFIG, "print-config", "help", "version"];

/// The definition, with a variable of the environment for each option.
pub fn with_environment(command: Command) -> Command {
    let prefix = command.get_name().to_owned();
    variables(command, &prefix)
}

fn variables(command: Command, prefix: &str) -> Command {
    let named = command.mut_args(|arg| {
        let Some(long) = arg.get_long().map(str::to_owned) else {
            return arg;
        };
        // What already has a variable of its own keeps it.
        if arg.get_env().is_some() || (NOT_SETTINGS.contains(&&*long) && long != CONFIG) {
            return arg;
        }
        arg.env(variable(prefix, &long)).hide_env(true)
    });
    named.mut_subcommands(|sub| {
        let prefix = format!("{prefix}_{}", sub.get_name());
        variables(sub, &prefix)
    })
}

/// The variable of an option.
fn variable(prefix: &str, long: &str) -> String {
    format!("{prefix}_{long}")
        .to_ascii_uppercase()
        .replace('-', "_")
}

/// Reads a command line, the program's name first, and adds what the file says that it or the environment names.
///
/// # Errors
/// Something can't be understood: see [`ConfigError`].
pub fn settle(definition: &Command, words: &[OsString]) -> Result<Settled, ConfigError> {
    let Some(path) = file_named(definition, words) else {
        return Ok(Settled {
            matches: definition.clone().try_get_matches_from(words)?,
            file: None,
        });
    };
    let mut settings = file::read(&path, definition).map_err(ConfigError::File)?;
    for setting in &settings {
        setting
            .check(definition)
            .map_err(|fault| ConfigError::File(located(&path, setting.line, &fault)))?;
    }
    // What is required may be in the file: errors have to wait.
    let first = definition
        .clone()
        .ignore_errors(true)
        .try_get_matches_from(words)?;
    let (commands, chosen) = innermost(&first);
    let inner = file::descend(definition, &commands);
    let mut words = words.to_vec();
    for setting in &mut settings {
        let here = setting.commands == commands;
        // The innermost command knows the options of the whole program too.
        let global = setting.commands.is_empty();
        if (here || global) && setting.is_wanted(inner, chosen) {
            words.extend(setting.words());
            setting.used = true;
        }
    }
    Ok(Settled {
        matches: definition.clone().try_get_matches_from(words)?,
        file: Some((path, settings)),
    })
}

impl Settled {
    /// What the configuration of the chosen command is, and where each part of it came from; secrets are masked.
    pub fn print(&self, definition: &Command) -> String {
        print::print(self, definition)
    }

    /// The setting of the file that an option has its value from.
    fn origin(&self, commands: &[String], long: &str) -> Option<(&Path, &Setting)> {
        let (path, settings) = self.file.as_ref()?;
        let setting = settings.iter().find(|setting| {
            setting.used
                && setting.long == long
                && (setting.commands == commands || setting.commands.is_empty())
        })?;
        Some((path, setting))
    }
}

/// The file that the command line or the environment names.
fn file_named(definition: &Command, words: &[OsString]) -> Option<PathBuf> {
    let matches = definition
        .clone()
        .ignore_errors(true)
        .try_get_matches_from(words)
        .ok()?;
    innermost(&matches).1.get_one::<PathBuf>(CONFIG).cloned()
}

/// The chosen command, as the names on the way to it, and its arguments.
fn innermost(matches: &ArgMatches) -> (Vec<String>, &ArgMatches) {
    let (mut names, mut inner) = (Vec::new(), matches);
    while let Some((name, next)) = inner.subcommand() {
        names.push(name.to_owned());
        inner = next;
    }
    (names, inner)
}

fn located(path: &Path, line: usize, fault: &str) -> String {
    format!("{}, line {line}: {fault}", path.display())
}

/// Whether a value was given, on the command line or in the environment.
fn is_given(matches: &ArgMatches, id: &str) -> bool {
    matches!(
        matches
            .try_contains_id(id)
            .ok()
            .and_then(|_| matches.value_source(id)),
        Some(ValueSource::CommandLine | ValueSource::EnvVariable)
    )
}

#[cfg(test)]
mod tests;
