//! What a client's request says.

use canonical::{Error, Kind, Meaning, Raw, Result};

/// Reads a request for a provider that speaks another format.
pub(super) fn understand(_raw: &Raw) -> Result<Meaning> {
    Err(Error::new(Kind::Inexpressible, "no other format is spoken yet"))
}
