//! What monitors find, as plain values in base units, and the traits of those who want to be told.
//!
//! A monitor takes samples and knows no names of metrics; a set of metrics takes samples and knows no driver. A service
//! brings the two together.

mod present;

pub mod gpu;
pub mod health;
pub mod host;
pub mod http;

pub use present::Present;
