//! The metrics of a recorder, by name: declared when they are first asked for, described whenever that comes.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use foldhash::fast::RandomState;
use inferometer::{
    Kind, RegisterError, Registry,
    dynamic::{Counters, Declaration, Gauges, Histograms},
};
use metrics::{SharedString, Unit};

use crate::{
    builder::Settings,
    handles::Labels,
    names::{recommended, unit},
    own::{Own, Reason},
};

/// How many descriptions are kept for each metric that there may be: some describe what they never record.
const DESCRIPTIONS: usize = 4;

pub(crate) struct Families {
    pub(crate) registry: Registry,
    pub(crate) settings: Settings,
    pub(crate) own: Own,
    known: RwLock<HashMap<String, Known>>,
    /// Written under the lock of `known`, and read without: the macros may describe a metric each time they run.
    described: papaya::HashMap<String, Description, RandomState>,
}

/// A metric whose name somebody has asked for.
pub(crate) enum Known {
    Counter(Counters),
    Gauge(Gauges),
    Histogram(Histograms),
    Refused(Reason),
}

/// What was said of a name first.
struct Description {
    help: SharedString,
    unit: Option<&'static str>,
}

/// A family of one of the facade's kinds.
pub(crate) trait Family: Clone {
    const KIND: Kind;
    fn declare(registry: &Registry, declaration: Declaration) -> Result<Self, RegisterError>;
    fn from_known(known: &Known) -> Option<&Self>;
    fn into_known(self) -> Known;
    fn describe(&self, help: &SharedString, unit: Option<&'static str>);
    fn rename(&self, name: String) -> Result<(), RegisterError>;
    fn contains(&self, labels: &Labels<'_>) -> bool;
}

macro_rules! family {
    ($families:ident, $kind:ident) => {
        impl Family for $families {
            const KIND: Kind = Kind::$kind;

            fn declare(
                registry: &Registry,
                declaration: Declaration,
            ) -> Result<Self, RegisterError> {
                Self::declare(registry, declaration)
            }

            fn from_known(known: &Known) -> Option<&Self> {
                match known {
                    Known::$kind(family) => Some(family),
                    _ => None,
                }
            }

            fn into_known(self) -> Known {
                Known::$kind(self)
            }

            fn describe(&self, help: &SharedString, unit: Option<&'static str>) {
                self.describe(help.clone().into_owned(), unit.map(Into::into));
            }

            fn rename(&self, name: String) -> Result<(), RegisterError> {
                self.rename(name)
            }

            fn contains(&self, labels: &Labels<'_>) -> bool {
                self.contains(labels)
            }
        }
    };
}
family!(Counters, Counter);
family!(Gauges, Gauge);
family!(Histograms, Histogram);

impl Families {
    pub(crate) fn new(registry: Registry, settings: Settings) -> Result<Self, RegisterError> {
        Ok(Self {
            own: Own::new(&registry)?,
            registry,
            settings,
            known: RwLock::default(),
            described: papaya::HashMap::with_hasher(RandomState::default()),
        })
    }

    /// How many names are known, those that are refused included.
    pub(crate) fn len(&self) -> usize {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// The metric of this name, declared if it is new. `None`, and counted, where it records nothing.
    pub(crate) fn find<F: Family>(&self, name: &str) -> Option<F> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(name).map(found);
        drop(known);
        match found.unwrap_or_else(|| self.declare(name)) {
            Ok(family) => Some(family),
            Err(reason) => {
                self.own.refuse(name, reason);
                None
            }
        }
    }

    #[cold]
    fn declare<F: Family>(&self, name: &str) -> Result<F, Reason> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(name) {
            return found(known);
        }
        if known.len() >= self.settings.max_metrics {
            return Err(Reason::Limit);
        }
        let described = self.described.pin();
        let description = described.get(name);
        let unit = description.and_then(|description| description.unit);
        let written = self.written(name, F::KIND, unit);
        let mut declaration = self.settings.declaration(F::KIND, name, written);
        if let Some(description) = description {
            declaration = declaration.help(description.help.clone().into_owned());
        }
        if let Some(unit) = unit {
            declaration = declaration.unit(unit);
        }
        match F::declare(&self.registry, declaration) {
            Ok(family) => {
                known.insert(name.to_owned(), family.clone().into_known());
                Ok(family)
            }
            Err(refused) => {
                let reason = Reason::from(&refused);
                known.insert(name.to_owned(), Known::Refused(reason));
                Err(reason)
            }
        }
    }

    fn written(&self, name: &str, kind: Kind, unit: Option<&str>) -> String {
        if self.settings.recommended_naming {
            recommended(name, kind, unit)
        } else {
            name.to_owned()
        }
    }

    /// Says what the metric of this name is, now or when it is declared. What was said first counts.
    pub(crate) fn describe(&self, name: &str, said: Option<Unit>, help: SharedString) {
        let described = self.described.pin();
        if described.contains_key(name) {
            return;
        }
        let known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if described.contains_key(name) {
            return;
        }
        let limit = self.settings.max_metrics.saturating_mul(DESCRIPTIONS);
        if described.len() >= limit {
            self.own.refuse(name, Reason::Limit);
            return;
        }
        let unit = unit(said);
        match known.get(name) {
            Some(Known::Counter(family)) => self.tell(family, name, unit, &help),
            Some(Known::Gauge(family)) => self.tell(family, name, unit, &help),
            Some(Known::Histogram(family)) => self.tell(family, name, unit, &help),
            Some(Known::Refused(_)) | None => {}
        }
        described.insert(name.to_owned(), Description { help, unit });
    }

    fn tell<F: Family>(
        &self,
        family: &F,
        name: &str,
        unit: Option<&'static str>,
        help: &SharedString,
    ) {
        family.describe(help, unit);
        if self.settings.recommended_naming
            && let Err(refused) = family.rename(recommended(name, F::KIND, unit))
        {
            self.own.refuse(name, Reason::from(&refused));
        }
    }
}

fn found<F: Family>(known: &Known) -> Result<F, Reason> {
    match known {
        Known::Refused(reason) => Err(*reason),
        Known::Counter(_) | Known::Gauge(_) | Known::Histogram(_) => {
            F::from_known(known).cloned().ok_or(Reason::Taken)
        }
    }
}
