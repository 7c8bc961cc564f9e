//! How a reference is made from training data.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use fastrand::Rng;
use foldhash::fast::RandomState;

use super::{
    Calibration, Column, Counts, FeatureReference, Kind, PREDICTION, Reference, ReferenceError,
    Value,
    freeze::{categories, numbers},
    reservoir::Reservoir,
};
use crate::score::Moments;

/// Different categories that are told apart while the training data are read. More of them are rare ones at once.
const TOLD_APART: usize = 4_096;

/// Takes training data row by row and freezes them into a [`Reference`].
///
/// The same rows in the same order, with the same options, make the same reference: where chance is needed it comes from a seed.
#[derive(Debug)]
pub struct ReferenceBuilder {
    model_version: Arc<str>,
    columns: Vec<Column>,
    options: Options,
    gathered: Vec<Gathered>,
    rows: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub(super) bins: usize,
    sample: usize,
    pub(super) categories: usize,
    pub(super) calibration: Calibration,
    pub(super) seed: u64,
}

/// What is known of a feature so far. The samples have the rows without a value, too, as NaN and as [`NONE`].
#[derive(Debug)]
enum Gathered {
    Numbers {
        counts: Counts,
        moments: Moments,
        sample: Reservoir<f64>,
    },
    Categories {
        counts: Counts,
        places: HashMap<Arc<str>, u32, RandomState>,
        names: Vec<(Arc<str>, u64)>,
        rare: u64,
        sample: Reservoir<u32>,
    },
}

/// Where a row without a category stands, and one whose category is rare.
pub(super) const NONE: u32 = u32::MAX;
pub(super) const RARE: u32 = u32::MAX - 1;

impl ReferenceBuilder {
    pub(super) fn new(model_version: Arc<str>) -> Self {
        Self {
            model_version,
            columns: Vec::new(),
            options: Options {
                bins: 10,
                sample: 10_000,
                categories: 64,
                calibration: Calibration::default(),
                seed: 0,
            },
            gathered: Vec::new(),
            rows: 0,
        }
    }

    /// The next column of a row is a feature of numbers.
    #[must_use]
    pub fn numeric(self, name: impl Into<Arc<str>>) -> Self {
        self.column(name, Kind::Numeric)
    }

    /// The next column of a row is a feature of categories.
    #[must_use]
    pub fn categorical(self, name: impl Into<Arc<str>>) -> Self {
        self.column(name, Kind::Categorical)
    }

    /// The next column of a row is what the model predicts of it, called [`PREDICTION`].
    #[must_use]
    pub fn prediction(self, kind: Kind) -> Self {
        self.column(PREDICTION, kind)
    }

    /// The next column of a row. All columns come before the first row.
    #[must_use]
    pub fn column(mut self, name: impl Into<Arc<str>>, kind: Kind) -> Self {
        let name = name.into();
        self.columns.push(Column { name, kind });
        self
    }

    /// About so many bins, of about as many values each, for a numeric feature: 2 to 1,000, else 10.
    #[must_use]
    pub fn bins(mut self, bins: usize) -> Self {
        self.options.bins = bins.clamp(2, 1_000);
        self
    }

    /// At most so many rows of each feature are kept as its sample, else 10,000. Beyond, each has the same chance to be.
    #[must_use]
    pub fn sample(mut self, rows: usize) -> Self {
        self.options.sample = rows.max(1);
        self
    }

    /// At most so many categories of a feature are told apart, the most frequent, else 64. The others are one.
    #[must_use]
    pub fn categories(mut self, categories: usize) -> Self {
        self.options.categories = categories.clamp(1, TOLD_APART);
        self
    }

    /// How thresholds are calibrated.
    #[must_use]
    pub fn calibration(mut self, calibration: Calibration) -> Self {
        self.options.calibration = calibration;
        self
    }

    /// Where chance comes from, else from 0.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.options.seed = seed;
        self
    }

    /// Takes a row: a value for each column, in their order.
    ///
    /// # Errors
    /// Says that there aren't as many values as columns; then nothing of it is taken.
    pub fn push(&mut self, row: &[Value<'_>]) -> Result<(), ReferenceError> {
        let (found, features) = (row.len(), self.columns.len());
        if found != features {
            return Err(ReferenceError::Width { found, features });
        }
        if self.gathered.len() != features {
            let gathered = self.columns.iter().zip(0..);
            self.gathered = gathered
                .map(|(column, index)| Gathered::new(column.kind, &self.options, index))
                .collect();
        }
        for (gathered, value) in self.gathered.iter_mut().zip(row) {
            gathered.push(*value);
        }
        self.rows += 1;
        Ok(())
    }

    /// Freezes it, as of `now`.
    ///
    /// # Errors
    /// Says that there is no column or no row, or that two columns have one name.
    pub fn freeze(self, now: SystemTime) -> Result<Reference, ReferenceError> {
        let (features, rows) = (self.columns.len(), self.rows);
        if features == 0 || rows == 0 {
            return Err(ReferenceError::Empty { features, rows });
        }
        let mut names: Vec<_> = self.columns.iter().map(|column| &column.name).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(ReferenceError::Twice(twice[0].to_string()));
        }
        let options = self.options;
        let gathered = self.columns.into_iter().zip(self.gathered);
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Reference {
            model_version: self.model_version,
            frozen: since.as_secs(),
            rows,
            chunk: options.calibration.chunk.max(1),
            features: gathered
                .map(|(column, gathered)| gathered.freeze(column.name, &options))
                .collect(),
        })
    }
}

impl Gathered {
    fn new(kind: Kind, options: &Options, index: u64) -> Self {
        let random = Rng::with_seed(options.seed.wrapping_add(index));
        match kind {
            Kind::Numeric => Self::Numbers {
                counts: Counts::default(),
                moments: Moments::default(),
                sample: Reservoir::new(options.sample, random),
            },
            Kind::Categorical => Self::Categories {
                counts: Counts::default(),
                places: HashMap::default(),
                names: Vec::new(),
                rare: 0,
                sample: Reservoir::new(options.sample, random),
            },
        }
    }

    fn push(&mut self, value: Value<'_>) {
        match self {
            Self::Numbers {
                counts,
                moments,
                sample,
            } => {
                match value {
                    Value::Number(number) if number.is_finite() => {
                        counts.valid += 1;
                        moments.add(number);
                        return sample.push(number);
                    }
                    Value::Number(number) => counts.odd(number),
                    Value::Category(_) => counts.mismatch(),
                    Value::Missing => counts.missing += 1,
                }
                sample.push(f64::NAN);
            }
            Self::Categories {
                counts,
                places,
                names,
                rare,
                sample,
            } => {
                let place = match value {
                    Value::Category(category) => {
                        counts.valid += 1;
                        match places.get(category) {
                            Some(place) => *place,
                            None if places.len() < TOLD_APART => {
                                let name = Arc::<str>::from(category);
                                let place = u32::try_from(names.len()).unwrap_or(RARE);
                                places.insert(Arc::clone(&name), place);
                                names.push((name, 0));
                                place
                            }
                            None => RARE,
                        }
                    }
                    Value::Number(number) if !number.is_finite() => {
                        counts.odd(number);
                        NONE
                    }
                    Value::Number(_) => {
                        counts.mismatch();
                        NONE
                    }
                    Value::Missing => {
                        counts.missing += 1;
                        NONE
                    }
                };
                match names.get_mut(place as usize) {
                    Some((_, count)) => *count += 1,
                    None if place == RARE => *rare += 1,
                    None => {}
                }
                sample.push(place);
            }
        }
    }

    fn freeze(self, name: Arc<str>, options: &Options) -> FeatureReference {
        match self {
            Self::Numbers {
                counts,
                moments,
                sample,
            } => numbers(name, counts, &moments, sample.into_kept(), options),
            Self::Categories {
                counts,
                names,
                rare,
                sample,
                ..
            } => categories(name, counts, (names, rare), sample.into_kept(), options),
        }
    }
}
