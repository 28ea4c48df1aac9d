//! Wrong keys, counted per address: an address that guesses has to wait.
//!
//! An address that sent many wrong keys is refused without a look at its key, but for keys that were
//! right from there before: one guesser behind a proxy must not lock all others out.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use canonical::{Error, ErrorKind, Result};

/// How many wrong keys an address may send at once.
const MAX_WRONG_KEYS: u64 = 60;
/// The time after which an address may send one more wrong key, in milliseconds.
const MS_PER_KEY: u64 = 1_000;
/// How long an address has to wait at most until all its wrong keys are forgiven, in milliseconds.
const MAX_DEBT_MS: u64 = 10 * MAX_WRONG_KEYS * MS_PER_KEY;
/// How many addresses are remembered.
const MAX_ADDRESSES: usize = 10_000;
/// How many right keys of an address are remembered.
const MAX_RIGHT_KEYS: usize = 64;

/// The wrong keys of each address.
#[derive(Debug, Default)]
pub(crate) struct WrongKeys {
    addresses: HashMap<IpAddr, Address>,
    hasher: RandomState,
}

/// The wrong keys of one address.
#[derive(Debug, Default)]
struct Address {
    /// When all wrong keys so far are forgiven, in milliseconds since 1970.
    forgiven_at: u64,
    /// Fingerprints of keys that were right.
    right: Vec<u64>,
}

impl WrongKeys {
    /// Refuses an address that sent too many wrong keys.
    ///
    /// # Errors
    ///
    /// `RateLimited`, with a time to try again.
    pub(crate) fn check(&self, address: IpAddr, keys: &[&str], now: u64) -> Result<()> {
        let Some(known) = self.addresses.get(&network(address)) else { return Ok(()) };
        let allowed = (MAX_WRONG_KEYS - 1) * MS_PER_KEY;
        // No address owes more than calls that came at once add: a clock was set back.
        let debt = known.forgiven_at.saturating_sub(now);
        let debt = if MAX_DEBT_MS < debt { 0 } else { debt };
        // Keys are remembered as hashes under a seed of this process, so that the list holds no
        // key.
        let was_right = |key: &&str| known.right.contains(&self.hasher.hash_one(key));
        if debt <= allowed || keys.iter().any(was_right) {
            return Ok(());
        }
        let message = "Too many wrong API keys came from your address; try again later.";
        let mut error = Error::new(ErrorKind::RateLimited, message);
        error.retry_after = Some(Duration::from_millis(debt - allowed));
        Err(error)
    }

    /// Notes a wrong key.
    pub(crate) fn note_wrong(&mut self, address: IpAddr, now: u64) {
        let Some(known) = self.entry(address, now) else { return };
        known.forgiven_at = known.forgiven_at.max(now) + MS_PER_KEY;
    }

    /// Notes keys one of which was right.
    pub(crate) fn note_right(&mut self, address: IpAddr, keys: &[&str], now: u64) {
        let fingerprints: Vec<u64> = keys.iter().map(|key| self.hasher.hash_one(key)).collect();
        let Some(known) = self.entry(address, now) else { return };
        for fingerprint in fingerprints {
            if !known.right.contains(&fingerprint) && known.right.len() < MAX_RIGHT_KEYS {
                known.right.push(fingerprint);
            }
        }
    }

    /// The entry of an address; none when too many others are remembered.
    fn entry(&mut self, address: IpAddr, now: u64) -> Option<&mut Address> {
        let address = network(address);
        // An attacker with a whole network must not fill the memory; addresses that are forgiven go
        // first.
        if MAX_ADDRESSES <= self.addresses.len() && !self.addresses.contains_key(&address) {
            self.addresses.retain(|_, known| now < known.forgiven_at);
            if MAX_ADDRESSES <= self.addresses.len() {
                // Then new addresses are not slowed down, rather than refused: most of them are
                // honest.
                return None;
            }
        }
        Some(self.addresses.entry(address).or_default())
    }
}

/// The key of an address: an IPv6 host has a whole /64 to itself.
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

    fn after(wrong: u64, from: &str) -> WrongKeys {
        let mut keys = WrongKeys::default();
        for _ in 0..wrong {
            keys.note_wrong(address(from), 100);
        }
        keys
    }

    #[test]
    fn an_address_waits_after_many_wrong_keys() {
        let four = address("10.0.0.1");
        assert!(after(MAX_WRONG_KEYS - 1, "10.0.0.1").check(four, &["k"], 100).is_ok());
        let keys = after(MAX_WRONG_KEYS, "10.0.0.1");
        let error = keys.check(four, &["k"], 100).unwrap_err();
        assert_eq!((error.status(), error.retry_after), (429, Some(Duration::from_secs(1))));
        assert!(keys.check(four, &["k"], 1_100).is_ok());
        assert!(keys.check(address("10.0.0.2"), &["k"], 100).is_ok());
    }

    #[test]
    fn a_key_that_was_right_from_there_still_is() {
        let four = address("10.0.0.1");
        let mut keys = WrongKeys::default();
        keys.note_right(four, &["right"], 50);
        for _ in 0..MAX_WRONG_KEYS {
            keys.note_wrong(four, 100);
        }
        assert!(keys.check(four, &["right"], 100).is_ok());
        assert!(keys.check(four, &["wrong"], 100).is_err());
        assert!(keys.check(four, &[], 100).is_err());
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let keys = after(MAX_WRONG_KEYS, "2001:db8::1");
        assert!(keys.check(address("2001:db8::2"), &[], 100).is_err());
        assert!(keys.check(address("2001:db8:0:1::2"), &[], 100).is_ok());
        let mapped = after(MAX_WRONG_KEYS, "::ffff:10.0.0.1");
        assert!(mapped.check(address("10.0.0.1"), &[], 100).is_err());
    }

    #[test]
    fn few_addresses_are_remembered() {
        let mut keys = WrongKeys::default();
        for number in 0..20_000_u32 {
            keys.note_wrong(IpAddr::V4(number.into()), 100);
        }
        assert_eq!(keys.addresses.len(), MAX_ADDRESSES);
        keys.note_wrong(address("99.0.0.1"), 200_000);
        assert_eq!(keys.addresses.len(), 1);
    }
}
