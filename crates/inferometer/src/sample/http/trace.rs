//! The identity of a trace.

use std::fmt;

/// The id of a trace as W3C Trace Context has it: 32 hexadecimal digits in lower case, not all of them 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 32]);

impl TraceId {
    /// The id that is written so; `None` when it isn't one.
    ///
    /// # Examples
    /// ```
    /// use inferometer::sample::http::TraceId;
    ///
    /// let id = TraceId::parse("4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
    /// assert_eq!(id.as_str(), "4bf92f3577b34da6a3ce929d0e0e4736");
    /// assert!(TraceId::parse("4BF92F3577B34DA6A3CE929D0E0E4736").is_none());
    /// assert!(TraceId::parse("00000000000000000000000000000000").is_none());
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let digits: [u8; 32] = text.as_bytes().try_into().ok()?;
        let hex = digits
            .iter()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        let real = digits.iter().any(|digit| *digit != b'0');
        (hex && real).then_some(Self(digits))
    }

    /// The id with this number; `None` for 0.
    pub fn from_number(number: u128) -> Option<Self> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 32];
        for (pair, byte) in text.chunks_exact_mut(2).zip(number.to_be_bytes()) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        (number != 0).then_some(Self(text))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        // Hexadecimal digits are ASCII.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_as_it_is_read() {
        for number in [1, u128::MAX, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736] {
            let id = TraceId::from_number(number).unwrap();
            assert_eq!(id.as_str(), format!("{number:032x}"));
            assert_eq!(TraceId::parse(id.as_str()), Some(id));
        }
        assert_eq!(TraceId::from_number(0), None);
    }
}
