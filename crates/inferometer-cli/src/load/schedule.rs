//! When requests arrive, decided before anything is sent.

use std::{f64::consts::TAU, fmt, str::FromStr, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use rand_distr::{Distribution, Exp1};
use serde::Serialize;

use super::{
    mix::{Kind, Mix},
    prompts::{BAD_VARIANTS, Prompts},
};

/// The share of each second in which all arrivals of a bursty load fall.
const BURST_SHARE: f64 = 0.1;

/// How arrivals are spread over time, at the same mean rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrivals {
    /// Evenly, like a metronome.
    Constant,
    /// Independently of each other, as many users together do.
    #[default]
    Poisson,
    /// Independently, but all within the first tenth of each second.
    Burst,
}

impl Arrivals {
    /// The name that the command line and a report give it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Poisson => "poisson",
            Self::Burst => "burst",
        }
    }
}

impl fmt::Display for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Arrivals {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Constant, Self::Poisson, Self::Burst]
            .into_iter()
            .find(|arrivals| arrivals.name() == text)
            .ok_or_else(|| {
                format!("no arrivals are called `{text}`; known are constant, poisson, burst")
            })
    }
}

/// One request to send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Arrival {
    /// When, from the start of the load.
    pub(crate) at: Duration,
    pub(crate) order: Order,
}

/// What a request is to be, apart from when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Order {
    pub(crate) kind: Kind,
    pub(crate) prompt: usize,
    pub(crate) session: u32,
    /// How long a leaving client stays.
    pub(crate) patience: Duration,
    /// After how many pieces of the answer a leaving client goes at the latest.
    pub(crate) pieces: u32,
}

/// An endless stream of orders; equal seeds give equal orders.
#[derive(Debug)]
pub(crate) struct Orders {
    rng: StdRng,
    mix: Mix,
    prompts: usize,
    sessions: u32,
}

impl Orders {
    pub(crate) fn new(seed: u64, mix: Mix, prompts: &Prompts, sessions: u32) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            mix,
            prompts: prompts.len(),
            sessions,
        }
    }

    pub(crate) fn next(&mut self) -> Order {
        let kind = self.mix.draw(&mut self.rng);
        // Invalid requests take their variant from it: every one must come up with a single prompt too.
        let prompt = self.rng.random_range(0..self.prompts * BAD_VARIANTS);
        // Most people who leave do so soon: an exponential stay with a mean of a quarter second.
        let stay: f64 = Exp1.sample(&mut self.rng);
        Order {
            kind,
            prompt,
            session: self.rng.random_range(0..self.sessions.max(1)),
            patience: Duration::from_secs_f64(0.25 * stay),
            pieces: self.rng.random_range(1..=8),
        }
    }
}

/// The instants of an open-loop load; equal seeds give equal instants.
#[derive(Debug)]
pub(crate) struct Schedule {
    rng: StdRng,
    arrivals: Arrivals,
    /// Requests a second.
    rate: f64,
    /// How many have arrived so far.
    count: u32,
    /// Seconds from the start to the latest arrival, before bursts are squeezed.
    clock: f64,
}

impl Schedule {
    pub(crate) fn new(seed: u64, arrivals: Arrivals, rate: f64) -> Self {
        // The orders have the seed itself: a change of the mix leaves the instants as they were.
        let rng = StdRng::seed_from_u64(seed ^ TAU.to_bits());
        Self {
            rng,
            arrivals,
            rate,
            count: 0,
            clock: 0.0,
        }
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let seconds = match self.arrivals {
            Arrivals::Constant => f64::from(self.count) / self.rate,
            Arrivals::Poisson | Arrivals::Burst => {
                let gap: f64 = Exp1.sample(&mut self.rng);
                self.clock += gap / self.rate;
                if self.arrivals == Arrivals::Burst {
                    self.clock.floor() + self.clock.fract() * BURST_SHARE
                } else {
                    self.clock
                }
            }
        };
        self.count = self.count.checked_add(1)?;
        Some(Duration::from_secs_f64(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(arrivals: Arrivals, rate: f64, count: usize) -> Vec<f64> {
        Schedule::new(1, arrivals, rate)
            .take(count)
            .map(|at| at.as_secs_f64())
            .collect()
    }

    #[test]
    fn constant_arrivals_keep_their_pace_without_drift() {
        let at = seconds(Arrivals::Constant, 3.0, 3001);
        assert_eq!(at[0], 0.0);
        assert!((at[3000] - 1000.0).abs() < 1e-6);
    }

    #[test]
    fn poisson_arrivals_have_exponential_gaps() {
        let at = seconds(Arrivals::Poisson, 50.0, 20_000);
        assert!((at[19_999] - 400.0).abs() < 15.0, "{}", at[19_999]);
        let gaps: Vec<f64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let above_mean = gaps.iter().filter(|&&gap| gap > 1.0 / 50.0).count();
        // A share of 1/e of exponential gaps is longer than their mean.
        assert!((6_900..7_800).contains(&above_mean), "{above_mean}");
    }

    #[test]
    fn bursts_fill_the_first_tenth_of_each_second_at_the_same_mean_rate() {
        let at = seconds(Arrivals::Burst, 50.0, 20_000);
        assert!(at.iter().all(|second| second.fract() <= 0.1 + 1e-9));
        assert!((at[19_999] - 400.0).abs() < 15.0);
        assert!(at.is_sorted());
    }

    #[test]
    fn equal_seeds_give_equal_loads_and_others_do_not() {
        let orders = |seed| {
            let mut orders = Orders::new(seed, Mix::default(), &Prompts::default(), 5);
            (0..100).map(|_| orders.next()).collect::<Vec<_>>()
        };
        assert_eq!(orders(3), orders(3));
        assert_ne!(orders(3), orders(4));
        assert_eq!(
            seconds(Arrivals::Poisson, 9.0, 50),
            seconds(Arrivals::Poisson, 9.0, 50)
        );
    }
}
