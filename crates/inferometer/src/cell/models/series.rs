//! Series that appear while others are looked for and scraped.

use loom::sync::Arc;

use super::{Row, Table, at, check, join, pin, reader, record, shown, spawn};

#[test]
fn two_threads_that_make_the_same_series_find_one() {
    check(3, || {
        let table = Arc::new(Table::<Row>::new());
        let threads = [1, 10].map(|amount| {
            let table = Arc::clone(&table);
            spawn(move || record(&table, "a", amount))
        });
        join(threads);
        assert_eq!(shown(&table, "a"), Some(11));
    });
}

#[test]
fn a_scrape_shows_a_series_once_it_is_made_and_never_less_of_it() {
    check(3, || {
        let table = Arc::new(Table::<Row>::new());
        let thread = spawn({
            let table = Arc::clone(&table);
            move || {
                record(&table, "a", 1);
                record(&table, "a", 1);
            }
        });
        let first = shown(&table, "a");
        let second = shown(&table, "a");
        assert!(first <= second, "{first:?}, and then {second:?}");
        thread.join().unwrap();
        assert_eq!(shown(&table, "a"), Some(2));
    });
}

#[test]
fn what_was_there_is_found_while_the_table_grows() {
    check(3, || {
        let table = Arc::new(Table::<Row>::new());
        record(&table, "a", 1);
        record(&table, "b", 1);
        // The third series needs more places.
        let growing = spawn({
            let table = Arc::clone(&table);
            move || record(&table, "c", 1)
        });
        let looking = spawn({
            let table = Arc::clone(&table);
            move || {
                let pin = pin();
                for key in ["a", "b"] {
                    let found = table.find(&pin, &[key]);
                    assert_eq!(found.map(|entry| entry.value.0.get(&reader())), Some(1));
                }
                if let Some(found) = table.find(&pin, &["c"]) {
                    assert!(found.value.0.get(&reader()) <= 1);
                }
            }
        });
        growing.join().unwrap();
        looking.join().unwrap();
        for key in ["a", "b", "c"] {
            assert_eq!(shown(&table, key), Some(1));
        }
    });
}

#[test]
fn the_last_place_goes_to_one_thread_and_the_other_is_told() {
    check(3, || {
        let table = Arc::new(Table::<Row>::new());
        let threads = ["a", "b"].map(|key| {
            let table = Arc::clone(&table);
            spawn(move || {
                let pin = pin();
                table
                    .find_or_insert(&pin, &[key], |taken| taken < 1, Row::new)
                    .is_some()
            })
        });
        let made = join(threads);
        assert_ne!(made[0], made[1]);
        let pin = pin();
        assert_eq!(table.walk(&pin).count(), 1);
        at(&table, &pin, if made[0] { "a" } else { "b" });
    });
}
