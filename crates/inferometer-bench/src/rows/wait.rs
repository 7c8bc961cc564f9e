//! How long a writer can be held up by a scraper.

use std::{
    hint::{black_box, spin_loop},
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::{
    labels::{INPUTS, open},
    libraries::{Format, OURS, Open, Set, Shape, named},
    measure::Pace,
    outcome::{Outcome, Short, Unit},
    page::Totals,
    process,
    progress::Progress,
    rows::{Job, apart},
    statistics::Spread,
};

/// What runs beside the writer.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
enum Beside {
    Scraper,
    /// A thread that only burns its processor: what a scraper costs a writer that shares nothing with it.
    Spinner,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Wait {
    library: String,
    beside: Beside,
    millis: u64,
    /// In the family that the writer looks up in.
    series: usize,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Waited {
    /// The longest operation, in nanoseconds.
    longest: f64,
    /// The operation that 9,999 of 10,000 don't exceed.
    most: f64,
    /// How often the writer gave up its processor.
    locks: u64,
    operations: u64,
    scrapes: u64,
    appeared: u64,
}

/// How often a new series appears.
const EVERY: Duration = Duration::from_millis(2);

pub(super) fn measure(pace: Pace, progress: &Progress) -> Result<Outcome> {
    let series = if pace.quick { 1_200 } else { 100_000 };
    let job = |library: &str, beside| {
        Job::Wait(Wait {
            library: library.to_owned(),
            beside,
            millis: if pace.quick { 20 } else { 800 },
            series,
        })
    };
    // The control stands next to what it is the control of.
    let mut jobs = vec![(OURS, job(OURS, Beside::Spinner))];
    for library in apart::libraries()? {
        jobs.push((library, job(library, Beside::Scraper)));
    }
    let mut all = apart::each::<Waited>(jobs, pace.few().repetitions, progress)?;
    let control = all
        .remove(0)
        .samples(|waited| waited.longest / Unit::Microseconds.size());
    let mut notes = Vec::new();
    let mut locks = 0;
    for answers in &all {
        if answers.are_ours() {
            locks = answers.answers.iter().map(|waited| waited.locks).sum();
        }
        if let Some(waited) = answers.answers.first() {
            notes.push(format!(
                "{}: gave up its processor {} times in {} operations beside {} scrapes and {} new series, 99.99 % took ≤ {} µs",
                answers.library,
                waited.locks,
                waited.operations,
                waited.scrapes,
                waited.appeared,
                Short(waited.most / Unit::Microseconds.size()),
            ));
        }
    }
    let samples = all
        .iter()
        .map(|answers| answers.samples(|waited| waited.longest))
        .collect();
    let mut outcome = Outcome::of(Unit::Microseconds, samples);
    let ours = outcome.ours().and_then(|ours| Spread::of(&ours.values));
    if let (Some(ours), Some(control)) = (ours, Spread::of(&control.values)) {
        // The control's spread is the scheduler's doing alone; what stays within it can't be told from that.
        outcome.facts = vec![
            ("0 locks waited for", locks == 0),
            (
                "no longer than with an idle spinner for the scraper",
                ours.median <= control.most,
            ),
        ];
        notes.push(format!(
            "{OURS} beside an idle spinner: {} µs ({}..{})",
            Short(control.median),
            Short(control.least),
            Short(control.most)
        ));
    }
    outcome.notes = notes;
    Ok(outcome)
}

impl Wait {
    pub(super) fn run(&self) -> Result<Waited> {
        let shape = Shape {
            open: Some(Open::Wide),
            ..Shape::default()
        };
        let Some(set) = named(&self.library)?.set(shape)? else {
            bail!("{} has no sets", self.library);
        };
        let set = &*set;
        for [customer, ..] in open() {
            set.count_open(customer);
        }
        for at in INPUTS..self.series {
            set.count_open(&format!("other-{at}"));
        }
        let stop = AtomicBool::new(false);
        let scrapes = AtomicU64::new(0);
        let appeared = AtomicU64::new(0);
        thread::scope(|scope| {
            scope.spawn(|| match self.beside {
                Beside::Scraper => {
                    let mut page = Vec::new();
                    while !stop.load(Relaxed) {
                        if set.scrape(Format::Text, &mut page).is_err() {
                            return;
                        }
                        scrapes.fetch_add(1, Relaxed);
                    }
                }
                Beside::Spinner => {
                    while !stop.load(Relaxed) {
                        spin_loop();
                    }
                }
            });
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    thread::sleep(EVERY);
                    let at = appeared.fetch_add(1, Relaxed);
                    set.count_open(&format!("fresh-{at}"));
                }
            });
            let written = scope
                .spawn(|| write(set, Duration::from_millis(self.millis)))
                .join();
            stop.store(true, Relaxed);
            let Ok(written) = written else {
                bail!("the writer panicked");
            };
            written
        })
        .and_then(|mut waited| {
            waited.scrapes = scrapes.into_inner();
            waited.appeared = appeared.into_inner();
            let mut page = Vec::new();
            set.scrape(Format::Text, &mut page)?;
            let total = Totals::of(&page, Format::Text)?.named("bench_open");
            let recorded = waited.operations + self.series as u64 + waited.appeared;
            #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
            if total.sum != recorded as f64 {
                bail!("the page shows {} of {recorded} recordings", total.sum);
            }
            Ok(waited)
        })
    }
}

/// Writes for as long as that and keeps the longest operation.
fn write(set: &dyn Set, during: Duration) -> Result<Waited> {
    // By the power of two of nanoseconds that an operation took.
    let mut by_size = [0_u64; 64];
    let mut longest = Duration::ZERO;
    let mut operations = 0;
    let waits = process::waits()?;
    let start = Instant::now();
    let mut last = start;
    'writing: loop {
        for [customer, ..] in open() {
            set.count_open(black_box(customer));
            let now = Instant::now();
            let took = now - last;
            last = now;
            operations += 1;
            longest = longest.max(took);
            let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1);
            by_size[nanos.ilog2() as usize] += 1;
            if now - start >= during {
                break 'writing;
            }
        }
    }
    let waits = process::waits()? - waits;
    let mut seen = 0;
    let most = by_size
        .iter()
        .position(|count| {
            seen += count;
            seen * 10_000 >= operations * 9_999
        })
        .unwrap_or(0);
    Ok(Waited {
        longest: longest.as_secs_f64() * 1e9,
        most: 2.0_f64.powi(i32::try_from(most + 1)?),
        locks: waits,
        operations,
        scrapes: 0,
        appeared: 0,
    })
}
