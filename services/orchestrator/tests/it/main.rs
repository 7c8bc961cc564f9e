//! The orchestrator as a whole.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what the tests share fails as they do"
)]

mod gate;
mod pipeline;

#[cfg(feature = "metrics-server")]
mod isolation;
#[cfg(feature = "metrics-server")]
mod openai;
#[cfg(feature = "metrics-server")]
mod refusals;
#[cfg(feature = "metrics-server")]
mod scrape;
#[cfg(feature = "metrics-server")]
mod served;
#[cfg(feature = "metrics-server")]
mod sockets;
#[cfg(feature = "metrics-server")]
mod upstreams;
