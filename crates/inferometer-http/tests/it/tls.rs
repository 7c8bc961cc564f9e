use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
};

use inferometer_http::{MetricsServer, TlsOptions};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
};
use tempfile::TempDir;

use crate::{
    client::{Answer, connect, get, read, request, until, wait_for_close},
    server::{SHORT, Served},
};

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

struct Files {
    options: TlsOptions,
    _folder: TempDir,
}

/// Writes a certificate of `issuer` for `localhost` where the options look for it.
fn issue(issuer: &Issuer, options: &TlsOptions) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".into()]).unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    // Both at once, as a certificate manager does: the server may look in between.
    let write = |path: &Path, text: String| {
        let fresh = path.with_extension("new");
        fs::write(&fresh, text).unwrap();
        fs::rename(fresh, path).unwrap();
    };
    write(&options.key, key.serialize_pem());
    write(&options.certificate, certificate.pem());
}

fn files(issuer: &Issuer) -> Files {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let options = TlsOptions {
        certificate: at("certificate.pem"),
        key: at("key.pem"),
        client_authorities: None,
    };
    issue(issuer, &options);
    Files {
        options,
        _folder: folder,
    }
}

type Client = Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>;

fn client(
    address: SocketAddr,
    issuer: &Issuer,
    version: &'static rustls::SupportedProtocolVersion,
    client: Client,
) -> StreamOwned<ClientConnection, TcpStream> {
    client_of(address, issuer, version, client, Vec::new())
}

fn client_of(
    address: SocketAddr,
    issuer: &Issuer,
    version: &'static rustls::SupportedProtocolVersion,
    client: Client,
    protocols: Vec<Vec<u8>>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(issuer.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(vec![certificate], key)
            .unwrap(),
    };
    config.alpn_protocols = protocols;
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(
        ClientConnection::new(Arc::new(config), name).unwrap(),
        connect(address),
    )
}

fn ask(stream: &mut StreamOwned<ClientConnection, TcpStream>) -> Option<Answer> {
    stream.write_all(&request("GET", "/metrics", &[])).ok()?;
    read(stream)
}

#[test]
fn metrics_are_served_over_tls_of_both_versions() {
    let issuer = authority();
    let files = files(&issuer);
    let served = Served::set(|options| options.tls = Some(files.options.clone()));
    for (version, number) in [
        (&rustls::version::TLS13, ProtocolVersion::TLSv1_3),
        (&rustls::version::TLS12, ProtocolVersion::TLSv1_2),
    ] {
        let mut stream = client(served.address(), &issuer, version, None);
        let answer = ask(&mut stream).unwrap();
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains("inferometer_http_scrapes_total"));
        assert_eq!(stream.conn.protocol_version(), Some(number));
    }
}

#[test]
fn versions_before_1_2_are_refused() {
    let files = files(&authority());
    let served = Served::set(|options| options.tls = Some(files.options.clone()));
    // A hello of TLS 1.1: its version, random bytes, no session, one cipher of that time, no compression.
    let hello = [&[0x03, 0x02][..], &[7; 32], &[0, 0, 2, 0xc0, 0x14, 1, 0]].concat();
    let length = u8::try_from(hello.len()).unwrap();
    let message = [&[1, 0, 0, length][..], &hello].concat();
    let record = [&[0x16, 0x03, 0x01, 0, length + 4][..], &message].concat();
    let mut stream = connect(served.address());
    stream.write_all(&record).unwrap();
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    // An alert, fatal: protocol_version, or handshake_failure for want of a cipher it would speak.
    assert_eq!(said.first(), Some(&0x15), "{said:?}");
    assert_eq!(said[5], 2, "{said:?}");
    assert!([40, 70].contains(&said[6]), "{said:?}");
    until("its count", || served.refused("handshake") == 1.0);
}

#[test]
fn http2_is_agreed_on_in_the_handshake() {
    let issuer = authority();
    let files = files(&issuer);
    let served = Served::set(|options| options.tls = Some(files.options.clone()));
    for (offered, agreed) in [
        (vec![b"h2".to_vec(), b"http/1.1".to_vec()], &b"h2"[..]),
        (vec![b"http/1.1".to_vec()], &b"http/1.1"[..]),
    ] {
        let mut stream = client_of(
            served.address(),
            &issuer,
            &rustls::version::TLS13,
            None,
            offered,
        );
        if agreed == b"h2" {
            stream
                .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
                .unwrap();
            // The server's own settings come first.
            let mut head = [0; 9];
            stream.read_exact(&mut head).unwrap();
            assert_eq!(head[3], 4, "{head:?}");
        } else {
            assert_eq!(ask(&mut stream).unwrap().status, 200);
        }
        assert_eq!(stream.conn.alpn_protocol(), Some(agreed));
    }
}

#[test]
fn certificate_that_changes_is_read_again_and_a_broken_one_changes_nothing() {
    let (before, after) = (authority(), authority());
    let files = files(&before);
    let served = Served::set(|options| options.tls = Some(files.options.clone()));
    let asks = |issuer: &Issuer| {
        ask(&mut client(
            served.address(),
            issuer,
            &rustls::version::TLS13,
            None,
        ))
        .is_some()
    };
    assert!(asks(&before) && !asks(&after));
    issue(&after, &files.options);
    until("the new certificate", || asks(&after));
    assert!(!asks(&before));
    fs::write(&files.options.certificate, "nonsense").unwrap();
    let refused = "inferometer_http_reloads_total{file=\"certificate\",result=\"refused\"}";
    until("the broken one's refusal", || {
        asks(&after) && served.value(refused) >= 1.0
    });
    assert!(asks(&after));
}

#[test]
fn client_certificate_is_taken_where_it_is_asked_for() {
    let (issuer, clients) = (authority(), authority());
    let files = files(&issuer);
    let authorities = files.options.certificate.with_file_name("clients.pem");
    fs::write(&authorities, clients.pem()).unwrap();
    let options = TlsOptions {
        client_authorities: Some(authorities),
        ..files.options.clone()
    };
    let served = Served::set(|set| set.tls = Some(options));
    let certificate = |issuer: &Issuer| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["scraper".into()]).unwrap();
        let certificate = params.signed_by(&key, issuer).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Some((certificate.der().clone(), key.into()))
    };
    let asks = |with: Client| {
        ask(&mut client(
            served.address(),
            &issuer,
            &rustls::version::TLS13,
            with,
        ))
        .is_some()
    };
    assert!(asks(certificate(&clients)));
    assert!(!asks(None) && !asks(certificate(&issuer)));
    until("their count", || served.refused("handshake") == 2.0);
}

#[test]
fn plain_http_on_a_tls_port_is_told() {
    let files = files(&authority());
    let served = Served::set(|options| options.tls = Some(files.options.clone()));
    let answer = get(served.address(), "/metrics", &[]);
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["reason"], "not_tls");
}

#[test]
fn silent_and_slow_handshakes_are_closed() {
    let files = files(&authority());
    let served = Served::set(|options| {
        options.tls = Some(files.options.clone());
        options.limits.first_byte = SHORT;
        options.limits.head = SHORT;
    });
    let silent = connect(served.address());
    let mut slow = connect(served.address());
    slow.write_all(&[0x16, 0x03]).unwrap();
    wait_for_close(&silent);
    wait_for_close(&slow);
    assert_eq!(
        (served.refused("silent"), served.refused("handshake")),
        (1.0, 1.0)
    );
}

#[test]
fn missing_or_wrong_files_are_named() {
    let issuer = authority();
    let (files, others) = (files(&issuer), self::files(&issuer));
    let fault = |options: TlsOptions| {
        let options = inferometer_http::ServerOptions {
            tls: Some(options),
            ..Default::default()
        };
        let server = MetricsServer::new(inferometer::Registry::new()).with_options(options);
        server.start("127.0.0.1:0").unwrap_err().to_string()
    };
    let absent = TlsOptions {
        certificate: "/nowhere/certificate.pem".into(),
        ..files.options.clone()
    };
    assert!(fault(absent).contains("/nowhere/certificate.pem: no certificates in PEM"));
    let mixed = TlsOptions {
        key: others.options.key.clone(),
        ..files.options.clone()
    };
    let told = fault(mixed);
    assert!(told.contains("is ") && told.contains("its key?"), "{told}");
}
