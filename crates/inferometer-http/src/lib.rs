//! Endpoints for scraping, on a thread and a runtime of their own: a service whose own runtime is blocked still answers its scrape.

mod health;
mod negotiation;
mod server;

pub mod layers;

pub use health::Health;
pub use negotiation::negotiate;
pub use server::{MetricsServer, ServeError, ServerHandle};
