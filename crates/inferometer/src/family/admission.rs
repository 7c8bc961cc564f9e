//! New series: which one a set of values goes to, within the limits.

use std::{
    collections::HashMap,
    sync::{PoisonError, atomic::Ordering::Relaxed},
};

use super::{Family, MAX_VALUE_BYTES, Series};
use crate::{
    cell::{Located, Pin},
    descriptor::{LabelBound, LabelDescriptor},
    key::{KeySink, Keyed},
    label::{AnyLabelValue, LabelSet, OVERFLOW},
    series::Cell,
};

/// What becomes of a label's value.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Known,
    Fresh,
    Dropped,
}

/// The values as text. Their own code runs here, before a lock is taken: it may record, too.
pub(super) fn texts<L: LabelSet>(labels: &L) -> Vec<String> {
    let mut texts = Vec::with_capacity(L::LABELS.len());
    labels.visit(&mut |value: &dyn AnyLabelValue| {
        let mut whole = String::new();
        value.text(&mut |text| whole.push_str(text));
        texts.push(whole);
    });
    texts
}

/// The series that a set of values goes to, and what became of each value.
struct Destination<'a> {
    texts: Vec<&'a str>,
    fates: Vec<Fate>,
}

/// Label values given as text, as what a key is made of.
pub(super) struct Texts<'a> {
    labels: &'a [LabelDescriptor],
    texts: &'a [&'a str],
}

impl Keyed for Texts<'_> {
    fn key<K: KeySink>(&self, sink: &mut K) {
        for (label, text) in self.labels.iter().zip(self.texts) {
            match label.bound {
                LabelBound::Closed(values) => {
                    sink.index(values.iter().position(|value| value == text).unwrap_or(0));
                }
                LabelBound::Open(_) => sink.text(text),
            }
        }
    }
}

impl<C: Cell> Family<C> {
    /// The series of values that have none, within the limits.
    #[cold]
    #[inline(never)]
    pub(super) fn admit<'a, L: LabelSet>(
        &'a self,
        pin: &'a Pin,
        labels: &L,
    ) -> Located<'a, Series<C>> {
        self.admit_texts(pin, &texts(labels))
    }

    /// A flood of values beyond the limits takes no more than a reader's lock.
    fn admit_texts<'a>(&'a self, pin: &'a Pin, texts: &[String]) -> Located<'a, Series<C>> {
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        let place = self.destination(&values, texts);
        if let Some(entry) = self.open.find(pin, &self.key(&place.texts)) {
            self.count_dropped(&place);
            return entry;
        }
        drop(values);

        // Another thread may have taken the place meanwhile, or the last one there was: look again.
        let mut values = self.values.write().unwrap_or_else(PoisonError::into_inner);
        let mut place = self.destination(&values, texts);
        let mut made = false;
        let limit = self.descriptor.max_series;
        let entry = self.open.find_or_insert(
            pin,
            &self.key(&place.texts),
            |taken| taken < limit,
            || {
                made = true;
                self.make(&place.texts)
            },
        );
        let entry = entry.unwrap_or_else(|| {
            place = self.overflow(texts);
            self.open
                .find_or_insert(
                    pin,
                    &self.key(&place.texts),
                    |_| true,
                    || {
                        made = true;
                        self.make(&place.texts)
                    },
                )
                .expect("there is always room for the series of the rest")
        });
        self.count_dropped(&place);
        if made {
            for (values, text) in values.iter_mut().zip(&place.texts) {
                if *text != OVERFLOW {
                    *values.entry((*text).into()).or_default() += 1;
                }
            }
        }
        entry
    }

    /// What values given as text are found by.
    pub(super) fn key<'a>(&'a self, texts: &'a [&'a str]) -> Texts<'a> {
        Texts {
            labels: &self.descriptor.labels,
            texts,
        }
    }

    fn count_dropped(&self, place: &Destination<'_>) {
        for (dropped, fate) in self.own.dropped.iter().zip(&place.fates) {
            if *fate == Fate::Dropped {
                dropped.fetch_add(1, Relaxed);
            }
        }
    }

    /// Where these values go: into a series of their own while the labels have room for them.
    fn destination<'a>(
        &self,
        known: &[HashMap<Box<str>, usize>],
        texts: &'a [String],
    ) -> Destination<'a> {
        self.sorted(texts, |at, limit, text| match &known[at] {
            values if values.contains_key(text) => Fate::Known,
            values if values.len() < limit => Fate::Fresh,
            _ => Fate::Dropped,
        })
    }

    /// Where these values go when the family is full.
    fn overflow<'a>(&self, texts: &'a [String]) -> Destination<'a> {
        self.sorted(texts, |_, _, _| Fate::Dropped)
    }

    fn sorted<'a>(
        &self,
        texts: &'a [String],
        within: impl Fn(usize, usize, &str) -> Fate,
    ) -> Destination<'a> {
        let mut place = Destination {
            texts: Vec::with_capacity(texts.len()),
            fates: Vec::with_capacity(texts.len()),
        };
        for (at, (label, text)) in self.descriptor.labels.iter().zip(texts).enumerate() {
            let fate = match label.bound {
                LabelBound::Closed(_) => Fate::Known,
                LabelBound::Open(_) if text == OVERFLOW => Fate::Known,
                LabelBound::Open(_) if text.len() > MAX_VALUE_BYTES => Fate::Dropped,
                LabelBound::Open(limit) => within(at, limit, text),
            };
            place.texts.push(if fate == Fate::Dropped {
                OVERFLOW
            } else {
                text
            });
            place.fates.push(fate);
        }
        place
    }
}
