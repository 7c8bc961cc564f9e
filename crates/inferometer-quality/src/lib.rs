//! How good a model still is: scores as labels come in late, and how far inputs and predictions have drifted from the training data.
//!
//! | for | see |
//! |---|---|
//! | accuracy, precision, recall, F1, log loss, RMSE, MAE, R² | [`score`] |
#![forbid(unsafe_code)]

pub mod drift;
pub mod score;
pub mod store;
