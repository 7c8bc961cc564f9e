//! The orchestrator as a whole.

mod gate;
mod pipeline;
