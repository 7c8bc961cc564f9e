use std::net::SocketAddr;

use serde_json::{Value, json};

use super::Release;
use crate::JudgeError;

/// A format that a server can be told to ask its targets for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// The text format, version 0.0.4.
    Text,
    /// OpenMetrics text, version 1.0.0.
    OpenMetrics,
    /// The protobuf format, messages delimited by their length.
    Protobuf,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 3] = [Self::Text, Self::OpenMetrics, Self::Protobuf];

    /// What to write in `Accept` to be answered in this one.
    #[must_use]
    pub const fn accept(self) -> &'static str {
        match self {
            Self::Text => "text/plain;version=0.0.4",
            Self::OpenMetrics => "application/openmetrics-text;version=1.0.0",
            Self::Protobuf => {
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
            }
        }
    }

    /// Its name among a server's `scrape_protocols`.
    const fn configured(self) -> &'static str {
        match self {
            Self::Text => "PrometheusText0.0.4",
            Self::OpenMetrics => "OpenMetricsText1.0.0",
            Self::Protobuf => "PrometheusProto",
        }
    }
}

/// A scrape job: a name and the addresses it scrapes, every second, at `/metrics` unless told otherwise.
#[derive(Debug, Clone)]
pub struct Job {
    name: String,
    pub(super) targets: Vec<SocketAddr>,
    path: String,
    protocol: Option<Protocol>,
    classic_too: bool,
}

impl Job {
    /// A job of this name with one target.
    #[must_use]
    pub fn new(name: &str, target: SocketAddr) -> Self {
        Self {
            name: name.to_owned(),
            targets: vec![target],
            path: "/metrics".to_owned(),
            protocol: None,
            classic_too: false,
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

    /// Asks for this protocol alone, which only a release that [can choose](Release::chooses_protocols) does. Without it the
    /// server asks for what it likes best.
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// Keeps the classic buckets of a histogram that has native ones too, which only a release that
    /// [can keep both](Release::keeps_classic_beside_native) does. Others keep the native ones alone, once these are switched on.
    #[must_use]
    pub fn classic_beside_native(mut self) -> Self {
        self.classic_too = true;
        self
    }

    /// The job as JSON, which is YAML too: nothing needs another escaping.
    pub(super) fn config(&self, release: &Release) -> Result<Value, JudgeError> {
        let refuse = |what: &str| {
            JudgeError::new(format!("job {}: {release} can't be told {what}", self.name))
        };
        let targets: Vec<String> = self.targets.iter().map(ToString::to_string).collect();
        let mut config = json!({
            "job_name": self.name,
            "metrics_path": self.path,
            "static_configs": [{ "targets": targets }],
        });
        if let Some(protocol) = self.protocol {
            if !release.chooses_protocols() {
                return Err(refuse("which protocol to ask for"));
            }
            config["scrape_protocols"] = json!([protocol.configured()]);
        }
        if self.classic_too {
            let key = release
                .classic_key()
                .ok_or_else(|| refuse("to keep classic buckets beside native ones"))?;
            config[key] = true.into();
        }
        Ok(config)
    }
}
