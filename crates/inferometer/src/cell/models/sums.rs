//! Recording against scraping.

use super::{bank, check, join, reader, spawn};
use crate::cell::{Bounds, Buckets, Count, Level, Sum};

#[test]
fn an_increment_is_counted_once_and_no_scrape_shows_less_than_the_one_before() {
    check(3, || {
        let count = Count::new();
        let threads = [1, 10].map(|amount| {
            spawn(move || {
                count.add(amount);
                count.add(amount);
            })
        });
        let first = count.get(&reader());
        let second = count.get(&reader());
        assert!(
            first <= second && second <= 22,
            "{first}, and then {second}"
        );
        join(threads);
        assert_eq!(count.get(&reader()), 22);
    });
}

#[test]
fn what_two_threads_add_to_a_stripe_is_exact() {
    check(3, || {
        bank().set_bound(1);
        let (count, sum) = (Count::new(), Sum::new());
        count.add(100);
        let threads = [1, 2].map(|amount: u8| {
            spawn(move || {
                count.add(amount.into());
                sum.add(amount.into());
            })
        });
        let (first, second) = (sum.get(&reader()), sum.get(&reader()));
        assert!(first <= second, "{first}, and then {second}");
        join(threads);
        assert_eq!(count.get(&reader()), 103);
        assert_eq!(sum.get(&reader()), 3.0);
    });
}

#[test]
fn a_chunk_that_two_threads_make_at_once_is_one_and_a_scrape_sees_it_whole() {
    check(3, || {
        bank().set_bound(1);
        let others = Count::new();
        others.add(1);
        // The second chunk, which nobody has made.
        let counts = Count::many(9);
        let last = counts[8];
        let threads = [1, 1].map(|amount| spawn(move || last.add(amount)));
        assert!(last.get(&reader()) <= 2);
        join(threads);
        assert_eq!(last.get(&reader()), 2);
        let mut sums = [0; 9];
        assert!(Count::get_run(&counts, &reader(), &mut sums));
        assert_eq!(sums, [0, 0, 0, 0, 0, 0, 0, 0, 2]);
    });
}

#[test]
fn a_level_returns_to_where_it_was_when_the_step_down_is_on_another_thread() {
    check(3, || {
        let level = Level::new();
        let up = spawn(move || level.add(1));
        let down = spawn(move || level.add(-1));
        assert!((-1..=1).contains(&level.get(&reader())));
        up.join().unwrap();
        down.join().unwrap();
        assert_eq!(level.get(&reader()), 0);
    });
}

#[test]
fn no_bucket_falls_and_every_observation_is_in_one() {
    check(2, || {
        let bounds: &'static Bounds = Box::leak(Box::new(Bounds::new(&[1.0])));
        let buckets = Buckets::new(bounds);
        let threads = [0.5, 2.0].map(|value| spawn(move || buckets.add(bounds, value, 1)));
        let mut scrapes = [Vec::new(), Vec::new()];
        for counts in &mut scrapes {
            let sum = buckets.get(bounds, &reader(), counts);
            assert!([0.0, 0.5, 2.0, 2.5].contains(&sum), "{sum}");
        }
        for (first, second) in scrapes[0].iter().zip(&scrapes[1]) {
            assert!(first <= second, "{scrapes:?}");
        }
        join(threads);
        let mut counts = Vec::new();
        assert_eq!(buckets.get(bounds, &reader(), &mut counts), 2.5);
        assert_eq!(counts, [1, 1]);
    });
}
