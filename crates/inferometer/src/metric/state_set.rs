//! One state of a closed set at a time.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use super::{Metric, describe};
use crate::{
    cell::{Reader, Setting},
    descriptor::{Descriptor, Kind, LabelBound, LabelDescriptor},
    family::{Borrowed, Family, Handle, render},
    label::{LabelSet, LabelValue},
    reading::{Reading, Sink, Value},
    registry::Registrar,
    series::{Cell, Place, Unreadable},
    set::FieldSpec,
    sync::AtomicU64,
};

/// Which of the states of the enum `S` something is in: 1 for that one, 0 for the others.
///
/// **Labels.** `L`, and the state in a label that bears the metric's own name.
/// **When it moves.** With each [`set`](Self::set); nothing is shown until the first.
/// **Consistency.** In every scrape exactly one state of a series is 1.
///
/// # Examples
/// ```
/// use inferometer::{LabelValue, MetricSet, Registry, StateSet};
///
/// #[derive(Clone, Copy, LabelValue)]
/// enum Phase { Loading, Ready }
///
/// #[derive(MetricSet)]
/// struct Model {
///     /// What the model is doing.
///     phase: StateSet<Phase>,
/// }
///
/// let registry = Registry::new();
/// let model: Model = registry.register()?;
/// model.phase.set(Phase::Ready);
/// assert!(registry.encode_text().contains(
/// r#"phase{phase="loading"} 0
/// phase{phase="ready"} 1
/// "#));
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
#[derive(Clone, Debug)]
pub struct StateSet<S: LabelValue, L: LabelSet = ()>(Handle<Arc<StateCell>, L>, PhantomData<fn(S)>);

/// One series of a [`StateSet`], found for a recording or two.
#[derive(Debug)]
pub struct StateSetRef<'a, S>(Borrowed<'a, Arc<StateCell>>, PhantomData<fn(S)>);

/// The memory of one state set: the index of its state.
#[derive(Debug)]
pub(crate) struct StateCell(Setting);

#[expect(
    clippy::needless_pass_by_value,
    reason = "a label set is written where it is used"
)]
impl<S: LabelValue, L: LabelSet> StateSet<S, L> {
    /// The series of `labels`, for a recording or two.
    #[inline]
    pub fn with(&self, labels: L::Of<'_>) -> StateSetRef<'_, S> {
        StateSetRef(self.0.with(&labels), PhantomData)
    }

    /// The series of `labels`, to keep.
    pub fn series(&self, labels: L::Of<'_>) -> StateSet<S> {
        StateSet(self.0.tie(&labels), PhantomData)
    }

    /// Removes the series of `labels`: see [`Counter::remove`](crate::Counter::remove).
    pub fn remove(&self, labels: L::Of<'_>) -> bool {
        self.0.remove(&labels)
    }

    /// Removes what is idle: see [`Counter::remove_idle`](crate::Counter::remove_idle).
    pub fn remove_idle(&self, idle: Duration) -> usize {
        self.0.remove_idle(idle)
    }
}

macro_rules! record {
    ($($type:ty),*) => {$(
        impl<S: LabelValue> $type {
            /// Enters `state`, and leaves the one before.
            pub fn set(&self, state: S) {
                self.0.cell().0.set(state.index() as u64);
            }

            /// Shows no state until one is set again.
            pub fn clear(&self) {
                self.0.cell().0.clear();
            }
        }
    )*};
}
record!(StateSet<S>, StateSetRef<'_, S>);

impl<S: LabelValue, L: LabelSet> Metric for StateSet<S, L> {
    fn describe(spec: &FieldSpec, namespace: &str) -> Descriptor {
        const {
            assert!(
                S::VALUES.is_some(),
                "a state is an enum that derives LabelValue"
            );
        }
        let mut descriptor = describe::<L>(spec, namespace, Kind::StateSet, "");
        descriptor.labels.push(LabelDescriptor {
            name: descriptor.name.clone().into(),
            bound: LabelBound::Closed(S::VALUES.unwrap_or_default()),
        });
        descriptor
    }

    fn create(descriptor: Descriptor, registrar: &mut Registrar<'_>) -> Self {
        let states = S::VALUES.unwrap_or_default();
        let family = Family::new::<L>(descriptor.into(), registrar.enabled(), states);
        Self(Handle::new(registrar.add(Arc::new(family))), PhantomData)
    }
}

impl Cell for Arc<StateCell> {
    type Shape = &'static [&'static str];

    fn new(_states: &Self::Shape) -> Self {
        Self::new(StateCell(Setting::absent()))
    }

    fn mute(_states: &Self::Shape) -> Self {
        Self::new(StateCell(Setting::mute()))
    }

    fn free(&self, _states: &Self::Shape) {}

    fn read(
        &self,
        states: &Self::Shape,
        place: &mut Place<'_>,
        sink: &mut dyn Sink,
    ) -> Result<u64, Unreadable> {
        let Some(current) = self.0.get() else {
            return Ok(0);
        };
        for (at, state) in (0..).zip(*states) {
            let mut labels = place.labels.to_owned();
            render(&mut labels, &place.descriptor.name, state);
            sink.series(&Reading {
                labels: &labels,
                value: Value::Integer(u64::from(at == current)),
                created: None,
                exemplar: None,
            });
        }
        Ok(states.len() as u64)
    }

    fn stirred(&self, _states: &Self::Shape, _reader: &Reader<'_>, _seen: &AtomicU64) -> bool {
        self.0.touched()
    }
}
