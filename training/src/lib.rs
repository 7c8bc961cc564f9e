//! Training programs for the small models in this repository, a module each.

mod checkpoint;
pub mod cross_encoder;
mod kernels;
pub mod language_model;
pub mod optimizer;
