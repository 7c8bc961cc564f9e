//! How a recorder is set up.

use std::time::Duration;

use inferometer::{
    DEFAULT_LIMIT, Kind, NativeBuckets, RegisterError, Registry,
    dynamic::{DEFAULT_LABELS, Declaration, Histograms},
};

use crate::{DEFAULT_BUCKETS, Recorder, names::sanitized};

/// Begins a recorder. The methods that `metrics-exporter-prometheus` has too are named as there.
pub fn builder() -> Builder {
    Builder {
        registry: Registry::new(),
        settings: Settings {
            buckets: None,
            native: None,
            buckets_for: Vec::new(),
            native_for: Vec::new(),
            global_labels: Vec::new(),
            idle: Vec::new(),
            recommended_naming: false,
            max_metrics: 1_000,
            max_labels: DEFAULT_LABELS,
            max_label_values: DEFAULT_LIMIT,
            max_series: 10_000,
        },
    }
}

/// Sets up a [`Recorder`]: see [`builder`].
#[derive(Clone, Debug)]
#[must_use = "it records nothing until it is built or installed"]
pub struct Builder {
    registry: Registry,
    settings: Settings,
}

/// What holds for all metrics of a recorder.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    buckets: Option<Vec<f64>>,
    native: Option<NativeBuckets>,
    buckets_for: Vec<(Matcher, Vec<f64>)>,
    native_for: Vec<(Matcher, NativeBuckets)>,
    pub(crate) global_labels: Vec<(String, String)>,
    idle: Vec<(Kind, Duration)>,
    pub(crate) recommended_naming: bool,
    pub(crate) max_metrics: usize,
    max_labels: usize,
    max_label_values: usize,
    pub(crate) max_series: usize,
}

/// Which metrics something is meant for, by name. Where several match, a full name comes before a beginning, and that before an end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Matcher {
    /// The whole name.
    Full(String),
    /// How the name begins.
    Prefix(String),
    /// How the name ends.
    Suffix(String),
}

impl Matcher {
    /// Whether `name` is meant.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Full(full) => name == full,
            Self::Prefix(prefix) => name.starts_with(prefix),
            Self::Suffix(suffix) => name.ends_with(suffix),
        }
    }

    /// Names are matched as they are written.
    fn sanitized(self) -> Self {
        let text = |text: String| sanitized(&text).into_owned();
        match self {
            Self::Full(full) => Self::Full(text(full)),
            Self::Prefix(prefix) => Self::Prefix(text(prefix)),
            Self::Suffix(suffix) => Self::Suffix(text(suffix)),
        }
    }
}

/// A recorder that can't be built or installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Buckets that are empty, not finite, or don't rise, or native ones that make no sense.
    #[error("the recorder can't be built: buckets of a histogram: {0}")]
    Buckets(#[source] RegisterError),
    /// The registry has the recorder's own metric already: a registry takes one recorder.
    #[error(
        "the recorder can't be built: {0}; give it another registry, or use the recorder that is there"
    )]
    Registry(#[source] RegisterError),
    /// The process has a recorder already.
    #[error(
        "the recorder can't be installed: the process has one already; remove the other, or record with `metrics::with_local_recorder`"
    )]
    Installed,
}

/// Sets what a matcher stands for; the later of two equal ones counts.
fn set<T>(list: &mut Vec<(Matcher, T)>, matcher: Matcher, value: T) {
    let matcher = matcher.sanitized();
    list.retain(|(known, _)| *known != matcher);
    list.push((matcher, value));
    list.sort_by(|(one, _), (other, _)| one.cmp(other));
}

fn first<'a, T>(list: &'a [(Matcher, T)], name: &str) -> Option<&'a T> {
    let found = list.iter().find(|(matcher, _)| matcher.matches(name))?;
    Some(&found.1)
}

/// Buckets as the registry takes them.
fn checked(declaration: Declaration) -> Result<(), BuildError> {
    Histograms::declare(&Registry::new(), declaration)
        .map(drop)
        .map_err(BuildError::Buckets)
}

fn checked_bounds(bounds: &[f64]) -> Result<Vec<f64>, BuildError> {
    checked(Declaration::new("histogram").buckets(bounds))?;
    Ok(bounds.to_vec())
}

impl Builder {
    /// The registry to record in; a new one without it. [`inferometer::global`] is the process' own.
    ///
    /// # Examples
    /// ```
    /// let registry = inferometer::global().clone();
    /// let recorder = inferometer_bridge::builder().registry(registry).build()?;
    /// metrics::with_local_recorder(&recorder, || metrics::counter!("jobs").increment(1));
    /// assert!(inferometer::global().encode_text().contains("\njobs 1\n"));
    /// # Ok::<(), inferometer_bridge::BuildError>(())
    /// ```
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// The bounds of all histograms; [`DEFAULT_BUCKETS`] without it.
    ///
    /// # Errors
    /// When there are none, or they aren't finite or don't rise.
    pub fn set_buckets(mut self, bounds: &[f64]) -> Result<Self, BuildError> {
        self.settings.buckets = Some(checked_bounds(bounds)?);
        Ok(self)
    }

    /// The bounds of the histograms that `matcher` means.
    ///
    /// # Errors
    /// When there are none, or they aren't finite or don't rise.
    pub fn set_buckets_for_metric(
        mut self,
        matcher: Matcher,
        bounds: &[f64],
    ) -> Result<Self, BuildError> {
        set(
            &mut self.settings.buckets_for,
            matcher,
            checked_bounds(bounds)?,
        );
        Ok(self)
    }

    /// Gives all histograms native buckets, beside the bounds that are named for them. Where none are named, they have no others.
    ///
    /// # Errors
    /// When the layout makes no sense: see [`NativeBuckets`].
    ///
    /// # Examples
    /// ```
    /// use inferometer::NativeBuckets;
    ///
    /// let builder = inferometer_bridge::builder().native(NativeBuckets::new())?;
    /// # Ok::<(), inferometer_bridge::BuildError>(())
    /// ```
    pub fn native(mut self, buckets: NativeBuckets) -> Result<Self, BuildError> {
        checked(Declaration::new("histogram").native(buckets))?;
        self.settings.native = Some(buckets);
        Ok(self)
    }

    /// As [`native`](Self::native), for the histograms that `matcher` means.
    ///
    /// # Errors
    /// When the layout makes no sense: see [`NativeBuckets`].
    pub fn set_native_histogram_for_metric(
        mut self,
        matcher: Matcher,
        buckets: NativeBuckets,
    ) -> Result<Self, BuildError> {
        checked(Declaration::new("histogram").native(buckets))?;
        set(&mut self.settings.native_for, matcher, buckets);
        Ok(self)
    }

    /// A label of every series. A label of the same name on a metric comes first, and so does a later call with the same name.
    pub fn add_global_label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let label = (name.into(), value.into());
        self.settings.global_labels.push(label);
        self
    }

    /// Removes the series of these kinds that nothing was recorded to for so long; `None` takes that back. Scrapes do it, in the second one
    /// that finds a series idle.
    ///
    /// Their handles then look for their series each time they record, so that a handle that was kept doesn't keep the series.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// use inferometer::Kind;
    ///
    /// let builder = inferometer_bridge::builder()
    ///     .idle_timeout(&[Kind::Counter, Kind::Histogram], Some(Duration::from_secs(600)));
    /// # drop(builder);
    /// ```
    pub fn idle_timeout(mut self, kinds: &[Kind], timeout: Option<Duration>) -> Self {
        let idle = &mut self.settings.idle;
        idle.retain(|(kind, _)| !kinds.contains(kind));
        idle.extend(
            timeout
                .into_iter()
                .flat_map(|timeout| kinds.iter().map(move |kind| (*kind, timeout))),
        );
        self
    }

    /// Ends the name of a metric in its unit, where its description says one, and that of a counter in `_total`.
    ///
    /// A description that comes after the first recording renames the metric.
    pub fn with_recommended_naming(mut self, enabled: bool) -> Self {
        self.settings.recommended_naming = enabled;
        self
    }

    /// How many metrics there may be; 1,000 without it.
    pub fn max_metrics(mut self, limit: usize) -> Self {
        self.settings.max_metrics = limit;
        self
    }

    /// How many label names a metric may have; 32 without it.
    pub fn max_labels(mut self, limit: usize) -> Self {
        self.settings.max_labels = limit;
        self
    }

    /// How many values a label may take beside `other`; 1,000 without it.
    pub fn max_label_values(mut self, limit: usize) -> Self {
        self.settings.max_label_values = limit;
        self
    }

    /// How many series a metric may have; 10,000 without it. Those of the rest come on top, [`max_labels`](Self::max_labels) + 1 at most.
    pub fn max_series(mut self, limit: usize) -> Self {
        self.settings.max_series = limit;
        self
    }

    /// The recorder.
    ///
    /// # Errors
    /// When the registry has one already.
    pub fn build(self) -> Result<Recorder, BuildError> {
        Recorder::new(self.registry, self.settings).map_err(BuildError::Registry)
    }

    /// The recorder, for the whole process from now on.
    ///
    /// # Errors
    /// When the registry or the process has one already.
    pub fn install(self) -> Result<Recorder, BuildError> {
        let recorder = self.build()?;
        metrics::set_global_recorder(recorder.clone()).map_err(|_| BuildError::Installed)?;
        Ok(recorder)
    }
}

impl Settings {
    /// The declaration of a metric of this kind. Patterns are matched with `name`; it is written as `written`.
    pub(crate) fn declaration(&self, kind: Kind, name: &str, written: String) -> Declaration {
        let mut declaration = Declaration::new(written)
            .max_labels(self.max_labels)
            .max_values(self.max_label_values)
            .max_series(self.max_series);
        if let Some(timeout) = self.idle(kind) {
            declaration = declaration.idle(timeout);
        }
        if kind != Kind::Histogram {
            return declaration;
        }
        let native = first(&self.native_for, name).or(self.native.as_ref());
        let bounds = first(&self.buckets_for, name).or(self.buckets.as_ref());
        match (native, bounds) {
            (Some(native), None) => declaration.native(*native),
            (Some(native), Some(bounds)) => declaration.native(*native).buckets(bounds.as_slice()),
            (None, Some(bounds)) => declaration.buckets(bounds.as_slice()),
            (None, None) => declaration.buckets(DEFAULT_BUCKETS),
        }
    }

    /// After how long a series of this kind goes.
    pub(crate) fn idle(&self, kind: Kind) -> Option<Duration> {
        let found = self.idle.iter().find(|(one, _)| *one == kind);
        found.map(|(_, timeout)| *timeout)
    }
}
