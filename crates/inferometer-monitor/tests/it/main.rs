//! The monitors, from outside.

#[cfg(feature = "gpu")]
mod gpu;
