//! The log as a sink: one line per call, at its end, with everything.

use std::{sync::Arc, time::Duration};

use canonical::{AttemptRecord, MicroDollars};

use crate::{CallRecord, RecordSink, SinkFuture, UsageSource};

/// Writes one line per record.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogSink;

impl RecordSink for LogSink {
    fn write<'a>(&'a self, records: &'a [Arc<CallRecord>]) -> SinkFuture<'a> {
        for record in records {
            log(record);
        }
        // `tracing` does not wait, so that everything is written before the future exists.
        Box::pin(std::future::ready(()))
    }

    fn count_strangers(&self, requests: u64) -> SinkFuture<'_> {
        tracing::info!(requests, "requests without a valid key ended");
        Box::pin(std::future::ready(()))
    }
}

fn log(record: &CallRecord) {
    let CallRecord { request, principal, usage, timings, end, .. } = record;
    let tokens = usage.map(|it| it.tokens);
    tracing::info!(
        request_id = record.id,
        trace_id = record.trace_id,
        tenant = principal.as_ref().map(|it| &*it.tenant),
        key_id = principal.as_ref().map(|it| &*it.key_id),
        method = request.method,
        path = request.path,
        format = request.format,
        requested_model = request.model,
        route = record.route,
        provider = record.provider,
        model = record.model,
        response_model = record.answered_model,
        provider_request_id = record.provider_request_id,
        stream = request.stream,
        outcome = end.outcome.as_str(),
        status = end.status,
        attempts = attempts(&record.attempts),
        finish_reason = record.finish_reason,
        tokens_input = tokens.map(|it| it.all_input()),
        tokens_cached = tokens.map(|it| it.cached_input),
        tokens_output = tokens.map(|it| it.all_output()),
        tokens_estimated = usage.map(|it| it.source == UsageSource::Estimated),
        cost_usd = record.cost.map(|it: MicroDollars| it.to_string()),
        held_usd = record.hold.map(|it| it.to_string()),
        settled_usd = record.settled.map(|it| it.to_string()),
        dropped = (!record.dropped.is_empty()).then(|| record.dropped.join(", ")),
        first_token_ms = timings.first_token.map(millis),
        // The gateway's own time is mostly below a millisecond.
        overhead_us = timings.overhead.map(|it| u64::try_from(it.as_micros()).unwrap_or(u64::MAX)),
        total_ms = millis(timings.total),
        request_excerpt = record.excerpt.as_ref().map(|it| &*it.request),
        response_excerpt = record.excerpt.as_ref().map(|it| &*it.response),
        failure = end.message,
        cause = end.cause,
        "call ended"
    );
}

/// Every attempt in words, such as `first/m rate_limit 429 12ms next_target`.
pub(crate) fn attempts(attempts: &[AttemptRecord]) -> String {
    let mut text = String::new();
    for attempt in attempts {
        if !text.is_empty() {
            text.push_str(", ");
        }
        let (provider, model) = (&attempt.provider, &attempt.model);
        text.push_str(&format!("{provider}/{model} {}", attempt.outcome.as_str()));
        if let Some(status) = attempt.status {
            text.push_str(&format!(" {status}"));
        }
        text.push_str(&format!(" {}ms", attempt.duration_ms));
        if let Some(next) = attempt.next {
            text.push(' ');
            text.push_str(next.as_str());
        }
    }
    text
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use canonical::{NextStep, Outcome};

    use super::*;

    #[test]
    fn attempts_are_logged_with_what_followed() {
        let attempt = |outcome, status, next| AttemptRecord {
            provider: "first".to_owned(),
            model: "m".to_owned(),
            outcome,
            status,
            duration_ms: 12,
            next,
            ..AttemptRecord::default()
        };
        let both = [
            attempt(Outcome::Failed("rate_limit"), Some(429), Some(NextStep::NextTarget)),
            attempt(Outcome::Success, Some(200), None),
        ];
        let words = "first/m rate_limit 429 12ms next_target, first/m success 200 12ms";
        assert_eq!(attempts(&both), words);
    }
}
