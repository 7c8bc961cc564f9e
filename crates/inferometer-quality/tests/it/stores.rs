//! What every store does.

use std::time::Duration;

use inferometer_quality::{
    score::{BoardOptions, Measure, Output, Scoreboard, Task, Truth},
    store::{Bounds, Entry, Forgotten, Held, Label, MemoryStore, Outcome, Pair, Prediction, Store},
};

use crate::scores::{at, label, prediction, write};

pub(crate) const BOUNDS: Bounds = Bounds {
    entries: 4,
    age: Duration::from_secs(1_000),
};

fn pair(outcome: &Outcome) -> &Pair {
    let Outcome::Joined(pair) = outcome else {
        panic!("{outcome:?}")
    };
    pair
}

/// What one batch brings is there for the next, in whatever order, and once.
fn joins(store: &mut dyn Store) {
    let outputs = [
        Output::Number(-0.1 + 1e-17),
        Output::Probabilities([0.1, 0.2, 0.7].into()),
        Output::Class(3),
        Output::Probability(1.0 / 3.0),
    ];
    let made: Vec<Entry> = (0..4)
        .zip(outputs)
        .map(|(id, output)| Prediction::new(format!("p{id}"), "v'1", "dáta", output, at(10)).into())
        .collect();
    let early = Label::new("p0", Truth::Number(0.1), at(5));
    let late = Label::new("p1", Truth::Class(2), at(20));
    let first = store
        .write(&[early.clone().into(), made[1].clone()])
        .unwrap();
    assert_eq!(first, [Outcome::Waiting, Outcome::Remembered]);

    let second = store
        .write(&[
            made[0].clone(),
            late.clone().into(),
            made[2].clone(),
            made[3].clone(),
        ])
        .unwrap();
    assert_eq!(pair(&second[0]).label, early);
    assert_eq!(Entry::from(pair(&second[0]).prediction.clone()), made[0]);
    assert_eq!(pair(&second[0]).lag(), Duration::ZERO);
    assert_eq!(pair(&second[1]).label, late);
    assert_eq!(Entry::from(pair(&second[1]).prediction.clone()), made[1]);
    assert_eq!(second[2..], [Outcome::Remembered, Outcome::Remembered]);

    // Asked again, as after an answer that got lost, each says what it said.
    let again = store
        .write(&[made[0].clone(), late.into(), early.into()])
        .unwrap();
    assert_eq!(again[..2], second[..2]);
    assert_eq!(again[2], Outcome::Waiting);
    // Of the same name, but others.
    let others = [prediction("p0", 5.0, 10), label("p1", 5.0, 10)];
    assert_eq!(
        store.write(&others).unwrap(),
        [Outcome::Duplicate, Outcome::Duplicate]
    );
    assert_eq!(
        store.held().unwrap(),
        Held {
            predictions: 4,
            labels: 2
        }
    );

    let mut replayed = Vec::new();
    store
        .replay(&mut |prediction, label| {
            replayed.push((prediction.id.to_string(), label.map(|label| label.truth)));
        })
        .unwrap();
    let joined = |id: &str, truth| (id.to_owned(), truth);
    assert_eq!(
        replayed,
        [
            joined("p0", Some(Truth::Number(0.1))),
            joined("p2", None),
            joined("p3", None),
            joined("p1", Some(Truth::Class(2))),
        ]
    );
}

/// A batch may say things twice itself.
fn joins_within_a_batch(store: &mut dyn Store) {
    let first = label("x", 2.0, 3_000);
    let entries = [
        prediction("x", 1.0, 3_000),
        prediction("x", 2.0, 3_000),
        first.clone(),
        label("x", 3.0, 3_000),
        first,
    ];
    let outcomes = store.write(&entries).unwrap();
    assert_eq!(outcomes[0], Outcome::Remembered);
    assert_eq!(
        (&outcomes[1], &outcomes[3]),
        (&Outcome::Duplicate, &Outcome::Duplicate)
    );
    assert_eq!(outcomes[2], outcomes[4]);
    assert_eq!(pair(&outcomes[2]).label.truth, Truth::Number(2.0));
    assert_eq!(store.write(&[]).unwrap(), []);
}

/// What is too old, or too much, goes and is counted. `strangers` of them still wait.
fn forgets(store: &mut dyn Store) {
    let nothing = Forgotten::default();
    assert_eq!(store.forget(at(0)).unwrap(), nothing);
    store
        .write(&[prediction("old", 1.0, 0), prediction("old too", 1.0, 0)])
        .unwrap();
    store
        .write(&[label("old", 1.0, 1), label("old stranger", 1.0, 0)])
        .unwrap();
    assert_eq!(
        store.forget(at(1_000)).unwrap(),
        nothing,
        "none is older than the bound"
    );
    let forgotten = store.forget(at(1_001)).unwrap();
    assert_eq!(
        forgotten,
        Forgotten {
            expired: 1,
            evicted: 0,
            strangers: 1
        }
    );
    assert_eq!(store.held().unwrap(), Held::default());

    let many: Vec<_> = (0..6)
        .map(|id| prediction(format!("many {id}"), 1.0, 2_000 + id))
        .collect();
    store.write(&many).unwrap();
    let forgotten = store.forget(at(2_010)).unwrap();
    assert_eq!(
        forgotten,
        Forgotten {
            expired: 0,
            evicted: 2,
            strangers: 0
        }
    );
    assert_eq!(
        store.held().unwrap(),
        Held {
            predictions: 4,
            labels: 0
        }
    );
    assert_eq!(
        store.write(&[label("many 0", 1.0, 2_010)]).unwrap(),
        [Outcome::Waiting]
    );
    assert_eq!(store.forget(at(9_000)).unwrap().strangers, 1);
    assert_eq!(store.held().unwrap(), Held::default());
}

/// Both ends of time, and names that look like more than names.
fn keeps_odd_text(store: &mut dyn Store) {
    let names = [
        "'; DROP TABLE labels; --",
        "",
        "ü\n\t\"\\",
        &"long".repeat(500),
    ];
    for name in names {
        let outcomes = store
            .write(&[
                prediction(name, 0.1 + 0.2, 5),
                label(name, f64::MIN_POSITIVE, 6),
            ])
            .unwrap();
        let pair = pair(&outcomes[1]);
        assert_eq!(&*pair.prediction.id, name);
        assert_eq!(pair.prediction.output, Output::Number(0.1 + 0.2));
        assert_eq!(pair.label.truth, Truth::Number(f64::MIN_POSITIVE));
    }
}

/// What can't be scored doesn't stop what can.
fn keeps_what_is_no_number(store: &mut dyn Store) {
    let odd = [
        Output::Number(f64::NAN),
        Output::Probability(f64::NAN),
        Output::Probabilities([0.5, f64::NAN].into()),
    ];
    for (id, output) in odd.into_iter().enumerate() {
        let made = Prediction::new(id.to_string(), "v1", "production", output, at(0));
        let outcomes = store.write(&[made.into(), label(id, f64::NAN, 1)]).unwrap();
        let joined = format!("{:?}", pair(&outcomes[1]));
        assert_eq!(joined.matches("NaN").count(), 2, "{joined}");
    }
    let mut count = 0;
    store
        .replay(&mut |_, label| count += u64::from(label.is_some()))
        .unwrap();
    assert_eq!(count, 3);
}

/// Scores of a store that was played back are those of one that has lived through it.
fn plays_back(store: &mut dyn Store) {
    let live = Scoreboard::new(Task::Regression, BoardOptions::default());
    for id in 0..4_u64 {
        write(store, &live, &[prediction(id, 1.0, id)]);
    }
    write(
        store,
        &live,
        &[label(3, 2.0, 90), label(1, 4.0, 100), label(0, 3.0, 20)],
    );
    let again = Scoreboard::new(Task::Regression, BoardOptions::default());
    store
        .replay(&mut |prediction, label| again.replay(prediction, label))
        .unwrap();
    assert_eq!(again.scores(at(200)), live.scores(at(200)));
    assert_eq!(
        again.scores(at(200))[0]
            .lifetime
            .get(Measure::Mae)
            .unwrap()
            .value,
        2.0
    );
}

/// All of the above, each on an empty store.
pub(crate) fn contract(mut empty: impl FnMut() -> Box<dyn Store>) {
    for check in [
        joins,
        joins_within_a_batch,
        forgets,
        keeps_odd_text,
        keeps_what_is_no_number,
        plays_back,
    ] {
        check(&mut *empty());
    }
}

#[test]
fn memory_does_what_every_store_does() {
    // It makes room when something comes, not when it is told to forget.
    let store = || Box::new(MemoryStore::new(BOUNDS)) as Box<dyn Store>;
    contract(store);
}
