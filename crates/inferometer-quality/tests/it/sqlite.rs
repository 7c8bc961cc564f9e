//! What a file keeps.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::SystemTime,
};

use inferometer::LabelValue;
use inferometer_quality::{
    journal::{Journal, JournalOptions},
    score::{BoardOptions, Output, Scoreboard, Task, Truth},
    store::{Bounds, Label, Operation, Prediction, SqliteStore, Store, Table},
};

use crate::{
    scores::{at, label, prediction},
    stores::{BOUNDS, contract},
};

#[test]
fn a_file_does_what_every_store_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    contract(|| {
        count += 1;
        Box::new(SqliteStore::open(folder.path().join(count.to_string()), BOUNDS).unwrap())
    });
}

#[test]
fn a_file_opened_again_has_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quality.db");
    let mut store = SqliteStore::open(&path, BOUNDS).unwrap();
    store.write(&[prediction("a", 1.0, 0)]).unwrap();
    drop(store);
    let mut store = SqliteStore::open(&path, BOUNDS).unwrap();
    let outcomes = store.write(&[label("a", 2.0, 5)]).unwrap();
    assert!(
        matches!(
            &outcomes[..],
            [inferometer_quality::store::Outcome::Joined(_)]
        ),
        "{outcomes:?}"
    );
}

#[test]
fn every_operation_is_told_with_its_table() {
    let told = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&told);
    let mut store = SqliteStore::open(":memory:", BOUNDS)
        .unwrap()
        .on_operation(Arc::new(move |operation: Operation, table: Table, _| {
            seen.lock()
                .unwrap()
                .insert((operation.index(), table.index()));
        }));
    store
        .write(&[prediction("a", 1.0, 0), label("a", 1.0, 0)])
        .unwrap();
    store.forget(at(0)).unwrap();
    assert_eq!(
        told.lock().unwrap().len(),
        6,
        "select, insert, delete of two tables"
    );
}

#[test]
fn what_is_no_database_or_a_later_one_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quality.db");
    std::fs::write(
        &path,
        "this is no database, however long its text may be".repeat(100),
    )
    .unwrap();
    let error = SqliteStore::open(&path, BOUNDS).unwrap_err();
    assert!(!error.is_passing());
    assert!(
        error.to_string().contains("quality.db") && error.to_string().contains("not a database"),
        "{error}"
    );

    let nowhere = SqliteStore::open(folder.path().join("no/where.db"), BOUNDS).unwrap_err();
    assert!(nowhere.to_string().contains("unable to open"), "{nowhere}");

    let path = folder.path().join("later.db");
    drop(SqliteStore::open(&path, BOUNDS).unwrap());
    let later = rusqlite::Connection::open(&path).unwrap();
    later.pragma_update(None, "user_version", 2).unwrap();
    let error = SqliteStore::open(&path, BOUNDS).unwrap_err().to_string();
    assert!(
        error.contains("version 2, and this program knows 1"),
        "{error}"
    );
}

const FILE: &str = "INFEROMETER_QUALITY_TEST_FILE";

#[test]
fn no_acknowledged_label_is_lost_when_the_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quality.db");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "sqlite::labels_until_it_is_killed",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env(FILE, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let mut acknowledged: Vec<String> = Vec::new();
    let mut lines = lines.filter_map(|line| Some(line.strip_prefix("acknowledged ")?.to_owned()));
    acknowledged.extend(lines.by_ref().take(200));
    child.kill().unwrap();
    acknowledged.extend(lines);
    child.wait().unwrap();
    assert!(acknowledged.len() >= 200, "{}", acknowledged.len());

    let mut store = SqliteStore::open(&path, Bounds::default()).unwrap();
    let mut labelled = BTreeSet::new();
    store
        .replay(&mut |prediction, label| {
            if label.is_some() {
                labelled.insert(prediction.id.to_string());
            }
        })
        .unwrap();
    let lost: Vec<_> = acknowledged
        .iter()
        .filter(|id| !labelled.contains(*id))
        .collect();
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
#[ignore = "the process that the test above starts, and kills"]
fn labels_until_it_is_killed() {
    let path = std::env::var_os(FILE).expect("the test above sets it");
    let store = SqliteStore::open(path, Bounds::default()).unwrap();
    let board = Arc::new(Scoreboard::new(Task::Regression, BoardOptions::default()));
    let journal = Journal::start(store, board, JournalOptions::default()).unwrap();
    for id in 0..1_000_000_u64 {
        let (now, id) = (SystemTime::now(), id.to_string());
        journal.predicted(Prediction::new(
            &*id,
            "v1",
            "production",
            Output::Number(1.0),
            now,
        ));
        let label = Label::new(&*id, Truth::Number(1.0), now);
        let told = move |outcome: Result<_, _>| {
            if outcome.is_ok() {
                println!("acknowledged {id}");
            }
        };
        // A full queue is no reason to stop: what isn't queued isn't acknowledged.
        let _ = journal.labelled(label, told);
    }
}

#[test]
fn what_a_file_suffers_is_waited_out_and_nothing_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quality.db");
    let mut store = SqliteStore::open(&path, BOUNDS).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other
        .execute_batch("ALTER TABLE labels RENAME TO mislaid")
        .unwrap();
    let entry = label("a", 1.0, 0);
    let error = store.write(std::slice::from_ref(&entry)).unwrap_err();
    assert!(
        error.is_passing() && error.to_string().contains("no such table"),
        "{error}"
    );
    other
        .execute_batch("ALTER TABLE mislaid RENAME TO labels")
        .unwrap();
    store.write(&[entry]).unwrap();
}
