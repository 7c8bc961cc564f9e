//! What a service asks of a model: to make tokens of texts, and scores of tokens.

use std::error::Error;

/// What went wrong within a model, in its own words.
pub type WorkError = Box<dyn Error + Send + Sync>;

pub use crate::encoder::Encoded;

/// Makes tokens of a query and a passage. Each tokenizer worker calls it on its own thread.
pub trait Tokenize: Send + Sync + 'static {
    /// The tokens of the pair, `max_tokens` at the most.
    ///
    /// # Errors
    /// When a text can't be made into tokens.
    fn encode(&self, query: &str, passage: &str, max_tokens: usize) -> Result<Encoded, WorkError>;
}

/// Scores pairs. Each model worker calls it on its own thread.
pub trait Score: Send + Sync + 'static {
    /// The model's name.
    fn name(&self) -> &str;

    /// The most tokens that a pair may have.
    fn max_tokens(&self) -> usize;

    /// A score for each pair, in order: the higher, the better the passage answers the query. It is a logit.
    ///
    /// # Errors
    /// When the model fails.
    fn score(&self, batch: &[&Encoded]) -> Result<Vec<f32>, WorkError>;
}
