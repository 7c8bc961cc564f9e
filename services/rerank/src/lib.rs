//! A cross-encoder server: a query and passages in, a score for each passage out.
//!
//! | for | see |
//! |---|---|
//! | running requests through tokenizer and model workers | [`pipeline`] |
//! | what a model must do | [`model`] |
//! | cross-encoders of the BERT family | [`encoder`] |
//! | a model that does what the texts say, for tests | [`scripted`] |

pub mod encoder;
pub mod model;
pub mod pipeline;
pub mod scripted;
