//! Failures in Anthropic's shape, to a client.

use canonical::{Error, ErrorKind};
use serde::Serialize;

use crate::openai::chat::{AttemptJson, LimitJson};

/// The field that names an earlier answer to go on from.
pub(super) const THREAD: &str = "thread.previous_message_id";

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: Fields<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct Fields<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
    #[serde(flatten)]
    limit: Option<LimitJson<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<AttemptJson<'a>>,
}

/// Details that Anthropic's clients act on by themselves.
#[derive(Serialize)]
struct Details {
    error_code: &'static str,
}

/// A failure as Anthropic's clients expect to read it.
pub(super) fn to_client(error: &Error, request_id: &str) -> Vec<u8> {
    let is_thread = error.param.as_deref() == Some(THREAD);
    let body = Body {
        kind: "error",
        error: Fields {
            kind: type_of(error),
            message: error.to_string(),
            param: error.param.as_deref(),
            // The tool runner of Anthropic's SDK begins a thread and then sends only what is new.
            // On this code it sends the whole conversation again.
            details: is_thread.then_some(Details { error_code: "thread_not_found" }),
            limit: error.limit.as_ref().map(Into::into),
            attempts: error.attempts.iter().map(Into::into).collect(),
        },
        request_id,
    };
    // Strings and numbers only: this cannot fail, and must not be empty if it did.
    serde_json::to_vec(&body).unwrap_or_else(|_| b"{\"type\":\"error\"}".to_vec())
}

/// Anthropic's own name for a failure.
fn type_of(error: &Error) -> &'static str {
    match error.kind {
        // The client gets the provider's own status, and the word that belongs to it.
        ErrorKind::InvalidRequest | ErrorKind::ContextLength if error.status() == 413 => {
            "request_too_large"
        }
        ErrorKind::InvalidRequest
        | ErrorKind::Unsupported
        | ErrorKind::Rejected
        | ErrorKind::ContextLength
        | ErrorKind::WrongMethod
        | ErrorKind::Conflict
        | ErrorKind::KeyReused
        | ErrorKind::HeadersTooLarge => "invalid_request_error",
        ErrorKind::TooLarge => "request_too_large",
        ErrorKind::Unauthenticated => "authentication_error",
        ErrorKind::Forbidden => "permission_error",
        ErrorKind::BudgetExceeded => "billing_error",
        ErrorKind::UnknownModel | ErrorKind::UnknownPath => "not_found_error",
        ErrorKind::RateLimited => "rate_limit_error",
        ErrorKind::Timeout => "timeout_error",
        ErrorKind::Unavailable => "overloaded_error",
        ErrorKind::Upstream if error.is_overloaded => "overloaded_error",
        ErrorKind::Network
        | ErrorKind::Upstream
        | ErrorKind::ProviderAccess
        | ErrorKind::Internal => "api_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error_body;

    #[test]
    fn an_overload_keeps_its_name_wherever_it_is_reported() {
        let overload =
            br#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
        let busy = br#"{"error":{"type":"server_error","message":"Busy"}}"#;
        for (error, name) in [
            (error_body::from_provider(529, None, b""), "overloaded_error"),
            (error_body::from_provider(500, None, overload), "overloaded_error"),
            (error_body::from_event(overload), "overloaded_error"),
            (error_body::from_event(busy), "api_error"),
        ] {
            assert_eq!(type_of(&error), name, "{error:?}");
        }
    }

    #[test]
    fn a_failure_has_anthropics_shape() {
        let error = Error::invalid("messages", "No.");
        assert_eq!(
            String::from_utf8(to_client(&error, "req_1")).unwrap(),
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"Lockgate: No.","param":"messages"},"request_id":"req_1"}"#
        );
    }
}
