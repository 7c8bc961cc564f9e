//! The `inferometer` program.

use std::process::ExitCode;

use inferometer_cli::{cli::Cli, command, failure, logging};

fn main() -> ExitCode {
    let cli = Cli::read(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let done = logging::start(cli.log_format).and_then(|()| command::run(cli.command));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            failure::print(&error);
            ExitCode::FAILURE
        }
    }
}
