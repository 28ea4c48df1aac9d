//! API keys: made from 256 random bits, shown once, stored as their SHA-256.

use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
};
use serde::{Deserialize, Serialize};
use storage::Secret;
use subtle::ConstantTimeEq;

use crate::text::hexadecimal;

/// How many random bytes a key has.
const KEY_BYTES: usize = 32;

/// How many random bytes an id has.
const ID_BYTES: usize = 8;

/// How many characters of a key are shown later.
const SHOWN_CHARACTERS: usize = 4;

/// The SHA-256 of a key, as hexadecimal digits: all that is stored of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyHash(String);

impl KeyHash {
    /// The hash of a key as a client sends it.
    pub fn of(key: &str) -> Self {
        Self(hexadecimal(digest(&SHA256, key.as_bytes()).as_ref()))
    }

    /// The hash in a configuration: 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hash = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hash.then(|| Self(text.to_ascii_lowercase()))
    }

    /// The hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether two hashes are equal, in a time that does not depend on where they differ.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

/// What is stored of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// The id, which is no secret.
    pub id: String,
    /// The id of the tenant.
    pub tenant: String,
    /// A name for the operator.
    pub name: String,
    /// What the key begins with.
    pub prefix: String,
    /// The last characters of the key.
    pub last_four: String,
    /// The hash.
    pub hash: KeyHash,
    /// When the key was made, in seconds since 1970.
    pub created: u64,
    /// From when on the key does not work any more, in seconds since 1970. Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

impl ApiKey {
    /// Whether the key has not expired.
    pub fn works(&self, now: u64) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

/// What a new key is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewKey {
    /// A name for the operator.
    pub name: String,
    /// What the key begins with; absent for the tenant's `key_prefix`.
    pub prefix: Option<String>,
    /// From when on the key does not work any more, in seconds since 1970. Absent: never.
    pub expires: Option<u64>,
}

/// A key that was just made, with its text, which is shown once and never again.
#[derive(Clone, Debug)]
pub struct IssuedKey {
    /// What is stored.
    pub key: ApiKey,
    /// The text to give to the client.
    pub secret: Secret,
}

/// Makes a key of a tenant; nothing without randomness.
pub(crate) fn issue(tenant: &str, prefix: &str, new: &NewKey, now: u64) -> Option<IssuedKey> {
    let text = format!("{prefix}{}", random::<KEY_BYTES>()?);
    let at = text.len() - SHOWN_CHARACTERS;
    let key = ApiKey {
        id: format!("key_{}", random::<ID_BYTES>()?),
        tenant: tenant.to_owned(),
        name: new.name.clone(),
        prefix: prefix.to_owned(),
        last_four: text.get(at..).unwrap_or_default().to_owned(),
        hash: KeyHash::of(&text),
        created: now,
        expires: new.expires,
    };
    Some(IssuedKey { key, secret: Secret::new(text) })
}

/// What a tenant's id begins with.
const TENANT_ID_PREFIX: &str = "t_";

/// Whether a text has the form of a tenant's id.
pub fn is_tenant_id(text: &str) -> bool {
    let digits = text.strip_prefix(TENANT_ID_PREFIX).filter(|it| it.len() == 2 * ID_BYTES);
    digits.is_some_and(|it| it.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
}

/// An id for a tenant; nothing without randomness.
pub(crate) fn random_id(prefix: &str) -> Option<String> {
    Some(format!("{prefix}{}", random::<ID_BYTES>()?))
}

fn random<const LENGTH: usize>() -> Option<String> {
    let mut bytes = [0; LENGTH];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(hexadecimal(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_the_sha_256_of_the_whole_key() {
        assert_eq!(
            KeyHash::of("abc").as_str(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(KeyHash::of("abc").matches(&KeyHash::of("abc")));
        assert!(!KeyHash::of("abc").matches(&KeyHash::of("abd")));
    }

    #[test]
    fn a_key_has_256_random_bits_and_is_stored_without_its_text() {
        let issued = issue("t_1", "sk-ant-", &NewKey::default(), 5).unwrap();
        let text = issued.secret.expose();
        assert_eq!(text.len(), "sk-ant-".len() + 64);
        assert!(text.starts_with("sk-ant-") && text.ends_with(&issued.key.last_four));
        assert_eq!(issued.key.hash, KeyHash::of(text));
        assert!(!serde_json::to_string(&issued.key).unwrap().contains(text));
        assert!(!format!("{issued:?}").contains(text));
        let other = issue("t_1", "sk-ant-", &NewKey::default(), 5).unwrap();
        assert_ne!(other.key.hash, issued.key.hash);
    }

    #[test]
    fn a_key_works_until_it_expires() {
        let new = NewKey { expires: Some(10), ..NewKey::default() };
        let key = issue("t", "lg-", &new, 5).unwrap().key;
        assert!(key.works(9) && !key.works(10));
    }

    #[test]
    fn a_configured_hash_has_64_digits() {
        assert_eq!(KeyHash::parse(KeyHash::of("a").as_str()), Some(KeyHash::of("a")));
        assert_eq!(KeyHash::parse("ba78"), None);
        assert_eq!(KeyHash::parse(&"g".repeat(64)), None);
    }
}
