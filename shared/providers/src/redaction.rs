//! Secrets of a provider, kept out of what clients and logs get to read.

use canonical::Error;
use formats::without_secrets;
use storage::Secret;

/// The same failure, in words that quote none of these secrets.
pub(crate) fn redact_error(mut error: Error, secrets: &[Secret]) -> Error {
    let exposed = || secrets.iter().map(Secret::expose);
    error.param = error.param.take().map(|param| without_secrets(&param, exposed()));
    if !exposed().any(|secret| error.message().contains(secret)) {
        return error;
    }
    let message = without_secrets(error.message(), exposed());
    error.with_message(message)
}
