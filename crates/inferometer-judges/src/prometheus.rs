//! A real Prometheus for one test: own port, own data folder, gone with the value.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    JudgeError,
    exposition::{labels, number},
    http, program,
};

/// How long to wait for something that takes a second or two on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A scrape job: a name and the addresses it scrapes, every second, at `/metrics` unless told otherwise.
#[derive(Debug, Clone)]
pub struct Job {
    name: String,
    targets: Vec<SocketAddr>,
    path: String,
}

impl Job {
    /// A job of this name with one target.
    #[must_use]
    pub fn new(name: &str, target: SocketAddr) -> Self {
        Self {
            name: name.to_owned(),
            targets: vec![target],
            path: "/metrics".to_owned(),
        }
    }

    /// Adds a target.
    #[must_use]
    pub fn target(mut self, target: SocketAddr) -> Self {
        self.targets.push(target);
        self
    }

    /// Scrapes this path.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// The job as JSON, which is YAML too: nothing needs another escaping.
    fn config(&self) -> Value {
        let targets: Vec<String> = self.targets.iter().map(ToString::to_string).collect();
        serde_json::json!({
            "job_name": self.name,
            "metrics_path": self.path,
            "static_configs": [{ "targets": targets }],
        })
    }
}

/// A running Prometheus. Dropping it ends the process and removes its data.
#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

/// A series of an instant query.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The labels, `__name__` among them where the query keeps it.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

/// A series of a range query.
#[derive(Debug, Clone, PartialEq)]
pub struct Points {
    /// The labels, `__name__` among them where the query keeps it.
    pub labels: BTreeMap<String, String>,
    /// Unix time in seconds, and the value then.
    pub points: Vec<(f64, f64)>,
}

impl Prometheus {
    /// Starts a server that scrapes `jobs` each second, and returns when every target is up.
    ///
    /// # Errors
    /// Prometheus is missing or does not start, or a target does not come up within a minute; with the reason that
    /// Prometheus gives for each.
    pub fn scraping(jobs: &[Job]) -> Result<Self, JudgeError> {
        let config = serde_json::json!({
            "global": { "scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s" },
            "scrape_configs": jobs.iter().map(Job::config).collect::<Vec<_>>(),
        });
        let prometheus = Self::with_config(&config.to_string())?;
        prometheus.wait_until_up(jobs.iter().map(|job| job.targets.len()).sum())?;
        Ok(prometheus)
    }

    /// Starts a server with this configuration file (YAML), and returns when it answers queries.
    ///
    /// # Errors
    /// Prometheus is missing, or ends or stays silent instead of getting ready; with its last words.
    pub fn with_config(config: &str) -> Result<Self, JudgeError> {
        let mut tries = 1..=5;
        loop {
            let mut prometheus = Self::spawn(config)?;
            match prometheus.wait_until_ready() {
                // Between choosing a free port and taking it, another process may have been faster.
                Err(_)
                    if tries.next().is_some()
                        && prometheus.log().contains("address already in use") => {}
                result => return result.map(|()| prometheus),
            }
        }
    }

    fn spawn(config: &str) -> Result<Self, JudgeError> {
        let program = program::find("prometheus")?;
        let start = || -> io::Result<Self> {
            let folder = tempfile::tempdir()?;
            let file = folder.path().join("prometheus.yml");
            fs::write(&file, config)?;
            let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
            let log = File::create(folder.path().join("log"))?;
            let child = Command::new(&program)
                .arg(format!("--config.file={}", file.display()))
                .arg(format!(
                    "--storage.tsdb.path={}",
                    folder.path().join("data").display()
                ))
                .arg(format!("--web.listen-address={address}"))
                .arg("--enable-feature=exemplar-storage")
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

    /// Returns when `targets` targets are known and every one is up.
    fn wait_until_up(&self, targets: usize) -> Result<(), JudgeError> {
        let started = Instant::now();
        loop {
            let answer = self.api("targets?state=active")?;
            let known = answer["activeTargets"]
                .as_array()
                .map_or(&[][..], Vec::as_slice);
            if known.len() == targets && known.iter().all(|target| target["health"] == "up") {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                let reasons: Vec<String> = known
                    .iter()
                    .map(|target| {
                        format!(
                            "{} is {}: {}",
                            target["scrapeUrl"], target["health"], target["lastError"]
                        )
                    })
                    .collect();
                return Err(self.failure(&format!(
                    "has not all {targets} targets up; {}",
                    reasons.join("; ")
                )));
            }
            pause();
        }
    }

    /// Returns when every target has been scraped anew by a scrape that began after this call: queries then see what was
    /// recorded before it.
    ///
    /// # Errors
    /// A target was not scraped within a minute.
    pub fn wait_for_fresh_scrape(&self) -> Result<(), JudgeError> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |time| time.as_secs_f64());
        let targets = self
            .query("count(up)")?
            .first()
            .map_or(0.0, |series| series.value);
        // A sample bears the time at which its scrape began.
        let fresh = format!("count(timestamp(up) > {now:.3}) == {targets}");
        let started = Instant::now();
        while self.query(&fresh)?.is_empty() {
            if started.elapsed() > PATIENCE {
                return Err(self.failure("did not scrape every target anew"));
            }
            pause();
        }
        Ok(())
    }

    /// Where the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Evaluates `expression` now. A scalar is one series without labels; no data is an empty answer.
    ///
    /// # Errors
    /// Prometheus refuses the expression, or does not answer.
    pub fn query(&self, expression: &str) -> Result<Vec<Series>, JudgeError> {
        let data = self.api(&format!("query?query={}", http::escape(expression)))?;
        let series = match data["resultType"].as_str() {
            Some("scalar") => point(&data["result"]).map(|(_, value)| {
                vec![Series {
                    labels: BTreeMap::new(),
                    value,
                }]
            }),
            _ => data["result"]
                .as_array()
                .and_then(|found| found.iter().map(instant).collect()),
        };
        series.ok_or_else(|| self.failure(&format!("answered {expression:?} with {data}")))
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
        let data = self.api(&format!(
            "query_range?query={expression}&start={start}&end={end}&step={step}"
        ))?;
        let series = data["result"]
            .as_array()
            .and_then(|found| found.iter().map(range).collect());
        series.ok_or_else(|| self.failure(&format!("answered a range query with {data}")))
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

fn point(printed: &Value) -> Option<(f64, f64)> {
    Some((printed[0].as_f64()?, number(&printed[1])?))
}

fn instant(printed: &Value) -> Option<Series> {
    Some(Series {
        labels: labels(&printed["metric"])?,
        value: point(&printed["value"])?.1,
    })
}

fn range(printed: &Value) -> Option<Points> {
    let points = printed["values"]
        .as_array()?
        .iter()
        .map(point)
        .collect::<Option<_>>()?;
    Some(Points {
        labels: labels(&printed["metric"])?,
        points,
    })
}
