//! Failures in OpenAI's shape, to a client.

use canonical::{Error, Kind};
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

/// OpenAI's own word for a kind of failure.
fn type_of(kind: Kind) -> &'static str {
    match kind {
        Kind::InvalidRequest
        | Kind::Inexpressible
        | Kind::Unproven
        | Kind::Unsupported
        | Kind::Beta
        | Kind::ContextLength
        | Kind::UnknownModel
        | Kind::UnknownPath
        | Kind::WrongMethod
        | Kind::TooLarge
        | Kind::HeadersTooLarge => "invalid_request_error",
        Kind::Unauthenticated => "authentication_error",
        Kind::Forbidden => "permission_error",
        Kind::RateLimited => "rate_limit_error",
        Kind::Timeout
        | Kind::Network
        | Kind::Upstream
        | Kind::Refused
        | Kind::Unavailable
        | Kind::Internal => "server_error",
    }
}
