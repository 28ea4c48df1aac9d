//! One line per call, at its end, with everything.
//!
//! Prompts, answers, keys and headers are never part of it.

use std::time::Instant;

use canonical::{CallSummary, Error, MicroDollars, Usage};

/// What is known of one call. It is logged when it is dropped, so that no way out is forgotten:
/// a call that nobody ended was left by its client.
#[derive(Debug)]
pub struct CallRecord {
    started: Instant,
    /// The call's own name.
    pub request_id: String,
    /// The trace that it belongs to.
    pub trace_id: String,
    /// The name that the provider gave it.
    pub provider_request_id: Option<String>,
    /// The format that the client speaks.
    pub format: &'static str,
    /// What the client put in `model`.
    pub asked: Option<String>,
    /// Whether it wants a stream.
    pub stream: bool,
    /// From arrival to the first event of a stream, in milliseconds.
    pub first_event_ms: Option<u64>,
    /// What it consumed, when the provider said so.
    pub usage: Option<Usage>,
    /// How it went so far.
    pub summary: CallSummary,
    /// The word for its end.
    outcome: &'static str,
    status: Option<u16>,
    failure: Option<String>,
    cause: Option<String>,
}

impl CallRecord {
    /// Starts a record for a call that arrived at `started`.
    pub fn new(request_id: &str, trace_id: &str, started: Instant) -> Self {
        Self {
            started,
            request_id: request_id.to_owned(),
            trace_id: trace_id.to_owned(),
            provider_request_id: None,
            format: "",
            asked: None,
            stream: false,
            first_event_ms: None,
            usage: None,
            summary: CallSummary::default(),
            outcome: "canceled",
            status: None,
            failure: None,
            cause: None,
        }
    }

    /// From arrival to now, in milliseconds.
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Notes that the call ended as it should.
    pub fn succeeded(&mut self) {
        self.outcome = "success";
        self.status = Some(200);
    }

    /// Notes why the call failed.
    pub fn failed(&mut self, error: &Error) {
        self.outcome = error.kind.code();
        self.status = Some(error.status());
        self.failure = Some(error.to_string());
        self.cause = error.cause().map(ToString::to_string);
        if !error.attempts.is_empty() {
            self.summary.attempts = error.attempts.clone();
        }
    }

    fn tried(&self) -> String {
        let tried = self.summary.attempts.iter().map(|it| {
            let status = it.status.map(|it| format!(" {it}")).unwrap_or_default();
            format!(
                "{}/{} {}{status} {}ms",
                it.provider,
                it.model,
                it.outcome.as_str(),
                it.duration_ms
            )
        });
        tried.collect::<Vec<_>>().join(", ")
    }
}

impl Drop for CallRecord {
    fn drop(&mut self) {
        tracing::info!(
            request_id = self.request_id,
            trace_id = self.trace_id,
            format = self.format,
            asked = self.asked,
            route = self.summary.route,
            provider = self.summary.provider,
            model = self.summary.model,
            provider_request_id = self.provider_request_id,
            stream = self.stream,
            outcome = self.outcome,
            status = self.status,
            tried = self.tried(),
            tokens_input = self.usage.map(|it| it.all_input()),
            tokens_cached = self.usage.map(|it| it.cached_input),
            tokens_output = self.usage.map(|it| it.all_output()),
            cost_usd = self.summary.cost.map(|it: MicroDollars| it.to_string()),
            first_event_ms = self.first_event_ms,
            total_ms = self.elapsed_ms(),
            failure = self.failure,
            cause = self.cause,
            "call ended"
        );
    }
}
