//! The monitors as a service uses them: scheduled, asked and scraped.

#![expect(clippy::unwrap_used, reason = "what the tests share fails as they do")]

#[cfg(feature = "gpu")]
mod gpu;
mod health;
mod host;
mod scheduler;
