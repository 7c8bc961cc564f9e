//! The service over gRPC: [`proto`]'s `Reranker`, health and reflection.
//!
//! | call | what |
//! |---|---|
//! | `inferometer.rerank.v1.Reranker/Infer` | the scores of one request |
//! | `inferometer.rerank.v1.Reranker/InferStream` | those of many, each answered as soon as it is done |
//! | `grpc.health.v1.Health` | `NOT_SERVING` once the service shuts down; a watch is told so, and ends when the service has |
//! | `grpc.reflection.v1.ServerReflection`, `…v1alpha…` | what there is |
//!
//! **The end.** A stream that a client keeps open ends with `UNAVAILABLE` once the service has answered what was under way.
//!
//! **Deadlines.** `grpc-timeout` bounds a call. In a stream it bounds each request from its arrival on, and the call itself isn't cut off.
//!
//! | code | when |
//! |---|---|
//! | `INVALID_ARGUMENT` | nothing to score, too much of it, an empty text, a message that can't be read |
//! | `RESOURCE_EXHAUSTED` | turned away: a queue is full, or the expected wait is past the deadline; `retry-after` says when to come back |
//! | `DEADLINE_EXCEEDED` | the deadline passed |
//! | `UNAVAILABLE` | shutting down |
//! | `INTERNAL` | the tokenizer or the model failed, or its worker panicked |
//! | `OUT_OF_RANGE` | the message is larger than the service takes; it isn't read, and counts as a call and not as a request |

mod codec;
mod deadline;
mod handler;
pub mod proto;

use axum::Router;
use tonic::service::Routes;
use tonic_health::server::HealthReporter;

use self::proto::reranker_server::RerankerServer;
pub use self::{
    codec::{MessagesLayer, MessagesService, TimedCodec, TimedDecoder, TimedEncoder},
    handler::Handler,
};
use crate::pipeline::Pipeline;

/// The gRPC services over `pipeline`, and what tells the health service how they are.
///
/// # Errors
/// When the reflection service can't be made of what the protocol says.
pub(crate) fn router(
    pipeline: Pipeline,
    message_bytes: usize,
) -> Result<(Router, HealthReporter), tonic_reflection::server::Error> {
    let (reporter, health) = tonic_health::server::health_reporter();
    // Each of the two reflection services would tell of itself alone.
    let reflection = || {
        [
            proto::FILE_DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ]
        .into_iter()
        .fold(
            tonic_reflection::server::Builder::configure(),
            tonic_reflection::server::Builder::register_encoded_file_descriptor_set,
        )
    };
    let reranker = RerankerServer::new(Handler::new(pipeline.clone()))
        .max_decoding_message_size(message_bytes);
    let router = Routes::new(reranker)
        .add_service(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .prepare()
        .into_axum_router()
        .layer(MessagesLayer::new(pipeline));
    Ok((router, reporter))
}
