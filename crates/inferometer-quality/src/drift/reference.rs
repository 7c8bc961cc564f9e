//! What the training data looked like, frozen.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};

use super::{Bins, Column, Counts, Kind, ReferenceBuilder, ReferenceError, threshold::Thresholds};

/// What the features, and the predictions, of a model looked like when it was trained: what is served is compared with this.
///
/// It is made by a [`ReferenceBuilder`] and doesn't change any more. Saved, it bears a checksum.
///
/// **Bounds.** A numeric feature keeps a sample of its values, a categorical one the counts of its most frequent categories.
///
/// # Examples
/// ```
/// use std::time::SystemTime;
///
/// use inferometer_quality::drift::{Reference, Value};
///
/// let mut builder = Reference::builder("v1.2.3").numeric("carat").categorical("cut");
/// for row in 0..5_000 {
///     let carat = f64::from(row % 97) / 97.0;
///     builder.push(&[carat.into(), ["fair", "good"][row as usize % 2].into()])?;
/// }
/// let reference = builder.freeze(SystemTime::now())?;
///
/// let text = reference.to_json();
/// assert_eq!(Reference::from_json(&text)?, reference);
/// assert!(Reference::from_json(&text.replacen("carat", "karat", 1)).is_err());
/// # Ok::<(), inferometer_quality::drift::ReferenceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    pub(super) model_version: Arc<str>,
    /// In seconds since 1970.
    pub(super) frozen: u64,
    pub(super) rows: u64,
    /// How many rows a chunk had for the thresholds.
    pub(super) chunk: u64,
    pub(super) features: Vec<FeatureReference>,
}

/// One feature of a [`Reference`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureReference {
    pub(super) name: Arc<str>,
    pub(super) counts: Counts,
    pub(super) shape: Shape,
    /// `None` where there were too few rows for two chunks.
    pub(super) thresholds: Option<Thresholds>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Shape {
    Numeric(Numeric),
    Categorical(Categorical),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Numeric {
    pub(super) bins: Bins,
    /// What a Wasserstein distance is divided by.
    pub(super) scale: f64,
    /// Sorted.
    pub(super) sample: Vec<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Tabled", into = "Tabled")]
pub(super) struct Categorical {
    pub(super) categories: Vec<(Arc<str>, u64)>,
    /// Of categories that were too rare to be kept.
    pub(super) rare: u64,
    places: HashMap<Arc<str>, u32, RandomState>,
}

/// A [`Categorical`] as it is saved.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tabled {
    categories: Vec<(Arc<str>, u64)>,
    rare: u64,
}

impl From<Tabled> for Categorical {
    fn from(table: Tabled) -> Self {
        Self::new(table.categories, table.rare)
    }
}

impl From<Categorical> for Tabled {
    fn from(categorical: Categorical) -> Self {
        Self {
            categories: categorical.categories,
            rare: categorical.rare,
        }
    }
}

impl Categorical {
    pub(super) fn new(categories: Vec<(Arc<str>, u64)>, rare: u64) -> Self {
        let names = categories.iter().map(|(name, _)| Arc::clone(name));
        Self {
            places: names.zip(0..).collect(),
            categories,
            rare,
        }
    }

    /// The place of `category` among the counts; the last is of those that have none.
    #[inline]
    pub(super) fn place(&self, category: &str) -> usize {
        match self.places.get(category) {
            Some(place) => *place as usize,
            None => self.categories.len(),
        }
    }

    /// How many of each category, and last of all others.
    pub(super) fn counts(&self) -> Vec<u64> {
        let own = self.categories.iter().map(|(_, count)| *count);
        own.chain([self.rare]).collect()
    }
}

impl Reference {
    /// Begins one for a version of a model.
    pub fn builder(model_version: impl Into<Arc<str>>) -> ReferenceBuilder {
        ReferenceBuilder::new(model_version.into())
    }

    /// The version of the model whose training data these were.
    pub fn model_version(&self) -> &Arc<str> {
        &self.model_version
    }

    /// When it was frozen, to the second.
    pub fn frozen_at(&self) -> SystemTime {
        let since = std::time::Duration::from_secs(self.frozen);
        UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
    }

    /// How many rows it was made of.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// From how many rows on a window is judged: as many as a chunk had for the thresholds.
    pub fn chunk(&self) -> u64 {
        self.chunk
    }

    /// Its features, in the order of a row.
    pub fn features(&self) -> &[FeatureReference] {
        &self.features
    }

    /// What is wrong with it, if anything is.
    pub(super) fn check(&self) -> Result<(), ReferenceError> {
        for feature in &self.features {
            if let Some(fault) = feature.fault() {
                let feature = feature.name.to_string();
                return Err(ReferenceError::Unsound { feature, fault });
            }
        }
        Ok(())
    }
}

impl FeatureReference {
    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        match self.shape {
            Shape::Numeric(_) => Kind::Numeric,
            Shape::Categorical(_) => Kind::Categorical,
        }
    }

    /// Its name and kind.
    pub fn column(&self) -> Column {
        Column {
            name: Arc::clone(&self.name),
            kind: self.kind(),
        }
    }

    /// How many values of which sort there were in all rows.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The bins of a numeric feature.
    pub fn bins(&self) -> Option<&Bins> {
        match &self.shape {
            Shape::Numeric(numeric) => Some(&numeric.bins),
            Shape::Categorical(_) => None,
        }
    }

    /// The sorted sample of a numeric feature.
    pub fn sample(&self) -> Option<&[f64]> {
        match &self.shape {
            Shape::Numeric(numeric) => Some(&numeric.sample),
            Shape::Categorical(_) => None,
        }
    }

    /// The categories of a categorical feature and how often each occurred, the most frequent first.
    pub fn categories(&self) -> Option<&[(Arc<str>, u64)]> {
        match &self.shape {
            Shape::Numeric(_) => None,
            Shape::Categorical(categorical) => Some(&categorical.categories),
        }
    }

    /// What a numeric feature's Wasserstein distance is divided by: the standard deviation; of a constant the distance from 0, or 1 if it
    /// is 0.
    pub fn scale(&self) -> Option<f64> {
        match &self.shape {
            Shape::Numeric(numeric) => Some(numeric.scale),
            Shape::Categorical(_) => None,
        }
    }

    /// The thresholds calibrated on the training data; `None` where there were too few rows for two chunks.
    pub fn thresholds(&self) -> Option<&Thresholds> {
        self.thresholds.as_ref()
    }

    fn fault(&self) -> Option<&'static str> {
        if !self.counts.is_sound() {
            return Some("its counts contradict each other");
        }
        match &self.shape {
            Shape::Numeric(numeric) => {
                let sorted = numeric.sample.windows(2).all(|pair| pair[0] <= pair[1]);
                if !sorted || numeric.sample.iter().any(|value| !value.is_finite()) {
                    return Some("its sample isn't sorted, or has what isn't finite");
                }
                if !numeric.bins.is_sound() {
                    return Some("its bins don't rise");
                }
                if !(numeric.scale.is_finite() && numeric.scale > 0.0) {
                    return Some("its scale isn't above 0");
                }
            }
            Shape::Categorical(categorical) => {
                if categorical.places.len() != categorical.categories.len() {
                    return Some("it has a category twice");
                }
            }
        }
        None
    }
}
