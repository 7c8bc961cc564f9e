//! The pipeline: five stages as tasks, each behind a bounded queue.
//!
//! ```text
//! submit ─▶ [rag] ─▶ [assemble] ─▶ [inference] ─▶ [post] ─▶ [stream] ─▶ Answer
//! ```
//!
//! A request waits in at most one queue at a time, and its client can take it out of there at any moment. A queue that is full turns
//! the request away. Generation, post-processing and delivery of one request overlap: it moves on to `post` with its first piece.
//! While tokens stream, the work of `post` and the waits before `post` and `stream` lie within the time of `inference`; of an answer
//! that comes whole, the durations and waits add up to no more than the request took. What a stage's duration holds:
//!
//! | stage | from | to |
//! |---|---|---|
//! | rag, assemble | taken up | done |
//! | inference | taken up | the last token |
//! | post | – | the sum of the time it worked; waiting for tokens is not in it |
//! | stream | – | the time from the last token on that delivery took, or all of it for an answer that came whole |

mod deliver;
mod departure;
mod exchange;
mod generate;
mod job;
mod polish;
mod prepare;
mod routing;
mod stages;
mod tasks;

pub use departure::Departure;
pub use exchange::{Answer, Event, Failure, FailureReason, Finished, PromptRequest};
pub use stages::{Model, Pipeline, PipelineConfig, PipelineError, QueueState};
