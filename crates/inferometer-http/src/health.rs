//! What `/health` and its kin say.

use std::{fmt, time::SystemTime};

use http::StatusCode;
use serde_json::{Map, Value, json};

/// Whether a service can do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It can.
    Healthy,
    /// It can, but not as it should, and why.
    Degraded(String),
    /// It can't, and why.
    Unhealthy(String),
    /// Nobody knows.
    Unknown,
}

impl Health {
    /// In one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded(_) => "degraded",
            Self::Unhealthy(_) => "unhealthy",
            Self::Unknown => "unknown",
        }
    }

    /// Why it isn't healthy.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Healthy | Self::Unknown => None,
            Self::Degraded(reason) | Self::Unhealthy(reason) => Some(reason),
        }
    }

    /// 503 when it can't do its work, else 200.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Unhealthy(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Healthy | Self::Degraded(_) | Self::Unknown => StatusCode::OK,
        }
    }

    fn json(&self) -> Map<String, Value> {
        let mut json = Map::new();
        json.insert("status".into(), self.word().into());
        if let Some(reason) = self.reason() {
            json.insert("reason".into(), reason.into());
        }
        json
    }

    pub(crate) fn report(&self) -> Value {
        let mut json = self.json();
        json.insert("timestamp".into(), timestamp().into());
        json.into()
    }
}

impl fmt::Display for Health {
    /// As JSON: `{"status":"healthy"}`, or `{"reason":"…","status":"unhealthy"}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Value::from(self.json()))
    }
}

/// A part of a service, and how it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Component {
    /// Its name. `database`, `redis`, `gpu`, `models`, `inference` and `queue` are always listed, as `unknown` where nobody tells.
    pub name: String,
    /// How it is.
    pub health: Health,
    /// What else is known of it.
    pub details: Map<String, Value>,
}

impl Component {
    /// A component of which nothing else is known.
    pub fn new(name: impl Into<String>, health: Health) -> Self {
        Self {
            name: name.into(),
            health,
            details: Map::new(),
        }
    }

    /// Adds a detail.
    #[must_use]
    pub fn detail(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.details.insert(name.into(), value.into());
        self
    }
}

/// The components that `vla` lists.
const LISTED: [&str; 6] = ["database", "redis", "gpu", "models", "inference", "queue"];

pub(crate) fn detailed(health: &Health, components: Vec<Component>) -> Value {
    let mut all: Map<String, Value> = LISTED
        .into_iter()
        .map(|name| (name.into(), json!({ "status": "unknown" })))
        .collect();
    for component in components {
        let mut json = component.health.json();
        if !component.details.is_empty() {
            json.insert("details".into(), component.details.into());
        }
        all.insert(component.name, json.into());
    }
    let mut report = health.json();
    report.insert("timestamp".into(), timestamp().into());
    report.insert("components".into(), all.into());
    report.into()
}

/// Now, as RFC 3339 in UTC.
pub(crate) fn timestamp() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unhealthy_says_why_and_everything_listed_is_there() {
        let health = Health::Unhealthy("the \"database\" is away".into());
        assert_eq!(
            health.to_string(),
            r#"{"reason":"the \"database\" is away","status":"unhealthy"}"#
        );
        let gpu = Component::new("gpu", Health::Degraded("hot".into())).detail("devices", 2);
        let report = detailed(&health, vec![gpu]);
        assert_eq!(
            report["components"]["redis"],
            json!({ "status": "unknown" })
        );
        assert_eq!(
            report["components"]["gpu"],
            json!({ "status": "degraded", "reason": "hot", "details": { "devices": 2 } })
        );
        assert_eq!(report["status"], "unhealthy");
        let time = report["timestamp"].as_str().unwrap();
        assert!(humantime::parse_rfc3339(time).is_ok(), "{time}");
    }
}
