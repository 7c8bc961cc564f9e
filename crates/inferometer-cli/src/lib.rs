//! The parts of the `inferometer` program, for the program itself and for tests that drive it in process.
//!
//! - [`cli`]: what the command line may say, and its help;
//! - [`config`]: the same from a file and from the environment;
//! - [`command`]: what each subcommand does;
//! - [`load`]: load on an OpenAI-compatible endpoint;
//! - [`addresses`], [`banner`], [`loading`], [`summary`], [`terminal`], [`ticker`]: what people and scripts get to see;
//! - [`ports`], [`files`], [`logging`], [`ending`], [`failure`]: where the program meets its machine.

pub mod addresses;
pub mod banner;
pub mod cli;
pub mod command;
pub mod config;
pub mod ending;
pub mod failure;
pub mod files;
pub mod load;
pub mod loading;
pub mod logging;
pub mod ports;
pub mod summary;
pub mod terminal;
pub mod ticker;

mod models;
