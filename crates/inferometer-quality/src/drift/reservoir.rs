//! A sample of bounded size from a stream of unknown length.

use fastrand::Rng;

/// Keeps everything while there is room; from then on a sample in which each value has the same chance to be (Li's algorithm L).
///
/// Beyond the room, a value costs a comparison in all cases but few.
#[derive(Clone, Debug)]
pub(super) struct Reservoir<T> {
    kept: Vec<T>,
    room: usize,
    seen: u64,
    /// Which value, counted from 1, is the next to come in.
    next: u64,
    weight: f64,
    random: Rng,
}

impl<T> Reservoir<T> {
    pub(super) fn new(room: usize, random: Rng) -> Self {
        Self {
            kept: Vec::new(),
            room: room.max(1),
            seen: 0,
            next: 0,
            weight: 1.0,
            random,
        }
    }

    #[inline]
    pub(super) fn push(&mut self, value: T) {
        self.seen += 1;
        if self.kept.len() < self.room {
            self.kept.push(value);
        } else if self.seen >= self.next {
            self.exchange(value);
        }
    }

    #[cold]
    fn exchange(&mut self, value: T) {
        // The first beyond the room only says which one will come in: it may be this one.
        if self.next == 0 {
            self.skip(self.seen - 1);
            if self.seen < self.next {
                return;
            }
        }
        let place = self.random.usize(..self.kept.len());
        self.kept[place] = value;
        self.skip(self.seen);
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float becomes the nearest whole number, and one beyond all is the largest"
    )]
    fn skip(&mut self, from: u64) {
        let mut uniform = || (1.0 - self.random.f64()).ln();
        self.weight *= (uniform() / self.room as f64).exp();
        let over = (uniform() / (-self.weight).ln_1p()).floor();
        self.next = from.saturating_add(over as u64).saturating_add(1);
    }

    /// Takes in what `other` has sampled, each by how much it stands for.
    pub(super) fn merge(&mut self, mut other: Self) {
        let seen = self.seen + other.seen;
        if self.seen == self.kept.len() as u64
            && other.seen == other.kept.len() as u64
            && seen <= self.room as u64
        {
            self.kept.append(&mut other.kept);
            self.seen = seen;
            return;
        }
        self.random.shuffle(&mut self.kept);
        self.random.shuffle(&mut other.kept);
        let (mut here, mut there) = (self.seen, other.seen);
        let mut drawn = Vec::with_capacity(self.room);
        while drawn.len() < self.room && here + there > 0 {
            let own = self.random.u64(..here + there) < here;
            let value = if own {
                here -= 1;
                self.kept.pop()
            } else {
                there -= 1;
                other.kept.pop()
            };
            // Each side has kept as many as it has seen, or as there is room for: it can't run out before the room is full.
            drawn.extend(value);
        }
        self.kept = drawn;
        self.seen = seen;
        if self.kept.len() == self.room {
            self.weight = 1.0;
            self.next = 0;
            // As if the room had just been filled by the first of what was seen: right for what comes, as few does.
            self.settle();
        }
    }

    /// Draws when the next comes in for a sample of `seen`, as one value after another would have.
    fn settle(&mut self) {
        let mut at = self.room as u64;
        self.skip(at);
        while self.next <= self.seen {
            at = self.next;
            self.skip(at);
        }
    }

    #[cfg(test)]
    fn seen(&self) -> u64 {
        self.seen
    }

    pub(super) fn kept(&self) -> &[T] {
        &self.kept
    }

    pub(super) fn kept_mut(&mut self) -> &mut [T] {
        &mut self.kept
    }

    pub(super) fn into_kept(self) -> Vec<T> {
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(values: std::ops::Range<u32>, seed: u64) -> Reservoir<u32> {
        let mut reservoir = Reservoir::new(100, Rng::with_seed(seed));
        values.for_each(|value| reservoir.push(value));
        reservoir
    }

    #[test]
    fn what_fits_is_kept_whole() {
        let mut one = filled(0..40, 1);
        one.merge(filled(40..100, 2));
        assert_eq!(one.kept(), (0..100).collect::<Vec<_>>());
        assert_eq!(one.seen(), 100);
    }

    /// Means of samples of 100 from 0 to 999 scatter by 27 around 499.5; a thousand of them by 0.86.
    fn mean(sample: impl Fn(u64) -> Reservoir<u32>) -> f64 {
        let sums = (0..1_000).map(|seed| {
            let sample = sample(seed);
            assert_eq!((sample.kept().len(), sample.seen()), (100, 1_000));
            sample
                .kept()
                .iter()
                .map(|value| f64::from(*value))
                .sum::<f64>()
                / 100.0
        });
        sums.sum::<f64>() / 1_000.0
    }

    #[test]
    fn every_value_has_the_same_chance() {
        let mean = mean(|seed| filled(0..1_000, seed));
        assert!((mean - 499.5).abs() < 4.0, "{mean}");
    }

    #[test]
    fn merged_samples_weigh_as_much_as_they_stand_for() {
        let mean = mean(|seed| {
            let mut one = filled(0..800, seed);
            one.merge(filled(800..1_000, seed + 1_000));
            one
        });
        assert!((mean - 499.5).abs() < 4.0, "{mean}");
    }

    #[test]
    fn what_comes_after_a_merge_has_the_same_chance() {
        let mean = mean(|seed| {
            let mut one = filled(0..300, seed);
            one.merge(filled(300..500, seed + 1_000));
            (500..1_000).for_each(|value| one.push(value));
            one
        });
        assert!((mean - 499.5).abs() < 4.0, "{mean}");
    }
}
