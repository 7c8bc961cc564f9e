//! Snapshots as chance makes them, all of them such as the core could have read, and what each format must say of them.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use inferometer::{
    Descriptor, Exemplar, FamilySnapshot, HistogramPoint, Kind, NativePoint, Point, SeriesSnapshot,
    Snapshot,
};
use proptest::{
    collection::{btree_map, btree_set, vec},
    option,
    prelude::*,
};

/// How strange the texts are.
#[expect(
    dead_code,
    reason = "each of the test crates that share this file uses one of them"
)]
#[derive(Clone, Copy, Debug)]
pub(crate) enum Texts {
    /// Anything that UTF-8 can spell.
    Any,
    /// What the parsers of `prometheus_client` take as it is: the strict one loses count of the quotes in an exemplar when one is
    /// escaped, and the judge takes a carriage return for a line's end.
    Tame,
}

impl Texts {
    /// A label's value or a family's help, with more of what is escaped than chance would bring.
    fn text(self) -> BoxedStrategy<String> {
        let character = match self {
            Self::Any => any::<char>().boxed(),
            Self::Tame => any::<char>()
                .prop_filter("the judge takes none", |c| *c != '\r')
                .boxed(),
        };
        let piece = prop_oneof![
            Just("\\".to_owned()),
            Just("\"".to_owned()),
            Just("\n".to_owned()),
            Just("n".to_owned()),
            Just("\",other=\"".to_owned()),
            Just("} 1\n# EOF\nevil 666".to_owned()),
            character.prop_map(String::from),
        ];
        vec(piece, 0..8).prop_map(|pieces| pieces.concat()).boxed()
    }

    fn exemplar_text(self) -> BoxedStrategy<String> {
        match self {
            // Not beyond the 128 characters that an exemplar may have.
            Self::Any => self
                .text()
                .prop_map(|text| text.chars().take(100).collect())
                .boxed(),
            Self::Tame => "[a-z0-9 ,=#ä-ü]{0,20}".boxed(),
        }
    }
}

/// Labels as written between the braces.
pub(crate) fn rendered(labels: &[(&str, &str)]) -> Box<str> {
    let pairs: Vec<_> = labels
        .iter()
        .map(|(name, value)| {
            let value = value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            format!("{name}=\"{value}\"")
        })
        .collect();
    pairs.join(",").into()
}

fn time() -> impl Strategy<Value = SystemTime> {
    (0..4_000_000_000_u64, 0..1_000_000_000_u32)
        .prop_map(|(seconds, nanos)| UNIX_EPOCH + Duration::new(seconds, nanos))
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => any::<f64>(),
        2 => (-1000..1000_i32).prop_map(f64::from),
        1 => Just(-0.0),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
    ]
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..1000_u64, 1 => any::<u64>(), 1 => Just(0), 1 => Just(u64::MAX)]
}

fn exemplar(texts: Texts, values: impl Strategy<Value = f64>) -> impl Strategy<Value = Exemplar> {
    let name = prop_oneof![Just("trace_id"), Just("t")];
    let label = option::of((name, texts.exemplar_text()));
    (label, values, time()).prop_map(|(label, value, at)| Exemplar {
        labels: rendered(
            label
                .as_ref()
                .map(|(name, value)| (*name, value.as_str()))
                .as_slice(),
        ),
        value,
        at,
    })
}

/// The buckets of one sign.
fn side() -> impl Strategy<Value = Vec<(i32, u64)>> {
    let index = prop_oneof![-8..8_i32, -300_000..300_000_i32];
    btree_map(index, 0..1000_u64, 0..8).prop_map(|buckets| buckets.into_iter().collect())
}

fn native() -> impl Strategy<Value = NativePoint> {
    let threshold = prop_oneof![Just(0.0), Just(f64::MIN_POSITIVE), Just(0.5)];
    (-4..=8_i32, threshold, 0..100_u64, side(), side()).prop_map(
        |(schema, zero_threshold, zero_count, positive, negative)| NativePoint {
            schema,
            zero_threshold,
            zero_count,
            positive,
            negative,
        },
    )
}

/// Finite bounds, rising; none of them negative.
fn bounds() -> impl Strategy<Value = Vec<f64>> {
    let bound = prop_oneof![
        (0..4000_u32).prop_map(|thousandths| f64::from(thousandths) / 1000.0),
        (-12..25_i32).prop_map(|power| 10_f64.powi(power)),
        (0.0..f64::MAX),
    ];
    vec(bound, 1..8).prop_map(|mut bounds| {
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        bounds
    })
}

fn histogram(texts: Texts, bounds: Arc<[f64]>) -> BoxedStrategy<HistogramPoint> {
    let sum = prop_oneof![4 => 0.0..1e18, 1 => Just(0.0), 1 => Just(f64::INFINITY)];
    if bounds.is_empty() {
        let exemplars = vec(option::of(exemplar(texts, number())), 0..3);
        return (sum, native(), exemplars)
            .prop_map(|(sum, native, exemplars)| HistogramPoint {
                sum,
                native: Some(native),
                exemplars,
                ..HistogramPoint::default()
            })
            .boxed();
    }
    let size = bounds.len() + 1;
    let exemplars = prop_oneof![
        Just(Vec::new()),
        vec(option::of(exemplar(texts, Just(f64::NAN))), size)
    ];
    (vec(count(), size), sum, exemplars, option::of(native()))
        .prop_map(move |(counts, sum, mut exemplars, native)| {
            for (at, found) in exemplars.iter_mut().enumerate() {
                if let Some(found) = found {
                    // The highest value that belongs into the bucket.
                    found.value = bounds.get(at).copied().unwrap_or(f64::INFINITY);
                }
            }
            HistogramPoint {
                counts,
                sum,
                exemplars,
                native,
            }
        })
        .boxed()
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Counter),
        Just(Kind::Gauge),
        Just(Kind::Histogram),
        Just(Kind::Info),
        Just(Kind::StateSet),
    ]
}

fn descriptor(texts: Texts) -> impl Strategy<Value = Descriptor> {
    let unit = option::of(prop_oneof![Just("seconds"), Just("bytes")]);
    let bounds = prop_oneof![3 => bounds(), 1 => Just(Vec::new())];
    (kind(), unit, bounds, texts.text()).prop_map(|(kind, unit, bounds, help)| {
        let suffix = match kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram | Kind::StateSet => "",
        };
        let unit_suffix = unit.map(|unit| format!("_{unit}")).unwrap_or_default();
        let buckets = if kind == Kind::Histogram {
            bounds
        } else {
            Vec::new()
        };
        Descriptor {
            name: format!("chance{unit_suffix}{suffix}"),
            kind,
            unit: unit.map(Into::into),
            help: format!("Chance: {help}.").into(),
            labels: Vec::new(),
            buckets: buckets.into(),
            native: None,
            max_series: 10_000,
            idle: None,
        }
    })
}

fn points(texts: Texts, descriptor: &Descriptor) -> BoxedStrategy<(Point, Option<Exemplar>)> {
    let alone = |point: Point| (point, None);
    match descriptor.kind {
        Kind::Counter => {
            let point = prop_oneof![
                count().prop_map(Point::Integer),
                number()
                    .prop_map(f64::abs)
                    .prop_filter("no counter is NaN", |value| !value.is_nan())
                    .prop_map(Point::Float),
            ];
            (point, option::of(exemplar(texts, number()))).boxed()
        }
        Kind::Gauge => prop_oneof![
            count().prop_map(Point::Integer),
            any::<i64>().prop_map(Point::Signed),
            number().prop_map(Point::Float),
        ]
        .prop_map(alone)
        .boxed(),
        Kind::Histogram => histogram(texts, Arc::clone(&descriptor.buckets))
            .prop_map(move |point| alone(Point::Histogram(Box::new(point))))
            .boxed(),
        Kind::Info => Just(alone(Point::Integer(1))).boxed(),
        Kind::StateSet => (0..2_u64).prop_map(Point::Integer).prop_map(alone).boxed(),
    }
}

fn family(texts: Texts) -> impl Strategy<Value = FamilySnapshot> {
    descriptor(texts).prop_flat_map(move |descriptor| {
        let points = points(texts, &descriptor);
        let created = match descriptor.kind {
            Kind::Counter | Kind::Histogram => option::of(time()).boxed(),
            Kind::Gauge | Kind::Info | Kind::StateSet => Just(None).boxed(),
        };
        let names = btree_set(prop_oneof![Just("a"), Just("b_1"), Just("Model")], 0..3);
        let values = btree_set(vec(texts.text(), 3), 1..4);
        let rest = vec((points, created), 4);
        (names, values, rest).prop_map(move |(names, values, rest)| {
            let mut names: Vec<_> = names.into_iter().collect();
            if descriptor.kind == Kind::StateSet {
                names.push(&descriptor.name);
            }
            let mut series: Vec<_> = values
                .iter()
                .zip(rest)
                .map(|(values, ((point, exemplar), created))| {
                    let pairs = names.iter().copied().zip(values.iter().map(String::as_str));
                    SeriesSnapshot {
                        labels: rendered(&pairs.collect::<Vec<_>>()),
                        point,
                        created,
                        exemplar,
                    }
                })
                .collect();
            // Fewer names than values: some series may have become the same.
            series.sort_by(|one, other| one.labels.cmp(&other.labels));
            series.dedup_by(|one, other| one.labels == other.labels);
            FamilySnapshot {
                descriptor: Arc::new(descriptor.clone()),
                series,
            }
        })
    })
}

/// A snapshot of some families, each of its own name.
pub(crate) fn snapshot(texts: Texts) -> impl Strategy<Value = Snapshot> {
    vec(family(texts), 0..5).prop_map(|families| {
        let mut snapshot = Snapshot { families };
        rename(&mut snapshot, "f");
        snapshot
    })
}

/// Gives each family a name that begins with `prefix` and its number, so that no two are alike.
pub(crate) fn rename(snapshot: &mut Snapshot, prefix: &str) {
    for (at, family) in snapshot.families.iter_mut().enumerate() {
        let mut descriptor = Descriptor::clone(&family.descriptor);
        let name = format!("{prefix}{at}_{}", descriptor.name);
        let old = std::mem::replace(&mut descriptor.name, name.clone());
        for series in &mut family.series {
            // A state's label bears the family's name.
            series.labels = series
                .labels
                .replace(&format!("{old}=\""), &format!("{name}=\""))
                .into();
        }
        family.descriptor = Arc::new(descriptor);
    }
}
