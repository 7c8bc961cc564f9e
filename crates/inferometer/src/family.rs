//! All series of one metric: found by index for closed labels, by text for open ones.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    marker::PhantomData,
    ops::Deref,
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

use crate::{
    cell::Count,
    descriptor::{Descriptor, LabelBound},
    encode::escape_label_value,
    label::{self, AnyLabelValue, LabelSet, OVERFLOW},
};

/// The most series that one family may have; open label values beyond it become [`OVERFLOW`].
pub(crate) const MAX_SERIES: usize = 10_000;

/// The longest value of an open label, in bytes; a longer one becomes [`OVERFLOW`].
pub(crate) const MAX_VALUE_BYTES: usize = 1_024;

/// One series: its labels, rendered once, and its cell.
#[derive(Debug)]
pub(crate) struct Series<C> {
    pub(crate) labels: Box<str>,
    pub(crate) cell: C,
}

/// What a family counts about itself.
#[derive(Debug)]
pub(crate) struct Bookkeeping {
    /// For each label, the recordings whose value became [`OVERFLOW`].
    pub(crate) dropped: Box<[Count]>,
    /// Recordings that were refused: see each kind's documentation.
    pub(crate) refused: Count,
    /// Series left out of a scrape, because what computes them panicked.
    pub(crate) failed: Count,
}

/// All series of one metric.
pub(crate) struct Family<C> {
    pub(crate) descriptor: Arc<Descriptor>,
    /// Whether anything is recorded at all.
    pub(crate) enabled: bool,
    pub(crate) own: Bookkeeping,
    make: Box<dyn Fn() -> C + Send + Sync>,
    labels: &'static [label::LabelSpec],
    closed: Box<[OnceLock<Arc<Series<C>>>]>,
    open: RwLock<Open<C>>,
    /// What a disabled registry hands out in place of a series that it doesn't make.
    mute: OnceLock<Arc<Series<C>>>,
}

/// What becomes of a label's value.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Known,
    Fresh,
    Dropped,
}

/// The series that a set of values goes to, and what became of each value.
struct Place {
    key: String,
    fates: Vec<Fate>,
}

struct Open<C> {
    /// Keyed by the labels as rendered, which differ whenever two label sets do.
    series: HashMap<Box<str>, Arc<Series<C>>>,
    /// In the order of creation, so that equal histories give equal pages.
    order: Vec<Arc<Series<C>>>,
    /// For each label, the values that have a series.
    values: Vec<HashSet<Box<str>>>,
}

impl<C> std::fmt::Debug for Family<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Family")
            .field("name", &self.descriptor.name)
            .finish_non_exhaustive()
    }
}

impl<C> Family<C> {
    pub(crate) fn new<L: LabelSet>(
        descriptor: Arc<Descriptor>,
        enabled: bool,
        eager: bool,
        make: impl Fn() -> C + Send + Sync + 'static,
    ) -> Self {
        let size = label::combinations(L::LABELS).unwrap_or(0);
        let family = Self {
            own: Bookkeeping {
                dropped: L::LABELS.iter().map(|_| Count::new()).collect(),
                refused: Count::new(),
                failed: Count::new(),
            },
            descriptor,
            enabled,
            make: Box::new(make),
            labels: L::LABELS,
            closed: (0..size).map(|_| OnceLock::new()).collect(),
            open: RwLock::new(Open {
                series: HashMap::new(),
                order: Vec::new(),
                values: L::LABELS.iter().map(|_| HashSet::new()).collect(),
            }),
            mute: OnceLock::new(),
        };
        if eager {
            for index in 0..size {
                family.at(index);
            }
        }
        family
    }

    /// The series of a closed set at `index`.
    #[inline]
    pub(crate) fn at(&self, index: usize) -> &Arc<Series<C>> {
        self.closed[index].get_or_init(|| {
            let mut labels = String::new();
            for (spec, text) in self
                .labels
                .iter()
                .zip(label::combination(self.labels, index))
            {
                render(&mut labels, spec.name, text);
            }
            self.make(&labels)
        })
    }

    /// The series of `labels`, made if there is none yet.
    #[inline]
    pub(crate) fn find<L: LabelSet>(&self, labels: &L) -> Found<'_, C> {
        if !self.closed.is_empty() {
            Found::Borrowed(self.at(labels.index()))
        } else if self.enabled {
            Found::Shared(self.find_open(labels))
        } else {
            Found::Borrowed(self.mute.get_or_init(|| self.make("")))
        }
    }

    fn make(&self, labels: &str) -> Arc<Series<C>> {
        Arc::new(Series {
            labels: labels.into(),
            cell: (self.make)(),
        })
    }

    fn find_open<L: LabelSet>(&self, labels: &L) -> Arc<Series<C>> {
        let mut key = String::new();
        let mut specs = L::LABELS.iter();
        labels.visit(&mut |value: &dyn AnyLabelValue| {
            let name = specs.next().map_or("", |spec| spec.name);
            value.text(&mut |text| render(&mut key, name, text));
        });
        let known = self.open.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = known.series.get(key.as_str()) {
            return Arc::clone(series);
        }
        drop(known);
        // The values' own code runs before a lock is taken again.
        let mut texts = Vec::with_capacity(L::LABELS.len());
        labels.visit(&mut |value: &dyn AnyLabelValue| {
            let mut whole = String::new();
            value.text(&mut |text| whole.push_str(text));
            texts.push(whole);
        });
        self.admit(&texts)
    }

    /// The series of these values within the limits. A flood of values beyond them takes no more than a reader's lock.
    fn admit(&self, texts: &[String]) -> Arc<Series<C>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let place = self.place(&open, texts);
        if let Some(series) = open.series.get(place.key.as_str()) {
            self.count_dropped(&place);
            return Arc::clone(series);
        }
        drop(open);

        // Another thread may have taken the place meanwhile, or the last one there was: look again.
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let place = self.place(&open, texts);
        self.count_dropped(&place);
        if let Some(series) = open.series.get(place.key.as_str()) {
            return Arc::clone(series);
        }
        for ((values, text), fate) in open.values.iter_mut().zip(texts).zip(&place.fates) {
            if *fate == Fate::Fresh {
                values.insert(text.as_str().into());
            }
        }
        let series = self.make(&place.key);
        open.series.insert(place.key.into(), Arc::clone(&series));
        open.order.push(Arc::clone(&series));
        series
    }

    fn count_dropped(&self, place: &Place) {
        for (dropped, fate) in self.own.dropped.iter().zip(&place.fates) {
            if *fate == Fate::Dropped {
                dropped.add(1);
            }
        }
    }

    /// Where these values go: into a series of their own while the labels and the family have room for them.
    fn place(&self, open: &Open<C>, texts: &[String]) -> Place {
        let place = self.place_within(open, texts, false);
        if open.order.len() < MAX_SERIES || open.series.contains_key(place.key.as_str()) {
            return place;
        }
        self.place_within(open, texts, true)
    }

    fn place_within(&self, open: &Open<C>, texts: &[String], full: bool) -> Place {
        let mut place = Place {
            key: String::new(),
            fates: Vec::with_capacity(texts.len()),
        };
        for ((label, text), values) in self.descriptor.labels.iter().zip(texts).zip(&open.values) {
            let fate = match label.bound {
                LabelBound::Closed(_) => Fate::Known,
                LabelBound::Open(_) if text == OVERFLOW => Fate::Known,
                LabelBound::Open(_) if full || text.len() > MAX_VALUE_BYTES => Fate::Dropped,
                LabelBound::Open(_) if values.contains(text.as_str()) => Fate::Known,
                LabelBound::Open(limit) if values.len() < limit => Fate::Fresh,
                LabelBound::Open(_) => Fate::Dropped,
            };
            let text = if fate == Fate::Dropped {
                OVERFLOW
            } else {
                text
            };
            render(&mut place.key, &label.name, text);
            place.fates.push(fate);
        }
        place
    }

    /// Every series there is now, closed ones by index, open ones by creation.
    pub(crate) fn series(&self) -> Vec<Arc<Series<C>>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        self.closed
            .iter()
            .filter_map(OnceLock::get)
            .chain(&open.order)
            .cloned()
            .collect()
    }
}

/// A series, borrowed from its family where that costs less.
#[derive(Debug)]
pub(crate) enum Found<'a, C> {
    Borrowed(&'a Arc<Series<C>>),
    Shared(Arc<Series<C>>),
}

impl<C> Deref for Found<'_, C> {
    type Target = Arc<Series<C>>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        match self {
            Self::Borrowed(series) => series,
            Self::Shared(series) => series,
        }
    }
}

/// A metric's handle: its family, and the series where it is tied to one.
pub(crate) struct Handle<C, L> {
    pub(crate) family: Arc<Family<C>>,
    series: Option<Arc<Series<C>>>,
    labels: PhantomData<fn(L)>,
}

impl<C, L> Clone for Handle<C, L> {
    fn clone(&self) -> Self {
        Self {
            family: Arc::clone(&self.family),
            series: self.series.clone(),
            labels: PhantomData,
        }
    }
}

impl<C, L> std::fmt::Debug for Handle<C, L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.family.fmt(f)
    }
}

impl<C, L: LabelSet> Handle<C, L> {
    pub(crate) fn new(family: Arc<Family<C>>) -> Self {
        let series = L::LABELS.is_empty().then(|| Arc::clone(family.at(0)));
        Self {
            family,
            series,
            labels: PhantomData,
        }
    }

    #[inline]
    pub(crate) fn with(&self, labels: &L::Of<'_>) -> Borrowed<'_, C> {
        // A series that was found stays the one meant: its handle has no labels left to look for.
        let series = match &self.series {
            Some(series) => Found::Borrowed(series),
            None => self.family.find(labels),
        };
        Borrowed {
            family: &self.family,
            series,
        }
    }

    pub(crate) fn tie(&self, labels: &L::Of<'_>) -> Handle<C, ()> {
        let series = Arc::clone(&self.with(labels).series);
        Handle {
            family: Arc::clone(&self.family),
            series: Some(series),
            labels: PhantomData,
        }
    }
}

impl<C> Handle<C, ()> {
    #[inline]
    pub(crate) fn cell(&self) -> &C {
        &self
            .series
            .as_ref()
            .expect("a handle without labels is made with its series")
            .cell
    }
}

/// One series of a family, found for a recording or two.
#[derive(Debug)]
pub(crate) struct Borrowed<'a, C> {
    pub(crate) family: &'a Arc<Family<C>>,
    series: Found<'a, C>,
}

impl<C> Borrowed<'_, C> {
    #[inline]
    pub(crate) fn cell(&self) -> &C {
        &self.series.cell
    }
}

/// Appends `name="value"`, with a comma before it unless it is the first.
pub(crate) fn render(into: &mut String, name: &str, value: &str) {
    if !into.is_empty() {
        into.push(',');
    }
    let _ = write!(into, "{name}=\"");
    escape_label_value(into, value);
    into.push('"');
}
