//! The layers over real sockets: around axum's router, under a raw client, and around tonic.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should panic where it stands"
)]
mod context;
mod documents;
mod grpc;
mod hostile;
mod http;
mod hyper;
mod leaving;
mod limit;
mod world;
