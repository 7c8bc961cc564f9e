//! An LLM pipeline with bounded queues: retrieve, assemble, infer, post-process, stream.
//!
//! | for | see |
//! |---|---|
//! | running prompts through the five stages | [`pipeline`] |
//! | where tokens come from | [`worker`] |
//! | what the stages do to text | [`retrieval`], [`assembly`], [`postprocess`] |
//! | the whole service, with its API and metrics | [`api`], `service` |
//! | recording by stage name, for code of your own | [`metrics`] |

pub mod api;
pub mod assembly;
pub mod metrics;
#[cfg(feature = "metrics-server")]
pub mod metrics_server;
pub mod pipeline;
pub mod postprocess;
mod queue;
pub mod retrieval;
#[cfg(feature = "metrics-server")]
pub mod service;
pub mod worker;
