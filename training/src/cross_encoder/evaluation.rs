//! Mean reciprocal rank on held-out queries, the same candidates for the network and for BM25.

use anyhow::{Result, ensure};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};

use super::bm25::{Index, top};
use super::pairs::{Kind, Pairs};

/// Wrong passages beside the right one.
pub const RIVALS: usize = 9;
/// Queries of each kind that are measured.
const QUERIES: usize = 120;
/// Queries of each kind, after those, that settings are chosen by.
const TRIALS: usize = 40;

/// A query with its candidates; the first of them is the answer.
#[derive(Debug, Clone)]
pub struct List {
    /// What is asked.
    pub query: String,
    /// How the query came about.
    pub kind: Kind,
    /// Passages by index.
    pub candidates: Vec<usize>,
    /// BM25's score of each.
    pub bm25: Vec<f32>,
}

/// The lists that are measured: with BM25's own top ranks as wrong passages, and with random ones.
#[derive(Debug, Clone)]
pub struct Lists {
    /// The nine wrong passages that BM25 ranks highest.
    pub hard: Vec<List>,
    /// Nine wrong passages by lot.
    pub random: Vec<List>,
}

impl Lists {
    /// Candidates for the first queries of each kind; the same for the same pairs.
    #[must_use]
    pub fn of(pairs: &Pairs) -> Self {
        Self::draw(pairs, 0, QUERIES)
    }

    /// Candidates for other queries than [`Lists::of`] takes, so that settings can be chosen without looking at those.
    #[must_use]
    pub fn for_trials(pairs: &Pairs) -> Self {
        Self::draw(pairs, QUERIES, TRIALS)
    }

    fn draw(pairs: &Pairs, skipped: usize, queries: usize) -> Self {
        let index = Index::new(&pairs.passages);
        let mut random = StdRng::seed_from_u64(5);
        let mut lists = Self {
            hard: Vec::new(),
            random: Vec::new(),
        };
        for kind in [Kind::Name, Kind::Summary, Kind::Cloze] {
            for query in pairs
                .queries
                .iter()
                .filter(|query| query.kind == kind)
                .skip(skipped)
                .take(queries)
            {
                let scores = index.scores(&query.text);
                let list = |rivals: Vec<usize>| {
                    let candidates: Vec<usize> =
                        std::iter::once(query.passage).chain(rivals).collect();
                    let bm25 = candidates.iter().map(|passage| scores[*passage]).collect();
                    List {
                        query: query.text.clone(),
                        kind,
                        candidates,
                        bm25,
                    }
                };
                lists.hard.push(list(top(&scores, query.passage, RIVALS)));
                let mut drawn = Vec::new();
                while drawn.len() < RIVALS.min(pairs.passages.len() - 1) {
                    let passage = random.random_range(0..pairs.passages.len());
                    if passage != query.passage && !drawn.contains(&passage) {
                        drawn.push(passage);
                    }
                }
                lists.random.push(list(drawn));
            }
        }
        lists
    }

    /// Leaves one list in `share`, for a quick look.
    pub fn keep_one_in(&mut self, share: usize) {
        for lists in [&mut self.hard, &mut self.random] {
            *lists = lists.iter().step_by(share).cloned().collect();
        }
    }
}

/// Mean reciprocal ranks; 1 is best.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Ranks {
    /// Of all queries.
    pub all: f64,
    /// Of item names.
    pub name: f64,
    /// Of first sentences.
    pub summary: f64,
    /// Of sentences from the middle.
    pub cloze: f64,
}

/// The mean reciprocal rank of the answers by these scores. Equal scores share their ranks.
///
/// # Errors
///
/// What the scores' own maker returns.
pub fn rank(lists: &[List], mut score: impl FnMut(&List) -> Result<Vec<f32>>) -> Result<Ranks> {
    let mut sums = [(0.0, 0.0); 4];
    for list in lists {
        let scores = score(list)?;
        let (mut above, mut equal) = (0u32, 0u32);
        for other in &scores[1..] {
            above += u32::from(*other > scores[0]);
            equal += u32::from(*other == scores[0]);
        }
        let reciprocal = 1.0 / (1.0 + f64::from(above) + f64::from(equal) / 2.0);
        let kind = match list.kind {
            Kind::Name => 1,
            Kind::Summary => 2,
            Kind::Cloze => 3,
        };
        for place in [0, kind] {
            sums[place].0 += reciprocal;
            sums[place].1 += 1.0;
        }
    }
    let [all, name, summary, cloze] = sums.map(|(sum, count)| sum / f64::max(count, 1.0));
    Ok(Ranks {
        all,
        name,
        summary,
        cloze,
    })
}

/// What the model and BM25 reach on the same candidates.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Scores {
    /// Queries measured.
    pub queries: usize,
    /// Passages that the wrong ones are taken from.
    pub passages: usize,
    /// The model among BM25's top ranks.
    pub model_hard: Ranks,
    /// BM25 among its own top ranks.
    pub bm25_hard: Ranks,
    /// The model among random passages.
    pub model_random: Ranks,
    /// BM25 among random passages.
    pub bm25_random: Ranks,
}

/// What a model says of every list, the answer's score first in each.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// Of the lists with BM25's own top ranks.
    pub hard: Vec<Vec<f32>>,
    /// Of the lists with random passages.
    pub random: Vec<Vec<f32>>,
}

impl Answers {
    /// Asks `score` about every list: a query and its candidates.
    ///
    /// # Errors
    ///
    /// What `score` returns.
    pub fn of(
        pairs: &Pairs,
        lists: &Lists,
        mut score: impl FnMut(&str, &[&str]) -> Result<Vec<f32>>,
    ) -> Result<Self> {
        let mut all = |lists: &[List]| {
            let ask = |list: &List| {
                let texts: Vec<&str> = list
                    .candidates
                    .iter()
                    .map(|passage| pairs.passages[*passage].as_str())
                    .collect();
                score(&list.query, &texts)
            };
            lists.iter().map(ask).collect::<Result<Vec<_>>>()
        };
        Ok(Self {
            hard: all(&lists.hard)?,
            random: all(&lists.random)?,
        })
    }

    /// The mean reciprocal ranks that follow, and BM25's beside them.
    ///
    /// # Errors
    ///
    /// When these are answers to other lists.
    pub fn measure(&self, pairs: &Pairs, lists: &Lists) -> Result<Scores> {
        let ranks = |lists: &[List], answers: &[Vec<f32>]| {
            let fits = |(list, answer): (&List, &Vec<f32>)| list.candidates.len() == answer.len();
            ensure!(
                lists.len() == answers.len() && lists.iter().zip(answers).all(fits),
                "these are answers to other lists"
            );
            let mut next = answers.iter().cloned();
            rank(lists, |_| Ok(next.next().unwrap_or_default()))
        };
        let bm25 = |lists: &[List]| rank(lists, |list| Ok(list.bm25.clone()));
        Ok(Scores {
            queries: lists.hard.len(),
            passages: pairs.passages.len(),
            model_hard: ranks(&lists.hard, &self.hard)?,
            bm25_hard: bm25(&lists.hard)?,
            model_random: ranks(&lists.random, &self.random)?,
            bm25_random: bm25(&lists.random)?,
        })
    }
}

/// Measures what `score` says of a query and some passages.
///
/// # Errors
///
/// What `score` returns.
pub fn measure(
    pairs: &Pairs,
    lists: &Lists,
    score: impl FnMut(&str, &[&str]) -> Result<Vec<f32>>,
) -> Result<Scores> {
    Answers::of(pairs, lists, score)?.measure(pairs, lists)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_share_their_ranks() {
        let list = |kind| List {
            query: String::new(),
            kind,
            candidates: vec![0, 1, 2],
            bm25: vec![],
        };
        let lists = [list(Kind::Name), list(Kind::Cloze)];
        let mut scores = [vec![1.0, 1.0, 1.0], vec![1.0, 2.0, 0.0]].into_iter();
        let ranks = rank(&lists, |_| Ok(scores.next().expect("two lists"))).expect("ranks");
        assert_eq!((ranks.name, ranks.cloze, ranks.all), (0.5, 0.5, 0.5));
        assert_eq!(ranks.summary, 0.0);
    }
}
