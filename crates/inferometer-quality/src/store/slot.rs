//! How prediction and label of one name meet: the same in memory and in every database.

use super::{Entry, Label, Outcome, Pair, Prediction};

/// What is known under one name.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot {
    pub(super) prediction: Option<Prediction>,
    pub(super) label: Option<Label>,
    /// The label was there before the prediction, which therefore joined the two. So exactly one of them did, also when it is asked
    /// again.
    pub(super) early: bool,
}

impl Slot {
    /// What comes of `entry`, which has this slot's name, and whether it is new.
    pub(super) fn settle(&mut self, entry: &Entry) -> (Outcome, bool) {
        match entry {
            Entry::Prediction(prediction) => {
                let new = self.prediction.is_none();
                let kept = self.prediction.get_or_insert_with(|| prediction.clone());
                if kept.token != prediction.token {
                    return (Outcome::Duplicate, false);
                }
                let joined = if self.early { self.pair() } else { None };
                (joined.unwrap_or(Outcome::Remembered), new)
            }
            Entry::Label(label) => {
                let new = self.label.is_none();
                if new {
                    self.early = self.prediction.is_none();
                }
                let kept = self.label.get_or_insert_with(|| label.clone());
                if kept.token != label.token {
                    return (Outcome::Duplicate, false);
                }
                let joined = if self.early { None } else { self.pair() };
                (joined.unwrap_or(Outcome::Waiting), new)
            }
        }
    }

    fn pair(&self) -> Option<Outcome> {
        Some(Outcome::Joined(Box::new(Pair {
            prediction: self.prediction.clone()?,
            label: self.label.clone()?,
        })))
    }
}

impl Slot {
    /// When the first of the two came.
    pub(super) fn began(&self) -> Option<std::time::SystemTime> {
        let prediction = self.prediction.as_ref().map(|prediction| prediction.at);
        let label = self.label.as_ref().map(|label| label.at);
        match (prediction, label) {
            (Some(prediction), Some(label)) => Some(prediction.min(label)),
            (prediction, label) => prediction.or(label),
        }
    }
}
