//! What pairs of prediction and truth amount to: sums small enough to keep many of, and to put together.

use super::{
    Classes, Measure, Misfit, Output, Score, Sum, Task, Truth,
    sum::{Moments, float},
    task,
};

/// Pairs of prediction and truth, counted in one by one or many at a time.
///
/// Bounded: its size depends on the number of classes alone. Merging gives what counting in one by one would have, in any order,
/// but for the last digits of floats.
///
/// # Examples
/// ```
/// use inferometer_quality::score::{Measure, Output, Tally, Task, Truth};
///
/// let mut tally = Tally::new(&Task::Regression);
/// tally.add(&Output::Number(2.0), Truth::Number(3.0))?;
/// let mut other = Tally::new(&Task::Regression);
/// other.add(&Output::Number(5.0), Truth::Number(2.0))?;
/// tally.merge(&other);
///
/// let mae = tally.score(Measure::Mae).expect("there are pairs");
/// assert_eq!((mae.value, mae.samples), (2.0, 2));
/// # Ok::<(), inferometer_quality::score::Misfit>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Tally(Kind);

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Numbers(Numbers),
    Classes(Counts),
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Numbers {
    truths: Moments,
    squares: Sum,
    absolutes: Sum,
}

#[derive(Clone, Debug, PartialEq)]
struct Counts {
    task: Classes,
    classes: Box<[Class]>,
    hits: u64,
    pairs: u64,
    loss: Sum,
    losses: u64,
}

/// How often a class was predicted, was true, and both at once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Class {
    predicted: u64,
    actual: u64,
    hits: u64,
}

impl Tally {
    /// Nothing yet, of this task.
    pub fn new(task: &Task) -> Self {
        Self(match task {
            Task::Regression => Kind::Numbers(Numbers::default()),
            Task::Classes(task) => Kind::Classes(Counts {
                task: task.clone(),
                classes: vec![Class::default(); task.names().len()].into(),
                hits: 0,
                pairs: 0,
                loss: Sum::default(),
                losses: 0,
            }),
        })
    }

    /// Counts one pair in.
    ///
    /// # Errors
    /// Says what doesn't fit the task; then nothing is counted.
    pub fn add(&mut self, output: &Output, truth: Truth) -> Result<(), Misfit> {
        match (&mut self.0, truth) {
            (Kind::Numbers(numbers), Truth::Number(truth)) => numbers.add(output, truth),
            (Kind::Classes(counts), Truth::Class(truth)) => counts.add(output, truth),
            (Kind::Numbers(_), Truth::Class(_)) => Err(Misfit::NotANumber),
            (Kind::Classes(_), Truth::Number(_)) => Err(Misfit::NotAClass),
        }
    }

    /// Counts in all pairs of `other`, which is of the same task; of another, nothing.
    pub fn merge(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (Kind::Numbers(own), Kind::Numbers(other)) => own.merge(other),
            (Kind::Classes(own), Kind::Classes(other)) => own.merge(other),
            (Kind::Numbers(_), Kind::Classes(_)) | (Kind::Classes(_), Kind::Numbers(_)) => {}
        }
    }

    /// How many pairs there are.
    pub fn samples(&self) -> u64 {
        match &self.0 {
            Kind::Numbers(numbers) => numbers.truths.count(),
            Kind::Classes(counts) => counts.pairs,
        }
    }

    /// A score with its weight; `None` where these pairs have none, as each [`Measure`] says of itself.
    pub fn score(&self, measure: Measure) -> Option<Score> {
        match &self.0 {
            Kind::Numbers(numbers) => numbers.score(measure),
            Kind::Classes(counts) => counts.score(measure),
        }
    }
}

impl Numbers {
    fn add(&mut self, output: &Output, truth: f64) -> Result<(), Misfit> {
        let error = task::number(output)? - task::finite(truth)?;
        self.truths.add(truth);
        self.squares.add(error * error);
        self.absolutes.add(error.abs());
        Ok(())
    }

    fn merge(&mut self, other: &Self) {
        self.truths.merge(&other.truths);
        self.squares.merge(&other.squares);
        self.absolutes.merge(&other.absolutes);
    }

    fn score(&self, measure: Measure) -> Option<Score> {
        let samples = self.truths.count();
        if samples == 0 {
            return None;
        }
        let spread = self.truths.squares();
        let value = match measure {
            Measure::Rmse => (self.squares.value() / float(samples)).sqrt(),
            Measure::Mae => self.absolutes.value() / float(samples),
            Measure::R2 if samples > 1 && spread > 0.0 => 1.0 - self.squares.value() / spread,
            _ => return None,
        };
        Some(Score { value, samples })
    }
}

impl Counts {
    fn add(&mut self, output: &Output, truth: u32) -> Result<(), Misfit> {
        let truth = self.task.known(truth)?;
        let predicted = self.task.predicted(output)?;
        self.pairs += 1;
        self.classes[predicted as usize].predicted += 1;
        self.classes[truth as usize].actual += 1;
        if predicted == truth {
            self.hits += 1;
            self.classes[truth as usize].hits += 1;
        }
        if let Some(probability) = self.task.probability(output, truth) {
            self.losses += 1;
            let probability = probability.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
            self.loss.add(-probability.ln());
        }
        Ok(())
    }

    fn merge(&mut self, other: &Self) {
        if self.task != other.task {
            return;
        }
        for (own, other) in self.classes.iter_mut().zip(&other.classes) {
            own.predicted += other.predicted;
            own.actual += other.actual;
            own.hits += other.hits;
        }
        self.hits += other.hits;
        self.pairs += other.pairs;
        self.loss.merge(&other.loss);
        self.losses += other.losses;
    }

    fn score(&self, measure: Measure) -> Option<Score> {
        let samples = self.pairs;
        if samples == 0 {
            return None;
        }
        let positive = || Some(self.classes[self.task.positive()? as usize]);
        let value = match measure {
            Measure::Accuracy
            | Measure::PrecisionMicro
            | Measure::RecallMicro
            | Measure::F1Micro => float(self.hits) / float(samples),
            Measure::Precision => positive()?.precision()?,
            Measure::Recall => positive()?.recall()?,
            Measure::F1 => positive()?.f1()?,
            Measure::PrecisionMacro => self.mean(Class::precision)?,
            Measure::RecallMacro => self.mean(Class::recall)?,
            Measure::F1Macro => self.mean(Class::f1)?,
            Measure::LogLoss if self.losses > 0 => {
                return Some(Score {
                    value: self.loss.value() / float(self.losses),
                    samples: self.losses,
                });
            }
            Measure::LogLoss | Measure::Rmse | Measure::Mae | Measure::R2 => return None,
        };
        Some(Score { value, samples })
    }

    /// The mean over the classes that occur, as prediction or as truth; one without a value counts as 0.
    fn mean(&self, of: fn(&Class) -> Option<f64>) -> Option<f64> {
        let (mut sum, mut classes) = (0.0, 0_u64);
        let seen = |class: &&Class| class.predicted + class.actual > 0;
        for class in self.classes.iter().filter(seen) {
            sum += of(class).unwrap_or(0.0);
            classes += 1;
        }
        (classes > 0).then(|| sum / float(classes))
    }
}

impl Class {
    fn precision(&self) -> Option<f64> {
        share(self.hits, self.predicted)
    }

    fn recall(&self) -> Option<f64> {
        share(self.hits, self.actual)
    }

    fn f1(&self) -> Option<f64> {
        share(2 * self.hits, self.predicted + self.actual)
    }
}

fn share(part: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| float(part) / float(of))
}
