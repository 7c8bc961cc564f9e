//! Ids that are different each time. They are no secrets.

use std::{
    cell::Cell,
    hash::{BuildHasher as _, RandomState},
};

use http::HeaderValue;

/// A number that is different each time: a count, hashed with the thread's own random keys.
pub(super) fn number() -> u64 {
    thread_local! {
        static KEYS: RandomState = RandomState::new();
        static COUNT: Cell<u64> = const { Cell::new(0) };
    }
    let count = COUNT.replace(COUNT.get().wrapping_add(1));
    KEYS.with(|keys| keys.hash_one(count))
}

/// A long one.
pub(super) fn long_number() -> u128 {
    u128::from(number()) << 64 | u128::from(number())
}

/// The lowest `N` hexadecimal digits of a number, in lower case.
pub(super) fn digits<const N: usize>(mut number: u128) -> [u8; N] {
    let mut digits = [0; N];
    for digit in digits.iter_mut().rev() {
        let low = usize::from(number.to_le_bytes()[0] & 0xf);
        *digit = b"0123456789abcdef"[low];
        number >>= 4;
    }
    digits
}

/// An id for a request that came without one.
pub(super) fn request_id() -> HeaderValue {
    let digits: [u8; 32] = digits(long_number());
    HeaderValue::from_bytes(&digits).expect("digits fit a header")
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, thread};

    use super::*;

    #[test]
    fn digits_are_those_of_the_number() {
        for number in [0, 1, 0xabc, u128::MAX, 1 << 127, long_number()] {
            let written = String::from_utf8(digits::<32>(number).to_vec()).unwrap();
            assert_eq!(written, format!("{number:032x}"));
        }
        assert_eq!(digits(0x1234), *b"34", "the lowest alone");
    }

    #[test]
    fn ids_are_different_on_every_thread() {
        let threads =
            [(); 4].map(|()| thread::spawn(|| (0..1000).map(|_| request_id()).collect::<Vec<_>>()));
        let ids: HashSet<_> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        assert_eq!(ids.len(), 4000);
    }
}
