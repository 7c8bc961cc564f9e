//! The choice of the next token.

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::worker::Sampling;

/// Chooses tokens: the likeliest, or a draw from the likeliest ones.
#[derive(Debug)]
pub(super) struct Sampler {
    temperature: f32,
    top_p: f32,
    draws: StdRng,
}

impl Sampler {
    pub(super) fn new(sampling: &Sampling) -> Self {
        Self {
            temperature: sampling.temperature,
            top_p: sampling.top_p,
            draws: StdRng::seed_from_u64(sampling.seed),
        }
    }

    /// The index of the token chosen; `None` when the scores are no numbers, which only a broken model gives.
    pub(super) fn pick(&mut self, scores: &[f32]) -> Option<u32> {
        let (best, top) = scores
            .iter()
            .enumerate()
            .reduce(|best, next| if next.1 > best.1 { next } else { best })?;
        if !top.is_finite() || scores.iter().any(|score| score.is_nan()) {
            return None;
        }
        // A NaN temperature fails the comparison and is taken as 0.
        let chosen = if self.temperature > 1e-6 {
            self.draw(scores, *top)
        } else {
            best
        };
        u32::try_from(chosen).ok()
    }

    fn draw(&mut self, scores: &[f32], top: f32) -> usize {
        let weight = |score: f32| ((score - top) / self.temperature).exp();
        let total: f32 = scores.iter().copied().map(weight).sum();
        // A token below this share can't be among those that together make up `top_p`: the others would have to hold
        // more than is left. It spares sorting the whole vocabulary.
        let floor = if self.top_p < 1.0 {
            total * (1.0 - self.top_p.max(0.0)) / scores.len() as f32
        } else {
            0.0
        };
        let mut candidates: Vec<(usize, f32)> = scores
            .iter()
            .enumerate()
            .map(|(index, score)| (index, weight(*score)))
            .filter(|(_, weight)| *weight >= floor)
            .collect();
        candidates.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut held = 0.0;
        let wanted = total * self.top_p;
        let kept = candidates
            .iter()
            .position(|(_, weight)| {
                held += weight;
                held >= wanted
            })
            .map_or(candidates.len(), |last| last + 1);
        candidates.truncate(kept.max(1));
        let sum: f32 = candidates.iter().map(|(_, weight)| weight).sum();
        let mut left = self.draws.random::<f32>() * sum;
        for (index, weight) in &candidates {
            left -= weight;
            if left < 0.0 {
                return *index;
            }
        }
        // Rounding may leave a crumb: it belongs to the last one.
        candidates.last().map_or(0, |(index, _)| *index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(temperature: f32, top_p: f32) -> Sampler {
        Sampler::new(&Sampling {
            temperature,
            top_p,
            seed: 7,
            max_tokens: 1,
            stop: [].into(),
        })
    }

    #[test]
    fn temperature_zero_takes_the_likeliest() {
        let mut sampler = sampler(0.0, 1.0);
        assert!((0..100).all(|_| sampler.pick(&[0.1, 3.0, 3.0, -1.0]) == Some(1)));
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let mut sampler = sampler(1.0, 1.0);
        let scores = [0.5f32.ln(), 0.3f32.ln(), 0.2f32.ln()];
        let mut counts = [0u32; 3];
        for _ in 0..20_000 {
            counts[sampler.pick(&scores).unwrap() as usize] += 1;
        }
        for (count, share) in counts.iter().zip([0.5, 0.3, 0.2]) {
            // Five standard deviations of a binomial count of 20,000 draws are below 0.018.
            assert!(
                (f64::from(*count) / 20_000.0 - share).abs() < 0.018,
                "{counts:?}"
            );
        }
    }

    #[test]
    fn top_p_leaves_the_unlikely_out() {
        let scores = [0.5f32.ln(), 0.3f32.ln(), 0.2f32.ln()];
        let mut narrow = sampler(1.0, 0.75);
        let drawn: Vec<_> = (0..2_000).map(|_| narrow.pick(&scores).unwrap()).collect();
        assert!(drawn.contains(&0) && drawn.contains(&1) && !drawn.contains(&2));
        let mut narrowest = sampler(1.0, 0.0);
        assert!((0..200).all(|_| narrowest.pick(&scores) == Some(0)));
    }

    #[test]
    fn scores_that_are_no_numbers_are_refused() {
        assert_eq!(sampler(0.0, 1.0).pick(&[1.0, f32::NAN]), None);
        assert_eq!(sampler(1.0, 1.0).pick(&[f32::NAN, 1.0]), None);
        assert_eq!(sampler(1.0, 1.0).pick(&[f32::NEG_INFINITY]), None);
        assert_eq!(sampler(1.0, 1.0).pick(&[]), None);
    }
}
