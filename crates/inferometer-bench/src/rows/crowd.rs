//! More threads than there are shards for threads of their own.

use std::{sync::mpsc, thread};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{Job, hot};
use crate::{
    libraries::{ALL, Share, Task},
    measure::{Pace, Samples, compare},
    outcome::{Outcome, Unit},
    process,
    progress::Progress,
};

/// How many threads hold a shard while the others record.
const HOLDERS: usize = 2;

/// What a holder records, to get its shard.
const HELD: Share = Share {
    operations: 1,
    offset: 0,
};

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Crowd {
    task: Task,
    threads: usize,
    pace: Pace,
}

pub(super) fn measure(task: Task, threads: usize, pace: Pace) -> Result<Outcome> {
    // Shards are of the process, so this takes one of its own.
    let samples: Vec<Samples> = process::apart(&Job::Crowd(Crowd {
        task,
        threads,
        pace,
    }))?;
    let mut outcome = Outcome::of(Unit::Nanoseconds, samples);
    outcome.notes.push(format!(
        "{HOLDERS} idle threads hold our {HOLDERS} thread-owned shards; the {threads} that record share stripes of atomics"
    ));
    Ok(outcome)
}

impl Crowd {
    pub(super) fn run(&self) -> Result<Vec<Samples>> {
        inferometer::set_thread_shards(HOLDERS);
        let mut contenders = Vec::new();
        for library in ALL {
            contenders.extend(hot::contender(library, self.task, self.threads)?);
        }
        contenders[0].before = vec![HELD; HOLDERS];
        let ours = &contenders[0].run;
        thread::scope(|scope| {
            // A holder lives until this end of its channel is gone, however that comes about.
            let mut alive = Vec::new();
            let (took, taken) = mpsc::channel();
            for _ in 0..HOLDERS {
                let (end, ended) = mpsc::channel::<()>();
                let took = took.clone();
                alive.push(end);
                scope.spawn(move || {
                    ours(HELD);
                    let _ = took.send(());
                    let _ = ended.recv();
                });
            }
            drop(took);
            taken.iter().take(HOLDERS).for_each(drop);
            compare(&contenders, self.pace, &Progress::hidden())
        })
    }
}
