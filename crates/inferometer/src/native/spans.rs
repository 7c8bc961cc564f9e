//! Native buckets as the protobuf format writes them.

/// The longest run of empty buckets that is written as zeros, as in `client_golang`; a longer one begins a new span.
const LONGEST_GAP: i32 = 2;

/// Spans, each with its distance from the end of the one before (the first: from 0) and its length, and the counts of all their
/// buckets, each as the difference from the one before. The buckets come with rising indices.
pub(crate) fn spans_and_deltas(buckets: &[(i32, u64)]) -> (Vec<(i32, u32)>, Vec<i64>) {
    let mut spans: Vec<(i32, u32)> = Vec::new();
    let mut deltas = Vec::with_capacity(buckets.len());
    let (mut next, mut before) = (0, 0_u64);
    for &(index, count) in buckets {
        let gap = index - next;
        debug_assert!(spans.is_empty() || gap >= 0);
        let mut push = |count: u64| {
            deltas.push(count.wrapping_sub(before).cast_signed());
            before = count;
        };
        match spans.last_mut() {
            Some((_, length)) if gap <= LONGEST_GAP => {
                (0..gap).for_each(|_| push(0));
                *length += gap.unsigned_abs() + 1;
            }
            _ => spans.push((gap, 1)),
        }
        push(count);
        next = index + 1;
    }
    (spans, deltas)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection::btree_map, prelude::*, test_runner::Config};

    use super::*;

    /// What a reader makes of it; zeros are dropped.
    fn read(spans: &[(i32, u32)], deltas: &[i64]) -> Vec<(i32, u64)> {
        let (mut deltas, mut buckets) = (deltas.iter(), Vec::new());
        let (mut index, mut count) = (0, 0_i64);
        for (offset, length) in spans {
            index += offset;
            for _ in 0..*length {
                count += deltas.next().expect("a delta for each bucket of a span");
                buckets.push((index, u64::try_from(count).unwrap()));
                index += 1;
            }
        }
        assert_eq!(deltas.next(), None, "no delta without a bucket");
        buckets.retain(|(_, count)| *count > 0);
        buckets
    }

    #[test]
    fn gaps_of_two_are_filled_and_gaps_of_three_are_not() {
        assert_eq!(spans_and_deltas(&[]), (vec![], vec![]));
        assert_eq!(
            spans_and_deltas(&[(-7, 3), (-6, 1), (-3, 4), (1, 2)]),
            (vec![(-7, 5), (3, 1)], vec![3, -2, -1, 0, 4, -2])
        );
    }

    #[test]
    fn known_spans_of_client_golang_come_out() {
        // The observations 1, 1.2, 1.4, 1.8, 2 and +Inf at schema 2.
        assert_eq!(
            spans_and_deltas(&[(0, 1), (2, 2), (4, 2), (4097, 1)]),
            (vec![(0, 5), (4092, 1)], vec![1, -1, 2, -2, 2, -1])
        );
        // 1, 2 and 3 at schema 3.
        assert_eq!(
            spans_and_deltas(&[(0, 1), (8, 1), (13, 1)]),
            (vec![(0, 1), (7, 1), (4, 1)], vec![1, 0, 0])
        );
    }

    proptest! {
        #![proptest_config(Config { failure_persistence: None, ..Config::with_cases(500) })]

        #[test]
        fn spans_and_deltas_read_back_as_they_were(
            buckets in prop_oneof![
                btree_map(-40..40_i32, 1..=i64::MAX.unsigned_abs(), 0..40),
                btree_map(-300_000..300_000_i32, 1..1000_u64, 0..40),
            ]
        ) {
            let buckets: Vec<_> = BTreeMap::into_iter(buckets).collect();
            let (spans, deltas) = spans_and_deltas(&buckets);
            prop_assert_eq!(read(&spans, &deltas), buckets);
            prop_assert!(spans.iter().skip(1).all(|(offset, _)| *offset > LONGEST_GAP));
        }
    }
}
