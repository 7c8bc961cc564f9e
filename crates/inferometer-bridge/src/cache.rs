//! Keys of the facade to the handles that were made for them, read without a lock.

use std::hash::{Hash, Hasher};

use foldhash::fast::RandomState;
use metrics::Key;
use papaya::{Equivalent, HashMap};

/// A bounded map. What is put in beyond the bound takes the place of everything that was there: handles can be made again.
pub(crate) struct Cache<H>(HashMap<Kept, H, RandomState>);

/// A key as it was given, the order of its labels included.
///
/// Not by the facade's own hash: that has no secret, so whoever chooses a label's value could make many keys share one, and a table that
/// meets many equal hashes grows without end.
struct Kept(Key);

/// A key that is looked for.
struct Sought<'a>(&'a Key);

fn hash_key<S: Hasher>(key: &Key, state: &mut S) {
    state.write(key.name().as_bytes());
    for label in key.labels() {
        state.write(label.key().as_bytes());
        state.write(label.value().as_bytes());
    }
}

fn are_equal(one: &Key, other: &Key) -> bool {
    one.get_hash() == other.get_hash()
        && one.name() == other.name()
        && one.labels().eq(other.labels())
}

impl Hash for Kept {
    fn hash<S: Hasher>(&self, state: &mut S) {
        hash_key(&self.0, state);
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        are_equal(&self.0, &other.0)
    }
}

impl Eq for Kept {}

impl Hash for Sought<'_> {
    #[inline]
    fn hash<S: Hasher>(&self, state: &mut S) {
        hash_key(self.0, state);
    }
}

impl Equivalent<Kept> for Sought<'_> {
    #[inline]
    fn equivalent(&self, kept: &Kept) -> bool {
        are_equal(self.0, &kept.0)
    }
}

impl<H: Clone> Cache<H> {
    pub(crate) fn new() -> Self {
        Self(HashMap::with_hasher(RandomState::default()))
    }

    #[inline]
    pub(crate) fn get(&self, key: &Key) -> Option<H> {
        self.0.pin().get(&Sought(key)).cloned()
    }

    /// Keeps `handle` for the next who asks for `key`.
    pub(crate) fn put(&self, key: &Key, handle: &H, bound: usize) {
        let entries = self.0.pin();
        if entries.len() >= bound {
            entries.clear();
        }
        entries.insert(Kept(key.to_retained()), handle.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, labels: &[(&str, &str)]) -> Key {
        let labels: Vec<_> = labels
            .iter()
            .map(|(name, value)| metrics::Label::new((*name).to_owned(), (*value).to_owned()))
            .collect();
        Key::from_parts(name.to_owned(), labels)
    }

    #[test]
    fn a_key_is_found_by_its_content_alone() {
        let cache = Cache::new();
        let keys = [
            key("a", &[]),
            key("ab", &[("c", "d")]),
            key("a", &[("bc", "d")]),
            key("a", &[("b", "cd")]),
            key("a", &[("b", "c"), ("d", "e")]),
            key("a", &[("d", "e"), ("b", "c")]),
        ];
        for (at, key) in keys.iter().enumerate() {
            assert_eq!(cache.get(key), None);
            cache.put(key, &at, 100);
        }
        for (at, key) in keys.iter().enumerate() {
            assert_eq!(cache.get(key), Some(at));
        }
    }

    #[test]
    fn the_bound_holds() {
        let cache = Cache::new();
        for at in 0..1_000 {
            cache.put(&key("a", &[("b", &at.to_string())]), &at, 10);
            assert!(cache.0.len() <= 10);
            assert_eq!(cache.get(&key("a", &[("b", &at.to_string())])), Some(at));
        }
    }
}
