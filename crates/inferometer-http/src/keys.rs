//! API keys: a file of names, scopes and hashes.
//!
//! ```text
//! # name:scopes:hash
//! prometheus:metrics:sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//! dashboard:metrics,stats:sha256:…
//! ```
//!
//! **Why SHA-256 is enough.** A key is 256 random bits: whoever has the file can't find one by trying, however fast a try
//! is. A slow hash guards passwords that people choose; here it would only let strangers make the server work.

mod failures;
mod file;
mod generate;

use std::{
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

use crate::{
    own::{HttpMetrics, Watched},
    route::Scope,
    watch::Watch,
};

use self::failures::Failures;
pub use self::{
    file::{KeyFileError, check_key_file},
    generate::{NewKey, NewKeyError},
};

/// The header that bears a key, beside `Authorization: Bearer`.
const HEADER: &str = "x-api-key";

type Hash = [u8; 32];

/// A key as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    name: Arc<str>,
    scopes: Vec<Scope>,
    hash: Hash,
}

/// Whose key it was, and what it may be used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    name: Arc<str>,
    scopes: Vec<Scope>,
}

impl Grant {
    pub(crate) fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }

    /// The key's name, for logs.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// The keys that are in force.
pub(crate) struct Keys {
    entries: Watch<Arc<[Entry]>>,
    failures: Mutex<Failures>,
}

impl Keys {
    pub(crate) fn read(
        path: PathBuf,
        allowed: u32,
        metrics: HttpMetrics,
    ) -> Result<Self, KeyFileError> {
        let read = {
            let path = path.clone();
            move || file::read(&path).map(Into::into)
        };
        Ok(Self {
            entries: Watch::new(Watched::Keys, vec![path], metrics, read)?,
            failures: Mutex::new(Failures::new(allowed)),
        })
    }

    /// Whose key this is. Takes as long for a wrong key as for a right one, whichever it is and wherever they differ: its hash is
    /// compared with every hash there is, and with one that no key has.
    pub(crate) fn check(&self, presented: &[u8]) -> Option<Grant> {
        find(&self.entries.current(), presented)
    }

    /// Counts a wrong key of this client. `Some` when it has sent too many: how long to keep the answer back, and when to try again.
    pub(crate) fn failed(&self, client: IpAddr) -> Option<(Duration, Duration)> {
        self.failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .count(client, std::time::Instant::now())
    }
}

fn find(entries: &[Entry], presented: &[u8]) -> Option<Grant> {
    let hash: Hash = Sha256::digest(presented).into();
    // No key has this hash: none that hashes to zero is known, and the last choice below is lost anyway.
    let dummy = Hash::default();
    let mut found = 0_u32;
    let mut place = 0_u32;
    for entry in entries {
        place = place.wrapping_add(1);
        found.conditional_assign(&place, entry.hash.ct_eq(&hash));
    }
    // With an empty file, too, there is one comparison; its result is not used.
    let _: Choice = dummy.ct_eq(&hash);
    let index = usize::try_from(found).ok()?.checked_sub(1)?;
    entries.get(index).map(|entry| Grant {
        name: Arc::clone(&entry.name),
        scopes: entry.scopes.clone(),
    })
}

/// The key that a request bears: `X-API-Key`, or else `Authorization: Bearer`. Two in one header line count as one that is wrong.
pub(crate) fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(key) = headers.get(HEADER) {
        return Some(key.as_bytes());
    }
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, key) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| key.trim_ascii())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn entry(name: &str, key: &str, scopes: &[Scope]) -> Entry {
        Entry {
            name: name.into(),
            scopes: scopes.into(),
            hash: Sha256::digest(key).into(),
        }
    }

    #[test]
    fn only_the_whole_key_is_a_key() {
        let entries = [
            entry("one", "key-of-one", &[Scope::Metrics]),
            entry("two", "key-of-two", &[Scope::Admin]),
        ];
        let one = find(&entries, b"key-of-one").unwrap();
        assert_eq!(one.name(), "one");
        assert!(one.allows(Scope::Metrics) && !one.allows(Scope::Stats));
        let two = find(&entries, b"key-of-two").unwrap();
        assert!(Scope::ALL.iter().all(|scope| two.allows(*scope)));
        for wrong in [
            &b""[..],
            b"key-of-on",
            b"key-of-one ",
            b"key-of-three",
            b"\xff",
        ] {
            assert_eq!(find(&entries, wrong), None, "{wrong:?}");
        }
        assert_eq!(find(&[], b"key-of-one"), None);
    }

    #[test]
    fn key_is_in_its_own_header_or_a_bearer_token() {
        let bears = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            presented(&headers).map(<[u8]>::to_vec)
        };
        assert_eq!(bears("x-api-key", "abc"), Some(b"abc".to_vec()));
        assert_eq!(bears("x-api-key", ""), Some(Vec::new()));
        assert_eq!(bears("authorization", "Bearer abc"), Some(b"abc".to_vec()));
        assert_eq!(
            bears("authorization", "bearer  abc "),
            Some(b"abc".to_vec())
        );
        for other in ["Basic abc", "Bearer", "", "Bearerabc"] {
            assert_eq!(bears("authorization", other), None, "{other}");
        }
    }
}
