//! Rows whose libraries each need a process of their own.

use anyhow::Result;
use serde::de::DeserializeOwned;

use super::Job;
use crate::{
    libraries::{ALL, OURS, Shape},
    measure::Samples,
    process,
    progress::Progress,
};

/// What a library's processes have answered.
pub(super) struct Answers<T> {
    pub(super) library: &'static str,
    pub(super) answers: Vec<T>,
    wrong: Vec<String>,
}

impl<T> Answers<T> {
    pub(super) fn samples(&self, values: impl Fn(&T) -> f64) -> Samples {
        Samples {
            wrong: self.wrong.clone(),
            ..Samples::of(self.library, self.answers.iter().map(values).collect())
        }
    }

    pub(super) fn are_ours(&self) -> bool {
        self.library == OURS
    }
}

/// The libraries that have sets.
pub(super) fn libraries() -> Result<Vec<&'static str>> {
    let mut names = Vec::new();
    for library in ALL {
        if library.set(Shape::default())?.is_some() {
            names.push(library.name());
        }
    }
    Ok(names)
}

/// Does each job in a process apart, one after the other, and then all of them again. A rival that fails is out of the row, and the
/// document says why.
///
/// # Errors
/// Ours failed.
pub(super) fn each<T: DeserializeOwned>(
    jobs: Vec<(&'static str, Job)>,
    repetitions: usize,
    progress: &Progress,
) -> Result<Vec<Answers<T>>> {
    let mut all: Vec<_> = jobs
        .into_iter()
        .map(|(library, job)| {
            let answers = Answers {
                library,
                answers: Vec::new(),
                wrong: Vec::new(),
            };
            (job, answers)
        })
        .collect();
    for repetition in 1..=repetitions {
        for (job, answers) in &mut all {
            if !answers.wrong.is_empty() {
                continue;
            }
            let library = answers.library;
            progress.doing(&format!("{library}, {repetition} of {repetitions}"));
            match process::apart(job) {
                Ok(answer) => answers.answers.push(answer),
                Err(error) if library == OURS => return Err(error.context("ours is wrong")),
                Err(error) => {
                    let wrong = format!("{error:#}");
                    progress.say(&format!("{library} is wrong: {wrong}"));
                    answers.wrong.push(wrong);
                }
            }
        }
    }
    Ok(all.into_iter().map(|(_, answers)| answers).collect())
}
