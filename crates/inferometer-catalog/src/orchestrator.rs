//! The LLM orchestrator's metrics.

/// The kind of worker that generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WorkerType {
    /// Any OpenAI-compatible upstream.
    Openai,
    /// A model on this machine.
    Local,
    /// A script, for tests and benchmarks.
    Scripted,
    /// Any other.
    Other,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorType {
    /// The request can't be served as asked: bad fields, unknown model, a prompt longer than the context.
    InvalidRequest,
    /// The deadline passed.
    Timeout,
    /// No connection to the upstream.
    Connection,
    /// The upstream refused the key.
    Authentication,
    /// The upstream said 429.
    RateLimited,
    /// The upstream answered with another error status.
    UpstreamStatus,
    /// The upstream answered something that isn't the protocol.
    BadResponse,
    /// The upstream closed its stream before the end.
    StreamClosed,
    /// The local model failed.
    Model,
    /// A task panicked.
    Panic,
    /// Any other.
    Other,
}

/// A stage of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Retrieval of context.
    Rag,
    /// The prompt, put together within the model's context.
    Assemble,
    /// Generation.
    Inference,
    /// Stop sequences, redaction, output limits.
    Post,
    /// Delivery to the client.
    Stream,
}
