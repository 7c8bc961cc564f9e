//! Reading the kernel's files.

use std::{
    borrow::Cow,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use super::{Failure, Roots};

/// No file of the kernel's is longer on a machine that works.
const MAX_BYTES: u64 = 8 << 20;

/// Reads files of the kernel, one after another, into memory that is kept.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) roots: Roots,
    buffer: Vec<u8>,
}

impl Files {
    pub(super) fn new(roots: Roots) -> Self {
        Self {
            roots,
            buffer: Vec::new(),
        }
    }

    /// The path of a file of `/proc`, and its text; bytes that are no UTF-8 are replaced.
    pub(super) fn proc(&mut self, name: &str) -> Result<(PathBuf, Cow<'_, str>), Failure> {
        let path = self.roots.proc.join(name);
        let text = self.read(&path)?;
        Ok((path, text))
    }

    /// The text of a file; bytes that are no UTF-8 are replaced.
    pub(super) fn read(&mut self, path: &Path) -> Result<Cow<'_, str>, Failure> {
        self.buffer.clear();
        let read =
            File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut self.buffer));
        match read {
            Ok(bytes) if bytes as u64 == MAX_BYTES => Err(Failure::malformed(
                path,
                format!("it is longer than {MAX_BYTES} bytes"),
            )),
            Ok(_) => Ok(String::from_utf8_lossy(&self.buffer)),
            Err(error) => Err(Failure::unreadable(path, error)),
        }
    }

    /// The names in a folder that `keep` keeps, in natural order: `a2` before `a10`. None where there is no such folder.
    pub(super) fn names(
        &self,
        folder: &Path,
        keep: impl Fn(&str) -> bool,
    ) -> Result<Vec<String>, Failure> {
        let list = || -> std::io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in fs::read_dir(folder)? {
                // A name that is no UTF-8 is none of the kernel's.
                if let Ok(name) = entry?.file_name().into_string()
                    && keep(&name)
                {
                    names.push(name);
                }
            }
            Ok(names)
        };
        let mut names = match list().map_err(|error| Failure::unreadable(folder, error)) {
            Ok(names) => names,
            Err(failure) if failure.is_absence() => return Ok(Vec::new()),
            Err(failure) => return Err(failure),
        };
        names.sort_by(|one, other| (one.len(), one).cmp(&(other.len(), other)));
        Ok(names)
    }
}
