//! The `inferometer` program.

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};

use inferometer_cli::{
    cli::{self, Cli, Reading},
    command,
    config::ConfigError,
    failure, logging,
};

fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(Reading::Run(cli)) => cli,
        Ok(Reading::Print(text)) => return print(&text),
        Err(ConfigError::Arguments(error)) => error.exit(),
        Err(error @ ConfigError::File(_)) => {
            failure::print(&error.into());
            return ExitCode::from(2);
        }
    };
    // On a terminal the demo shows one line that moves; a log line for each request would push it away.
    let quiet = matches!(cli.command, cli::Command::Demo(_)) && io::stderr().is_terminal();
    let level = if quiet { "warn" } else { "info" };
    let done = logging::start(cli.log_format, level).and_then(|()| command::run(cli.command));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            failure::print(&error);
            ExitCode::FAILURE
        }
    }
}

/// Standard output may be closed, as by `head`: that's no failure.
fn print(text: &str) -> ExitCode {
    drop(io::stdout().write_all(text.as_bytes()));
    ExitCode::SUCCESS
}
