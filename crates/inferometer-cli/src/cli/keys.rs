//! The options of `inferometer keys`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use inferometer_http::Scope;

/// Options of `inferometer keys`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  inferometer keys new prometheus --file keys.txt                  may scrape
  inferometer keys new ann --scopes metrics,stats --file keys.txt
  inferometer keys check --file keys.txt
  inferometer agent --keys keys.txt --access metrics=key

A key is printed once and kept nowhere: the file has its hash alone. Who asks sends it as
  X-API-Key: KEY      or      Authorization: Bearer KEY
A server takes changes of its file by itself; to withdraw a key, take its line out.")]
pub struct KeysArgs {
    /// What to do with keys.
    #[command(subcommand)]
    pub command: KeysCommand,
}

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key, add it to a file, and print it.
    New(NewKeyArgs),
    /// Say whether a file can be used, and how many keys it has.
    Check(CheckKeysArgs),
}

/// Options of `inferometer keys new`.
#[derive(Args, Debug)]
pub struct NewKeyArgs {
    /// Whose key it is: 1 to 64 letters, digits and - . _
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What it is good for, separated by commas: metrics (the scrape), stats (health in detail, statistics), admin (all).
    #[arg(long, value_delimiter = ',', default_value = "metrics", value_parser = scope, value_name = "SCOPES")]
    pub scopes: Vec<Scope>,
    /// The key file; it is made if it isn't there.
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
}

/// Options of `inferometer keys check`.
#[derive(Args, Debug)]
pub struct CheckKeysArgs {
    /// The key file.
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::ALL
        .into_iter()
        .find(|scope| scope.name() == text)
        .ok_or_else(|| format!("the scopes are {}", Scope::ALL.map(Scope::name).join(", ")))
}
