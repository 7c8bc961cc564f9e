//! Threads that record, describe and scrape at the same time.

use std::thread;

use inferometer_bridge::builder;
use metrics::{counter, describe_counter, gauge, histogram};

use crate::page::Page;

#[test]
fn nothing_is_lost_or_counted_twice() {
    const THREADS: u32 = 4;
    const TURNS: u32 = 5_000;
    let recorder = builder().max_label_values(40).build().unwrap();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let recorder = &recorder;
            scope.spawn(move || {
                metrics::with_local_recorder(recorder, || {
                    for turn in 0..TURNS {
                        let user = ((turn * (thread + 1)) % 61).to_string();
                        counter!("x", "user" => user.clone()).increment(1);
                        gauge!("y", "user" => user.clone()).increment(1.0);
                        histogram!("z", "user" => user).record(1.0);
                        describe_counter!("x", "Of one of them.");
                        counter!(format!("m_{}", turn % 50)).increment(1);
                    }
                });
            });
        }
        let mut before = 0.0;
        for _ in 0..20 {
            let now = total(&Page::of(&recorder), "x");
            assert!(now >= before, "{now} < {before}");
            before = now;
        }
    });
    let page = Page::of(&recorder);
    for name in ["x", "y", "z_count", "z_sum"] {
        assert_eq!(total(&page, name), f64::from(THREADS * TURNS), "{name}");
        assert_eq!(page.all(name).len(), 41, "{name}");
    }
    for name in 0..50 {
        let each = f64::from(THREADS * TURNS / 50);
        assert_eq!(page.value(&format!("m_{name}"), &[]), Some(each));
    }
    assert_eq!(page.helps["x"], "Of one of them.");
}

fn total(page: &Page, name: &str) -> f64 {
    page.all(name).iter().map(|(_, value)| value).sum()
}
