//! New keys.

use std::{
    fmt,
    fs::OpenOptions,
    io::{self, Write as _},
    path::Path,
};

use rand::{TryRng as _, rngs::SysRng};
use sha2::{Digest as _, Sha256};

use crate::route::Scope;

use super::{
    KeyFileError,
    file::{self, Hex},
};

/// A key that was just made: the only moment at which it can be read.
pub struct NewKey {
    name: String,
    scopes: Vec<Scope>,
    secret: String,
}

impl fmt::Debug for NewKey {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKey")
            .field("name", &self.name)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

/// A key that couldn't be made or written.
#[derive(Debug, thiserror::Error)]
pub enum NewKeyError {
    /// The name or the scopes can't be used.
    #[error("can't make a key: {0}")]
    Asked(String),
    /// The system gave no random numbers.
    #[error("can't make a key: the system gave no random numbers: {0}")]
    Random(String),
    /// The file that is there can't be used.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// The file can't be written.
    #[error("can't write the key file {path}: {source}")]
    Write {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
}

impl NewKey {
    /// Makes a key of 256 random bits.
    ///
    /// # Errors
    /// When the name is none, there is no scope, or the system gives no random numbers.
    ///
    /// # Examples
    /// ```
    /// use inferometer_http::{NewKey, Scope};
    ///
    /// let key = NewKey::generate("prometheus", &[Scope::Metrics])?;
    /// assert!(key.secret().starts_with("inferometer_"));
    /// assert!(key.line().starts_with("prometheus:metrics:sha256:"));
    /// # Ok::<(), inferometer_http::NewKeyError>(())
    /// ```
    pub fn generate(name: &str, scopes: &[Scope]) -> Result<Self, NewKeyError> {
        file::check_name(name).map_err(NewKeyError::Asked)?;
        if scopes.is_empty() {
            let fault = "give it at least one scope of metrics, stats and admin";
            return Err(NewKeyError::Asked(fault.into()));
        }
        let mut bits = [0; 32];
        SysRng
            .try_fill_bytes(&mut bits)
            .map_err(|error| NewKeyError::Random(error.to_string()))?;
        Ok(Self {
            name: name.into(),
            scopes: scopes.into(),
            secret: format!("inferometer_{}", Hex(&bits)),
        })
    }

    /// The key itself, to be handed to its user and kept nowhere.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Its line for the key file, which has the hash alone.
    pub fn line(&self) -> String {
        let scopes: Vec<_> = self.scopes.iter().map(|scope| scope.name()).collect();
        let (scopes, hash) = (scopes.join(","), Sha256::digest(&self.secret));
        format!("{}:{scopes}:sha256:{}", self.name, Hex(&hash))
    }

    /// Adds its line to a key file, which is made where there is none, for its owner's eyes. A running server takes it by itself.
    ///
    /// # Errors
    /// When the file has a fault already or the name stands in it, or it can't be written.
    pub fn add_to(&self, path: &Path) -> Result<(), NewKeyError> {
        let mut before = false;
        if path.exists() {
            let entries = file::read(path)?;
            before = true;
            if entries.iter().any(|entry| *entry.name == *self.name) {
                return Err(NewKeyError::Asked(format!(
                    "{} has a key named {} already; take another name, or its line out first",
                    path.display(),
                    self.name
                )));
            }
        }
        let failed = |source| NewKeyError::Write {
            path: path.display().to_string(),
            source,
        };
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(failed)?;
        // One write, and a line break before it should the last line have none: an empty line does no harm.
        let line = format!("{}{}\n", if before { "\n" } else { "" }, self.line());
        file.write_all(line.as_bytes()).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_and_are_found_by_their_line_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let made = |name| NewKey::generate(name, &[Scope::Metrics, Scope::Stats]).unwrap();
        let (one, two) = (made("one"), made("two"));
        one.add_to(&path).unwrap();
        two.add_to(&path).unwrap();
        assert_ne!(one.secret(), two.secret());
        assert_eq!(one.secret().len(), "inferometer_".len() + 64);
        let entries = file::read(&path).unwrap();
        for key in [&one, &two] {
            let grant = super::super::find(&entries, key.secret().as_bytes()).unwrap();
            assert_eq!(grant.name(), key.name);
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.contains(key.secret()));
            assert!(!format!("{key:?}").contains(key.secret()));
        }
        let again = one.add_to(&path).unwrap_err().to_string();
        assert!(again.contains("has a key named one already"), "{again}");
    }

    #[test]
    fn names_and_scopes_are_looked_at() {
        assert!(NewKey::generate("a:b", &[Scope::Metrics]).is_err());
        assert!(NewKey::generate("a", &[]).is_err());
    }
}
