//! Files that others wait for.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// Writes a file so that a reader sees the whole of it or nothing: under another name in the same folder, then renamed.
///
/// # Errors
///
/// When the folder is missing or can't be written to, or the disk is full; the message names the path.
pub fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let partial = partial(path);
    let written = File::create(&partial)
        .and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&partial, path));
    written.map_err(|error| {
        // It may not exist; what went wrong first is what matters.
        drop(fs::remove_file(&partial));
        let message = format!(
            "can't write {}: {error}; check that its folder exists and is writable",
            path.display()
        );
        io::Error::new(error.kind(), message)
    })
}

fn partial(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_whole(&path, b"first").unwrap();
        write_whole(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_folder_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_whole(&folder.path().join("no/a.json"), b"")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("no/a.json") && error.contains("check that its folder"),
            "{error}"
        );
    }
}
