//! Failures in Google's shape, to a client.
//!
//! Source: google.rpc.Status and google.rpc.Code, and the errors of the `google-genai` package 3.4,
//! which takes a chunk for a failure when `error` is its first member.

use canonical::{AttemptRecord, Error};
use serde::Serialize;

use crate::openai::chat::{LimitJson, metadata::AttemptJson};

#[derive(Serialize)]
struct Body<'a> {
    error: Status<'a>,
}

#[derive(Serialize)]
struct Status<'a> {
    code: u16,
    message: String,
    status: &'static str,
    details: Vec<Detail<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "@type")]
enum Detail<'a> {
    #[serde(rename = "type.googleapis.com/google.rpc.ErrorInfo")]
    Info {
        reason: String,
        domain: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        metadata: Option<LimitJson<'a>>,
    },
    #[serde(rename = "type.googleapis.com/google.rpc.RequestInfo", rename_all = "camelCase")]
    Request { request_id: &'a str },
    #[serde(rename = "type.googleapis.com/google.rpc.BadRequest", rename_all = "camelCase")]
    Fields { field_violations: [Violation<'a>; 1] },
    #[serde(rename = "type.googleapis.com/google.rpc.RetryInfo", rename_all = "camelCase")]
    Retry { retry_delay: String },
    #[serde(rename = "type.googleapis.com/google.protobuf.Struct")]
    Attempts { value: Attempts<'a> },
}

#[derive(Serialize)]
struct Violation<'a> {
    field: &'a str,
    description: &'a str,
}

#[derive(Serialize)]
struct Attempts<'a> {
    attempts: Vec<AttemptJson<'a>>,
}

/// A failure as Google's clients expect to read it.
pub(super) fn to_client(error: &Error, request_id: &str) -> Vec<u8> {
    let reason = error.code().to_ascii_uppercase();
    let metadata = error.limit.as_ref().map(Into::into);
    let info = Detail::Info { reason, domain: "lockgate", metadata };
    let mut details = vec![info, Detail::Request { request_id }];
    if let Some(field) = &error.param {
        let description = error.message();
        details.push(Detail::Fields { field_violations: [Violation { field, description }] });
    }
    if let Some(wait) = error.retry_after {
        // Google's clients read the delay here, not in a header.
        details.push(Detail::Retry { retry_delay: format!("{}s", wait.as_secs_f64()) });
    }
    if !error.attempts.is_empty() {
        let attempts = error.attempts.iter().map(|it: &AttemptRecord| it.into()).collect();
        details.push(Detail::Attempts { value: Attempts { attempts } });
    }
    let code = error.status();
    let status = Status { code, message: error.to_string(), status: word(code), details };
    // Strings and numbers only: this cannot fail, and must not be empty if it did.
    serde_json::to_vec(&Body { error: status }).unwrap_or_else(|_| b"{\"error\":{}}".to_vec())
}

/// Google's name for an HTTP status.
fn word(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        405 => "UNIMPLEMENTED",
        409 => "ABORTED",
        408 | 504 => "DEADLINE_EXCEEDED",
        // google.rpc.Code has nothing for a budget; this is its code for quotas.
        402 | 429 => "RESOURCE_EXHAUSTED",
        400..=499 => "INVALID_ARGUMENT",
        502 | 503 => "UNAVAILABLE",
        _ => "INTERNAL",
    }
}
