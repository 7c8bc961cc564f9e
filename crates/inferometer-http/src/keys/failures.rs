//! Who has sent wrong keys, and how often.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

/// How many clients are remembered; the one that has failed longest ago is forgotten first.
const CLIENTS: usize = 1024;

/// After this time without a wrong key, a client may send one more.
const FORGIVEN: Duration = Duration::from_secs(10);

/// The longest that an answer is kept back.
const LONGEST: Duration = Duration::from_secs(2);

/// Wrong keys by client.
///
/// It slows the answers to wrong keys and nothing else: a right key is never made to wait, or strangers behind the same
/// address could lock a scraper out by failing in its name. Guessing 256 bits is hopeless at any speed; what is spared is work
/// and noise.
#[derive(Debug)]
pub(super) struct Failures {
    allowed: u32,
    clients: HashMap<IpAddr, Failed>,
}

#[derive(Clone, Copy, Debug)]
struct Failed {
    times: u32,
    last: Instant,
}

impl Failures {
    pub(super) fn new(allowed: u32) -> Self {
        Self {
            allowed,
            clients: HashMap::new(),
        }
    }

    /// Counts one more. `Some` past the allowance: how long to keep the answer back, and after what time to try again.
    pub(super) fn count(&mut self, client: IpAddr, now: Instant) -> Option<(Duration, Duration)> {
        let client = network(client);
        if self.clients.len() >= CLIENTS && !self.clients.contains_key(&client) {
            self.forget_one();
        }
        let failed = self.clients.entry(client).or_insert(Failed {
            times: 0,
            last: now,
        });
        let quiet = now.saturating_duration_since(failed.last).as_secs() / FORGIVEN.as_secs();
        failed.times = failed
            .times
            .saturating_sub(u32::try_from(quiet).unwrap_or(u32::MAX))
            .saturating_add(1);
        failed.last = now;
        let over = failed
            .times
            .checked_sub(self.allowed)
            .filter(|over| *over > 0)?;
        let delay = Duration::from_millis(50).saturating_mul(1 << over.min(10));
        Some((delay.min(LONGEST), FORGIVEN))
    }

    fn forget_one(&mut self) {
        let oldest = self.clients.iter().min_by_key(|(_, failed)| failed.last);
        if let Some(oldest) = oldest.map(|(client, _)| *client) {
            self.clients.remove(&oldest);
        }
    }
}

/// An IPv6 client has a whole /64 to itself.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from(number).into()
    }

    #[test]
    fn allowance_comes_back_with_time() {
        let mut failures = Failures::new(2);
        let start = Instant::now();
        assert_eq!(failures.count(client(1), start), None);
        assert_eq!(failures.count(client(1), start), None);
        let (first, _) = failures.count(client(1), start).unwrap();
        let (second, _) = failures.count(client(1), start).unwrap();
        assert!(first < second && second <= LONGEST);
        assert_eq!(failures.count(client(2), start), None, "another client");
        let later = start + 4 * FORGIVEN;
        assert_eq!(failures.count(client(1), later), None);
    }

    #[test]
    fn memory_is_bounded_and_the_newest_are_kept() {
        let mut failures = Failures::new(0);
        let start = Instant::now();
        for number in 0..5_000_u32 {
            failures.count(client(number), start + Duration::from_micros(number.into()));
        }
        assert_eq!(failures.clients.len(), CLIENTS);
        assert!(failures.clients.contains_key(&client(4_999)));
        assert!(!failures.clients.contains_key(&client(0)));
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_client() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }
}
