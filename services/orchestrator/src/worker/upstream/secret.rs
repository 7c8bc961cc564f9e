//! A key that can't be printed by accident.

use std::fmt;

/// A key. Neither `Debug` nor any error or log line shows it; there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `key`, without the white space around it (a file's last line break, most often).
    pub fn new(key: impl AsRef<str>) -> Self {
        Self(key.as_ref().trim().to_owned())
    }

    /// The key in the environment variable `name`; `None` when it is unset, empty or not text.
    pub fn from_env(name: &str) -> Option<Self> {
        std::env::var(name)
            .ok()
            .map(Self::new)
            .filter(|key| !key.0.is_empty())
    }

    /// The key itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_only_stars() {
        assert_eq!(
            format!(
                "{:?} {:?}",
                Secret::new("sk-1234\n"),
                Some(Secret::new("a"))
            ),
            "*** Some(***)"
        );
        assert_eq!(Secret::new(" sk-1234\n").expose(), "sk-1234");
    }

    #[test]
    fn an_unset_variable_is_no_key() {
        assert_eq!(
            Secret::from_env("ORCHESTRATOR_TEST_A_VARIABLE_NOBODY_SETS"),
            None
        );
    }
}
