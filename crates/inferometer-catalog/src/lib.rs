//! The metric catalogue: every metric of the systems that Inferometer serves, each named in one place.
//!
//! A domain is a module: its labels, its set, and how its requests record.

mod clock;
mod component;
mod domain;

pub mod orchestrator;
pub mod predict;
pub mod rerank;
pub mod vla;

pub use domain::{Domain, domain, domains};
