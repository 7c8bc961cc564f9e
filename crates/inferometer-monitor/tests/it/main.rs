//! The monitors as a service uses them: scheduled, asked and scraped.

#[cfg(feature = "gpu")]
mod gpu;
mod health;
mod host;
mod scheduler;
