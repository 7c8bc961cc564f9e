//! Threads that end, and those that take over from them.

use super::{bank, check, join, let_go, pin, reader, spawn};
use crate::cell::{Count, grace::Retired};

#[test]
fn the_next_owner_of_a_lane_goes_on_from_where_the_former_was() {
    check(3, || {
        bank().set_bound(1);
        let count = Count::new();
        // Each has the one lane, or shares the stripe while another has it.
        let threads = [1, 10].map(|amount| spawn(move || count.add(amount)));
        let first = count.get(&reader());
        let second = count.get(&reader());
        assert!(first <= second, "{first}, and then {second}");
        join(threads);
        assert_eq!(count.get(&reader()), 11);
        count.add(100);
        assert_eq!(count.get(&reader()), 111);
        assert!(bank().lanes().count() <= 2, "a lane and perhaps a stripe");
    });
}

#[test]
fn two_threads_never_own_the_same_lane() {
    check(3, || {
        let count = Count::new();
        let threads = [1, 10].map(|amount| {
            spawn(move || {
                count.add(amount);
                count.add(amount);
                let_go();
                // Without a lane of its own, and perhaps with the other's former one.
                count.add(amount);
            })
        });
        join(threads);
        assert_eq!(count.get(&reader()), 33);
    });
}

#[test]
fn a_thread_that_ends_while_pinned_leaves_its_lane_with_the_last_pin() {
    check(3, || {
        bank().set_bound(1);
        let count = Count::new();
        let ending = spawn(move || {
            count.add(1);
            let (outer, inner) = (pin(), pin());
            let_go();
            count.add(1);
            drop(outer);
            drop(inner);
        });
        let next = spawn(move || {
            let pin = pin();
            count.add(10);
            drop(pin);
        });
        ending.join().unwrap();
        next.join().unwrap();
        assert_eq!(count.get(&reader()), 12);
        assert!(
            Retired::new((), bank()).is_over(bank()),
            "nobody is pinned any more"
        );
        count.add(100);
        let owned = bank().claim().is_some();
        assert!(!owned, "this thread has the lane that was left");
    });
}
