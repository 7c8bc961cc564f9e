//! The metric catalogue.

pub mod orchestrator;
