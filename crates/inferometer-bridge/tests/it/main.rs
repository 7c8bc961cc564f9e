//! The bridge as programs use it, beside the exporter whose place it takes.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what the tests share fails as they do"
)]

mod concurrency;
mod limits;
mod naming;
mod page;
mod recording;
mod same;
