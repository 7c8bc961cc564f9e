//! Values that are read from files, and read again when these change.

use std::{
    fs,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use crate::own::{ByReload, HttpMetrics, Reload, Watched};

/// How often the files are looked at, at the most. They are looked at when their value is asked for, so an idle server does nothing.
const EVERY: Duration = Duration::from_millis(500);

/// A value from files.
///
/// **Consistency.** A change is seen by the first who asks half a second or more after the look before. Files that can't be read or make
/// no sense leave the value before in force; that is logged and counted once for each change.
pub(crate) struct Watch<T> {
    what: Watched,
    paths: Vec<PathBuf>,
    read: Box<dyn Fn() -> Result<T, String> + Send + Sync>,
    metrics: HttpMetrics,
    state: Mutex<State<T>>,
}

struct State<T> {
    value: T,
    stamps: Vec<Stamp>,
    looked: Instant,
}

/// What changes when a file does; a symbolic link is followed, so a mounted secret that is swapped is seen too.
type Stamp = Option<(Option<SystemTime>, u64, u64)>;

impl<T: Clone> Watch<T> {
    pub(crate) fn new<E: std::error::Error>(
        what: Watched,
        paths: Vec<PathBuf>,
        metrics: HttpMetrics,
        read: impl Fn() -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        // Before reading: a change in between is seen as one later.
        let stamps = stamps(&paths);
        let value = read()?;
        Ok(Self {
            what,
            paths,
            read: Box::new(move || read().map_err(|error| error.to_string())),
            metrics,
            state: Mutex::new(State {
                value,
                stamps,
                looked: Instant::now(),
            }),
        })
    }

    /// The value in force.
    pub(crate) fn current(&self) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= EVERY {
            state.looked = Instant::now();
            let stamps = stamps(&self.paths);
            if stamps != state.stamps {
                state.stamps = stamps;
                self.read_again(&mut state);
            }
        }
        state.value.clone()
    }

    fn read_again(&self, state: &mut State<T>) {
        let (file, paths) = (self.what, &self.paths);
        let result = match (self.read)() {
            Ok(value) => {
                state.value = value;
                tracing::info!(?paths, "changed, and read again");
                Reload::Taken
            }
            Err(error) => {
                tracing::error!(?paths, %error, "changed, and can't be used: what was read before stays in force");
                Reload::Refused
            }
        };
        self.metrics.reloads.with(ByReload { file, result }).inc();
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| {
        let found = fs::metadata(path).ok()?;
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(&found);
        #[cfg(not(unix))]
        let inode = 0;
        Some((found.modified().ok(), found.len(), inode))
    };
    paths.iter().map(stamp).collect()
}

#[cfg(test)]
mod tests {
    use std::io;

    use inferometer::Registry;

    use super::*;

    #[test]
    fn change_is_taken_and_a_broken_one_leaves_what_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("number");
        fs::write(&path, "1").unwrap();
        let metrics = HttpMetrics::of(&Registry::new());
        let read = {
            let path = path.clone();
            move || -> io::Result<u32> {
                fs::read_to_string(&path)?.parse().map_err(io::Error::other)
            }
        };
        let watch = Watch::new(Watched::Keys, vec![path.clone()], metrics.clone(), read).unwrap();
        assert_eq!(watch.current(), 1);
        let count = |result| {
            let file = Watched::Keys;
            metrics.reloads.with(ByReload { file, result }).get()
        };
        let settles = |text: &str, done: &dyn Fn() -> bool| {
            fs::write(&path, text).unwrap();
            let started = Instant::now();
            while !done() {
                assert!(
                    started.elapsed() < Duration::from_secs(20),
                    "{text} is not seen"
                );
                std::thread::sleep(Duration::from_millis(20));
            }
        };
        settles("22", &|| watch.current() == 22);
        settles("none", &|| {
            watch.current() == 22 && count(Reload::Refused) == 1
        });
        settles("4444", &|| watch.current() == 4444);
        assert_eq!((count(Reload::Taken), count(Reload::Refused)), (2, 1));
    }
}
