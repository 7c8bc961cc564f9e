//! What drifts is found, what doesn't stays quiet, and odd input does what is written.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use fastrand::Rng;
use inferometer_quality::drift::{
    Bins, Calibration, DriftMonitor, Kind, Method, PREDICTION, Reference, ReferenceError, Report,
    Value, WindowOptions,
};

use crate::alarms::normal;

const NOW: SystemTime = UNIX_EPOCH;

fn row(random: &mut Rng) -> [Value<'static>; 5] {
    [
        Value::Number(10.0 + 2.0 * normal(random)),
        Value::Number(normal(random)),
        Value::Category(if random.f64() < 0.8 { "a" } else { "b" }),
        Value::Number(42.0),
        Value::Number(normal(random)),
    ]
}

fn reference() -> Reference {
    let mut builder = Reference::builder("v1")
        .numeric("x")
        .numeric("y")
        .categorical("kind")
        .numeric("constant")
        .prediction(Kind::Numeric);
    let mut random = Rng::with_seed(3);
    for _ in 0..10_000 {
        builder.push(&row(&mut random)).unwrap();
    }
    builder.freeze(NOW).unwrap()
}

/// The report on 1,000 rows, each changed.
fn report(change: impl Fn(&mut [Value<'static>; 5], &mut Rng)) -> Arc<Report> {
    let monitor = DriftMonitor::new(reference().into(), WindowOptions::default(), NOW);
    let mut random = Rng::with_seed(4);
    loop {
        let mut row = row(&mut random);
        change(&mut row, &mut random);
        if let Some(window) = monitor.observe(&row, NOW) {
            return monitor.judge(window);
        }
    }
}

/// `changed`, and nothing else, raises an alert, with a score far above that of unchanged rows.
fn only_drifts(changed: &str, change: impl Fn(&mut [Value<'static>; 5], &mut Rng)) -> Arc<Report> {
    let (quiet, drifted) = (report(|_, _| {}), report(change));
    for (before, after) in quiet.features.iter().zip(&drifted.features) {
        assert_eq!(before.alert(), Some(false), "{before:?}");
        let alert = &*after.name == changed;
        assert_eq!(after.alert(), Some(alert), "{after:?}");
        if alert {
            let (before, after) = (before.score().unwrap(), after.score().unwrap());
            assert!(after > 0.1 && after > 10.0 * before, "{before} {after}");
        }
    }
    drifted
}

fn number(value: Value<'_>) -> f64 {
    match value {
        Value::Number(number) => number,
        Value::Category(_) | Value::Missing => panic!("{value:?}"),
    }
}

#[test]
fn a_shifted_feature_alone_drifts() {
    only_drifts("x", |row, _| row[0] = Value::Number(number(row[0]) + 1.5));
}

#[test]
fn a_widened_feature_alone_drifts() {
    only_drifts("y", |row, _| row[1] = Value::Number(number(row[1]) * 2.0));
}

#[test]
fn swapped_categories_drift_alone() {
    only_drifts("kind", |row, _| {
        row[2] = Value::Category(if row[2] == Value::Category("a") {
            "b"
        } else {
            "a"
        });
    });
}

#[test]
fn two_swapped_features_both_drift() {
    let drifted = report(|row, _| row.swap(0, 1));
    let alerts: Vec<_> = drifted
        .features
        .iter()
        .map(|feature| feature.alert())
        .collect();
    assert_eq!(
        alerts,
        [
            Some(true),
            Some(true),
            Some(false),
            Some(false),
            Some(false)
        ]
    );
}

#[test]
fn a_feature_that_is_all_missing_drifts_alone_by_the_methods_that_see_it() {
    let drifted = only_drifts("x", |row, _| row[0] = Value::Missing);
    let feature = drifted.feature("x").unwrap();
    assert_eq!((feature.counts.missing, feature.counts.valid), (1_000, 0));
    assert_eq!(feature.get(Method::KolmogorovSmirnov), None);
    assert_eq!(feature.get(Method::Wasserstein), None);
    assert_eq!(feature.get(Method::Missing).unwrap().value, 1.0);
    assert_eq!(feature.get(Method::JensenShannon).unwrap().value, 1.0);
}

#[test]
fn predictions_drift_like_a_feature() {
    only_drifts(PREDICTION, |row, _| {
        row[4] = Value::Number(number(row[4]) - 1.0);
    });
}

#[test]
fn a_constant_that_is_constant_no_more_drifts() {
    let drifted = only_drifts("constant", |row, random| {
        if random.f64() < 0.2 {
            row[3] = Value::Number(43.0);
        }
    });
    let constant = drifted.feature("constant").unwrap();
    let distance = constant.get(Method::Wasserstein).unwrap().value;
    assert!(distance.is_finite() && distance > 0.0, "{distance}");
}

#[test]
fn what_is_no_value_is_counted_and_missing() {
    let odd = [
        Value::Number(f64::NAN),
        Value::Number(f64::NEG_INFINITY),
        Value::Category("what"),
        Value::Missing,
    ];
    let drifted = report(|row, random| {
        row[0] = odd[random.usize(..4)];
        row[2] = [
            Value::Number(1.0),
            Value::Number(f64::NAN),
            Value::Category("c"),
            Value::Category("a"),
        ][random.usize(..4)];
    });
    let x = drifted.feature("x").unwrap().counts;
    assert_eq!((x.valid, x.missing, x.rows()), (0, 1_000, 1_000));
    assert!(
        x.nan > 150 && x.infinite > 150 && x.mismatched > 150,
        "{x:?}"
    );
    assert!(x.nan + x.infinite + x.mismatched < 900, "{x:?}");
    let kind = drifted.feature("kind").unwrap().counts;
    assert_eq!(kind.missing, kind.nan + kind.mismatched);
    assert!(kind.unseen > 150 && kind.valid > kind.unseen, "{kind:?}");
}

#[test]
fn a_row_of_another_width_is_refused_and_counted() {
    let monitor = DriftMonitor::new(reference().into(), WindowOptions::default(), NOW);
    assert!(monitor.observe(&[Value::Number(1.0)], NOW).is_none());
    assert_eq!(monitor.refused_rows(), 1);
}

#[test]
fn a_window_of_time_closes_with_its_period_and_an_empty_one_is_counted() {
    let minute = Duration::from_secs(60);
    let options = WindowOptions {
        rows: None,
        period: Some(minute),
        sample: 50,
    };
    let monitor = DriftMonitor::new(reference().into(), options, NOW);
    let mut random = Rng::with_seed(5);
    assert!(monitor.close_due(NOW + minute).is_none());
    assert_eq!(monitor.empty_windows(), 1);

    for _ in 0..300 {
        assert!(monitor.observe(&row(&mut random), NOW + minute).is_none());
    }
    assert!(
        monitor.close_due(NOW + minute * 3 / 2).is_none(),
        "it isn't due"
    );
    let first = monitor
        .observe(&row(&mut random), NOW + 2 * minute)
        .expect("it was due before this row");
    assert_eq!(first.rows(), 300);
    let second = monitor
        .close_due(NOW + 3 * minute)
        .expect("there is the row");
    assert_eq!(second.rows(), 1);

    let report = monitor.judge(second);
    assert_eq!(monitor.judge(first).features[0].kept, 50);
    assert_eq!(
        monitor.latest(),
        Some(report),
        "an earlier window isn't the latest"
    );
    assert_eq!(monitor.latest().unwrap().age(NOW + 5 * minute), 2 * minute);
}

#[test]
fn too_few_rows_are_scored_and_not_judged() {
    let options = WindowOptions {
        rows: Some(999),
        ..WindowOptions::default()
    };
    let monitor = DriftMonitor::new(reference().into(), options, NOW);
    let mut random = Rng::with_seed(6);
    let window = (0..999)
        .find_map(|_| monitor.observe(&row(&mut random), NOW))
        .unwrap();
    let report = monitor.judge(window);
    assert!(
        report
            .features
            .iter()
            .all(|feature| feature.alert().is_none() && feature.score().is_some())
    );
}

#[test]
fn without_rows_for_two_chunks_the_usual_rules_hold() {
    let calibration = Calibration {
        chunk: 100,
        ..Calibration::default()
    };
    let mut builder = Reference::builder("v1")
        .numeric("x")
        .calibration(calibration);
    for index in 0..199 {
        builder.push(&[Value::Number(f64::from(index))]).unwrap();
    }
    let reference = builder.freeze(NOW).unwrap();
    assert!(reference.features()[0].thresholds().is_none());
    let options = WindowOptions {
        rows: Some(100),
        ..WindowOptions::default()
    };
    let monitor = DriftMonitor::new(reference.into(), options, NOW);
    let window = (0..100)
        .find_map(|index| monitor.observe(&[Value::Number(f64::from(index))], NOW))
        .unwrap();
    let report = monitor.judge(window);
    let psi = report.features[0].get(Method::Psi).unwrap();
    assert_eq!((psi.threshold, psi.is_drift()), (None, true));
}

#[test]
fn a_reference_of_nothing_is_refused() {
    assert!(matches!(
        Reference::builder("v1").freeze(NOW),
        Err(ReferenceError::Empty { .. })
    ));
    let empty = Reference::builder("v1").numeric("x").freeze(NOW);
    assert_eq!(
        empty.unwrap_err().to_string(),
        "a reference needs features and rows, and this one has 1 features and 0 rows"
    );
    let mut twice = Reference::builder("v1").numeric("x").categorical("x");
    assert!(matches!(
        twice.push(&[Value::Missing]),
        Err(ReferenceError::Width { .. })
    ));
    twice.push(&[Value::Missing, Value::Missing]).unwrap();
    assert_eq!(
        twice.freeze(NOW).unwrap_err().to_string(),
        "two features are called \"x\"; name each once"
    );
}

#[test]
fn rare_categories_are_one_bin() {
    let mut builder = Reference::builder("v1").categorical("name").categories(2);
    for name in ["a", "a", "a", "b", "b", "c", "d"] {
        builder.push(&[name.into()]).unwrap();
    }
    let reference = builder.freeze(NOW).unwrap();
    assert_eq!(
        reference.features()[0].categories().unwrap(),
        [("a".into(), 3), ("b".into(), 2)]
    );
    let options = WindowOptions {
        rows: Some(2),
        ..WindowOptions::default()
    };
    let monitor = DriftMonitor::new(reference.into(), options, NOW);
    assert!(monitor.observe(&["c".into()], NOW).is_none());
    let window = monitor.observe(&["a".into()], NOW).unwrap();
    let report = monitor.judge(window);
    assert_eq!(report.features[0].counts.unseen, 1);
}

#[test]
fn a_feature_without_a_value_can_be_frozen() {
    let mut builder = Reference::builder("v1").numeric("x").categorical("y");
    for _ in 0..10 {
        builder.push(&[Value::Missing, Value::Missing]).unwrap();
    }
    let reference = builder.freeze(NOW).unwrap();
    assert_eq!(
        reference.features()[0].bins(),
        Some(&Bins::Points(Vec::new()))
    );
    let options = WindowOptions {
        rows: Some(1),
        ..WindowOptions::default()
    };
    let monitor = DriftMonitor::new(reference.into(), options, NOW);
    let window = monitor.observe(&[1.0.into(), "a".into()], NOW).unwrap();
    let report = monitor.judge(window);
    for feature in &report.features {
        assert_eq!(feature.get(Method::Missing).unwrap().value, 1.0);
        assert!(
            feature.scores.iter().all(|score| score.value.is_finite()),
            "{feature:?}"
        );
    }
}

#[test]
fn a_saved_reference_comes_back_the_same_and_every_change_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reference.json");
    let reference = reference();
    reference.save(&path).unwrap();
    let loaded = Reference::load(&path).unwrap();
    assert_eq!(loaded, reference);
    assert_eq!(loaded.checksum(), reference.checksum());

    let text = std::fs::read_to_string(&path).unwrap();
    let laid_out: serde_json::Value = serde_json::from_str(&text).unwrap();
    let laid_out = serde_json::to_string_pretty(&laid_out).unwrap();
    assert_eq!(Reference::from_json(&laid_out).unwrap(), reference);

    let changed = text.replacen("\"rows\":10000", "\"rows\":10001", 1);
    assert!(matches!(
        Reference::from_json(&changed),
        Err(ReferenceError::Checksum { .. })
    ));
    let newer = text.replacen("\"format\":1", "\"format\":2", 1);
    assert_eq!(
        Reference::from_json(&newer).unwrap_err().to_string(),
        "the reference has format 2, and this program knows 1; freeze it anew, or use the program that made it"
    );
    assert!(matches!(
        Reference::from_json(&text[..text.len() / 2]),
        Err(ReferenceError::Unreadable(_))
    ));
    let nowhere = folder.path().join("nowhere.json");
    let told = Reference::load(&nowhere).unwrap_err().to_string();
    assert!(
        told.starts_with("can't read the reference") && told.contains("nowhere.json"),
        "{told}"
    );
}

#[test]
fn the_same_rows_make_the_same_reference() {
    assert_eq!(reference().to_json(), reference().to_json());
}

#[test]
fn rows_of_several_threads_are_each_in_one_window() {
    let options = WindowOptions {
        rows: Some(100),
        ..WindowOptions::default()
    };
    let mut builder = Reference::builder("v1").numeric("x");
    builder.push(&[Value::Number(1.0)]).unwrap();
    let monitor = DriftMonitor::new(builder.freeze(NOW).unwrap().into(), options, NOW);
    let closed = |_| {
        let windows = (0..1_010).filter_map(|_| monitor.observe(&[Value::Number(1.0)], NOW));
        windows.map(|window| window.rows()).collect::<Vec<_>>()
    };
    let rows: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread| scope.spawn(move || closed(thread)))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(rows, [100; 40]);
}
