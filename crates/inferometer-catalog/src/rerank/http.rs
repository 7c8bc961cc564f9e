//! What the cross-encoder server shows of its messages.

use std::time::Duration;

use inferometer::{Histogram, MetricSet};

/// From 10 µs, where messages of a few passages are, to 1 s.
const MESSAGE_TIME: [f64; 14] = [
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025,
    0.1, 0.25, 1.0,
];

/// How long messages take to write and to read.
#[derive(Clone, Debug, MetricSet)]
pub struct Messages {
    /// Time to write an answer as its gRPC message.
    #[metric(
        name = "grpc_serialize_latency_seconds",
        unit = "seconds",
        buckets = MESSAGE_TIME
    )]
    pub serialize: Histogram,
    /// Time to read a request out of its gRPC message.
    #[metric(
        name = "grpc_deserialize_latency_seconds",
        unit = "seconds",
        buckets = MESSAGE_TIME
    )]
    pub deserialize: Histogram,
}

impl Messages {
    /// An answer was written.
    pub fn serialized(&self, duration: Duration) {
        self.serialize.observe_duration(duration);
    }

    /// A request was read.
    pub fn deserialized(&self, duration: Duration) {
        self.deserialize.observe_duration(duration);
    }
}
