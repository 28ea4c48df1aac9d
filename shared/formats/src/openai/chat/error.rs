//! Failures in OpenAI's shape, to a client.

use canonical::{Error, ErrorKind, LimitDetails};
use serde::Serialize;

use super::{
    error_words::{self, Code},
    metadata::AttemptJson,
};

#[derive(Serialize)]
struct Body<'a> {
    error: Fields<'a>,
}

#[derive(Serialize)]
struct Fields<'a> {
    message: String,
    #[serde(rename = "type")]
    kind: &'static str,
    code: Option<Code>,
    param: Option<&'a str>,
    request_id: &'a str,
    #[serde(flatten)]
    limit: Option<LimitJson<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<AttemptJson<'a>>,
}

/// The limit of a tenant that refuses a call, beside the message.
#[derive(Serialize)]
pub(crate) struct LimitJson<'a> {
    reason: &'static str,
    limit_source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reset: Option<&'a str>,
}

impl<'a> From<&'a LimitDetails> for LimitJson<'a> {
    fn from(limit: &'a LimitDetails) -> Self {
        Self { reason: limit.reason, limit_source: limit.source, reset: limit.reset.as_deref() }
    }
}

/// A failure as OpenAI's clients expect to read it.
pub(crate) fn to_client(error: &Error, request_id: &str) -> Vec<u8> {
    let own = (type_of(error.kind), Some(Code::Word(error.code())));
    let (kind, code) = error.words.map_or(own, |whose| error_words::words(whose, error, own));
    let body = Body {
        error: Fields {
            message: error.to_string(),
            kind,
            code,
            param: error.param.as_deref(),
            request_id,
            limit: error.limit.as_ref().map(Into::into),
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
        | ErrorKind::Conflict
        | ErrorKind::KeyReused
        | ErrorKind::HeadersTooLarge => "invalid_request_error",
        ErrorKind::Unauthenticated => "authentication_error",
        ErrorKind::Forbidden => "permission_error",
        ErrorKind::BudgetExceeded => "insufficient_quota",
        ErrorKind::RateLimited => "rate_limit_error",
        ErrorKind::Timeout
        | ErrorKind::Network
        | ErrorKind::Upstream
        | ErrorKind::ProviderAccess
        | ErrorKind::Unavailable
        | ErrorKind::Internal => "server_error",
    }
}
