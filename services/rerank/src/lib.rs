//! A cross-encoder server: a query and passages in, a score for each passage out.

pub mod encoder;
