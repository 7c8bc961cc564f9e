//! Single recordings that stand for their series or bucket.
//!
//! **Cost.** Who records without an exemplar pays nothing. Who records with one reads a clock, and at most [`PER_SECOND`] times a second
//! in each family takes a lock if it is free; where it isn't, the exemplar is left out and nobody waits.

use std::{
    collections::HashMap,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

use crate::{cell::Slot, family::render, rules, snapshot::Exemplar};

/// The most exemplars that a family takes in a second.
pub(crate) const PER_SECOND: u64 = 1000;

/// The most characters that an exemplar's label names and values have together, as OpenMetrics has it.
pub(crate) const MAX_CHARACTERS: usize = 128;

/// The exemplars of a family, by series and bucket.
#[derive(Debug, Default)]
pub(crate) struct Exemplars {
    /// The millisecond since the epoch from which on the next one is taken.
    next: AtomicU64,
    kept: OnceLock<Mutex<HashMap<u32, Vec<Option<Exemplar>>>>>,
    refused: AtomicU64,
}

impl Exemplars {
    /// Keeps an exemplar for bucket `at` of `buckets` of the series at `slot`, if it is time for one.
    pub(crate) fn offer(
        &self,
        slot: Slot,
        (at, buckets): (usize, usize),
        value: f64,
        labels: &[(&str, &str)],
    ) {
        let now = SystemTime::now();
        let millis = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| {
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            });
        let next = self.next.load(Relaxed);
        // A clock that was set back must not stop exemplars for long.
        if millis < next && next - millis < 2 * 1000 / PER_SECOND {
            return;
        }
        let Some(rendered) = rendered(labels) else {
            self.refused.fetch_add(1, Relaxed);
            return;
        };
        let kept = self.kept.get_or_init(Mutex::default);
        let Ok(mut kept) = kept.try_lock() else {
            return;
        };
        self.next.store(millis + 1000 / PER_SECOND, Relaxed);
        let series = kept.entry(slot.number()).or_default();
        series.resize(buckets, None);
        series[at] = Some(Exemplar {
            labels: rendered,
            value,
            at: now,
        });
    }

    /// Forgets what a former series at `slot` has left.
    pub(crate) fn forget(&self, slot: Slot) {
        if let Some(kept) = self.kept.get() {
            kept.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&slot.number());
        }
    }

    /// A copy of all, for one scrape; `None` when there were never any.
    pub(crate) fn copy(&self) -> Option<HashMap<u32, Vec<Option<Exemplar>>>> {
        let kept = self.kept.get()?;
        Some(kept.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// How many were refused for their labels; `None` when none was ever offered that was taken or refused.
    pub(crate) fn refused(&self) -> Option<u64> {
        let refused = self.refused.load(Relaxed);
        (refused > 0 || self.kept.get().is_some()).then_some(refused)
    }
}

/// The labels as written between the braces; `None` when a name isn't one or stands twice, or when they are too long.
fn rendered(labels: &[(&str, &str)]) -> Option<Box<str>> {
    let mut text = String::new();
    let mut characters = 0;
    for (at, (name, value)) in labels.iter().enumerate() {
        characters += name.chars().count() + value.chars().count();
        let repeated = labels[..at].iter().any(|(other, _)| other == name);
        if characters > MAX_CHARACTERS || !rules::is_label_name(name) || repeated {
            return None;
        }
        render(&mut text, name, value);
    }
    Some(text.into())
}
