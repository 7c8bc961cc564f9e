//! Merging makes the whole, order does not matter, windows are bounded.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use inferometer_quality::{
    drift::{ClosedWindow, DriftMonitor, Reference, Report, Value, WindowOptions, distance},
    score::{
        BoardOptions, Classes, Measure, Moments, Output, Scoreboard, Sum, Tally, Task, Truth,
        Window,
    },
    store::{Bounds, Entry, MemoryStore, Outcome, Store},
};
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::scores::{at, label, prediction, write};

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-9 * one.abs().max(other.abs()).max(1.0)
}

fn same(one: &Tally, other: &Tally) -> bool {
    Measure::ALL
        .into_iter()
        .all(|measure| match (one.score(measure), other.score(measure)) {
            (Some(one), Some(other)) => {
                one.samples == other.samples && near(one.value, other.value)
            }
            (one, other) => one == other,
        })
}

fn tally(task: &Task, pairs: &[(Output, Truth)]) -> Tally {
    let mut tally = Tally::new(task);
    for (output, truth) in pairs {
        tally.add(output, *truth).unwrap();
    }
    tally
}

/// A tally of parts, merged from the last to the first, is one of the whole.
fn merges(task: &Task, pairs: &[(Output, Truth)], cuts: &[Index]) -> bool {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(pairs.len() + 1)).collect();
    places.extend([0, pairs.len()]);
    places.sort_unstable();
    let mut merged = Tally::new(task);
    for part in places.windows(2).rev() {
        merged.merge(&tally(task, &pairs[part[0]..part[1]]));
    }
    same(&merged, &tally(task, pairs))
}

/// A feature of each kind, compared with a small reference.
fn monitor(sample: usize) -> DriftMonitor {
    let mut builder = Reference::builder("v1").numeric("x").categorical("y");
    for index in 0..200 {
        let y = ["a", "b", "c"][index % 3];
        builder
            .push(&[Value::Number(index as f64), y.into()])
            .unwrap();
    }
    let options = WindowOptions {
        rows: None,
        period: Some(Duration::from_secs(1)),
        sample,
    };
    let reference = builder.freeze(UNIX_EPOCH).unwrap();
    DriftMonitor::new(reference.into(), options, UNIX_EPOCH)
}

fn closed(monitor: &DriftMonitor, rows: &[(Value<'static>, Value<'static>)]) -> ClosedWindow {
    let now = SystemTime::now();
    let _ = monitor.close_due(now);
    for (x, y) in rows {
        assert!(monitor.observe(&[*x, *y], now).is_none());
    }
    monitor
        .close_due(now + Duration::from_secs(1))
        .expect("there are rows")
}

fn alike(one: &Report, other: &Report) -> bool {
    one.rows == other.rows
        && one
            .features
            .iter()
            .zip(&other.features)
            .all(|(one, other)| {
                one.counts == other.counts && one.scores == other.scores && one.kept == other.kept
            })
}

fn value() -> impl Strategy<Value = (Value<'static>, Value<'static>)> {
    let x = prop_oneof![
        8 => (-50.0..250.0).prop_map(Value::Number),
        1 => Just(Value::Missing),
        1 => Just(Value::Number(f64::NAN)),
        1 => Just(Value::Category("odd")),
    ];
    let y = prop_oneof![
        4 => Just(Value::Category("a")),
        2 => Just(Value::Category("b")),
        1 => Just(Value::Category("new")),
        1 => Just(Value::Missing),
    ];
    (x, y)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn tallies_of_parts_make_the_tally_of_the_whole(
        numbers in vec((-1e6..1e6, -1e6..1e6), 0..60),
        classes in vec((0.0..=1.0, 0..2_u32), 0..60),
        cuts in vec(any::<Index>(), 0..4),
    ) {
        let numbers: Vec<_> = numbers.into_iter().map(|(output, truth)| (Output::Number(output), Truth::Number(truth))).collect();
        prop_assert!(merges(&Task::Regression, &numbers, &cuts));
        let classes: Vec<_> = classes.into_iter().map(|(output, truth)| (Output::Probability(output), Truth::Class(truth))).collect();
        prop_assert!(merges(&Task::Classes(Classes::binary("no", "yes")), &classes, &cuts));
    }

    #[test]
    fn sums_and_moments_of_parts_make_those_of_the_whole(values in vec(-1e9..1e9, 1..100), cut in any::<Index>()) {
        let cut = cut.index(values.len());
        let sum = |values: &[f64]| values.iter().fold(Sum::default(), |mut sum, value| { sum.add(*value); sum });
        let moments = |values: &[f64]| values.iter().fold(Moments::default(), |mut all, value| { all.add(*value); all });
        let (mut left, right) = (sum(&values[..cut]), sum(&values[cut..]));
        left.merge(&right);
        prop_assert!(near(left.value(), sum(&values).value()));
        let (mut left, right) = (moments(&values[..cut]), moments(&values[cut..]));
        left.merge(&right);
        let whole = moments(&values);
        prop_assert_eq!(left.count(), whole.count());
        prop_assert!(near(left.mean().unwrap(), whole.mean().unwrap()));
        prop_assert!(near(left.deviation().unwrap(), whole.deviation().unwrap()));
    }

    #[test]
    fn predictions_and_labels_join_in_every_order(order in Just((0..20_u32).collect::<Vec<_>>()).prop_shuffle()) {
        let entries: Vec<Entry> = order.iter().map(|index| {
            let id = index / 2;
            if index % 2 == 0 { prediction(id, f64::from(id), 5) } else { label(id, 0.0, 9) }
        }).collect();
        let board = Scoreboard::new(Task::Regression, BoardOptions::default());
        write(&mut MemoryStore::new(Bounds::default()), &board, &entries);
        let scores = board.scores(at(10)).remove(0);
        for scores in [scores.window, scores.lifetime] {
            prop_assert_eq!((scores.samples, scores.coverage()), (10, Some(1.0)));
            prop_assert!(near(scores.get(Measure::Mae).unwrap().value, 4.5));
        }
    }

    #[test]
    fn what_is_written_again_joins_no_second_time(entries in vec((0..4_u32, any::<bool>()), 1..12), again in any::<Index>()) {
        let entries: Vec<Entry> = entries.into_iter().map(|(id, first)| {
            if first { prediction(id, 1.0, 0) } else { label(id, 1.0, 0) }
        }).collect();
        let mut store = MemoryStore::new(Bounds::default());
        let first = store.write(&entries).unwrap();
        // The answer to the last entries got lost.
        let from = again.index(entries.len());
        let second = store.write(&entries[from..]).unwrap();
        prop_assert_eq!(&first[from..], &second[..]);
        let joined = first.iter().filter(|outcome| matches!(outcome, Outcome::Joined(_))).count();
        prop_assert!(joined <= 4);
    }

    #[test]
    fn a_window_never_holds_more_than_its_bounds(
        samples in 10..60_u64,
        panes in 2..10_u32,
        steps in vec(0..30_u64, 1..300),
    ) {
        let period = Duration::from_secs(200);
        let window = Window::new(samples, period).panes(panes);
        let options = BoardOptions { window, series: 1 };
        let board = Scoreboard::new(Task::Regression, options);
        let mut store = MemoryStore::new(Bounds::default());
        let mut times = Vec::new();
        let mut now = 0;
        for (id, step) in steps.iter().enumerate() {
            now += step;
            times.push(now);
            write(&mut store, &board, &[prediction(id, 1.0, now), label(id, 0.0, now)]);
            let held = board.scores(at(now)).remove(0).window.samples;
            prop_assert!(held <= window.samples(), "{held}");
            let recent = times.iter().filter(|time| *time + 200 >= now).count() as u64;
            prop_assert!(held <= recent, "{held} of {recent}");
            // It lacks at most a pane of either kind.
            let pane = 200 / u64::from(panes) + 1;
            let sure = times.iter().filter(|time| *time + 200 - pane > now).count() as u64;
            let full = window.samples() / u64::from(panes);
            prop_assert!(held >= sure.min(window.samples() - full), "{held} of {sure}");
        }
    }

    #[test]
    fn merged_windows_are_judged_like_one(rows in vec(value(), 2..120), cut in any::<Index>(), shuffled in any::<u64>()) {
        let monitor = monitor(1_000);
        let whole = monitor.judge(closed(&monitor, &rows));
        let mut other = rows.clone();
        fastrand::Rng::with_seed(shuffled).shuffle(&mut other);
        let cut = 1 + cut.index(other.len() - 1);
        let mut merged = closed(&monitor, &other[..cut]);
        prop_assert!(merged.merge(closed(&monitor, &other[cut..])));
        prop_assert!(alike(&monitor.judge(merged), &whole));
    }

    #[test]
    fn a_window_keeps_no_more_values_than_it_may(rows in vec(value(), 20..120)) {
        let monitor = monitor(10);
        let mut window = closed(&monitor, &rows);
        prop_assert!(window.merge(closed(&monitor, &rows)));
        let report = monitor.judge(window);
        let valid = rows.iter().filter(|(x, _)| matches!(x, Value::Number(x) if x.is_finite())).count();
        let x = &report.features[0];
        prop_assert_eq!(x.kept, (2 * valid as u64).min(10));
        prop_assert_eq!((x.counts.valid, x.counts.rows()), (2 * valid as u64, 2 * rows.len() as u64));
    }

    #[test]
    fn distances_are_symmetric_bounded_and_zero_for_the_same(mut one in vec(-1e3..1e3, 1..50), mut other in vec(-1e3..1e3, 1..50)) {
        one.sort_by(f64::total_cmp);
        other.sort_by(f64::total_cmp);
        let (there, back) = (distance::wasserstein(&one, &other).unwrap(), distance::wasserstein(&other, &one).unwrap());
        prop_assert!(near(there, back) && there >= 0.0);
        prop_assert_eq!(distance::wasserstein(&one, &one), Some(0.0));
        let test = distance::kolmogorov_smirnov(&one, &other).unwrap();
        prop_assert!((0.0..=1.0).contains(&test.statistic) && (0.0..=1.0).contains(&test.p_value));
        prop_assert_eq!(distance::kolmogorov_smirnov(&one, &one).unwrap().statistic, 0.0);
        let shares = |values: &[f64]| values.iter().map(|value| (value + 1e3) / values.iter().map(|value| value + 1e3).sum::<f64>()).collect::<Vec<_>>();
        let size = one.len().min(other.len());
        let (one, other) = (shares(&one[..size]), shares(&other[..size]));
        let js = distance::jensen_shannon(&one, &other);
        prop_assert!((0.0..=1.0 + 1e-12).contains(&js) && near(js, distance::jensen_shannon(&other, &one)));
        prop_assert!(distance::psi(&one, &other) >= 0.0 && distance::psi(&one, &one) == 0.0);
    }
}
