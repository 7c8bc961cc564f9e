//! Slots that are given back and taken again.

use loom::sync::Arc;

use super::{Row, bank, check, join, reader, spawn};
use crate::cell::Count;

#[test]
fn a_slot_begins_at_zero_again_and_no_late_writer_reaches_it() {
    check(3, || {
        let series = Arc::new(Row::new());
        let slot = series.0.live_slot();
        let thread = spawn({
            let series = Arc::clone(&series);
            move || {
                series.0.add(5);
                series.0.add(5);
            }
        });
        drop(series);
        // The same place, if the thread has let go of it, and another one if not.
        let next = Count::new();
        assert_eq!(next.get(&reader()), 0);
        next.add(1);
        assert_eq!(next.get(&reader()), 1);
        thread.join().unwrap();
        assert_eq!(next.get(&reader()), 1);
        next.free();
        let again = [Count::new(), Count::new()];
        assert!(again.iter().any(|count| count.live_slot() == slot));
        assert!(again.iter().all(|count| count.get(&reader()) == 0));
    });
}

#[test]
fn what_the_former_series_has_in_other_lanes_is_cleared_for_the_next_one_there() {
    check(3, || {
        bank().set_bound(1);
        let series = Arc::new(Row::new());
        let threads = [1, 2].map(|amount| {
            let series = Arc::clone(&series);
            spawn(move || {
                series.0.add(amount);
                // Who lets go last gives the slot back, and whoever comes then may have it.
                drop(series);
                let own = Row::new();
                assert_eq!(own.0.get(&reader()), 0);
                own.0.add(10);
                assert_eq!(own.0.get(&reader()), 10);
            })
        });
        drop(series);
        join(threads);
        let last = [(); 3].map(|()| Count::new().get(&reader()));
        assert_eq!(last, [0; 3]);
    });
}

#[test]
fn two_threads_are_never_given_the_same_slot() {
    check(3, || {
        let threads = [1, 2].map(|amount| {
            spawn(move || {
                Count::new().free();
                let count = Count::new();
                count.add(amount);
                (count, amount)
            })
        });
        for (count, amount) in join(threads) {
            assert_eq!(count.get(&reader()), amount);
        }
    });
}
