//! A number that tells texts apart, the same everywhere and for ever: ids and names that are made of
//! it stay what they were from one turn to the next, so that a cached prompt stays one.

/// FNV-1a: <http://www.isthe.com/chongo/tech/comp/fnv/>.
pub(crate) fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
