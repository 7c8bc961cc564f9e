//! The cross-encoder server: what it shows of its machine.

pub mod gpu;
pub mod host;
pub mod http;
