//! Rows of the request log in the words of the pages.

use std::collections::BTreeMap;

use pages::{
    Count, Moment, Money, Took,
    requests::{Hop, Row},
    shell::{Pill, Tone},
};
use telemetry::request_log::{AttemptRow, CallRow};

/// The words for the code of a failure.
fn words(code: &str) -> String {
    match code {
        "rate_limit" => "rate limited",
        "timeout" => "timed out",
        "auth" => "key refused",
        "network" => "not reached",
        "server_error" => "server error",
        other => return other.replace('_', " "),
    }
    .to_owned()
}

/// What went wrong with an attempt, in a word or two.
fn short_failure(attempt: &AttemptRow) -> String {
    attempt.status.map_or_else(|| words(&attempt.outcome), |status| status.to_string())
}

pub(super) fn is_cached(call: &CallRow) -> bool {
    call.cache.as_deref() == Some("hit")
}

/// Whether a stream had begun before the call failed.
pub(super) fn is_interrupted(call: &CallRow) -> bool {
    let last = call.attempts.last();
    call.has_failed() && call.stream && last.is_some_and(|it| it.first_token_ms.is_some())
}

/// Whether the gateway refused the request without an attempt.
pub(super) fn is_refused(call: &CallRow) -> bool {
    call.has_failed() && call.attempts.is_empty()
}

/// How a call ended, as a word.
pub(super) fn outcome(call: &CallRow) -> Pill {
    let (tone, text) = match call.outcome.as_str() {
        "success" if is_cached(call) => (Tone::Info, "from cache"),
        "success" => (Tone::Ok, "answered"),
        "canceled" => (Tone::Off, "client left"),
        _ if is_interrupted(call) => (Tone::Err, "interrupted"),
        _ if !is_refused(call) => (Tone::Err, "failed"),
        // No attempt was made from here on: these codes are the gateway's own refusals.
        "rate_limit" => (Tone::Warn, "over limit"),
        "budget_exceeded" => (Tone::Warn, "over budget"),
        "forbidden" => (Tone::Warn, "not allowed"),
        "unknown_model" => (Tone::Warn, "unknown model"),
        "auth" => (Tone::Warn, "wrong key"),
        "server_error" | "unavailable" => (Tone::Err, "failed"),
        _ => (Tone::Warn, "refused"),
    };
    Pill::new(tone, text)
}

fn hop(attempt: &AttemptRow) -> Hop {
    let is_success = attempt.outcome == "success";
    let text = match attempt.outcome.as_str() {
        "success" => attempt.provider.clone(),
        "canceled" => format!("{} given up", attempt.provider),
        _ => format!("{} {}", attempt.provider, short_failure(attempt)),
    };
    Hop { text, is_success }
}

/// The name of a call's tenant, as far as it is known.
pub(super) fn tenant_name(call: &CallRow, names: &BTreeMap<String, String>) -> String {
    let id = call.tenant.as_deref().unwrap_or_default();
    names.get(id).map_or_else(|| id.to_owned(), Clone::clone)
}

/// A call in the list.
pub(super) fn row(call: &CallRow, names: &BTreeMap<String, String>) -> Row {
    let tokens = call.tokens();
    let mut trail: Vec<Hop> = call.attempts.iter().map(hop).collect();
    if is_cached(call) {
        trail.push(Hop { text: "cache".to_owned(), is_success: true });
    }
    let not_sent =
        if is_refused(call) { call.message.clone().unwrap_or_default() } else { String::new() };
    Row {
        at: Moment(call.ended()),
        id: call.id.clone(),
        outcome: outcome(call),
        tenant: tenant_name(call, names),
        requested: call.requested_model.clone().unwrap_or_default(),
        trail,
        not_sent,
        model: call.sent_model.clone().unwrap_or_default(),
        input: call.usage.map(|_| Count(tokens.all_input())),
        output: Some(Count(tokens.all_output())).filter(|it| 0 < it.0),
        cost: call.cost.map(Money),
        saved: None,
        took: Took::ms(call.total_ms),
        // The first token of a whole response is the response.
        first_token: call.first_token_ms.filter(|_| call.stream).map(Took::ms),
    }
}

/// What happened to a call that failed, in a sentence.
pub(super) fn what_happened(call: &CallRow) -> String {
    let message = call.message.as_deref().unwrap_or("no reason was given");
    if is_refused(call) {
        return format!("Refused: {message}");
    }
    let failed = call.attempts.iter().filter(|it| it.outcome != "success");
    let failures: Vec<String> = failed
        .map(|it| format!("{} {} {}", it.provider, short_failure(it), words(&it.outcome)))
        .collect();
    let failures = failures.join(", ");
    if is_interrupted(call) {
        let tokens = call.tokens().all_output();
        return format!("The stream broke after {}: {message}", Count(tokens).of("token"));
    }
    match call.attempts.len() {
        1 => format!("The only target failed: {failures}"),
        _ => format!("Every target failed: {failures}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(provider: &str, outcome: &str, status: Option<u16>) -> AttemptRow {
        let (provider, outcome) = (provider.to_owned(), outcome.to_owned());
        AttemptRow { provider, outcome, status, ..AttemptRow::default() }
    }

    fn call(outcome: &str, attempts: Vec<AttemptRow>) -> CallRow {
        CallRow { outcome: outcome.to_owned(), attempts, ..CallRow::default() }
    }

    #[test]
    fn the_list_shows_each_attempt_and_why_the_next_was_made() {
        let attempts = vec![
            attempt("groq", "rate_limit", Some(429)),
            attempt("mistral", "timeout", None),
            attempt("openrouter", "success", Some(200)),
        ];
        let row = row(&call("success", attempts), &BTreeMap::new());
        let shown: Vec<_> = row.trail.iter().map(|it| it.text.as_str()).collect();
        assert_eq!(shown, ["groq 429", "mistral timed out", "openrouter"]);
        assert_eq!(row.outcome, Pill::new(Tone::Ok, "answered"));
    }

    #[test]
    fn a_refusal_is_no_failure_of_a_provider() {
        let refused = CallRow {
            message: Some("60 of 60 requests this minute".to_owned()),
            ..call("rate_limit", vec![])
        };
        assert_eq!(outcome(&refused), Pill::new(Tone::Warn, "over limit"));
        assert_eq!(what_happened(&refused), "Refused: 60 of 60 requests this minute");
    }

    #[test]
    fn a_failure_names_every_target() {
        let attempts =
            vec![attempt("groq", "rate_limit", Some(429)), attempt("mistral", "auth", Some(401))];
        let failed = call("rate_limit", attempts);
        assert_eq!(outcome(&failed).text, "failed");
        let wanted = "Every target failed: groq 429 rate limited, mistral 401 key refused";
        assert_eq!(what_happened(&failed), wanted);
    }

    #[test]
    fn a_stream_that_broke_is_no_failure_before_it_began() {
        let begun = AttemptRow { first_token_ms: Some(9), ..attempt("groq", "network", Some(200)) };
        let broken = CallRow { stream: true, ..call("network", vec![begun]) };
        assert_eq!(outcome(&broken).text, "interrupted");
    }
}
