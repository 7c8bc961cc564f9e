//! How good a model still is: scores as labels come in late, and how far inputs and predictions have drifted from the training data.
//!
//! | for | see |
//! |---|---|
//! | accuracy, precision, recall, F1, log loss, RMSE, MAE, R²: over a window, over all the time | [`score`] |
//! | predictions that wait for their labels, in memory or in a database | [`store`] |
//! | a queue before a database, that loses no acknowledged label | [`journal`] |
//! | PSI, Kolmogorov–Smirnov, Jensen–Shannon, Wasserstein, χ² against frozen training data | [`drift`] |
//! | all of it as metrics | [`metrics`] |
//!
//! A prediction goes through a [`Journal`](journal::Journal) into a [`Store`](store::Store), meets its label there, and is counted into a
//! [`Scoreboard`](score::Scoreboard). Its inputs, and what was predicted, go through a [`DriftMonitor`](drift::DriftMonitor), which compares each
//! window with a [`Reference`](drift::Reference). Nothing here reads a clock but the journal's thread and the age of a drift report: times
//! are the caller's.
//!
//! Features: `sqlite` and `postgres` bring stores that outlive the process. Without them there is no database in the build.

#![forbid(unsafe_code)]

pub mod drift;
pub mod journal;
pub mod metrics;
pub mod score;
pub mod store;
