//! A real Prometheus for one test: own port, own data folder, gone with the value.

mod answer;
mod job;
mod release;

use std::{
    cell::RefCell,
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use tempfile::TempDir;

pub use self::{
    answer::{Metadata, NativeSeries, Points, Series, StoredExemplar, Target},
    job::{Job, Protocol},
    release::{Feature, Release},
};
use crate::{JudgeError, http};

/// How long to wait for something that takes a second or two on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running Prometheus. Dropping it ends the process and removes its data.
#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Prometheus {
    /// Starts the installed release, with exemplars kept, and returns when every target is up: see [`Release::scraping`].
    ///
    /// # Errors
    /// As there, or Prometheus is missing.
    pub fn scraping(jobs: &[Job]) -> Result<Self, JudgeError> {
        Release::installed()?.scraping(jobs, &[Feature::ExemplarStorage])
    }

    /// Starts the installed release, with exemplars kept, and returns when it answers queries: see [`Release::with_config`].
    ///
    /// # Errors
    /// As there, or Prometheus is missing.
    pub fn with_config(config: &str) -> Result<Self, JudgeError> {
        Release::installed()?.with_config(config, &[Feature::ExemplarStorage])
    }

    fn start(release: &Release, config: &str, features: &[Feature]) -> Result<Self, JudgeError> {
        let mut tries = 1..=5;
        loop {
            let mut prometheus = Self::spawn(release, config, features)?;
            match prometheus.wait_until_ready() {
                // Between choosing a free port and taking it, another process may have been faster.
                Err(_)
                    if tries.next().is_some()
                        && prometheus.log().contains("address already in use") => {}
                result => return result.map(|()| prometheus),
            }
        }
    }

    fn spawn(release: &Release, config: &str, features: &[Feature]) -> Result<Self, JudgeError> {
        let program = &release.prometheus;
        let start = || -> io::Result<Self> {
            let folder = tempfile::tempdir()?;
            let file = folder.path().join("prometheus.yml");
            fs::write(&file, config)?;
            let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
            let log = File::create(folder.path().join("log"))?;
            let child = Command::new(program)
                .arg(format!("--config.file={}", file.display()))
                .arg(format!(
                    "--storage.tsdb.path={}",
                    folder.path().join("data").display()
                ))
                .arg(format!("--web.listen-address={address}"))
                .args(
                    features
                        .iter()
                        .map(|feature| format!("--enable-feature={}", feature.flag())),
                )
                .current_dir(folder.path())
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log)
                .spawn()?;
            Ok(Self {
                child,
                address,
                folder,
            })
        };
        start().map_err(|error| JudgeError::new(format!("starting {}: {error}", program.display())))
    }

    fn wait_until_ready(&mut self) -> Result<(), JudgeError> {
        let data = self.folder.path().join("data").display().to_string();
        let started = Instant::now();
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.failure(&format!("ended ({status}) instead of getting ready")));
            }
            // A server on this port that keeps its data elsewhere is not ours.
            let ours = self
                .api("status/flags")
                .is_ok_and(|flags| flags["storage.tsdb.path"] == data.as_str());
            if ours
                && http::get(self.address, "/-/ready", None)
                    .is_ok_and(|answer| answer.status == 200)
            {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                return Err(self.failure("is not ready"));
            }
            pause();
        }
    }

    /// Asks `look` again and again until it finds something. `fault` says what is wrong when it finds nothing for a minute.
    fn until<T>(
        &self,
        mut look: impl FnMut() -> Result<Option<T>, JudgeError>,
        fault: impl FnOnce() -> String,
    ) -> Result<T, JudgeError> {
        let started = Instant::now();
        loop {
            if let Some(found) = look()? {
                return Ok(found);
            }
            if started.elapsed() > PATIENCE {
                return Err(self.failure(&fault()));
            }
            pause();
        }
    }

    /// The targets, once they are `count` and `settled` holds of each.
    fn targets_once(
        &self,
        count: usize,
        settled: impl Fn(&Target) -> bool,
        fault: &str,
    ) -> Result<Vec<Target>, JudgeError> {
        let known = RefCell::new(Vec::new());
        let look = || {
            let targets = self.targets()?;
            if targets.len() == count && targets.iter().all(&settled) {
                return Ok(Some(targets));
            }
            known.replace(targets);
            Ok(None)
        };
        self.until(look, || {
            let reasons = known.borrow();
            let reasons = reasons.iter().map(|target| {
                format!(
                    "; {} is {}: {}",
                    target.url, target.health, target.last_error
                )
            });
            format!("{fault} {count} targets{}", reasons.collect::<String>())
        })
    }

    /// Returns when `targets` targets are known and every one is up.
    fn wait_until_up(&self, targets: usize) -> Result<(), JudgeError> {
        let up = |target: &Target| target.health == "up";
        self.targets_once(targets, up, "has not up all").map(drop)
    }

    /// The targets, once they are `count` and each was scraped, well or not.
    ///
    /// # Errors
    /// A target was not scraped within a minute.
    pub fn tried_targets(&self, count: usize) -> Result<Vec<Target>, JudgeError> {
        let tried = |target: &Target| target.health != "unknown";
        self.targets_once(count, tried, "has not tried all")
    }

    /// Returns when every target has been scraped anew by a scrape that began after this call and went well: queries then see
    /// what was recorded before it.
    ///
    /// # Errors
    /// A target was not scraped within a minute.
    pub fn wait_for_fresh_scrape(&self) -> Result<(), JudgeError> {
        let now = now();
        let targets = self
            .query("count(up)")?
            .first()
            .map_or(0.0, |series| series.value);
        // A sample bears the time at which its scrape began.
        let fresh = format!("count(timestamp(up) > {now:.3} and up == 1) == {targets}");
        self.until(
            || Ok(self.query(&fresh)?.pop().map(drop)),
            || "did not scrape every target anew".to_owned(),
        )
    }

    /// Where the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Evaluates `expression` now. A scalar is one series without labels; no data is an empty answer.
    ///
    /// # Errors
    /// Prometheus refuses the expression, does not answer, or answers with native histograms.
    pub fn query(&self, expression: &str) -> Result<Vec<Series>, JudgeError> {
        self.ask(&instant(expression), answer::series)
    }

    /// Evaluates `expression` again and again until it finds something.
    ///
    /// # Errors
    /// As [`query`](Self::query), or it finds nothing within a minute.
    pub fn query_until_found(&self, expression: &str) -> Result<Vec<Series>, JudgeError> {
        let look = || Ok(Some(self.query(expression)?).filter(|found| !found.is_empty()));
        self.until(look, || format!("knows nothing of {expression}"))
    }

    /// Evaluates `expression`, whose result is native histograms, now.
    ///
    /// # Errors
    /// Prometheus refuses the expression, does not answer, or answers with plain values.
    pub fn query_native(&self, expression: &str) -> Result<Vec<NativeSeries>, JudgeError> {
        self.ask(&instant(expression), answer::native)
    }

    /// Evaluates `expression` from `start` to `end` (Unix time, seconds) every `step` seconds.
    ///
    /// # Errors
    /// Prometheus refuses the expression or the range, or does not answer.
    pub fn query_range(
        &self,
        expression: &str,
        start: f64,
        end: f64,
        step: f64,
    ) -> Result<Vec<Points>, JudgeError> {
        let expression = http::escape(expression);
        let path = format!("query_range?query={expression}&start={start}&end={end}&step={step}");
        self.ask(&path, answer::points)
    }

    /// The exemplars kept of the series that `selector` names: those of the last hour, and those a minute ahead of this clock.
    ///
    /// # Errors
    /// Prometheus refuses the selector, or does not answer.
    pub fn exemplars(&self, selector: &str) -> Result<Vec<StoredExemplar>, JudgeError> {
        let (selector, now) = (http::escape(selector), now());
        let (start, end) = (now - 3600.0, now + 60.0);
        let path = format!("query_exemplars?query={selector}&start={start:.3}&end={end:.3}");
        self.ask(&path, answer::exemplars)
    }

    /// Every target, and how its last scrape went.
    ///
    /// # Errors
    /// Prometheus does not answer.
    pub fn targets(&self) -> Result<Vec<Target>, JudgeError> {
        self.ask("targets?state=active", answer::targets)
    }

    /// What the targets of `job` say about their families.
    ///
    /// # Errors
    /// Prometheus does not answer.
    pub fn metadata(&self, job: &str) -> Result<Vec<Metadata>, JudgeError> {
        let selector = http::escape(&format!("{{job=\"{job}\"}}"));
        let path = format!("targets/metadata?match_target={selector}");
        self.ask(&path, answer::metadata)
    }

    fn ask<T>(&self, path: &str, read: fn(&Value) -> Option<T>) -> Result<T, JudgeError> {
        let data = self.api(path)?;
        read(&data).ok_or_else(|| self.failure(&format!("answered {path} with {data}")))
    }

    /// Asks `/api/v1/PATH` and returns the answer's `data`.
    ///
    /// # Errors
    /// Prometheus refuses, or does not answer.
    pub fn api(&self, path: &str) -> Result<Value, JudgeError> {
        let answer = http::get(self.address, &format!("/api/v1/{path}"), None)?;
        let mut json: Value = serde_json::from_slice(&answer.body).map_err(|_| {
            self.failure(&format!(
                "answered {} to {path}: {}",
                answer.status,
                answer.text()
            ))
        })?;
        if json["status"] == "success" {
            return Ok(json["data"].take());
        }
        Err(JudgeError::new(format!(
            "Prometheus refuses {path}: {}",
            json["error"]
        )))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn failure(&self, what: &str) -> JudgeError {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(8)..].join("\n");
        JudgeError::new(format!(
            "Prometheus at {} {what}. Its last words:\n{last}",
            self.address
        ))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself, and its data goes with the folder: there is nothing to save.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Between two looks at a condition.
fn pause() {
    thread::sleep(Duration::from_millis(30));
}

fn instant(expression: &str) -> String {
    format!("query?query={}", http::escape(expression))
}

/// Unix time in seconds.
fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |time| time.as_secs_f64())
}
