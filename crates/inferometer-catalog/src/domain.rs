//! The list of domains.

use inferometer::{Descriptor, descriptors};

use crate::{orchestrator::Orchestrator, rerank::Rerank};

/// A system with metrics of its own.
#[derive(Clone, Debug)]
pub struct Domain {
    /// Its name.
    pub name: &'static str,
    /// Its metrics, in declared order.
    pub descriptors: Vec<Descriptor>,
}

/// Every domain.
pub fn domains() -> Vec<Domain> {
    vec![
        Domain {
            name: "orchestrator",
            descriptors: descriptors::<Orchestrator>(),
        },
        Domain {
            name: "rerank",
            descriptors: descriptors::<Rerank>(),
        },
    ]
}

/// The domain of this name.
pub fn domain(name: &str) -> Option<Domain> {
    domains().into_iter().find(|domain| domain.name == name)
}
