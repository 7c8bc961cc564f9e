//! TLS 1.2 and 1.3 with rustls on ring; certificates that are read again when they change.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    options::TlsOptions,
    own::{HttpMetrics, Watched},
    watch::Watch,
};

/// Plain text that a connection may have in memory until its client takes what was encrypted before.
pub(crate) const BUFFER: usize = 16 << 10;

/// A certificate, key or authority that can't be used.
#[derive(Debug)]
pub struct TlsError {
    path: PathBuf,
    fault: String,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, fault } = self;
        write!(f, "can't serve TLS with {}: {fault}", path.display())
    }
}

impl std::error::Error for TlsError {}

/// What accepts TLS connections.
pub(crate) struct Tls {
    config: Watch<Arc<ServerConfig>>,
}

impl Tls {
    pub(crate) fn read(options: TlsOptions, metrics: HttpMetrics) -> Result<Self, TlsError> {
        let mut paths = vec![options.certificate.clone(), options.key.clone()];
        paths.extend(options.client_authorities.clone());
        let read = move || config(&options).map(Arc::new);
        let config = Watch::new(Watched::Certificate, paths, metrics, read)?;
        Ok(Self { config })
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.config.current().into()
    }
}

fn config(options: &TlsOptions) -> Result<ServerConfig, TlsError> {
    let at = |path: &Path, fault: &dyn fmt::Display| TlsError {
        path: path.into(),
        fault: fault.to_string(),
    };
    let certificates = certificates(&options.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&options.key)
        .map_err(|error| at(&options.key, &format!("no private key in PEM: {error}")))?;
    let provider: Arc<CryptoProvider> = ring::default_provider().into();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| at(&options.certificate, &error))?;
    let builder = match &options.client_authorities {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in self::certificates(path)? {
                roots.add(certificate).map_err(|error| at(path, &error))?;
            }
            let verifier =
                WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| at(path, &error))?)
        }
    };
    let mut config = builder
        .with_single_cert(certificates, key)
        .map_err(|error| {
            at(
                &options.certificate,
                &format!("{error}; is {} its key?", options.key.display()),
            )
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fault = |fault: String| TlsError {
        path: path.into(),
        fault,
    };
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| fault(format!("no certificates in PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(fault(
            "there is no certificate in it; it must be in PEM, with BEGIN CERTIFICATE".into(),
        ));
    }
    Ok(certificates)
}
