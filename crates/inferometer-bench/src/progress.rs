//! What is being measured, on a terminal.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

/// A line on standard error that says which row and library are at work; nothing when that isn't a terminal.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn over(rows: usize) -> Result<Self> {
        let style =
            ProgressStyle::with_template("{elapsed:>4} {bar:20} {pos}/{len} {prefix}: {wide_msg}")?;
        let bar = ProgressBar::new(rows as u64).with_style(style);
        bar.enable_steady_tick(Duration::from_secs(1));
        Ok(Self(bar))
    }

    pub(crate) fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    pub(crate) fn row(&self, name: &str) {
        self.0.set_prefix(name.to_owned());
        self.0.set_message("");
    }

    pub(crate) fn doing(&self, what: &str) {
        self.0.set_message(what.to_owned());
    }

    /// A line that stays.
    pub(crate) fn say(&self, what: &str) {
        self.0.suspend(|| {
            let _ = writeln!(io::stderr(), "inferometer-bench: {what}");
        });
    }

    pub(crate) fn next(&self) {
        self.0.inc(1);
    }

    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }
}
