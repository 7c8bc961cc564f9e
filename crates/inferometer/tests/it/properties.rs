//! What holds for any input.

use std::collections::{BTreeMap, BTreeSet};

use inferometer::{Counter, Format, Gauge, Histogram, Info, LabelSet, MetricSet, Registry, encode};
use proptest::{collection::vec, prelude::*, test_runner::Config};

use crate::{message, page};

#[derive(LabelSet)]
struct Pair<'a> {
    one: &'a str,
    other_one: &'a str,
}

#[derive(MetricSet)]
struct Any {
    /// Counts.
    counts: Counter<Pair<'static>>,
    /// A level.
    level: Gauge,
    /// Sizes.
    #[metric(buckets = [-1e300, -1.0, 0.0, 1e-300, 1.0, 1e300])]
    sizes: Histogram,
    /// A fact.
    fact: Info<Pair<'static>>,
}

fn fresh() -> (Registry, Any) {
    let registry = Registry::new();
    let set = registry.register().expect("the set keeps the rules");
    (registry, set)
}

/// Text with more of what is escaped than chance would bring.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\\".to_owned()),
        Just("\"".to_owned()),
        Just("\n".to_owned()),
        Just("n".to_owned()),
        Just("\",other_one=\"".to_owned()),
        any::<char>().prop_map(String::from),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::with_cases(200) })]

    #[test]
    fn escapes_round_trip(one in text(), other_one in text()) {
        let (registry, set) = fresh();
        set.fact.set(Pair { one: &one, other_one: &other_one });
        for format in [Format::PrometheusText, Format::OpenMetricsText] {
            let samples = page::samples(&page::of(&registry, format));
            let fact = samples.iter().find(|sample| sample.name == "fact_info").expect("it is set");
            let expected = [("one".to_owned(), one.clone()), ("other_one".to_owned(), other_one.clone())];
            prop_assert_eq!(&fact.labels[..], &expected[..]);
            prop_assert_eq!(&*fact.value, "1");
        }
        let families = message::families(&encode(&registry.snapshot(), Format::Protobuf));
        let fact = families.iter().find(|family| family.name() == "fact_info").expect("it is set");
        prop_assert_eq!(message::labels(&fact.metric[0].label), [("one".to_owned(), one), ("other_one".to_owned(), other_one)]);
    }

    #[test]
    fn label_sets_stay_distinct(pairs in vec((text(), text()), 1..60)) {
        let (registry, set) = fresh();
        let mut expected: BTreeMap<(String, String), u64> = BTreeMap::new();
        for (one, other_one) in &pairs {
            set.counts.with(Pair { one, other_one }).inc();
            *expected.entry((one.clone(), other_one.clone())).or_default() += 1;
        }
        let mut found = BTreeMap::new();
        for sample in page::samples(&registry.encode_text()) {
            if sample.name == "counts_total" {
                let label = |name| sample.label(name).expect("both labels are there").to_owned();
                found.insert((label("one"), label("other_one")), sample.value.parse().expect("a count"));
            }
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn floats_round_trip(value in any::<f64>()) {
        let (registry, set) = fresh();
        set.level.set(value);
        let samples = page::samples(&registry.encode_text());
        let level = samples.iter().find(|sample| sample.name == "level").expect("it is set");
        let read = level.number();
        prop_assert!(read.to_bits() == value.to_bits() || (read.is_nan() && value.is_nan()));
    }

    #[test]
    fn buckets_are_monotone_and_hold_each_value_once(
        values in vec(prop_oneof![any::<f64>(), -2.0..2.0, Just(0.0), Just(f64::INFINITY)], 0..100),
    ) {
        let (registry, set) = fresh();
        for value in &values {
            set.sizes.observe(*value);
        }
        let samples = page::samples(&registry.encode_text());
        let buckets: Vec<_> = samples.iter().filter(|sample| sample.name == "sizes_bucket").collect();
        let counted = values.iter().filter(|value| !value.is_nan());
        for bucket in &buckets {
            let bound: f64 = bucket.label("le").and_then(|le| le.parse().ok()).expect("a bound");
            let below = counted.clone().filter(|value| **value <= bound).count();
            prop_assert_eq!(bucket.value.parse::<usize>(), Ok(below));
        }
        prop_assert!(buckets.is_sorted_by(|one, other| one.number() <= other.number()));
        let count = samples.iter().find(|sample| sample.name == "sizes_count").expect("a count");
        prop_assert_eq!(count.value.parse::<usize>(), Ok(counted.count()));
    }

    #[test]
    fn bounds_declared_are_kept_or_refused(mut bounds in vec(any::<f64>(), 0..12), sort in any::<bool>()) {
        if sort {
            bounds.sort_by(f64::total_cmp);
        }
        let rising = bounds.is_sorted_by(|one, other| one < other);
        let fine = !bounds.is_empty() && rising && bounds.iter().all(|bound| bound.is_finite());
        prop_assert_eq!(Handmade::register(&bounds), fine);
    }

    #[test]
    fn no_more_values_than_the_limit(values in vec(0_u8..40, 0..200)) {
        #[derive(LabelSet)]
        struct Limited {
            #[label(limit = 10)]
            value: u8,
        }
        #[derive(MetricSet)]
        struct Few {
            /// Few.
            few: Counter<Limited>,
        }
        let registry = Registry::new();
        let set: Few = registry.register().expect("the set keeps the rules");
        let mut kept = BTreeSet::new();
        let mut dropped = 0;
        for value in values.iter().copied() {
            set.few.with(Limited { value }).inc();
            if !kept.contains(&value) && kept.len() == 10 {
                dropped += 1;
            } else {
                kept.insert(value);
            }
        }
        let page = registry.encode_text();
        let other = page::value(&page, "few_total", &[("value", "other")]);
        prop_assert_eq!(other, (dropped > 0).then_some(f64::from(dropped)));
        let labels = [("family", "few_total"), ("label", "value")];
        let counted = page::value(&page, "inferometer_label_values_dropped_total", &labels);
        prop_assert_eq!(counted, Some(f64::from(dropped)));
        let all: f64 = page::samples(&page)
            .iter()
            .filter(|sample| sample.name == "few_total")
            .map(page::Sample::number)
            .sum();
        prop_assert_eq!(all, values.len() as f64);
    }
}

/// A histogram with bounds known only now.
struct Handmade;

thread_local!(static BOUNDS: std::cell::RefCell<Vec<f64>> = const { std::cell::RefCell::new(Vec::new()) });

impl Handmade {
    fn register(bounds: &[f64]) -> bool {
        BOUNDS.set(bounds.to_vec());
        let registry = Registry::new();
        let done = registry.register::<Self>().is_ok();
        // What was accepted can be printed.
        page::samples(&registry.encode_text());
        done
    }

    fn spec() -> inferometer::FieldSpec {
        inferometer::FieldSpec {
            field: "handmade",
            name: None,
            unit: None,
            help: "Any bounds.",
            buckets: Some(BOUNDS.with_borrow(Vec::clone)),
            ..Default::default()
        }
    }
}

impl MetricSet for Handmade {
    fn describe(namespace: &str, into: &mut Vec<inferometer::Descriptor>) {
        into.push(<Histogram as inferometer::Metric>::describe(
            &Self::spec(),
            namespace,
        ));
    }

    fn create(namespace: &str, registrar: &mut inferometer::Registrar<'_>) -> Self {
        let _histogram: Histogram = inferometer::create_field(&Self::spec(), namespace, registrar);
        Self
    }
}
