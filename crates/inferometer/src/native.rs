//! The arithmetic of Prometheus' native (exponential) histograms: where a value belongs, and what a scrape makes of the counts.
//!
//! Nothing here holds a count. Values are placed by octave, the range between two powers of two, so that a cell can keep one block
//! of counts for each octave it has seen; [`Block`]s are joined to a [`NativePoint`](crate::NativePoint) when they are read.

mod blocks;
#[cfg(test)]
mod exact;
mod octave;

pub(crate) use blocks::{Block, join};
pub(crate) use octave::{INFINITE_OCTAVE, LOWEST_OCTAVE, MAX_RESOLUTION, coarsen, index, place};

/// The coarsest schema of the exposition format, of buckets 2^16 wide.
pub(crate) const MIN_SCHEMA: i8 = -4;
/// The finest, of 256 buckets between two powers of two.
pub(crate) const MAX_SCHEMA: i8 = 8;

/// How a histogram's native buckets are laid out.
///
/// Bucket `i` of schema `s` holds the magnitudes in `(2^((i-1)·2^-s), 2^(i·2^-s)]`, so each bound is `2^(2^-s)` times the one before,
/// from the smallest number to the greatest, without a bound having to be chosen. Positive and negative values have buckets of their
/// own, those near 0 share one. `+Inf` and `-Inf` each have the bucket above that of the greatest finite number.
///
/// A quantile that is read from the buckets lies in the same bucket as the exact one, so it is off by less than the factor of its
/// schema:
///
/// | schema | −4 | −1 | 0 | 1 | 2 | 3 | 4 | 5 | 8 |
/// |---|---|---|---|---|---|---|---|---|---|
/// | factor | 65536 | 4 | 2 | 1.414 | 1.189 | 1.091 | 1.044 | 1.022 | 1.003 |
///
/// # Examples
/// ```
/// use inferometer::NativeBuckets;
///
/// // Within 4.4 %, and everything up to a microsecond is as good as zero.
/// const FINE: NativeBuckets = NativeBuckets::new().schema(4).zero_threshold(1e-6);
/// # assert_eq!(NativeBuckets::new(), NativeBuckets::default());
/// # assert_ne!(FINE, NativeBuckets::new());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct NativeBuckets {
    /// See [`schema`](Self::schema). Serialised under this name, as the others are under theirs.
    pub(crate) schema: i8,
    /// See [`zero_threshold`](Self::zero_threshold).
    pub(crate) zero_threshold: f64,
    /// See [`max_buckets`](Self::max_buckets).
    pub(crate) max_buckets: u16,
}

impl NativeBuckets {
    /// Schema 3 (a factor of 1.091), a zero threshold of 2^-128 and 160 buckets at most.
    pub const fn new() -> Self {
        Self {
            schema: 3,
            // 2^-128 is a bound in every schema, so that the zero bucket never reaches into another.
            zero_threshold: f64::from_bits((1023 - 128) << 52),
            max_buckets: 160,
        }
    }

    /// The resolution, from −4 to 8: `2^schema` buckets between two powers of two. One more halves the error and doubles the buckets.
    #[must_use]
    pub const fn schema(mut self, schema: i8) -> Self {
        self.schema = schema;
        self
    }

    /// Values whose magnitude is at or below it are counted as zero. In the unit of the values, finite and not negative; with 0,
    /// only 0 itself is. A power of `2^16` is a bound in every schema.
    #[must_use]
    pub const fn zero_threshold(mut self, threshold: f64) -> Self {
        self.zero_threshold = threshold;
        self
    }

    /// How many buckets a scrape shows at most, positive and negative together and the zero bucket apart; at least 2. Where more of
    /// them hold something, the scrape shows a lower schema, each step of which joins two buckets. At schema −4 it stops: a
    /// histogram that has seen magnitudes across the whole range of numbers may need 133 of either sign even then.
    #[must_use]
    pub const fn max_buckets(mut self, limit: u16) -> Self {
        self.max_buckets = limit;
        self
    }

    /// The resolution to record at, 0 to [`MAX_RESOLUTION`]. An octave isn't wide enough for a schema below 0, so that is recorded
    /// as 0 and made coarser when it is read.
    pub(crate) const fn resolution(&self) -> u8 {
        if self.schema > 0 {
            self.schema.unsigned_abs()
        } else {
            0
        }
    }

    /// Says what is wrong, if anything is, in words that follow "its native buckets".
    pub(crate) fn check(&self) -> Result<(), String> {
        let Self {
            schema,
            zero_threshold,
            max_buckets,
        } = *self;
        if !(MIN_SCHEMA..=MAX_SCHEMA).contains(&schema) {
            return Err(format!(
                "have schema {schema}, and a schema lies between {MIN_SCHEMA} and {MAX_SCHEMA}"
            ));
        }
        if !(zero_threshold.is_finite() && zero_threshold >= 0.0) {
            return Err(format!(
                "have a zero threshold of {zero_threshold}, and that must be finite and not negative"
            ));
        }
        if max_buckets < 2 {
            return Err(format!(
                "are limited to {max_buckets}; allow 2 at least, one for each sign"
            ));
        }
        Ok(())
    }
}

impl Default for NativeBuckets {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_and_extremes_are_accepted() {
        let new = NativeBuckets::new();
        for good in [
            new,
            new.schema(-4),
            new.schema(8),
            new.zero_threshold(0.0),
            new.zero_threshold(f64::MAX),
            new.max_buckets(2),
            new.max_buckets(u16::MAX),
        ] {
            assert_eq!(good.check(), Ok(()), "{good:?}");
        }
        assert_eq!(new.zero_threshold, 2_f64.powi(-128));
        assert_eq!(NativeBuckets::default(), new);
    }

    #[test]
    fn a_bad_layout_is_refused_with_its_figure() {
        let new = NativeBuckets::new();
        for (bad, figure) in [
            (new.schema(-5), "schema -5"),
            (new.schema(9), "schema 9"),
            (new.zero_threshold(f64::NAN), "NaN"),
            (new.zero_threshold(f64::INFINITY), "inf"),
            (new.zero_threshold(-1e-9), "-0.000000001"),
            (new.max_buckets(0), "limited to 0"),
            (new.max_buckets(1), "limited to 1"),
        ] {
            let refusal = bad.check().unwrap_err();
            assert!(refusal.contains(figure), "{bad:?}: {refusal}");
        }
    }

    #[test]
    fn schemas_below_zero_are_recorded_at_resolution_zero() {
        let resolutions = (MIN_SCHEMA..=MAX_SCHEMA)
            .map(|schema| NativeBuckets::new().schema(schema).resolution())
            .collect::<Vec<_>>();
        assert_eq!(resolutions, [0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn values_come_out_as_client_golang_writes_them() {
        let layout = NativeBuckets::new().schema(2);
        let mut octaves = std::collections::BTreeMap::<i32, [u64; 4]>::new();
        for value in [1.0, 1.2, 1.4, 1.8, 2.0, f64::INFINITY] {
            let (octave, within) = place(value, layout.resolution());
            octaves.entry(octave).or_default()[usize::try_from(within).unwrap()] += 1;
        }
        let blocks = octaves.iter().map(|(octave, counts)| Block {
            octave: *octave,
            resolution: 2,
            counts,
        });
        let point = join(&layout, 1, &blocks.collect::<Vec<_>>(), &[]);
        assert_eq!((point.schema, point.zero_count), (2, 1));
        assert_eq!(
            point.positive,
            [(0, 1), (2, 2), (4, 2), (4097, 1)],
            "infinity comes after the greatest number"
        );
    }
}
