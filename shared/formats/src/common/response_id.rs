//! Ids of responses whose providers give none, as Bedrock.
//!
//! Clients tell responses apart by their ids, and some count the usage of each id once.

use crate::fingerprint::fingerprint;

/// An id made of the arrival of a request, in milliseconds since 1970, and of the id of its call: calls
/// arrive within one millisecond, and clients that name their calls may repeat a name.
pub(crate) fn own_id(arrived: u64, call: &str) -> String {
    if call.is_empty() {
        return format!("{arrived:x}");
    }
    format!("{arrived:x}{:016x}", fingerprint(call))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_one_millisecond_have_ids_of_their_own() {
        assert_ne!(own_id(1, "req_a"), own_id(1, "req_b"));
        assert_ne!(own_id(1, "req_a"), own_id(2, "req_a"));
        assert_eq!(own_id(10, ""), "a");
    }
}
