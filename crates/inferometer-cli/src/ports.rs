//! Listening where asked, or wherever there is room.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use clap::ValueEnum;

/// Which ports to listen on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Ports {
    /// The ones that are documented or given; a taken one is an error.
    #[default]
    Fixed,
    /// Free ones, chosen by the system.
    Auto,
}

/// A port that could not be had.
#[derive(Debug, thiserror::Error)]
#[error("can't listen on {address} for {what}: {}", .remedy)]
pub struct PortError {
    /// The address tried.
    pub address: SocketAddr,
    /// What was to listen there.
    pub what: String,
    remedy: String,
    source: io::Error,
}

/// A listener that doesn't block, ready for a runtime to take over.
///
/// `flag` is the option that sets the address, where there is one; with [`Ports::Auto`] only the address' host counts.
///
/// # Errors
///
/// When the port is taken or not allowed; the message names `flag` and `--ports auto`.
pub fn listen(
    what: &str,
    address: SocketAddr,
    flag: Option<&str>,
    ports: Ports,
) -> Result<TcpListener, PortError> {
    let wanted = match ports {
        Ports::Fixed => address,
        Ports::Auto => SocketAddr::new(address.ip(), 0),
    };
    let listener = TcpListener::bind(wanted).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|source| {
        let problem = match source.kind() {
            io::ErrorKind::AddrInUse => "the port is taken",
            io::ErrorKind::PermissionDenied => "this user may not have this port",
            io::ErrorKind::AddrNotAvailable => "this machine has no such address",
            _ => "the system refused",
        };
        let other = flag.map_or_else(String::new, |flag| {
            format!("give another address with {flag}, or ")
        });
        PortError {
            address: wanted,
            what: what.to_owned(),
            remedy: format!("{problem}; {other}take free ports with --ports auto"),
            source,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_an_error_that_names_the_flag() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = listen("the API", address, Some("--api"), Ports::Fixed).unwrap_err();
        let text = error.to_string();
        for part in [
            &address.to_string(),
            "the API",
            "is taken",
            "--api",
            "--ports auto",
        ] {
            assert!(text.contains(part), "{text} lacks {part}");
        }
        let error = listen("the API", address, None, Ports::Fixed).unwrap_err();
        assert!(!error.to_string().contains("--api"));
    }

    #[test]
    fn automatic_ports_are_free_ones() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let listener = listen("the API", address, Some("--api"), Ports::Auto).unwrap();
        let found = listener.local_addr().unwrap();
        assert!(found.ip() == address.ip() && found.port() != address.port() && found.port() != 0);
    }
}
