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
        f.debug_struct("Family").field("name", &self.descriptor.name).finish_non_exhaustive()
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
            for (spec, text) in self.labels.iter().zip(label::combination(self.labels, index)) {
                render(&mut labels, spec.name, text);
            }
            Arc::new(Series { labels: labels.into(), cell: (self.make)() })
        })
    }

    /// The series of `labels`, made if there is none yet.
    #[inline]
    pub(crate) fn find<L: LabelSet>(&self, labels: &L) -> Found<'_, C> {
        if self.closed.is_empty() {
            Found::Shared(self.find_open(labels))
        } else {
            Found::Borrowed(self.at(labels.index()))
        }
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
        self.admit(labels)
    }

    /// Makes a series within the limits.
    fn admit<L: LabelSet>(&self, labels: &L) -> Arc<Series<C>> {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let full = open.order.len() >= MAX_SERIES;
        let mut key = String::new();
        let mut fresh: Vec<Option<Box<str>>> = Vec::new();
        labels.visit(&mut |value: &dyn AnyLabelValue| {
            let at = fresh.len();
            let Some(label) = self.descriptor.labels.get(at) else { return };
            value.text(&mut |text| {
                let known = open.values[at].contains(text);
                let (text, new) = match label.bound {
                    LabelBound::Closed(_) => (text, None),
                    LabelBound::Open(_) if known => (text, None),
                    LabelBound::Open(limit) if full || open.values[at].len() >= limit => {
                        self.own.dropped[at].add(1);
                        (OVERFLOW, None)
                    }
                    LabelBound::Open(_) => (text, Some(Box::from(text))),
                };
                render(&mut key, &label.name, text);
                fresh.push(new);
            });
        });
        if let Some(series) = open.series.get(key.as_str()) {
            return Arc::clone(series);
        }
        for (values, new) in open.values.iter_mut().zip(fresh) {
            values.extend(new);
        }
        let series = Arc::new(Series { labels: key.as_str().into(), cell: (self.make)() });
        open.series.insert(key.into(), Arc::clone(&series));
        open.order.push(Arc::clone(&series));
        series
    }

    /// Every series there is now, closed ones by index, open ones by creation.
    pub(crate) fn series(&self) -> Vec<Arc<Series<C>>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        self.closed.iter().filter_map(OnceLock::get).chain(&open.order).cloned().collect()
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
        Self { family, series, labels: PhantomData }
    }

    #[inline]
    pub(crate) fn with(&self, labels: &L::Of<'_>) -> Borrowed<'_, C> {
        Borrowed { family: &self.family, series: self.family.find(labels) }
    }

    pub(crate) fn tie(&self, labels: &L::Of<'_>) -> Handle<C, ()> {
        let series = Arc::clone(&self.family.find(labels));
        Handle { family: Arc::clone(&self.family), series: Some(series), labels: PhantomData }
    }
}

impl<C> Handle<C, ()> {
    #[inline]
    pub(crate) fn cell(&self) -> &C {
        &self.series.as_ref().expect("a handle without labels is made with its series").cell
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
