//! The callers' buckets: at most so many, and one for all who have none.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, MonotonicClock},
    middleware::StateInformationMiddleware,
    nanos::Nanos,
    state::{StateStore, keyed::ShrinkableKeyedStateStore},
};
use inferometer::sample::http::Decision;

use super::caller::Caller;

/// How many locks the callers share.
const SHARDS: usize = 16;

/// How often buckets that are full again are looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// Whose bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Holder {
    One(Caller),
    Rest,
}

/// What is kept of each bucket: the moment at which it is full again.
#[derive(Debug)]
pub(super) struct Store {
    shards: [Mutex<HashMap<u128, Nanos>>; SHARDS],
    rest: Mutex<Option<Nanos>>,
    held: AtomicUsize,
    most: usize,
}

impl Store {
    fn new(most: usize) -> Self {
        Self {
            shards: Default::default(),
            rest: Mutex::default(),
            held: AtomicUsize::new(0),
            most,
        }
    }

    fn shard(&self, caller: Caller) -> MutexGuard<'_, HashMap<u128, Nanos>> {
        // Callers are random numbers.
        let at = usize::try_from(caller.0 % SHARDS as u128).unwrap_or(0);
        locked(&self.shards[at])
    }

    /// The caller's own bucket, if it has one or there is room for it.
    fn place(&self, caller: Caller) -> Holder {
        match self.shard(caller).entry(caller.0) {
            Entry::Occupied(_) => Holder::One(caller),
            Entry::Vacant(entry) => {
                let room = self
                    .held
                    .fetch_update(Relaxed, Relaxed, |held| {
                        (held < self.most).then_some(held + 1)
                    })
                    .is_ok();
                if room {
                    // A bucket that was full at the beginning of time is full.
                    entry.insert(Nanos::new(0));
                    Holder::One(caller)
                } else {
                    Holder::Rest
                }
            }
        }
    }
}

/// The store as the limiter has it.
#[derive(Debug)]
struct Shared(Arc<Store>);

impl StateStore for Shared {
    type Key = Holder;

    fn measure_and_replace<T, F, E>(&self, key: &Holder, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        match key {
            Holder::Rest => {
                let mut rest = locked(&self.0.rest);
                let (answer, next) = decide(*rest)?;
                *rest = Some(next);
                Ok(answer)
            }
            Holder::One(caller) => {
                let mut shard = self.0.shard(*caller);
                let (answer, next) = decide(shard.get(&caller.0).copied())?;
                // One that a sweep took since it was placed comes again.
                if shard.insert(caller.0, next).is_none() {
                    self.0.held.fetch_add(1, Relaxed);
                }
                Ok(answer)
            }
        }
    }
}

impl ShrinkableKeyedStateStore<Holder> for Shared {
    fn retain_recent(&self, drop_below: Nanos) {
        for shard in &self.0.shards {
            let mut shard = locked(shard);
            let before = shard.len();
            shard.retain(|_, full| *full > drop_below);
            self.0.held.fetch_sub(before - shard.len(), Relaxed);
            if shard.capacity() > 4 * (shard.len() + 16) {
                shard.shrink_to_fit();
            }
        }
    }

    fn len(&self) -> usize {
        self.0.held.load(Relaxed)
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Limiter = RateLimiter<Holder, Shared, MonotonicClock, StateInformationMiddleware>;

/// The buckets of all callers.
#[derive(Debug)]
pub(super) struct Buckets {
    limiter: Limiter,
    store: Arc<Store>,
    quota: Quota,
    born: Instant,
    /// Milliseconds after `born`.
    next_sweep: AtomicU64,
}

/// What is to become of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verdict {
    pub(super) decision: Decision,
    /// How long the caller is to wait, if it has asked too often.
    pub(super) wait: Option<Duration>,
}

impl Buckets {
    pub(super) fn new(quota: Quota, most: usize) -> Self {
        let store = Arc::new(Store::new(most));
        let shared = Shared(Arc::clone(&store));
        Self {
            limiter: Limiter::new(quota, shared, MonotonicClock),
            store,
            quota,
            born: Instant::now(),
            next_sweep: AtomicU64::new(millis(SWEEP)),
        }
    }

    /// Others of the same quota, for `most` callers.
    pub(super) fn emptied(&self, most: usize) -> Self {
        Self::new(self.quota, most)
    }

    /// Takes from the caller's bucket.
    pub(super) fn decide(&self, caller: Option<Caller>) -> Verdict {
        self.sweep_now_and_then();
        let holder = caller.map_or(Holder::Rest, |caller| self.store.place(caller));
        let checked = self.limiter.check_key(&holder);
        let wait = checked
            .as_ref()
            .err()
            .map(|until| until.wait_time_from(self.limiter.clock().now()));
        Verdict {
            decision: Decision {
                allowed: wait.is_none(),
                remaining: checked.map_or(0, |state| state.remaining_burst_capacity()),
                burst: self.quota.burst_size().get(),
                shared: holder == Holder::Rest,
                keys: self.limiter.len(),
                most_keys: self.store.most,
            },
            wait,
        }
    }

    /// Lets go of the buckets that are full again: who comes back finds a full one.
    fn sweep_now_and_then(&self) {
        let now = millis(self.born.elapsed());
        let due = self.next_sweep.load(Relaxed);
        let next = now + millis(SWEEP);
        if now >= due
            && self
                .next_sweep
                .compare_exchange(due, next, Relaxed, Relaxed)
                .is_ok()
        {
            self.limiter.retain_recent();
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
