//! The words of earlier gateways for failures, for clients that rely on them.
//!
//! Sources: `server/handlers.go` of leshchenko1979/ai-gateway, `internal/api/handler.go` of
//! felipepmaragno/ai-gateway, `internal/handlers/openai.go` of DatanoiseTV/aigateway and
//! `cmd/ai-gateway/handlers.go` of liuzl/ai, seen 2026-11.

use canonical::{Error, ErrorKind, ErrorWords, Origin};
use serde::Serialize;

/// The `type` and the `code` of an error.
pub(super) type Words = (&'static str, Option<Code>);

/// A `code`, which one of the earlier gateways wrote as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Code {
    Word(&'static str),
    Status(u16),
}

/// An earlier gateway's words for a failure, or the gateway's `own` where there were none.
pub(super) fn words(whose: ErrorWords, error: &Error, own: Words) -> Words {
    match whose {
        ErrorWords::A => {
            words_of_a(error).map_or(own, |(kind, code)| (kind, Some(Code::Word(code))))
        }
        ErrorWords::B => ("error", Some(Code::Status(error.status()))),
        ErrorWords::C => (type_of_c(error.kind), None),
        ErrorWords::D => (type_of_d(error), own.1),
    }
}

/// A's words. A refusal of a key was a plain text there, limits were unknown.
fn words_of_a(error: &Error) -> Option<(&'static str, &'static str)> {
    let is_of_a_route = !error.attempts.is_empty() || matches!(error.origin, Origin::Provider(_));
    if is_of_a_route {
        return Some(("execution_error", "ROUTE_EXECUTION_FAILED"));
    }
    match error.kind {
        ErrorKind::InvalidRequest if error.param.is_none() => {
            Some(("parsing_error", "INVALID_JSON"))
        }
        ErrorKind::InvalidRequest
        | ErrorKind::Unsupported
        | ErrorKind::Rejected
        | ErrorKind::ContextLength => Some(("validation_error", "VALIDATION_FAILED")),
        ErrorKind::UnknownModel => Some(("route_error", "ROUTE_NOT_FOUND")),
        ErrorKind::Timeout
        | ErrorKind::Network
        | ErrorKind::Upstream
        | ErrorKind::ProviderAccess
        | ErrorKind::Unavailable
        | ErrorKind::Internal => Some(("execution_error", "EXECUTION_FAILED")),
        ErrorKind::Unauthenticated
        | ErrorKind::BudgetExceeded
        | ErrorKind::Forbidden
        | ErrorKind::UnknownPath
        | ErrorKind::WrongMethod
        | ErrorKind::TooLarge
        | ErrorKind::Conflict
        | ErrorKind::KeyReused
        | ErrorKind::HeadersTooLarge
        | ErrorKind::RateLimited => None,
    }
}

fn type_of_c(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Unauthenticated => "authentication_error",
        _ if kind.status() == 400 => "invalid_request_error",
        _ => "api_error",
    }
}

fn type_of_d(error: &Error) -> &'static str {
    match error.kind {
        ErrorKind::InvalidRequest if error.param.is_none() && error.origin == Origin::Gateway => {
            "decode_error"
        }
        ErrorKind::Unsupported => "conversion_error",
        ErrorKind::InvalidRequest | ErrorKind::Rejected | ErrorKind::ContextLength => {
            "invalid_request"
        }
        ErrorKind::Unauthenticated | ErrorKind::Forbidden | ErrorKind::ProviderAccess => "auth",
        ErrorKind::RateLimited => "rate_limit",
        ErrorKind::UnknownModel => "unknown_model",
        ErrorKind::Timeout => "timeout",
        ErrorKind::Network => "network",
        ErrorKind::Upstream | ErrorKind::Unavailable | ErrorKind::Internal => "server_error",
        ErrorKind::BudgetExceeded
        | ErrorKind::UnknownPath
        | ErrorKind::WrongMethod
        | ErrorKind::TooLarge
        | ErrorKind::Conflict
        | ErrorKind::KeyReused
        | ErrorKind::HeadersTooLarge => "unknown",
    }
}
