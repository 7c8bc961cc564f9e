//! Labels: what a series is told apart by, and how many values each may take.
//!
//! A label value is either **closed** (an enum: all its values are known, the series is found by a computed index) or
//! **open** (text: at most a set number of values, the rest become [`OVERFLOW`]). There is no unbounded label.

use std::borrow::Cow;

use crate::key::{KeySink, Keyed};

/// The value that stands for every value beyond a label's limit.
///
/// A value becomes this when its label has taken as many values as it may, when the family has as many series as it may, or when the
/// value is longer than 1,024 bytes. Each time is counted in `inferometer_label_values_dropped_total`. A value that spells the
/// same shares the series, takes no place and isn't counted.
pub const OVERFLOW: &str = "other";

/// How many values an open label may take where the declaration sets no limit.
pub const DEFAULT_LIMIT: usize = 1_000;

/// A type whose values can stand in a label. Derive it for an enum without fields.
///
/// The text of a variant is its name in lower case, with `_` before each upper-case letter but the first: `RateLimited` is
/// `rate_limited`, and `OpenAI` is `open_a_i`. `#[label(value = "…")]` sets another.
///
/// Closed types are enums that derive this, and `bool`. Open types are text (`&str`, `String`, `Cow<str>`, `Arc<str>`) and the
/// integers.
///
/// **By hand.** [`index`](Self::index) is below the length of [`VALUES`](Self::VALUES), and
/// [`with_text`](Self::with_text) hands over, once, the text that stands there.
///
/// # Examples
/// ```
/// use inferometer::LabelValue;
///
/// #[derive(Clone, Copy, LabelValue)]
/// enum Verdict {
///     Accepted,
///     #[label(value = "turned-down")]
///     Refused,
/// }
/// assert_eq!(Verdict::VALUES, Some(&["accepted", "turned-down"][..]));
/// ```
pub trait LabelValue {
    /// Every value in the order of [`index`](Self::index) for a closed type; `None` for an open one.
    const VALUES: Option<&'static [&'static str]>;

    /// The place of this value in [`VALUES`](Self::VALUES); 0 for an open type.
    fn index(&self) -> usize;

    /// Hands the value's text to `take`.
    fn with_text(&self, take: &mut dyn FnMut(&str));

    /// Adds the value to the key of a series.
    #[doc(hidden)]
    #[inline]
    fn key<K: KeySink + ?Sized>(&self, key: &mut K) {
        if Self::VALUES.is_some() {
            key.index(self.index());
        } else {
            self.with_text(&mut |text| key.text(text));
        }
    }
}

impl LabelValue for bool {
    const VALUES: Option<&'static [&'static str]> = Some(&["false", "true"]);

    #[inline]
    fn index(&self) -> usize {
        usize::from(*self)
    }

    fn with_text(&self, take: &mut dyn FnMut(&str)) {
        take(if *self { "true" } else { "false" });
    }
}

macro_rules! open_text {
    ($($type:ty),*) => {$(
        impl LabelValue for $type {
            const VALUES: Option<&'static [&'static str]> = None;

            fn index(&self) -> usize {
                0
            }

            fn with_text(&self, take: &mut dyn FnMut(&str)) {
                take(self.as_ref());
            }

            #[inline]
            fn key<K: KeySink + ?Sized>(&self, key: &mut K) {
                key.text(self.as_ref());
            }
        }
    )*};
}
open_text!(&str, String, Cow<'_, str>, std::sync::Arc<str>);

macro_rules! open_integer {
    ($($type:ty),*) => {$(
        impl LabelValue for $type {
            const VALUES: Option<&'static [&'static str]> = None;

            fn index(&self) -> usize {
                0
            }

            fn with_text(&self, take: &mut dyn FnMut(&str)) {
                take(itoa::Buffer::new().format(*self));
            }

            #[inline]
            fn key<K: KeySink + ?Sized>(&self, key: &mut K) {
                key.text(itoa::Buffer::new().format(*self));
            }
        }
    )*};
}
open_integer!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

/// One label of a set, as its declaration has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelSpec {
    /// Its name.
    pub name: &'static str,
    /// Every value of a closed label; `None` for an open one.
    pub values: Option<&'static [&'static str]>,
    /// How many values an open label may take.
    pub limit: usize,
}

impl LabelSpec {
    /// A label whose values are those of `V`, with `limit` for an open type.
    pub const fn of<V: LabelValue>(name: &'static str, limit: usize) -> Self {
        Self {
            name,
            values: V::VALUES,
            limit,
        }
    }
}

/// A struct whose fields are the labels of a metric. Derive it.
///
/// A set with borrowed text has a lifetime; the metric names it with `'static`, and recording takes any shorter one.
///
/// | attribute | on | says |
/// |---|---|---|
/// | `#[label(name = "…")]` | a field | the label's name, when it isn't the field's |
/// | `#[label(limit = …)]` | a field of an open type | how many values it may take beside [`OVERFLOW`]; [`DEFAULT_LIMIT`] without it |
///
/// When every label is closed, the series is found by arithmetic, and all combinations exist from the start. With an open
/// one, a series appears when it is first asked for, and two sets share a series only when all their values are equal.
///
/// # Examples
/// ```
/// use inferometer::{Counter, LabelSet, LabelValue, MetricSet, Registry};
///
/// #[derive(Clone, Copy, LabelValue)]
/// enum Outcome { Ok, Failed }
///
/// #[derive(LabelSet)]
/// struct Request<'a> {
///     outcome: Outcome,
///     #[label(limit = 2)]
///     customer: &'a str,
/// }
///
/// #[derive(MetricSet)]
/// struct Service {
///     /// Requests by outcome and customer.
///     requests: Counter<Request<'static>>,
/// }
///
/// let registry = Registry::new();
/// let service: Service = registry.register()?;
/// for customer in ["ada", "bob", "eve"] {
///     service.requests.with(Request { outcome: Outcome::Ok, customer }).inc();
/// }
/// let page = registry.encode_text();
/// assert!(page.contains(r#"requests_total{outcome="ok",customer="bob"} 1"#));
/// assert!(page.contains(r#"requests_total{outcome="ok",customer="other"} 1"#));
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
pub trait LabelSet {
    /// The same set, borrowing for `'a`.
    type Of<'a>: LabelSet;

    /// The labels in the order in which they are printed.
    const LABELS: &'static [LabelSpec];

    /// Hands each label's value to `take`, in the order of [`LABELS`](Self::LABELS).
    fn visit(&self, take: &mut dyn FnMut(&dyn AnyLabelValue));

    /// The place of this set among all combinations of a closed set's values, the last label running fastest.
    fn index(&self) -> usize;

    /// Adds the values to the key of a series.
    #[doc(hidden)]
    #[inline]
    fn key<K: KeySink>(&self, key: &mut K) {
        self.visit(&mut |value| value.add_to(key));
    }
}

/// A label set, as what a key is made of.
pub(crate) struct Values<'a, L>(pub(crate) &'a L);

impl<L: LabelSet> Keyed for Values<'_, L> {
    #[inline(always)]
    fn key<K: KeySink>(&self, sink: &mut K) {
        self.0.key(sink);
    }
}

impl LabelSet for () {
    type Of<'a> = ();
    const LABELS: &'static [LabelSpec] = &[];

    fn visit(&self, _take: &mut dyn FnMut(&dyn AnyLabelValue)) {}

    #[inline]
    fn index(&self) -> usize {
        0
    }
}

/// The part of [`LabelValue`] that needs no type.
pub trait AnyLabelValue {
    /// See [`LabelValue::with_text`].
    fn text(&self, take: &mut dyn FnMut(&str));

    /// See [`LabelValue::key`].
    #[doc(hidden)]
    fn add_to(&self, key: &mut dyn KeySink);
}

impl<V: LabelValue> AnyLabelValue for V {
    fn text(&self, take: &mut dyn FnMut(&str)) {
        self.with_text(take);
    }

    fn add_to(&self, key: &mut dyn KeySink) {
        self.key(key);
    }
}

/// How many combinations a set has when all its labels are closed; `None` when one is open.
pub(crate) const fn combinations(labels: &[LabelSpec]) -> Option<usize> {
    let (mut product, mut at) = (1, 0);
    while at < labels.len() {
        match labels[at].values {
            Some(values) => product *= values.len(),
            None => return None,
        }
        at += 1;
    }
    Some(product)
}

/// How many series a set has from the start: all combinations, or none when a label is open.
pub(crate) const fn size(labels: &[LabelSpec]) -> usize {
    match combinations(labels) {
        Some(size) => size,
        None => 0,
    }
}

/// The text of every label of the combination at `index` of a closed set.
pub(crate) fn combination(labels: &[LabelSpec], mut index: usize) -> Vec<&'static str> {
    let mut texts: Vec<_> = labels
        .iter()
        .rev()
        .filter_map(|label| label.values)
        .map(|values| {
            let text = values[index % values.len()];
            index /= values.len();
            text
        })
        .collect();
    texts.reverse();
    texts
}
