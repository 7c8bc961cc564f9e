//! Values that are set, and native buckets.

use loom::sync::Arc;

use super::{bank, check, join, reader, spawn};
use crate::{
    NativeBuckets,
    cell::{Exponential, Setting},
};

#[test]
fn a_reader_sees_a_value_that_was_set_or_none() {
    check(3, || {
        let setting = Arc::new(Setting::absent());
        let setting_too = Arc::clone(&setting);
        let one = spawn(move || assert!(setting_too.set(1) && setting_too.set(2)));
        let setting_too = Arc::clone(&setting);
        let other = spawn(move || assert!(setting_too.set(3)));
        assert!(matches!(setting.get(), None | Some(1..=3)));
        one.join().unwrap();
        other.join().unwrap();
        // Which of them is the last, loom doesn't tell for sure once one was read.
        assert!(matches!(setting.get(), Some(1..=3)));
    });
}

#[test]
fn of_several_values_a_last_one_stays() {
    check(3, || {
        let setting = Arc::new(Setting::absent());
        let setting_too = Arc::clone(&setting);
        let one = spawn(move || assert!(setting_too.set(1) && setting_too.set(2)));
        let setting_too = Arc::clone(&setting);
        let other = spawn(move || assert!(setting_too.set(3)));
        one.join().unwrap();
        other.join().unwrap();
        assert!(matches!(setting.get(), Some(2 | 3)));
    });
}

#[test]
fn a_value_that_is_cleared_is_never_seen_before_the_next_is_set() {
    check(3, || {
        let setting = Arc::new(Setting::absent());
        assert!(setting.set(1));
        let setting_too = Arc::clone(&setting);
        let setting_thread = spawn(move || {
            setting_too.clear();
            assert!(setting_too.set(2));
        });
        let setting_too = Arc::clone(&setting);
        let touching = spawn(move || setting_too.touched());
        let (first, second) = (setting.get(), setting.get());
        assert!(
            !(first != Some(1) && second == Some(1)),
            "{first:?}, and then {second:?}"
        );
        setting_thread.join().unwrap();
        touching.join().unwrap();
        assert_eq!(setting.get(), Some(2));
    });
}

#[test]
fn a_set_is_noticed_by_the_look_for_idleness_that_it_meets_or_by_the_next() {
    check(3, || {
        let setting = Arc::new(Setting::absent());
        assert!(setting.set(1));
        assert!(setting.touched() && !setting.touched());
        let setting_too = Arc::clone(&setting);
        let thread = spawn(move || assert!(setting_too.set(2)));
        let met = setting.touched();
        thread.join().unwrap();
        assert_ne!(met, setting.touched());
        assert_eq!(setting.get(), Some(2));
    });
}

#[test]
fn a_closed_setting_refuses_what_is_set_after_and_shows_nothing() {
    check(3, || {
        let setting = Arc::new(Setting::absent());
        let setting_too = Arc::clone(&setting);
        let thread = spawn(move || setting_too.set(1) | setting_too.set(2));
        setting.close();
        assert_eq!(setting.get(), None);
        assert!(!setting.set(3));
        thread.join().unwrap();
        assert_eq!(setting.get(), None);
        setting.open();
        assert_eq!(setting.get(), None);
        assert!(setting.set(4));
        assert_eq!(setting.get(), Some(4));
    });
}

#[test]
fn of_two_blocks_made_for_the_same_octave_one_stays_and_counts_for_both() {
    check(2, || {
        bank().set_bound(1);
        let layout = NativeBuckets::new().schema(1);
        let native = Arc::new(Exponential::new(layout));
        // Its neighbour makes the group that they share: loom doesn't know the library's `OnceLock`.
        native.add(0.75, 1);
        let threads = [1.5, 1.2].map(|value| {
            let native = Arc::clone(&native);
            spawn(move || native.add(value, 1))
        });
        let count = |native: &Exponential| {
            let point = native.get(&reader());
            point.positive.iter().map(|(_, count)| *count).sum::<u64>()
        };
        assert!((1..=3).contains(&count(&native)));
        join(threads);
        let point = native.get(&reader());
        assert_eq!(point.positive.len(), 3, "{point:?}");
        assert_eq!(count(&native), 3);
        native.free();
        let next = Exponential::new(layout);
        next.add(1.2, 1);
        assert_eq!(count(&next), 1);
    });
}
