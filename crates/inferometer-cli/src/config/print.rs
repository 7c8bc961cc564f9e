//! What `--print-config` prints: a file that says the same, and where each line came from.

use std::fmt::Write as _;

use clap::{ArgAction, ArgMatches, Command, parser::ValueSource};

use super::{NOT_SETTINGS, Settled, file::descend, innermost};

/// Variables of the environment that count and have no option.
const ALSO: [&str; 2] = ["OPENAI_API_KEY", "RUST_LOG"];

pub(super) fn print(settled: &Settled, definition: &Command) -> String {
    let (commands, matches) = innermost(&settled.matches);
    let mut text = String::new();
    let globals = lines(settled, definition, &commands, matches, true);
    let own = lines(
        settled,
        descend(definition, &commands),
        &commands,
        matches,
        false,
    );
    // Writing to a String can't fail.
    let _ = write!(text, "{globals}");
    if !commands.is_empty() && !own.is_empty() {
        let _ = write!(text, "\n[{}]\n{own}", commands.join("."));
    }
    for name in ALSO {
        if let Ok(value) = std::env::var(name) {
            let shown = if is_secret(name) {
                "(set)".to_owned()
            } else {
                format!("{value:?}")
            };
            let _ = writeln!(text, "\n# {name} = {shown}  # from the environment");
        }
    }
    text
}

fn lines(
    settled: &Settled,
    command: &Command,
    commands: &[String],
    matches: &ArgMatches,
    global: bool,
) -> String {
    let mut text = String::new();
    for arg in command.get_arguments() {
        let Some(long) = arg.get_long() else { continue };
        if NOT_SETTINGS.contains(&long) || arg.is_global_set() != global {
            continue;
        }
        let id = arg.get_id().as_str();
        let raw = matches.try_get_raw(id).ok().flatten();
        let mut values: Vec<_> = raw
            .map(|raw| {
                raw.map(|value| value.to_string_lossy().into_owned())
                    .collect()
            })
            .unwrap_or_default();
        let source = matches.value_source(id);
        let from = match (source, settled.origin(commands, long)) {
            (Some(ValueSource::EnvVariable), _) => match arg.get_env() {
                Some(name) => format!("from the environment, {}", name.to_string_lossy()),
                None => "from the environment".to_owned(),
            },
            (Some(ValueSource::CommandLine), Some((path, setting))) => {
                format!("from {}, line {}", path.display(), setting.line)
            }
            (Some(ValueSource::CommandLine), _) => "from the command line".to_owned(),
            _ => "default".to_owned(),
        };
        if is_secret(long) {
            for value in &mut values {
                *value = "(set)".to_owned();
            }
        }
        let shown = match arg.get_action() {
            ArgAction::SetTrue => matches.get_flag(id).to_string(),
            ArgAction::Append => format!("{values:?}"),
            _ => match values.as_slice() {
                [] => {
                    let _ = writeln!(text, "# {long} is not set");
                    continue;
                }
                [one] => quoted(one),
                all => format!("{all:?}"),
            },
        };
        let _ = writeln!(text, "{long} = {shown}  # {from}");
    }
    text
}

/// As TOML writes it.
fn quoted(value: &str) -> String {
    let is_number = value.parse::<i64>().is_ok()
        || value.contains('.') && value.parse().is_ok_and(f64::is_finite);
    if is_number {
        value.to_owned()
    } else {
        toml::Value::from(value).to_string()
    }
}

/// Whether a name is that of something that nobody should see.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["key", "secret", "token", "password"]
        .iter()
        .any(|word| name.ends_with(word))
}
