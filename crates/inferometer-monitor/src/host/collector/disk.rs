//! The file systems on disks, from `/proc/self/mountinfo` and the kernel's word on each.

mod asker;
mod mounts;

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use inferometer::sample::host::{Disk, HostSample};

use self::{
    asker::{Answer, Asker},
    mounts::{Mount, mounts},
};
use super::{
    super::{Options, failure::is_absence, files::Files, options::Space},
    Collect, Failure,
};

/// So many file systems are shown.
const LIMIT: usize = 64;

/// So long may a file system take to answer. One that works takes some microseconds.
const PATIENCE: Duration = Duration::from_secs(1);

/// So long may it take while another hangs: many may hang at once, behind the same cause.
const LESS_PATIENCE: Duration = Duration::from_millis(50);

/// The disks, and how their size is found.
pub(super) struct Disks {
    root: PathBuf,
    list: &'static str,
    asker: Asker,
}

impl Disks {
    pub(super) fn new(options: &Options) -> Self {
        let root = options.roots.root.clone();
        let measure = options.measure.clone();
        Self {
            // Seen from a container, the machine's mounts are those of its first process.
            list: match root == Path::new("/") {
                true => "self/mountinfo",
                false => "1/mountinfo",
            },
            root,
            asker: Asker::new(measure.unwrap_or_else(|| Arc::new(self::measure))),
        }
    }
}

impl Collect for Disks {
    fn collect(&mut self, files: &mut Files, sample: &mut HostSample) -> Result<(), Failure> {
        let (path, text) = files.proc(self.list)?;
        let (mounts, mut failure) = mounts(&path, &text);
        let mut patience = PATIENCE;
        let mut disks = Vec::new();
        // The same disk may be mounted in several places: the first that can be asked is shown.
        let mut known: BTreeSet<&str> = BTreeSet::new();
        for Mount { place, device, .. } in &mounts {
            if known.contains(&**device) {
                continue;
            }
            if disks.len() == LIMIT {
                known.insert(device);
                continue;
            }
            let path = self.root.join(place.trim_start_matches('/'));
            match self.asker.ask(&path, patience) {
                // An interface of the kernel that isn't in the list above has no size.
                Answer::Given(Ok(Space { total_bytes: 0, .. })) => continue,
                Answer::Given(Ok(space)) => disks.push(Disk {
                    mount_point: place.clone(),
                    total_bytes: space.total_bytes,
                    used_bytes: space.used_bytes,
                    free_bytes: space.free_bytes,
                }),
                // Unmounted meanwhile, mounted on a single file, or another user's.
                Answer::Given(Err(error))
                    if is_absence(&error) || error.kind() == io::ErrorKind::PermissionDenied =>
                {
                    continue;
                }
                Answer::Given(Err(error)) => failure = Some(Failure::unreadable(&path, error)),
                Answer::Stuck => {
                    failure = Some(Failure::Stuck { path, patience });
                    patience = LESS_PATIENCE;
                }
            }
            known.insert(device);
        }
        if disks.len() == LIMIT && known.len() > LIMIT {
            failure = failure.or(Some(Failure::TooMany {
                things: "file systems are mounted",
                found: known.len(),
                shown: LIMIT,
            }));
        }
        disks.sort_by(|one, other| one.mount_point.cmp(&other.mount_point));
        sample.disks = Some(disks);
        failure.map_or(Ok(()), Err)
    }
}

/// Asks the kernel how large the file system at `path` is.
fn measure(path: &Path) -> io::Result<Space> {
    // A container has single files of a disk mounted, such as `/etc/hosts`: that is no place to look for a disk.
    if !path.metadata()?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let found = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Space {
        total_bytes: bytes(found.f_blocks),
        used_bytes: bytes(found.f_blocks.saturating_sub(found.f_bfree)),
        free_bytes: bytes(found.f_bavail),
    })
}
