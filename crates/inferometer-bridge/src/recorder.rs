//! The recorder that the facade talks to.

use std::{borrow::Cow, sync::Arc};

use inferometer::{
    RegisterError, Registry,
    dynamic::{Counters, Gauges, Histograms},
};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};

use crate::{
    builder::Settings,
    cache::Cache,
    families::{Families, Family},
    handles::{Kept, Labels, Sought},
    names::{sanitized, sanitized_label},
};

/// Records what the `metrics` facade is told in a registry: see the [crate](crate). Clones share everything.
///
/// # Examples
/// ```
/// let recorder = inferometer_bridge::builder().build()?;
/// metrics::with_local_recorder(&recorder, || metrics::counter!("jobs").increment(1));
/// assert!(recorder.registry().encode_text().contains("\njobs 1\n"));
/// # Ok::<(), inferometer_bridge::BuildError>(())
/// ```
#[derive(Clone)]
pub struct Recorder {
    inner: Arc<Inner>,
}

struct Inner {
    families: Families,
    counters: Cache<Counter>,
    gauges: Cache<Gauge>,
    histograms: Cache<Histogram>,
    global_labels: Vec<(String, String)>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("registry", self.registry())
            .finish_non_exhaustive()
    }
}

impl Recorder {
    pub(crate) fn new(registry: Registry, settings: Settings) -> Result<Self, RegisterError> {
        let global_labels = settings.global_labels.iter();
        let global_labels = global_labels
            .map(|(name, value)| (sanitized_label(name).into_owned(), value.clone()))
            .collect();
        Ok(Self {
            inner: Arc::new(Inner {
                families: Families::new(registry, settings)?,
                counters: Cache::new(),
                gauges: Cache::new(),
                histograms: Cache::new(),
                global_labels,
            }),
        })
    }

    /// The registry that it records in: what is scraped.
    pub fn registry(&self) -> &Registry {
        &self.inner.families.registry
    }
}

impl Inner {
    /// A handle for a key that has none yet. `kept` makes it where series stay, `sought` where they go when they are idle.
    #[cold]
    #[inline(never)]
    fn make<F: Family, H: Clone>(
        &self,
        key: &Key,
        cache: &Cache<H>,
        kept: impl FnOnce(&F, &Labels<'_>) -> H,
        sought: impl FnOnce(Sought<F>) -> H,
    ) -> Option<H> {
        if !self.families.registry.enabled() {
            return None;
        }
        let family: F = self.families.find(&sanitized(key.name()))?;
        let labels = self.labels(key);
        let handle = if self.families.settings.idle(F::KIND).is_none() {
            kept(&family, &labels)
        } else {
            sought(Sought::new(family.clone(), &labels))
        };
        // What is beyond a limit isn't kept: there is no end to it, and each time must be counted.
        if family.contains(&labels) {
            // Several keys may mean one series, in another order or with other characters, but not without end.
            let series = self.families.settings.max_series;
            let bound = series.saturating_mul(2 * self.families.len());
            cache.put(key, &handle, bound);
        }
        Some(handle)
    }

    /// The labels of a key, after the global ones.
    fn labels<'a>(&'a self, key: &'a Key) -> Vec<(Cow<'a, str>, &'a str)> {
        let global = self.global_labels.iter();
        let global = global.map(|(name, value)| (Cow::Borrowed(name.as_str()), value.as_str()));
        let own = key
            .labels()
            .map(|label| (sanitized_label(label.key()), label.value()));
        global.chain(own).collect()
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        let families = &self.inner.families;
        families.describe(&sanitized(name.as_str()), unit, help);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe_counter(name, unit, help);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe_counter(name, unit, help);
    }

    fn register_counter(&self, key: &Key, _metadata: &Metadata<'_>) -> Counter {
        let inner = &*self.inner;
        if let Some(counter) = inner.counters.get(key) {
            return counter;
        }
        let kept = |family: &Counters, labels: &Labels<'_>| {
            Counter::from_arc(Arc::new(Kept(family.series(labels))))
        };
        let sought = |sought: Sought<Counters>| {
            // It is there from now on, at 0.
            sought.family.with(&sought.labels).add(0);
            Counter::from_arc(Arc::new(sought))
        };
        let made = inner.make(key, &inner.counters, kept, sought);
        made.unwrap_or_else(Counter::noop)
    }

    fn register_gauge(&self, key: &Key, _metadata: &Metadata<'_>) -> Gauge {
        let inner = &*self.inner;
        if let Some(gauge) = inner.gauges.get(key) {
            return gauge;
        }
        // The facade's gauges are 0 before they are set; ours would be absent.
        let kept = |family: &Gauges, labels: &Labels<'_>| {
            let gauge = family.series(labels);
            gauge.add(0.0);
            Gauge::from_arc(Arc::new(Kept(gauge)))
        };
        let sought = |sought: Sought<Gauges>| {
            sought.family.with(&sought.labels).add(0.0);
            Gauge::from_arc(Arc::new(sought))
        };
        let made = inner.make(key, &inner.gauges, kept, sought);
        made.unwrap_or_else(Gauge::noop)
    }

    fn register_histogram(&self, key: &Key, _metadata: &Metadata<'_>) -> Histogram {
        let inner = &*self.inner;
        if let Some(histogram) = inner.histograms.get(key) {
            return histogram;
        }
        let kept = |family: &Histograms, labels: &Labels<'_>| {
            Histogram::from_arc(Arc::new(Kept(family.series(labels))))
        };
        let sought = |sought: Sought<Histograms>| {
            sought.family.with(&sought.labels).observe_times(0.0, 0);
            Histogram::from_arc(Arc::new(sought))
        };
        let made = inner.make(key, &inner.histograms, kept, sought);
        made.unwrap_or_else(Histogram::noop)
    }
}
