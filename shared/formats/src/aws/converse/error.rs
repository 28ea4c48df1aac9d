//! Failures: what Bedrock says beside the shapes that everybody knows.
//!
//! A status stands for each exception of the service model. The exceptions of a stream carry their
//! name instead.

use canonical::{Error, ErrorKind};

use crate::error_body;

/// What a 400 says when the model, and not the request, is the trouble: another one may do.
const OF_THE_MODEL: &[&str] = &[
    "doesn't support",
    "does not support",
    "not supported by this model",
    "isn't supported for this model",
    "is not supported for this model",
    "unsupported model",
];
/// What a 400 says when we ask for a model that is not there.
const NO_SUCH_MODEL: &[&str] = &[
    "model identifier is invalid",
    "on-demand throughput isn",
    "on-demand throughput is not",
    "end of its life",
];

/// A failure with a status of its own.
pub(super) fn from_status(status: u16, body: &[u8]) -> Error {
    let mut error = error_body::from_status(status, body);
    let says = |list: &[&str]| {
        let message = error.message().to_ascii_lowercase();
        list.iter().any(|it| message.contains(it))
    };
    if error.kind == ErrorKind::InvalidRequest {
        if says(NO_SUCH_MODEL) {
            error.kind = ErrorKind::ProviderAccess;
        } else if says(OF_THE_MODEL) {
            error.kind = ErrorKind::Unsupported;
        }
    }
    error
}

/// An exception within a stream, by its name.
pub(super) fn from_exception(name: &str, payload: &[u8]) -> Error {
    let status = match name {
        "validationException" => 400,
        "accessDeniedException" => 403,
        "resourceNotFoundException" => 404,
        "modelTimeoutException" => 408,
        "throttlingException" | "modelNotReadyException" | "serviceQuotaExceededException" => 429,
        "serviceUnavailableException" => 503,
        _ => 500,
    };
    let mut error = from_status(status, payload);
    error.provider_status = None;
    if error.message().starts_with("it answered with status") {
        error = error.with_message(format!("it gave up: `{}`", crate::redact(name)));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16, message: &str) -> ErrorKind {
        from_status(status, format!("{{\"message\":\"{message}\"}}").as_bytes()).kind
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
            (ErrorKind::Upstream, "it gave up: `modelStreamErrorException`")
        );
    }
}
