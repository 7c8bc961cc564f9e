//! A reference as text: with the version of its form, and a checksum.

use std::{
    borrow::Cow,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Reference;

/// The version of the form. A change that an older program would misread raises it.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Saved<'a> {
    format: u32,
    checksum: String,
    reference: Cow<'a, Reference>,
}

/// What can be read of every version.
#[derive(Deserialize)]
struct Versioned {
    format: u32,
}

/// Why a reference can't be made, saved or loaded.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// The file can't be read or written.
    #[error("can't {doing} the reference {}: {source}", path.display())]
    File {
        /// Read or write.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It isn't one.
    #[error("this is no reference for drift: {0}; freeze one from the training data anew")]
    Unreadable(#[from] serde_json::Error),
    /// It has a form that this program doesn't know.
    #[error(
        "the reference has format {found}, and this program knows {FORMAT}; freeze it anew, or use the program that made it"
    )]
    Format {
        /// The one it has.
        found: u32,
    },
    /// It isn't what was saved.
    #[error(
        "the reference's checksum is {expected}, and its content has {found}: it was changed after it was saved; restore it, or freeze it anew"
    )]
    Checksum {
        /// The one it bears.
        expected: String,
        /// The one it should bear.
        found: String,
    },
    /// It contradicts itself.
    #[error("the reference of feature {feature:?} is not sound: {fault}; freeze it anew")]
    Unsound {
        /// The feature.
        feature: String,
        /// What is wrong.
        fault: &'static str,
    },
    /// A row doesn't have one value for each feature.
    #[error(
        "a row of {found} values, and there are {features} features; give one value for each, `Missing` where there is none"
    )]
    Width {
        /// How many values.
        found: usize,
        /// How many features.
        features: usize,
    },
    /// Two features of one name.
    #[error("two features are called {0:?}; name each once")]
    Twice(String),
    /// No feature, or no row.
    #[error(
        "a reference needs features and rows, and this one has {features} features and {rows} rows"
    )]
    Empty {
        /// How many features.
        features: usize,
        /// How many rows.
        rows: u64,
    },
}

impl Reference {
    /// SHA-256 of its content, however the text is laid out.
    pub fn checksum(&self) -> String {
        use std::fmt::Write;
        let mut checksum = "sha256:".to_owned();
        for byte in Sha256::digest(text(self)) {
            write!(checksum, "{byte:02x}").expect("text can be written to memory");
        }
        checksum
    }

    /// As JSON.
    pub fn to_json(&self) -> String {
        let saved = Saved {
            format: FORMAT,
            checksum: self.checksum(),
            reference: Cow::Borrowed(self),
        };
        text(&saved)
    }

    /// What [`to_json`](Self::to_json) wrote, laid out anew perhaps, but not changed.
    ///
    /// # Errors
    /// Says what it is instead, that it is of another version, or that it was changed.
    pub fn from_json(text: &str) -> Result<Self, ReferenceError> {
        let Versioned { format: found } = serde_json::from_str(text)?;
        if found != FORMAT {
            return Err(ReferenceError::Format { found });
        }
        let saved: Saved<'_> = serde_json::from_str(text)?;
        let reference = saved.reference.into_owned();
        let found = reference.checksum();
        if found != saved.checksum {
            let expected = saved.checksum;
            return Err(ReferenceError::Checksum { expected, found });
        }
        reference.check()?;
        Ok(reference)
    }

    /// Writes it to a file, which is replaced in one step.
    ///
    /// # Errors
    /// Names the file and says why it can't be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), ReferenceError> {
        let path = path.as_ref();
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let write = || {
            let mut file = File::create(&part)?;
            file.write_all(self.to_json().as_bytes())?;
            file.sync_all()?;
            fs::rename(&part, path)
        };
        write().map_err(|source| failure("write", path, source))
    }

    /// Reads what [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// Names the file and says why it can't be read, or as [`from_json`](Self::from_json).
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ReferenceError> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map_err(|source| failure("read", path, source))?;
        Self::from_json(&text)
    }
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("a reference's parts can all be written as JSON")
}

fn failure(doing: &'static str, path: &Path, source: io::Error) -> ReferenceError {
    let path = path.to_owned();
    ReferenceError::File {
        doing,
        path,
        source,
    }
}
