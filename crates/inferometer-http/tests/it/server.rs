//! A server for one test.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use inferometer::Registry;
use inferometer_http::{MetricsServer, NewKey, Scope, ServerHandle, ServerOptions};
use tempfile::TempDir;

pub(crate) struct Served {
    pub(crate) handle: ServerHandle,
    pub(crate) registry: Registry,
    pub(crate) keys: TestKeys,
}

impl Served {
    /// With a key of each scope.
    pub(crate) fn new(
        set: impl FnOnce(&mut ServerOptions),
        with: impl FnOnce(MetricsServer) -> MetricsServer,
    ) -> Self {
        let registry = Registry::new();
        let keys = TestKeys::new();
        let mut options = ServerOptions {
            keys: Some(keys.path.clone()),
            ..ServerOptions::default()
        };
        set(&mut options);
        let server = MetricsServer::new(registry.clone()).with_options(options);
        Self {
            handle: with(server).start("127.0.0.1:0").unwrap(),
            registry,
            keys,
        }
    }

    pub(crate) fn set(set: impl FnOnce(&mut ServerOptions)) -> Self {
        Self::new(set, |server| server)
    }

    pub(crate) fn plain() -> Self {
        Self::set(|_| {})
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.handle.address()
    }

    pub(crate) fn value(&self, series: &str) -> f64 {
        value(&self.registry, series)
    }

    pub(crate) fn refused(&self, reason: &str) -> f64 {
        self.value(&format!(
            "inferometer_http_refusals_total{{reason=\"{reason}\"}}"
        ))
    }

    pub(crate) fn open(&self) -> f64 {
        self.value("inferometer_http_connections")
    }

    pub(crate) fn in_flight(&self) -> f64 {
        self.value("inferometer_http_requests_in_flight")
    }
}

/// A series as the scrape has it.
pub(crate) fn value(registry: &Registry, series: &str) -> f64 {
    let page = registry.encode_text();
    let mut lines = page.lines().filter_map(|line| line.rsplit_once(' '));
    let found = lines.find(|(name, _)| *name == series);
    let (_, value) = found.unwrap_or_else(|| panic!("no {series} in\n{page}"));
    value.parse().unwrap()
}

pub(crate) struct TestKeys {
    pub(crate) path: PathBuf,
    pub(crate) metrics: String,
    pub(crate) stats: String,
    pub(crate) admin: String,
    _folder: TempDir,
}

impl TestKeys {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let make = |scope: Scope| {
            let key = NewKey::generate(scope.name(), &[scope]).unwrap();
            key.add_to(&path).unwrap();
            key.secret().to_owned()
        };
        Self {
            metrics: make(Scope::Metrics),
            stats: make(Scope::Stats),
            admin: make(Scope::Admin),
            path,
            _folder: folder,
        }
    }
}

/// Short enough for a test, long enough for a busy machine.
pub(crate) const SHORT: Duration = Duration::from_millis(300);
