//! The monitors as programs use them.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what the tests share fails as they do"
)]

mod host;
