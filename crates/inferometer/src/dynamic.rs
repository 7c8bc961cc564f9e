//! Families that are declared while the program runs, and whose labels are known only when they are recorded.
//!
//! It is what a bridge from another metrics library needs. Code that knows its metrics when it is written says more, and finds its series
//! faster, with a [`MetricSet`](crate::MetricSet).
//!
//! The handles are the ordinary ones, so recording through one that is kept costs the same. The differences are in what a family allows:
//!
//! | | declared as a field | declared here |
//! |---|---|---|
//! | labels | every series has the same | each series has its own; no more names in a family than [`max_labels`](Declaration::max_labels) |
//! | a label whose name isn't one, or is one too many | can't be | is left out, and counted in `inferometer_labels_dropped_total` |
//! | values of a label | closed, or at most as many as the label says | at most [`max_values`](Declaration::max_values), the rest [`OVERFLOW`](crate::OVERFLOW) |
//! | series | at most `max_series` | at most [`max_series`](Declaration::max_series), and `max_labels` + 1 for the rest |
//! | name | ours: `_total` on counters and nowhere else | any that Prometheus reads. In OpenMetrics a counter without `_total` is of type `unknown` |
//! | help, unit, name | fixed | may be said later |
//!
//! Labels are written in the order of their names, so the order in which they are given makes no difference. A name that is given twice has
//! the later value. All label values that become [`OVERFLOW`](crate::OVERFLOW) are counted in `inferometer_label_values_dropped_total`.
//!
//! # Examples
//! ```
//! use inferometer::{Registry, dynamic::{Counters, Declaration}};
//!
//! let registry = Registry::new();
//! let jobs = Counters::declare(&registry, Declaration::new("jobs").help("Jobs done."))?;
//! jobs.with(&[("queue", "mail"), ("node", "a")]).inc();
//! let mail = jobs.series(&[("node", "a"), ("queue", "mail")]);
//! mail.add(2);
//! jobs.with(&[("queue", "print")]).inc();
//! assert!(registry.encode_text().starts_with(
//! r#"# HELP jobs Jobs done.
//! ## TYPE jobs counter
//! jobs{node="a",queue="mail"} 3
//! jobs{queue="print"} 1
//! "#));
//! # Ok::<(), inferometer::RegisterError>(())
//! ```

mod group;
mod labels;

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    cell::{Count, Sum},
    descriptor::{Descriptor, Kind},
    error::RegisterError,
    family::{Handle, MAX_SERIES},
    label::DEFAULT_LIMIT,
    metric::{
        Counter, CounterRef, FloatCounter, FloatCounterRef, Gauge, GaugeCell, GaugeRef, Histogram,
        HistogramCell, HistogramRef, HistogramShape,
    },
    native::NativeBuckets,
    registry::Registry,
};
use group::Group;

/// How many label names a family may have where its declaration says nothing else.
pub const DEFAULT_LABELS: usize = 32;

/// The help of a family that has been given none.
pub const NO_HELP: &str = "No description was given.";

/// What is said of a family when it is declared.
#[derive(Clone, Debug)]
#[must_use = "it declares nothing until a family is made of it"]
pub struct Declaration {
    name: String,
    unit: Option<Cow<'static, str>>,
    help: Cow<'static, str>,
    buckets: Vec<f64>,
    native: Option<NativeBuckets>,
    max_labels: usize,
    max_values: usize,
    max_series: usize,
    idle: Option<Duration>,
}

impl Declaration {
    /// A family of this name, which is written as it is.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            unit: None,
            help: Cow::Borrowed(NO_HELP),
            buckets: Vec::new(),
            native: None,
            max_labels: DEFAULT_LABELS,
            max_values: DEFAULT_LIMIT,
            max_series: MAX_SERIES,
            idle: None,
        }
    }

    /// The HELP; [`NO_HELP`] without it, and where `help` says nothing.
    pub fn help(mut self, help: impl Into<Cow<'static, str>>) -> Self {
        self.help = spoken(help.into());
        self
    }

    /// The unit, in the plural. OpenMetrics shows it if the name ends in it.
    pub fn unit(mut self, unit: impl Into<Cow<'static, str>>) -> Self {
        self.unit = Some(unit.into());
        self
    }

    /// A histogram's bounds, finite and rising. Other kinds have none.
    pub fn buckets(mut self, bounds: impl Into<Vec<f64>>) -> Self {
        self.buckets = bounds.into();
        self
    }

    /// A histogram's native buckets, beside its bounds if it has any.
    pub fn native(mut self, buckets: NativeBuckets) -> Self {
        self.native = Some(buckets);
        self
    }

    /// How many label names the family may have; [`DEFAULT_LABELS`] without it. A name that was seen keeps its place.
    pub fn max_labels(mut self, limit: usize) -> Self {
        self.max_labels = limit;
        self
    }

    /// How many values each label may take beside [`OVERFLOW`](crate::OVERFLOW); [`DEFAULT_LIMIT`] without it.
    pub fn max_values(mut self, limit: usize) -> Self {
        self.max_values = limit;
        self
    }

    /// How many series the family may have beside those of the rest; 10,000 without it.
    pub fn max_series(mut self, limit: usize) -> Self {
        self.max_series = limit;
        self
    }

    /// How long a series may be idle before a scrape removes it, if there is no handle to it; for ever without it.
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self
    }

    fn descriptor(&self, kind: Kind) -> Descriptor {
        let buckets = match kind {
            Kind::Histogram => self.buckets.as_slice(),
            Kind::Counter | Kind::Gauge | Kind::Info | Kind::StateSet => &[],
        };
        Descriptor {
            name: self.name.clone(),
            kind,
            unit: self.unit.clone(),
            help: self.help.clone(),
            labels: Vec::new(),
            buckets: buckets.into(),
            native: self.native.filter(|_| kind == Kind::Histogram),
            max_series: self.max_series,
            idle: self.idle,
        }
    }
}

/// The help, if it says anything.
fn spoken(help: Cow<'static, str>) -> Cow<'static, str> {
    if help.trim().is_empty() {
        Cow::Borrowed(NO_HELP)
    } else {
        help
    }
}

macro_rules! families {
    ($(#[$doc:meta])* $families:ident, $metric:ident, $reference:ident, $cell:ty, $kind:ident, $shape:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $families {
            registry: Registry,
            group: Arc<Group<$cell>>,
        }

        impl $families {
            /// Declares the family in `registry`. Clones share it.
            ///
            /// # Errors
            /// Names the metric and the rule it breaks: its name isn't one, it or a sample of it is taken, or the buckets of a histogram are
            /// missing or don't rise.
            pub fn declare(
                registry: &Registry,
                declaration: Declaration,
            ) -> Result<Self, RegisterError> {
                let Declaration { max_labels, max_values, .. } = declaration;
                let descriptor = declaration.descriptor(Kind::$kind);
                let group = registry.declare(descriptor, |descriptor, enabled| {
                    let shape = $shape(&descriptor);
                    Group::new(descriptor, enabled, shape, max_labels, max_values)
                })?;
                Ok(Self { registry: registry.clone(), group })
            }

            /// The series of these labels, given as name and value, to keep; made if there is none.
            pub fn series<N: AsRef<str>, V: AsRef<str>>(&self, labels: &[(N, V)]) -> $metric {
                $metric(Handle::found(Arc::clone(self.group.family()), self.group.keep(labels)))
            }

            /// The series of these labels, for a recording or two; made if there is none.
            pub fn with<N: AsRef<str>, V: AsRef<str>>(&self, labels: &[(N, V)]) -> $reference<'_> {
                $reference(self.group.borrow(labels))
            }

            /// Whether there is a series of just these labels, none of them left out or become [`OVERFLOW`](crate::OVERFLOW).
            pub fn contains<N: AsRef<str>, V: AsRef<str>>(&self, labels: &[(N, V)]) -> bool {
                self.group.contains(labels)
            }

            /// Removes the series of these labels, and tells whether there was one. The same labels make a new one, from the start.
            ///
            /// What is recorded through handles that are left isn't shown any more.
            pub fn remove<N: AsRef<str>, V: AsRef<str>>(&self, labels: &[(N, V)]) -> bool {
                self.group.remove(labels)
            }

            /// Removes the series that nothing was recorded to for `idle`, and to which there is no handle; returns how many.
            ///
            /// A series goes in the second call that finds it idle, so that no recording is lost that comes between.
            pub fn remove_idle(&self, idle: Duration) -> usize {
                self.group.remove_idle(idle, Instant::now())
            }

            /// What is known of the family by now, the labels seen so far included.
            pub fn descriptor(&self) -> Descriptor {
                self.group.current().as_ref().clone()
            }

            /// Says what the family is, from the next scrape on. An empty help changes nothing.
            pub fn describe(&self, help: impl Into<Cow<'static, str>>, unit: Option<Cow<'static, str>>) {
                let help = help.into();
                self.group.change(|now| {
                    if !help.trim().is_empty() {
                        now.help = help;
                    }
                    now.unit = unit;
                });
            }

            /// Gives the family another name, from the next scrape on. Its series stay what they are.
            ///
            /// # Errors
            /// As [`declare`](Self::declare); the family keeps its name then.
            pub fn rename(&self, name: impl Into<String>) -> Result<(), RegisterError> {
                self.group.rename(&self.registry, name.into())
            }
        }
    };
}

families!(
    /// A family of [`Counter`]s.
    Counters, Counter, CounterRef, Count, Counter, |_: &Descriptor| ()
);
families!(
    /// A family of [`FloatCounter`]s.
    FloatCounters, FloatCounter, FloatCounterRef, Sum, Counter, |_: &Descriptor| ()
);
families!(
    /// A family of [`Gauge`]s.
    ///
    /// # Examples
    /// ```
    /// use inferometer::{Registry, dynamic::{Declaration, Gauges}};
    ///
    /// let registry = Registry::new();
    /// let depth = Gauges::declare(&registry, Declaration::new("depth"))?;
    /// let mail = depth.series(&[("queue", "mail")]);
    /// mail.add(3.0);
    /// mail.add(-1.0);
    /// depth.describe("Messages that wait.", None);
    /// assert!(registry.encode_text().starts_with(
    /// r#"# HELP depth Messages that wait.
    /// ## TYPE depth gauge
    /// depth{queue="mail"} 2.0
    /// "#));
    /// # Ok::<(), inferometer::RegisterError>(())
    /// ```
    Gauges, Gauge, GaugeRef, Arc<GaugeCell<f64>>, Gauge, |_: &Descriptor| ()
);
families!(
    /// A family of [`Histogram`]s.
    ///
    /// # Examples
    /// ```
    /// use inferometer::{Registry, dynamic::{Declaration, Histograms}};
    ///
    /// let registry = Registry::new();
    /// let sizes = Declaration::new("size").buckets([1.0, 10.0]);
    /// let sizes = Histograms::declare(&registry, sizes)?;
    /// sizes.with(&[("queue", "mail")]).observe(4.0);
    /// assert!(registry.encode_text().contains("\nsize_bucket{queue=\"mail\",le=\"10.0\"} 1\n"));
    /// # Ok::<(), inferometer::RegisterError>(())
    /// ```
    Histograms, Histogram, HistogramRef, HistogramCell, Histogram, HistogramShape::of
);
