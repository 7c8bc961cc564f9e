//! A page that is larger than any cache.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::{
    Job, apart,
    scrape::{amount, bytes, check_counters, counters_of},
};
use crate::{
    clock,
    libraries::{Format, named},
    measure::{Pace, Samples},
    outcome::{Outcome, Short, Unit},
    page::Totals,
    process,
    progress::Progress,
};

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Million {
    library: String,
    series: usize,
    scrapes: usize,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Scraped {
    /// Processor time of the first scrape, in nanoseconds.
    first: f64,
    /// Of each later one.
    later: Vec<f64>,
    body: u64,
    /// Of the whole process, the page in its memory.
    resident: u64,
}

pub(super) fn measure(pace: Pace, progress: &Progress) -> Result<Outcome> {
    let series = if pace.quick { 1_000 } else { 1_000_000 };
    let jobs = apart::libraries()?.into_iter().map(|library| {
        let job = Job::Million(Million {
            library: library.to_owned(),
            series,
            scrapes: pace.repetitions.min(5),
        });
        (library, job)
    });
    let all = apart::each::<Scraped>(jobs.collect(), 1, progress)?;
    let mut samples = Vec::new();
    let mut notes = Vec::new();
    let mut facts = Vec::new();
    for answers in &all {
        let Some(scraped) = answers.answers.first() else {
            continue;
        };
        let megabytes = |count| bytes(count) / Unit::Megabytes.size();
        let (body, resident) = (megabytes(scraped.body), megabytes(scraped.resident));
        notes.push(format!(
            "{}: first scrape {} ms, body {} MB, process {} MB",
            answers.library,
            Short(scraped.first / Unit::Milliseconds.size()),
            Short(body),
            Short(resident)
        ));
        if answers.are_ours() {
            facts.push(("memory ≤ 2× the body", resident <= 2.0 * body));
        }
        samples.push(Samples::of(answers.library, scraped.later.clone()));
    }
    let mut outcome = Outcome::of(Unit::Milliseconds, samples);
    outcome.facts = facts;
    outcome.notes = notes;
    Ok(outcome)
}

impl Million {
    pub(super) fn run(&self) -> Result<Scraped> {
        let shape = counters_of(self.series);
        let Some(set) = named(&self.library)?.set(shape)? else {
            bail!("{} has no sets", self.library);
        };
        (0..self.series).for_each(|at| set.count(at, amount(at)));
        let mut page = Vec::new();
        let mut took = Vec::new();
        for _ in 0..=self.scrapes {
            let (done, spent) = clock::here(|| set.scrape(Format::Text, &mut page));
            done?;
            took.push(spent.cpu.as_secs_f64() * 1e9);
        }
        let resident = process::resident()?;
        check_counters(&Totals::of(&page, Format::Text)?, shape)?;
        Ok(Scraped {
            first: took.remove(0),
            later: took,
            body: page.len() as u64,
            resident,
        })
    }
}
