//! Scraped over TLS with a key, as a server in another house does.

use std::{fs, path::Path};

use inferometer::{Counter, MetricSet, Registry};
use inferometer_http::{
    Access, MetricsServer, NewKey, Page, Scope, ServerHandle, ServerOptions, TlsOptions,
};
use inferometer_judges::Release;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

#[derive(MetricSet)]
#[metrics(namespace = "probe")]
struct Probe {
    /// Events.
    events: Counter,
}

/// An endpoint that takes a certificate of a client and a key, and the files that open it.
struct Guarded {
    server: ServerHandle,
    registry: Registry,
    folder: TempDir,
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Writes a certificate for `name` and its key.
fn issue(folder: &Path, issuer: &CertifiedIssuer<'static, KeyPair>, name: &str, file: &str) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.into()]).unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    fs::write(folder.join(format!("{file}.pem")), certificate.pem()).unwrap();
    fs::write(folder.join(format!("{file}.key")), key.serialize_pem()).unwrap();
}

impl Guarded {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (house, strangers) = (authority(), authority());
        issue(folder.path(), &house, "127.0.0.1", "server");
        issue(folder.path(), &house, "scraper", "scraper");
        issue(folder.path(), &strangers, "scraper", "stranger");
        fs::write(at("house.pem"), house.pem()).unwrap();
        fs::write(at("strangers.pem"), strangers.pem()).unwrap();
        for (name, scope) in [("prometheus", Scope::Metrics), ("dashboard", Scope::Stats)] {
            let key = NewKey::generate(name, &[scope]).unwrap();
            key.add_to(&at("keys")).unwrap();
            fs::write(at(name), key.secret()).unwrap();
        }
        fs::write(at("nobody"), "inferometer_0").unwrap();
        let mut options = ServerOptions {
            keys: Some(at("keys")),
            access: [(Page::Metrics, Access::Key(Scope::Metrics))].into(),
            tls: Some(TlsOptions {
                certificate: at("server.pem"),
                key: at("server.key"),
                client_authorities: Some(at("house.pem")),
            }),
            ..ServerOptions::default()
        };
        // The job with a wrong one asks each second, and is to hear each time that it is wrong.
        options.limits.wrong_keys = u32::MAX;
        let registry = Registry::new();
        let probe: Probe = registry.register().unwrap();
        probe.events.add(7);
        let server = MetricsServer::new(registry.clone()).with_options(options);
        Self {
            server: server.start("127.0.0.1:0").unwrap(),
            registry,
            folder,
        }
    }

    /// A scrape job: which authority it trusts, whose certificate it shows, whose key it bears.
    fn job(&self, name: &str, trusts: &str, shows: &str, bears: Option<&str>) -> Value {
        let at = |name: &str| self.folder.path().join(name);
        let mut job = json!({
            "job_name": name,
            "scheme": "https",
            "tls_config": {
                "ca_file": at(trusts),
                "cert_file": at(&format!("{shows}.pem")),
                "key_file": at(&format!("{shows}.key")),
                "min_version": "TLS12",
            },
            "static_configs": [{ "targets": [self.server.address().to_string()] }],
        });
        if let Some(bears) = bears {
            job["authorization"] = json!({ "type": "Bearer", "credentials_file": at(bears) });
        }
        job
    }
}

#[test]
fn every_release_scrapes_over_tls_with_a_key_and_not_without() {
    let guarded = Guarded::start();
    let jobs = [
        guarded.job("right", "house.pem", "scraper", Some("prometheus")),
        guarded.job("no key", "house.pem", "scraper", None),
        guarded.job("wrong key", "house.pem", "scraper", Some("nobody")),
        guarded.job("another's key", "house.pem", "scraper", Some("dashboard")),
        guarded.job(
            "wrong authority",
            "strangers.pem",
            "scraper",
            Some("prometheus"),
        ),
        guarded.job(
            "no certificate of ours",
            "house.pem",
            "stranger",
            Some("prometheus"),
        ),
    ];
    let config = json!({
        "global": { "scrape_interval": "1s", "scrape_timeout": "1s" },
        "scrape_configs": jobs,
    });
    Release::each(|release| {
        let prometheus = release.with_config(&config.to_string(), &[]).unwrap();
        let targets = prometheus.tried_targets(jobs.len()).unwrap();
        let said = |job: &str| {
            let target = targets.iter().find(|target| target.job == job).unwrap();
            (target.health.clone(), target.last_error.clone())
        };
        assert_eq!(said("right"), ("up".into(), String::new()));
        for (job, why) in [
            ("no key", "401"),
            ("wrong key", "401"),
            ("another's key", "403"),
            ("wrong authority", "unknown authority"),
            ("no certificate of ours", ""),
        ] {
            let (health, error) = said(job);
            assert_eq!(health, "down", "{job}: {error}");
            assert!(error.contains(why), "{job}: {error}");
        }
        let found = prometheus.query_until_found("probe_events_total").unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].value, &*found[0].labels["job"]), (7.0, "right"));
    })
    .unwrap();
    let page = guarded.registry.encode_text();
    for reason in ["missing_key", "wrong_key", "scope", "handshake"] {
        let none = format!("inferometer_http_refusals_total{{reason=\"{reason}\"}} 0\n");
        assert!(!page.contains(&none), "{reason} is not counted:\n{page}");
    }
}
