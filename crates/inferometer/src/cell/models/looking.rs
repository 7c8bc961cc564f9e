//! Who looks at memory against who retires it.
#![expect(
    unsafe_code,
    reason = "the memory is shared by pointer, as in the table"
)]

use std::ptr;

use super::{bank, check, join, let_go, pin, spawn};
use crate::{
    cell::{grace::Retired, witness::Witness},
    sync::{Acquire, Arc, AtomicPtr, Release},
};

/// Memory that can be found until it is retired.
#[derive(Clone)]
struct Shared(Arc<AtomicPtr<Witness>>);

impl Shared {
    fn new() -> Self {
        let memory = Box::into_raw(Box::new(Witness::new()));
        Self(Arc::new(AtomicPtr::new(memory)))
    }

    /// Looks at it, if it is there.
    fn look(&self) {
        let pin = pin();
        self.look_pinned();
        drop(pin);
    }

    fn look_pinned(&self) {
        // SAFETY: null, or from `Box::into_raw` and not freed while this thread is pinned: that is what the model proves.
        if let Some(memory) = unsafe { self.0.load(Acquire).as_ref() } {
            memory.look();
        }
    }

    /// Makes it unreachable, and frees it as soon as it may.
    fn retire(&self) -> Retired<Box<Witness>> {
        let memory = self.0.swap(ptr::null_mut(), Release);
        // SAFETY: it is from `Box::into_raw`, and was taken out just now.
        Retired::new(unsafe { Box::from_raw(memory) }, bank())
    }
}

/// Frees it, if nobody can be looking.
fn free(mut retired: Retired<Box<Witness>>) -> Option<Retired<Box<Witness>>> {
    if retired.is_over(bank()) {
        drop(retired);
        None
    } else {
        Some(retired)
    }
}

fn looked_at_by_two_threads(bound: usize) {
    check(3, move || {
        bank().set_bound(bound);
        let shared = Shared::new();
        let threads = [2, 1].map(|times| {
            let shared = shared.clone();
            spawn(move || {
                for _ in 0..times {
                    shared.look();
                }
            })
        });
        let waiting = free(shared.retire()).and_then(free);
        join(threads);
        assert!(waiting.and_then(free).is_none(), "nobody looks any more");
    });
}

#[test]
fn what_threads_with_lanes_look_at_is_not_freed() {
    looked_at_by_two_threads(2);
}

#[test]
fn what_threads_of_a_stripe_look_at_is_not_freed() {
    check(3, || {
        bank().set_bound(1);
        let shared = Shared::new();
        // This thread has the lane, so the others share the stripe.
        drop(pin());
        let threads = [(); 2].map(|()| {
            let shared = shared.clone();
            spawn(move || shared.look())
        });
        let waiting = free(shared.retire()).and_then(free);
        join(threads);
        assert!(waiting.and_then(free).is_none(), "nobody looks any more");
    });
}

#[test]
fn what_a_new_owner_of_a_lane_looks_at_is_not_freed_when_the_former_is_unpinned_late() {
    check(3, || {
        bank().set_bound(1);
        let shared = Shared::new();
        let ending = spawn({
            let shared = shared.clone();
            move || {
                let pin = pin();
                let_go();
                shared.look_pinned();
                drop(pin);
            }
        });
        let next = spawn({
            let shared = shared.clone();
            move || shared.look()
        });
        let waiting = free(shared.retire()).and_then(free);
        ending.join().unwrap();
        next.join().unwrap();
        assert!(waiting.and_then(free).is_none(), "nobody looks any more");
    });
}

#[test]
fn a_pin_within_a_pin_goes_on_when_one_of_them_ends() {
    check(3, || {
        let shared = Shared::new();
        let thread = spawn({
            let shared = shared.clone();
            move || {
                let (outer, inner) = (pin(), pin());
                drop(outer);
                shared.look_pinned();
                drop(inner);
                shared.look();
            }
        });
        let waiting = free(shared.retire()).and_then(free);
        thread.join().unwrap();
        assert!(waiting.and_then(free).is_none(), "nobody looks any more");
    });
}
