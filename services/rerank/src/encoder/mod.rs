//! The cross-encoder: a tokenizer for pairs of texts, and a model that scores them.
