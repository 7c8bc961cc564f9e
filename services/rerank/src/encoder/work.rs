//! The cross-encoder as the pipeline's workers want it.

use super::{CrossEncoder, Encoded, PairTokenizer};
use crate::model::{Score, Tokenize, WorkError};

impl Tokenize for PairTokenizer {
    fn encode(&self, query: &str, passage: &str, max_tokens: usize) -> Result<Encoded, WorkError> {
        Ok(Self::encode(self, query, passage, max_tokens)?)
    }
}

impl Score for CrossEncoder {
    fn name(&self) -> &str {
        Self::name(self)
    }

    fn max_tokens(&self) -> usize {
        Self::max_tokens(self)
    }

    fn score(&self, batch: &[&Encoded]) -> Result<Vec<f32>, WorkError> {
        Ok(Self::score(self, batch)?)
    }
}
