//! Training programs for the small models in this repository, a module each.

pub mod language_model;
