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

/// An id for a request that came without one.
pub(super) fn request_id() -> HeaderValue {
    HeaderValue::try_from(format!("{:032x}", long_number())).expect("digits fit a header")
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, thread};

    use super::*;

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
