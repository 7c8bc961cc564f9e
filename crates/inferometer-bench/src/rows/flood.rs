//! Values without end in one open label.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::{Job, apart, scrape::bytes};
use crate::{
    clock,
    libraries::{Format, Open, Shape, named},
    measure::Pace,
    outcome::{Outcome, Short, Unit},
    page::Totals,
    process,
    progress::Progress,
};

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Flood {
    library: String,
    values: usize,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Flooded {
    series: usize,
    /// What is said to have become `other`, where the library says so.
    dropped: f64,
    /// The most that was ever resident, in bytes, before the scrape.
    resident: u64,
    /// Processor time of a value, in nanoseconds.
    each: f64,
}

pub(super) fn measure(pace: Pace, progress: &Progress) -> Result<Outcome> {
    let values = if pace.quick { 3_000 } else { 1_000_000 };
    let jobs = apart::libraries()?.into_iter().map(|library| {
        let job = Job::Flood(Flood {
            library: library.to_owned(),
            values,
        });
        (library, job)
    });
    let all = apart::each::<Flooded>(jobs.collect(), pace.few().repetitions, progress)?;
    let mut notes = Vec::new();
    let mut facts = Vec::new();
    for answers in &all {
        if let Some(flooded) = answers.answers.first() {
            notes.push(format!(
                "{}: {} series, {} ns a value",
                answers.library,
                flooded.series,
                Short(flooded.each)
            ));
        }
        if answers.are_ours() {
            let limit = inferometer::DEFAULT_LIMIT;
            let beyond = f64::from(u32::try_from(values - limit)?);
            let all = |holds: &dyn Fn(&Flooded) -> bool| answers.answers.iter().all(holds);
            facts = vec![
                ("cap held", all(&|flooded| flooded.series == limit + 1)),
                (
                    "drop count exact",
                    all(&|flooded| flooded.dropped == beyond),
                ),
            ];
        }
    }
    let samples = all
        .iter()
        .map(|answers| answers.samples(|flooded| bytes(flooded.resident)))
        .collect();
    let mut outcome = Outcome::of(Unit::Megabytes, samples);
    outcome.facts = facts;
    outcome.notes = notes;
    Ok(outcome)
}

impl Flood {
    pub(super) fn run(&self) -> Result<Flooded> {
        let shape = Shape {
            open: Some(Open::Default),
            ..Shape::default()
        };
        let Some(set) = named(&self.library)?.set(shape)? else {
            bail!("{} has no sets", self.library);
        };
        let (_, spent) = clock::here(|| {
            let mut text = String::new();
            for at in 0..self.values {
                text.clear();
                // Writing into a String can't fail.
                let _ = std::fmt::Write::write_fmt(&mut text, format_args!("customer-{at:07}"));
                set.count_open(&text);
            }
        });
        let resident = process::most_resident()?;
        let mut page = Vec::new();
        set.scrape(Format::Text, &mut page)?;
        let totals = Totals::of(&page, Format::Text)?;
        let counted = totals.named("bench_open");
        let offered = u32::try_from(self.values)?;
        if counted.sum != f64::from(offered) {
            bail!("the page shows {} of {offered} recordings", counted.sum);
        }
        Ok(Flooded {
            series: counted.series,
            dropped: totals.named("inferometer_label_values_dropped").sum,
            resident,
            each: spent.cpu.as_secs_f64() * 1e9 / f64::from(offered),
        })
    }
}
