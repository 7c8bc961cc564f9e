//! What is logged.

use std::{
    io,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use tracing_subscriber::fmt::MakeWriter;

/// Keeps what is logged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// That of the whole process, from the first call on: a server has a thread of its own. What other tests log is in it too.
    pub(crate) fn of_all() -> Self {
        static ALL: LazyLock<Log> = LazyLock::new(|| {
            let log = Log::default();
            tracing::subscriber::set_global_default(log.subscriber()).unwrap();
            log
        });
        ALL.clone()
    }

    /// What this thread logs meanwhile.
    pub(crate) fn of(work: impl FnOnce()) -> String {
        let log = Self::default();
        tracing::subscriber::with_default(log.subscriber(), work);
        log.text()
    }

    fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + use<> {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(self.clone())
            .finish()
    }

    pub(crate) fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
