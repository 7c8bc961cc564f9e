//! One operation, over and over.

use anyhow::{Result, ensure};

use crate::{
    labels::{CLOSED, INPUTS, durations},
    libraries::{ALL, Library, NAME, Recording, Share, Task},
    measure::{Contender, Pace, Samples, compare},
    outcome::{Outcome, Unit},
    progress::Progress,
};

/// How often everything is built anew in between. Where its memory lies and how its hashes are seeded is a library's luck; a row
/// shouldn't hang on one throw.
const ROUNDS: usize = 3;

pub(super) fn measure(
    task: Task,
    threads: usize,
    pace: Pace,
    progress: &Progress,
) -> Result<Outcome> {
    let mut samples: Vec<Samples> = Vec::new();
    let mut own_base: Option<Samples> = None;
    for pace in pace.rounds(ROUNDS) {
        let mut contenders = Vec::new();
        for library in ALL {
            contenders.extend(contender(library, task, threads)?);
        }
        // Beside several threads of ours goes one, so that the factor between them is of the same moment.
        if threads > 1 {
            contenders.extend(contender(ALL[0], task, 1)?);
        }
        let mut round = compare(&contenders, pace, progress)?;
        if threads > 1
            && let Some(base) = round.pop()
        {
            match &mut own_base {
                Some(whole) => whole.append(base),
                None => own_base = Some(base),
            }
        }
        if samples.is_empty() {
            samples = round;
        } else {
            for (whole, part) in samples.iter_mut().zip(round) {
                whole.append(part);
            }
        }
    }
    let mut outcome = Outcome::of(Unit::Nanoseconds, samples);
    outcome.own_base = own_base;
    Ok(outcome)
}

/// A library's part, unless it has no such thing.
pub(super) fn contender(
    library: &'static dyn Library,
    task: Task,
    threads: usize,
) -> Result<Option<Contender>> {
    let Some(recording) = library.recording(task)? else {
        return Ok(None);
    };
    let recording = std::sync::Arc::new(recording);
    let read = std::sync::Arc::clone(&recording);
    Ok(Some(Contender {
        library: library.name(),
        threads,
        quick: 1_100,
        before: Vec::new(),
        run: Box::new(move |share| (recording.run)(share)),
        check: Box::new(move |done| check(task, &read, done)),
    }))
}

/// Holds what a scrape shows to the shares that were done.
pub(crate) fn check(task: Task, recording: &Recording, done: &[Share]) -> Result<()> {
    let totals = recording.totals()?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let operations = done.iter().map(|share| share.operations).sum::<u64>() as f64;
    let every_input = done.iter().any(|share| share.operations >= INPUTS as u64);
    let series = |all: usize| {
        if every_input {
            all
        } else {
            totals.named(NAME).series
        }
    };
    match task {
        Task::Counter | Task::AddGauge => totals.expect(NAME, 1, operations),
        Task::ClosedLabels => totals.expect(NAME, series(CLOSED), operations),
        Task::OneOpenLabel | Task::ThreeOpenLabels => {
            totals.expect(NAME, series(INPUTS), operations)
        }
        Task::Histogram => {
            totals.expect(&format!("{NAME}_bucket +Inf"), 1, operations)?;
            observed(&totals, operations, done)
        }
        Task::NativeHistogram => observed(&totals, operations, done),
        Task::SetGauge => {
            let last = done.last().map(|share| {
                let mut last = 0.0;
                Share {
                    operations: share.operations % INPUTS as u64 + INPUTS as u64,
                    ..*share
                }
                .cycle(durations(), |value| last = *value);
                last
            });
            totals.expect(NAME, 1, last.unwrap_or(0.0))
        }
    }
}

fn observed(totals: &crate::page::Totals, operations: f64, done: &[Share]) -> Result<()> {
    totals.expect(&format!("{NAME}_count"), 1, operations)?;
    let sum: f64 = done.iter().map(|share| share.sum(durations())).sum();
    let shown = totals.named(&format!("{NAME}_sum")).sum;
    // Exact as bits; a library may print fewer digits.
    ensure!(
        (shown - sum).abs() <= sum * 1e-12,
        "the sum is {shown}; observed were {sum}"
    );
    Ok(())
}
