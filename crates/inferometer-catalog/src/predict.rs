//! The prediction API: what it shows of its machine.

pub mod gpu;
pub mod health;
pub mod host;
pub mod http;
