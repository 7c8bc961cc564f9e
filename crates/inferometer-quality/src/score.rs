//! Scores of a model, as labels come in.
//!
//! A [`Tally`] is what pairs of prediction and truth amount to: bounded, numerically stable, and mergeable. A [`Scoreboard`] keeps
//! tallies for each model version and data set, over a [`Window`] and over all the time, and tells each score with its weight, the
//! coverage and the lag of the labels.

mod board;
mod measure;
mod sum;
mod tally;
mod task;
mod window;

pub(crate) use self::sum::float;
pub use self::{
    board::{BoardOptions, Lag, Scoreboard, Scores, SeriesScores, Tallied},
    measure::{Measure, Score},
    sum::{Moments, Sum},
    tally::Tally,
    task::{Classes, Misfit, Output, Task, Truth},
    window::Window,
};
