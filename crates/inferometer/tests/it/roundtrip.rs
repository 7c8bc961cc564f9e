//! A page says what its snapshot says: read back by another parser, sample by sample.

use std::time::{SystemTime, UNIX_EPOCH};

use inferometer::{
    EncodeOptions, Exemplar, FamilySnapshot, Format, HistogramPoint, Kind, NativePoint, Point,
    SeriesSnapshot, Snapshot, encode, encode_with,
};
use proptest::{prelude::*, test_runner::Config};

use crate::{
    message::{self, MetricType},
    page::{self, Sample},
    snapshots::{self, Texts},
};

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::with_cases(300) })]

    #[test]
    fn text_says_what_the_snapshot_says(snapshot in snapshots::snapshot(Texts::Any), created in any::<bool>()) {
        for format in [Format::PrometheusText, Format::OpenMetricsText] {
            Text::check(&snapshot, format, created);
        }
    }

    #[test]
    fn protobuf_says_what_the_snapshot_says(snapshot in snapshots::snapshot(Texts::Any)) {
        let families = message::families(&encode(&snapshot, Format::Protobuf));
        prop_assert_eq!(families.len(), snapshot.families.len());
        for (read, family) in families.iter().zip(&snapshot.families) {
            protobuf_family(read, family);
        }
    }

    #[test]
    fn equal_snapshots_give_equal_bytes(snapshot in snapshots::snapshot(Texts::Any)) {
        for format in Format::ALL {
            prop_assert_eq!(encode(&snapshot, format), encode(&snapshot.clone(), format));
        }
    }
}

fn same(one: f64, other: f64) -> bool {
    one.to_bits() == other.to_bits() || (one.is_nan() && other.is_nan())
}

/// Seconds and nanoseconds.
fn since_1970(at: SystemTime) -> (u64, u32) {
    let since = at.duration_since(UNIX_EPOCH).expect("chance is younger");
    (since.as_secs(), since.subsec_nanos())
}

fn in_text(at: SystemTime) -> String {
    let (seconds, nanos) = since_1970(at);
    format!("{seconds}.{:03}", nanos / 1_000_000)
}

/// The samples of a page that were not yet asked for.
struct Text {
    samples: std::vec::IntoIter<Sample>,
    open_metrics: bool,
    created: bool,
}

impl Text {
    fn check(snapshot: &Snapshot, format: Format, created: bool) {
        let page = encode_with(snapshot, format, EncodeOptions { created });
        let page = String::from_utf8(page).expect("the text formats are UTF-8");
        let open_metrics = format == Format::OpenMetricsText;
        assert_eq!(page.ends_with("# EOF\n"), open_metrics);
        let help = page::help(&page, format);
        let mut text = Self {
            samples: page::samples(&page).into_iter(),
            open_metrics,
            created: created && open_metrics,
        };
        for family in &snapshot.families {
            let descriptor = &family.descriptor;
            let name = if open_metrics {
                descriptor.family()
            } else {
                &descriptor.name
            };
            assert_eq!(help[name], descriptor.help);
            for series in &family.series {
                text.series(family, series);
            }
        }
        assert_eq!(text.samples.next(), None, "more than the snapshot has");
    }

    fn series(&mut self, family: &FamilySnapshot, series: &SeriesSnapshot) {
        let descriptor = &family.descriptor;
        let kind = descriptor.kind;
        if let Point::Histogram(point) = &series.point {
            self.histogram(family, series, point);
        } else {
            let sample = self.next(&descriptor.name, &series.labels);
            match series.point {
                Point::Integer(value) => assert_eq!(sample.value, value.to_string()),
                Point::Signed(value) => assert_eq!(sample.value, value.to_string()),
                Point::Float(value) => assert!(same(sample.number(), value), "{value}: {sample:?}"),
                Point::Histogram(_) => unreachable!("see above"),
            }
            let exemplar = series
                .exemplar
                .as_ref()
                .filter(|_| kind == Kind::Counter && self.open_metrics);
            check_exemplar(&sample, exemplar);
        }
        if let Some(created) = series.created.filter(|_| self.created) {
            let name = format!("{}_created", descriptor.family());
            assert_eq!(self.next(&name, &series.labels).value, in_text(created));
        }
    }

    fn histogram(
        &mut self,
        family: &FamilySnapshot,
        series: &SeriesSnapshot,
        point: &HistogramPoint,
    ) {
        let name = &family.descriptor.name;
        let mut cumulative: Vec<_> = point.cumulative().collect();
        if cumulative.is_empty() {
            cumulative.push(point.count());
        }
        assert!(cumulative.is_sorted());
        for (at, count) in cumulative.iter().enumerate() {
            let sample = self.samples.next().expect("a bucket");
            assert_eq!(sample.name, format!("{name}_bucket"));
            let (le, labels) = sample.labels.split_last().expect("a bucket has a bound");
            assert_eq!(labels, page::pairs(&series.labels));
            assert_eq!(le.0, "le");
            let bound = family.descriptor.buckets.get(at).copied();
            assert_eq!(le.1.parse(), Ok(bound.unwrap_or(f64::INFINITY)));
            assert!(le.1 == "+Inf" || le.1.contains(['.', 'e']), "{}", le.1);
            assert_eq!(sample.value, count.to_string());
            let exemplar = point.exemplars.get(at).and_then(Option::as_ref);
            let exemplar = exemplar
                .filter(|found| self.open_metrics && found.value <= bound.unwrap_or(f64::INFINITY));
            check_exemplar(&sample, exemplar);
        }
        let sum = self.next(&format!("{name}_sum"), &series.labels);
        assert!(same(sum.number(), point.sum));
        let count = self.next(&format!("{name}_count"), &series.labels);
        assert_eq!(count.value, cumulative[cumulative.len() - 1].to_string());
    }

    fn next(&mut self, name: &str, labels: &str) -> Sample {
        let sample = self.samples.next().expect("a sample");
        assert_eq!(sample.name, name);
        assert_eq!(sample.labels, page::pairs(labels));
        sample
    }
}

fn check_exemplar(sample: &Sample, exemplar: Option<&Exemplar>) {
    match (&sample.exemplar, exemplar) {
        (None, None) => {}
        (Some(read), Some(exemplar)) => {
            assert_eq!(read.labels, page::pairs(&exemplar.labels));
            assert!(same(read.value.parse().expect("a number"), exemplar.value));
            assert_eq!(read.time, Some(in_text(exemplar.at)));
        }
        (read, exemplar) => panic!("{exemplar:?} was written as {read:?}"),
    }
}

fn protobuf_family(read: &message::MetricFamily, family: &FamilySnapshot) {
    let descriptor = &family.descriptor;
    assert_eq!(read.name.as_ref(), Some(&descriptor.name));
    assert_eq!(read.help.as_deref(), Some(&*descriptor.help));
    assert_eq!(read.unit.as_deref(), descriptor.unit_in_name());
    let kind = match descriptor.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge | Kind::Info | Kind::StateSet => MetricType::Gauge,
        Kind::Histogram => MetricType::Histogram,
    };
    assert_eq!(read.r#type(), kind);
    assert_eq!(read.metric.len(), family.series.len());
    for (read, series) in read.metric.iter().zip(&family.series) {
        assert_eq!(message::labels(&read.label), page::pairs(&series.labels));
        let number = match &series.point {
            Point::Integer(value) => *value as f64,
            Point::Signed(value) => *value as f64,
            Point::Float(value) => *value,
            Point::Histogram(point) => {
                let read = read.histogram.as_ref().expect("a histogram");
                protobuf_histogram(read, point, &descriptor.buckets);
                check_created(read.created_timestamp, series.created);
                continue;
            }
        };
        let value = if kind == MetricType::Counter {
            let read = read.counter.as_ref().expect("a counter");
            check_created(read.created_timestamp, series.created);
            check_message(read.exemplar.as_ref(), series.exemplar.as_ref());
            read.value
        } else {
            read.gauge.and_then(|gauge| gauge.value)
        };
        assert!(
            same(value.expect("a value"), number),
            "{series:?}: {read:?}"
        );
    }
}

fn protobuf_histogram(read: &message::Histogram, point: &HistogramPoint, bounds: &[f64]) {
    let count = read.sample_count.expect("a count");
    let native_count = point.native.as_ref().map(NativePoint::count);
    assert_eq!(count, native_count.unwrap_or(point.count()));
    assert!(same(read.sample_sum.expect("a sum"), point.sum));
    let classic: Vec<_> = point.cumulative().collect();
    let last = point.exemplars.get(bounds.len()).and_then(Option::as_ref);
    let with_last = !classic.is_empty() && last.is_some();
    assert_eq!(read.bucket.len(), bounds.len() + usize::from(with_last));
    for (at, bucket) in read.bucket.iter().enumerate() {
        let cumulative = match bounds.get(at) {
            Some(_) => classic[at].min(count),
            None => count,
        };
        assert_eq!(bucket.cumulative_count, Some(cumulative));
        let bound = bounds.get(at).copied().unwrap_or(f64::INFINITY);
        assert_eq!(bucket.upper_bound, Some(bound));
        let exemplar = point.exemplars.get(at).and_then(Option::as_ref);
        check_message(bucket.exemplar.as_ref(), exemplar);
    }
    match &point.native {
        None => assert_eq!(
            (read.schema, read.zero_threshold, read.zero_count),
            (None, None, None)
        ),
        Some(native) => {
            let buckets = |spans, deltas: &[i64]| {
                let mut buckets = message::native(spans, deltas);
                buckets.retain(|(_, count)| *count > 0);
                buckets
            };
            let mut known = native.clone();
            known.positive.retain(|(_, count)| *count > 0);
            known.negative.retain(|(_, count)| *count > 0);
            let read_back = NativePoint {
                schema: read.schema(),
                zero_threshold: read.zero_threshold(),
                zero_count: read.zero_count(),
                positive: buckets(&read.positive_span, &read.positive_delta),
                negative: buckets(&read.negative_span, &read.negative_delta),
            };
            assert_eq!(read_back, known);
            assert!(is_native_to_prometheus(read));
        }
    }
    let exemplars = point.exemplars.iter().flatten();
    let exemplars: Vec<_> = exemplars.filter(|_| classic.is_empty()).collect();
    assert_eq!(read.exemplars.len(), exemplars.len());
    for (read, exemplar) in read.exemplars.iter().zip(exemplars) {
        check_message(Some(read), Some(exemplar));
    }
}

/// What Prometheus takes for the mark of native buckets: model/textparse/protobufparse.go, `isNativeHistogram`.
fn is_native_to_prometheus(read: &message::Histogram) -> bool {
    !read.positive_span.is_empty()
        || !read.negative_span.is_empty()
        || read.zero_threshold() > 0.0
        || read.zero_count() > 0
}

fn check_created(read: Option<message::Timestamp>, created: Option<SystemTime>) {
    let read = read.map(|at| (at.seconds.unsigned_abs(), at.nanos.unsigned_abs()));
    assert_eq!(read, created.map(since_1970));
}

fn check_message(read: Option<&message::Exemplar>, exemplar: Option<&Exemplar>) {
    match (read, exemplar) {
        (None, None) => {}
        (Some(read), Some(exemplar)) => {
            assert_eq!(message::labels(&read.label), page::pairs(&exemplar.labels));
            assert!(same(read.value.expect("a value"), exemplar.value));
            check_created(read.timestamp, Some(exemplar.at));
        }
        (read, exemplar) => panic!("{exemplar:?} was written as {read:?}"),
    }
}
