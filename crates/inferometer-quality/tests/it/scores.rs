//! Scores as predictions and labels come in.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use inferometer_quality::{
    score::{
        BoardOptions, Classes, Measure, Misfit, Output, Score, Scoreboard, Tallied, Tally, Task,
        Truth, Window,
    },
    store::{Bounds, Entry, Held, Label, MemoryStore, Prediction, Store},
};

pub(crate) fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
}

pub(crate) fn prediction(id: impl fmt::Display, number: f64, seconds: u64) -> Entry {
    Prediction::new(
        format!("{id}"),
        "v1",
        "production",
        Output::Number(number),
        at(seconds),
    )
    .into()
}

pub(crate) fn label(id: impl fmt::Display, number: f64, seconds: u64) -> Entry {
    Label::new(id.to_string(), Truth::Number(number), at(seconds)).into()
}

pub(crate) fn write(store: &mut dyn Store, board: &Scoreboard, entries: &[Entry]) {
    let outcomes = store.write(entries).unwrap();
    assert_eq!(outcomes.len(), entries.len());
    for (entry, outcome) in entries.iter().zip(&outcomes) {
        board.record(entry, outcome);
    }
}

fn board() -> Scoreboard {
    Scoreboard::new(Task::Regression, BoardOptions::default())
}

#[test]
fn labels_join_in_any_order_and_everything_is_counted() {
    let (mut store, board) = (MemoryStore::new(Bounds::default()), board());
    write(
        &mut store,
        &board,
        &[
            prediction("a", 1.0, 0),
            label("b", 5.0, 1),
            prediction("b", 4.0, 2),
            prediction("a", 9.0, 3),
            label("a", 3.0, 30),
            label("a", 7.0, 31),
            prediction("c", 1.0, 4),
            label("stranger", 1.0, 5),
        ],
    );
    assert_eq!(
        board.tallied(),
        Tallied {
            predictions: 3,
            joined: 2,
            early_labels: 2,
            duplicate_predictions: 1,
            duplicate_labels: 1,
            ..Tallied::default()
        }
    );
    let scores = board.scores(at(60));
    let [series] = &scores[..] else {
        panic!("{scores:?}")
    };
    assert_eq!(
        (&*series.model_version, &*series.dataset),
        ("v1", "production")
    );
    for scores in [&series.lifetime, &series.window] {
        assert_eq!(
            scores.get(Measure::Mae),
            Some(Score {
                value: 1.5,
                samples: 2
            })
        );
        assert_eq!(
            (scores.samples, scores.predictions, scores.labelled),
            (2, 3, 2)
        );
        assert_eq!(scores.coverage(), Some(2.0 / 3.0));
        let lag = scores.lag.unwrap();
        assert_eq!(
            (lag.mean, lag.longest),
            (Duration::from_secs(15), Duration::from_secs(30))
        );
        assert_eq!(scores.get(Measure::Accuracy), None);
    }
}

#[test]
fn what_grows_old_or_many_is_forgotten_and_counted() {
    let bounds = Bounds {
        entries: 3,
        age: Duration::from_secs(100),
    };
    let (mut store, board) = (MemoryStore::new(bounds), board());
    let entries = ["a", "b", "c", "d"].map(|id| prediction(id, 1.0, 0));
    write(&mut store, &board, &entries);
    write(
        &mut store,
        &board,
        &[label("a", 1.0, 1), label("e", 1.0, 1)],
    );
    assert_eq!(
        store.held().unwrap(),
        Held {
            predictions: 1,
            labels: 2
        }
    );
    board.forgotten(store.forget(at(100)).unwrap());
    board.forgotten(store.forget(at(102)).unwrap());
    assert_eq!(store.held().unwrap(), Held::default());
    let tallied = board.tallied();
    assert_eq!(
        (tallied.evicted, tallied.expired, tallied.strangers),
        (3, 1, 2)
    );
}

#[test]
fn a_windows_scores_forget_what_a_lifetimes_keep() {
    let options = BoardOptions {
        window: Window::new(100, Duration::from_secs(1_000)),
        series: 1,
    };
    let (mut store, board) = (
        MemoryStore::new(Bounds::default()),
        Scoreboard::new(Task::Regression, options),
    );
    for id in 0..1_000 {
        let error = if id < 800 { 10.0 } else { 1.0 };
        write(
            &mut store,
            &board,
            &[prediction(id, error, id), label(id, 0.0, id)],
        );
    }
    let scores = board.scores(at(1_000)).remove(0);
    let window = scores.window.get(Measure::Mae).unwrap();
    assert_eq!(window.value, 1.0);
    assert!((91..=100).contains(&window.samples), "{window:?}");
    assert_eq!(
        scores.lifetime.get(Measure::Mae),
        Some(Score {
            value: 8.2,
            samples: 1_000
        })
    );
    let later = board.scores(at(1_900)).remove(0);
    assert!(later.window.samples < 100);
    let past = board.scores(at(9_000)).remove(0);
    assert_eq!(
        (past.window.samples, past.window.coverage(), past.window.lag),
        (0, None, None)
    );
    assert_eq!(past.lifetime.samples, 1_000);
}

#[test]
fn versions_and_data_sets_are_scored_apart_and_bounded() {
    let options = BoardOptions {
        series: 2,
        ..BoardOptions::default()
    };
    let (mut store, board) = (
        MemoryStore::new(Bounds::default()),
        Scoreboard::new(Task::Regression, options),
    );
    for (id, version) in ["v2", "v1", "v3"].into_iter().enumerate() {
        let made = Prediction::new(
            id.to_string(),
            version,
            "validation",
            Output::Number(1.0),
            at(0),
        );
        write(&mut store, &board, &[made.into(), label(id, 1.0, 1)]);
    }
    let versions = |board: &Scoreboard| {
        let scores = board.scores(at(2));
        scores
            .iter()
            .map(|series| series.model_version.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(versions(&board), ["v1", "v2"]);
    assert_eq!(
        (board.tallied().joined, board.tallied().crowded_out),
        (2, 2)
    );
    board.retire("v1");
    assert_eq!(versions(&board), ["v2"]);
}

#[test]
fn what_does_not_fit_is_counted_and_told() {
    let (mut store, board) = (MemoryStore::new(Bounds::default()), board());
    let odd = Label::new("a", Truth::Class(1), at(1));
    write(&mut store, &board, &[prediction("a", 1.0, 0), odd.into()]);
    write(
        &mut store,
        &board,
        &[prediction("b", f64::NAN, 0), label("b", 1.0, 1)],
    );
    assert_eq!((board.tallied().misfits, board.tallied().joined), (2, 0));

    let task = Task::Classes(Classes::new(["a", "b", "c"]).unwrap());
    let told = task.check_truth(Truth::Class(3)).unwrap_err().to_string();
    assert_eq!(
        told,
        "class 3 is not among the 3 that the model knows; send 0 to 2"
    );
    let few = Output::Probabilities([0.5, 0.5].into());
    assert_eq!(
        task.check_output(&few),
        Err(Misfit::NotOneEach {
            found: 2,
            classes: 3
        })
    );
    assert_eq!(
        task.check_output(&Output::Probability(0.5)),
        Err(Misfit::NoPositive)
    );
    let binary = Task::Classes(Classes::binary("no", "yes"));
    assert_eq!(
        binary.check_output(&Output::Probability(1.5)),
        Err(Misfit::NotAProbability(1.5))
    );
    assert!(Classes::new(["a", "a"]).is_none());
}

#[test]
fn what_is_undefined_is_absent() {
    let mut numbers = Tally::new(&Task::Regression);
    assert_eq!(numbers.score(Measure::Mae), None);
    for _ in 0..3 {
        numbers
            .add(&Output::Number(1.0), Truth::Number(2.0))
            .unwrap();
    }
    assert_eq!(
        numbers.score(Measure::R2),
        None,
        "the truth is always the same"
    );

    let mut two = Tally::new(&Task::Classes(Classes::binary("no", "yes")));
    two.add(&Output::Class(0), Truth::Class(0)).unwrap();
    assert_eq!(
        (two.score(Measure::Precision), two.score(Measure::Recall)),
        (None, None)
    );
    assert_eq!(
        (two.score(Measure::F1), two.score(Measure::LogLoss)),
        (None, None)
    );
    two.add(&Output::Probability(0.5), Truth::Class(1)).unwrap();
    assert_eq!(
        two.score(Measure::LogLoss).unwrap().samples,
        1,
        "only one said how sure it is"
    );
    assert_eq!(
        two.score(Measure::Recall),
        Some(Score {
            value: 1.0,
            samples: 2
        })
    );
}

#[test]
fn errors_far_from_zero_keep_their_digits() {
    let mut tally = Tally::new(&Task::Regression);
    for index in 0..100_000_u32 {
        let truth = 1e9 + f64::from(index % 2);
        tally
            .add(&Output::Number(truth + 0.25), Truth::Number(truth))
            .unwrap();
    }
    let r2 = tally.score(Measure::R2).unwrap().value;
    assert!((r2 - 0.75).abs() < 1e-9, "{r2}");
    assert_eq!(tally.score(Measure::Rmse).unwrap().value, 0.25);
}

#[test]
fn a_store_played_back_makes_the_same_scores() {
    let (mut store, live) = (MemoryStore::new(Bounds::default()), board());
    let entries: Vec<_> = (0..50).map(|id| prediction(id, 1.0, id)).collect();
    write(&mut store, &live, &entries);
    let labels: Vec<_> = (0..30)
        .map(|id| label(id, id as f64, 100 + 7 * id))
        .collect();
    write(&mut store, &live, &labels);
    let again = board();
    store
        .replay(&mut |prediction, label| again.replay(prediction, label))
        .unwrap();
    assert_eq!(again.scores(at(400)), live.scores(at(400)));
}

#[test]
fn scores_of_several_threads_are_those_of_one() {
    let pair = |index: u32| {
        (
            Output::Number(f64::from(index % 97)),
            Truth::Number(f64::from(index % 89)),
        )
    };
    let count = |from: u32, upto: u32, tally: &mut Tally| {
        for (output, truth) in (from..upto).map(pair) {
            tally.add(&output, truth).unwrap();
        }
    };
    let mut whole = Tally::new(&Task::Regression);
    count(0, 4_000, &mut whole);
    let mut merged = Tally::new(&Task::Regression);
    std::thread::scope(|scope| {
        let part = |thread: u32| {
            let mut part = Tally::new(&Task::Regression);
            count(1_000 * thread, 1_000 * (thread + 1), &mut part);
            part
        };
        let threads: Vec<_> = (0..4)
            .map(|thread| scope.spawn(move || part(thread)))
            .collect();
        for thread in threads {
            merged.merge(&thread.join().unwrap());
        }
    });
    for measure in [Measure::Rmse, Measure::Mae, Measure::R2] {
        let (one, other) = (
            merged.score(measure).unwrap(),
            whole.score(measure).unwrap(),
        );
        assert!(
            (one.value - other.value).abs() < 1e-12 && one.samples == other.samples,
            "{measure:?}"
        );
    }
}
