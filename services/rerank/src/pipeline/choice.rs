//! Which of the pairs that wait make the next batch.

use inferometer_catalog::rerank::Release;

/// How large a batch may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchLimits {
    /// The most pairs.
    pub pairs: usize,
    /// The most tokens, padding among them: the longest pair's, times the pairs. A pair that is longer goes alone.
    pub tokens: usize,
    /// Whether pairs of like length are put together, rather than in the order in which they came.
    pub sort_by_length: bool,
    /// The most of its tokens that may be padding, as a share, where pairs are put together by length; 1 for any.
    pub padding: f64,
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
    let mut real = longest;
    let reason = loop {
        if from == 0 && to == order.len() {
            break None;
        }
        if to - from >= limits.pairs {
            break Some(Release::Full);
        }
        let mut padded = false;
        let mut fits = |new: usize| {
            let all = (to - from + 1) * longest.max(new);
            let room = all <= limits.tokens;
            let dense = !limits.sort_by_length || is_dense(real + new, all, limits.padding);
            padded |= room && !dense;
            (room && dense).then(|| new.abs_diff(length(anchor)))
        };
        let below = (from > 0).then(|| fits(length(from - 1))).flatten();
        let above = (to < order.len()).then(|| fits(length(to))).flatten();
        let new = match (below, above) {
            (None, None) if padded => break Some(Release::Padding),
            (None, None) => break Some(Release::Budget),
            (Some(below), Some(above)) if above > below => from - 1,
            (Some(_), None) => from - 1,
            (_, Some(_)) => to,
        };
        if new < from {
            from = new;
        } else {
            to = new + 1;
        }
        longest = longest.max(length(new));
        real += length(new);
    };
    order.truncate(to);
    order.drain(..from);
    Choice {
        places: order,
        reason,
    }
}

/// Whether no more of all the tokens than the limit is padding.
#[expect(
    clippy::cast_precision_loss,
    reason = "a batch has far fewer than 2^53 tokens"
)]
fn is_dense(real: usize, all: usize, limit: f64) -> bool {
    all.saturating_sub(real) as f64 <= limit * all as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BatchLimits = BatchLimits {
        pairs: 4,
        tokens: 100,
        sort_by_length: true,
        padding: 1.0,
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
    fn pairs_that_would_be_mostly_padding_wait_for_their_like() {
        let limits = BatchLimits {
            padding: 0.25,
            ..LIMITS
        };
        assert_eq!(
            chosen(&[20, 5, 18, 6], &limits),
            (vec![18, 20], Some(Release::Padding))
        );
        // The oldest is a short one: it takes its like along.
        assert_eq!(
            chosen(&[5, 20, 18, 6], &limits),
            (vec![5, 6], Some(Release::Padding))
        );
        assert_eq!(chosen(&[20, 19, 18], &limits), (vec![18, 19, 20], None));
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
