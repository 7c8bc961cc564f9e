//! The file: options by name, in a table for each command.

use std::{ffi::OsString, fs, path::Path};

use clap::{Arg, ArgAction, ArgMatches, Command, error::ErrorKind};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{NOT_SETTINGS, is_given, located};

/// One line of the file.
#[derive(Debug)]
pub(super) struct Setting {
    /// The command, as the names on the way to it; none for an option of the whole program.
    pub(super) commands: Vec<String>,
    pub(super) long: String,
    id: String,
    values: Vec<String>,
    /// Whether the option takes no value, and is there or not.
    is_flag: bool,
    pub(super) line: usize,
    /// Whether it was what counted.
    pub(super) used: bool,
}

/// The settings of a file, each held to the definition.
///
/// # Errors
/// What is wrong with the file, where, and what to do.
pub(super) fn read(path: &Path, definition: &Command) -> Result<Vec<Setting>, String> {
    let text = fs::read_to_string(path).map_err(|error| {
        format!(
            "can't read the configuration {}: {error}; name a file that is there with --config, or leave it out",
            path.display()
        )
    })?;
    let table = DeTable::parse(&text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        located(
            path,
            line(&text, at),
            &format!("not TOML: {}", error.message()),
        )
    })?;
    let mut settings = Vec::new();
    Reading {
        path,
        text: &text,
        settings: &mut settings,
    }
    .table(table.get_ref(), definition, &[])?;
    Ok(settings)
}

/// The definition of a command.
pub(super) fn descend<'a>(mut definition: &'a Command, commands: &[String]) -> &'a Command {
    for name in commands {
        let Some(next) = definition.find_subcommand(name) else {
            break;
        };
        definition = next;
    }
    definition
}

/// Lines are counted from 1.
fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

struct Reading<'a> {
    path: &'a Path,
    text: &'a str,
    settings: &'a mut Vec<Setting>,
}

impl Reading<'_> {
    fn table(
        &mut self,
        table: &DeTable<'_>,
        command: &Command,
        commands: &[String],
    ) -> Result<(), String> {
        for (key, value) in table.iter() {
            let at = line(self.text, key.span().start);
            let name = key.get_ref().replace('_', "-");
            if let DeValue::Table(inner) = value.get_ref() {
                let sub = command.get_subcommands().find(|sub| sub.get_name() == name);
                let Some(sub) = sub else {
                    let known: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
                    return Err(self.unknown(
                        at,
                        &format!("table `{}`", key.get_ref()),
                        commands,
                        &known,
                    ));
                };
                let commands = [commands, std::slice::from_ref(&name)].concat();
                self.table(inner, sub, &commands)?;
                continue;
            }
            let Some(arg) = options(command).find(|arg| arg.get_long() == Some(&*name)) else {
                let known: Vec<_> = options(command).filter_map(Arg::get_long).collect();
                return Err(self.unknown(at, &format!("`{}`", key.get_ref()), commands, &known));
            };
            let setting = self.setting(arg, &name, commands, at, value)?;
            self.settings.push(setting);
        }
        Ok(())
    }

    fn unknown(&self, at: usize, what: &str, commands: &[String], known: &[&str]) -> String {
        let whose = if commands.is_empty() {
            "of the whole program".to_owned()
        } else {
            format!("of `{}`", commands.join(" "))
        };
        let known = if known.is_empty() {
            "it has none".to_owned()
        } else {
            format!("known are {}", known.join(", "))
        };
        located(
            self.path,
            at,
            &format!("{what} is no setting {whose}; {known}"),
        )
    }

    fn setting(
        &self,
        arg: &Arg,
        long: &str,
        commands: &[String],
        at: usize,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Setting, String> {
        let is_flag = matches!(arg.get_action(), ArgAction::SetTrue);
        let many = matches!(arg.get_action(), ArgAction::Append);
        let fault = |wanted: &str| located(self.path, at, &format!("`{long}` takes {wanted}"));
        let values = match value.get_ref() {
            DeValue::Boolean(_) if !is_flag => {
                return Err(fault("a value in quotes, not true or false"));
            }
            DeValue::Array(all) if many => all
                .iter()
                .map(|one| text(one.get_ref()).ok_or_else(|| fault("a list of texts or numbers")))
                .collect::<Result<_, _>>()?,
            DeValue::Array(_) => return Err(fault("one value, not a list")),
            one if is_flag && !matches!(one, DeValue::Boolean(_)) => {
                return Err(fault("true or false"));
            }
            one => vec![text(one).ok_or_else(|| fault("a text or a number"))?],
        };
        Ok(Setting {
            commands: commands.to_vec(),
            long: long.to_owned(),
            id: arg.get_id().to_string(),
            values,
            is_flag,
            line: at,
            used: false,
        })
    }
}

/// The options that can be set.
fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| {
        arg.get_long()
            .is_some_and(|long| !NOT_SETTINGS.contains(&long))
    })
}

fn text(value: &DeValue<'_>) -> Option<String> {
    Some(match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(is) => is.to_string(),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => return None,
    })
}

impl Setting {
    /// The same as words of a command line.
    pub(super) fn words(&self) -> Vec<OsString> {
        if self.is_flag {
            let wanted = self.values.iter().any(|value| value == "true");
            return if wanted {
                vec![format!("--{}", self.long).into()]
            } else {
                Vec::new()
            };
        }
        self.values
            .iter()
            .map(|value| format!("--{}={value}", self.long).into())
            .collect()
    }

    /// Holds the value to what the option takes.
    pub(super) fn check(&self, definition: &Command) -> Result<(), String> {
        let program = OsString::from(definition.get_name());
        let words = [program]
            .into_iter()
            .chain(self.commands.iter().map(OsString::from))
            .chain(self.words());
        let error = match definition.clone().try_get_matches_from(words) {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        match error.kind() {
            ErrorKind::InvalidValue
            | ErrorKind::ValueValidation
            | ErrorKind::WrongNumberOfValues => {
                let text = error.to_string();
                let first = text.lines().next().unwrap_or_default();
                Err(first.trim_start_matches("error: ").to_owned())
            }
            // Something else is missing, which the command line may have.
            _ => Ok(()),
        }
    }

    /// Whether neither the command line nor the environment says otherwise.
    pub(super) fn is_wanted(&self, command: &Command, given: &ArgMatches) -> bool {
        let Some(arg) = command
            .get_arguments()
            .find(|arg| arg.get_id() == &*self.id)
        else {
            // An option of the whole program, which a subcommand takes too.
            return !is_given(given, &self.id);
        };
        // A conflict is declared on one side only.
        let excludes = |one: &Arg, other: &Arg| {
            let conflicts = command.get_arg_conflicts_with(one);
            conflicts.iter().any(|arg| arg.get_id() == other.get_id())
        };
        !is_given(given, &self.id)
            && !command
                .get_arguments()
                .filter(|other| is_given(given, other.get_id().as_str()))
                .any(|other| excludes(arg, other) || excludes(other, arg))
    }
}
