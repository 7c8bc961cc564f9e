//! The server under attack, in a process of its own.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use inferometer::{Counter, LabelSet, MetricSet, Registry};
use inferometer_http::{MetricsServer, ServerOptions, TlsOptions};
use rustix::process::{Pid, Signal, kill_process};
use rustls::{ClientConfig, RootCertStore};

#[derive(LabelSet)]
struct BySeries {
    #[label(limit = 200000)]
    series: u32,
}

#[derive(MetricSet)]
#[metrics(namespace = "large")]
struct Large {
    /// Many.
    #[metric(max_series = 200000)]
    many: Counter<BySeries>,
}

/// Serves until SIGTERM or SIGINT, with a page of so many series.
pub(crate) fn serve(arguments: &[String]) {
    let [connections, series, keys, certificates] = arguments else {
        return println!("usage: abuse serve CONNECTIONS SERIES KEYS CERTIFICATES");
    };
    let registry = Registry::new();
    let set: Large = registry.register().unwrap();
    for series in 0..series.parse().unwrap() {
        set.many.with(BySeries { series }).inc();
    }
    let mut options = ServerOptions::default();
    options.limits.connections = connections.parse().unwrap();
    options.limits.wrong_keys = u32::MAX;
    options.keys = (keys != "-").then(|| keys.into());
    options.tls = (certificates != "-").then(|| {
        let folder = Path::new(certificates);
        TlsOptions {
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
            client_authorities: None,
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let mut term = signal(SignalKind::terminate()).unwrap();
        let mut interrupt = signal(SignalKind::interrupt()).unwrap();
        let server = MetricsServer::new(registry).with_options(options);
        let server = server.start("127.0.0.1:0").unwrap();
        println!("{}", server.address());
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        server.stop();
    });
}

pub(crate) struct Attacked {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

impl Attacked {
    pub(crate) fn start(connections: usize, series: usize, keys: &str) -> Self {
        Self::start_with(connections, series, keys, "-")
    }

    /// One that speaks TLS.
    pub(crate) fn start_tls(connections: usize, series: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("certificate.pem"), made.cert.pem()).unwrap();
        fs::write(at("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut attacked =
            Self::start_with(connections, series, "-", folder.path().to_str().unwrap());
        attacked.tls = Some(Arc::new(config));
        attacked
    }

    fn start_with(connections: usize, series: usize, keys: &str, certificates: &str) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["serve", &connections.to_string(), &series.to_string()])
            .args([keys, certificates])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let address = line.trim().parse().unwrap();
        Self {
            child,
            address,
            tls: None,
        }
    }

    /// Bytes of its resident memory.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kilobytes = line
            .and_then(|line| line.split_whitespace().nth(1))
            .unwrap();
        kilobytes.parse::<u64>().unwrap() * 1024
    }

    /// Tells it to end; the time it took.
    pub(crate) fn end(&mut self, signal: Signal) -> Duration {
        let pid = i32::try_from(self.child.id()).unwrap();
        let pid = Pid::from_raw(pid).unwrap();
        let started = Instant::now();
        kill_process(pid, signal).unwrap();
        self.child.wait().unwrap();
        started.elapsed()
    }
}

impl Drop for Attacked {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
