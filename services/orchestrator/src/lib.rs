//! An LLM pipeline with bounded queues.

pub mod worker;
