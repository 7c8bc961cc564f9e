//! A scrape of many series that rest.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};

use crate::{
    labels::Size,
    libraries::{ALL, Format, OURS, Set, Shape},
    measure::{Contender, Pace, compare},
    outcome::{Outcome, Unit},
    page::Totals,
    progress::Progress,
};

/// The shape of 1,000 counters, or of as many hundred thousands.
pub(super) fn counters_of(series: usize) -> Shape {
    let (size, families) = if series <= Size::Thousand.series() {
        (Size::Thousand, 1)
    } else {
        (
            Size::HundredThousand,
            series / Size::HundredThousand.series(),
        )
    };
    Shape {
        counters: Some((size, families)),
        ..Shape::default()
    }
}

/// What is counted on the series at `at`: numbers of one to six digits.
pub(super) fn amount(at: usize) -> u64 {
    (at as u64).wrapping_mul(7_919) % 999_983 + 1
}

/// Holds the counters of a page to what [`amount`] says of each.
pub(super) fn check_counters(totals: &Totals, shape: Shape) -> Result<()> {
    let (size, families) = shape.counters.unwrap_or((Size::Thousand, 0));
    for family in 0..families {
        let first = family * size.series();
        let sum: u64 = (first..first + size.series()).map(amount).sum();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        totals.expect(&format!("bench_{family}"), size.series(), sum as f64)?;
    }
    Ok(())
}

pub(super) fn counters(format: Format, pace: Pace, progress: &Progress) -> Result<Outcome> {
    let series = if pace.quick { 1_000 } else { 100_000 };
    let shape = counters_of(series);
    scrapes(
        shape,
        format,
        pace,
        progress,
        |set| (0..series).for_each(|at| set.count(at, amount(at))),
        move |totals| check_counters(totals, shape),
    )
}

pub(super) fn histograms(format: Format, pace: Pace, progress: &Progress) -> Result<Outcome> {
    let shape = Shape {
        histograms: Some(Size::Thousand),
        ..Shape::default()
    };
    let series = Size::Thousand.series();
    let values = crate::labels::durations();
    // Every bucket of every series has something in it.
    let each = 50;
    let value = move |series: usize, at: usize| values[(series + at * 20) % values.len()];
    scrapes(
        shape,
        format,
        pace,
        progress,
        |set| {
            for at in 0..series {
                (0..each).for_each(|nth| set.observe(at, value(at, nth)));
            }
        },
        move |totals| {
            let count = f64::from(u32::try_from(series * each)?);
            totals.expect("bench_seconds_count", series, count)?;
            totals.expect("bench_seconds_bucket +Inf", series, count)?;
            let sum: f64 = (0..series)
                .flat_map(|at| (0..each).map(move |nth| value(at, nth)))
                .sum();
            let shown = totals.named("bench_seconds_sum").sum;
            ensure!(
                (shown - sum).abs() <= sum * 1e-9,
                "the sums add up to {shown}; observed were {sum}"
            );
            Ok(())
        },
    )
}

fn scrapes(
    shape: Shape,
    format: Format,
    pace: Pace,
    progress: &Progress,
    fill: impl Fn(&dyn Set),
    check: impl Fn(&Totals) -> Result<()> + Clone + Send + Sync + 'static,
) -> Result<Outcome> {
    let mut contenders = Vec::new();
    let mut bodies = Vec::new();
    for library in ALL {
        progress.doing(&format!("filling {}", library.name()));
        let Some(set) = library.set(shape)? else {
            continue;
        };
        let page = Arc::new(Mutex::new(Vec::new()));
        fill(&*set);
        if !set.scrape(format, &mut lock(&page))? {
            continue;
        }
        bodies.push(format!(
            "{} {:.1} MB",
            library.name(),
            bytes(lock(&page).len() as u64) / 1e6
        ));
        let (written, check) = (Arc::clone(&page), check.clone());
        contenders.push(Contender {
            library: library.name(),
            threads: 1,
            quick: 1,
            before: Vec::new(),
            run: Box::new(move |share| {
                let mut page = lock(&page);
                for _ in 0..share.operations {
                    // An error leaves no page, which the check finds.
                    if set.scrape(format, &mut page).is_err() {
                        page.clear();
                    }
                }
            }),
            check: Box::new(move |_| check(&Totals::of(&lock(&written), format)?)),
        });
    }
    let samples = compare(&contenders, pace, progress)?;
    let mut outcome = Outcome::of(Unit::Milliseconds, samples);
    if outcome.ours().is_none() {
        outcome
            .notes
            .push(format!("this build of {OURS} has no such format"));
    }
    outcome.notes.push(format!("pages: {}", bodies.join(", ")));
    if format == Format::Protobuf {
        outcome.notes.push(
            "prometheus-client and metrics-exporter-prometheus have protobuf too, behind a protobuf compiler at build time; in a run of \
             its own the first took 93 ms where fastmetrics took 66 ms, the second wasn't tried"
                .to_owned(),
        );
    }
    Ok(outcome)
}

fn lock(page: &Mutex<Vec<u8>>) -> std::sync::MutexGuard<'_, Vec<u8>> {
    page.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub(super) fn bytes(count: u64) -> f64 {
    count as f64
}
