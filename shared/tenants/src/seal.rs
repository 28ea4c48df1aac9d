//! Seals: secrets of tenants, encrypted so that whoever reads the table learns nothing.
//!
//! AES-256-GCM under a key that lives outside the table. A seal opens for the tenant that it was
//! made for and for no other, so that rows cannot be exchanged.

use std::fmt;

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};
use storage::Secret;

use crate::text::{bytes, hexadecimal};

/// How many bytes a sealing key has.
pub const SEALING_KEY_BYTES: usize = 32;

/// What every seal begins with, so that the way of sealing can change.
const VERSION: &str = "aes256gcm:";

/// A key that seals and opens the secrets of tenants.
pub struct SealingKey(LessSafeKey);

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[sealing key]")
    }
}

impl SealingKey {
    /// A key of these bytes.
    pub fn new(key: &[u8; SEALING_KEY_BYTES]) -> Option<Self> {
        UnboundKey::new(&AES_256_GCM, key).ok().map(|key| Self(LessSafeKey::new(key)))
    }

    /// The key that 64 hexadecimal digits name; nothing where they name none.
    pub fn from_digits(digits: &Secret) -> Option<Self> {
        let key: [u8; SEALING_KEY_BYTES] = bytes(digits.expose().trim())?.try_into().ok()?;
        Self::new(&key)
    }

    /// Random bytes for a key; nothing without randomness.
    pub fn generate() -> Option<[u8; SEALING_KEY_BYTES]> {
        let mut key = [0; SEALING_KEY_BYTES];
        SystemRandom::new().fill(&mut key).ok()?;
        Some(key)
    }

    /// Seals a secret of a tenant, as a text; nothing without randomness.
    pub fn seal(&self, tenant_id: &str, secret: &Secret) -> Option<String> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut sealed = secret.expose().as_bytes().to_vec();
        // The tenant is sealed along, so that a row that is copied to another tenant does not open.
        let tenant = Aad::from(tenant_id.as_bytes());
        // Ninety-six random bits: the same nonce twice needs billions of seals under one key.
        let unique = Nonce::assume_unique_for_key(nonce);
        self.0.seal_in_place_append_tag(unique, tenant, &mut sealed).ok()?;
        Some(format!("{VERSION}{}{}", hexadecimal(&nonce), hexadecimal(&sealed)))
    }

    /// Opens a seal; nothing where it is broken, another key's or another tenant's.
    pub fn open(&self, tenant_id: &str, sealed: &str) -> Option<Secret> {
        let mut sealed = bytes(sealed.strip_prefix(VERSION)?)?;
        let (nonce, text) = sealed.split_at_mut_checked(NONCE_LEN)?;
        let unique = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let tenant = Aad::from(tenant_id.as_bytes());
        let opened = self.0.open_in_place(unique, tenant, text).ok()?;
        Some(Secret::new(std::str::from_utf8(opened).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SealingKey {
        SealingKey::new(&[byte; SEALING_KEY_BYTES]).unwrap()
    }

    #[test]
    fn a_seal_opens_for_its_key_and_tenant_alone() {
        let sealed = key(1).seal("t_1", &Secret::new("sk-secret")).unwrap();
        assert_eq!(key(1).open("t_1", &sealed).unwrap().expose(), "sk-secret");
        assert!(key(1).open("t_2", &sealed).is_none());
        assert!(key(2).open("t_1", &sealed).is_none());
        assert!(!sealed.contains("sk-secret") && !sealed.contains(&hexadecimal(b"sk-secret")));
    }

    #[test]
    fn digits_name_a_key() {
        let sealed = key(0x0a).seal("t_1", &Secret::new("sk-secret")).unwrap();
        let digits = Secret::new(format!("{}\n", "0a".repeat(SEALING_KEY_BYTES)));
        let same = SealingKey::from_digits(&digits).unwrap();
        assert_eq!(same.open("t_1", &sealed).unwrap().expose(), "sk-secret");
        assert!(SealingKey::from_digits(&Secret::new("0a")).is_none());
    }

    #[test]
    fn a_broken_seal_does_not_open() {
        let sealed = key(1).seal("t_1", &Secret::new("sk-secret")).unwrap();
        let last = sealed.len() - 1;
        let other = if sealed.ends_with('0') { '1' } else { '0' };
        let changed = format!("{}{other}", sealed.get(..last).unwrap());
        for broken in [changed.as_str(), "", VERSION, "aes256gcm:00", "sk-secret"] {
            assert!(key(1).open("t_1", broken).is_none(), "{broken}");
        }
    }

    #[test]
    fn two_seals_of_one_secret_differ() {
        let seal = || key(1).seal("t_1", &Secret::new("sk-secret")).unwrap();
        assert_ne!(seal(), seal());
        assert_ne!(SealingKey::generate().unwrap(), SealingKey::generate().unwrap());
    }
}
