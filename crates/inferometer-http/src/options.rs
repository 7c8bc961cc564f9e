//! What a server is told: plain values that a configuration can fill, checked before anything starts.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use crate::route::{Access, Page};

/// How a server is set up. The defaults suit a service on one machine.
///
/// # Examples
/// ```
/// use inferometer_http::{Access, Page, Scope, ServerOptions};
///
/// let mut options = ServerOptions::default();
/// options.metrics_path = "/monitoring/metrics".into();
/// options.keys = Some("/etc/inferometer/keys".into());
/// options.access.insert(Page::Metrics, Access::Key(Scope::Metrics));
/// assert!(options.validate().is_ok());
///
/// options.metrics_path = "metrics".into();
/// let fault = options.validate().unwrap_err().to_string();
/// assert!(fault.contains("metrics_path is \"metrics\": start it with a slash"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// Where the scrape is; `/metrics`.
    pub metrics_path: String,
    /// Who may ask for a page, where that differs from [`Page::default_access`].
    pub access: BTreeMap<Page, Access>,
    /// The key file; without one, nobody is let in where a key is needed.
    pub keys: Option<PathBuf>,
    /// TLS; plain HTTP without it.
    pub tls: Option<TlsOptions>,
    /// What a client may do.
    pub limits: Limits,
    /// How long a server that was told to stop waits for the answers it is writing, at the most; 9.5 s, so that a process which is told to
    /// end can have ended within 10 s, whatever its clients do.
    pub drain: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            metrics_path: Page::Metrics.default_path().into(),
            access: BTreeMap::new(),
            keys: None,
            tls: None,
            limits: Limits::default(),
            drain: Duration::from_millis(9_500),
        }
    }
}

/// Where the certificates are. All files are PEM and are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOptions {
    /// The server's certificate, and those between it and the authority.
    pub certificate: PathBuf,
    /// Its private key: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
    /// The authorities of client certificates. Given, a client without one is refused.
    pub client_authorities: Option<PathBuf>,
}

/// What a client may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time to the first byte of a connection; 5 s.
    pub first_byte: Duration,
    /// Time from a head's first byte to its last, and for a TLS handshake; 5 s.
    pub head: Duration,
    /// Time that a connection may stay without a request after its first; 120 s, so that a scrape a minute keeps its connection.
    pub idle: Duration,
    /// Time within which the answer must be there to be written, or the client gets a 503; 10 s.
    pub answer: Duration,
    /// Time for which a client may take nothing of its answer; 10 s.
    pub write: Duration,
    /// Time from a whole head to the answer's last byte; 30 s.
    pub request: Duration,
    /// Connections that were not answered yet; 512. One more displaces the one that has gone longest without progress.
    pub connections: usize,
    /// Connections that were answered and are kept, beside those; 128. The same rule holds among them, so that strangers can't
    /// push a scraper out.
    pub reserved_connections: usize,
    /// Requests whose answer is being made; 64. One more gets a 503.
    pub in_flight: usize,
    /// Bytes of a request's target; 4 KiB.
    pub uri_bytes: usize,
    /// Bytes of a request's head; 16 KiB.
    pub head_bytes: usize,
    /// Fields of a request's head; 64.
    pub head_fields: usize,
    /// Streams at once of an HTTP/2 connection; 16.
    pub streams: u32,
    /// Memory for pages that are still being read, beside the newest two; 16 MiB. Past it, readers of the oldest are cut off.
    pub page_bytes: usize,
    /// Wrong keys a client may send before its answers are slowed; 5, and one more each 10 s.
    pub wrong_keys: u32,
    /// Bytes from which an answer is compressed; 1 KiB.
    pub compress_from: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(5),
            head: Duration::from_secs(5),
            idle: Duration::from_secs(120),
            answer: Duration::from_secs(10),
            write: Duration::from_secs(10),
            request: Duration::from_secs(30),
            connections: 512,
            reserved_connections: 128,
            in_flight: 64,
            uri_bytes: 4 << 10,
            head_bytes: 16 << 10,
            head_fields: 64,
            streams: 16,
            page_bytes: 16 << 20,
            wrong_keys: 5,
            compress_from: 1 << 10,
        }
    }
}

/// Options that can't be meant: every fault, with its remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionsError {
    faults: Vec<String>,
}

impl OptionsError {
    /// Each fault: the option, its value, and what to do.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }
}

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.faults.join("; "))
    }
}

impl std::error::Error for OptionsError {}

impl ServerOptions {
    /// Looks at every value. Files are looked at when the server starts.
    ///
    /// # Errors
    /// Names every option that can't be meant, its value, and what to do.
    pub fn validate(&self) -> Result<(), OptionsError> {
        let mut faults = Vec::new();
        self.check_path(&mut faults);
        self.check_access(&mut faults);
        self.limits.check(&mut faults);
        if self.drain > Duration::from_secs(3600) {
            faults.push(format!("drain is {:?}: take an hour or less", self.drain));
        }
        if faults.is_empty() {
            return Ok(());
        }
        Err(OptionsError { faults })
    }

    fn check_path(&self, faults: &mut Vec<String>) {
        let path = &self.metrics_path;
        let mut fault = |remedy: &str| faults.push(format!("metrics_path is {path:?}: {remedy}"));
        if !path.starts_with('/') {
            fault("start it with a slash");
        } else if !path
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte))
        {
            fault("keep to letters, digits and / - . _ ~");
        } else if path.len() > 256 {
            fault("keep it to 256 characters");
        } else if let Some(other) =
            Page::all().find(|page| *page != Page::Metrics && page.default_path() == path)
        {
            fault(&format!("{other:?} is there already, choose another"));
        }
    }

    fn check_access(&self, faults: &mut Vec<String>) {
        if self.keys.is_some() {
            return;
        }
        for (page, access) in &self.access {
            if matches!(access, Access::Key(_)) {
                faults.push(format!(
                    "access of {} is by key, and there is no key file: set keys",
                    page.default_path()
                ));
            }
        }
    }

    pub(crate) fn access_of(&self, page: Page) -> Access {
        let told = self.access.get(&page).copied();
        told.unwrap_or_else(|| page.default_access())
    }

    pub(crate) fn path_of(&self, page: Page) -> &str {
        match page {
            Page::Metrics => &self.metrics_path,
            other => other.default_path(),
        }
    }
}

impl Limits {
    fn check(&self, faults: &mut Vec<String>) {
        let times = [
            ("first_byte", self.first_byte),
            ("head", self.head),
            ("idle", self.idle),
            ("answer", self.answer),
            ("write", self.write),
            ("request", self.request),
        ];
        for (name, time) in times {
            if time.is_zero() || time > Duration::from_secs(3600) {
                faults.push(format!(
                    "limits.{name} is {time:?}: take more than nothing and an hour or less"
                ));
            }
        }
        let counts = [
            ("connections", self.connections, 1, 1 << 20),
            (
                "reserved_connections",
                self.reserved_connections,
                1,
                1 << 20,
            ),
            ("in_flight", self.in_flight, 1, 1 << 16),
            ("uri_bytes", self.uri_bytes, 64, 60 << 10),
            ("head_bytes", self.head_bytes, 1 << 10, 1 << 20),
            ("head_fields", self.head_fields, 8, 100),
        ];
        for (name, value, least, most) in counts {
            if !(least..=most).contains(&value) {
                faults.push(format!("limits.{name} is {value}: take {least} to {most}"));
            }
        }
        if self.streams == 0 {
            faults.push("limits.streams is 0: take 1 or more".into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scope;

    #[test]
    fn defaults_are_valid() {
        assert_eq!(ServerOptions::default().validate(), Ok(()));
    }

    #[test]
    fn every_fault_is_named_with_its_value_and_remedy() {
        let mut options = ServerOptions {
            metrics_path: "/health".into(),
            ..ServerOptions::default()
        };
        options.limits.head = Duration::ZERO;
        options.limits.connections = 0;
        options
            .access
            .insert(Page::Metrics, Access::Key(Scope::Metrics));
        let error = options.validate().unwrap_err();
        assert_eq!(
            error.faults(),
            [
                "metrics_path is \"/health\": Health is there already, choose another",
                "access of /metrics is by key, and there is no key file: set keys",
                "limits.head is 0ns: take more than nothing and an hour or less",
                "limits.connections is 0: take 1 to 1048576",
            ]
        );
    }

    #[test]
    fn paths_that_are_no_paths_are_refused() {
        for path in ["", "metrics", "/a b", "/a?b", "/é", "/%41"] {
            let options = ServerOptions {
                metrics_path: path.into(),
                ..ServerOptions::default()
            };
            assert!(options.validate().is_err(), "{path}");
        }
    }
}
