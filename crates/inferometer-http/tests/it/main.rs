//! Every promise of the server, over real sockets.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should panic where it stands"
)]

mod access;
mod client;
mod drain;
mod http2;
mod limits;
mod log;
mod mounted;
mod open;
mod openapi;
mod pages;
mod refusals;
mod server;
mod tls;
