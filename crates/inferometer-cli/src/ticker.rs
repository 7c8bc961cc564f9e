//! Lines that move while the demo runs: what each service counts, in a few words.

use std::{io::IsTerminal as _, time::Duration};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

/// How often the lines change.
const PERIOD: Duration = Duration::from_millis(500);

/// What a line says, each time it is asked.
pub struct Line(Box<dyn FnMut() -> String + Send>);

impl Line {
    /// A line that says what `text` returns.
    pub fn new(text: impl FnMut() -> String + Send + 'static) -> Self {
        Self(Box::new(text))
    }

    /// What it says now.
    pub fn text(&mut self) -> String {
        (self.0)()
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}

/// The lines, on a terminal; elsewhere nothing. Dropped, they are wiped.
#[derive(Debug)]
pub struct Ticker {
    bars: Vec<ProgressBar>,
    task: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts to show lines, each after its service's name, on the runtime that calls it.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(lines: Vec<(&'static str, Line)>) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self {
                bars: Vec::new(),
                task: None,
            };
        }
        let style = ProgressStyle::with_template("  {spinner} {prefix:12} {msg}")
            .expect("the template is a constant and well-formed");
        let all = MultiProgress::new();
        let mut shown: Vec<_> = lines
            .into_iter()
            .map(|(name, line)| {
                let bar = all.add(ProgressBar::new_spinner().with_style(style.clone()));
                bar.set_prefix(name);
                bar.enable_steady_tick(Duration::from_millis(100));
                (bar, line)
            })
            .collect();
        let bars = shown.iter().map(|(bar, _)| bar.clone()).collect();
        let task = tokio::spawn(async move {
            loop {
                for (bar, line) in &mut shown {
                    bar.set_message(line.text());
                }
                tokio::time::sleep(PERIOD).await;
            }
        });
        Self {
            bars,
            task: Some(task),
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        for bar in &self.bars {
            bar.finish_and_clear();
        }
    }
}
