//! Any snapshot, however broken, makes pages that can be read, and the formats agree on what it said.

#![no_main]

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use arbitrary::Arbitrary;
use inferometer::{
    Descriptor, EncodeOptions, Exemplar, FamilySnapshot, Format, HistogramPoint, Kind, NativePoint,
    Point, SeriesSnapshot, Snapshot, encode_with,
};
use libfuzzer_sys::fuzz_target;
use page::Sample;

#[path = "../../tests/it/message.rs"]
mod message;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/it/page.rs"]
mod page;

#[derive(Arbitrary, Debug)]
enum Name {
    Sound(u8),
    Raw(String),
}

impl Name {
    fn text(&self) -> String {
        match self {
            Self::Sound(number) => format!("name_{number}"),
            Self::Raw(text) => text.clone(),
        }
    }
}

#[derive(Arbitrary, Debug)]
enum Labels {
    Rendered(Vec<(Name, String)>),
    Raw(String),
}

impl Labels {
    fn text(&self) -> Box<str> {
        match self {
            Self::Raw(text) => text.as_str().into(),
            Self::Rendered(pairs) => {
                let pairs: Vec<_> = pairs
                    .iter()
                    .map(|(name, value)| {
                        let value = value
                            .replace('\\', "\\\\")
                            .replace('"', "\\\"")
                            .replace('\n', "\\n");
                        format!("{}=\"{value}\"", name.text())
                    })
                    .collect();
                pairs.join(",").into()
            }
        }
    }
}

#[derive(Arbitrary, Debug)]
struct AnyExemplar {
    labels: Labels,
    value: f64,
    milliseconds: u32,
}

impl AnyExemplar {
    fn exemplar(&self) -> Exemplar {
        Exemplar {
            labels: self.labels.text(),
            value: self.value,
            at: UNIX_EPOCH + Duration::from_millis(self.milliseconds.into()),
        }
    }
}

#[derive(Arbitrary, Debug)]
struct AnyNative {
    schema: i8,
    zero_threshold: f64,
    zero_count: u64,
    positive: Vec<(i16, u64)>,
    negative: Vec<(i32, u64)>,
    sort: bool,
}

#[derive(Arbitrary, Debug)]
struct AnyHistogram {
    counts: Vec<u64>,
    /// Whether there shall be as many as there are buckets.
    fit: bool,
    sum: f64,
    exemplars: Vec<Option<AnyExemplar>>,
    native: Option<AnyNative>,
}

impl AnyHistogram {
    fn point(&self, buckets: usize) -> HistogramPoint {
        let mut counts = self.counts.clone();
        if self.fit {
            counts.resize(buckets + 1, 1);
        }
        HistogramPoint {
            counts,
            sum: self.sum,
            exemplars: self
                .exemplars
                .iter()
                .map(|found| found.as_ref().map(AnyExemplar::exemplar))
                .collect(),
            native: self.native.as_ref().map(|native| {
                let mut positive: Vec<_> = native
                    .positive
                    .iter()
                    .map(|(index, count)| (i32::from(*index), *count))
                    .collect();
                let mut negative = native.negative.clone();
                if native.sort {
                    for side in [&mut positive, &mut negative] {
                        side.sort_unstable();
                        side.dedup_by_key(|(index, _)| *index);
                    }
                }
                NativePoint {
                    schema: native.schema.into(),
                    zero_threshold: native.zero_threshold,
                    zero_count: native.zero_count,
                    positive,
                    negative,
                }
            }),
        }
    }
}

#[derive(Arbitrary, Debug)]
enum AnyPoint {
    Integer(u64),
    Signed(i64),
    Float(f64),
    Histogram(AnyHistogram),
}

#[derive(Arbitrary, Debug)]
struct AnySeries {
    labels: Labels,
    point: AnyPoint,
    created: Option<u32>,
    exemplar: Option<AnyExemplar>,
}

#[derive(Arbitrary, Debug)]
enum AnyKind {
    Counter,
    Gauge,
    Histogram,
    Info,
    StateSet,
}

#[derive(Arbitrary, Debug)]
struct AnyFamily {
    name: Name,
    /// Whether the name shall end as its kind asks.
    suffix: bool,
    kind: AnyKind,
    unit: Option<String>,
    help: String,
    buckets: Vec<f64>,
    sort: bool,
    series: Vec<AnySeries>,
}

impl AnyFamily {
    fn family(&self, number: usize) -> FamilySnapshot {
        let (kind, suffix) = match self.kind {
            AnyKind::Counter => (Kind::Counter, "_total"),
            AnyKind::Gauge => (Kind::Gauge, ""),
            AnyKind::Histogram => (Kind::Histogram, ""),
            AnyKind::Info => (Kind::Info, "_info"),
            AnyKind::StateSet => (Kind::StateSet, ""),
        };
        let mut buckets = self.buckets.clone();
        if self.sort {
            buckets.retain(|bound| bound.is_finite());
            buckets.sort_by(f64::total_cmp);
            buckets.dedup();
        }
        let suffix = if self.suffix { suffix } else { "" };
        // That families differ in name is up to whoever makes the snapshot.
        let name = format!("{}_{number}{suffix}", self.name.text());
        FamilySnapshot {
            series: self
                .series
                .iter()
                .map(|series| SeriesSnapshot {
                    labels: series.labels.text(),
                    point: match &series.point {
                        AnyPoint::Integer(value) => Point::Integer(*value),
                        AnyPoint::Signed(value) => Point::Signed(*value),
                        AnyPoint::Float(value) => Point::Float(*value),
                        AnyPoint::Histogram(point) => {
                            Point::Histogram(Box::new(point.point(buckets.len())))
                        }
                    },
                    created: series
                        .created
                        .map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds.into())),
                    exemplar: series.exemplar.as_ref().map(AnyExemplar::exemplar),
                })
                .collect(),
            descriptor: Arc::new(Descriptor {
                name,
                kind,
                unit: self.unit.clone().map(Into::into),
                help: self.help.clone().into(),
                labels: Vec::new(),
                buckets: buckets.into(),
            }),
        }
    }
}

fuzz_target!(|families: Vec<AnyFamily>| {
    let families = families.iter().enumerate();
    let snapshot = Snapshot {
        families: families.map(|(at, family)| family.family(at)).collect(),
    };
    let text = |format, created| {
        let page = encode_with(&snapshot, format, EncodeOptions { created });
        String::from_utf8(page).expect("the text formats are UTF-8")
    };
    let plain = text(Format::PrometheusText, false);
    let open = text(Format::OpenMetricsText, false);
    let with_times = text(Format::OpenMetricsText, true);
    let messages = encode_with(&snapshot, Format::Protobuf, EncodeOptions::default());

    assert_eq!(
        open.matches("\n# EOF\n").count() + usize::from(open == "# EOF\n"),
        1
    );
    page::help(&plain, Format::PrometheusText);
    page::help(&open, Format::OpenMetricsText);
    let plain = page::lines(&plain);
    agree_with_open(&plain, &page::lines(&open));
    let without_times: Vec<_> = page::lines(&with_times)
        .into_iter()
        .filter(|sample| !sample.name.ends_with("_created"))
        .collect();
    // A name of the fuzzer's own may end so, too.
    let open: Vec<_> = page::lines(&open)
        .into_iter()
        .filter(|sample| !sample.name.ends_with("_created"))
        .collect();
    assert_eq!(without_times, open);
    agree_with_protobuf(&plain, &message::families(&messages));
});

/// OpenMetrics has the same samples, but for sums that are no counters and the counts beside them.
fn agree_with_open(plain: &[Sample], open: &[Sample]) {
    let mut open = open.iter().peekable();
    for sample in plain {
        let same = open.next_if(|found| {
            found.name == sample.name
                && found.labels == sample.labels
                && found.value == sample.value
        });
        let may_lack = sample.name.ends_with("_sum") || sample.name.ends_with("_count");
        assert!(
            same.is_some() || may_lack,
            "{sample:?} is not {:?}",
            open.peek()
        );
    }
    assert_eq!(open.next(), None);
}

fn agree_with_protobuf(plain: &[Sample], families: &[message::MetricFamily]) {
    let mut plain = plain.iter();
    for family in families {
        let name = family.name();
        for metric in &family.metric {
            let labels = message::labels(&metric.label);
            if let Some(histogram) = &metric.histogram {
                agree_with_histogram(&mut plain, name, &labels, histogram);
            } else {
                let counter = metric.counter.as_ref().and_then(|counter| counter.value);
                let gauge = metric.gauge.as_ref().and_then(|gauge| gauge.value);
                let value = counter.or(gauge).expect("a counter or a gauge");
                expect(plain.next(), name, &labels, Some(value));
            }
        }
    }
    assert_eq!(plain.next(), None);
}

fn agree_with_histogram<'a>(
    plain: &mut impl Iterator<Item = &'a Sample>,
    name: &str,
    labels: &[(String, String)],
    histogram: &message::Histogram,
) {
    let is_native = histogram.schema.is_some();
    if is_native {
        // Panics unless spans and differences belong together.
        message::native(&histogram.positive_span, &histogram.positive_delta);
        message::native(&histogram.negative_span, &histogram.negative_delta);
    }
    // What was read apart may differ.
    let unless_native = |value: u64| (!is_native).then_some(value as f64);
    let finite = histogram
        .bucket
        .iter()
        .filter(|bucket| bucket.upper_bound() != f64::INFINITY);
    let mut before = 0;
    for bucket in finite {
        assert!(before <= bucket.cumulative_count());
        before = bucket.cumulative_count();
        let mut labels = labels.to_vec();
        let line = plain.next().expect("a bucket");
        let le = line.labels.last().expect("a bucket has a bound").1.clone();
        assert_eq!(le.parse(), Ok(bucket.upper_bound()));
        labels.push(("le".to_owned(), le));
        let count = unless_native(bucket.cumulative_count());
        expect(Some(line), &format!("{name}_bucket"), &labels, count);
    }
    assert!(before <= histogram.sample_count());
    let mut last = labels.to_vec();
    last.push(("le".to_owned(), "+Inf".to_owned()));
    let count = unless_native(histogram.sample_count());
    expect(plain.next(), &format!("{name}_bucket"), &last, count);
    let sum = histogram.sample_sum();
    expect(plain.next(), &format!("{name}_sum"), labels, Some(sum));
    expect(plain.next(), &format!("{name}_count"), labels, count);
}

fn expect(sample: Option<&Sample>, name: &str, labels: &[(String, String)], value: Option<f64>) {
    let sample = sample.expect("the text has every sample of the messages");
    assert_eq!(sample.name, name);
    assert_eq!(sample.labels, labels);
    if let Some(value) = value {
        let found = sample.number();
        assert!(
            found == value || (found.is_nan() && value.is_nan()),
            "{sample:?}: {value}"
        );
    }
}
