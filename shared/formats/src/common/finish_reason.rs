//! Finish reasons that no format documents, and that mean a cut.

use canonical::{Error, ErrorKind};

use crate::redact;

/// Reasons of a response that was cut: `abort` of vLLM and `SGLang`, DeepSeek's
/// `insufficient_system_resource`, OpenRouter's `error`, and their like at other servers.
const CUT: &[&str] = &[
    "abort",
    "aborted",
    "cancelled",
    "canceled",
    "error",
    "failed",
    "insufficient_system_resource",
    "interrupted",
    "network_error",
    "timeout",
];

/// The failure that a finish reason means, where the response was cut.
pub(crate) fn check(reason: &str) -> Result<(), Error> {
    if CUT.iter().any(|it| reason.eq_ignore_ascii_case(it)) {
        let message = format!("stopped in the middle of its response: finish reason `{reason}`");
        return Err(Error::new(ErrorKind::Upstream, message));
    }
    Ok(())
}

/// The failure of a response that ends for a reason that nobody knows: half a response must not pass
/// for a whole one.
pub(crate) fn unknown(reason: &str) -> Error {
    let message = format!("ended its response for an unknown reason: `{}`", redact(reason));
    Error::new(ErrorKind::Upstream, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_that_means_a_cut_is_a_failure() {
        assert_eq!(check("abort").unwrap_err().kind, ErrorKind::Upstream);
        assert!(check("insufficient_system_resource").is_err());
        assert!(check("stop").is_ok() && check("something_new").is_ok());
    }
}
