use std::{
    fmt,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use serde_json::json;

use super::{Job, Prometheus};
use crate::{JudgeError, program};

/// Something that a server does only when it is told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Feature {
    /// Keep exemplars.
    ExemplarStorage,
    /// Ask for protobuf, and keep native histograms.
    NativeHistograms,
}

/// A version of Prometheus, with its promtool, that this machine has.
///
/// Users run both 2.x and 3.x, and these read a scrape differently: a test of what is scraped asks each of [`all`](Self::all).
#[derive(Debug, Clone)]
pub struct Release {
    pub(super) prometheus: PathBuf,
    pub(crate) promtool: PathBuf,
    name: String,
    version: (u32, u32),
}

impl Release {
    /// The one in `PATH`.
    ///
    /// # Errors
    /// There is none, or it doesn't run.
    pub fn installed() -> Result<Self, JudgeError> {
        Self::of(program::find("prometheus")?, program::find("promtool")?)
    }

    /// The one in `PATH`, and the newer one that `scripts/setup` unpacks where it can be had.
    ///
    /// # Errors
    /// There is none in `PATH`, or one doesn't run.
    pub fn all() -> Result<Vec<Self>, JudgeError> {
        let installed = Self::installed()?;
        let folder = program::root().join(".judges/prometheus-3");
        if installed.version.0 >= 3 || !folder.is_dir() {
            return Ok(vec![installed]);
        }
        let newer = Self::of(folder.join("prometheus"), folder.join("promtool"))?;
        Ok(vec![installed, newer])
    }

    /// Runs `judge` with each of [`all`](Self::all), side by side: a server finds its targets only after five seconds, and needs
    /// little else. A test's output says which there were.
    ///
    /// # Errors
    /// As [`all`](Self::all).
    ///
    /// # Panics
    /// If `judge` does; the message then names the release as its thread.
    pub fn each(judge: impl Fn(&Self) + Sync) -> Result<(), JudgeError> {
        let all = Self::all()?;
        thread::scope(|scope| {
            for release in &all {
                say(release);
                thread::Builder::new()
                    .name(release.to_string())
                    .spawn_scoped(scope, || judge(release))
                    .expect("a test's process may have another thread");
            }
        });
        Ok(())
    }

    fn of(prometheus: PathBuf, promtool: PathBuf) -> Result<Self, JudgeError> {
        let output = program::run(Command::new(&prometheus).arg("--version"), b"")?;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let (name, version) = version(&said).ok_or_else(|| unreadable(&prometheus, &said))?;
        Ok(Self {
            prometheus,
            promtool,
            name: name.to_owned(),
            version,
        })
    }

    /// Whether it can be told which protocol to ask a target for; others ask for protobuf when native histograms are switched
    /// on, and for OpenMetrics otherwise.
    #[must_use]
    pub fn chooses_protocols(&self) -> bool {
        self.version >= (2, 49)
    }

    /// Whether it can keep the classic buckets of a histogram that has native ones too.
    #[must_use]
    pub fn keeps_classic_beside_native(&self) -> bool {
        self.classic_key().is_some()
    }

    /// Each release refuses the others' key.
    pub(super) fn classic_key(&self) -> Option<&'static str> {
        match self.version {
            (3.., _) => Some("always_scrape_classic_histograms"),
            (2, 45..) => Some("scrape_classic_histograms"),
            _ => None,
        }
    }

    /// Whether it writes a bound of 1 as `le="1.0"` even where the scrape has `le="1"`.
    #[must_use]
    pub fn rewrites_bounds(&self) -> bool {
        self.version >= (3, 0)
    }

    /// Starts a server that scrapes `jobs` each second, and returns when every target is up.
    ///
    /// # Errors
    /// This release can't do what a job asks for, doesn't start, or a target doesn't come up within a minute; with the reason
    /// that Prometheus gives for each.
    pub fn scraping(&self, jobs: &[Job], features: &[Feature]) -> Result<Prometheus, JudgeError> {
        let scrapes: Vec<_> = jobs
            .iter()
            .map(|job| job.config(self))
            .collect::<Result<_, _>>()?;
        let mut config = json!({
            "global": { "scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s" },
            "scrape_configs": scrapes,
        });
        // From 3.8 on the configuration says it; from 3.9 on the flag has no effect.
        if self.version >= (3, 8) && features.contains(&Feature::NativeHistograms) {
            config["global"]["scrape_native_histograms"] = true.into();
        }
        let prometheus = self.with_config(&config.to_string(), features)?;
        prometheus.wait_until_up(jobs.iter().map(|job| job.targets.len()).sum())?;
        Ok(prometheus)
    }

    /// Starts a server with this configuration file (YAML), and returns when it answers queries.
    ///
    /// # Errors
    /// It ends or stays silent instead of getting ready; with its last words.
    pub fn with_config(
        &self,
        config: &str,
        features: &[Feature],
    ) -> Result<Prometheus, JudgeError> {
        Prometheus::start(self, config, features)
    }
}

impl fmt::Display for Release {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Prometheus {}", self.name)
    }
}

impl Feature {
    /// Its name for `--enable-feature`.
    pub(super) const fn flag(self) -> &'static str {
        match self {
            Self::ExemplarStorage => "exemplar-storage",
            Self::NativeHistograms => "native-histograms",
        }
    }
}

#[expect(
    clippy::print_stdout,
    reason = "this is a test's output; a passing test shows nothing"
)]
fn say(release: &Release) {
    println!("judged by {release}");
}

/// Reads `prometheus, version 2.42.0+ds (branch: …`.
fn version(said: &str) -> Option<(&str, (u32, u32))> {
    let (_, rest) = said.split_once("prometheus, version ")?;
    let name = rest.split_whitespace().next()?;
    let mut numbers = name.split('.').map(str::parse);
    Some((name, (numbers.next()?.ok()?, numbers.next()?.ok()?)))
}

fn unreadable(prometheus: &Path, said: &str) -> JudgeError {
    JudgeError::new(format!(
        "{} --version says no version: {said}",
        prometheus.display()
    ))
}
