//! The monitors as a service uses them: scheduled, asked and scraped.

#![expect(clippy::unwrap_used, reason = "what the tests share fails as they do")]

mod health;
mod scheduler;
