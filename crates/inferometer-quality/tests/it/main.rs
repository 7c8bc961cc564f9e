//! The crate from outside.

mod agreement;
mod alarms;
mod drift;
mod journal;
mod metrics;
#[cfg(feature = "postgres")]
mod postgres;
mod properties;
mod scores;
#[cfg(feature = "sqlite")]
mod sqlite;
mod stores;
