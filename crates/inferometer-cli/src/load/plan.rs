//! What a load is to be.

use std::{io, net::SocketAddr, time::Duration};

use super::{mix::Mix, prompts::Prompts, schedule::Arrivals, target::Target};

/// What decides when the next request is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// The clock: requests arrive at this rate whether or not earlier ones were answered, as users do.
    Open {
        /// Requests a second, on average.
        rate: f64,
        /// How they are spread.
        arrivals: Arrivals,
    },
    /// The server: each of so many connections sends its next request when it has its answer. Finds the top rate, and hides
    /// stalls: a stalled server is asked less.
    Closed {
        /// Requests always in flight.
        connections: usize,
    },
}

/// A load to put on a server.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server.
    pub target: Target,
    /// Whether the target may be another machine.
    pub allow_remote: bool,
    /// The model to ask for; `None` takes the first that the server lists.
    pub model: Option<String>,
    /// What decides when requests are sent.
    pub pace: Pace,
    /// For how long; `None` goes on until stopped.
    pub duration: Option<Duration>,
    /// What kinds of request.
    pub mix: Mix,
    /// How many different sessions the session requests belong to.
    pub sessions: u32,
    /// What to ask.
    pub prompts: Prompts,
    /// Equal seeds give the same requests at the same instants.
    pub seed: u64,
    /// The most requests in flight; arrivals beyond it are counted as not sent.
    pub max_in_flight: usize,
    /// How long a request waits for the end of its answer.
    pub timeout: Duration,
}

impl Plan {
    /// A light load on `target` that goes on until stopped: two requests a second.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            allow_remote: false,
            model: None,
            pace: Pace::Open {
                rate: 2.0,
                arrivals: Arrivals::Poisson,
            },
            duration: None,
            mix: Mix::default(),
            sessions: 16,
            prompts: Prompts::default(),
            seed: 1,
            max_in_flight: 1024,
            timeout: Duration::from_secs(60),
        }
    }

    /// The addresses to connect to.
    ///
    /// # Errors
    ///
    /// When the plan can't be carried out: see [`LoadError`].
    pub(crate) fn check(&self) -> Result<Vec<SocketAddr>, LoadError> {
        let refuse = |what: &str| Err(LoadError::Plan(what.into()));
        match self.pace {
            Pace::Open { rate, .. } if !(rate > 0.0 && rate <= 1e6) => {
                return refuse("the rate must be above 0 and at most 1000000 requests a second");
            }
            Pace::Closed { connections: 0 } => {
                return refuse("a closed loop needs at least one connection");
            }
            Pace::Open { .. } | Pace::Closed { .. } => {}
        }
        if self.max_in_flight == 0 {
            return refuse("at least one request must be allowed in flight");
        }
        if self.timeout.is_zero() {
            return refuse("the time limit of a request must be above 0");
        }
        let addresses = self.target.resolve().and_then(|addresses| {
            let none = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            (!addresses.is_empty())
                .then_some(addresses)
                .ok_or_else(none)
        });
        let addresses = addresses.map_err(|source| LoadError::Resolve {
            target: self.target.clone(),
            source,
        })?;
        let remote = addresses
            .iter()
            .find(|address| !address.ip().to_canonical().is_loopback());
        match remote {
            Some(&address) if !self.allow_remote => Err(LoadError::Remote {
                target: self.target.clone(),
                address,
            }),
            _ => Ok(addresses),
        }
    }
}

/// Why a load could not be run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The plan contradicts itself.
    #[error("the load can't be run as asked: {0}")]
    Plan(String),
    /// The target's name leads nowhere.
    #[error("can't resolve {target}; check the host's name")]
    Resolve {
        /// The target.
        target: Target,
        /// What the resolver said.
        source: io::Error,
    },
    /// The target is another machine and the plan doesn't allow it.
    #[error(
        "{target} is not this machine ({address}), and a load can take a service down for the people who use it; \
         give --allow-remote if it is yours to load"
    )]
    Remote {
        /// The target.
        target: Target,
        /// The address that is not loopback.
        address: SocketAddr,
    },
    /// The server lists no model.
    #[error(
        "asked {target}/v1/models which model to use: {reason}; start a server \
         (`inferometer serve orchestrator`), point --target at it, or name the model with --model"
    )]
    NoModel {
        /// The target.
        target: Target,
        /// What came back.
        reason: String,
    },
    /// A thread or its runtime could not be started.
    #[error(
        "can't start the thread that sends the requests; the machine may be out of threads or file descriptors"
    )]
    Thread(#[source] io::Error),
    /// The load's own thread panicked.
    #[error("the load ended with a bug of its own; please report it, with the command line")]
    Panicked,
}
