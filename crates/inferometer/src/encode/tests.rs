//! What the formats have in common, and what only this side of the door can see: batches, reused pages, what is dropped.

use std::time::{Duration, UNIX_EPOCH};

use proptest::{collection::vec, prelude::*, test_runner::Config};

use super::*;
use crate::{
    descriptor::Kind,
    reading::Value,
    snapshot::{Exemplar, HistogramPoint, NativePoint},
};

fn descriptor(kind: Kind, name: &str, buckets: &[f64]) -> Descriptor {
    Descriptor {
        name: name.into(),
        kind,
        unit: None,
        help: "Help.".into(),
        labels: Vec::new(),
        buckets: buckets.into(),
        native: None,
        max_series: 10_000,
        idle: None,
    }
}

fn reading<'a>(labels: &'a str, value: Value<'a>) -> Reading<'a> {
    Reading {
        labels,
        value,
        created: None,
        exemplar: None,
    }
}

fn exemplar(labels: &str, value: f64) -> Exemplar {
    Exemplar {
        labels: labels.into(),
        value,
        at: UNIX_EPOCH + Duration::from_millis(1_520_879_607_789),
    }
}

/// The page that `write` makes, and how much it dropped.
fn written(format: Format, write: impl FnOnce(&mut Encoder<'_>)) -> (Vec<u8>, u64) {
    let mut page = Vec::new();
    let options = EncodeOptions { created: true };
    let mut sink = sink(format, options, &mut page);
    write(&mut sink);
    let dropped = sink.finish();
    (page, dropped)
}

fn text(format: Format, write: impl FnOnce(&mut Encoder<'_>)) -> (String, u64) {
    let (page, dropped) = written(format, write);
    (String::from_utf8(page).unwrap(), dropped)
}

/// Labels as the core renders them, of names and values that are short, long, or need escapes.
fn labels() -> impl Strategy<Value = String> {
    let names = prop_oneof![
        4 => Just(vec!["stage", "outcome"]),
        1 => Just(vec!["stage"]),
        1 => Just(vec!["stage", "outcomes"]),
        1 => Just(vec![]),
        1 => Just(vec!["a_name_of_twenty_six_bytes"]),
        1 => Just(vec!["a_name_that_is_too_long_for_one_copy"]),
    ];
    let value = prop_oneof![
        4 => "[a-z_]{0,20}",
        1 => any::<String>(),
        1 => "[a-z]{60,200}",
        1 => Just("\\\"\n".to_owned()),
    ];
    (names, vec(value, 2)).prop_map(|(names, values)| {
        let mut text = String::new();
        for (name, value) in names.iter().zip(&values) {
            crate::family::render(&mut text, name, value);
        }
        text
    })
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::with_cases(300) })]

    #[test]
    fn batches_and_single_series_give_the_same_bytes(
        labels in vec(labels(), 1..90),
        seed in any::<u64>(),
        kind in prop_oneof![Just(Kind::Counter), Just(Kind::Gauge)],
        created in prop_oneof![Just(None), Just(Some(UNIX_EPOCH + Duration::from_millis(1_234_567_890_123)))],
        first in 0_usize..3,
    ) {
        let column = LabelColumn::new(labels.len(), |into, at| into.push_str(&labels[at]));
        let first = first.min(labels.len());
        let values: Vec<u64> = (first..labels.len())
            .map(|at| seed.wrapping_mul(at as u64 + 1) >> (at * 7 % 64))
            .collect();
        let descriptor = descriptor(kind, "batches_total", &[]);
        for format in Format::ALL {
            let batch = written(format, |sink| {
                sink.family(&descriptor);
                sink.integers(&column, first, &values, created);
            });
            let singly = written(format, |sink| {
                sink.family(&descriptor);
                crate::reading::one_by_one(sink, &column, first, &values, created);
            });
            prop_assert_eq!(batch.1, 0);
            prop_assert_eq!(batch, singly);
        }
    }

    #[test]
    fn a_page_that_is_used_again_holds_nothing_of_the_one_before(
        before in vec(any::<u8>(), 0..2000),
        count in 0_usize..200,
    ) {
        let column = LabelColumn::new(count, |into, at| crate::family::render(into, "at", &at.to_string()));
        let values: Vec<u64> = (0..count as u64).map(|at| at * at * at).collect();
        for format in Format::ALL {
            let write = |page: &mut Vec<u8>| {
                let mut sink = sink(format, EncodeOptions::default(), page);
                sink.family(&descriptor(Kind::Counter, "again_total", &[]));
                sink.integers(&column, 0, &values, None);
                assert_eq!(sink.finish(), 0);
            };
            let (mut fresh, mut again) = (Vec::new(), before.clone());
            write(&mut fresh);
            write(&mut again);
            prop_assert_eq!(&fresh, &again);
            write(&mut again);
            prop_assert_eq!(&fresh, &again);
        }
    }
}

#[test]
fn a_snapshot_that_was_poured_gives_the_same_bytes_as_what_was_poured() {
    let column = LabelColumn::new(3, |into, at| {
        crate::family::render(into, "at", &at.to_string());
    });
    let point = HistogramPoint {
        counts: vec![1, 2],
        sum: 3.5,
        exemplars: vec![None, Some(exemplar("id=\"7\"", 3.0))],
        native: None,
    };
    let found = exemplar("id=\"8\"", 1.0);
    fn pour(sink: &mut dyn Sink, column: &LabelColumn, point: &HistogramPoint, found: &Exemplar) {
        let since = Some(UNIX_EPOCH + Duration::from_secs(9));
        sink.family(&descriptor(Kind::Counter, "poured_total", &[]));
        sink.integers(column, 1, &[5, 6], since);
        sink.series(&Reading {
            created: since,
            exemplar: Some(found),
            ..reading("", Value::Float(0.5))
        });
        sink.family(&descriptor(Kind::Histogram, "poured_seconds", &[1.0]));
        sink.series(&Reading {
            created: since,
            ..reading("", Value::Histogram(point))
        });
        sink.family(&descriptor(Kind::Gauge, "poured", &[]));
        sink.series(&reading("", Value::Signed(-3)));
    }
    let mut snapshot = Snapshot::default();
    pour(&mut snapshot, &column, &point, &found);
    for format in Format::ALL {
        let poured = written(format, |sink| pour(sink, &column, &point, &found));
        let replayed = encode_with(&snapshot, format, EncodeOptions { created: true });
        assert_eq!((replayed, 0), poured);
    }
}

#[test]
fn what_cannot_be_written_is_dropped_alone_and_counted() {
    let histogram = HistogramPoint::default();
    let faulty = [
        reading("a=\"\"b", Value::Integer(1)),
        reading("} 1\nevil 666", Value::Integer(1)),
        reading("a=\"1\",a=\"2\"", Value::Integer(1)),
        reading("a=\"nan\"", Value::Float(f64::NAN)),
        reading("a=\"negative\"", Value::Float(-1.0)),
        reading("a=\"negative\"", Value::Signed(-1)),
        reading("a=\"histogram\"", Value::Histogram(&histogram)),
    ];
    for format in Format::ALL {
        let write = |faulty: &[Reading<'_>]| {
            written(format, |sink| {
                sink.family(&descriptor(Kind::Counter, "faults_total", &[]));
                sink.series(&reading("a=\"before\"", Value::Integer(1)));
                faulty.iter().for_each(|faulty| sink.series(faulty));
                sink.series(&reading("a=\"after\"", Value::Integer(2)));
            })
        };
        let (page, dropped) = write(&faulty);
        assert_eq!(dropped, faulty.len() as u64);
        assert_eq!(page, write(&[]).0);
    }
}

#[test]
fn a_histogram_of_another_shape_is_dropped_alone() {
    let native = |native| HistogramPoint {
        counts: vec![1, 2, 3],
        native: Some(native),
        ..HistogramPoint::default()
    };
    let faulty = [
        HistogramPoint::default(),
        HistogramPoint {
            counts: vec![1, 2],
            ..HistogramPoint::default()
        },
        HistogramPoint {
            counts: vec![1; 4],
            ..HistogramPoint::default()
        },
        HistogramPoint {
            counts: Vec::new(),
            ..native(NativePoint::default())
        },
        native(NativePoint {
            schema: 9,
            ..NativePoint::default()
        }),
        native(NativePoint {
            schema: -5,
            ..NativePoint::default()
        }),
        native(NativePoint {
            zero_threshold: f64::NAN,
            ..NativePoint::default()
        }),
        native(NativePoint {
            positive: vec![(2, 1), (2, 1)],
            ..NativePoint::default()
        }),
        native(NativePoint {
            negative: vec![(i32::MIN, 1), (i32::MAX, 1)],
            ..NativePoint::default()
        }),
    ];
    let sound = native(NativePoint {
        schema: 8,
        zero_count: 6,
        ..NativePoint::default()
    });
    for format in Format::ALL {
        for faulty in &faulty {
            let write = |faulty: &[&HistogramPoint]| {
                written(format, |sink| {
                    sink.family(&descriptor(Kind::Histogram, "shape", &[1.0, 2.0]));
                    for point in faulty {
                        sink.series(&reading("", Value::Histogram(point)));
                    }
                    sink.series(&reading("a=\"sound\"", Value::Histogram(&sound)));
                })
            };
            let (alone, none) = write(&[]);
            assert_eq!(none, 0);
            assert_eq!(write(&[faulty]), (alone, 1), "{faulty:?}");
        }
        let (_, dropped) = written(format, |sink| {
            sink.family(&descriptor(Kind::Histogram, "shape", &[1.0, 2.0]));
            sink.series(&reading("le=\"1\"", Value::Histogram(&sound)));
            sink.series(&reading("", Value::Integer(1)));
        });
        assert_eq!(dropped, 2);
    }
}

#[test]
fn a_family_that_cannot_be_written_takes_its_series_with_it() {
    let column = LabelColumn::new(2, |into, at| {
        crate::family::render(into, "at", &at.to_string());
    });
    let point = HistogramPoint {
        counts: vec![1, 1, 1],
        ..HistogramPoint::default()
    };
    for format in Format::ALL {
        let sound = |sink: &mut Encoder<'_>| {
            sink.family(&descriptor(Kind::Gauge, "sound", &[]));
            sink.series(&reading("", Value::Integer(1)));
        };
        let (alone, _) = written(format, sound);
        let both = written(format, |sink| {
            sink.series(&reading("", Value::Integer(1)));
            sink.family(&descriptor(Kind::Gauge, "evil 666\nname", &[]));
            sink.integers(&column, 0, &[1, 2], None);
            sink.series(&reading("", Value::Integer(1)));
            for bounds in [[2.0, 1.0], [1.0, f64::INFINITY], [f64::NAN, 1.0]] {
                sink.family(&descriptor(Kind::Histogram, "bounds", &bounds));
                sink.series(&reading("", Value::Histogram(&point)));
            }
            sound(sink);
        });
        assert_eq!(both, (alone, 7));
    }
}

#[test]
fn an_info_and_a_state_set_say_only_what_they_can() {
    for format in Format::ALL {
        let (_, dropped) = written(format, |sink| {
            sink.family(&descriptor(Kind::Info, "build_info", &[]));
            sink.series(&reading("version=\"1\"", Value::Integer(1)));
            sink.series(&reading("version=\"2\"", Value::Integer(0)));
            sink.family(&descriptor(Kind::StateSet, "mood", &[]));
            sink.series(&reading("mood=\"fine\"", Value::Integer(1)));
            sink.series(&reading("mood=\"bad\"", Value::Integer(2)));
            sink.series(&reading("state=\"fine\"", Value::Integer(1)));
        });
        assert_eq!(dropped, 3);
    }
}

#[test]
fn an_exemplar_that_cannot_be_written_is_dropped_alone() {
    let long = |characters: usize| format!("trace_id=\"{}\"", "ä".repeat(characters - 8));
    let counter = |found: &Exemplar| {
        let found = found.clone();
        move |sink: &mut Encoder<'_>| {
            sink.family(&descriptor(Kind::Counter, "exemplars_total", &[]));
            sink.series(&Reading {
                exemplar: Some(&found),
                ..reading("", Value::Integer(1))
            });
        }
    };
    for (labels, fits) in [
        (long(128), true),
        (long(129), false),
        // What is escaped counts as what it stands for.
        (long(127).replacen('ä', "\\\\", 1), true),
        ("trace_id".to_owned(), false),
        ("a=\"\"} 1 1\nevil 666 # {".to_owned(), false),
    ] {
        let found = exemplar(&labels, 1.0);
        let (page, dropped) = text(Format::OpenMetricsText, counter(&found));
        let written_too = if fits {
            format!(" # {{{labels}}} 1.0 1520879607.789")
        } else {
            String::new()
        };
        assert!(
            page.contains(&format!("\nexemplars_total 1{written_too}\n")),
            "{page}"
        );
        assert_eq!(dropped, u64::from(!fits));
        assert_eq!(written(Format::Protobuf, counter(&found)).1, dropped);
        // This format has no exemplars at all, so none is missed.
        assert_eq!(written(Format::PrometheusText, counter(&found)).1, 0);
    }
}

#[test]
fn times_before_1970_are_left_out() {
    let before = UNIX_EPOCH.checked_sub(Duration::from_secs(1));
    let found = Exemplar {
        at: before.unwrap(),
        ..exemplar("", 1.0)
    };
    let (page, dropped) = text(Format::OpenMetricsText, |sink| {
        sink.family(&descriptor(Kind::Counter, "early_total", &[]));
        sink.series(&Reading {
            created: before,
            exemplar: Some(&found),
            ..reading("", Value::Integer(1))
        });
    });
    assert!(page.contains("\nearly_total 1 # {} 1.0\n# EOF\n"), "{page}");
    assert_eq!(dropped, 0);
    // An exemplar of native buckets must have a time.
    let point = HistogramPoint {
        exemplars: vec![Some(found)],
        native: Some(NativePoint::default()),
        ..HistogramPoint::default()
    };
    let without = HistogramPoint {
        exemplars: Vec::new(),
        ..point.clone()
    };
    let [(with, dropped), (without, none)] = [&point, &without].map(|point| {
        written(Format::Protobuf, |sink| {
            sink.family(&descriptor(Kind::Histogram, "early", &[]));
            sink.series(&reading("", Value::Histogram(point)));
        })
    });
    assert_eq!(with, without);
    assert_eq!((dropped, none), (1, 0));
}

#[test]
fn an_exemplar_stands_only_in_the_bucket_it_belongs_to() {
    let point = HistogramPoint {
        counts: vec![1, 1, 1],
        sum: 1.0,
        exemplars: vec![
            Some(exemplar("", 1.0)),
            Some(exemplar("", 2.5)),
            Some(exemplar("", f64::NAN)),
        ],
        native: None,
    };
    let (page, dropped) = text(Format::OpenMetricsText, |sink| {
        sink.family(&descriptor(Kind::Histogram, "h", &[1.0, 2.0]));
        sink.series(&reading("", Value::Histogram(&point)));
    });
    assert_eq!(dropped, 2);
    assert!(
        page.contains("h_bucket{le=\"1.0\"} 1 # {} 1.0 1520879607.789\nh_bucket{le=\"2.0\"} 2\n")
    );
}

#[test]
fn a_sum_that_is_no_counter_is_left_out_of_openmetrics_alone() {
    for (sum, written) in [(f64::NAN, "NaN"), (-1.5, "-1.5")] {
        let point = HistogramPoint {
            counts: vec![1, 0],
            sum,
            ..HistogramPoint::default()
        };
        let write = |sink: &mut Encoder<'_>| {
            sink.family(&descriptor(Kind::Histogram, "h", &[1.0]));
            sink.series(&reading("", Value::Histogram(&point)));
        };
        let (page, dropped) = text(Format::OpenMetricsText, write);
        assert!(
            !page.contains("h_sum") && !page.contains("h_count"),
            "{page}"
        );
        assert_eq!(dropped, 1);
        let (page, dropped) = text(Format::PrometheusText, write);
        assert!(
            page.contains(&format!("\nh_sum {written}\nh_count 1\n")),
            "{page}"
        );
        assert_eq!(dropped, 0);
    }
}

#[test]
fn a_counter_of_another_librarys_name_is_unknown_to_openmetrics() {
    for name in ["requests", "_total"] {
        let write = |sink: &mut Encoder<'_>| {
            sink.family(&descriptor(Kind::Counter, name, &[]));
            sink.series(&Reading {
                created: Some(UNIX_EPOCH),
                exemplar: Some(&exemplar("", 1.0)),
                ..reading("", Value::Integer(1))
            });
        };
        assert_eq!(
            text(Format::OpenMetricsText, write),
            (
                format!("# TYPE {name} unknown\n# HELP {name} Help.\n{name} 1\n# EOF\n"),
                0
            )
        );
        assert_eq!(
            text(Format::PrometheusText, write),
            (
                format!("# HELP {name} Help.\n# TYPE {name} counter\n{name} 1\n"),
                0
            )
        );
    }
}
