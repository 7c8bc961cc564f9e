//! A family whose labels are found out while the program runs.

use std::{
    borrow::Cow,
    sync::{Arc, PoisonError, RwLock, RwLockWriteGuard, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use super::labels::{Labels, Named, Pairs, Place, are_sorted, sorted};
use crate::{
    cell::{self, Kept, Located, Pin, Reader},
    descriptor::{Descriptor, LabelBound, LabelDescriptor},
    error::RegisterError,
    family::{Bookkeeping, Borrowed, Family, Series},
    metric::Source,
    reading::Sink,
    registry::Registry,
    series::Cell,
};

type Found<'a, C> = Located<'a, Series<C>>;

/// The family, which keeps the series, and what is known of it by now.
pub(crate) struct Group<C: Cell> {
    family: Arc<Family<C>>,
    /// Changed under the lock of the labels, or of the registry after it.
    now: RwLock<Arc<Descriptor>>,
    /// Locked before the family's table.
    labels: RwLock<Labels>,
    /// How many series there may be when everything else is at its limit, but for the one without labels.
    most_series: usize,
}

impl<C: Cell> std::fmt::Debug for Group<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.family.fmt(f)
    }
}

impl<C: Cell> Group<C> {
    pub(super) fn new(
        descriptor: Descriptor,
        enabled: bool,
        shape: C::Shape,
        max_labels: usize,
        max_values: usize,
    ) -> Self {
        let labels = Labels::new(descriptor.kind, max_labels, max_values);
        let most_series = descriptor.max_series.saturating_add(max_labels);
        let descriptor = Arc::new(descriptor);
        Self {
            family: Arc::new(Family::unlabelled(Arc::clone(&descriptor), enabled, shape)),
            now: RwLock::new(descriptor),
            labels: RwLock::new(labels),
            most_series,
        }
    }

    pub(super) fn family(&self) -> &Arc<Family<C>> {
        &self.family
    }

    pub(super) fn current(&self) -> Arc<Descriptor> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Descriptor)) {
        change(Arc::make_mut(&mut self.changing()));
    }

    fn changing(&self) -> RwLockWriteGuard<'_, Arc<Descriptor>> {
        self.now.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn rename(&self, registry: &Registry, name: String) -> Result<(), RegisterError> {
        let mut now = self.changing();
        let renamed = Descriptor {
            name,
            ..now.as_ref().clone()
        };
        registry.rename(&now, &renamed)?;
        *now = Arc::new(renamed);
        Ok(())
    }

    /// The series of `given`, made if there is none.
    fn find<'a, N: AsRef<str>, V: AsRef<str>>(
        &'a self,
        pin: &'a Pin,
        given: &[(N, V)],
    ) -> Found<'a, C> {
        // Names in the table are names, and its values are within their limits: what is found needs no look at either.
        if are_sorted(given)
            && let Some(entry) = self.family.open.find(pin, &Named(given))
        {
            return entry;
        }
        let pairs = sorted(given);
        let found = self.family.open.find(pin, &Named(&pairs));
        found.unwrap_or_else(|| self.admit(pin, &pairs))
    }

    /// As [`find`](Self::find), for a recording or two.
    pub(super) fn borrow<N: AsRef<str>, V: AsRef<str>>(&self, given: &[(N, V)]) -> Borrowed<'_, C> {
        let found = self.family.enabled().then(|| {
            let pin = cell::pin();
            let cell = self.find(&pin, given).value.cell.clone();
            (pin, cell)
        });
        Borrowed::found(&self.family, found)
    }

    /// As [`find`](Self::find), to keep; `None` where nothing is recorded.
    pub(super) fn keep<N: AsRef<str>, V: AsRef<str>>(
        &self,
        given: &[(N, V)],
    ) -> Option<Kept<Series<C>>> {
        let pin = self.family.enabled().then(cell::pin)?;
        Some(self.find(&pin, given).keep())
    }

    pub(super) fn contains<N: AsRef<str>, V: AsRef<str>>(&self, given: &[(N, V)]) -> bool {
        let pin = cell::pin();
        self.family
            .open
            .find(&pin, &Named(&sorted(given)))
            .is_some()
    }

    /// The series that labels without one of their own go to. A flood of values beyond the limits takes no more than a reader's lock.
    #[cold]
    #[inline(never)]
    fn admit<'a>(&'a self, pin: &'a Pin, pairs: &Pairs<'_>) -> Found<'a, C> {
        let labels = self.labels.read().unwrap_or_else(PoisonError::into_inner);
        let place = labels.place(pairs);
        if let Some(entry) = self.family.open.find(pin, &place) {
            labels.count(&place);
            return entry;
        }
        drop(labels);

        // Another thread may have taken the place meanwhile, or the last one there was: look again.
        let mut labels = self.labels.write().unwrap_or_else(PoisonError::into_inner);
        let mut made = false;
        let mut take = |place: &Place<'_>, most: usize| {
            let make = || {
                made = true;
                self.family.make_labelled(place.rendered())
            };
            let table = &self.family.open;
            table.find_or_insert(pin, place, |taken| taken < most, make)
        };
        let mut place = labels.place(pairs);
        let mut entry = take(&place, self.family.descriptor.max_series);
        if entry.is_none() {
            place = place.overflow();
            entry = take(&place, self.most_series);
        }
        let entry = entry.unwrap_or_else(|| {
            place = std::mem::take(&mut place).bare();
            take(&place, usize::MAX).expect("there is always room for the series without labels")
        });
        if made && labels.note(&place) {
            self.show_labels(&labels);
        }
        labels.count(&place);
        entry
    }

    fn show_labels(&self, labels: &Labels) {
        let described = labels.names().map(|(name, _)| LabelDescriptor {
            name: Cow::Owned(name.into()),
            bound: LabelBound::Open(labels.max_values),
        });
        self.change(|now| now.labels = described.collect());
    }

    pub(super) fn remove<N: AsRef<str>, V: AsRef<str>>(&self, given: &[(N, V)]) -> bool {
        let removed = self.family.open.remove(&Named(&sorted(given)));
        self.forget(removed.as_slice());
        removed.is_some()
    }

    pub(super) fn remove_idle(&self, idle: Duration, now: Instant) -> usize {
        let gone = self.family.take_idle(idle, now);
        self.forget(&gone);
        gone.len()
    }

    fn forget(&self, gone: &[Kept<Series<C>>]) {
        if gone.is_empty() {
            return;
        }
        self.family.forget_exemplars(gone);
        let mut labels = self.labels.write().unwrap_or_else(PoisonError::into_inner);
        for entry in gone {
            labels.forget(entry.key());
        }
    }
}

impl<C: Cell> Source for Group<C> {
    fn descriptor(&self) -> Arc<Descriptor> {
        self.current()
    }

    fn own(&self) -> &Bookkeeping {
        &self.family.own
    }

    fn collect(&self, reader: &Reader<'_>, sink: &mut dyn Sink) -> u64 {
        self.family.collect(&self.current(), reader, sink)
    }

    fn dropped(&self, take: &mut dyn FnMut(&str, u64)) {
        let labels = self.labels.read().unwrap_or_else(PoisonError::into_inner);
        for (name, count) in labels.names() {
            take(name, count);
        }
    }

    fn left_out(&self) -> Option<u64> {
        let labels = self.labels.read().unwrap_or_else(PoisonError::into_inner);
        Some(labels.left_out.load(Relaxed))
    }

    fn sweep(&self, now: Instant) {
        if let Some(idle) = self.family.descriptor.idle {
            self.remove_idle(idle, now);
        }
    }
}
