//! `x_gateway`: how a call went, for the clients of OpenAI's formats.

use bytes::{BufMut, BytesMut};
use canonical::{AttemptRecord, CallSummary, MicroDollars};
use serde::Serialize;

#[derive(Serialize)]
struct Metadata<'a> {
    provider: &'a str,
    model: &'a str,
    route: Option<&'a str>,
    latency_ms: u64,
    cost_usd: Option<serde_json::Number>,
    cache_hit: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    saved_usd: Option<serde_json::Number>,
    request_id: &'a str,
    trace_id: &'a str,
    attempts: Vec<AttemptJson<'a>>,
}

/// One attempt, as clients read it.
#[derive(Serialize)]
pub(crate) struct AttemptJson<'a> {
    provider: &'a str,
    model: &'a str,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    duration_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

impl<'a> From<&'a AttemptRecord> for AttemptJson<'a> {
    fn from(attempt: &'a AttemptRecord) -> Self {
        Self {
            provider: &attempt.provider,
            model: &attempt.model,
            outcome: attempt.outcome.as_str(),
            status: attempt.status,
            duration_ms: attempt.duration_ms,
            message: attempt.message.as_deref(),
        }
    }
}

/// Money as a number of dollars.
fn dollars(money: MicroDollars) -> Option<serde_json::Number> {
    // By way of its text: micro-dollars have no exact float.
    money.to_string().parse().ok()
}

/// Copies a response (or the frame of a chunk) and adds `x_gateway` as the object's last member.
pub(crate) fn with_metadata(response: &[u8], summary: &CallSummary, out: &mut BytesMut) {
    // The last brace, because a frame ends with line breaks behind its object. The rest keeps its
    // bytes.
    let end = memchr::memrchr(b'}', response).unwrap_or(response.len());
    let (head, tail) = response.split_at(end);
    out.put_slice(head);
    let metadata = Metadata {
        provider: &summary.provider,
        model: &summary.model,
        route: summary.route.as_deref(),
        latency_ms: summary.latency_ms,
        cost_usd: summary.cost.and_then(dollars),
        cache_hit: summary.cache_hit,
        saved_usd: summary.saved.and_then(dollars),
        request_id: &summary.request_id,
        trace_id: &summary.trace_id,
        attempts: summary.attempts.iter().map(Into::into).collect(),
    };
    out.put_slice(b",\"x_gateway\":");
    // Strings and numbers only: this cannot fail, and a reader would see it if it did.
    out.put_slice(&serde_json::to_vec(&metadata).unwrap_or_else(|_| b"null".to_vec()));
    out.put_slice(tail);
}
