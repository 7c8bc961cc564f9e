//! Facts in labels.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use super::{Metric, Source, describe};
use crate::{
    cell::Reader,
    descriptor::{Descriptor, Kind},
    family::{Bookkeeping, render},
    label::LabelSet,
    reading::{Reading, Sink, Value},
    registry::Registrar,
    set::FieldSpec,
};

/// Facts about something, told in labels; the value is always 1. A version is the usual one.
///
/// **Labels.** `L`, of any values: there is one series at a time, so their limits don't apply.
/// **When it moves.** With each [`set`](Self::set), which takes the place of the one before; nothing is shown until the first.
///
/// # Examples
/// ```
/// use inferometer::{Info, LabelSet, MetricSet, Registry};
///
/// #[derive(LabelSet)]
/// struct Build<'a> { version: &'a str, commit: &'a str }
///
/// #[derive(MetricSet)]
/// #[metrics(namespace = "shop")]
/// struct Shop {
///     /// What is running.
///     build: Info<Build<'static>>,
/// }
///
/// let registry = Registry::new();
/// let shop: Shop = registry.register()?;
/// shop.build.set(Build { version: "1.4.0", commit: "c0ffee" });
/// let line = r#"shop_build_info{version="1.4.0",commit="c0ffee"} 1"#;
/// assert!(registry.encode_text().contains(line));
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Info<L: LabelSet> {
    facts: Arc<Facts>,
    labels: std::marker::PhantomData<fn(L)>,
}

#[derive(Debug)]
struct Facts {
    descriptor: Arc<Descriptor>,
    enabled: bool,
    own: Bookkeeping,
    rendered: Mutex<Option<Box<str>>>,
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a label set is written where it is used"
)]
impl<L: LabelSet> Info<L> {
    /// Tells these facts from now on.
    pub fn set(&self, labels: L::Of<'_>) {
        if !self.facts.enabled {
            return;
        }
        let mut rendered = String::new();
        let mut specs = L::LABELS.iter();
        labels.visit(&mut |value| {
            let name = specs.next().map_or("", |spec| spec.name);
            value.text(&mut |text| render(&mut rendered, name, text));
        });
        *self
            .facts
            .rendered
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(rendered.into());
    }

    /// Tells nothing any more.
    pub fn clear(&self) {
        *self
            .facts
            .rendered
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl<L: LabelSet> Metric for Info<L> {
    fn describe(spec: &FieldSpec, namespace: &str) -> Descriptor {
        describe::<L>(spec, namespace, Kind::Info, "_info")
    }

    fn create(descriptor: Descriptor, registrar: &mut Registrar<'_>) -> Self {
        let facts = Arc::new(Facts {
            descriptor: descriptor.into(),
            enabled: registrar.enabled(),
            own: Bookkeeping::new(L::LABELS.len(), registrar.enabled()),
            rendered: Mutex::new(None),
        });
        Self {
            facts: registrar.add(facts),
            labels: std::marker::PhantomData,
        }
    }
}

impl Source for Facts {
    fn descriptor(&self) -> Arc<Descriptor> {
        Arc::clone(&self.descriptor)
    }

    fn own(&self) -> &Bookkeeping {
        &self.own
    }

    fn collect(&self, _reader: &Reader<'_>, sink: &mut dyn Sink) -> u64 {
        sink.family(&self.descriptor);
        let rendered = self
            .rendered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(labels) = rendered else { return 0 };
        sink.series(&Reading {
            labels: &labels,
            value: Value::Integer(1),
            created: None,
            exemplar: None,
        });
        1
    }

    fn sweep(&self, _now: Instant) {}
}
