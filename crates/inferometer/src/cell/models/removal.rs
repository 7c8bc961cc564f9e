//! Series that go while others look for them, record to them and scrape them.

use loom::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{Count, Kept, Row, Table, at, bank, check, pin, reader, record, shown, spawn};

/// Does `work` on `table` in a thread of its own.
fn beside<T: 'static, R: 'static>(
    table: &Arc<Table<T>>,
    work: impl FnOnce(&Table<T>) -> R + 'static,
) -> loom::thread::JoinHandle<R> {
    let table = Arc::clone(table);
    spawn(move || work(&table))
}

/// A series that remembers what it showed when it was last looked at for idleness.
struct Watched {
    row: Row,
    seen: AtomicU64,
}

impl Watched {
    fn new() -> Self {
        Self {
            row: Row::new(),
            seen: AtomicU64::new(0),
        }
    }
}

/// Removes what has not moved since the last time, as a family does with no time to wait.
fn sweep(table: &Table<Watched>) -> Vec<Kept<Watched>> {
    table.sweep(|series, reader| {
        let now = series.row.0.get(reader);
        now == series.seen.swap(now, Relaxed)
    })
}

fn watched(table: &Table<Watched>, amount: u64) {
    let pin = pin();
    let count = table
        .find(&pin, &["a"])
        .or_else(|| table.find_or_insert(&pin, &["a"], |_| true, Watched::new))
        .expect("there is always room")
        .value
        .row
        .0;
    count.add(amount);
}

/// What was recorded must have been seen before its series went, or must be there still.
fn nothing_is_lost(table: &Table<Watched>, gone: &[Kept<Watched>], recorded: u64) {
    let reader = reader();
    let mut total = 0;
    for entry in gone {
        let last = entry.value.row.0.get(&reader);
        assert_eq!(
            last,
            entry.value.seen.load(Relaxed),
            "recorded to a series that is gone"
        );
        total += last;
    }
    let pin = pin();
    for entry in table.walk(&pin) {
        total += entry.value.row.0.get(&reader);
    }
    assert_eq!(total, recorded);
}

#[test]
fn an_idle_series_that_is_found_and_recorded_to_keeps_what_is_recorded() {
    check(4, || {
        let table = Arc::new(Table::new());
        watched(&table, 0);
        let thread = beside(&table, |table| watched(table, 1));
        let gone: Vec<_> = [(); 3].into_iter().flat_map(|()| sweep(&table)).collect();
        thread.join().unwrap();
        nothing_is_lost(&table, &gone, 1);
    });
}

#[test]
fn an_idle_series_keeps_what_is_recorded_through_a_handle_that_goes() {
    check(4, || {
        let table = Arc::new(Table::new());
        watched(&table, 0);
        let handle = {
            let pin = pin();
            table.find(&pin, &["a"]).expect("it was made").keep()
        };
        assert!(sweep(&table).is_empty(), "condemned, and there is a handle");
        let thread = spawn(move || {
            handle.value.row.0.add(1);
            drop(handle);
        });
        let gone: Vec<_> = [(); 2].into_iter().flat_map(|()| sweep(&table)).collect();
        thread.join().unwrap();
        nothing_is_lost(&table, &gone, 1);
    });
}

#[test]
fn two_sweeps_at_once_remove_a_series_once() {
    check(4, || {
        let table = Arc::new(Table::new());
        watched(&table, 0);
        let thread = beside(&table, |table| sweep(table).len() + sweep(table).len());
        let here = sweep(&table).len() + sweep(&table).len();
        let there = thread.join().unwrap();
        assert_eq!(
            here + there,
            1,
            "each thread swept twice, and at least one whole round met nobody"
        );
        nothing_is_lost(&table, &[], 0);
    });
}

#[test]
fn a_late_recording_never_reaches_the_series_that_comes_after() {
    check(4, || {
        let table = Arc::new(Table::<Row>::new());
        record(&table, "a", 7);
        let thread = beside(&table, |table| {
            let pin = pin();
            if let Some(entry) = table.find(&pin, &["a"]) {
                let count = entry.value.0;
                count.add(1);
                assert_eq!(count.get(&reader()), 8);
            }
        });
        assert!(table.remove(&["a"]).is_some());
        record(&table, "b", 100);
        assert_eq!(shown(&table, "a"), None);
        assert_eq!(shown(&table, "b"), Some(100));
        thread.join().unwrap();
        assert_eq!(shown(&table, "b"), Some(100));
        // What nobody looks at any more is freed by the next who makes a series; the slots are free before it has its own.
        record(&table, "c", 1);
        let slots = [(); 3].map(|()| Count::new().live_slot().map(|slot| slot.number()));
        assert!(
            slots.iter().flatten().all(|slot| *slot < 6),
            "memory was not reclaimed: {slots:?}"
        );
    });
}

#[test]
fn a_handle_that_is_kept_shares_its_slot_with_nobody() {
    check(4, || {
        let table = Arc::new(Table::<Row>::new());
        record(&table, "a", 7);
        let thread = beside(&table, |table| {
            let handle = {
                let pin = pin();
                table.find(&pin, &["a"])?.keep()
            };
            handle.value.0.add(1);
            Some(handle)
        });
        assert!(table.remove(&["a"]).is_some());
        record(&table, "b", 100);
        let handle = thread.join().unwrap();
        record(&table, "c", 1000);
        if let Some(handle) = handle {
            handle.value.0.add(1);
            assert_eq!(handle.value.0.get(&reader()), 9);
        }
        assert_eq!(shown(&table, "b"), Some(100));
        assert_eq!(shown(&table, "c"), Some(1000));
    });
}

#[test]
fn a_scrape_reads_a_series_whole_or_not_at_all_while_it_goes() {
    check(4, || {
        let table = Arc::new(Table::<Row>::new());
        record(&table, "a", 7);
        let thread = beside(&table, |table| {
            let pin = pin();
            let reader = reader();
            for entry in table.walk(&pin) {
                let value = entry.value.0.get(&reader);
                let a = entry.key() == &*crate::key::bytes(&["a"]);
                assert!(if a { value == 7 } else { value <= 100 }, "{value}");
            }
        });
        assert!(table.remove(&["a"]).is_some());
        record(&table, "b", 100);
        thread.join().unwrap();
    });
}

#[test]
fn of_two_who_remove_a_series_one_does() {
    check(4, || {
        bank().set_bound(1);
        let table = Arc::new(Table::<Row>::new());
        record(&table, "a", 1);
        let thread = beside(&table, |table| table.remove(&["a"]).is_some());
        let here = table.remove(&["a"]).is_some();
        assert_ne!(here, thread.join().unwrap());
        let pin = pin();
        assert!(table.find(&pin, &["a"]).is_none());
        assert_eq!(at(&table, &pin, "a").value.0.get(&reader()), 0);
    });
}
