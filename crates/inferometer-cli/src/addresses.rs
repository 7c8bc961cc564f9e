//! What runs where, for scripts.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

use inferometer_http::ServerOptions;
use serde::{Deserialize, Serialize};

use crate::files;

/// Where each running service is, by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Addresses {
    services: BTreeMap<String, ServiceAddresses>,
}

/// Where one service is; each a URL but for gRPC, absent where it has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAddresses {
    /// The base of its API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// Where gRPC clients connect: a host and a port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<String>,
    /// What Prometheus scrapes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<String>,
    /// Whether it is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
}

impl ServiceAddresses {
    /// With an API there.
    ///
    /// A listener on every address (`0.0.0.0`, `::`) is reached by loopback.
    #[must_use]
    pub fn with_api(mut self, api: SocketAddr) -> Self {
        self.api = Some(format!("http://{}", reachable(api)));
        self
    }

    /// With gRPC there.
    #[must_use]
    pub fn with_grpc(mut self, grpc: SocketAddr) -> Self {
        self.grpc = Some(reachable(grpc).to_string());
        self
    }

    /// With an endpoint there that is set up so.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: SocketAddr, options: &ServerOptions) -> Self {
        let scheme = if options.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let base = format!("{scheme}://{}", reachable(endpoint));
        self.metrics = Some(format!("{base}{}", options.metrics_path));
        self.health = Some(format!("{base}/health"));
        self
    }
}

fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

impl Addresses {
    /// Adds a service.
    pub fn insert(&mut self, name: impl Into<String>, addresses: ServiceAddresses) {
        self.services.insert(name.into(), addresses);
    }

    /// Every service with its name, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ServiceAddresses)> {
        self.services
            .iter()
            .map(|(name, addresses)| (name.as_str(), addresses))
    }

    /// Writes them as JSON, atomically; call it when everything answers, for its appearance is the sign that it does.
    ///
    /// # Errors
    ///
    /// When the file can't be written; the message names it.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        files::write_whole(path, &json)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_file_says_what_runs_where() {
        let mut addresses = Addresses::default();
        let (api, metrics) = ("0.0.0.0:1".parse().unwrap(), "[::1]:2".parse().unwrap());
        addresses.insert(
            "orchestrator",
            ServiceAddresses::default()
                .with_api(api)
                .with_endpoint(metrics, &ServerOptions::default()),
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("addresses.json");
        addresses.write(&path).unwrap();
        let found: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let expected = json!({"orchestrator": {
            "api": "http://127.0.0.1:1", "metrics": "http://[::1]:2/metrics", "health": "http://[::1]:2/health",
        }});
        assert_eq!(found, expected);
    }
}
