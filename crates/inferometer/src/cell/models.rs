//! Models of this room: loom runs each in every order of events that the memory model allows, up to a number of preemptions.
//!
//! **What is modelled.** The code is the room's own; only sizes are smaller (8 words a chunk, 4 chunks, 2 lanes, 1 stripe), hashes have a fixed
//! seed, and what a thread does when it ends is the last thing that [`spawn`] does: loom's `join` doesn't wait for destructors.
//! Freed memory has a [`Witness`](super::witness::Witness), which fails a model when somebody looks at it after its end, or at the same time.
//!
//! **What is not.** The barrier of a pin, [`barrier`](super::barrier), is a full fence on both sides here. What Linux makes of it, the compiler's
//! order on one side and `membarrier` on the other, gives the same: the call runs a full fence on each core that runs this process,
//! between two instructions of each thread, so a thread's store is before it, or the thread's loads are after it. Loom knows neither,
//! and lets its fences order more than the language does; so a model may miss an order that only fences give, but not one
//! that is missing.
//!
//! `scripts/loom` runs them all; `LOOM_MAX_PREEMPTIONS` and loom's other variables hold.

mod kinds;
mod lanes;
mod looking;
mod removal;
mod series;
mod slots;
mod sums;

use super::{
    number::Count,
    table::{Kept, Located, Table},
    thread::{bank, let_go, pin, reader},
};

/// Runs `model` in every order with at most so many preemptions, unless the environment has another number.
fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 10_000;
    let runs = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&runs);
    builder.check(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        model();
    });
    let runs = runs.load(std::sync::atomic::Ordering::Relaxed);
    #[expect(clippy::print_stdout, reason = "the script shows it")]
    {
        println!("{runs} runs");
    }
}

/// A thread that leaves its lane before it can be joined.
fn spawn<T: 'static>(work: impl FnOnce() -> T + 'static) -> loom::thread::JoinHandle<T> {
    loom::thread::spawn(|| {
        let done = work();
        let_go();
        done
    })
}

fn join<T>(threads: [loom::thread::JoinHandle<T>; 2]) -> [T; 2] {
    threads.map(|thread| {
        thread
            .join()
            .expect("a thread's own failure is the model's")
    })
}

/// What a family keeps for a counter of an open set.
struct Row(Count);

impl Row {
    fn new() -> Self {
        Self(Count::new())
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        self.0.free();
    }
}

/// Finds the series of `key`, or makes it, and adds to it: what recording to an open set does.
fn record(table: &Table<Row>, key: &'static str, amount: u64) {
    let pin = pin();
    let count = at(table, &pin, key).value.0;
    count.add(amount);
    drop(pin);
}

fn at<'a>(table: &'a Table<Row>, pin: &'a super::Pin, key: &'static str) -> Located<'a, Row> {
    table
        .find(pin, &[key])
        .or_else(|| table.find_or_insert(pin, &[key], |_| true, Row::new))
        .expect("there is always room")
}

/// What a scrape shows of `key`, which it must not show twice.
fn shown(table: &Table<Row>, key: &'static str) -> Option<u64> {
    let reader = reader();
    let pin = pin();
    let mut shown = None;
    for entry in table.walk(&pin) {
        if entry.key() == &*crate::key::bytes(&[key]) {
            let before = shown.replace(entry.value.0.get(&reader));
            assert_eq!(before, None, "{key} stands twice");
        }
    }
    shown
}
