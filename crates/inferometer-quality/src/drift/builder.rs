//! How a reference is made from training data.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use fastrand::Rng;
use foldhash::fast::RandomState;

use super::{
    Bins, Calibration, Column, Counts, FeatureReference, Kind, PREDICTION, Reference,
    ReferenceError, Value,
    compare::{Sample, Sides, Table},
    reference::{Categorical, Numeric, Shape},
    reservoir::Reservoir,
    threshold::{Chunks, Thresholds},
};
use crate::score::{Moments, float};

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
struct Options {
    bins: usize,
    sample: usize,
    categories: usize,
    calibration: Calibration,
    seed: u64,
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

const NONE: u32 = u32::MAX;
const RARE: u32 = u32::MAX - 1;

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

fn numbers(
    name: Arc<str>,
    counts: Counts,
    moments: &Moments,
    mut rows: Vec<f64>,
    options: &Options,
) -> FeatureReference {
    let sorted = sorted(&rows);
    let bins = Bins::of(&sorted, options.bins);
    let usable = |scale: &f64| scale.is_finite() && *scale > 0.0;
    let scale = moments.deviation().filter(usable);
    let scale = scale
        .or(moments.mean().map(f64::abs).filter(usable))
        .unwrap_or(1.0);
    let binned = bins.counts(&sorted);
    let thresholds = calibrated(&mut rows, options, |chunk, others| {
        let window = self::sorted(chunk);
        let rest = without(&sorted, &window);
        let inside = bins.counts(&window);
        let missing = |valid: usize, rows: usize| 1.0 - share(valid, rows);
        Sides::Numeric {
            reference: Sample {
                binned: binned
                    .iter()
                    .zip(&inside)
                    .map(|(all, own)| all - own)
                    .collect(),
                missing: missing(rest.len(), others),
                sorted: Cow::Owned(rest),
            },
            window: Sample {
                missing: missing(window.len(), chunk.len()),
                binned: inside,
                sorted: Cow::Owned(window),
            },
            scale,
        }
    });
    FeatureReference {
        name,
        counts,
        thresholds,
        shape: Shape::Numeric(Numeric {
            bins,
            scale,
            sample: sorted,
        }),
    }
}

fn categories(
    name: Arc<str>,
    counts: Counts,
    (names, mut rare): (Vec<(Arc<str>, u64)>, u64),
    mut rows: Vec<u32>,
    options: &Options,
) -> FeatureReference {
    let mut order: Vec<u32> = (0..).take(names.len()).collect();
    // Equally frequent ones in the order of their names, so that the same rows make the same reference.
    order.sort_by_key(|place| {
        let (name, count) = &names[*place as usize];
        (std::cmp::Reverse(*count), Arc::clone(name))
    });
    let mut ranks = vec![RARE; names.len()];
    let mut kept = Vec::new();
    for (rank, place) in (0..).zip(order) {
        let (name, count) = &names[place as usize];
        if kept.len() < options.categories {
            ranks[place as usize] = rank;
            kept.push((Arc::clone(name), *count));
        } else {
            rare += count;
        }
    }
    for row in &mut rows {
        *row = ranks.get(*row as usize).copied().unwrap_or(*row);
    }
    let all = table(&rows, kept.len());
    let thresholds = calibrated(&mut rows, options, |chunk, _| {
        let window = table(chunk, kept.len());
        let rest = all.counts.iter().zip(&window.counts);
        Sides::Categorical {
            reference: Table {
                counts: rest.map(|(all, own)| all - own).collect(),
                missing: all.missing - window.missing,
            },
            window,
        }
    });
    FeatureReference {
        name,
        counts,
        thresholds,
        shape: Shape::Categorical(Categorical::new(kept, rare)),
    }
}

/// Cuts `rows` into chunks, and again after each shuffle, until there are enough. `None` where there aren't rows for two. `sides` gets
/// a chunk and how many other rows there are.
fn calibrated<'a, T>(
    rows: &mut [T],
    options: &Options,
    sides: impl Fn(&[T], usize) -> Sides<'a>,
) -> Option<Thresholds> {
    let Calibration {
        chunk,
        chunks,
        in_order,
    } = options.calibration;
    let chunk = usize::try_from(chunk.max(1)).ok()?;
    if rows.len() / 2 < chunk {
        return None;
    }
    let mut random = Rng::with_seed(options.seed);
    let others = rows.len() - chunk;
    let rounds = if in_order {
        1
    } else {
        (chunks as usize).div_ceil(rows.len() / chunk).max(1)
    };
    let mut scored = Chunks::default();
    for _ in 0..rounds {
        if !in_order {
            random.shuffle(rows);
        }
        for chunk in rows.chunks_exact(chunk) {
            scored.add(&sides(chunk, others));
        }
    }
    Some(scored.thresholds(chunk as u64, others as u64))
}

fn sorted(rows: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<_> = rows
        .iter()
        .copied()
        .filter(|value| !value.is_nan())
        .collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// The values of `all` that are left without those of `some`, which are among them; both are sorted.
fn without(all: &[f64], some: &[f64]) -> Vec<f64> {
    let mut some = some.iter().peekable();
    let stays = |value: &&f64| {
        let gone = some
            .peek()
            .is_some_and(|next| next.total_cmp(value).is_eq());
        if gone {
            some.next();
        }
        !gone
    };
    all.iter().filter(stays).copied().collect()
}

fn table(rows: &[u32], categories: usize) -> Table {
    let mut table = Table {
        counts: vec![0; categories + 1],
        missing: 0,
    };
    for row in rows {
        match table.counts.get_mut(*row as usize) {
            Some(count) => *count += 1,
            None if *row == NONE => table.missing += 1,
            None => table.counts[categories] += 1,
        }
    }
    table
}

fn share(part: usize, of: usize) -> f64 {
    float(part as u64) / float(of as u64).max(1.0)
}
