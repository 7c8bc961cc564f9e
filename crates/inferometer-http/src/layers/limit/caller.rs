//! Who asks.

use std::{
    hash::{BuildHasher as _, Hash, RandomState},
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::OnceLock,
};

use axum::extract::ConnectInfo;
use http::header;

use crate::layers::head::Head;

/// Whom a limit tells apart: 128 bits of a hash whose keys are random for each process.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Caller(pub(super) u128);

impl Caller {
    /// The caller that `identity` tells apart. What it is isn't kept.
    pub fn new(identity: &impl Hash) -> Self {
        static KEYS: OnceLock<[RandomState; 2]> = OnceLock::new();
        let [high, low] = KEYS.get_or_init(Default::default);
        Self(u128::from(high.hash_one(identity)) << 64 | u128::from(low.hash_one(identity)))
    }
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Caller")
    }
}

/// By the key in `X-API-Key`, or else in `Authorization: Bearer`; nobody without one.
///
/// Put it behind what checks the keys. Before that, a client has a fresh bucket for each key that it makes up.
pub fn by_api_key(head: Head<'_>) -> Option<Caller> {
    let key = head.headers.get("x-api-key").map(|key| key.as_bytes());
    let key = key.or_else(|| {
        let value = head.headers.get(header::AUTHORIZATION)?.as_bytes();
        let (scheme, token) = value.split_at_checked(7)?;
        scheme
            .eq_ignore_ascii_case(b"bearer ")
            .then(|| token.trim_ascii())
    })?;
    (!key.is_empty()).then(|| Caller::new(&key))
}

/// By the address at the other end of the connection, an IPv6 one by its network of 64 bits; nobody where the server doesn't tell it, as axum's
/// does with `into_make_service_with_connect_info::<SocketAddr>()`.
///
/// Behind a proxy that is the proxy's address: there, a function of your own takes the client's from the header that your proxy sets,
/// and that no client can.
pub fn by_client_address(head: Head<'_>) -> Option<Caller> {
    let ConnectInfo(address) = head.extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(Caller::new(&network(address.ip())))
}

/// What one client has all of.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn key(headers: &[(&str, &str)]) -> Option<Caller> {
        let mut request = Request::new(());
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        by_api_key(Head::from(&request))
    }

    #[test]
    fn a_key_is_the_same_in_either_header() {
        let plain = key(&[("x-api-key", "k1")]).unwrap();
        assert_eq!(key(&[("authorization", "Bearer k1")]), Some(plain));
        assert_eq!(key(&[("authorization", "bearer  k1 ")]), Some(plain));
        assert_ne!(key(&[("x-api-key", "k2")]), Some(plain));
        for none in [
            &[][..],
            &[("x-api-key", "")],
            &[("authorization", "Basic k1")],
            &[("authorization", "Bearer ")],
        ] {
            assert_eq!(key(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_client_is_its_address_or_its_network() {
        let same =
            |one: &str, two: &str| network(one.parse().unwrap()) == network(two.parse().unwrap());
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(same("::ffff:10.0.0.1", "10.0.0.1"));
        assert!(!same("10.0.0.1", "10.0.0.2"));
    }

    #[test]
    fn nothing_of_a_caller_is_shown() {
        assert_eq!(format!("{:?}", Caller::new(&"secret")), "Caller");
    }
}
