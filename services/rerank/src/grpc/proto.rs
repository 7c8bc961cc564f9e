//! The protocol, as `proto/rerank.proto` has it.

tonic::include_proto!("inferometer.rerank.v1");

/// The descriptors of the protocol, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rerank.fds"));
