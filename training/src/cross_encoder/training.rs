//! The training loop: lists of candidates in shuffled order, warm-up and cosine, progress, checkpoints.
//!
//! The loss is how surprised the network is by the right candidate of a list. In the first part of the training BM25 is
//! a second teacher, whose share falls to nothing: that words on both sides matter is learned from it in a few hundred
//! steps.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use candle_core::{Device, Tensor};
use indicatif::{ProgressBar, ProgressStyle};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::bm25::Index;
use super::network::Network;
use super::pairs::Pairs;
use super::vocabulary::{Marks, Pair, Vocabulary};
use crate::checkpoint;
use crate::language_model::training::{schedule, tell};
use crate::optimizer::Optimizer;

/// How to train.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Steps in all.
    pub steps: usize,
    /// Queries a step.
    pub queries: usize,
    /// Tokens of a pair, at most.
    pub length: usize,
    /// The highest learning rate.
    pub rate: f64,
    /// Whether Muon moves the matrices inside the layers; else Adam moves everything, as it moved a published backbone.
    pub muon: bool,
    /// Steps over which the hard candidates of a list grow from none to all of them, random ones in their place before.
    /// Next to only hard ones, what an answer looks like is found out much more slowly.
    pub easy: usize,
    /// BM25's share of the teaching at first; it falls to nothing over two fifths of the steps.
    pub teacher: f32,
    /// Decides the order and the candidates.
    pub seed: u64,
    /// Where the state is saved every hundred steps, and taken up from when it is there.
    pub checkpoint: Option<PathBuf>,
}

/// Wrong candidates out of BM25's top ranks, and by lot.
const HARD: usize = 5;
const RANDOM: usize = 2;
/// How deep into BM25's ranks hard candidates are looked for.
const DEPTH: usize = 14;
/// Tokens of a query, at most.
const QUERY: usize = 48;
/// What BM25's scores are divided by before they teach.
const SOFTEN: f32 = 2.0;

/// One query with all that its lists are drawn from.
struct Question {
    view: usize,
    query: Vec<u32>,
    answer: (usize, f32),
    rivals: Vec<(usize, f32)>,
}

/// Questions and tokenized passages, ready to be drawn from.
pub struct Material {
    questions: Vec<Question>,
    passages: Vec<Vec<Vec<u32>>>,
    marks: Marks,
}

impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Material")
            .field("questions", &self.questions.len())
            .finish_non_exhaustive()
    }
}

impl Material {
    /// Tokenizes the views and looks up BM25's top ranks for every query.
    ///
    /// # Errors
    ///
    /// When the tokenizer refuses a text.
    pub fn new(views: &[Pairs], vocabulary: &Vocabulary) -> Result<Self> {
        let mut material = Self {
            questions: Vec::new(),
            passages: Vec::new(),
            marks: vocabulary.marks(),
        };
        let count = views.iter().map(|pairs| pairs.queries.len()).sum::<usize>();
        let bar = ProgressBar::new(count as u64).with_style(ProgressStyle::with_template(
            "{bar:30} {pos}/{len} queries looked up, {eta} to go",
        )?);
        for (view, pairs) in views.iter().enumerate() {
            let index = Index::new(&pairs.passages);
            for query in &pairs.queries {
                bar.inc(1);
                let scores = index.scores(&query.text);
                let with_score = |passage: usize| (passage, scores[passage]);
                let mut tokens = vocabulary.encode(&query.text)?;
                tokens.truncate(QUERY);
                material.questions.push(Question {
                    view,
                    query: tokens,
                    answer: with_score(query.passage),
                    rivals: super::bm25::top(&scores, query.passage, DEPTH)
                        .into_iter()
                        .map(with_score)
                        .collect(),
                });
            }
            let passages = pairs
                .passages
                .iter()
                .map(|text| vocabulary.encode(text))
                .collect::<Result<_>>()?;
            material.passages.push(passages);
        }
        bar.finish_and_clear();
        Ok(material)
    }

    /// How many questions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.questions.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.questions.is_empty()
    }

    /// A list for one question: the answer first, and BM25's scores.
    fn list(
        &self,
        question: usize,
        hard: usize,
        length: usize,
        random: &mut impl Rng,
    ) -> Result<(Vec<Pair>, Vec<f32>)> {
        let question = &self.questions[question];
        let passages = &self.passages[question.view];
        let mut rivals = question.rivals.clone();
        rivals.shuffle(random);
        rivals.truncate(hard);
        while rivals.len() < HARD + RANDOM {
            let passage = random.random_range(0..passages.len());
            if passage != question.answer.0 && rivals.iter().all(|rival| rival.0 != passage) {
                rivals.push((passage, 0.0));
            }
        }
        let all = std::iter::once(question.answer).chain(rivals);
        let (mut pairs, mut scores) = (Vec::new(), Vec::new());
        for (passage, score) in all {
            pairs.push(
                self.marks
                    .pair(&question.query, &passages[passage], length)?,
            );
            scores.push(score);
        }
        Ok((pairs, scores))
    }
}

/// What is left of the time, and what to do in it.
struct Order {
    seed: u64,
    epoch: u64,
    left: Vec<usize>,
}

impl Order {
    fn next(&mut self, count: usize) -> usize {
        if self.left.is_empty() {
            self.left = (0..count).collect();
            self.left
                .shuffle(&mut StdRng::seed_from_u64(self.seed + self.epoch));
            self.epoch += 1;
        }
        self.left.pop().unwrap_or(0)
    }
}

/// Trains in place and gives the mean loss of the last hundred steps. `watch` is called every `plan.steps / 4` steps, and after the last.
///
/// # Errors
///
/// When a checkpoint can't be read or written, or does not fit the network; and what `watch` returns.
pub fn train(
    network: &Network,
    material: &Material,
    plan: &Plan,
    mut watch: impl FnMut(usize) -> Result<()>,
) -> Result<f64> {
    let inside =
        |name: &str| plan.muon && (name.contains("encoder.layer") || name.contains("pooler"));
    let mut optimizer = Optimizer::new(network.parameters(), inside)?;
    let first = match &plan.checkpoint {
        Some(path) if path.exists() => checkpoint::restore(network.parameters(), &optimizer, path)?,
        _ => 0,
    };
    let bar = ProgressBar::new(plan.steps as u64).with_position(first as u64);
    bar.set_style(ProgressStyle::with_template(
        "{bar:30} {pos}/{len} steps, {elapsed} passed, {eta} to go, {msg}",
    )?);
    let mut order = Order {
        seed: plan.seed,
        epoch: 0,
        left: Vec::new(),
    };
    for _ in 0..first * plan.queries {
        order.next(material.len());
    }
    let mut recent = 0.0;
    let start = Instant::now();
    for step in first..plan.steps {
        let mut random = StdRng::seed_from_u64(plan.seed ^ ((step as u64 + 1) << 20));
        let (mut pairs, mut bm25) = (Vec::new(), Vec::new());
        let hard = (HARD * step)
            .checked_div(plan.easy)
            .unwrap_or(HARD)
            .min(HARD);
        for _ in 0..plan.queries {
            let question = order.next(material.len());
            let (list, scores) = material.list(question, hard, plan.length, &mut random)?;
            pairs.extend(list);
            bm25.push(scores);
        }
        let pairs: Vec<&Pair> = pairs.iter().collect();
        let scores = network
            .scores(&pairs)?
            .reshape((plan.queries, 1 + HARD + RANDOM))?;
        let targets = Tensor::new(
            targets(&bm25, teacher(plan.teacher, step, plan.steps)),
            &Device::Cpu,
        )?;
        let most = scores.max_keepdim(1)?.detach();
        let surprise = scores
            .broadcast_sub(&most)?
            .exp()?
            .sum_keepdim(1)?
            .log()?
            .broadcast_add(&most)?;
        let chance = scores.broadcast_sub(&surprise)?;
        #[expect(clippy::cast_precision_loss, reason = "few queries a step")]
        let loss = (chance.mul(&targets)?.sum_all()? * (-1.0 / plan.queries as f64))?;
        let grads = loss.backward()?;
        optimizer.step(
            &grads,
            i32::try_from(step + 1)?,
            plan.rate * schedule(step, plan.steps),
        )?;

        let answers = f64::from(chance.narrow(1, 0, 1)?.mean_all()?.to_scalar::<f32>()?);
        #[expect(clippy::cast_precision_loss, reason = "counts of steps and pairs")]
        {
            recent += (-answers - recent) / (step - first + 1).min(100) as f64;
            let speed = ((step - first + 1) * pairs.len()) as f64 / start.elapsed().as_secs_f64();
            bar.set_message(format!("surprise {recent:.3}, {speed:.0} pairs/s"));
            if bar.is_hidden() && (step < 5 || (step + 1) % 10 == 0) {
                tell(&format!(
                    "step {}: surprise {recent:.3}, {speed:.0} pairs/s",
                    step + 1
                ));
            }
        }
        bar.inc(1);
        if let Some(path) = plan.checkpoint.as_ref().filter(|_| (step + 1) % 100 == 0) {
            checkpoint::save(network.parameters(), &optimizer, step + 1, path)?;
        }
        let quarter = (step + 1).is_multiple_of((plan.steps / 4).max(1));
        if quarter || step + 1 == plan.steps {
            watch(step + 1)?;
        }
    }
    bar.finish();
    Ok(recent)
}

/// BM25's share of the teaching: `first` at first, nothing after two fifths of the steps.
#[expect(clippy::cast_precision_loss, reason = "steps are few")]
fn teacher(first: f32, step: usize, steps: usize) -> f32 {
    (first * (1.0 - 2.5 * step as f32 / steps as f32)).max(0.0)
}

/// What the network should believe of each list: the answer, mixed with BM25's belief.
fn targets(bm25: &[Vec<f32>], share: f32) -> Vec<Vec<f32>> {
    let mix = |scores: &Vec<f32>| {
        let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weights: Vec<f32> = scores
            .iter()
            .map(|score| ((score - most) / SOFTEN).exp())
            .collect();
        let all: f32 = weights.iter().sum();
        let mut mixed: Vec<f32> = weights.iter().map(|weight| share * weight / all).collect();
        mixed[0] += 1.0 - share;
        mixed
    };
    bm25.iter().map(mix).collect()
}
