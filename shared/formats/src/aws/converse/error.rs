//! Exceptions of Bedrock, by their names.
//!
//! A status stands for each exception of the service model; what it means is decided by `diagnosis`.

use canonical::Error;

use crate::error_body;

/// The failure of an exception within a stream.
pub(super) fn from_exception(name: &str, payload: &[u8]) -> Error {
    let status = match name {
        "validationException" => 400,
        "accessDeniedException" => 403,
        "resourceNotFoundException" => 404,
        "modelTimeoutException" => 408,
        // The statuses of the service model; within a stream there is only the name.
        "throttlingException" | "modelNotReadyException" | "serviceQuotaExceededException" => 429,
        "serviceUnavailableException" => 503,
        _ => 500,
    };
    let mut error = error_body::from_provider(status, Some(name), payload);
    // The HTTP status was 200, and this one stands for a name.
    error.provider_status = None;
    if error.message().starts_with("returned status") {
        error = error.with_message(format!("failed: `{}`", crate::redact(name)));
    }
    error
}

#[cfg(test)]
mod tests {
    use canonical::ErrorKind;

    use super::*;

    fn kind(status: u16, message: &str) -> ErrorKind {
        error_body::from_provider(status, None, format!("{{\"message\":\"{message}\"}}").as_bytes())
            .kind
    }

    #[test]
    fn a_status_stands_for_an_exception() {
        assert_eq!(
            kind(429, "Too many requests, please wait before trying again."),
            ErrorKind::RateLimited
        );
        assert_eq!(kind(408, "Model has timed out."), ErrorKind::Timeout);
        assert_eq!(kind(424, "The model returned an error."), ErrorKind::Upstream);
        assert_eq!(
            kind(403, "The security token included in the request is invalid."),
            ErrorKind::ProviderAccess
        );
        assert_eq!(kind(400, "Input is too long for requested model."), ErrorKind::ContextLength);
    }

    #[test]
    fn a_400_may_be_about_the_model() {
        assert_eq!(
            kind(400, "The provided model identifier is invalid."),
            ErrorKind::ProviderAccess
        );
        assert_eq!(kind(400, "This model doesn't support tool use."), ErrorKind::Unsupported);
        assert_eq!(
            kind(400, "A conversation must start with a user message."),
            ErrorKind::InvalidRequest
        );
    }

    #[test]
    fn an_exception_in_a_stream_has_a_name_for_a_status() {
        let error = from_exception("throttlingException", br#"{"message":"slow down"}"#);
        assert_eq!((error.kind, error.message()), (ErrorKind::RateLimited, "slow down"));
        assert_eq!(error.provider_status, None);
        let error = from_exception("modelStreamErrorException", b"");
        assert_eq!(
            (error.kind, error.message()),
            (ErrorKind::Upstream, "failed: `modelStreamErrorException`")
        );
    }
}
