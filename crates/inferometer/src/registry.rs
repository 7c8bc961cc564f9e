//! Where metrics are declared, and where a scrape finds them.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use crate::{
    cell,
    descriptor::Descriptor,
    encode::{self, EncodeOptions, Format},
    error::RegisterError,
    metric::Source,
    own,
    reading::Sink,
    rules,
    set::{MetricSet, descriptors},
    snapshot::Snapshot,
};

/// A list of metrics that are scraped together. Clones share it.
///
/// Beside what is registered, a scrape shows the registry's own metrics: see the [crate's overview](crate#the-registrys-own-metrics).
/// Metrics stay registered for as long as a clone of the registry lives.
///
/// **Consistency.** A scrape copies the list, and then reads cell after cell while recording goes on: it is no moment's
/// picture, but no family disagrees with itself, and no counter is lower than in an earlier scrape. No lock is held while
/// values are read or written.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    enabled: bool,
    declared: Mutex<Declared>,
    /// What [`Registry::register_once`] has handed out.
    once: Mutex<HashMap<TypeId, Box<dyn Any + Send>>>,
    /// What a scrape could not write.
    unwritten: AtomicU64,
}

#[derive(Default)]
struct Declared {
    sources: Vec<Arc<dyn Source>>,
    /// Every name on the wire, and the metric it belongs to.
    wire_names: HashMap<String, String>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("enabled", &self.inner.enabled)
            .finish_non_exhaustive()
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                enabled: true,
                declared: Mutex::default(),
                once: Mutex::default(),
                unwritten: AtomicU64::new(0),
            }),
        }
    }

    /// An empty registry whose metrics record nothing: what instrumentation costs is the difference to [`new`](Self::new).
    ///
    /// Its scrape shows what is declared and never moves; no series is made for an open label.
    pub fn disabled() -> Self {
        Self {
            inner: Arc::new(Inner {
                enabled: false,
                declared: Mutex::default(),
                once: Mutex::default(),
                unwritten: AtomicU64::new(0),
            }),
        }
    }

    /// Whether its metrics record.
    pub fn enabled(&self) -> bool {
        self.inner.enabled
    }

    /// Declares every metric of a set, or none.
    ///
    /// A [`MetricSet`] written by hand must not register in the same registry while it is made.
    ///
    /// # Errors
    /// Names the metric and the rule it breaks: see [`Rule`](crate::Rule).
    pub fn register<S: MetricSet>(&self) -> Result<S, RegisterError> {
        let described = descriptors::<S>();
        let mut declared = self.declared();
        let mut fresh: HashMap<String, String> = HashMap::new();
        for descriptor in &described {
            rules::check(descriptor)?;
            declared.check_names(descriptor, |wire| fresh.get(wire).map(String::as_str))?;
            for wire in descriptor.wire_names() {
                fresh.insert(wire, descriptor.name.clone());
            }
        }
        let enabled = self.inner.enabled;
        let mut sources = Vec::new();
        let set = S::create(
            "",
            &mut Registrar {
                enabled,
                sources: &mut sources,
            },
        );
        let made: Vec<_> = sources
            .iter()
            .map(|source| source.descriptor().as_ref().clone())
            .collect();
        if made != described {
            return Err(RegisterError::unsteady(&described, &made));
        }
        declared.sources.extend(sources);
        declared.wire_names.extend(fresh);
        Ok(set)
    }

    /// A clone of the set that an earlier call has declared here, or declares it: for parts of a program that record in the same
    /// set and don't know each other, such as two servers of one registry.
    ///
    /// # Errors
    /// As [`register`](Self::register).
    ///
    /// # Examples
    /// ```
    /// use inferometer::{Counter, MetricSet, Registry};
    ///
    /// #[derive(Clone, MetricSet)]
    /// struct Door {
    ///     /// Times it was opened.
    ///     opened: Counter,
    /// }
    ///
    /// let registry = Registry::new();
    /// let (front, same): (Door, Door) = (registry.register_once()?, registry.register_once()?);
    /// front.opened.inc();
    /// assert_eq!(same.opened.get(), 1);
    /// # Ok::<(), inferometer::RegisterError>(())
    /// ```
    pub fn register_once<S>(&self) -> Result<S, RegisterError>
    where
        S: MetricSet + Clone + Send + 'static,
    {
        // Held while declaring, so that no other thread declares the same set in between.
        let once = self.inner.once.lock();
        let mut once = once.unwrap_or_else(PoisonError::into_inner);
        let id = TypeId::of::<S>();
        if let Some(set) = once.get(&id).and_then(|set| set.downcast_ref::<S>()) {
            return Ok(set.clone());
        }
        let set = self.register::<S>()?;
        once.insert(id, Box::new(set.clone()));
        Ok(set)
    }

    /// Declares one metric, which `make` makes when it is told whether the registry records.
    pub(crate) fn declare<S: Source + 'static>(
        &self,
        descriptor: Descriptor,
        make: impl FnOnce(Descriptor, bool) -> S,
    ) -> Result<Arc<S>, RegisterError> {
        rules::check_dynamic(&descriptor)?;
        let mut declared = self.declared();
        declared.check_names(&descriptor, |_| None)?;
        declared.take_names(&descriptor);
        let source = Arc::new(make(descriptor, self.inner.enabled));
        declared.sources.push(Arc::<S>::clone(&source) as _);
        Ok(source)
    }

    /// Gives the metric that is declared as `from` the names of `to` instead.
    pub(crate) fn rename(&self, from: &Descriptor, to: &Descriptor) -> Result<(), RegisterError> {
        rules::check_dynamic(to)?;
        let mut declared = self.declared();
        declared.drop_names(from);
        if let Err(refused) = declared.check_names(to, |_| None) {
            declared.take_names(from);
            return Err(refused);
        }
        declared.take_names(to);
        Ok(())
    }

    /// The descriptors of everything registered, in declared order, the registry's own last.
    pub fn descriptors(&self) -> Vec<Descriptor> {
        let registered = self
            .sources()
            .into_iter()
            .map(|source| source.descriptor().as_ref().clone());
        registered.chain(own::descriptors()).collect()
    }

    /// Reads every cell.
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        self.collect(&mut snapshot);
        snapshot
    }

    /// The scrape in the given format.
    pub fn encode(&self, format: Format) -> Vec<u8> {
        let mut page = Vec::new();
        self.encode_into(format, EncodeOptions::default(), &mut page);
        page
    }

    /// The scrape in the given format, in place of what `page` holds.
    ///
    /// A page that is used again isn't allocated again, which for many series is most of the work: keep it as the scrape before has left it.
    pub fn encode_into(&self, format: Format, options: EncodeOptions, page: &mut Vec<u8>) {
        let mut encoder = encode::sink(format, options, page);
        self.collect(&mut encoder);
        let unwritten = encoder.finish();
        self.inner.unwritten.fetch_add(unwritten, Relaxed);
    }

    /// The scrape in the Prometheus text format.
    pub fn encode_text(&self) -> String {
        // Help texts and labels are UTF-8 and the rest is ASCII, so this copies nothing.
        String::from_utf8(self.encode(Format::PrometheusText))
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// Hands every series to `sink`, family by family, in declared order.
    fn collect(&self, sink: &mut dyn Sink) {
        let sources = self.sources();
        let reader = cell::reader();
        let series: Vec<_> = sources
            .iter()
            .map(|source| source.collect(&reader, sink))
            .collect();
        own::collect(&sources, &series, self.inner.unwritten.load(Relaxed), sink);
        let now = Instant::now();
        for source in &sources {
            source.sweep(now);
        }
    }

    fn sources(&self) -> Vec<Arc<dyn Source>> {
        self.declared().sources.clone()
    }

    fn declared(&self) -> MutexGuard<'_, Declared> {
        self.inner
            .declared
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Declared {
    /// Whether a metric's names on the wire are free here, with the registry itself, and with `elsewhere`.
    fn check_names<'a>(
        &'a self,
        descriptor: &Descriptor,
        elsewhere: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<(), RegisterError> {
        for wire in descriptor.wire_names() {
            let own = || own::is_own(&wire).then_some("the registry");
            let known = self.wire_names.get(&wire).map(String::as_str);
            if let Some(owner) = known.or_else(|| elsewhere(&wire)).or_else(own) {
                return Err(RegisterError::collision(&descriptor.name, &wire, owner));
            }
        }
        Ok(())
    }

    fn take_names(&mut self, descriptor: &Descriptor) {
        for wire in descriptor.wire_names() {
            self.wire_names.insert(wire, descriptor.name.clone());
        }
    }

    fn drop_names(&mut self, descriptor: &Descriptor) {
        for wire in descriptor.wire_names() {
            self.wire_names.remove(&wire);
        }
    }
}

/// Takes the metrics of a set while it is made.
pub struct Registrar<'a> {
    enabled: bool,
    sources: &'a mut Vec<Arc<dyn Source>>,
}

impl std::fmt::Debug for Registrar<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registrar")
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}

impl Registrar<'_> {
    /// Whether the registry's metrics record.
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    pub(crate) fn add<S: Source + 'static>(&mut self, source: Arc<S>) -> Arc<S> {
        let erased: Arc<dyn Source> = Arc::<S>::clone(&source);
        self.sources.push(erased);
        source
    }
}
