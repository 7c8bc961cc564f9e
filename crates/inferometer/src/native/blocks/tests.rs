use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*, test_runner::Config};

use super::*;
use crate::native::{LOWEST_OCTAVE, exact, place};

/// As a cell would count: octaves in the order in which they were first seen.
#[derive(Default)]
struct Recorded {
    zero: u64,
    positive: Vec<(i32, u8, Vec<u64>)>,
    negative: Vec<(i32, u8, Vec<u64>)>,
}

impl Recorded {
    fn new(values: &[f64], layout: &NativeBuckets, resolution: impl Fn(i32) -> u8) -> Self {
        let mut recorded = Self::default();
        for value in values {
            if value.abs() <= layout.zero_threshold {
                recorded.zero += 1;
                continue;
            }
            let blocks = if *value > 0.0 {
                &mut recorded.positive
            } else {
                &mut recorded.negative
            };
            let octave = place(value.abs(), 0).0;
            let at = blocks.iter().position(|block| block.0 == octave);
            let at = at.unwrap_or_else(|| {
                let resolution = resolution(octave);
                blocks.push((octave, resolution, vec![0; 1 << resolution]));
                blocks.len() - 1
            });
            let (_, resolution, counts) = &mut blocks[at];
            counts[usize::try_from(place(value.abs(), *resolution).1).unwrap()] += 1;
        }
        recorded
    }

    fn join(&self, layout: &NativeBuckets) -> NativePoint {
        join(
            layout,
            self.zero,
            &borrow(&self.positive),
            &borrow(&self.negative),
        )
    }

    fn coarsest(&self) -> i8 {
        let resolutions = self.positive.iter().chain(&self.negative);
        resolutions
            .filter(|block| block.0 != INFINITE_OCTAVE)
            .map(|block| block.1.cast_signed())
            .min()
            .unwrap_or(MAX_SCHEMA)
    }
}

fn borrow(blocks: &[(i32, u8, Vec<u64>)]) -> Vec<Block<'_>> {
    blocks
        .iter()
        .map(|(octave, resolution, counts)| Block {
            octave: *octave,
            resolution: *resolution,
            counts,
        })
        .collect()
}

/// The buckets of one sign by exact arithmetic, straight from the values.
fn buckets_of(values: &[f64], sign: f64, threshold: f64, schema: i8) -> Vec<(i32, u64)> {
    let mut buckets = BTreeMap::new();
    for magnitude in values.iter().map(|value| value * sign) {
        if magnitude > threshold {
            *buckets
                .entry(exact::index_in_schema(magnitude, schema))
                .or_default() += 1;
        }
    }
    buckets.into_iter().collect()
}

/// The bounds of the bucket that the value of this rank, from 0, is in; the lower one first.
fn bounds_of_rank(point: &NativePoint, rank: u64) -> (f64, f64) {
    let width = 2_f64.powi(-point.schema);
    let bound = |index: i32| 2_f64.powf(f64::from(index) * width);
    let negative = point.negative.iter().rev();
    let negative = negative.map(|(index, count)| ((-bound(*index), -bound(index - 1)), *count));
    let zero = (
        (-point.zero_threshold, point.zero_threshold),
        point.zero_count,
    );
    let positive = point.positive.iter();
    let positive = positive.map(|(index, count)| ((bound(index - 1), bound(*index)), *count));
    let mut seen = 0;
    negative
        .chain([zero])
        .chain(positive)
        .find(|(_, count)| {
            seen += count;
            seen > rank
        })
        .expect("a rank below the number of values")
        .0
}

fn schema(point: &NativePoint) -> i8 {
    i8::try_from(point.schema).unwrap()
}

#[test]
fn known_buckets_of_client_golang_come_out() {
    let values = [
        0.0,
        1.0,
        1.2,
        1.4,
        1.8,
        2.0,
        f64::INFINITY,
        -1.2,
        f64::NEG_INFINITY,
    ];
    let layout = NativeBuckets::new().schema(2);
    let point = Recorded::new(&values, &layout, |_| 2).join(&layout);
    assert_eq!(
        point,
        NativePoint {
            schema: 2,
            zero_threshold: 2.938735877055719e-39,
            zero_count: 1,
            positive: vec![(0, 1), (2, 2), (4, 2), (4097, 1)],
            negative: vec![(2, 1), (4097, 1)],
        }
    );
    // 14 values at schema −1, recorded at resolution 0.
    let values = [
        0.015_625_1,
        0.0625,
        0.1,
        0.25,
        0.5,
        1.0,
        1.5,
        2.0,
        3.0,
        3.5,
        5.0,
        6.0,
        7.0,
        33.33,
    ];
    let layout = layout.schema(-1);
    let point = Recorded::new(&values, &layout, |_| layout.resolution()).join(&layout);
    assert_eq!(point.schema, -1);
    assert_eq!(
        point.positive,
        [(-2, 2), (-1, 2), (0, 2), (1, 4), (2, 3), (3, 1)]
    );
}

#[test]
fn nothing_recorded_gives_no_bucket_in_the_schema_asked_for() {
    let layout = NativeBuckets::new().schema(5);
    let empty = Block {
        octave: 3,
        resolution: 0,
        counts: &[0],
    };
    let point = join(&layout, 0, &[empty], &[]);
    assert_eq!(
        (point.schema, point.positive, point.negative),
        (5, vec![], vec![])
    );
}

#[test]
fn a_coarse_block_makes_the_point_coarse_but_infinity_does_not() {
    let layout = NativeBuckets::new().schema(4);
    let fine = Block {
        octave: 1,
        resolution: 4,
        counts: &[0, 0, 7],
    };
    let infinite = Block {
        octave: INFINITE_OCTAVE,
        resolution: 0,
        counts: &[2],
    };
    let point = join(&layout, 0, &[infinite, fine], &[]);
    assert_eq!(
        (point.schema, point.positive),
        (4, vec![(3, 7), (16_385, 2)])
    );
    let coarse = Block {
        octave: 2,
        resolution: 1,
        counts: &[1, 1],
    };
    let point = join(&layout, 0, &[infinite, fine], &[coarse]);
    assert_eq!((point.schema, point.positive), (1, vec![(1, 7), (2049, 2)]));
    assert_eq!(point.negative, [(3, 1), (4, 1)]);
}

#[test]
fn blocks_of_the_same_octave_are_added_up() {
    let layout = NativeBuckets::new();
    let block = |counts, resolution| Block {
        octave: 0,
        resolution,
        counts,
    };
    let blocks = [
        block(&[1, 2][..], 1),
        block(&[3, 4, 5, 6], 2),
        block(&[7, 0], 1),
    ];
    let point = join(&layout, 0, &blocks, &[]);
    assert_eq!((point.schema, point.positive), (1, vec![(-1, 15), (0, 13)]));
}

#[test]
fn the_whole_range_of_numbers_stops_at_the_coarsest_schema() {
    let values = (LOWEST_OCTAVE..=1023)
        .map(exact::power_of_two)
        .chain([f64::MAX, f64::INFINITY])
        .flat_map(|value| [value, -value])
        .collect::<Vec<_>>();
    let layout = NativeBuckets::new().zero_threshold(0.0).max_buckets(100);
    let point = Recorded::new(&values, &layout, |_| 3).join(&layout);
    assert_eq!(point.schema, -4);
    assert_eq!((point.positive.len(), point.negative.len()), (133, 133));
    let count = |buckets: &[(i32, u64)]| buckets.iter().map(|(_, count)| count).sum::<u64>();
    assert_eq!(
        (count(&point.positive), count(&point.negative)),
        (2100, 2100)
    );
}

/// Of any size, infinities among them.
fn any_value() -> impl Strategy<Value = f64> {
    let any = any::<u64>()
        .prop_map(f64::from_bits)
        .prop_filter("a number", |value| !value.is_nan());
    prop_oneof![
        4 => any,
        1 => prop_oneof![Just(0.0), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(f64::MAX)],
        8 => -20.0..20.0,
    ]
}

/// With exact median 1 and the given spread.
fn log_normal(spread: f64) -> impl Strategy<Value = f64> {
    (f64::MIN_POSITIVE..1.0, 0.0..std::f64::consts::TAU)
        .prop_map(move |(radius, angle)| (spread * (-2.0 * radius.ln()).sqrt() * angle.cos()).exp())
}

fn data() -> impl Strategy<Value = Vec<f64>> {
    let mixed = prop_oneof![
        log_normal(0.7),
        log_normal(2.0).prop_map(|value| -value),
        -1.0..1.0,
        Just(0.0),
    ];
    prop_oneof![
        vec(log_normal(1.5), 1..1000),
        vec(0.0..10.0, 1..1000),
        vec(-3.0..5.0, 1..1000),
        vec(mixed, 1..1000),
    ]
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::with_cases(300) })]

    #[test]
    fn a_point_is_what_the_values_make_in_its_schema_and_the_finest_allowed(
        values in vec(any_value(), 0..120),
        asked in MIN_SCHEMA..=MAX_SCHEMA,
        max_buckets in 2..200_u16,
        zero_threshold in prop_oneof![Just(0.0), Just(1.0), Just(2_f64.powi(-128)), 0.0..5.0],
        coarser in vec(0..=2_u8, 16),
    ) {
        let layout = NativeBuckets::new().schema(asked).max_buckets(max_buckets).zero_threshold(zero_threshold);
        prop_assert_eq!(layout.check(), Ok(()));
        // A block may have been recorded more coarsely than asked for.
        let resolution = |octave: i32| {
            layout.resolution().saturating_sub(coarser[usize::try_from(octave.rem_euclid(16)).unwrap()])
        };
        let recorded = Recorded::new(&values, &layout, resolution);
        let point = recorded.join(&layout);

        let schema = schema(&point);
        let direct = |schema| {
            [1.0, -1.0].map(|sign| buckets_of(&values, sign, zero_threshold, schema))
        };
        let [positive, negative] = direct(schema);
        prop_assert_eq!(&point.positive, &positive);
        prop_assert_eq!(&point.negative, &negative);

        let total = point.zero_count + positive.iter().chain(&negative).map(|(_, count)| count).sum::<u64>();
        prop_assert_eq!(total, u64::try_from(values.len()).unwrap());

        let finest = asked.min(recorded.coarsest());
        prop_assert!(schema <= finest);
        let limit = usize::from(max_buckets);
        prop_assert!(positive.len() + negative.len() <= limit || schema == MIN_SCHEMA);
        if schema < finest {
            let [positive, negative] = direct(schema + 1);
            prop_assert!(positive.len() + negative.len() > limit);
        }
    }

    #[test]
    fn the_order_of_blocks_changes_nothing(values in vec(any_value(), 0..120), turn in 0..120_usize) {
        let layout = NativeBuckets::new();
        let recorded = Recorded::new(&values, &layout, |_| layout.resolution());
        let turned = |blocks: &[(i32, u8, Vec<u64>)]| {
            let mut blocks = blocks.to_vec();
            let by = turn % blocks.len().max(1);
            blocks.rotate_left(by);
            blocks
        };
        let other = Recorded { zero: recorded.zero, positive: turned(&recorded.positive), negative: turned(&recorded.negative) };
        prop_assert_eq!(recorded.join(&layout), other.join(&layout));
        let distinct: BTreeSet<_> = recorded.positive.iter().map(|block| block.0).collect();
        prop_assert_eq!(distinct.len(), recorded.positive.len());
    }

    #[test]
    fn quantiles_are_within_the_bucket_factor_of_the_exact_ones(
        mut values in data(),
        asked in MIN_SCHEMA..=MAX_SCHEMA,
        max_buckets in 20..400_u16,
    ) {
        let layout = NativeBuckets::new().schema(asked).max_buckets(max_buckets);
        let point = Recorded::new(&values, &layout, |_| layout.resolution()).join(&layout);
        let factor = 2_f64.powf(2_f64.powi(-point.schema));
        // `powf` rounds; the placing itself is held to exact integers elsewhere.
        let slack = 1.0 + 1e-12;
        values.sort_unstable_by(f64::total_cmp);
        for percent in 0..=100 {
            let rank = (values.len() - 1) * percent / 100;
            let exact = values[rank];
            let (lower, upper) = bounds_of_rank(&point, u64::try_from(rank).unwrap());
            if exact.abs() <= layout.zero_threshold {
                prop_assert_eq!((lower, upper), (-layout.zero_threshold, layout.zero_threshold));
                continue;
            }
            let (near, far) = if exact > 0.0 { (lower, upper) } else { (-upper, -lower) };
            prop_assert!(near > 0.0 && near <= exact.abs() * slack && exact.abs() <= far * slack, "{} at {}", exact, percent);
            for estimate in [near, (near * far).sqrt(), far] {
                let ratio = estimate / exact.abs();
                prop_assert!(ratio <= factor * slack && ratio >= 1.0 / (factor * slack));
            }
        }
    }
}
