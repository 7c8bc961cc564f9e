//! Monitors of a machine and of a service: they sample on threads of their own and write what they found into a registry, so
//! that a scrape reads memory and never a driver or a kernel file.
//!
//! | for | see |
//! |---|---|
//! | GPUs | [`gpu`] |
//! | processors, memory, disks, temperatures, the process | [`host`] |
//! | work that is done again and again | [`scheduler`] |
//! | whether a service and what it depends on can do their work | [`health`] |

#[cfg(feature = "gpu")]
pub mod gpu;
pub mod health;
pub mod host;
pub mod scheduler;
