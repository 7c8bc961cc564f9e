//! The GPU monitor on a driver that does as it is told.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what the tests share fails as they do"
)]

mod calls;
mod driver;
mod figures;
mod hangs;
mod hooks;
mod inference;
mod losses;
mod machine;
mod parts;
mod replay;
mod views;
