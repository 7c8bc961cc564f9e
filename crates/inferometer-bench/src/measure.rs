//! The measuring itself: every library does a share, then every library the next one, and each is held to what it has recorded.

use std::{thread, time::Duration};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::{
    clock::{Spent, together},
    labels::INPUTS,
    libraries::{OURS, Run, Share},
    progress::Progress,
};

/// How often and how long.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Pace {
    pub(crate) repetitions: usize,
    /// How long each repetition of each library should take.
    pub(crate) each: Duration,
    /// The smallest sizes that still show that everything works.
    pub(crate) quick: bool,
}

impl Pace {
    /// The same number of repetitions in all, in up to `most` parts.
    pub(crate) fn rounds(self, most: usize) -> impl Iterator<Item = Self> {
        let parts = most.clamp(1, self.repetitions.max(1));
        (0..parts).map(move |part| Self {
            repetitions: self.repetitions / parts + usize::from(part < self.repetitions % parts),
            ..self
        })
    }

    /// For what starts a process each time: enough to see a spread.
    pub(crate) fn few(self) -> Self {
        Self {
            repetitions: self.repetitions.min(3),
            ..self
        }
    }
}

/// What one library took, repetition by repetition, in the unit of its row.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Samples {
    pub(crate) library: String,
    pub(crate) values: Vec<f64>,
    /// Time on the wall for one operation of any thread, where several threads worked.
    #[serde(default)]
    pub(crate) wall: Vec<f64>,
    /// In how many repetitions other programs kept the threads apart.
    #[serde(default)]
    pub(crate) disturbed: usize,
    /// What it lost or invented. Such a library is out of its row.
    #[serde(default)]
    pub(crate) wrong: Vec<String>,
}

impl Samples {
    pub(crate) fn of(library: &str, values: Vec<f64>) -> Self {
        Self {
            library: library.to_owned(),
            values,
            wall: Vec::new(),
            disturbed: 0,
            wrong: Vec::new(),
        }
    }

    /// Goes on with what `other` measured of the same library.
    pub(crate) fn append(&mut self, other: Self) {
        self.values.extend(other.values);
        self.wall.extend(other.wall);
        self.disturbed += other.disturbed;
        self.wrong.extend(other.wrong);
    }
}

/// Holds what a library shows to the shares it was given.
type Check = Box<dyn Fn(&[Share]) -> Result<()> + Send + Sync>;

/// A library's part in a row.
pub(crate) struct Contender {
    pub(crate) library: &'static str,
    pub(crate) threads: usize,
    /// How many operations of each thread show that it works.
    pub(crate) quick: u64,
    /// What was recorded on it beforehand.
    pub(crate) before: Vec<Share>,
    pub(crate) run: Run,
    /// Whether what the library shows agrees with all shares done.
    pub(crate) check: Check,
}

/// A contender at work.
struct Lane<'a> {
    contender: &'a Contender,
    /// Of each thread in each repetition.
    operations: u64,
    done: Vec<Share>,
    samples: Samples,
}

impl Lane<'_> {
    fn share(&mut self) -> Spent {
        let threads = self.contender.threads;
        let share = |thread: usize| Share {
            operations: self.operations,
            offset: thread * INPUTS / threads,
        };
        let spent = together(threads, |thread| (self.contender.run)(share(thread)));
        self.done.extend((0..threads).map(share));
        spent
    }

    /// Finds how many operations take as long as a repetition should. By processor time: a program that comes in between would make a
    /// few operations look long.
    fn calibrate(&mut self, pace: Pace) {
        if pace.quick {
            return;
        }
        let side_by_side = u32::try_from(self.contender.threads.min(cores())).unwrap_or(1);
        self.operations = 1;
        loop {
            let took = self.share().cpu / side_by_side;
            if took >= pace.each / 8 {
                let factor = pace.each.as_secs_f64() / took.as_secs_f64();
                self.operations = scaled(self.operations, factor).max(1);
                return;
            }
            // Small steps would spend more than the repetition itself.
            self.operations *= if took < pace.each / 64 { 8 } else { 2 };
        }
    }

    /// Whether the threads had less of the processors than an idle machine would have given them. What they do to each other shows
    /// only while they run side by side.
    #[expect(clippy::cast_precision_loss, reason = "a few threads")]
    fn disturbed(&self, spent: Spent) -> bool {
        let threads = self.contender.threads;
        let free = threads.min(cores()) as f64 / threads as f64;
        let ready = spent.wall.as_secs_f64() * threads as f64;
        threads > 1 && spent.queued.as_secs_f64() > ready * (1.0 - free + 0.1)
    }

    /// In nanoseconds.
    fn measure(&mut self, pace: Pace) {
        let mut spent = self.share();
        let mut disturbed = self.disturbed(spent);
        for _ in 0..if pace.quick { 0 } else { AGAIN } {
            if !disturbed {
                break;
            }
            let again = self.share();
            disturbed = self.disturbed(again);
            if again.queued < spent.queued {
                spent = again;
            }
        }
        self.samples.disturbed += usize::from(disturbed);
        let operations = self.operations * self.contender.threads as u64;
        self.samples.values.push(nanoseconds(spent.cpu, operations));
        if self.contender.threads > 1 {
            self.samples.wall.push(nanoseconds(spent.wall, operations));
        }
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of operations, positive and far below 2^53"
)]
fn scaled(operations: u64, factor: f64) -> u64 {
    (operations as f64 * factor) as u64
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn nanoseconds(spent: Duration, operations: u64) -> f64 {
    spent.as_secs_f64() * 1e9 / operations as f64
}

/// How often a repetition that was disturbed is tried again.
const AGAIN: usize = 4;

/// Measures every contender, one repetition after the other, and checks what each has recorded. Nanoseconds of processor time
/// for an operation, in the order of `contenders`.
///
/// A rival that lost or invented something is out of the row, and the document says so.
///
/// # Errors
/// Ours lost or invented something.
pub(crate) fn compare(
    contenders: &[Contender],
    pace: Pace,
    progress: &Progress,
) -> Result<Vec<Samples>> {
    let mut lanes: Vec<_> = contenders
        .iter()
        .map(|contender| Lane {
            contender,
            operations: contender.quick,
            done: contender.before.clone(),
            samples: Samples::of(contender.library, Vec::new()),
        })
        .collect();
    for lane in &mut lanes {
        progress.doing(lane.contender.library);
        lane.calibrate(pace);
    }
    for repetition in 1..=pace.repetitions {
        progress.doing(&format!("repetition {repetition} of {}", pace.repetitions));
        for lane in &mut lanes {
            lane.measure(pace);
        }
    }
    for lane in &mut lanes {
        let library = lane.contender.library;
        match (lane.contender.check)(&lane.done) {
            Err(error) if library == OURS => return Err(error.context("ours is wrong")),
            Err(error) => {
                let wrong = format!("{error:#}");
                progress.say(&format!("{library} is wrong: {wrong}"));
                lane.samples.wrong.push(wrong);
            }
            Ok(()) => {}
        }
    }
    Ok(lanes.into_iter().map(|lane| lane.samples).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    };

    use anyhow::ensure;

    use super::*;

    /// A counter that loses `lost` of its increments.
    fn contender(library: &'static str, lost: u64) -> Contender {
        let count = Arc::new(AtomicU64::new(0));
        let read = Arc::clone(&count);
        Contender {
            library,
            threads: 2,
            quick: 100,
            before: Vec::new(),
            run: Box::new(move |share| {
                count.fetch_add(share.operations - lost, Relaxed);
            }),
            check: Box::new(move |done| {
                let offered: u64 = done.iter().map(|share| share.operations).sum();
                ensure!(read.load(Relaxed) == offered, "a count was lost");
                Ok(())
            }),
        }
    }

    const PACE: Pace = Pace {
        repetitions: 3,
        each: Duration::from_millis(1),
        quick: true,
    };

    #[test]
    fn every_repetition_gives_a_sample_and_all_shares_are_checked() {
        let samples = compare(&[contender(OURS, 0)], PACE, &Progress::hidden()).unwrap();
        assert_eq!(samples[0].values.len(), 3);
        assert_eq!(samples[0].wall.len(), 3);
    }

    #[test]
    fn rounds_share_the_repetitions_without_a_rest() {
        let all = |repetitions, most| {
            let rounds = Pace {
                repetitions,
                ..PACE
            }
            .rounds(most);
            rounds.map(|pace| pace.repetitions).collect::<Vec<_>>()
        };
        assert_eq!(all(11, 3), [4, 4, 3]);
        assert_eq!(all(1, 3), [1]);
    }

    #[test]
    fn a_count_that_ours_loses_fails_the_run() {
        let error = compare(&[contender(OURS, 1)], PACE, &Progress::hidden()).unwrap_err();
        assert!(format!("{error:#}").contains("ours is wrong: a count was lost"));
    }

    #[test]
    fn a_count_that_a_rival_loses_is_said_of_it() {
        let contenders = [contender(OURS, 0), contender("rival", 1)];
        let samples = compare(&contenders, PACE, &Progress::hidden()).unwrap();
        assert_eq!(samples[0].wrong, Vec::<String>::new());
        assert_eq!(samples[1].wrong, ["a count was lost"]);
    }
}
