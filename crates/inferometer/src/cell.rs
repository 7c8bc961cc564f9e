//! The memory behind a series: atomics, split into stripes so that threads seldom meet on one cache line.
//!
//! **Consistency.** A reader sums the stripes in a fixed order, so a sum of non-negative amounts never falls between two
//! reads. All accesses are relaxed: a scrape is not a moment, and no cell publishes another.

use std::{
    cell::Cell,
    sync::{
        OnceLock,
        atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread::available_parallelism,
};

/// How many stripes a cell has: the cores, rounded up to a power of two, at most 8.
fn stripes() -> usize {
    static STRIPES: OnceLock<usize> = OnceLock::new();
    *STRIPES.get_or_init(|| {
        available_parallelism()
            .map_or(1, usize::from)
            .next_power_of_two()
            .min(8)
    })
}

/// This thread's number, in the order of first recordings.
#[inline]
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) });
    NUMBER.with(|number| {
        if number.get() == usize::MAX {
            number.set(NEXT.fetch_add(1, Relaxed) & (usize::MAX >> 1));
        }
        number.get()
    })
}

/// A value on a cache line of its own.
#[repr(align(64))]
#[derive(Debug, Default)]
struct Line<T>(T);

/// One value a stripe.
#[derive(Debug)]
struct Striped<T>(Box<[Line<T>]>);

impl<T> Striped<T> {
    fn new(make: impl Fn() -> T) -> Self {
        Self((0..stripes()).map(|_| Line(make())).collect())
    }

    #[inline]
    fn own(&self) -> &T {
        &self.0[thread_number() & (self.0.len() - 1)].0
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|line| &line.0)
    }
}

/// A whole number that only grows; it wraps at `u64::MAX`.
#[derive(Debug)]
pub(crate) struct Count(Striped<AtomicU64>);

impl Count {
    pub(crate) fn new() -> Self {
        Self(Striped::new(AtomicU64::default))
    }

    #[inline]
    pub(crate) fn add(&self, amount: u64) {
        self.0.own().fetch_add(amount, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0
            .iter()
            .fold(0, |sum, stripe| sum.wrapping_add(stripe.load(Relaxed)))
    }
}

/// A whole number that rises and falls.
#[derive(Debug)]
pub(crate) struct Level(Striped<AtomicI64>);

impl Level {
    pub(crate) fn new() -> Self {
        Self(Striped::new(AtomicI64::default))
    }

    #[inline]
    pub(crate) fn add(&self, amount: i64) {
        self.0.own().fetch_add(amount, Relaxed);
    }

    pub(crate) fn get(&self) -> i64 {
        self.0
            .iter()
            .fold(0, |sum, stripe| sum.wrapping_add(stripe.load(Relaxed)))
    }
}

/// A floating sum.
#[derive(Debug)]
pub(crate) struct Sum(Striped<AtomicU64>);

#[inline]
fn add_float(cell: &AtomicU64, amount: f64) {
    let mut seen = cell.load(Relaxed);
    while let Err(now) = cell.compare_exchange_weak(
        seen,
        (f64::from_bits(seen) + amount).to_bits(),
        Relaxed,
        Relaxed,
    ) {
        seen = now;
    }
}

impl Sum {
    pub(crate) fn new() -> Self {
        Self(Striped::new(AtomicU64::default))
    }

    #[inline]
    pub(crate) fn add(&self, amount: f64) {
        add_float(self.0.own(), amount);
    }

    pub(crate) fn get(&self) -> f64 {
        self.0.iter().fold(0.0, |sum, stripe| {
            sum + f64::from_bits(stripe.load(Relaxed))
        })
    }
}

/// A settable number that may be absent.
#[derive(Debug)]
pub(crate) struct Value(AtomicU64);

/// A NaN that no arithmetic gives: the value is absent.
const ABSENT: u64 = 0x7ff8_1fe0_ab5e_0001;

impl Value {
    pub(crate) fn absent() -> Self {
        Self(AtomicU64::new(ABSENT))
    }

    #[inline]
    pub(crate) fn set(&self, value: f64) {
        let bits = value.to_bits();
        self.0.store(
            if bits == ABSENT {
                f64::NAN.to_bits()
            } else {
                bits
            },
            Relaxed,
        );
    }

    pub(crate) fn clear(&self) {
        self.0.store(ABSENT, Relaxed);
    }

    pub(crate) fn get(&self) -> Option<f64> {
        match self.0.load(Relaxed) {
            ABSENT => None,
            bits => Some(f64::from_bits(bits)),
        }
    }
}

/// Counts by bucket and their sum. The last bucket takes what is above every bound.
#[derive(Debug)]
pub(crate) struct Buckets(Striped<Stripe>);

#[derive(Debug)]
struct Stripe {
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Buckets {
    pub(crate) fn new(buckets: usize) -> Self {
        Self(Striped::new(|| Stripe {
            counts: (0..buckets).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }))
    }

    /// Counts `times` values of `value` in bucket `at`.
    #[inline]
    pub(crate) fn add(&self, at: usize, value: f64, times: u64) {
        let stripe = self.0.own();
        stripe.counts[at].fetch_add(times, Relaxed);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a repeat count stays far below 2^53"
        )]
        add_float(&stripe.sum, value * times as f64);
    }

    /// The counts of the buckets, each alone, and the sum.
    pub(crate) fn get(&self) -> (Vec<u64>, f64) {
        let mut counts = Vec::new();
        let mut sum = 0.0;
        for stripe in self.0.iter() {
            counts.resize(stripe.counts.len(), 0_u64);
            for (total, count) in counts.iter_mut().zip(&stripe.counts) {
                *total = total.wrapping_add(count.load(Relaxed));
            }
            sum += f64::from_bits(stripe.sum.load(Relaxed));
        }
        (counts, sum)
    }
}
