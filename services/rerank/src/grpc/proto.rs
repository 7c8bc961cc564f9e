//! The protocol, as `proto/rerank.proto` has it.
#![expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::missing_errors_doc,
    reason = "the generator writes it so"
)]

tonic::include_proto!("inferometer.rerank.v1");

/// The descriptors of the protocol, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rerank.fds"));
