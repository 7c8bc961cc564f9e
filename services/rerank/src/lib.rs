//! A cross-encoder server: a query and passages in, a score for each passage out.
//!
//! | for | see |
//! |---|---|
//! | the whole service, with its ports and metrics | [`service`] |
//! | gRPC, and `POST /rerank` | [`grpc`], [`api`] |
//! | running requests through tokenizer and model workers | [`pipeline`] |
//! | what a model must do | [`model`] |
//! | cross-encoders of the BERT family | [`encoder`] |
//! | a model that does what the texts say, for tests | [`scripted`] |

pub mod api;
pub mod encoder;
pub mod grpc;
pub mod model;
pub mod pipeline;
pub mod scripted;
pub mod service;
