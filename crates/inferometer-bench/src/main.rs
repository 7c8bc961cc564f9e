//! What recording and scraping cost in Inferometer, and in the libraries that do the same: one run, one table.
//!
//! | for | see |
//! |---|---|
//! | which rows there are, and what is promised of each | `rows/table.rs` |
//! | how a row is measured | `measure.rs` for hot loops, `rows/` for the others |
//! | how a library is used | `libraries/`, one file each |
//! | what is made of the figures | `outcome.rs`, `document.rs` |

use std::{
    fs,
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result};
use clap::Parser as _;

use arguments::{Arguments, Hidden};
use document::Report;
use measure::Pace;
use progress::Progress;

mod arguments;
mod clock;
mod document;
mod instructions;
mod labels;
mod libraries;
mod machine;
mod measure;
mod outcome;
mod page;
mod process;
mod progress;
mod rows;
mod statistics;

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "inferometer-bench: error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    if let Some(Hidden::Job { json }) = &arguments.hidden {
        return Ok(writeln!(io::stdout(), "{}", process::answer(json)?)?);
    }
    let rows = arguments.rows()?;
    let pace = Pace {
        repetitions: arguments.repetitions(),
        each: Duration::from_millis(arguments.milliseconds.into()),
        quick: arguments.quick,
    };
    let progress = Progress::over(rows.len())?;
    let mut results = Vec::new();
    for row in rows {
        progress.row(row.name);
        let outcome = row
            .measure(pace, &progress)
            .with_context(|| format!("row {}", row.name))?;
        results.push((row, outcome));
        progress.next();
    }
    let instructions = if arguments.instructions {
        instructions::count(arguments.quick, &progress)?
    } else {
        Vec::new()
    };
    progress.end();
    let report = Report {
        results,
        instructions,
        repetitions: pace.repetitions,
        quick: arguments.quick,
    };
    let (goals, met) = report.score();
    let printed = if arguments.details {
        report.document()
    } else {
        report.table()
    };
    writeln!(io::stdout(), "{printed}\n{met} of {goals} targets met")?;
    if let Some(path) = &arguments.write {
        fs::write(path, report.document())
            .with_context(|| format!("can't write {}", path.display()))?;
    }
    Ok(())
}
