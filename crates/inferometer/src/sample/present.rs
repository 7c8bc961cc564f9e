//! Which things a sample had, so that those that are gone can lose their series.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

/// The names of the things that were in the last sample: mount points, sensors, devices.
///
/// A view sets a gauge for each thing that a sample has; this tells it which ones the sample no longer has, whose series it removes.
///
/// # Examples
/// ```
/// let disks = inferometer::sample::Present::default();
/// disks.replace(["/", "/data"], |_| unreachable!("nothing was there before"));
/// let mut gone = Vec::new();
/// disks.replace(["/"], |mount_point| gone.push(mount_point.to_owned()));
/// assert_eq!(gone, ["/data"]);
/// ```
#[derive(Debug, Default)]
pub struct Present(Mutex<BTreeSet<Box<str>>>);

impl Present {
    /// Takes the names of the things that are there now, and hands each that was there and no longer is to `gone`.
    pub fn replace<'a>(&self, now: impl IntoIterator<Item = &'a str>, mut gone: impl FnMut(&str)) {
        let now: BTreeSet<&str> = now.into_iter().collect();
        let mut before = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        before.retain(|name| {
            let stays = now.contains(&**name);
            if !stays {
                gone(name);
            }
            stays
        });
        for name in now {
            if !before.contains(name) {
                before.insert(name.into());
            }
        }
    }
}
