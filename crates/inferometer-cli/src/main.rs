//! The `inferometer` program.

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use inferometer_cli::{
    cli::{self, Cli},
    command, failure, logging,
};

fn main() -> ExitCode {
    let cli = Cli::read(std::env::args_os()).unwrap_or_else(|error| error.exit());
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
