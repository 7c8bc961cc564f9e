//! Judges that are not ours, for the tests of every crate: what Prometheus, promtool, a strict parser and clients that others wrote
//! say about a service counts more than what we say ourselves.
//!
//! | judge | asks | of |
//! |---|---|---|
//! | [`Prometheus`] | does a real server, of each [`Release`], scrape it, and what do queries return? | running endpoints |
//! | [`Relay`] | what is asked and answered between a scraper and an endpoint? | running endpoints |
//! | [`promtool_check_metrics`] | do names, units and help follow the practices? | a scrape in the text format |
//! | [`judge_exposition`] | is every line, bucket and escape as specified? | a scrape in either format |
//! | [`drive_with_openai_client`] | does the unchanged client find what it relies on? | an OpenAI-compatible API |
//! | [`drive_with_cohere_client`] | the same | a rerank API as Cohere has it |
//! | [`drive_with_grpc_client`], [`watch_health_with_grpc_client`] | the same, of a client that knows what reflection tells | the reranker's gRPC |
//! | [`ask_with_schemathesis`] | is every answer as the OpenAPI document has it? | an API that has one |
//!
//! A crate of its own, never published, so that none of this reaches those who depend on the others. All judges are
//! programs that `scripts/setup` installs; where one is missing, the call fails and says so. Nothing is skipped, but for the
//! newer Prometheus, which not every machine can have: [`Release::all`] says which there are.

mod cohere;
mod error;
mod exposition;
mod grpc;
mod http;
mod openai;
mod openapi;
mod program;
mod prometheus;
mod promtool;
mod relay;

pub use cohere::{CohereSubject, drive_with_cohere_client};
pub use error::JudgeError;
pub use exposition::{Family, Sample, Summary, judge_exposition};
pub use grpc::{GrpcSubject, drive_with_grpc_client, watch_health_with_grpc_client};
pub use http::{Answer, get};
pub use openai::{OpenAiSubject, drive_with_openai_client};
pub use openapi::{OpenApiSubject, ask_with_schemathesis};
pub use prometheus::{
    Feature, Job, Metadata, NativeSeries, Points, Prometheus, Protocol, Release, Series,
    StoredExemplar, Target,
};
pub use promtool::{Complaint, promtool_check_metrics};
pub use relay::{Exchange, Relay};
