//! A folder of documents, read.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// How much a library may take in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of one document; a larger one is left out and reported.
    pub document_bytes: u64,
    /// The most bytes of all documents together.
    pub total_bytes: u64,
    /// The most documents.
    pub documents: usize,
    /// How many folders deep documents are looked for.
    pub depth: usize,
    /// About how many words a passage has.
    pub passage_words: usize,
}

impl Default for Limits {
    /// 1 MiB a document, 64 MiB in all, 10,000 documents, 16 folders deep, 200 words a passage.
    fn default() -> Self {
        Self {
            document_bytes: 1 << 20,
            total_bytes: 64 << 20,
            documents: 10_000,
            depth: 16,
            passage_words: 200,
        }
    }
}

/// Why a folder could not be made a library.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// There is nothing at the path.
    #[error("no folder of documents at `{}`; create it, or give the path of one that holds .md or .txt files", .0.display())]
    Missing(PathBuf),
    /// The path leads to something else.
    #[error("`{}` is not a folder; give the folder that holds the .md and .txt files", .0.display())]
    NotAFolder(PathBuf),
    /// The folder, or one inside it, can't be read.
    #[error("reading the folder `{}` failed: {error}; check its permissions", .path.display())]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// No document in the folder can be used.
    #[error(
        "no document with text in `{}` ({skipped} left out); put .md or .txt files in UTF-8 there", .path.display()
    )]
    Empty {
        /// The folder.
        path: PathBuf,
        /// How many documents there were that can't be used.
        skipped: usize,
    },
    /// There is more than the limits allow.
    #[error("the documents in `{}` are more than {limit} {unit}; split the folder or raise the limit", .path.display())]
    TooLarge {
        /// The folder.
        path: PathBuf,
        /// The limit that was met.
        limit: u64,
        /// What it counts: `bytes` or `documents`.
        unit: &'static str,
    },
}

/// A document that was left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` was left out: {why}", .path.display())]
pub struct Skipped {
    /// Where it is.
    pub path: PathBuf,
    /// Why it can't be used.
    pub why: SkipReason,
}

/// Why a document can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    /// Its bytes are not UTF-8.
    #[error("it is not UTF-8; convert it")]
    NotUtf8,
    /// It is larger than [`Limits::document_bytes`].
    #[error("it has {bytes} bytes, more than the {limit} allowed; split it")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The system refused to read it.
    #[error("reading it failed: {0}")]
    Unreadable(String),
}

/// A folder's documents: name relative to the folder, and text.
#[derive(Debug, Default)]
pub(super) struct Documents {
    pub(super) texts: Vec<(String, String)>,
    pub(super) skipped: Vec<Skipped>,
}

/// Reads every `.md` and `.txt` file under `folder`, ordered by name.
///
/// Names that begin with a dot are passed over. A link to a file is followed, a link to a folder is not, so that no
/// circle of links can be met.
pub(super) fn read(folder: &Path, limits: &Limits) -> Result<Documents, LibraryError> {
    match fs::metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(LibraryError::Missing(folder.into()));
        }
        Err(error) => {
            return Err(LibraryError::Unreadable {
                path: folder.into(),
                error,
            });
        }
        Ok(metadata) if !metadata.is_dir() => return Err(LibraryError::NotAFolder(folder.into())),
        Ok(_) => {}
    }
    let too_large = |limit, unit| LibraryError::TooLarge {
        path: folder.into(),
        limit,
        unit,
    };
    let mut files = Vec::new();
    find(folder, limits.depth, limits.documents, &mut files)?;
    if files.len() > limits.documents {
        return Err(too_large(limits.documents as u64, "documents"));
    }
    files.sort();

    let mut documents = Documents::default();
    let mut total = 0;
    for path in files {
        match read_document(&path, limits.document_bytes) {
            Ok(text) => {
                total += text.len() as u64;
                if total > limits.total_bytes {
                    return Err(too_large(limits.total_bytes, "bytes"));
                }
                let name = path
                    .strip_prefix(folder)
                    .unwrap_or(&path)
                    .display()
                    .to_string();
                documents.texts.push((name, text));
            }
            Err(why) => documents.skipped.push(Skipped { path, why }),
        }
    }
    Ok(documents)
}

/// Collects paths, one more than `most` at most.
fn find(
    folder: &Path,
    depth: usize,
    most: usize,
    files: &mut Vec<PathBuf>,
) -> Result<(), LibraryError> {
    let unreadable = |error| LibraryError::Unreadable {
        path: folder.into(),
        error,
    };
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if entry.file_type().map_err(unreadable)?.is_dir() {
            if depth > 0 {
                find(&path, depth - 1, most, files)?;
            }
        } else if path
            .extension()
            .is_some_and(|ending| ending == "md" || ending == "txt")
            && path.is_file()
        {
            files.push(path);
        }
        if files.len() > most {
            break;
        }
    }
    Ok(())
}

fn read_document(path: &Path, limit: u64) -> Result<String, SkipReason> {
    let unreadable = |error: io::Error| SkipReason::Unreadable(error.to_string());
    let bytes = fs::metadata(path).map_err(unreadable)?.len();
    if bytes > limit {
        return Err(SkipReason::TooLarge { bytes, limit });
    }
    let text =
        String::from_utf8(fs::read(path).map_err(unreadable)?).map_err(|_| SkipReason::NotUtf8)?;
    Ok(text
        .strip_prefix('\u{feff}')
        .map(str::to_owned)
        .unwrap_or(text))
}
