//! Signs of life while something large is read.

use std::{
    borrow::Cow,
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// A spinner or bar on standard error where that is a terminal, two log lines where it isn't.
#[derive(Debug)]
pub struct Loading {
    what: String,
    started: Instant,
    bar: ProgressBar,
}

impl Loading {
    /// Begins; `bytes` is how much there is to read, where that is known.
    pub fn start(what: impl Into<String>, bytes: Option<u64>) -> Self {
        let what = what.into();
        let bar = if std::io::stderr().is_terminal() {
            bar(bytes)
        } else {
            tracing::info!(what, bytes, "loading");
            ProgressBar::hidden()
        };
        bar.set_message(what.clone());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self {
            what,
            started: Instant::now(),
            bar,
        }
    }

    /// Says what is being done now.
    pub fn step(&self, step: impl Into<Cow<'static, str>>) {
        self.bar
            .set_message(format!("{}: {}", self.what, step.into()));
    }

    /// Says how many bytes have been read since the start.
    pub fn read(&self, bytes: u64) {
        self.bar.set_position(bytes);
    }

    /// Ends well.
    pub fn done(self) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.bar.finish_and_clear();
        tracing::info!(what = self.what, seconds, "loaded");
    }
}

/// Ends, well or not: the line is cleared for whatever is said next.
impl Drop for Loading {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn bar(bytes: Option<u64>) -> ProgressBar {
    let (bar, template) = match bytes {
        Some(bytes) => (
            ProgressBar::new(bytes),
            "  {spinner} {msg} {wide_bar} {bytes}/{total_bytes}",
        ),
        None => (ProgressBar::new_spinner(), "  {spinner} {msg} {elapsed}"),
    };
    bar.with_style(
        ProgressStyle::with_template(template).expect("the template is a constant and well-formed"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loading_counts_bytes_and_ends_once() {
        let loading = Loading::start("a model", Some(100));
        loading.read(40);
        loading.step("weights");
        assert_eq!(loading.bar.position(), 40);
        let bar = loading.bar.clone();
        loading.done();
        assert!(bar.is_finished());
    }
}
