//! Native histograms: what Prometheus reads, bucket by bucket, and what becomes of classic buckets beside them.

use std::collections::BTreeMap;

use inferometer::{Histogram, MetricSet, NativeBuckets, Registry};
use inferometer_http::{MetricsServer, ServerHandle};
use inferometer_judges::{Feature, Job, NativeSeries, Prometheus, Protocol, Release};

use crate::service::{BOUNDS, LE, count};

const FEATURES: [Feature; 2] = [Feature::ExemplarStorage, Feature::NativeHistograms];

#[derive(MetricSet)]
#[metrics(namespace = "depot")]
struct Depot {
    /// Weight of a parcel.
    #[metric(unit = "grams", native)]
    weight: Histogram,
    /// Change of its weight on the way.
    #[metric(unit = "grams", native = NativeBuckets::new().schema(0).zero_threshold(0.5))]
    change: Histogram,
    /// Time on the way.
    #[metric(unit = "seconds", buckets = BOUNDS, native = NativeBuckets::new().schema(5))]
    way: Histogram,
    /// Values too far apart for the buckets that it may have.
    #[metric(native = NativeBuckets::new().schema(8).max_buckets(20))]
    wide: Histogram,
}

/// What was recorded, in rising order.
struct Truth {
    weight: Vec<f64>,
    change: Vec<f64>,
    way: Vec<f64>,
    wide: Vec<f64>,
}

/// The last value of each, and what it stands for.
const LAST: f64 = 2.75;
const TRACE: [(&str, &str); 1] = [("trace_id", "4bf92f35")];

/// Every value is a multiple of 1/1024, so sums are exact.
fn record(depot: &Depot) -> Truth {
    let all = || 1..=3_000_u32;
    let observed = |histogram: &Histogram, values: &mut dyn Iterator<Item = f64>| {
        let mut values: Vec<_> = values.inspect(|value| histogram.observe(*value)).collect();
        histogram.observe_with_exemplar(LAST, &TRACE);
        values.push(LAST);
        values.sort_by(f64::total_cmp);
        values
    };
    Truth {
        weight: observed(
            &depot.weight,
            &mut all().map(|n| f64::from(n * n % 7919 + 1) / 64.0),
        ),
        change: observed(
            &depot.change,
            &mut all().map(|n| f64::from(i32::try_from(n % 41).unwrap() - 20) / 4.0),
        ),
        way: observed(
            &depot.way,
            &mut all().map(|n| f64::from(n * 7 % 9001 + 1) / 1024.0),
        ),
        wide: observed(&depot.wide, &mut all().map(|n| f64::from(1 << (n % 31)))),
    }
}

fn serve() -> (Depot, ServerHandle) {
    let registry = Registry::new();
    let depot = registry.register().unwrap();
    let endpoint = MetricsServer::new(registry).start("127.0.0.1:0").unwrap();
    (depot, endpoint)
}

#[test]
fn native_buckets_hold_what_was_recorded() {
    Release::each(|release| {
        let (depot, endpoint) = serve();
        let mut jobs = vec![Job::new("agreed", endpoint.address())];
        if release.keeps_classic_beside_native() {
            jobs.push(Job::new("both", endpoint.address()).classic_beside_native());
        }
        let prometheus = release.scraping(&jobs, &FEATURES).unwrap();
        let truth = record(&depot);
        prometheus.wait_for_fresh_scrape().unwrap();
        for job in ["agreed", "both"].into_iter().take(jobs.len()) {
            for (family, values) in [
                ("depot_weight_grams", &truth.weight),
                ("depot_change_grams", &truth.change),
                ("depot_way_seconds", &truth.way),
                ("depot_wide", &truth.wide),
            ] {
                let found = native(&prometheus, family, job);
                holds(&found, values);
                quantiles_are_in_the_bucket_of_the_exact_ones(&prometheus, &found, job, values);
                let kept = prometheus
                    .exemplars(&format!("{family}{{job=\"{job}\"}}"))
                    .unwrap();
                assert_eq!(kept.len(), 1, "{family}: {kept:?}");
                assert_eq!(
                    kept[0].labels,
                    BTreeMap::from(TRACE.map(|(name, value)| (name.into(), value.into())))
                );
                assert_eq!(kept[0].value, LAST, "{family}");
            }
            assert!(native(&prometheus, "depot_wide", job).buckets.len() <= 20);

            let bounds = bounds(&prometheus, "depot_way_seconds", job);
            if job == "both" {
                assert_eq!(bounds, LE);
            } else {
                assert!(bounds.is_empty(), "native buckets take their place");
            }
        }
    })
    .unwrap();
}

#[test]
fn server_that_takes_no_native_buckets_gets_the_classic_ones() {
    Release::each(|release| {
        let (depot, endpoint) = serve();
        let mut jobs = vec![Job::new("agreed", endpoint.address())];
        if release.chooses_protocols() && release.keeps_classic_beside_native() {
            // Told to ask for protobuf and not to keep the classic ones, it would drop these histograms whole, without a word.
            let told = Job::new("told", endpoint.address());
            jobs.push(told.protocol(Protocol::Protobuf).classic_beside_native());
        }
        let prometheus = release.scraping(&jobs, &[]).unwrap();
        let truth = record(&depot);
        prometheus.wait_for_fresh_scrape().unwrap();
        let holds = |family: &str, job: &str, values: &[f64]| {
            let one = |part: &str| {
                let query = format!("{family}_{part}{{job=\"{job}\"}}");
                let found = prometheus.query(&query).unwrap();
                assert_eq!(found.len(), 1, "{query}");
                found[0].value
            };
            assert_eq!(one("count"), count(values.len()));
            assert_eq!(one("sum"), values.iter().sum::<f64>());
        };
        for job in ["agreed", "told"].into_iter().take(jobs.len()) {
            assert_eq!(bounds(&prometheus, "depot_way_seconds", job), LE);
            holds("depot_way_seconds", job, &truth.way);
        }
        // Without classic buckets there is one in text still, and none in protobuf.
        assert_eq!(
            bounds(&prometheus, "depot_weight_grams", "agreed"),
            ["+Inf"]
        );
        holds("depot_weight_grams", "agreed", &truth.weight);
    })
    .unwrap();
}

fn native(prometheus: &Prometheus, family: &str, job: &str) -> NativeSeries {
    let query = format!("{family}{{job=\"{job}\"}}");
    let mut found = prometheus.query_native(&query).unwrap();
    assert_eq!(found.len(), 1, "{query}");
    found.remove(0)
}

/// The bounds of the classic buckets, in rising order.
fn bounds(prometheus: &Prometheus, family: &str, job: &str) -> Vec<String> {
    let query = format!("{family}_bucket{{job=\"{job}\"}}");
    let found = prometheus.query(&query).unwrap();
    let mut bounds: Vec<_> = found
        .into_iter()
        .map(|mut series| series.labels.remove("le").unwrap())
        .collect();
    bounds.sort_by(|one, other| {
        let [one, other] = [one, other].map(|bound| bound.parse::<f64>().unwrap());
        one.total_cmp(&other)
    });
    bounds
}

/// How many values a bucket of these bounds is to hold: bounds away from zero belong to it, and both do around zero.
fn between(values: &[f64], lower: f64, upper: f64) -> f64 {
    let holds = |value: f64| match (lower < 0.0, upper > 0.0) {
        (true, true) => lower <= value && value <= upper,
        (true, false) => lower <= value && value < upper,
        _ => lower < value && value <= upper,
    };
    count(values.iter().filter(|value| holds(**value)).count())
}

fn holds(found: &NativeSeries, values: &[f64]) {
    assert_eq!(found.count, count(values.len()), "{:?}", found.labels);
    assert_eq!(found.sum, values.iter().sum::<f64>(), "{:?}", found.labels);
    assert!(!found.buckets.is_empty());
    for &(lower, upper, held) in &found.buckets {
        assert_eq!(
            held,
            between(values, lower, upper),
            "({lower}, {upper}) of {:?}",
            found.labels
        );
    }
    let held: f64 = found.buckets.iter().map(|(.., held)| held).sum();
    assert_eq!(held, found.count);
}

fn quantiles_are_in_the_bucket_of_the_exact_ones(
    prometheus: &Prometheus,
    found: &NativeSeries,
    job: &str,
    values: &[f64],
) {
    let family = &found.labels["__name__"];
    for share in [0.05, 0.5, 0.9, 0.99] {
        let query = format!("histogram_quantile({share}, {family}{{job=\"{job}\"}})");
        let told = prometheus.query(&query).unwrap()[0].value;
        let exact = values
            .iter()
            .enumerate()
            .find(|(at, _)| count(at + 1) >= share * count(values.len()))
            .map(|(_, value)| *value)
            .unwrap();
        let same = found.buckets.iter().any(|(lower, upper, _)| {
            let bucket = *lower..=*upper;
            bucket.contains(&told) && bucket.contains(&exact)
        });
        assert!(same, "{query} is {told}, exactly {exact}");
    }
}
