//! A hash that is the same in every process and release: ids and names that are made of one stay the
//! same from one request to the next, so that a cached prompt stays one.

/// The fingerprint of a text.
pub(crate) fn fingerprint(text: &str) -> u64 {
    fingerprint_of_bytes(text.as_bytes())
}

/// FNV-1a with 64 bits: <http://www.isthe.com/chongo/tech/comp/fnv/>.
pub(crate) fn fingerprint_of_bytes(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
