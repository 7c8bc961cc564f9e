//! The crate from outside.

mod agreement;
mod alarms;
mod drift;
mod properties;
mod scores;
