//! The built program at work, for one test; gone with the value.

use std::{
    fs::{self, File},
    net::SocketAddr,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// How long to wait for something that takes seconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A command that runs the program, deaf to this machine's own settings.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inferometer"));
    for name in [
        "RUST_LOG",
        "OPENAI_API_KEY",
        "METRICS_ENABLED",
        "GPU_MONITORING_ENABLED",
        "CUDA_VISIBLE_DEVICES",
    ] {
        command.env_remove(name);
    }
    command
}

/// A service in a process of its own.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    folder: TempDir,
    /// What the addresses file says of it.
    addresses: Value,
}

impl Running {
    /// Starts the program with these arguments on free ports, and returns when its addresses file is there.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("addresses.json");
        let stream = |name| File::create(folder.path().join(name)).unwrap();
        let mut child = program()
            .args(arguments)
            .args(["--ports", "auto", "--addresses"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(stream("stdout"))
            .stderr(stream("stderr"))
            .spawn()
            .unwrap();
        until("the addresses file", || {
            let ended = child.try_wait().unwrap();
            let said = || fs::read_to_string(folder.path().join("stderr"));
            assert_eq!(ended, None, "{arguments:?}: {:?}", said());
            file.is_file()
        });
        let written: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let services = written.as_object().unwrap();
        assert_eq!(services.len(), 1, "{written}");
        Self {
            child,
            folder,
            addresses: services.values().next().unwrap().clone(),
        }
    }

    /// Where its API listens.
    pub(crate) fn api(&self) -> SocketAddr {
        self.address("api")
    }

    /// Where its metrics are.
    pub(crate) fn metrics(&self) -> SocketAddr {
        self.address("metrics")
    }

    /// What the addresses file says of `what`.
    pub(crate) fn url(&self, what: &str) -> Option<&str> {
        self.addresses[what].as_str()
    }

    fn address(&self, what: &str) -> SocketAddr {
        let url = self.url(what).unwrap();
        let (_scheme, rest) = url.split_once("://").unwrap();
        rest.split('/').next().unwrap().parse().unwrap()
    }

    /// What it has printed so far on `stdout` or `stderr`.
    pub(crate) fn printed(&self, stream: &str) -> String {
        fs::read_to_string(self.folder.path().join(stream)).unwrap()
    }

    /// Sends a signal, such as `INT`, and returns how the program ended and after how long.
    pub(crate) fn end(mut self, signal: &str) -> (ExitStatus, Duration) {
        let started = Instant::now();
        let sent = Command::new("kill")
            .args(["-s", signal, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
        let mut ended = None;
        until("the end of the program", || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        (ended.unwrap(), started.elapsed())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Looks every few milliseconds whether `condition` holds.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
