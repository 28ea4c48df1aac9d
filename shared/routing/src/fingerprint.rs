//! Names of keys that do not give the key away.

use canonical::KeyFingerprint;
use ring::digest;

/// The fingerprint of a provider's key: equal keys have equal fingerprints, wherever they stand in a
/// pool.
///
/// The fingerprint is the beginning of a SHA-256, so a key of usual length cannot be found from it.
pub fn fingerprint(key: &str) -> KeyFingerprint {
    let mut context = digest::Context::new(&digest::SHA256);
    // A prefix of our own: the same key hashed elsewhere, such as in a list of leaked keys, looks
    // different.
    context.update(b"lockgate provider key\0");
    context.update(key.as_bytes());
    let digest = context.finish();

    let mut fingerprint = [0; KeyFingerprint::BYTES];
    for (to, from) in fingerprint.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    KeyFingerprint(fingerprint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_tells_keys_apart_and_never_shows_them() {
        let one = fingerprint("sk-one");
        assert_eq!(one, fingerprint("sk-one"));
        assert_ne!(one, fingerprint("sk-two"));
        assert_ne!(one, KeyFingerprint::NONE);
        assert!(!one.to_string().contains("one"));
    }
}
