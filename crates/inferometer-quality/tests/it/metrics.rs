//! What a scrape shows.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use inferometer::Registry;
use inferometer_quality::{
    drift::{DriftMonitor, Reference, Report, Value, WindowOptions},
    journal::JournalStatus,
    metrics::{DriftMetrics, JournalMetrics, ScoreMetrics},
    score::{BoardOptions, Scoreboard, Task},
    store::{Bounds, MemoryStore},
};

use crate::scores::{at, label, prediction, write};

/// There is this series with this value.
#[track_caller]
fn shows(page: &str, line: &str) {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let value: f64 = value.parse().unwrap();
    let found = |line: &str| {
        let (own, shown) = line.rsplit_once(' ').unwrap();
        own == series && shown.parse() == Ok(value)
    };
    assert!(page.lines().any(found), "no {line} in\n{page}");
}

#[test]
fn every_score_has_its_weight_beside_it() {
    let (mut store, registry) = (MemoryStore::new(Bounds::default()), Registry::new());
    let board = Scoreboard::new(Task::Regression, BoardOptions::default());
    let metrics = ScoreMetrics::register(&registry).unwrap();
    write(
        &mut store,
        &board,
        &[prediction("a", 1.0, 0), prediction("b", 1.0, 0)],
    );
    write(
        &mut store,
        &board,
        &[
            label("a", 3.0, 60),
            label("a", 3.0, 61),
            label("c", 3.0, 61),
        ],
    );
    metrics.show(&board, at(100));
    let page = registry.encode_text();
    let lifetime = r#"model_version="v1",dataset="production",span="lifetime""#;
    shows(
        &page,
        &format!(r#"inferometer_quality_score{{{lifetime},measure="rmse"}} 2"#),
    );
    shows(
        &page,
        &format!(r#"inferometer_quality_score_samples{{{lifetime},measure="rmse"}} 1"#),
    );
    shows(
        &page,
        &format!("inferometer_quality_coverage_ratio{{{lifetime}}} 0.5"),
    );
    shows(
        &page,
        &format!("inferometer_quality_label_lag_mean_seconds{{{lifetime}}} 60"),
    );
    shows(
        &page,
        r#"inferometer_quality_entries_total{outcome="duplicate_label"} 1"#,
    );
    shows(
        &page,
        r#"inferometer_quality_entries_total{outcome="early_label"} 1"#,
    );
    assert!(!page.contains(r#"measure="r2""#), "one sample has none");
    let weights = |name: &str| {
        let series = page
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
        series
            .map(|(labels, _)| labels.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        weights("inferometer_quality_score{"),
        weights("inferometer_quality_score_samples{")
    );

    metrics.show(&board, at(100_000));
    let page = registry.encode_text();
    assert!(
        !page.contains(r#"span="window",measure"#),
        "the window is empty:\n{page}"
    );
    shows(
        &page,
        &format!(r#"inferometer_quality_score{{{lifetime},measure="rmse"}} 2"#),
    );
    shows(
        &page,
        r#"inferometer_quality_entries_total{outcome="predicted"} 2"#,
    );

    board.retire("v1");
    metrics.show(&board, at(100_000));
    assert!(!registry.encode_text().contains("model_version=\"v1\""));
}

fn report(change: f64, closed: SystemTime) -> std::sync::Arc<Report> {
    let mut builder = Reference::builder("v1").numeric("x").categorical("y");
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..4_000 {
        builder.push(&[random.f64().into(), "a".into()]).unwrap();
    }
    let monitor = DriftMonitor::new(
        builder.freeze(closed).unwrap().into(),
        WindowOptions::default(),
        closed,
    );
    loop {
        let x = Value::Number(random.f64() + change);
        if let Some(window) = monitor.observe(&[x, Value::Category("a")], closed) {
            return monitor.judge(window);
        }
    }
}

#[test]
fn drift_is_shown_with_its_threshold_samples_and_age() {
    let registry = Registry::new();
    let metrics = DriftMetrics::register(&registry).unwrap();
    let shifted = report(0.5, SystemTime::now() - Duration::from_secs(1_000));
    metrics.show(&shifted);
    let page = registry.encode_text();
    shows(
        &page,
        r#"inferometer_quality_drift_alert{model_version="v1",feature="x",method="psi"} 1"#,
    );
    shows(
        &page,
        r#"inferometer_quality_drift_alert{model_version="v1",feature="y",method="psi"} 0"#,
    );
    shows(
        &page,
        r#"inferometer_quality_drift_score{model_version="v1",feature="y",method="psi"} 0"#,
    );
    shows(
        &page,
        r#"inferometer_quality_drift_samples{model_version="v1",feature="x"} 1000"#,
    );
    shows(
        &page,
        r#"inferometer_quality_drift_rows{model_version="v1"} 1000"#,
    );
    shows(
        &page,
        r#"inferometer_quality_drift_values_total{model_version="v1",feature="x",sort="valid"} 1000"#,
    );
    let psi =
        r#"inferometer_quality_drift_threshold{model_version="v1",feature="x",method="psi"} "#;
    let threshold: f64 = page
        .lines()
        .find_map(|line| line.strip_prefix(psi))
        .unwrap()
        .parse()
        .unwrap();
    assert!((0.01..0.1).contains(&threshold), "{threshold}");
    let age = r#"inferometer_quality_drift_age_seconds{model_version="v1"} "#;
    let age: f64 = page
        .lines()
        .find_map(|line| line.strip_prefix(age))
        .unwrap()
        .parse()
        .unwrap();
    assert!((1_000.0..1_100.0).contains(&age), "{age}");

    metrics.show(&report(0.0, SystemTime::now()));
    let page = registry.encode_text();
    shows(
        &page,
        r#"inferometer_quality_drift_alert{model_version="v1",feature="x",method="psi"} 0"#,
    );
    shows(
        &page,
        r#"inferometer_quality_drift_windows_total{model_version="v1"} 2"#,
    );
    metrics.remove(&shifted);
    let page = registry.encode_text();
    let left: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with("inferometer_quality_drift") && !line.contains("_total"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_journal_shows_how_long_it_has_failed() {
    let registry = Registry::new();
    let metrics = JournalMetrics::register(&registry).unwrap();
    let status = JournalStatus {
        queued: 7,
        dropped_predictions: 2,
        failing: Some((UNIX_EPOCH, "away".into())),
        ..JournalStatus::default()
    };
    metrics.show(status.clone(), UNIX_EPOCH + Duration::from_secs(30));
    metrics.show(status, UNIX_EPOCH + Duration::from_secs(90));
    let page = registry.encode_text();
    shows(&page, "inferometer_quality_journal_failing_seconds 90");
    shows(&page, "inferometer_quality_journal_queued 7");
    shows(
        &page,
        r#"inferometer_quality_journal_entries_total{fate="prediction_dropped"} 2"#,
    );
}
