//! Which bucket a magnitude belongs to.
//!
//! Octave `k` holds `(2^(k-1), 2^k]`, and at resolution `r` it has `2^r` buckets, whose upper bounds are `2^(k-1+j·2^-r)`. All but the
//! last of these are irrational, so a number is at or below one exactly if its mantissa is at or below the bound's mantissa cut to
//! 52 bits. The tables hold these; no decision here is rounded. (`client_golang`'s table is multiplied up in floating point and up
//! to three units in the last place off; only a value that close to a bound is placed otherwise.)

/// The finest resolution, of 256 buckets an octave.
pub(crate) const MAX_RESOLUTION: u8 = 8;
/// That of the smallest number above 0, which is `2^-1074`.
pub(crate) const LOWEST_OCTAVE: i32 = -1074;
/// That of infinity, of which only the first bucket is ever used: as in `client_golang`, infinity is counted in the bucket after that
/// of `f64::MAX`, in every schema. The finite octaves end one before.
pub(crate) const INFINITE_OCTAVE: i32 = 1025;

/// The octave of a magnitude, and the bucket within it, from 0 to `2^resolution - 1`.
///
/// Numbers that are no magnitude (0, a negative one, NaN) are the caller's to sort out; here they share the lowest place.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a slice's number has 10 bits, a bucket's 8"
)]
#[inline]
pub(crate) fn place(magnitude: f64, resolution: u8) -> (i32, u32) {
    debug_assert!(resolution <= MAX_RESOLUTION);
    // One less, so that a power of two, the first number of its exponent, is the last of its octave. It turns "above a bound" into
    // "at or above" for the others.
    let below = magnitude.to_bits().wrapping_sub(1);
    if below.wrapping_sub(LEADING) >= f64::INFINITY.to_bits() - 1 - LEADING {
        return place_rare(magnitude, resolution);
    }
    let mantissa = below & (LEADING - 1) | LEADING;
    let shift = SLICE_BITS - u32::from(resolution);
    let slice = (mantissa >> shift) as usize % SLICES.len();
    let within = (SLICES[slice] + (mantissa & ((1 << shift) - 1))) >> shift;
    ((below >> 52) as i32 - 1022, within as u32)
}

/// Infinity, and the subnormal numbers, whose mantissa doesn't begin with a one.
#[cold]
#[inline(never)]
fn place_rare(magnitude: f64, resolution: u8) -> (i32, u32) {
    if magnitude == f64::INFINITY {
        (INFINITE_OCTAVE, 0)
    } else if magnitude > 0.0 {
        // A factor of 2^64 changes the exponent alone.
        let (octave, within) = place(magnitude * 18_446_744_073_709_551_616.0, resolution);
        (octave - 64, within)
    } else {
        (LOWEST_OCTAVE, 0)
    }
}

/// The index, in the schema that equals the resolution, of a bucket in an octave.
pub(crate) fn index(octave: i32, within: u32, resolution: u8) -> i32 {
    debug_assert!(resolution <= MAX_RESOLUTION && within < 1 << resolution);
    ((octave - 1) << resolution) + within.cast_signed() + 1
}

/// The index, in a schema no finer, of the bucket that holds this one.
pub(crate) fn coarsen(index: i32, from_schema: i8, to_schema: i8) -> i32 {
    debug_assert!(from_schema >= to_schema);
    ((index - 1) >> (from_schema - to_schema)) + 1
}

/// The bit before a mantissa's 52, always set in a number that isn't subnormal.
const LEADING: u64 = 1 << 52;

/// At resolution `r` an octave is cut into `2^(r+1)` slices of equal width, each with `SLICE_BITS - r` bits below its number.
const SLICE_BITS: u32 = 51;

/// The buckets of resolution `r` are at least `ln 2 · 2^-r` wide, so a slice, of half `2^-r`, has one bound in it at most. Its entry,
/// shifted up by the bits below, is the bucket that the slice begins in, and so much more that adding those bits carries into the
/// next bucket exactly from the bound on.
///
/// Slice `s` of resolution `r` is entry `2^(r+1) + s`, which is the upper end of the mantissa with its leading bit. 8 KiB, of which a
/// metric touches `2^(r+4)` bytes at most.
static SLICES: [u64; 2 << (MAX_RESOLUTION + 1)] = {
    let mut slices = [0; 2 << (MAX_RESOLUTION + 1)];
    let mut resolution = 0;
    while resolution <= MAX_RESOLUTION as u32 {
        let shift = SLICE_BITS - resolution;
        let step = 1_usize << (MAX_RESOLUTION as u32 - resolution);
        let mut bucket = 0;
        let mut slice = 2_usize << resolution;
        while slice < 4 << resolution {
            let (start, end) = ((slice as u64) << shift, (slice as u64 + 1) << shift);
            while bound((bucket + 1) * step) <= start {
                bucket += 1;
            }
            assert!(bucket + 1 == 1 << resolution || bound((bucket + 2) * step) >= end);
            let next = bound((bucket + 1) * step);
            slices[slice] = ((bucket as u64) << shift) + end.saturating_sub(next);
            slice += 1;
        }
        resolution += 1;
    }
    slices
};

/// `2^52 · 2^(j/256)`, cut to an integer.
const fn bound(j: usize) -> u64 {
    if j >= 256 {
        return LEADING << 1;
    }
    // The roots are at most 2 units of 2^-63 too small: none may be so close below an integer that this matters.
    let spare = (1 << 11) - 1;
    assert!(ROOTS[j] & spare < spare - 1);
    ROOTS[j] >> 11
}

/// `2^63 · 2^(j/256)`, at most 2 too small: each level takes square roots of the one before, `2^(j/2^k) = sqrt(2^(j/2^(k-1)))`, which
/// halves its error, and adds less than one by the cut.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the root of 128 bits has 64"
)]
const ROOTS: [u64; 256] = {
    let mut roots = [1_u64 << 63; 256];
    let mut step = 128;
    while step > 0 {
        let mut j = step;
        while j < 256 {
            // Of the square, 2^(2j/256), the table has what is below 2.
            let square = if j < 128 {
                (roots[2 * j] as u128) << 63
            } else {
                (roots[2 * j - 256] as u128) << 64
            };
            roots[j] = square.isqrt() as u64;
            j += 2 * step;
        }
        step /= 2;
    }
    roots
};

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, test_runner::Config};

    use super::*;
    use crate::native::{MIN_SCHEMA, exact};

    fn index_of(magnitude: f64, resolution: u8) -> i32 {
        let (octave, within) = place(magnitude, resolution);
        assert!(
            within < 1 << resolution,
            "{magnitude:e} at resolution {resolution}"
        );
        index(octave, within, resolution)
    }

    #[test]
    fn every_bound_of_an_octave_is_exact_to_the_last_unit() {
        for octave in [-1073, -1040, -1022, -1021, -500, -3, 0, 1, 2, 70, 1024] {
            for j in 1..=256_i32 {
                let near = 2_f64.powf(f64::from(j) / 256.0 - 1.0) * 2_f64.powi(octave - 1) * 2.0;
                let around = (0..4).fold(near, |value, _| value.next_down());
                let values = std::iter::successors(Some(around), |value| Some(value.next_up()))
                    .take(9)
                    .filter(|value| value.is_finite() && *value > 0.0)
                    .collect::<Vec<_>>();
                for resolution in 0..=MAX_RESOLUTION {
                    for value in &values {
                        assert_eq!(
                            index_of(*value, resolution),
                            exact::index(*value, resolution),
                            "{value:e} at resolution {resolution}"
                        );
                    }
                }
                // The bound must lie among the values, or they would show nothing.
                if octave > -1021 && octave < 1024 {
                    let index = ((octave - 1) << 8) + j;
                    assert_eq!(exact::index(values[0], 8), index, "octave {octave}, {j}");
                    assert_eq!(exact::index(values[8], 8), index + 1);
                }
            }
        }
    }

    #[test]
    fn powers_of_two_end_their_octave_and_the_next_number_begins_another() {
        for exponent in -1074..=1023 {
            let power = exact::power_of_two(exponent);
            for resolution in 0..=MAX_RESOLUTION {
                let last = (1 << resolution) - 1;
                assert_eq!(place(power, resolution), (exponent, last));
                assert_eq!(place(power.next_up(), resolution).0, exponent + 1);
            }
        }
    }

    #[test]
    fn extremes_have_their_places() {
        let least = f64::from_bits(1);
        for resolution in 0..=MAX_RESOLUTION {
            let last = (1 << resolution) - 1;
            assert_eq!(place(least, resolution), (LOWEST_OCTAVE, last));
            assert_eq!(place(f64::MIN_POSITIVE, resolution), (-1022, last));
            assert_eq!(
                place(f64::MIN_POSITIVE.next_down(), resolution),
                (-1022, last)
            );
            assert_eq!(
                place(f64::MAX, resolution),
                (INFINITE_OCTAVE - 1, last),
                "resolution {resolution}"
            );
            assert_eq!(place(f64::INFINITY, resolution), (INFINITE_OCTAVE, 0));
        }
        assert_eq!(index_of(f64::INFINITY, 2), 4097);
    }

    #[test]
    fn what_is_no_magnitude_has_a_place_all_the_same() {
        for value in [0.0, -0.0, -1.0, f64::NEG_INFINITY, f64::NAN, -f64::NAN] {
            assert_eq!(place(value, 8), (LOWEST_OCTAVE, 0), "{value}");
        }
    }

    #[test]
    fn infinity_comes_after_the_greatest_number_in_every_schema() {
        for schema in MIN_SCHEMA..=8 {
            let at = |magnitude| coarsen(index_of(magnitude, 8), 8, schema);
            assert_eq!(at(f64::INFINITY), at(f64::MAX) + 1, "schema {schema}");
        }
    }

    #[test]
    fn indices_go_on_from_octave_to_octave() {
        for resolution in 0..=MAX_RESOLUTION {
            let indices = (-3..=3)
                .flat_map(|octave| (0..1 << resolution).map(move |within| (octave, within)))
                .map(|(octave, within)| index(octave, within, resolution))
                .collect::<Vec<_>>();
            assert!(indices.windows(2).all(|pair| pair[1] == pair[0] + 1));
            assert_eq!(index(0, (1 << resolution) - 1, resolution), 0);
        }
    }

    proptest! {
        #![proptest_config(Config { failure_persistence: None, ..Config::with_cases(2000) })]

        #[test]
        fn any_magnitude_lies_within_its_bucket(bits in 1..=f64::MAX.to_bits()) {
            let magnitude = f64::from_bits(bits);
            for resolution in 0..=MAX_RESOLUTION {
                prop_assert_eq!(index_of(magnitude, resolution), exact::index(magnitude, resolution));
            }
        }

        #[test]
        fn coarsening_is_the_same_as_placing_in_a_coarser_schema(bits in 1..=f64::MAX.to_bits(), from in 0..=8_i8, by in 0..=12_i8) {
            let magnitude = f64::from_bits(bits);
            let to = (from - by).max(MIN_SCHEMA);
            let coarse = coarsen(index_of(magnitude, from.unsigned_abs()), from, to);
            prop_assert_eq!(coarse, exact::index_in_schema(magnitude, to));
        }

        #[test]
        fn a_greater_magnitude_never_has_a_lower_index(one in 1..=f64::MAX.to_bits(), other in 1..=f64::MAX.to_bits(), resolution in 0..=8_u8) {
            let (low, high) = (one.min(other), one.max(other));
            let index = |bits| index_of(f64::from_bits(bits), resolution);
            prop_assert!(index(low) <= index(high));
        }
    }
}
