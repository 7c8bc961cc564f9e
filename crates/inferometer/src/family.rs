//! All series of one metric: found by index for closed labels, by key for open ones.

mod admission;
mod handle;

use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};

use admission::texts;
pub(crate) use handle::{Borrowed, Handle};

use crate::{
    cell::{self, Kept, Reader, Table},
    descriptor::Descriptor,
    encode::escape_label_value,
    exemplars::Exemplars,
    label::{self, LabelSet, LabelSpec, Values},
    reading::{LabelColumn, Sink},
    series::{Cell, Place, Unreadable},
    snapshot::HistogramPoint,
    sync,
};

/// The most series that one family may have where the declaration says nothing else; open label values beyond it become [`OVERFLOW`](crate::OVERFLOW).
pub(crate) const MAX_SERIES: usize = 10_000;

/// The longest value of an open label, in bytes; a longer one becomes [`OVERFLOW`].
pub(crate) const MAX_VALUE_BYTES: usize = 1_024;

/// One series of an open set, or of a family whose labels are known only at run time.
#[derive(Debug)]
pub(crate) struct Series<C: Cell> {
    /// As written between the braces.
    labels: Box<str>,
    pub(crate) cell: C,
    shape: Arc<C::Shape>,
    created: SystemTime,
    /// What the cell showed when it was last looked at for idleness, and when it last showed something else, in milliseconds.
    seen: sync::AtomicU64,
    stirred: AtomicU64,
}

impl<C: Cell> Drop for Series<C> {
    fn drop(&mut self) {
        self.cell.free(&self.shape);
    }
}

/// What a family counts about itself.
#[derive(Debug)]
pub(crate) struct Bookkeeping {
    enabled: bool,
    /// For each label, the recordings whose value became [`OVERFLOW`].
    pub(crate) dropped: Box<[AtomicU64]>,
    /// Recordings that were refused: see each kind's documentation.
    pub(crate) refused: AtomicU64,
    /// Series left out of a scrape, because what computes them panicked.
    pub(crate) failed: AtomicU64,
    pub(crate) exemplars: Exemplars,
}

impl Bookkeeping {
    pub(crate) fn new(labels: usize, enabled: bool) -> Self {
        Self {
            enabled,
            dropped: (0..labels).map(|_| AtomicU64::new(0)).collect(),
            refused: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            exemplars: Exemplars::default(),
        }
    }

    #[cold]
    pub(crate) fn refuse(&self) {
        if self.enabled {
            self.refused.fetch_add(1, Relaxed);
        }
    }
}

/// All series of one metric.
pub(crate) struct Family<C: Cell> {
    pub(crate) descriptor: Arc<Descriptor>,
    pub(crate) own: Bookkeeping,
    pub(crate) shape: Arc<C::Shape>,
    /// Whether anything is recorded at all.
    enabled: bool,
    created: SystemTime,
    born: Instant,
    specs: &'static [LabelSpec],
    /// Every combination of a closed set, by index, and its labels.
    closed: Box<[C]>,
    column: LabelColumn,
    /// The series of an open set.
    pub(crate) open: Table<Series<C>>,
    /// For each open label, the values that have a series, and how many. Locked before the table.
    values: RwLock<Vec<HashMap<Box<str>, usize>>>,
    mute: C,
}

impl<C: Cell> std::fmt::Debug for Family<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Family")
            .field("name", &self.descriptor.name)
            .finish_non_exhaustive()
    }
}

impl<C: Cell> Family<C> {
    pub(crate) fn new<L: LabelSet>(
        descriptor: Arc<Descriptor>,
        enabled: bool,
        shape: C::Shape,
    ) -> Self {
        let size = label::size(L::LABELS);
        Self::with_labels(descriptor, enabled, shape, L::LABELS, size)
    }

    /// A family that declares no labels and has no series of its own: whoever has it admits them to [`open`](Self::open).
    pub(crate) fn unlabelled(descriptor: Arc<Descriptor>, enabled: bool, shape: C::Shape) -> Self {
        Self::with_labels(descriptor, enabled, shape, &[], 0)
    }

    fn with_labels(
        descriptor: Arc<Descriptor>,
        enabled: bool,
        shape: C::Shape,
        specs: &'static [LabelSpec],
        size: usize,
    ) -> Self {
        let mute = C::mute(&shape);
        Self {
            own: Bookkeeping::new(descriptor.labels.len(), enabled),
            closed: if enabled {
                C::many(&shape, size)
            } else {
                vec![mute.clone(); size].into()
            },
            column: LabelColumn::new(size, |into, at| {
                for (spec, text) in specs.iter().zip(label::combination(specs, at)) {
                    render(into, spec.name, text);
                }
            }),
            descriptor,
            enabled,
            created: SystemTime::now(),
            born: Instant::now(),
            specs,
            shape: shape.into(),
            open: Table::new(),
            values: RwLock::new(specs.iter().map(|_| HashMap::new()).collect()),
            mute,
        }
    }

    /// Whether anything is recorded at all.
    pub(crate) fn enabled(&self) -> bool {
        self.enabled
    }

    /// The series of `labels` in an open set, made if there is none yet.
    #[inline]
    fn find<L: LabelSet>(&self, labels: &L) -> Borrowed<'_, C> {
        if !self.enabled {
            return Borrowed::found(self, None);
        }
        let pin = cell::pin();
        let cell = match self.open.find(&pin, &Values(labels)) {
            Some(entry) => entry.value.cell.clone(),
            None => self.admit(&pin, labels).value.cell.clone(),
        };
        Borrowed::found(self, Some((pin, cell)))
    }

    /// As [`find`](Self::find), to keep.
    fn keep<L: LabelSet>(&self, labels: &L) -> Option<Kept<Series<C>>> {
        if !self.enabled {
            return None;
        }
        let pin = cell::pin();
        let entry = match self.open.find(&pin, &Values(labels)) {
            Some(entry) => entry,
            None => self.admit(&pin, labels),
        };
        Some(entry.keep())
    }

    fn make(&self, texts: &[&str]) -> Series<C> {
        let mut labels = String::new();
        for (label, text) in self.descriptor.labels.iter().zip(texts) {
            render(&mut labels, &label.name, text);
        }
        self.make_labelled(labels)
    }

    /// A new series, its labels rendered.
    pub(crate) fn make_labelled(&self, labels: String) -> Series<C> {
        let cell = C::new(&self.shape);
        if let Some(slot) = cell.exemplar_slot() {
            self.own.exemplars.forget(slot);
        }
        Series {
            labels: labels.into(),
            cell,
            shape: Arc::clone(&self.shape),
            created: SystemTime::now(),
            seen: sync::AtomicU64::new(0),
            stirred: AtomicU64::new(self.millis(Instant::now())),
        }
    }

    /// Removes a series of an open set.
    fn remove<L: LabelSet>(&self, labels: &L) -> bool {
        let texts = texts(labels);
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        let removed = self.open.remove(&self.key(&texts));
        self.forget(removed.as_slice());
        removed.is_some()
    }

    /// Removes the series of an open set that nobody has recorded to for `idle`, and nobody has a handle to.
    pub(crate) fn remove_idle(&self, idle: Duration, now: Instant) -> usize {
        let gone = self.take_idle(idle, now);
        self.forget(&gone);
        gone.len()
    }

    /// As [`remove_idle`](Self::remove_idle), for the caller to make room for their values.
    pub(crate) fn take_idle(&self, idle: Duration, now: Instant) -> Vec<Kept<Series<C>>> {
        let now = self.millis(now);
        let idle = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
        self.open.sweep(|series, reader| {
            if series.cell.stirred(&self.shape, reader, &series.seen) {
                // Never idle, however short the time: what was recorded since the last look is lost otherwise.
                series.stirred.store(now, Relaxed);
                return false;
            }
            now.saturating_sub(series.stirred.load(Relaxed)) >= idle
        })
    }

    /// Forgets the exemplars of series that are gone.
    pub(crate) fn forget_exemplars(&self, gone: &[Kept<Series<C>>]) {
        for entry in gone {
            if let Some(slot) = entry.value.cell.exemplar_slot() {
                self.own.exemplars.forget(slot);
            }
        }
    }

    /// Makes room for the values of series that are gone.
    fn forget(&self, gone: &[Kept<Series<C>>]) {
        if gone.is_empty() {
            return;
        }
        self.forget_exemplars(gone);
        let mut values = self.values.write().unwrap_or_else(PoisonError::into_inner);
        for entry in gone {
            let mut key = entry.key();
            for (spec, values) in self.specs.iter().zip(values.iter_mut()) {
                let Some((number, rest)) = key.split_first_chunk::<4>() else {
                    break;
                };
                key = rest;
                if spec.values.is_some() {
                    continue;
                }
                let (text, rest) = key.split_at(u32::from_le_bytes(*number) as usize);
                key = rest;
                let text = String::from_utf8_lossy(text);
                if let Some(count) = values.get_mut(&*text) {
                    *count -= 1;
                    if *count == 0 {
                        values.remove(&*text);
                    }
                }
            }
        }
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.born).as_millis()).unwrap_or(u64::MAX)
    }

    /// Hands every series to `sink` under `descriptor`, closed ones by index, open ones by creation; returns how many.
    pub(crate) fn collect(
        &self,
        descriptor: &Descriptor,
        reader: &Reader<'_>,
        sink: &mut dyn Sink,
    ) -> u64 {
        /// Series that are summed together.
        const RUN: usize = 128;
        sink.family(descriptor);
        // Pinned before they are copied, so that no slot among them is another series' when it is read.
        let pin = cell::pin();
        let exemplars = self.own.exemplars.copy();
        let exemplars_of = |cell: &C| {
            let all = exemplars.as_ref()?;
            Some(all.get(&cell.exemplar_slot()?.number())?.as_slice())
        };
        let mut series = 0;
        let mut scratch = HistogramPoint::default();
        let mut values = [0; RUN];
        for (run, cells) in self.closed.chunks(RUN).enumerate() {
            let first = run * RUN;
            let values = &mut values[..cells.len()];
            if exemplars.is_none() && C::read_run(cells, reader, values) {
                sink.integers(&self.column, first, values, Some(self.created));
                series += cells.len() as u64;
                continue;
            }
            for (at, cell) in cells.iter().enumerate() {
                let mut place = Place {
                    descriptor,
                    reader,
                    labels: self.column.get(first + at),
                    created: self.created,
                    exemplars: exemplars_of(cell).unwrap_or_default(),
                    scratch: &mut scratch,
                };
                series += self.counted(cell.read(&self.shape, &mut place, sink));
            }
        }
        for entry in self.open.walk(&pin) {
            let one = &entry.value;
            let mut place = Place {
                descriptor,
                reader,
                labels: &one.labels,
                created: one.created,
                exemplars: exemplars_of(&one.cell).unwrap_or_default(),
                scratch: &mut scratch,
            };
            series += self.counted(one.cell.read(&self.shape, &mut place, sink));
        }
        series
    }

    fn counted(&self, read: Result<u64, Unreadable>) -> u64 {
        read.unwrap_or_else(|Unreadable| {
            self.own.failed.fetch_add(1, Relaxed);
            0
        })
    }
}

impl<C: Cell> Drop for Family<C> {
    fn drop(&mut self) {
        if self.enabled {
            for cell in &self.closed {
                cell.free(&self.shape);
            }
        }
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
