//! `inferometer keys`.

use std::io::Write as _;

use anyhow::Context as _;
use inferometer_http::{NewKey, Scope, check_key_file};

use crate::cli::{KeysCommand, NewKeyArgs};

/// Makes a key, or checks a file of keys.
///
/// # Errors
///
/// When the name or the file can't be used.
pub fn run(command: &KeysCommand) -> anyhow::Result<()> {
    match command {
        KeysCommand::New(args) => new(args),
        KeysCommand::Check(args) => {
            let keys = check_key_file(&args.file)?;
            let (file, s) = (args.file.display(), if keys == 1 { "" } else { "s" });
            writeln!(std::io::stdout(), "{file}: {keys} key{s}")
                .context("can't write to the terminal")
        }
    }
}

/// The key alone is on standard output, for scripts; what is to be known of it is beside.
fn new(args: &NewKeyArgs) -> anyhow::Result<()> {
    let key = NewKey::generate(&args.name, &args.scopes)?;
    key.add_to(&args.file)?;
    let scopes = args.scopes.iter().copied().map(Scope::name);
    let scopes = scopes.collect::<Vec<_>>().join(", ");
    let (name, file) = (&args.name, args.file.display());
    // Whoever closed standard error doesn't want it.
    let _ = writeln!(
        std::io::stderr(),
        "{name} may ask for: {scopes}. Its hash is in {file}; the key itself is shown this once:"
    );
    writeln!(std::io::stdout(), "{}", key.secret()).context("can't write the key to the terminal")
}
