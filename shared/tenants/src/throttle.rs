//! Throttling of wrong keys, per address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
};

/// How many wrong keys an address may send within a window.
pub const MAX_WRONG_KEYS: u32 = 10;

/// The length of the window, and of the pause after it, in seconds.
const WINDOW_SECONDS: u64 = 60;

/// How many addresses are remembered.
const MAX_ADDRESSES: usize = 10_000;

/// The wrong keys of each address.
#[derive(Debug, Default)]
pub struct WrongKeyThrottle {
    addresses: HashMap<IpAddr, WrongKeys>,
}

#[derive(Clone, Copy, Debug)]
struct WrongKeys {
    count: u32,
    until: u64,
}

impl WrongKeyThrottle {
    /// How long an address has to wait before an unknown key of it is looked up, in seconds.
    pub fn retry_after(&self, address: IpAddr, now: u64) -> Option<u64> {
        let wrong = self.addresses.get(&network(address))?;
        (MAX_WRONG_KEYS <= wrong.count && now < wrong.until).then(|| wrong.until - now)
    }

    /// Notes a wrong key.
    pub fn note_wrong_key(&mut self, address: IpAddr, now: u64) {
        let address = network(address);
        if MAX_ADDRESSES <= self.addresses.len() && !self.addresses.contains_key(&address) {
            self.addresses.retain(|_, wrong| now < wrong.until);
            if MAX_ADDRESSES <= self.addresses.len() {
                return;
            }
        }
        let fresh = WrongKeys { count: 0, until: now + WINDOW_SECONDS };
        let wrong = self.addresses.entry(address).or_insert(fresh);
        if wrong.until <= now {
            *wrong = fresh;
        }
        wrong.count += 1;
        if wrong.count == MAX_WRONG_KEYS {
            wrong.until = now + WINDOW_SECONDS;
        }
    }
}

/// What counts as one address: an IPv6 host has a whole /64 to itself.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => match six.to_ipv4_mapped() {
            Some(four) => IpAddr::V4(four),
            None => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() >> 64 << 64)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn after(wrong: u32, from: &str) -> WrongKeyThrottle {
        let mut throttle = WrongKeyThrottle::default();
        for _ in 0..wrong {
            throttle.note_wrong_key(address(from), 100);
        }
        throttle
    }

    #[test]
    fn an_address_waits_after_many_wrong_keys() {
        assert_eq!(after(9, "10.0.0.1").retry_after(address("10.0.0.1"), 100), None);
        let throttle = after(10, "10.0.0.1");
        assert_eq!(throttle.retry_after(address("10.0.0.1"), 130), Some(30));
        assert_eq!(throttle.retry_after(address("10.0.0.1"), 160), None);
        assert_eq!(throttle.retry_after(address("10.0.0.2"), 130), None);
    }

    #[test]
    fn the_count_starts_anew_after_the_window() {
        let mut throttle = after(9, "10.0.0.1");
        throttle.note_wrong_key(address("10.0.0.1"), 160);
        assert_eq!(throttle.retry_after(address("10.0.0.1"), 160), None);
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let throttle = after(10, "2001:db8::1");
        assert!(throttle.retry_after(address("2001:db8::2"), 100).is_some());
        assert!(throttle.retry_after(address("2001:db8:0:1::2"), 100).is_none());
        let mapped = after(10, "::ffff:10.0.0.1");
        assert!(mapped.retry_after(address("10.0.0.1"), 100).is_some());
    }

    #[test]
    fn memory_is_bounded() {
        let mut throttle = WrongKeyThrottle::default();
        for number in 0..20_000_u32 {
            throttle.note_wrong_key(IpAddr::V4(number.into()), 100);
        }
        assert_eq!(throttle.addresses.len(), MAX_ADDRESSES);
        throttle.note_wrong_key(address("99.0.0.1"), 200);
        assert_eq!(throttle.addresses.len(), 1);
    }
}
