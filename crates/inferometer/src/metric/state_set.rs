//! One state of a closed set at a time.

use std::{
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use super::{Metric, Read, Unreadable, describe};
use crate::{
    descriptor::{Descriptor, Kind, LabelBound, LabelDescriptor},
    family::{Borrowed, Family, Handle, render},
    label::{LabelSet, LabelValue},
    registry::Registrar,
    set::FieldSpec,
    snapshot::{Point, SeriesSnapshot},
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
pub struct StateSet<S: LabelValue, L: LabelSet = ()>(Handle<StateCell, L>, PhantomData<fn(S)>);

/// One series of a [`StateSet`], found for a recording or two.
#[derive(Debug)]
pub struct StateSetRef<'a, S>(Borrowed<'a, StateCell>, PhantomData<fn(S)>);

/// No state is known.
const UNKNOWN: usize = usize::MAX;

#[derive(Debug)]
pub(crate) struct StateCell {
    states: &'static [&'static str],
    current: AtomicUsize,
}

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
}

macro_rules! record {
    ($($type:ty),*) => {$(
        impl<S: LabelValue> $type {
            /// Enters `state`, and leaves the one before.
            pub fn set(&self, state: S) {
                if self.0.family.enabled {
                    self.0.cell().current.store(state.index(), Relaxed);
                }
            }

            /// Shows no state until one is set again.
            pub fn clear(&self) {
                self.0.cell().current.store(UNKNOWN, Relaxed);
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
        let make = || StateCell {
            states: S::VALUES.unwrap_or_default(),
            current: AtomicUsize::new(UNKNOWN),
        };
        let family = Family::new::<L>(descriptor.into(), registrar.enabled(), false, make);
        Self(Handle::new(registrar.add(Arc::new(family))), PhantomData)
    }
}

impl Read for StateCell {
    fn read(&self, family: &Descriptor, labels: &str) -> Result<Vec<SeriesSnapshot>, Unreadable> {
        let current = self.current.load(Relaxed);
        if current == UNKNOWN {
            return Ok(Vec::new());
        }
        let one = |(at, state): (usize, &&str)| {
            let mut labels = labels.to_owned();
            render(&mut labels, &family.name, state);
            let point = Point::Integer(u64::from(at == current));
            SeriesSnapshot {
                labels: labels.into(),
                point,
            }
        };
        Ok(self.states.iter().enumerate().map(one).collect())
    }
}
