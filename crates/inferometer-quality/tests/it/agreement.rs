//! The values of SciPy, scikit-learn and Evidently, as `scripts/judges/quality.py` wrote them down.

use std::time::SystemTime;

use inferometer_quality::{
    drift::{Bins, DriftMonitor, Method, Reference, WindowOptions, distance},
    score::{Classes, Measure, Output, Score, Tally, Task, Truth},
};
use serde_json::Value;

fn cases(kind: &str) -> Vec<Value> {
    let fixture: Value = serde_json::from_str(include_str!("../fixtures/quality.json")).unwrap();
    let cases = fixture[kind].as_array().unwrap().clone();
    assert!(!cases.is_empty(), "no case of {kind}");
    cases
}

fn floats(value: &Value) -> Vec<f64> {
    let all = value.as_array().unwrap();
    all.iter().map(|value| value.as_f64().unwrap()).collect()
}

fn counts(value: &Value) -> Vec<u64> {
    let all = value.as_array().unwrap();
    all.iter().map(|value| value.as_u64().unwrap()).collect()
}

fn sorted(value: &Value) -> Vec<f64> {
    let mut sorted = floats(value);
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn shares(counts: &[u64]) -> Vec<f64> {
    let all = counts.iter().sum::<u64>() as f64;
    counts.iter().map(|count| *count as f64 / all).collect()
}

#[track_caller]
fn agrees(case: &Value, name: &str, value: f64) {
    let wanted = case["values"][name].as_f64().unwrap();
    let near = (value - wanted).abs() <= 1e-9 * wanted.abs().max(1.0);
    assert!(near, "{}: {name} is {value}, not {wanted}", case["name"]);
}

#[test]
fn distances_of_numbers_agree() {
    for case in &cases("numeric") {
        let (reference, window) = (sorted(&case["reference"]), sorted(&case["window"]));
        let test = distance::kolmogorov_smirnov(&reference, &window).unwrap();
        agrees(case, "kolmogorov_smirnov", test.statistic);
        agrees(case, "kolmogorov_smirnov_p", test.p_value);
        agrees(
            case,
            "wasserstein",
            distance::wasserstein(&reference, &window).unwrap(),
        );
        let bins = Bins::Edges(floats(&case["values"]["edges"]));
        let (expected, actual) = (bins.counts(&reference), bins.counts(&window));
        let (expected, actual) = (shares(&expected), shares(&actual));
        agrees(
            case,
            "jensen_shannon",
            distance::jensen_shannon(&expected, &actual),
        );
        agrees(case, "psi", distance::psi(&expected, &actual));
    }
}

#[test]
fn distances_of_categories_agree() {
    for case in &cases("categorical") {
        let (reference, window) = (counts(&case["reference"]), counts(&case["window"]));
        let test = distance::chi_squared(&reference, &window).unwrap();
        agrees(case, "chi_squared", test.statistic);
        agrees(case, "chi_squared_p", test.p_value);
        let (expected, actual) = (shares(&reference), shares(&window));
        agrees(
            case,
            "jensen_shannon",
            distance::jensen_shannon(&expected, &actual),
        );
        agrees(case, "psi", distance::psi(&expected, &actual));
    }
}

#[test]
fn a_monitor_finds_the_same() {
    let now = SystemTime::now();
    for case in &cases("numeric") {
        let mut builder = Reference::builder("v1").numeric("x");
        for value in floats(&case["reference"]) {
            builder.push(&[value.into()]).unwrap();
        }
        let reference = builder.freeze(now).unwrap();
        let scale = reference.features()[0].scale().unwrap();
        let window = floats(&case["window"]);
        let options = WindowOptions {
            rows: Some(window.len() as u64),
            ..WindowOptions::default()
        };
        let monitor = DriftMonitor::new(reference.into(), options, now);
        let closed = window
            .iter()
            .filter_map(|value| monitor.observe(&[(*value).into()], now));
        let reports: Vec<_> = closed.map(|window| monitor.judge(window)).collect();
        let drift = &reports[0].features[0];
        let tested = drift.get(Method::KolmogorovSmirnov).unwrap();
        agrees(case, "kolmogorov_smirnov", tested.value);
        agrees(case, "kolmogorov_smirnov_p", tested.p_value.unwrap());
        agrees(
            case,
            "wasserstein",
            drift.get(Method::Wasserstein).unwrap().value * scale,
        );
    }
}

/// The scores of a case, counted in by two, of which one is merged into the other.
fn tallied(task: &Task, pairs: Vec<(Output, Truth)>) -> Tally {
    let (mut one, mut other) = (Tally::new(task), Tally::new(task));
    for (index, (output, truth)) in pairs.into_iter().enumerate() {
        let tally = if index % 3 == 0 { &mut one } else { &mut other };
        tally.add(&output, truth).unwrap();
    }
    one.merge(&other);
    one
}

#[track_caller]
fn all_agree(case: &Value, tally: &Tally, samples: usize) {
    let values = case["values"].as_object().unwrap();
    for name in values.keys() {
        let measure: Measure = serde_json::from_value(name.as_str().into()).unwrap();
        let Score {
            value,
            samples: weight,
        } = tally.score(measure).unwrap();
        agrees(case, name, value);
        assert_eq!(weight, samples as u64, "{name}");
    }
}

#[test]
fn scores_of_numbers_agree() {
    for case in &cases("regression") {
        let (truth, predicted) = (floats(&case["truth"]), floats(&case["predicted"]));
        let pairs = predicted.iter().zip(&truth);
        let pairs =
            pairs.map(|(predicted, truth)| (Output::Number(*predicted), Truth::Number(*truth)));
        all_agree(
            case,
            &tallied(&Task::Regression, pairs.collect()),
            truth.len(),
        );
    }
}

fn class(truth: u64) -> Truth {
    Truth::Class(u32::try_from(truth).unwrap())
}

#[test]
fn scores_of_two_classes_agree() {
    let task = Task::Classes(Classes::binary("no", "yes"));
    for case in &cases("binary") {
        let (truth, probability) = (counts(&case["truth"]), floats(&case["probability"]));
        let pairs = probability.iter().zip(&truth);
        let pairs = pairs.map(|(yes, truth)| (Output::Probability(*yes), class(*truth)));
        all_agree(case, &tallied(&task, pairs.collect()), truth.len());
    }
}

#[test]
fn scores_of_several_classes_agree() {
    let task = Task::Classes(Classes::new(["a", "b", "c", "d"]).unwrap());
    for case in &cases("classes") {
        let truth = counts(&case["truth"]);
        let pairs = case["probabilities"].as_array().unwrap().iter().zip(&truth);
        let pairs =
            pairs.map(|(all, truth)| (Output::Probabilities(floats(all).into()), class(*truth)));
        all_agree(case, &tallied(&task, pairs.collect()), truth.len());
    }
}
