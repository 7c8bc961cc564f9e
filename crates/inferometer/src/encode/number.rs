//! Numbers and times as the text formats spell them.

use std::{
    fmt::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

use super::page::Page;

/// Room for any integer, and what is written beyond it.
pub(super) const INTEGER_ROOM: usize = 32;

const ASCII_ZEROS: u64 = 0x3030_3030_3030_3030;

/// Writes `value` at `at`, which is at most 8, and returns where it ends.
#[inline(always)]
pub(super) fn integer(room: &mut [u8; INTEGER_ROOM], at: usize, value: u64) -> usize {
    if value < 100_000_000 {
        short_integer(room, at, value)
    } else {
        long_integer(room, at, value)
    }
}

#[inline(always)]
fn short_integer(room: &mut [u8; INTEGER_ROOM], at: usize, value: u64) -> usize {
    let digits = eight_digits(value);
    // The first digit is in the lowest byte, so leading zeros are trailing bits; one digit stays in any case.
    let zeros = (digits | 1 << 56).trailing_zeros() / 8;
    let text = (digits | ASCII_ZEROS) >> (zeros * 8);
    room[at..at + 8].copy_from_slice(&text.to_le_bytes());
    at + 8 - zeros as usize
}

#[inline(never)]
fn long_integer(room: &mut [u8; INTEGER_ROOM], at: usize, value: u64) -> usize {
    const GROUP: u64 = 100_000_000;
    let mut end = if value < GROUP * GROUP {
        short_integer(room, at, value / GROUP)
    } else {
        let end = short_integer(room, at, value / (GROUP * GROUP));
        eight_more(room, end, value / GROUP % GROUP)
    };
    end = eight_more(room, end, value % GROUP);
    end
}

fn eight_more(room: &mut [u8; INTEGER_ROOM], at: usize, value: u64) -> usize {
    let text = eight_digits(value) | ASCII_ZEROS;
    room[at..at + 8].copy_from_slice(&text.to_le_bytes());
    at + 8
}

/// The eight decimal digits of a number below 10⁸, a byte each, the first in the lowest byte.
///
/// The number is split into two of four digits, those into four of two, those into eight, all at once in one register; the
/// multiplications are divisions by 100 and by 10 (10486 / 2²⁰ and 103 / 2¹⁰, exact for numbers that small).
#[inline(always)]
fn eight_digits(value: u64) -> u64 {
    let fours = (value / 10_000) | ((value % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | ((twos - tens * 10) << 8)
}

/// Writes the shortest text that reads back the same, always with a point or an exponent.
pub(super) fn float(page: &mut Page<'_>, value: f64) {
    if value.is_nan() {
        page.put(b"NaN");
    } else if value.is_infinite() {
        page.put(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if value == 0.0 || (1e-4..1e16).contains(&value.abs()) {
        page.put(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        // Rarely seen, and slower: Rust's own spelling has no plus sign in the exponent. A page takes everything.
        let _ = write!(page, "{value:?}");
    }
}

/// A bucket's bound as the value of `le`: as Go's `%g` has it, with `.0` where that shows neither point nor exponent.
///
/// OpenMetrics asks for it (*Canonical Numbers*), Prometheus writes it so when it reads protobuf, and Prometheus 3 rewrites what
/// it finds in text. Any other spelling would be another series with another format or server.
pub(super) fn bound(value: f64) -> String {
    if value == f64::INFINITY {
        return "+Inf".into();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific
        .split_once('e')
        .expect("finite numbers have an exponent in this notation");
    let exponent: i32 = exponent.parse().expect("an exponent is a small integer");
    if (-4..6).contains(&exponent) {
        return format!("{value:?}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// Seconds and nanoseconds since 1970; `None` for a clock that shows an earlier time, which is wrong in any case.
pub(super) fn unix(at: SystemTime) -> Option<(u64, u32)> {
    let since = at.duration_since(UNIX_EPOCH).ok()?;
    Some((since.as_secs(), since.subsec_nanos()))
}

/// Writes a time in seconds to the millisecond, which is what Prometheus keeps.
pub(super) fn seconds(page: &mut Page<'_>, (seconds, nanoseconds): (u64, u32)) {
    let _ = write!(page, "{seconds}.{:03}", nanoseconds / 1_000_000);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn written(write: impl FnOnce(&mut Page<'_>)) -> String {
        let mut bytes = Vec::new();
        let mut page = Page::new(&mut bytes);
        write(&mut page);
        page.finish();
        String::from_utf8(bytes).unwrap()
    }

    fn digits(value: u64) -> String {
        let mut room = [0; INTEGER_ROOM];
        let end = integer(&mut room, 0, value);
        String::from_utf8(room[..end].into()).unwrap()
    }

    #[test]
    fn integers_of_every_length_are_written_whole() {
        let mut values = vec![0, 1, 9, u64::MAX];
        for power in 1..20 {
            let power = 10_u64.pow(power);
            values.extend([power - 1, power, power + 1, power / 10 * 9 + 7]);
        }
        for value in values {
            assert_eq!(digits(value), value.to_string());
        }
    }

    #[test]
    fn all_short_integers_are_written_right() {
        // Every group of four digits, alone and beside others.
        for value in 0..10_000 {
            for value in [
                value,
                value * 10_000,
                value * 10_000 + 9_999,
                12_340_000 + value,
            ] {
                assert_eq!(digits(value), value.to_string());
            }
        }
    }

    #[test]
    fn floats_are_spelled_as_the_formats_ask() {
        for (value, text) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.005, "0.005"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(written(|page| float(page, value)), text);
        }
    }

    #[test]
    fn floats_read_back_the_same() {
        for value in [
            f64::MAX,
            f64::MIN_POSITIVE,
            5e-324,
            1e16,
            0.1 + 0.2,
            123_456_789.125,
        ] {
            assert_eq!(written(|page| float(page, value)).parse(), Ok(value));
            assert_eq!(bound(value).parse(), Ok(value));
        }
    }

    #[test]
    fn bounds_are_canonical_numbers() {
        // The examples of OpenMetrics 1.0, and what Go prints for some bounds of ours.
        for text in [
            "0.0",
            "0.001",
            "0.002",
            "0.01",
            "0.1",
            "0.9",
            "0.95",
            "0.99",
            "0.999",
            "1.0",
            "1.7",
            "10.0",
            "1e-10",
            "1e-09",
            "1e-05",
            "0.0001",
            "100000.0",
            "1e+06",
            "1e+10",
            "1e+23",
            "1.1e+23",
            "65536.0",
            "1.048576e+06",
            "-1.0",
            "-1e+300",
            "2.5e-05",
            "+Inf",
        ] {
            let value: f64 = text.parse().unwrap();
            assert_eq!(bound(value), text);
        }
    }

    #[test]
    fn times_are_seconds_with_milliseconds() {
        let at = UNIX_EPOCH + Duration::new(1_520_879_607, 78_900_000);
        let at = unix(at).unwrap();
        assert_eq!(written(|page| seconds(page, at)), "1520879607.078");
        assert_eq!(unix(UNIX_EPOCH - Duration::from_secs(1)), None);
    }
}
