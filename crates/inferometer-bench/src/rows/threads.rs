//! A pool of many blocking threads, each of which has touched everything.

use std::{sync::Barrier, thread};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::{Job, apart, scrape::bytes};
use crate::{
    labels::Size,
    libraries::{Format, Shape, named},
    measure::Pace,
    outcome::{Outcome, Unit},
    page::Totals,
    process,
    progress::Progress,
};

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Threads {
    library: String,
    threads: usize,
}

/// Counters and histograms that each thread records on.
const COUNTERS: Size = Size::TenThousand;
const HISTOGRAMS: Size = Size::Thousand;

pub(super) fn measure(pace: Pace, progress: &Progress) -> Result<Outcome> {
    let threads = if pace.quick { 16 } else { 512 };
    let jobs = apart::libraries()?.into_iter().map(|library| {
        let job = Job::Threads(Threads {
            library: library.to_owned(),
            threads,
        });
        (library, job)
    });
    // A process fails when a total isn't exact, and so does the run when it is ours.
    let all = apart::each::<u64>(jobs.collect(), pace.few().repetitions, progress)?;
    let samples = all
        .iter()
        .map(|answers| answers.samples(|resident| bytes(*resident)))
        .collect();
    let mut outcome = Outcome::of(Unit::Megabytes, samples);
    outcome.facts = vec![("totals exact", true)];
    outcome
        .notes
        .push("the whole process, the stacks of its threads included".to_owned());
    Ok(outcome)
}

impl Threads {
    pub(super) fn run(&self) -> Result<u64> {
        let shape = Shape {
            counters: Some((COUNTERS, 1)),
            histograms: Some(HISTOGRAMS),
            open: None,
        };
        let Some(set) = named(&self.library)?.set(shape)? else {
            bail!("{} has no sets", self.library);
        };
        let (done, over) = (
            Barrier::new(self.threads + 1),
            Barrier::new(self.threads + 1),
        );
        let resident = thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| {
                    (0..COUNTERS.series()).for_each(|at| set.count(at, 1));
                    (0..HISTOGRAMS.series()).for_each(|at| set.observe(at, 0.25));
                    done.wait();
                    over.wait();
                });
            }
            done.wait();
            let resident = process::resident();
            over.wait();
            resident
        })?;
        let mut page = Vec::new();
        set.scrape(Format::Text, &mut page)?;
        let totals = Totals::of(&page, Format::Text)?;
        let threads = f64::from(u32::try_from(self.threads)?);
        let (counters, histograms) = (COUNTERS.series(), HISTOGRAMS.series());
        let all =
            |series: usize| -> Result<f64> { Ok(f64::from(u32::try_from(series)?) * threads) };
        totals.expect("bench_0", counters, all(counters)?)?;
        totals.expect("bench_seconds_count", histograms, all(histograms)?)?;
        totals.expect("bench_seconds_bucket +Inf", histograms, all(histograms)?)?;
        totals.expect("bench_seconds_sum", histograms, 0.25 * all(histograms)?)?;
        Ok(resident)
    }
}
