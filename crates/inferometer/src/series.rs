//! What a series is made of, whatever its kind.

use std::{fmt::Debug, time::SystemTime};

use crate::{
    cell::{Reader, Slot},
    descriptor::Descriptor,
    reading::{Reading, Sink, Value},
    snapshot::{Exemplar, HistogramPoint},
    sync::AtomicU64,
};

/// A kind's memory: what a family keeps for each of its series, and a handle for its own.
pub(crate) trait Cell: Clone + Debug + Send + Sync + 'static {
    /// What all series of a family share.
    type Shape: Debug + Send + Sync + 'static;

    /// The memory of a new series.
    fn new(shape: &Self::Shape) -> Self;

    /// The memory of `count` new series, side by side where that can be.
    fn many(shape: &Self::Shape, count: usize) -> Box<[Self]> {
        (0..count).map(|_| Self::new(shape)).collect()
    }

    /// Of the first of [`many`](Self::many), the one at `index`, if the memory of kinds like this lies side by side.
    #[inline(always)]
    fn nth(&self, _index: usize) -> Option<Self> {
        None
    }

    /// What takes in anything and shows nothing of it.
    fn mute(shape: &Self::Shape) -> Self;

    /// Gives the memory back: nobody has a handle any more.
    fn free(&self, shape: &Self::Shape);

    /// Hands the series to `sink`, as none, one or several samples; returns how many.
    ///
    /// # Errors
    /// `Unreadable` when what computes the value failed.
    fn read(
        &self,
        shape: &Self::Shape,
        place: &mut Place<'_>,
        sink: &mut dyn Sink,
    ) -> Result<u64, Unreadable>;

    /// Reads many series of whole numbers at once, if this kind can.
    fn read_run(_cells: &[Self], _reader: &Reader<'_>, _values: &mut [u64]) -> bool {
        false
    }

    /// Whether it was recorded to since the last time it was asked, or holds what must not be forgotten. `seen` is the caller's to
    /// keep for it, 0 at first.
    fn stirred(&self, shape: &Self::Shape, reader: &Reader<'_>, seen: &AtomicU64) -> bool;

    /// What tells its exemplars from those of other series; `None` when it takes none.
    fn exemplar_slot(&self) -> Option<Slot> {
        None
    }
}

/// A series that can't be read now.
#[derive(Debug)]
pub(crate) struct Unreadable;

/// Where a series stands while it is read.
pub(crate) struct Place<'a> {
    pub(crate) descriptor: &'a Descriptor,
    pub(crate) reader: &'a Reader<'a>,
    pub(crate) labels: &'a str,
    pub(crate) created: SystemTime,
    /// One for each bucket, or one; empty when there are none.
    pub(crate) exemplars: &'a [Option<Exemplar>],
    /// Memory for a distribution, as the series before has left it.
    pub(crate) scratch: &'a mut HistogramPoint,
}

impl Place<'_> {
    /// Hands over a value that counts since the series was made.
    pub(crate) fn counted(&self, value: Value<'_>, sink: &mut dyn Sink) {
        sink.series(&Reading {
            labels: self.labels,
            value,
            created: Some(self.created),
            exemplar: self.exemplars.first().and_then(Option::as_ref),
        });
    }

    /// Hands over a value that holds now.
    pub(crate) fn current(&self, value: Value<'_>, sink: &mut dyn Sink) {
        sink.series(&Reading {
            labels: self.labels,
            value,
            created: None,
            exemplar: None,
        });
    }
}
