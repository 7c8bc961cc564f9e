//! What a row found, and whether that is what was promised.

use std::fmt;

use crate::{
    libraries::OURS,
    measure::Samples,
    statistics::{Spread, ratios},
};

/// What a row's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Bytes,
    Megabytes,
}

impl Unit {
    /// How many nanoseconds, or bytes, it stands for.
    pub(crate) const fn size(self) -> f64 {
        match self {
            Self::Nanoseconds | Self::Bytes => 1.0,
            Self::Microseconds => 1e3,
            Self::Milliseconds | Self::Megabytes => 1e6,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::Microseconds => "µs",
            Self::Milliseconds => "ms",
            Self::Bytes => "B",
            Self::Megabytes => "MB",
        }
    }
}

/// What is promised of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    /// The best rival takes at least so many times as much.
    Ratio(f64),
    /// The best rival takes about as much: not less than nine tenths.
    Tie,
    /// We take at most so much, in the row's unit.
    AtMost(f64),
    /// We take at most so many times what one thread of ours takes.
    OwnFactor(f64),
    /// Something that the row itself finds out.
    Fact(&'static str),
}

/// What a row found.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) unit: Unit,
    /// In the row's unit; ours first, unless this build of ours can't do it.
    pub(crate) samples: Vec<Samples>,
    /// One thread of ours, measured in between.
    pub(crate) own_base: Option<Samples>,
    /// Whether each [`Goal::Fact`] holds.
    pub(crate) facts: Vec<(&'static str, bool)>,
    /// What else there is to know.
    pub(crate) notes: Vec<String>,
}

/// Whether a goal is met, and by how much.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) goal: String,
    pub(crate) met: bool,
    /// Where we stand, if the table doesn't say so anyway.
    pub(crate) standing: Option<String>,
}

impl Outcome {
    /// An outcome of samples in nanoseconds or bytes, turned into `unit`.
    pub(crate) fn of(unit: Unit, samples: Vec<Samples>) -> Self {
        let turn = |values: Vec<f64>| {
            values
                .into_iter()
                .map(|value| value / unit.size())
                .collect()
        };
        let samples = samples
            .into_iter()
            .map(|samples| Samples {
                values: turn(samples.values),
                wall: turn(samples.wall),
                ..samples
            })
            .collect();
        Self {
            unit,
            samples,
            own_base: None,
            facts: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(crate) fn ours(&self) -> Option<&Samples> {
        self.samples.iter().find(|samples| samples.library == OURS)
    }

    /// The rival with the lowest median, of those that counted right.
    pub(crate) fn best_rival(&self) -> Option<&Samples> {
        self.samples
            .iter()
            .filter(|samples| samples.library != OURS && samples.wrong.is_empty())
            .filter_map(|samples| Some((Spread::of(&samples.values)?.median, samples)))
            .min_by(|(left, _), (right, _)| left.total_cmp(right))
            .map(|(_, samples)| samples)
    }

    /// What takes away from the figures: libraries that counted wrong, and repetitions in which other programs kept the threads apart.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<_> = self
            .samples
            .iter()
            .filter_map(|samples| {
                let wrong = samples.wrong.first()?;
                Some(format!(
                    "**{} is wrong** and out of the row: {wrong}",
                    samples.library
                ))
            })
            .collect();
        let disturbed: usize = self.samples.iter().map(|samples| samples.disturbed).sum();
        let all: usize = self
            .samples
            .iter()
            .map(|samples| samples.values.len())
            .sum();
        if disturbed > 0 {
            warnings.push(format!(
                "disturbed: in {disturbed} of {all} repetitions other programs kept the threads from running side by side, so threads \
                 that contend look better than they are"
            ));
        }
        warnings
    }

    /// How many times as much the best rival takes.
    pub(crate) fn ratio(&self) -> Option<Spread> {
        let (ours, rival) = (self.ours()?, self.best_rival()?);
        Spread::of(&ratios(&rival.values, &ours.values))
    }

    /// How many times as much we take as one thread of ours.
    fn own_factor(&self) -> Option<Spread> {
        let (ours, base) = (self.ours()?, self.own_base.as_ref()?);
        Spread::of(&ratios(&ours.values, &base.values))
    }

    pub(crate) fn verdict(&self, goal: Goal) -> Verdict {
        let median = self.ours().and_then(|ours| Spread::of(&ours.values));
        let (met, standing) = match goal {
            Goal::Ratio(least) => (
                self.ratio().is_some_and(|ratio| ratio.median >= least),
                None,
            ),
            Goal::Tie => (self.ratio().is_some_and(|ratio| ratio.median >= 0.9), None),
            Goal::AtMost(most) => (median.is_some_and(|ours| ours.median <= most), None),
            Goal::OwnFactor(most) => {
                let factor = self.own_factor();
                (
                    factor.is_some_and(|factor| factor.median <= most),
                    factor.map(|factor| {
                        format!(
                            "{:.2}× ({:.2}..{:.2})",
                            factor.median, factor.least, factor.most
                        )
                    }),
                )
            }
            Goal::Fact(fact) => (self.facts.contains(&(fact, true)), None),
        };
        Verdict {
            goal: goal.display(self.unit),
            met,
            standing,
        }
    }
}

impl Goal {
    pub(crate) fn display(self, unit: Unit) -> String {
        match self {
            Self::Ratio(least) => format!("≥ {least}×"),
            Self::Tie => "tie".to_owned(),
            Self::AtMost(most) => format!("≤ {most} {}", unit.name()),
            Self::OwnFactor(most) => format!("≤ {most}× our 1 thread"),
            Self::Fact(fact) => fact.to_owned(),
        }
    }
}

/// Three digits that count.
pub(crate) struct Short(pub(crate) f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        match value.abs() {
            size if size >= 100.0 => write!(f, "{value:.0}"),
            size if size >= 10.0 => write!(f, "{value:.1}"),
            _ => write!(f, "{value:.2}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(library: &str, values: &[f64]) -> Samples {
        Samples::of(library, values.to_vec())
    }

    fn outcome() -> Outcome {
        Outcome {
            own_base: Some(samples(OURS, &[1.0, 1.0, 2.0])),
            facts: vec![("exact", true), ("bounded", false)],
            ..Outcome::of(
                Unit::Nanoseconds,
                vec![
                    samples(OURS, &[1.0, 2.0, 2.0]),
                    samples("slow", &[30.0, 30.0, 30.0]),
                    samples("fast", &[8.0, 8.0, 40.0]),
                    samples("absent", &[]),
                ],
            )
        }
    }

    #[test]
    fn the_best_rival_is_the_one_with_the_lowest_median() {
        let outcome = outcome();
        assert_eq!(outcome.best_rival().unwrap().library, "fast");
        let ratio = outcome.ratio().unwrap();
        assert_eq!((ratio.least, ratio.median, ratio.most), (4.0, 8.0, 20.0));
    }

    #[test]
    fn a_rival_that_counts_wrong_is_out_of_the_row_and_named() {
        let mut outcome = outcome();
        outcome.samples[2].wrong = vec!["one of nine was lost".to_owned()];
        assert_eq!(outcome.best_rival().unwrap().library, "slow");
        assert!(outcome.warnings()[0].contains("fast is wrong"));
    }

    #[test]
    fn a_goal_is_met_at_its_bound_and_missed_beyond() {
        let outcome = outcome();
        for (goal, met) in [
            (Goal::Ratio(8.0), true),
            (Goal::Ratio(8.1), false),
            (Goal::Tie, true),
            (Goal::AtMost(2.0), true),
            (Goal::AtMost(1.9), false),
            (Goal::OwnFactor(1.0), true),
            (Goal::OwnFactor(0.9), false),
            (Goal::Fact("exact"), true),
            (Goal::Fact("bounded"), false),
            (Goal::Fact("unheard of"), false),
        ] {
            assert_eq!(outcome.verdict(goal).met, met, "{goal:?}");
        }
    }

    #[test]
    fn what_was_not_measured_meets_nothing() {
        let nothing = Outcome::of(Unit::Nanoseconds, vec![samples("fast", &[1.0])]);
        for goal in [
            Goal::Ratio(0.0),
            Goal::Tie,
            Goal::AtMost(1e9),
            Goal::OwnFactor(9.0),
        ] {
            assert!(!nothing.verdict(goal).met, "{goal:?}");
        }
    }

    #[test]
    fn nanoseconds_turn_into_the_row_s_unit() {
        let outcome = Outcome::of(Unit::Milliseconds, vec![samples(OURS, &[2_500_000.0])]);
        assert_eq!(outcome.samples[0].values, [2.5]);
    }

    #[test]
    fn short_numbers_keep_three_digits() {
        for (value, text) in [(0.814, "0.81"), (12.345, "12.3"), (1234.5, "1234")] {
            assert_eq!(Short(value).to_string(), text);
        }
    }
}
