//! What a model predicts, and what may be said of it.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

/// What a model predicts: a number, or one of several classes.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// A number.
    Regression,
    /// One of these classes.
    Classes(Classes),
}

/// The classes that a model tells apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Classes {
    names: Arc<[Arc<str>]>,
    positive: Option<u32>,
    threshold: f64,
}

/// What a model said.
///
/// A class is its place among the names of [`Classes`]. As JSON, what is not finite is `null`, and comes back as NaN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// A number.
    #[serde(deserialize_with = "number_or_nan")]
    Number(f64),
    /// A class, and nothing of how sure the model is: there is no log loss of it.
    Class(u32),
    /// Of two classes, the probability of the positive one.
    #[serde(deserialize_with = "number_or_nan")]
    Probability(f64),
    /// The probability of every class, in the order of the names; the likeliest is what was predicted, and of equals the first.
    #[serde(deserialize_with = "numbers_or_nan")]
    Probabilities(Box<[f64]>),
}

/// What turned out to be true. As JSON, as [`Output`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Truth {
    /// A number.
    #[serde(deserialize_with = "number_or_nan")]
    Number(f64),
    /// A class, as its place among the names.
    Class(u32),
}

fn number_or_nan<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}

fn numbers_or_nan<'de, D: Deserializer<'de>>(from: D) -> Result<Box<[f64]>, D::Error> {
    let numbers = Vec::<Option<f64>>::deserialize(from)?.into_iter();
    Ok(numbers.map(|number| number.unwrap_or(f64::NAN)).collect())
}

/// Why something can't be scored: a prediction or a label that doesn't fit the task.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Misfit {
    /// NaN or infinite.
    #[error("{0} is not a finite number; send a finite one")]
    NotFinite(f64),
    /// A class where the task predicts a number.
    #[error("the model predicts a number, and this is a class; send a number")]
    NotANumber,
    /// A number where the task predicts a class.
    #[error("the model predicts a class, and this is a number; send a class")]
    NotAClass,
    /// No such class.
    #[error("class {class} is not among the {classes} that the model knows; send 0 to {}", classes - 1)]
    NoSuchClass {
        /// The class.
        class: u32,
        /// How many there are.
        classes: u32,
    },
    /// A probability outside of 0 to 1, or NaN.
    #[error("{0} is not a probability; send one from 0 to 1")]
    NotAProbability(f64),
    /// Not one probability for each class.
    #[error("{found} probabilities for {classes} classes; send one for each")]
    NotOneEach {
        /// How many probabilities.
        found: usize,
        /// How many classes.
        classes: u32,
    },
    /// A single probability where no class is the positive one.
    #[error(
        "one probability, and none of the classes is the positive one; send one for each class"
    )]
    NoPositive,
}

impl Classes {
    /// At most so many classes.
    pub const MOST: usize = 1_000;

    /// Two classes, the second of which is the positive one: precision, recall and F1 are of that one.
    ///
    /// A [`Probability`](Output::Probability) of at least ½ says that it is, unless [`threshold`](Self::threshold) sets another.
    pub fn binary(negative: &str, positive: &str) -> Self {
        Self {
            names: [negative.into(), positive.into()].into(),
            positive: Some(1),
            threshold: 0.5,
        }
    }

    /// These classes; `None` when they are fewer than two, more than [`MOST`](Self::MOST), or two have one name.
    pub fn new<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Option<Self> {
        let names: Arc<[Arc<str>]> = names.into_iter().map(|name| name.as_ref().into()).collect();
        let mut sorted: Vec<_> = names.iter().collect();
        sorted.sort_unstable();
        let told_apart = sorted.windows(2).all(|pair| pair[0] != pair[1]);
        ((2..=Self::MOST).contains(&names.len()) && told_apart).then_some(Self {
            names,
            positive: None,
            threshold: 0.5,
        })
    }

    /// The probability from which on the positive class is what was predicted; a NaN changes nothing.
    #[must_use]
    pub fn threshold(mut self, threshold: f64) -> Self {
        if !threshold.is_nan() {
            self.threshold = threshold;
        }
        self
    }

    /// The names, in the order of their places.
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// The place of the class called `name`.
    pub fn index(&self, name: &str) -> Option<u32> {
        let index = self.names.iter().position(|own| &**own == name)?;
        u32::try_from(index).ok()
    }

    /// The positive class, where there are two and one is.
    pub fn positive(&self) -> Option<u32> {
        self.positive
    }

    /// How many there are.
    fn count(&self) -> u32 {
        u32::try_from(self.names.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn known(&self, class: u32) -> Result<u32, Misfit> {
        let classes = self.count();
        if class < classes {
            Ok(class)
        } else {
            Err(Misfit::NoSuchClass { class, classes })
        }
    }

    /// What `output` predicts.
    pub(crate) fn predicted(&self, output: &Output) -> Result<u32, Misfit> {
        match output {
            Output::Number(_) => Err(Misfit::NotAClass),
            Output::Class(class) => self.known(*class),
            Output::Probability(probability) => {
                let positive = self.positive.ok_or(Misfit::NoPositive)?;
                let sure = probable(*probability)?;
                Ok(if sure >= self.threshold {
                    positive
                } else {
                    1 - positive
                })
            }
            Output::Probabilities(all) => {
                let classes = self.count();
                if all.len() != self.names.len() {
                    let found = all.len();
                    return Err(Misfit::NotOneEach { found, classes });
                }
                let (mut likeliest, mut most) = (0, f64::NEG_INFINITY);
                for (class, probability) in (0..).zip(all) {
                    if probable(*probability)? > most {
                        (likeliest, most) = (class, *probability);
                    }
                }
                Ok(likeliest)
            }
        }
    }

    /// How probable `output` has called `truth`, if it says.
    pub(crate) fn probability(&self, output: &Output, truth: u32) -> Option<f64> {
        match output {
            Output::Number(_) | Output::Class(_) => None,
            Output::Probability(positive) if Some(truth) == self.positive => Some(*positive),
            Output::Probability(positive) => Some(1.0 - positive),
            Output::Probabilities(all) => all.get(usize::try_from(truth).ok()?).copied(),
        }
    }
}

fn probable(probability: f64) -> Result<f64, Misfit> {
    if (0.0..=1.0).contains(&probability) {
        Ok(probability)
    } else {
        Err(Misfit::NotAProbability(probability))
    }
}

pub(crate) fn finite(number: f64) -> Result<f64, Misfit> {
    if number.is_finite() {
        Ok(number)
    } else {
        Err(Misfit::NotFinite(number))
    }
}

impl Task {
    /// Tells whether `output` is something a model of this task says.
    ///
    /// # Errors
    /// Says why it isn't, and what to send.
    pub fn check_output(&self, output: &Output) -> Result<(), Misfit> {
        match self {
            Self::Regression => number(output).map(drop),
            Self::Classes(classes) => classes.predicted(output).map(drop),
        }
    }

    /// Tells whether `truth` can be true of what this task predicts.
    ///
    /// # Errors
    /// Says why it can't, and what to send.
    pub fn check_truth(&self, truth: Truth) -> Result<(), Misfit> {
        match (self, truth) {
            (Self::Regression, Truth::Number(value)) => finite(value).map(drop),
            (Self::Regression, Truth::Class(_)) => Err(Misfit::NotANumber),
            (Self::Classes(_), Truth::Number(_)) => Err(Misfit::NotAClass),
            (Self::Classes(classes), Truth::Class(class)) => classes.known(class).map(drop),
        }
    }
}

/// The number that `output` is.
pub(crate) fn number(output: &Output) -> Result<f64, Misfit> {
    match output {
        Output::Number(value) => finite(*value),
        Output::Class(_) | Output::Probability(_) | Output::Probabilities(_) => {
            Err(Misfit::NotANumber)
        }
    }
}
