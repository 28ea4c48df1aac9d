//! Failures in OpenAI's shape, to a client.

use canonical::{Error, ErrorKind};
use serde::Serialize;

use super::metadata::AttemptJson;

#[derive(Serialize)]
struct Body<'a> {
    error: Fields<'a>,
}

#[derive(Serialize)]
struct Fields<'a> {
    message: String,
    #[serde(rename = "type")]
    kind: &'static str,
    code: &'static str,
    param: Option<&'a str>,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<AttemptJson<'a>>,
}

/// A failure as OpenAI's clients expect to read it.
pub(crate) fn to_client(error: &Error, request_id: &str) -> Vec<u8> {
    let body = Body {
        error: Fields {
            message: error.to_string(),
            kind: type_of(error.kind),
            code: error.kind.code(),
            param: error.param.as_deref(),
            request_id,
            attempts: error.attempts.iter().map(Into::into).collect(),
        },
    };
    // Strings and numbers only: this cannot fail, and must not be empty if it did.
    serde_json::to_vec(&body).unwrap_or_else(|_| b"{\"error\":{}}".to_vec())
}

/// OpenAI's own name for a kind of failure.
fn type_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest
        | ErrorKind::Unsupported
        | ErrorKind::Rejected
        | ErrorKind::ContextLength
        | ErrorKind::UnknownModel
        | ErrorKind::UnknownPath
        | ErrorKind::WrongMethod
        | ErrorKind::TooLarge
        | ErrorKind::HeadersTooLarge => "invalid_request_error",
        ErrorKind::Unauthenticated => "authentication_error",
        ErrorKind::Forbidden => "permission_error",
        ErrorKind::RateLimited => "rate_limit_error",
        ErrorKind::Timeout
        | ErrorKind::Network
        | ErrorKind::Upstream
        | ErrorKind::ProviderAccess
        | ErrorKind::Unavailable
        | ErrorKind::Internal => "server_error",
    }
}
