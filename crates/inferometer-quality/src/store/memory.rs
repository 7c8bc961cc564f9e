//! Predictions and labels in memory.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::SystemTime,
};

use foldhash::fast::RandomState;

use super::{
    Bounds, Entry, Forgotten, Held, Label, Outcome, Prediction, Store, StoreError, slot::Slot,
};

/// Remembers in memory: what the process has seen, within bounds, and nothing after it ends.
///
/// What comes first goes first, for want of room as for its age; a label without a prediction takes room like a prediction. Its age
/// is that of the first that came of a name.
///
/// # Examples
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use inferometer_quality::{
///     score::{Output, Truth},
///     store::{Bounds, Label, MemoryStore, Outcome, Prediction, Store},
/// };
///
/// let now = SystemTime::now();
/// let mut store = MemoryStore::new(Bounds::default());
/// let label = Label::new("a", Truth::Number(3.0), now + Duration::from_secs(60));
/// let prediction = Prediction::new("a", "v1", "production", Output::Number(2.5), now);
/// let outcomes = store.write(&[prediction.into(), label.into()])?;
///
/// let [Outcome::Remembered, Outcome::Joined(pair)] = &outcomes[..] else { panic!("they meet") };
/// assert_eq!(pair.lag(), Duration::from_secs(60));
/// # Ok::<(), inferometer_quality::store::StoreError>(())
/// ```
#[derive(Debug)]
pub struct MemoryStore {
    bounds: Bounds,
    slots: HashMap<Arc<str>, Slot, RandomState>,
    /// The names of `slots`, each once, in the order in which they came.
    arrivals: VecDeque<Arc<str>>,
    forgotten: Forgotten,
}

impl MemoryStore {
    /// An empty one.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            slots: HashMap::default(),
            arrivals: VecDeque::new(),
            forgotten: Forgotten::default(),
        }
    }

    fn settle(&mut self, entry: &Entry) -> Outcome {
        if let Some(slot) = self.slots.get_mut(entry.id()) {
            return slot.settle(entry).0;
        }
        while self.slots.len() as u64 >= self.bounds.entries.max(1)
            && self.drop_first(|_| true, false)
        {}
        let mut slot = Slot::default();
        let (outcome, _) = slot.settle(entry);
        self.slots.insert(Arc::clone(entry.id()), slot);
        self.arrivals.push_back(Arc::clone(entry.id()));
        outcome
    }

    /// Forgets what came first, if `goes` says so.
    fn drop_first(&mut self, goes: impl Fn(&Slot) -> bool, old: bool) -> bool {
        let Some(slot) = self.arrivals.front().and_then(|id| self.slots.get(id)) else {
            return false;
        };
        if !goes(slot) {
            return false;
        }
        match (&slot.prediction, &slot.label) {
            (Some(_), None) if old => self.forgotten.expired += 1,
            (Some(_), None) => self.forgotten.evicted += 1,
            (None, _) => self.forgotten.strangers += 1,
            (Some(_), Some(_)) => {}
        }
        if let Some(id) = self.arrivals.pop_front() {
            self.slots.remove(&id);
        }
        true
    }
}

impl Store for MemoryStore {
    fn write(&mut self, entries: &[Entry]) -> Result<Vec<Outcome>, StoreError> {
        Ok(entries.iter().map(|entry| self.settle(entry)).collect())
    }

    fn forget(&mut self, now: SystemTime) -> Result<Forgotten, StoreError> {
        if let Some(before) = now.checked_sub(self.bounds.age) {
            while self.drop_first(|slot| slot.began() < Some(before), true) {}
        }
        Ok(std::mem::take(&mut self.forgotten))
    }

    fn replay(
        &mut self,
        take: &mut dyn FnMut(Prediction, Option<Label>),
    ) -> Result<(), StoreError> {
        let slots = self.arrivals.iter().filter_map(|id| self.slots.get(id));
        let mut known: Vec<_> = slots
            .filter_map(|slot| Some((slot.prediction.as_ref()?, slot.label.as_ref())))
            .collect();
        known.sort_by_key(|(prediction, label)| {
            label.map_or(prediction.at, |label| label.at.max(prediction.at))
        });
        for (prediction, label) in known {
            take(prediction.clone(), label.cloned());
        }
        Ok(())
    }

    fn held(&mut self) -> Result<Held, StoreError> {
        let mut held = Held::default();
        for id in &self.arrivals {
            let slot = self.slots.get(id);
            held.predictions += u64::from(slot.is_some_and(|slot| slot.prediction.is_some()));
            held.labels += u64::from(slot.is_some_and(|slot| slot.label.is_some()));
        }
        Ok(held)
    }
}
