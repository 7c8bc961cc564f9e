//! Finds and runs the programs that `scripts/setup` installs.

use std::{
    env,
    ffi::OsStr,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
};

use serde_json::Value;

use crate::JudgeError;

/// The repository's root: this crate lives two folders below it.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Finds `name` among the folders of `PATH`.
pub(crate) fn find(name: &str) -> Result<PathBuf, JudgeError> {
    env::var_os("PATH")
        .iter()
        .flat_map(env::split_paths)
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| {
            JudgeError::new(format!(
                "{name} is not in PATH: run scripts/setup, which installs it"
            ))
        })
}

/// The Python that has the judges' packages: `INFEROMETER_PYTHON`, or the repository's `.venv`.
fn python() -> Result<PathBuf, JudgeError> {
    let python = env::var_os("INFEROMETER_PYTHON")
        .map_or_else(|| root().join(".venv/bin/python"), PathBuf::from);
    if python.is_file() {
        return Ok(python);
    }
    Err(JudgeError::new(format!(
        "{} is missing: run scripts/setup, which makes it",
        python.display()
    )))
}

/// Runs `scripts/judges/SCRIPT` with `input` on its standard input, and returns what it printed.
///
/// # Errors
/// The script's own words when it exits with anything but 0.
pub(crate) fn run_python<A: AsRef<OsStr>>(
    script: &str,
    arguments: &[A],
    input: &[u8],
) -> Result<Vec<u8>, JudgeError> {
    run_python_with(script, arguments, &[], input)
}

/// What `scripts/judges/SCRIPT`, asked with nothing on its standard input, printed as JSON.
///
/// # Errors
/// As [`run_python`], or it printed something else.
pub(crate) fn ask_python(script: &str, arguments: &[&str]) -> Result<Value, JudgeError> {
    let printed = run_python(script, arguments, b"")?;
    serde_json::from_slice(&printed)
        .map_err(|error| JudgeError::new(format!("{script} printed no JSON: {error}")))
}

/// The same with more in its environment, where a secret belongs: everyone sees a program's arguments.
///
/// # Errors
/// As [`run_python`].
pub(crate) fn run_python_with<A: AsRef<OsStr>>(
    script: &str,
    arguments: &[A],
    environment: &[(&str, &str)],
    input: &[u8],
) -> Result<Vec<u8>, JudgeError> {
    let mut command = Command::new(python()?);
    command.envs(environment.iter().copied());
    // `-B`: no bytecode is left in the source tree.
    command
        .arg("-B")
        .arg(root().join("scripts/judges").join(script))
        .args(arguments);
    let output = run(&mut command, input)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(JudgeError::new(format!(
        "{script} ({}): {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}

/// Runs `command` to its end with `input` on its standard input.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Result<Output, JudgeError> {
    let failed =
        |program: &OsStr, error| JudgeError::new(format!("running {}: {error}", program.display()));
    let program = command.get_program().to_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&program, error))?;
    let mut stdin = child.stdin.take().expect("stdin was piped above");
    thread::scope(|scope| {
        // A program may print before it has read everything: writing and reading must not wait for each other. One that stops
        // reading early says why in its output, so a refused write is no error of its own.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output()
    })
    .map_err(|error| failed(&program, error))
}
