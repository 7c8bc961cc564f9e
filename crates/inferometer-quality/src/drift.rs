//! How far what is served has drifted from what a model was trained on.
//!
//! A [`ReferenceBuilder`] freezes training data into a [`Reference`], which is saved beside the model. A [`DriftMonitor`] takes the rows that
//! are served, and at the end of each window says of each feature, and of the predictions where they are a column, how far it is from the
//! reference ([`Report`]).
//!
//! | method | for | sees missing values | usual rule |
//! |---|---|---|---|
//! | [PSI](distance::psi) | all | yes | above 0.2 |
//! | [Kolmogorov–Smirnov](distance::kolmogorov_smirnov) | numbers | no | p below 0.05 |
//! | [Jensen–Shannon](distance::jensen_shannon) | all | yes | above 0.1 |
//! | [Wasserstein](distance::wasserstein), in standard deviations | numbers | no | above 0.1 |
//! | [χ²](distance::chi_squared) | categories | yes | p below 0.05 |
//! | change of the share of missing values | all | only them | above 0.1 |
//!
//! Besides its usual rule each method has a threshold that the training data set themselves ([`Calibration`]), and an alert is by that
//! one wherever there were enough rows to set it.
//!
//! # What is no ordinary value
//!
//! | case | what is done |
//! |---|---|
//! | NaN, an infinity, a value of the wrong kind | counted as such, and missing ([`Counts`]) |
//! | a missing value | a bin of its own for PSI, Jensen–Shannon and χ²; left out by the others |
//! | a feature whose values are all missing | has no score by the methods that leave them out, and drifts by the others |
//! | a category that the reference doesn't have, or has too rarely | one bin for all of them, counted as unseen |
//! | a constant feature | its value is a bin, everything below and above another; any other value drifts once it is in a few rows of a thousand |
//! | a feature of at most 20 values | each of them is a bin, and everything between them others |
//! | a window of too few rows | scored, not judged: its alerts are `None` |
//! | a period without a row | counted, without a report |

mod bins;
mod builder;
mod compare;
pub mod distance;
mod file;
mod freeze;
mod method;
mod monitor;
mod reference;
mod report;
mod reservoir;
mod threshold;
mod value;
mod window;

pub use self::{
    bins::Bins,
    builder::ReferenceBuilder,
    file::ReferenceError,
    method::Method,
    monitor::DriftMonitor,
    reference::{FeatureReference, Reference},
    report::{DriftScore, FeatureDrift, Report},
    threshold::{Calibration, Thresholds},
    value::{Column, Counts, Kind, PREDICTION, Value},
    window::{ClosedWindow, WindowOptions},
};
