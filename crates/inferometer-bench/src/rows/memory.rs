//! What a series keeps resident.

use std::{
    sync::{Barrier, OnceLock},
    thread,
};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::{Job, apart, scrape};
use crate::{
    labels::{Size, durations},
    libraries::{Format, Set, Shape, named},
    measure::Pace,
    outcome::{Outcome, Unit},
    page::Totals,
    process,
    progress::Progress,
    statistics::Spread,
};

/// Which series.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) enum Kind {
    Counters,
    Histograms,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Memory {
    library: String,
    kind: Kind,
    series: usize,
    threads: usize,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Resident {
    /// For each series, once every thread has recorded on it.
    recorded: f64,
    /// The same after a scrape, the page dropped.
    scraped: f64,
}

pub(super) fn measure(
    kind: Kind,
    threads: usize,
    pace: Pace,
    progress: &Progress,
) -> Result<Outcome> {
    let series = match (kind, pace.quick) {
        (_, true) => 1_000,
        (Kind::Counters, false) => 100_000,
        (Kind::Histograms, false) => 10_000,
    };
    let jobs = apart::libraries()?.into_iter().map(|library| {
        let job = Job::Memory(Memory {
            library: library.to_owned(),
            kind,
            series,
            threads,
        });
        (library, job)
    });
    let all = apart::each::<Resident>(jobs.collect(), pace.few().repetitions, progress)?;
    let before_scrape: Vec<_> = all
        .iter()
        .filter_map(|answers| {
            let recorded: Vec<_> = answers.answers.iter().map(|one| one.recorded).collect();
            let spread = Spread::of(&recorded)?;
            Some(format!("{} {:.0}", answers.library, spread.median))
        })
        .collect();
    let samples = all
        .iter()
        .map(|answers| answers.samples(|one| one.scraped))
        .collect();
    let mut outcome = Outcome::of(Unit::Bytes, samples);
    outcome.notes.push(format!(
        "resident after a scrape whose page is dropped; before it: {}",
        before_scrape.join(", ")
    ));
    Ok(outcome)
}

impl Memory {
    fn shape(&self) -> Shape {
        match self.kind {
            Kind::Counters => scrape::counters_of(self.series),
            Kind::Histograms => Shape {
                histograms: Some(if self.series == Size::Thousand.series() {
                    Size::Thousand
                } else {
                    Size::TenThousand
                }),
                ..Shape::default()
            },
        }
    }

    fn record(&self, set: &dyn Set) {
        for at in 0..self.series {
            match self.kind {
                Kind::Counters => set.count(at, 1),
                Kind::Histograms => set.observe(at, durations()[at % durations().len()]),
            }
        }
    }

    pub(super) fn run(&self) -> Result<Resident> {
        let library = named(&self.library)?;
        // What a thread and a registry cost by themselves is there before the first reading.
        let small = Shape {
            counters: Some((Size::Thousand, 1)),
            histograms: Some(Size::Thousand),
            open: None,
        };
        let Some(warm) = library.set(small)? else {
            bail!("{} has no sets", self.library);
        };
        let (ready, gate, done) = (
            Barrier::new(self.threads + 1),
            Barrier::new(self.threads + 1),
            Barrier::new(self.threads + 1),
        );
        let made: OnceLock<Result<Option<Box<dyn Set>>>> = OnceLock::new();
        thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| {
                    warm.count(0, 1);
                    warm.observe(0, 1.0);
                    ready.wait();
                    gate.wait();
                    if let Some(Ok(Some(set))) = made.get() {
                        self.record(&**set);
                    }
                    done.wait();
                    // Alive, with all it has, until the readings are taken.
                    gate.wait();
                });
            }
            ready.wait();
            let before = process::resident();
            let set = made.get_or_init(|| library.set(self.shape()));
            gate.wait();
            done.wait();
            let recorded = process::resident();
            let checked = match set {
                Ok(Some(set)) => self.check(&**set),
                Ok(None) => Ok(()),
                Err(error) => Err(anyhow::anyhow!("{error:#}")),
            };
            let scraped = process::resident();
            gate.wait();
            checked?;
            let (before, recorded, scraped) = (before?, recorded?, scraped?);
            Ok(Resident {
                recorded: self.each(before, recorded),
                scraped: self.each(before, scraped),
            })
        })
    }

    fn each(&self, before: u64, after: u64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let (grown, series) = (after.saturating_sub(before) as f64, self.series as f64);
        grown / series
    }

    fn check(&self, set: &dyn Set) -> Result<()> {
        let mut page = Vec::new();
        set.scrape(Format::Text, &mut page)?;
        let totals = Totals::of(&page, Format::Text)?;
        let all = f64::from(u32::try_from(self.series * self.threads)?);
        match self.kind {
            Kind::Counters => {
                let (size, families) = self.shape().counters.unwrap_or((Size::Thousand, 0));
                let each = f64::from(u32::try_from(size.series() * self.threads)?);
                for family in 0..families {
                    totals.expect(&format!("bench_{family}"), size.series(), each)?;
                }
                Ok(())
            }
            Kind::Histograms => totals.expect("bench_seconds_count", self.series, all),
        }
    }
}
