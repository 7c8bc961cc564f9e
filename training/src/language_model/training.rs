//! The training loop: windows in shuffled order, warm-up and cosine, progress, checkpoints.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::network::Network;
use crate::checkpoint;
use crate::optimizer::Optimizer;

/// How to train.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Steps in all.
    pub steps: usize,
    /// Windows a step.
    pub windows: usize,
    /// Tokens a window.
    pub length: usize,
    /// The highest learning rate.
    pub rate: f64,
    /// Decides the order of the documents.
    pub seed: u64,
    /// Where the state is saved every hundred steps, and taken up from when it is there.
    pub checkpoint: Option<PathBuf>,
}

/// Trains in place and gives the mean loss (nats a token) of the last fifty steps.
///
/// # Errors
///
/// When a checkpoint can't be read or written, or does not fit the network.
pub fn train(network: &Network, documents: &[Vec<u32>], end: u32, plan: &Plan) -> Result<f64> {
    let mut optimizer = Optimizer::new(network.parameters(), |name| name.starts_with("blk."))?;
    let first = match &plan.checkpoint {
        Some(path) if path.exists() => checkpoint::restore(network.parameters(), &optimizer, path)?,
        _ => 0,
    };
    let bar = ProgressBar::new(plan.steps as u64).with_position(first as u64);
    bar.set_style(ProgressStyle::with_template(
        "{bar:30} {pos}/{len} steps, {elapsed} passed, {eta} to go, {msg}",
    )?);
    let tokens_a_step = plan.windows * plan.length;
    let mut stream = Stream {
        documents,
        end,
        seed: plan.seed,
        epoch: 0,
        tokens: Vec::new(),
        at: 0,
    };
    for _ in 0..first {
        stream.take(plan.windows, plan.length);
    }
    let mut recent = 0.0;
    let start = Instant::now();
    for step in first..plan.steps {
        let (inputs, targets) = stream.take(plan.windows, plan.length);
        let loss = network
            .surprise(&inputs, &targets, plan.length)?
            .mean_all()?;
        let grads = loss.backward()?;
        optimizer.step(
            &grads,
            i32::try_from(step + 1)?,
            plan.rate * schedule(step, plan.steps),
        )?;
        let loss = f64::from(loss.to_scalar::<f32>()?);
        #[expect(clippy::cast_precision_loss, reason = "counts of steps and tokens")]
        {
            recent += (loss - recent) / (step - first + 1).min(50) as f64;
            let speed = ((step - first + 1) * tokens_a_step) as f64 / start.elapsed().as_secs_f64();
            bar.set_message(format!("loss {recent:.3}, {speed:.0} tokens/s"));
            if bar.is_hidden() && (step < 10 || (step + 1) % 50 == 0) {
                tell(&format!(
                    "step {}: loss {recent:.3}, {speed:.0} tokens/s",
                    step + 1
                ));
            }
        }
        bar.inc(1);
        if let Some(path) = plan.checkpoint.as_ref().filter(|_| (step + 1) % 100 == 0) {
            checkpoint::save(network.parameters(), &optimizer, step + 1, path)?;
        }
    }
    bar.finish();
    Ok(recent)
}

/// One line for a log, where no terminal shows the bar.
#[expect(clippy::print_stderr, reason = "progress belongs on the error stream")]
pub(crate) fn tell(line: &str) {
    eprintln!("{line}");
}

/// Linear warm-up over 3 % of the steps, then a cosine down to 2 %.
#[expect(clippy::cast_precision_loss, reason = "steps are few")]
pub(crate) fn schedule(step: usize, steps: usize) -> f64 {
    let warm = (steps / 33).max(1);
    if step < warm {
        return (step + 1) as f64 / warm as f64;
    }
    let done = (step - warm) as f64 / (steps - warm).max(1) as f64;
    0.02 + 0.98 * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
}

struct Stream<'a> {
    documents: &'a [Vec<u32>],
    end: u32,
    seed: u64,
    epoch: u64,
    tokens: Vec<u32>,
    at: usize,
}

impl Stream<'_> {
    /// The next windows and, for each token, its successor.
    fn take(&mut self, windows: usize, length: usize) -> (Vec<u32>, Vec<u32>) {
        let (mut inputs, mut targets) = (Vec::new(), Vec::new());
        for _ in 0..windows {
            if self.at + length + 1 > self.tokens.len() {
                let mut order: Vec<usize> = (0..self.documents.len()).collect();
                order.shuffle(&mut StdRng::seed_from_u64(self.seed + self.epoch));
                self.tokens.clear();
                for index in order {
                    self.tokens.push(self.end);
                    self.tokens.extend(&self.documents[index]);
                }
                self.epoch += 1;
                self.at = 0;
            }
            let window = &self.tokens[self.at..self.at + length + 1];
            inputs.extend(&window[..length]);
            targets.extend(&window[1..]);
            self.at += length;
        }
        (inputs, targets)
    }
}
