//! Where a server listens, and what it says of that.

use std::net::Ipv4Addr;

use inferometer::Registry;
use inferometer_http::{MetricsServer, ServerOptions};

use crate::{
    client::get,
    log::Log,
    server::{Served, TestKeys},
};

const WARNING: &str = "anyone who reaches this address can read the metrics";

fn said_when_started(address: &str, options: ServerOptions) -> String {
    Log::of(|| {
        let server = MetricsServer::new(Registry::new()).with_options(options);
        server.start(address).unwrap().stop();
    })
}

#[test]
fn port_alone_is_bound_on_loopback() {
    let server = MetricsServer::new(Registry::new()).start(":0").unwrap();
    assert_eq!(server.address().ip(), Ipv4Addr::LOCALHOST);
    assert_eq!(get(server.address(), "/metrics", &[]).status, 200);
}

#[test]
fn binding_wider_without_a_key_is_warned_of_once() {
    let said = said_when_started("0.0.0.0:0", ServerOptions::default());
    assert_eq!(said.matches(WARNING).count(), 1, "{said}");
    let warning = said.lines().find(|line| line.contains(WARNING)).unwrap();
    assert!(
        warning.contains("WARN") && warning.contains("0.0.0.0:"),
        "{warning}"
    );
    let said = said_when_started("127.0.0.1:0", ServerOptions::default());
    assert!(!said.contains(WARNING), "{said}");
    let keys = TestKeys::new();
    let options = ServerOptions {
        keys: Some(keys.path.clone()),
        ..ServerOptions::default()
    };
    let said = said_when_started("0.0.0.0:0", options);
    assert!(!said.contains(WARNING), "{said}");
}

#[test]
fn taken_port_is_named_with_what_to_do() {
    let served = Served::plain();
    let address = served.address().to_string();
    let error = MetricsServer::new(Registry::new()).start(&address);
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains(&address) && error.contains("the port is taken; choose another"),
        "{error}"
    );
}
