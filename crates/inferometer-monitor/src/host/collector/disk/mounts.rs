//! Where disks are mounted, as `mountinfo` has it.

use std::{collections::BTreeMap, path::Path};

use procfs_core::process::MountInfo;

use super::Failure;

/// A longer mount point would share its series with every other such, as a label's value it couldn't be.
const LONGEST: usize = 1_024;

/// Types that are no disk: interfaces of the kernel, memory, and images that are always full.
#[rustfmt::skip]
const NO_DISKS: [&str; 35] = [
    "autofs", "bdev", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "cpuset", "cramfs",
    "debugfs", "devfs", "devpts", "devtmpfs", "efivarfs", "erofs", "fusectl", "hugetlbfs",
    "iso9660", "mqueue", "nsfs", "pipefs", "proc", "pstore", "ramfs", "resctrl", "rpc_pipefs",
    "securityfs", "selinuxfs", "sockfs", "squashfs", "sysfs", "tmpfs", "tracefs", "none", "rootfs",
];

/// Types that count only as the machine's root: layers over a disk that is in the list itself, and file systems behind a network or a
/// program, where a question may never be answered. With the root gone, nothing would run anyway.
#[rustfmt::skip]
const ONLY_AS_ROOT: [&str; 17] = [
    "overlay", "aufs", "9p", "afs", "beegfs", "ceph", "cifs", "fuse", "gfs2", "glusterfs", "gpfs",
    "lustre", "nfs", "nfs4", "smb3", "smbfs", "virtiofs",
];

/// A place where a disk is mounted.
#[derive(Debug)]
pub(super) struct Mount {
    /// Whether it is a part of the disk only.
    part: bool,
    /// The mount point.
    pub(super) place: String,
    /// The disk's number.
    pub(super) device: String,
}

/// Where disks are mounted, whole ones first, then in alphabetical order; and what is wrong with a line, if one is.
pub(super) fn mounts(path: &Path, text: &str) -> (Vec<Mount>, Option<Failure>) {
    // A later mount covers an earlier one in the same place, be it a disk or not.
    let mut top: BTreeMap<String, Option<Mount>> = BTreeMap::new();
    let mut failure = None;
    for line in text.lines() {
        let Some((place, kind)) = place_and_type(line) else {
            failure = Some(Failure::malformed(path, format!("a line is {line:?}")));
            continue;
        };
        let place = unescape(place);
        // Most are no disks, and a whole line costs ten times as much to take apart.
        if !is_disk(kind, &place) {
            top.insert(place, None);
            continue;
        }
        match MountInfo::from_line(line) {
            Ok(mount) => {
                let mount = Mount {
                    part: mount.root != "/",
                    place: place.clone(),
                    device: mount.majmin,
                };
                top.insert(place, Some(mount));
            }
            Err(error) => failure = Some(Failure::of_parser(path, error)),
        }
    }
    let mut mounts: Vec<_> = top.into_values().flatten().collect();
    mounts.sort_by_key(|mount| mount.part);
    (mounts, failure)
}

/// Where a line's file system is mounted, as the kernel writes it, and its type.
fn place_and_type(line: &str) -> Option<(&str, &str)> {
    let (before, after) = line.split_once(" - ")?;
    Some((before.split(' ').nth(4)?, after.split(' ').next()?))
}

fn is_disk(kind: &str, mount_point: &str) -> bool {
    if mount_point.len() > LONGEST {
        return false;
    }
    // A program's file system names the program: `fuse.sshfs`. `fuseblk` is a disk.
    let kind = kind.split_once('.').map_or(kind, |(kind, _)| kind);
    !NO_DISKS.contains(&kind) && (mount_point == "/" || !ONLY_AS_ROOT.contains(&kind))
}

/// A path without the escapes that keep blanks and line ends out of the kernel's lists: `\040` is a blank.
fn unescape(path: &str) -> String {
    let mut pieces = path.split('\\');
    let mut whole = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let escaped = piece
            .get(..3)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match escaped {
            Some(byte) if byte.is_ascii() => {
                whole.push(char::from(byte));
                whole.push_str(&piece[3..]);
            }
            _ => {
                whole.push('\\');
                whole.push_str(piece);
            }
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> Vec<String> {
        let (found, failure) = mounts(Path::new("mountinfo"), &lines.join("\n"));
        assert!(failure.is_none(), "{failure:?}");
        found.into_iter().map(|mount| mount.place).collect()
    }

    #[test]
    fn the_place_where_the_whole_of_a_disk_is_mounted_comes_first() {
        let found = of(&[
            "1 0 8:1 /var/lib /a rw - ext4 /dev/sda1 rw",
            "2 0 8:1 / /b rw - ext4 /dev/sda1 rw",
            "3 0 8:1 / /c rw - ext4 /dev/sda1 rw",
        ]);
        assert_eq!(found, ["/b", "/c", "/a"]);
    }

    #[test]
    fn a_disk_that_another_mount_covers_is_not_shown() {
        let found = of(&[
            "1 0 8:1 / /a rw - ext4 /dev/sda1 rw",
            "2 1 0:5 / /a rw - tmpfs tmpfs rw",
            "3 0 0:6 / /b rw - autofs systemd-1 rw",
            "4 3 8:2 / /b rw - xfs /dev/sdb rw",
        ]);
        assert_eq!(found, ["/b"]);
    }

    #[test]
    fn layers_and_networks_count_only_as_the_root() {
        let found = of(&[
            "1 0 0:40 / / rw - overlay overlay rw",
            "2 1 0:41 / /var/lib/merged rw - overlay overlay rw",
            "3 1 0:42 / /home rw - nfs4 server:/home rw",
            "4 1 0:43 / /bucket rw - fuse.gcsfuse bucket rw",
            "5 1 8:9 / /windows rw - fuseblk /dev/sdc1 rw",
        ]);
        assert_eq!(found, ["/", "/windows"]);
    }

    #[test]
    fn escapes_of_the_kernel_are_undone_and_nothing_else() {
        assert_eq!(unescape(r"/my\040disk\134\011"), "/my disk\\\t");
        assert_eq!(unescape(r"/a\b\99\7"), r"/a\b\99\7");
        assert_eq!(unescape(r"/\377é\"), r"/\377é\");
    }
}
