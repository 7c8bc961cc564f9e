//! The key file.

use std::{
    collections::BTreeSet,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use crate::route::Scope;

use super::{Entry, Hash};

/// A key file that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It can't be read.
    #[error("can't read the key file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line isn't as it should be. What stands there is not repeated: it could be a key.
    #[error("{}, line {line}: {fault}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it, and what to do.
        fault: String,
    },
}

/// Reads a key file as a server would, and says how many keys it has.
///
/// # Errors
/// As a server's: the file, the line, and what to do.
pub fn check_key_file(path: &Path) -> Result<usize, KeyFileError> {
    read(path).map(|entries| entries.len())
}

pub(super) fn read(path: &Path) -> Result<Vec<Entry>, KeyFileError> {
    let text = fs::read_to_string(path).map_err(|source| KeyFileError::Read {
        path: path.into(),
        source,
    })?;
    let mut entries = Vec::new();
    let mut names = BTreeSet::new();
    for (at, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let read = entry(line).and_then(|entry| {
            if names.insert(entry.name.clone()) {
                Ok(entry)
            } else {
                Err("the name stands on a line before; give each key its own".into())
            }
        });
        entries.push(read.map_err(|fault| KeyFileError::Line {
            path: path.into(),
            line: at,
            fault,
        })?);
    }
    Ok(entries)
}

fn entry(line: &str) -> Result<Entry, String> {
    let form = "write name:scopes:sha256:hash, as `inferometer keys new` prints it";
    let mut fields = line.splitn(3, ':');
    let (Some(name), Some(scopes), Some(hash)) = (fields.next(), fields.next(), fields.next())
    else {
        return Err(format!("not a key's line; {form}"));
    };
    check_name(name)?;
    let scopes = scopes
        .split(',')
        .map(|text| scope(text.trim()))
        .collect::<Result<_, _>>()?;
    let hash = hash
        .strip_prefix("sha256:")
        .and_then(parse_hash)
        .ok_or_else(|| format!("no hash of 64 hexadecimal digits after sha256:; {form}"))?;
    Ok(Entry {
        name: name.into(),
        scopes,
        hash,
    })
}

pub(super) fn check_name(name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if (1..=64).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    Err("a key's name has 1 to 64 letters, digits and - _ .".into())
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::ALL
        .into_iter()
        .find(|scope| scope.name() == text)
        .ok_or_else(|| "an unknown scope; there are metrics, stats and admin".into())
}

/// Writes a hash as the file has it.
pub(super) struct Hex<'a>(pub(super) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn parse_hash(text: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    let digits = text.as_bytes();
    if digits.len() != 2 * hash.len() {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        let nibble = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(nibble(pair[0])? * 16 + nibble(pair[1])?).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn parsed(text: &str) -> Result<Vec<Entry>, KeyFileError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        read(file.path())
    }

    const HASH: &str = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn comments_and_empty_lines_are_passed_over() {
        let entries = parsed(&format!(
            "# keys\n\nprometheus:metrics:{HASH}\n  ops:stats, admin:{HASH}\n"
        ))
        .unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(&*entries[1].name, "ops");
        assert_eq!(entries[1].scopes, [Scope::Stats, Scope::Admin]);
        assert_eq!(entries[0].hash[..3], [0x9f, 0x86, 0xd0]);
    }

    #[test]
    fn fault_names_its_line_and_never_what_stands_there() {
        for (text, fault) in [
            ("a-secret-key", "line 1: not a key's line"),
            (
                "\na:metrics:sha256:a-secret-key",
                "line 2: no hash of 64 hexadecimal digits",
            ),
            ("a:a-secret-key:sha256:00", "line 1: an unknown scope"),
            (
                &format!("a-secret-key !:metrics:{HASH}"),
                "line 1: a key's name has",
            ),
            (
                &format!("a:metrics:{HASH}\na:stats:{HASH}"),
                "line 2: the name stands on a line before",
            ),
        ] {
            let error = parsed(text).unwrap_err().to_string();
            assert!(error.contains(fault), "{error}");
            assert!(!error.contains("a-secret-key"), "{error}");
        }
    }

    #[test]
    fn missing_file_is_named() {
        let error = read(Path::new("/nowhere/keys")).unwrap_err().to_string();
        assert!(
            error.starts_with("can't read the key file /nowhere/keys:"),
            "{error}"
        );
    }
}
