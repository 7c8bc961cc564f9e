//! The labels of a family that declares none: which names it has seen, with which values, and what becomes of new ones.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::{
    descriptor::Kind,
    family::{MAX_VALUE_BYTES, render},
    key::{KeySink, Keyed, split_text},
    label::OVERFLOW,
    rules,
};

/// Label names and values as given, by name, each name once.
pub(super) type Pairs<'a> = Vec<(&'a str, &'a str)>;

/// Sorts what was given. A name that stands twice has the later value.
pub(super) fn sorted<'a, N: AsRef<str>, V: AsRef<str>>(given: &'a [(N, V)]) -> Pairs<'a> {
    let mut pairs: Pairs<'a> = given
        .iter()
        .rev()
        .map(|(name, value)| (name.as_ref(), value.as_ref()))
        .collect();
    pairs.sort_by_key(|(name, _)| *name);
    pairs.dedup_by_key(|(name, _)| *name);
    pairs
}

/// Whether what was given is sorted already, each name once.
pub(super) fn are_sorted<N: AsRef<str>, V: AsRef<str>>(given: &[(N, V)]) -> bool {
    given.is_sorted_by(|(one, _), (other, _)| one.as_ref() < other.as_ref())
}

/// What a series with these labels is found by, when they are sorted: name after value after name.
pub(super) struct Named<'a, N, V>(pub(super) &'a [(N, V)]);

impl<N: AsRef<str>, V: AsRef<str>> Keyed for Named<'_, N, V> {
    #[inline]
    fn key<K: KeySink>(&self, sink: &mut K) {
        for (name, value) in self.0 {
            sink.text(name.as_ref());
            sink.text(value.as_ref());
        }
    }
}

/// What becomes of a label of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Kept,
    /// Its value is [`OVERFLOW`] from now on.
    Dropped,
}

/// The series that labels lead to.
#[derive(Debug, Default)]
pub(super) struct Place<'a> {
    pairs: Vec<(&'a str, &'a str, Fate)>,
    /// How many labels it doesn't have.
    left_out: u64,
}

impl Keyed for Place<'_> {
    fn key<K: KeySink>(&self, sink: &mut K) {
        for (name, value, _) in &self.pairs {
            sink.text(name);
            sink.text(value);
        }
    }
}

impl Place<'_> {
    pub(super) fn rendered(&self) -> String {
        let mut labels = String::new();
        for (name, value, _) in &self.pairs {
            render(&mut labels, name, value);
        }
        labels
    }

    /// The same names, and no value its own.
    pub(super) fn overflow(mut self) -> Self {
        for (_, value, fate) in &mut self.pairs {
            if *value != OVERFLOW {
                (*value, *fate) = (OVERFLOW, Fate::Dropped);
            }
        }
        self
    }

    /// No labels at all.
    pub(super) fn bare(mut self) -> Self {
        self.left_out += self.pairs.len() as u64;
        self.pairs.clear();
        self
    }
}

/// The labels that a family has seen.
#[derive(Debug)]
pub(super) struct Labels {
    kind: Kind,
    max_labels: usize,
    pub(super) max_values: usize,
    seen: Vec<Label>,
    pub(super) left_out: AtomicU64,
}

#[derive(Debug)]
struct Label {
    name: Box<str>,
    /// The values that have a series, and how many.
    values: HashMap<Box<str>, usize>,
    /// How often a value became [`OVERFLOW`].
    dropped: AtomicU64,
}

impl Labels {
    pub(super) fn new(kind: Kind, max_labels: usize, max_values: usize) -> Self {
        Self {
            kind,
            max_labels,
            max_values,
            seen: Vec::new(),
            left_out: AtomicU64::new(0),
        }
    }

    /// There are a few names at most, so they are gone through.
    fn label(&self, name: &str) -> Option<&Label> {
        self.seen.iter().find(|label| *label.name == *name)
    }

    /// Where these labels go: into a series of their own while there is room for names and values.
    pub(super) fn place<'a>(&self, pairs: &[(&'a str, &'a str)]) -> Place<'a> {
        let mut room = self.max_labels.saturating_sub(self.seen.len());
        let mut place = Place {
            pairs: Vec::with_capacity(pairs.len()),
            left_out: 0,
        };
        for &(name, value) in pairs {
            let label = self.label(name);
            if label.is_none() {
                if room == 0 || !self.may_be_named(name) {
                    place.left_out += 1;
                    continue;
                }
                room -= 1;
            }
            let has_room = label.map_or(self.max_values > 0, |label| {
                label.values.len() < self.max_values || label.values.contains_key(value)
            });
            place.pairs.push(
                if value == OVERFLOW || (has_room && value.len() <= MAX_VALUE_BYTES) {
                    (name, value, Fate::Kept)
                } else {
                    (name, OVERFLOW, Fate::Dropped)
                },
            );
        }
        place
    }

    fn may_be_named(&self, name: &str) -> bool {
        rules::is_label_name(name) && !rules::is_reserved_label(self.kind, name)
    }

    /// Notes a series that was made; returns whether it has brought new names.
    pub(super) fn note(&mut self, place: &Place<'_>) -> bool {
        let before = self.seen.len();
        for (name, value, _) in &place.pairs {
            let known = self.seen.iter().position(|label| *label.name == **name);
            let at = known.unwrap_or_else(|| {
                self.seen.push(Label {
                    name: (*name).into(),
                    values: HashMap::new(),
                    dropped: AtomicU64::new(0),
                });
                self.seen.len() - 1
            });
            if *value != OVERFLOW {
                *self.seen[at].values.entry((*value).into()).or_default() += 1;
            }
        }
        self.seen.len() > before
    }

    /// Counts what a recording lost on its way to a series that is noted.
    pub(super) fn count(&self, place: &Place<'_>) {
        self.left_out.fetch_add(place.left_out, Relaxed);
        for (name, _, fate) in &place.pairs {
            if *fate == Fate::Dropped
                && let Some(label) = self.label(name)
            {
                label.dropped.fetch_add(1, Relaxed);
            }
        }
    }

    /// Makes room for the values of a series that is gone. The names keep their places.
    pub(super) fn forget(&mut self, mut key: &[u8]) {
        while let Some((name, rest)) = split_text(key)
            && let Some((value, rest)) = split_text(rest)
        {
            key = rest;
            let label = self.seen.iter_mut().find(|label| *label.name == *name);
            if let Some(values) = label.map(|label| &mut label.values)
                && let Some(count) = values.get_mut(value)
            {
                *count -= 1;
                if *count == 0 {
                    values.remove(value);
                }
            }
        }
    }

    /// Every name, and how often a value of it was dropped.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, u64)> {
        self.seen
            .iter()
            .map(|label| (&*label.name, label.dropped.load(Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key;

    #[test]
    fn labels_are_sorted_and_the_later_of_two_counts() {
        assert_eq!(
            sorted(&[("b", "1"), ("a", "2"), ("b", "3")]),
            [("a", "2"), ("b", "3")]
        );
        assert!(are_sorted(&[("a", "2"), ("b", "3")]));
        assert!(!are_sorted(&[("b", "1"), ("a", "2")]));
        assert!(!are_sorted(&[("a", "1"), ("a", "2")]));
    }

    #[test]
    fn a_series_that_is_gone_leaves_room_for_others() {
        let mut labels = Labels::new(Kind::Counter, 1, 1);
        let first = labels.place(&[("a", "1"), ("b", "2")]);
        assert_eq!((first.rendered().as_str(), first.left_out), ("a=\"1\"", 1));
        assert!(labels.note(&first));
        assert_eq!(labels.place(&[("a", "2")]).rendered(), "a=\"other\"");
        labels.forget(&key::bytes(&first));
        assert_eq!(labels.place(&[("a", "2")]).rendered(), "a=\"2\"");
    }
}
