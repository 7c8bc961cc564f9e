//! How what was gathered of a feature becomes its reference.

use std::{borrow::Cow, sync::Arc};

use fastrand::Rng;

use super::{
    Bins, Calibration, Counts, FeatureReference,
    builder::{NONE, Options, RARE},
    compare::{Sample, Sides, Table},
    reference::{Categorical, Numeric, Shape},
    threshold::{Chunks, Thresholds},
};
use crate::score::{Moments, float};

/// A numeric feature, of which `rows` is the sample, NaN where there was no value.
pub(super) fn numbers(
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

/// A categorical feature: its categories as they came, how many rows were of none of them, and the sample of the rows.
pub(super) fn categories(
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
