//! What a series of an open set is found by: its label values, each with its length, one after another.
//!
//! Two keys are equal only when all values are. A closed label's value is written as its index, an open one's as its text. A lookup makes
//! no key: it hashes the values where they are, and compares them with the keys that are there.

use std::hash::Hasher;

/// Takes the values of a label set, in the order of its labels.
#[doc(hidden)]
pub trait KeySink {
    /// Takes a closed label's value.
    fn index(&mut self, index: usize);

    /// Takes an open label's value.
    fn text(&mut self, text: &str);
}

/// Label values that can be shown to several sinks, each time the same.
pub(crate) trait Keyed {
    fn key<K: KeySink>(&self, sink: &mut K);
}

/// A closed label's value in a key, and an open one's length.
#[inline(always)]
fn number(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes()
}

/// The values as bytes, to be stored.
pub(crate) fn bytes(of: &impl Keyed) -> Box<[u8]> {
    struct Builder(Vec<u8>);

    impl KeySink for Builder {
        fn index(&mut self, index: usize) {
            self.0.extend_from_slice(&number(index));
        }

        fn text(&mut self, text: &str) {
            self.index(text.len());
            self.0.extend_from_slice(text.as_bytes());
        }
    }

    let mut builder = Builder(Vec::new());
    of.key(&mut builder);
    builder.0.into()
}

/// The hash of the values.
#[inline(always)]
pub(crate) fn hash<H: Hasher>(of: &impl Keyed, hasher: H) -> u64 {
    struct Hashed<H>(H);

    impl<H: Hasher> KeySink for Hashed<H> {
        #[inline(always)]
        fn index(&mut self, index: usize) {
            self.0.write_usize(index);
        }

        #[inline(always)]
        fn text(&mut self, text: &str) {
            self.0.write(text.as_bytes());
        }
    }

    let mut hashed = Hashed(hasher);
    of.key(&mut hashed);
    hashed.0.finish()
}

/// Whether the values are those of a key that was stored.
#[inline(always)]
pub(crate) fn matches(of: &impl Keyed, stored: &[u8]) -> bool {
    /// What is left of the key; `None` once a value differed.
    struct Matcher<'a>(Option<&'a [u8]>);

    impl KeySink for Matcher<'_> {
        #[inline(always)]
        fn index(&mut self, index: usize) {
            self.0 = self.0.and_then(|left| {
                let (stored, left) = left.split_first_chunk()?;
                (*stored == number(index)).then_some(left)
            });
        }

        #[inline(always)]
        fn text(&mut self, text: &str) {
            self.index(text.len());
            self.0 = self.0.and_then(|left| {
                let (stored, left) = left.split_at_checked(text.len())?;
                same(stored, text.as_bytes()).then_some(left)
            });
        }
    }

    let mut matcher = Matcher(Some(stored));
    of.key(&mut matcher);
    matcher.0.is_some_and(<[u8]>::is_empty)
}

/// Whether two slices of the same length are equal. Short ones are compared without a call: most label values are short.
#[inline(always)]
fn same(left: &[u8], right: &[u8]) -> bool {
    if let (Some((first, _)), Some((first_too, _))) = (
        left.split_first_chunk::<8>(),
        right.split_first_chunk::<8>(),
    ) && left.len() <= 16
        && let (Some((_, last)), Some((_, last_too))) =
            (left.split_last_chunk::<8>(), right.split_last_chunk::<8>())
    {
        let difference = u64::from_ne_bytes(*first) ^ u64::from_ne_bytes(*first_too)
            | u64::from_ne_bytes(*last) ^ u64::from_ne_bytes(*last_too);
        return difference == 0;
    }
    left == right
}

/// The text that a key begins with, and what follows; `None` at its end. For keys that are texts only.
pub(crate) fn split_text(key: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = key.split_first_chunk::<4>()?;
    let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Keyed for [&str] {
        fn key<K: KeySink>(&self, sink: &mut K) {
            for text in self {
                sink.text(text);
            }
        }
    }

    impl<const N: usize> Keyed for [&str; N] {
        fn key<K: KeySink>(&self, sink: &mut K) {
            self[..].key(sink);
        }
    }

    #[test]
    fn keys_match_only_when_all_values_are_equal() {
        let long = "x".repeat(500);
        let sets: [&[&str]; 10] = [
            &["ab", "c"],
            &["a", "bc"],
            &["abc"],
            &["", "a"],
            &["a", ""],
            &["customer-0001"],
            &["customer-0002"],
            &["customer-0001-of-a-longer-name"],
            &[&long],
            &[&long[1..]],
        ];
        for (at, set) in sets.iter().enumerate() {
            let stored = bytes(&Set(set));
            for (other, values) in sets.iter().enumerate() {
                assert_eq!(
                    matches(&Set(values), &stored),
                    at == other,
                    "{set:?} {values:?}"
                );
            }
        }
    }

    #[test]
    fn a_key_of_texts_gives_them_back() {
        let stored = bytes(&["a", "", "ü"]);
        let (first, rest) = split_text(&stored).unwrap();
        let (second, rest) = split_text(rest).unwrap();
        let (third, rest) = split_text(rest).unwrap();
        assert_eq!((first, second, third), ("a", "", "ü"));
        assert_eq!(split_text(rest), None);
    }

    struct Set<'a>(&'a [&'a str]);

    impl Keyed for Set<'_> {
        fn key<K: KeySink>(&self, sink: &mut K) {
            self.0.key(sink);
        }
    }

    proptest::proptest! {
        #[test]
        fn slices_are_the_same_when_they_are_equal(left: Vec<u8>, at: proptest::sample::Index) {
            let mut right = left.clone();
            proptest::prop_assert!(same(&left, &right));
            if !right.is_empty() {
                right[at.index(left.len())] ^= 1;
                proptest::prop_assert!(!same(&left, &right));
            }
        }
    }
}
