//! Which of the pairs that wait make the next batch.

use inferometer_catalog::rerank::Release;

/// How large a batch may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// The most pairs.
    pub pairs: usize,
    /// The most tokens, padding among them: the longest pair's, times the pairs. A pair that is longer goes alone.
    pub tokens: usize,
    /// Whether pairs of like length are put together, rather than in the order in which they came.
    pub sort_by_length: bool,
}

/// A batch: which of the pairs, and why no more of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// Places among those that wait, the shortest pair first where they are sorted.
    pub(super) places: Vec<usize>,
    /// `None` when none is left out.
    pub(super) reason: Option<Release>,
}

/// Chooses among pairs of these lengths, the oldest first. The oldest is always in the batch, so that none waits for ever; the others
/// are those nearest to it in length.
pub(super) fn choose(lengths: &[usize], limits: &BatchLimits) -> Choice {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    if limits.sort_by_length {
        order.sort_by_key(|place| lengths[*place]);
    }
    let length = |at: usize| lengths[order[at]];
    let Some(anchor) = order.iter().position(|place| *place == 0) else {
        return Choice {
            places: Vec::new(),
            reason: None,
        };
    };
    // What is chosen is `order[from..to]`.
    let (mut from, mut to) = (anchor, anchor + 1);
    let mut longest = length(anchor);
    let reason = loop {
        if from == 0 && to == order.len() {
            break None;
        }
        if to - from >= limits.pairs {
            break Some(Release::Full);
        }
        let room = |longest: usize| (to - from + 1) * longest <= limits.tokens;
        let below = (from > 0 && room(longest)).then(|| length(anchor) - length(from - 1));
        let above = (to < order.len() && room(longest.max(length(to))))
            .then(|| length(to).abs_diff(length(anchor)));
        match (below, above) {
            (None, None) => break Some(Release::Budget),
            (Some(below), Some(above)) if above <= below => to += 1,
            (None, Some(_)) => to += 1,
            (Some(_), _) => from -= 1,
        }
        longest = longest.max(length(to - 1));
    };
    order.truncate(to);
    order.drain(..from);
    Choice {
        places: order,
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BatchLimits = BatchLimits {
        pairs: 4,
        tokens: 100,
        sort_by_length: true,
    };

    fn chosen(lengths: &[usize], limits: &BatchLimits) -> (Vec<usize>, Option<Release>) {
        let Choice { places, reason } = choose(lengths, limits);
        (places.iter().map(|place| lengths[*place]).collect(), reason)
    }

    #[test]
    fn all_that_fit_go_together() {
        assert_eq!(chosen(&[20, 10, 30], &LIMITS), (vec![10, 20, 30], None));
        assert_eq!(chosen(&[], &LIMITS), (vec![], None));
    }

    #[test]
    fn those_nearest_to_the_oldest_in_length_go_first() {
        let (lengths, reason) = chosen(&[20, 5, 21, 6, 22, 19, 90], &LIMITS);
        assert_eq!(
            (lengths, reason),
            (vec![19, 20, 21, 22], Some(Release::Full))
        );
    }

    #[test]
    fn padding_counts_against_the_budget() {
        assert_eq!(
            chosen(&[40, 1, 1], &LIMITS),
            (vec![1, 40], Some(Release::Budget))
        );
        // It alone is past the budget, and goes all the same.
        assert_eq!(
            chosen(&[400, 1, 500], &LIMITS),
            (vec![400], Some(Release::Budget))
        );
    }

    #[test]
    fn unsorted_pairs_go_in_their_order() {
        let limits = BatchLimits {
            sort_by_length: false,
            ..LIMITS
        };
        assert_eq!(
            chosen(&[20, 5, 21, 6, 22], &limits),
            (vec![20, 5, 21, 6], Some(Release::Full))
        );
        assert_eq!(
            chosen(&[5, 60, 1], &limits),
            (vec![5], Some(Release::Budget))
        );
    }
}
