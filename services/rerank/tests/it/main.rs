//! The cross-encoder server, driven through its sockets.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "tests fail where they stand, and count little"
)]

mod contract;
mod counts;
mod crowd;
mod foreign;
mod gpus;
mod promises;
mod served;
mod tally;
mod watched;
