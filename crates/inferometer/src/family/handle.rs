//! What a metric holds of its family: itself, one of its series, or one for a moment.

use std::{
    marker::PhantomData,
    ops::Deref,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Family, Series};
use crate::{
    cell::{Kept, Pin},
    label::{self, LabelSet},
    series::Cell,
};

/// A series' memory: the family's own, or a copy where that may go meanwhile.
#[derive(Debug)]
enum Found<'a, C> {
    There(&'a C),
    Copied(C),
}

impl<C> Deref for Found<'_, C> {
    type Target = C;

    #[inline]
    fn deref(&self) -> &C {
        match self {
            Self::There(cell) => cell,
            Self::Copied(cell) => cell,
        }
    }
}

/// A metric's handle: its family, and the series where it is tied to one.
pub(crate) struct Handle<C: Cell, L> {
    cell: C,
    pub(crate) family: Arc<Family<C>>,
    series: Option<Kept<Series<C>>>,
    labels: PhantomData<fn(L)>,
}

impl<C: Cell, L> Clone for Handle<C, L> {
    fn clone(&self) -> Self {
        Self {
            cell: self.cell.clone(),
            family: Arc::clone(&self.family),
            series: self.series.clone(),
            labels: PhantomData,
        }
    }
}

impl<C: Cell, L> std::fmt::Debug for Handle<C, L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.family.fmt(f)
    }
}

impl<C: Cell, L: LabelSet> Handle<C, L> {
    pub(crate) fn new(family: Arc<Family<C>>) -> Self {
        let cell = family.closed.first().unwrap_or(&family.mute).clone();
        Self {
            cell,
            family,
            series: None,
            labels: PhantomData,
        }
    }

    #[inline]
    pub(crate) fn with(&self, labels: &L::Of<'_>) -> Borrowed<'_, C> {
        if const { label::combinations(L::LABELS).is_none() } {
            return self.family.find(labels);
        }
        if L::LABELS.is_empty() {
            // A series that was found stays the one meant: its handle has no labels left to look for.
            return self.borrowed(Found::There(&self.cell));
        }
        let index = labels.index();
        // An index beyond the combinations is refused below, as a set written by hand may give one.
        if index < const { label::size(L::LABELS) }
            && let Some(cell) = self.cell.nth(index)
        {
            return self.borrowed(Found::Copied(cell));
        }
        self.borrowed(Found::There(&self.family.closed[index]))
    }

    #[inline(always)]
    fn borrowed<'a>(&'a self, cell: Found<'a, C>) -> Borrowed<'a, C> {
        Borrowed {
            family: &self.family,
            cell,
            _pin: None,
        }
    }

    pub(crate) fn tie(&self, labels: &L::Of<'_>) -> Handle<C, ()> {
        let series = if label::combinations(L::LABELS).is_none() {
            self.family.keep(labels)
        } else {
            self.series.clone()
        };
        let cell = match &series {
            Some(entry) => entry.value.cell.clone(),
            None => self.with(labels).cell.clone(),
        };
        Handle {
            cell,
            family: Arc::clone(&self.family),
            series,
            labels: PhantomData,
        }
    }

    pub(crate) fn remove(&self, labels: &L::Of<'_>) -> bool {
        label::combinations(L::LABELS).is_none() && self.family.remove(labels)
    }

    pub(crate) fn remove_idle(&self, idle: Duration) -> usize {
        self.family.remove_idle(idle, Instant::now())
    }
}

impl<C: Cell> Handle<C, ()> {
    /// The handle of a series that was found; a mute one where there is none.
    pub(crate) fn found(family: Arc<Family<C>>, series: Option<Kept<Series<C>>>) -> Self {
        let cell = match &series {
            Some(entry) => entry.value.cell.clone(),
            None => family.mute.clone(),
        };
        Self {
            cell,
            family,
            series,
            labels: PhantomData,
        }
    }

    #[inline(always)]
    pub(crate) fn cell(&self) -> &C {
        &self.cell
    }

    #[inline(always)]
    pub(crate) fn family(&self) -> &Family<C> {
        &self.family
    }
}

/// One series of a family, found for a recording or two.
#[derive(Debug)]
pub(crate) struct Borrowed<'a, C: Cell> {
    family: &'a Family<C>,
    cell: Found<'a, C>,
    /// Keeps the memory of an open set's series from being given to another.
    _pin: Option<Pin>,
}

impl<'a, C: Cell> Borrowed<'a, C> {
    /// An entry of the table of `family`, found while `pin` held; the mute cell where nothing is recorded.
    #[inline(always)]
    pub(crate) fn found(family: &'a Family<C>, found: Option<(Pin, C)>) -> Self {
        let (pin, cell) = match found {
            Some((pin, cell)) => (Some(pin), Found::Copied(cell)),
            None => (None, Found::There(&family.mute)),
        };
        Self {
            family,
            cell,
            _pin: pin,
        }
    }

    #[inline(always)]
    pub(crate) fn cell(&self) -> &C {
        &self.cell
    }

    #[inline(always)]
    pub(crate) fn family(&self) -> &Family<C> {
        self.family
    }
}
