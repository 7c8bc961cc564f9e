//! What the crate promises: values that agree with other libraries', alarms that come and don't, and labels that aren't lost.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should panic where it stands"
)]

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
mod waiting;
