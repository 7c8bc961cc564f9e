//! What a scrape reads, and where it goes: the door between the cells and the formats.
//!
//! A family pours its series into a [`Sink`]; each format is one, and so is a [`Snapshot`](crate::Snapshot). Nothing is copied
//! on the way that the sink doesn't want.

use std::time::SystemTime;

use crate::{
    descriptor::Descriptor,
    snapshot::{Exemplar, HistogramPoint},
};

/// Takes the readings of a scrape, family by family, in declared order.
pub(crate) trait Sink {
    /// A family begins; the readings that follow are its series.
    fn family(&mut self, descriptor: &Descriptor);

    /// The series `first`, `first + 1`, … of `labels`, whole numbers without exemplars.
    ///
    /// The column has a label set for each, and is trusted: what it says was rendered here. [`series`](Self::series) takes labels from
    /// anywhere.
    fn integers(
        &mut self,
        labels: &LabelColumn,
        first: usize,
        values: &[u64],
        created: Option<SystemTime>,
    ) {
        one_by_one(self, labels, first, values, created);
    }

    /// One series of any kind.
    fn series(&mut self, reading: &Reading<'_>);
}

/// The whole numbers of [`Sink::integers`], each as a series of its own.
pub(crate) fn one_by_one<S: Sink + ?Sized>(
    sink: &mut S,
    labels: &LabelColumn,
    first: usize,
    values: &[u64],
    created: Option<SystemTime>,
) {
    for (at, value) in (first..).zip(values) {
        sink.series(&Reading {
            labels: labels.get(at),
            value: Value::Integer(*value),
            created,
            exemplar: None,
        });
    }
}

/// One series, as it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading<'a> {
    /// Its labels as written between the braces, escaped; empty when it has none.
    pub(crate) labels: &'a str,
    pub(crate) value: Value<'a>,
    /// When it began to count; `None` for kinds that don't count.
    pub(crate) created: Option<SystemTime>,
    /// A counter's exemplar.
    pub(crate) exemplar: Option<&'a Exemplar>,
}

/// The value of a series.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Integer(u64),
    Signed(i64),
    Float(f64),
    Histogram(&'a HistogramPoint),
}

/// The rendered labels of many series, one after another in one piece of memory.
#[derive(Debug)]
pub(crate) struct LabelColumn {
    /// Followed by [`PADDING`](Self::PADDING) spaces, so that a reader may copy in steps of that size.
    text: Box<str>,
    /// Where each ends and the next begins, after a 0.
    ends: Box<[u32]>,
    has_bare: bool,
}

impl LabelColumn {
    /// How far beyond the last label the text can be read.
    pub(crate) const PADDING: usize = 64;

    /// Renders `count` label sets, each by `render`.
    pub(crate) fn new(count: usize, mut render: impl FnMut(&mut String, usize)) -> Self {
        let mut text = String::new();
        let mut ends = Vec::with_capacity(count + 1);
        ends.push(0);
        let mut labels = String::new();
        for at in 0..count {
            labels.clear();
            render(&mut labels, at);
            text.push_str(&labels);
            ends.push(u32::try_from(text.len()).expect("labels of a family stay far below 4 GB"));
        }
        text.push_str(&" ".repeat(Self::PADDING));
        Self {
            text: text.into(),
            has_bare: ends.windows(2).any(|pair| pair[0] == pair[1]),
            ends: ends.into(),
        }
    }

    /// Whether some series has no labels.
    pub(crate) fn has_bare(&self) -> bool {
        self.has_bare
    }

    /// Where the labels of `count` series from `first` on begin and end in [`bytes`](Self::bytes): each at the end of the one before,
    /// so that there is one number more than series.
    #[inline]
    pub(crate) fn ends(&self, first: usize, count: usize) -> &[u32] {
        &self.ends[first..=first + count]
    }

    /// Where the labels of the series `at` stand in [`bytes`](Self::bytes).
    #[inline]
    pub(crate) fn span(&self, at: usize) -> (usize, usize) {
        (self.ends[at] as usize, self.ends[at + 1] as usize)
    }

    /// All labels, and the padding.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The labels of the series `at`.
    pub(crate) fn get(&self, at: usize) -> &str {
        let (start, end) = self.span(at);
        &self.text[start..end]
    }
}
