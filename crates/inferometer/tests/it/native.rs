//! Native buckets, as a scrape shows them.

use std::thread;

use inferometer::{
    Histogram, HistogramPoint, LabelSet, MetricSet, NativeBuckets, NativePoint, Point,
    RegisterError, Registry,
};

#[derive(LabelSet)]
struct ByShard {
    shard: u8,
}

const COARSE: NativeBuckets = NativeBuckets::new().schema(0).max_buckets(8);

#[derive(MetricSet)]
struct Sizes {
    /// Native alone.
    #[metric(native)]
    native: Histogram<ByShard>,
    /// Both.
    #[metric(buckets = [1.0, 10.0], native)]
    both: Histogram,
    /// Coarse.
    #[metric(native = COARSE.zero_threshold(0.5))]
    coarse: Histogram,
}

fn sizes() -> (Registry, Sizes) {
    let registry = Registry::new();
    let set = registry.register().expect("the set keeps the rules");
    (registry, set)
}

fn point(registry: &Registry, family: &str, labels: &str) -> HistogramPoint {
    match registry
        .snapshot()
        .family(family)
        .and_then(|family| family.point(labels).cloned())
    {
        Some(Point::Histogram(point)) => *point,
        other => panic!("{family}: {other:?}"),
    }
}

fn native(registry: &Registry, family: &str, labels: &str) -> NativePoint {
    point(registry, family, labels)
        .native
        .expect("the family has native buckets")
}

#[test]
fn values_land_in_the_buckets_that_prometheus_defines() {
    let (registry, set) = sizes();
    for value in [1.0, 1.5, 2.0, 4.0, 4.1, -1.0, 0.0, 0.5, -0.25] {
        set.coarse.observe(value);
    }
    let point = native(&registry, "coarse", "");
    assert_eq!(point.schema, 0);
    assert_eq!(point.zero_threshold, 0.5);
    assert_eq!(point.zero_count, 3);
    // Bucket i holds (2^(i-1), 2^i].
    assert_eq!(point.positive, [(0, 1), (1, 2), (2, 1), (3, 1)]);
    assert_eq!(point.negative, [(0, 1)]);
}

#[test]
fn classic_and_native_buckets_count_the_same_values() {
    let (registry, set) = sizes();
    for value in 1..=1000 {
        set.both.observe(f64::from(value) / 50.0);
    }
    set.both.observe_times(f64::INFINITY, 3);
    set.both.observe_times(f64::NEG_INFINITY, 2);
    set.both.observe(f64::NAN);
    let point = point(&registry, "both", "");
    assert_eq!(point.counts, [52, 450, 503]);
    let native = point.native.as_ref().expect("it has both");
    assert_eq!(native.count(), 1005);
    assert_eq!(point.count(), 1005);
    assert_eq!(set.both.get().0, 1005);
}

#[test]
fn the_limit_of_buckets_holds_and_no_count_is_lost() {
    let (registry, set) = sizes();
    let mut count = 0;
    let mut schema = 8;
    for exponent in -300..300 {
        for step in 0..4 {
            set.coarse
                .observe((1.0 + f64::from(step) / 4.0) * 2_f64.powi(exponent));
            count += 1;
        }
        let point = native(&registry, "coarse", "");
        assert!(point.positive.len() <= 38, "{point:?}");
        assert!(
            point.schema <= schema,
            "the resolution never rises: {point:?}"
        );
        schema = point.schema;
        assert_eq!(point.count(), count);
    }
    assert_eq!(schema, -4);
}

#[test]
fn threads_count_into_the_same_buckets() {
    let (registry, set) = sizes();
    let series = set.native.series(ByShard { shard: 1 });
    thread::scope(|scope| {
        for thread in 0..8 {
            let series = series.clone();
            scope.spawn(move || {
                for round in 0..1000 {
                    series.observe(f64::from(round * 8 + thread) - 1000.0);
                }
            });
        }
    });
    let point = native(&registry, "native", r#"shard="1""#);
    assert_eq!(point.count(), 8000);
    assert_eq!(point.zero_count, 1);
    let of = |side: &[(i32, u64)]| side.iter().map(|(_, count)| count).sum::<u64>();
    assert_eq!((of(&point.negative), of(&point.positive)), (1000, 6999));
}

#[test]
fn a_native_series_that_was_removed_starts_anew() {
    let (registry, set) = sizes();
    for round in 0..100 {
        set.native
            .with(ByShard { shard: 0 })
            .observe(f64::from(round) + 1.0);
        let point = native(&registry, "native", r#"shard="0""#);
        assert_eq!((point.count(), point.positive.len()), (1, 1));
        assert!(set.native.remove(ByShard { shard: 0 }));
    }
}

#[test]
fn native_buckets_that_cannot_be_are_refused() {
    const FINER: NativeBuckets = NativeBuckets::new().schema(9);
    #[derive(MetricSet)]
    struct Fine {
        /// Fine.
        #[metric(native = FINER)]
        _fine: Histogram,
    }
    let error: RegisterError = Registry::new()
        .register::<Fine>()
        .err()
        .expect("there is no schema 9");
    assert_eq!(
        error.to_string(),
        "metric `_fine` can't be declared: its buckets have schema 9, and a schema lies between -4 and 8"
    );
}
