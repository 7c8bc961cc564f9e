//! What each subcommand does.

pub mod agent;
pub mod catalogue;
pub mod demo;
pub mod keys;
pub mod load;
pub mod serve;

use std::io;

use crate::{cli::Command, models};

/// Runs a subcommand to its end.
///
/// # Errors
///
/// What went wrong, and what to do about it.
pub fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Agent(args) => agent::run(&args),
        Command::Keys(args) => keys::run(&args.command),
        Command::Load(args) => load::run(&args),
        Command::Catalogue(args) => catalogue::run(&args),
        Command::Models(args) => models::run(&args.command, &mut io::stdout().lock()),
        Command::Demo(args) => demo::run(&args),
        Command::Serve(service) => serve::run(&service),
    }
}
