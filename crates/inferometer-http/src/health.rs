//! What `/health` says.

use std::fmt;

/// Whether a service can do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It can.
    Healthy,
    /// It can't, and why.
    Unhealthy(String),
}

impl fmt::Display for Health {
    /// As JSON: `{"status":"healthy"}`, or `{"status":"unhealthy","reason":"…"}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Healthy => write!(f, r#"{{"status":"healthy"}}"#),
            Self::Unhealthy(reason) => {
                let reason = serde_json::Value::from(reason.as_str());
                write!(f, r#"{{"status":"unhealthy","reason":{reason}}}"#)
            }
        }
    }
}
