//! The story of a call, in one sentence or two: who failed and why, who answered, what it cost.

use crate::{
    call::{Attempt, Call, End, Result},
    moment::{Html, escaped},
    number::{Count, Money, Took},
};

/// What went wrong with an attempt, in a few words such as `429 rate limited`.
pub(crate) fn failure(attempt: &Attempt) -> String {
    let words = match attempt.code.as_str() {
        "rate_limit" => "rate limited",
        "timeout" => "timed out",
        "auth" => "key refused",
        "forbidden" => "access refused",
        "unknown_model" => "model unknown",
        "server_error" => "server error",
        "network" => "not reached",
        "unavailable" => "unavailable",
        "budget_exceeded" => "account exhausted",
        "request_too_large" => "request too large",
        "invalid_request" => "request refused",
        // A row of the log may be of another version, whose codes are not known here.
        other => other,
    };
    match attempt.status {
        Some(status) => format!("{status} {words}"),
        None => words.to_owned(),
    }
}

/// One sentence of an attempt that failed.
fn clause(attempt: &Attempt) -> String {
    format!("<b>{}</b> failed ({})", escaped(&attempt.provider), escaped(&failure(attempt)))
}

fn named(attempt: &Attempt) -> String {
    format!("<b>{}</b> ({})", escaped(&attempt.provider), escaped(&failure(attempt)))
}

fn failed(call: &Call) -> impl Iterator<Item = &Attempt> {
    call.attempts.iter().filter(|it| it.result == Result::Failed)
}

/// Clauses as an enumeration: `a`, `a and b`, `a, b and c`.
fn listed(clauses: &[String]) -> String {
    match clauses {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn money(call: &Call) -> String {
    let (input, output) = (Count(call.times.input_tokens), Count(call.times.output_tokens));
    let about = if call.is_estimated { "about " } else { "" };
    let tokens = match (call.times.input_tokens, call.times.output_tokens) {
        (0, 0) => return String::new(),
        (_, 0) => format!("{about}{}", input.of("token")),
        _ => format!("{about}{} in and {output} out", input.of("token")),
    };
    match call.cost {
        Some(Money(0)) => format!(" It used {tokens} and cost nothing."),
        Some(cost) => format!(" It cost <b>{cost}</b> and used {tokens}."),
        None => format!(" It used {tokens}; no price is known for its model."),
    }
}

fn dropped(call: &Call) -> &'static str {
    match call.dropped.len() {
        0 => "",
        1 => " One field was dropped.",
        _ => " Some fields were dropped.",
    }
}

fn answered(call: &Call) -> String {
    let clauses: Vec<String> = failed(call).map(clause).collect();
    let provider = call.attempts.iter().rfind(|it| it.result == Result::Success);
    let provider = provider.map_or_else(|| "the gateway".to_owned(), |it| escaped(&it.provider));
    let took = Took(call.times.total);
    match clauses.is_empty() {
        true => format!("<b>{provider}</b> answered in {took}."),
        false => format!("{}, so <b>{provider}</b> answered in {took}.", listed(&clauses)),
    }
}

fn lost(call: &Call, message: &str) -> String {
    let clauses: Vec<String> = failed(call).map(clause).collect();
    let names: Vec<String> = failed(call).map(named).collect();
    let who = match clauses.as_slice() {
        [] => String::new(),
        [_] => format!("{}, and no other target was left.", listed(&clauses)),
        _ => format!("Every target failed: {}.", listed(&names)),
    };
    let message = escaped(message);
    format!("{who} The client read: “{message}”").trim_start().to_owned()
}

/// The story, with the names that matter in bold.
pub(crate) fn of(call: &Call) -> Html {
    let story = match &call.end {
        End::Answered => format!("{}{}{}", answered(call), money(call), dropped(call)),
        End::Cached => {
            let saved = call.saved.map_or_else(String::new, |it| format!(" and saved <b>{it}</b>"));
            format!("The cache answered in {}{saved}.", Took(call.times.total))
        }
        End::Refused(why) => format!("Not sent to any provider: {}", escaped(why)),
        End::Failed(message) => lost(call, message),
        End::Interrupted(message) => format!(
            "The stream broke after {}: {}.{}",
            Count(call.times.output_tokens).of("token"),
            // A provider's message may end with a full stop, and the sentence has its own.
            escaped(message.trim_end_matches('.')),
            money(call)
        ),
        End::Canceled => {
            format!("The client left after {}.{}", Took(call.times.total), money(call))
        }
    };
    Html(story)
}

/// The names that the model had on its way, for one line below the story.
pub(crate) fn names(call: &Call) -> Html {
    let code = |name: &str| format!("<code>{}</code>", escaped(name));
    // Nothing was sent where the cache responded, or where the request was refused.
    let Some(sent) = &call.sent else { return Html(String::new()) };
    let requested = match (call.requested.as_str(), &call.route) {
        ("", _) => "Requested: no model".to_owned(),
        (name, Some(_)) => format!("Requested: the route {}", code(name)),
        (name, None) => format!("Requested: {}", code(name)),
    };
    let answered = match &call.answered {
        Some(answered) if answered == sent => "the response names the same".to_owned(),
        Some(answered) => format!("the response names {}", code(answered)),
        None => "the response names no model".to_owned(),
    };
    Html(format!("{requested} → sent: {} → {answered}", code(sent)))
}

/// The story without marks, for a label.
pub(crate) fn text(call: &Call) -> String {
    let marked = of(call).to_string();
    // The label is an attribute, in which marks would be read aloud.
    let plain = marked.replace("<b>", "").replace("</b>", "");
    plain
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        // Last, or `&amp;lt;` would become `<`.
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::call::Times;

    fn attempt(provider: &str, status: u16, code: &str) -> Attempt {
        let result = if status == 200 { Result::Success } else { Result::Failed };
        let (provider, code) = (provider.to_owned(), code.to_owned());
        Attempt { provider, result, status: Some(status), code, ..Attempt::default() }
    }

    fn call(end: End, attempts: Vec<Attempt>) -> Call {
        let total = Duration::from_millis(2107);
        let times = Times { total, input_tokens: 1204, output_tokens: 318, ..Times::default() };
        Call { end, attempts, times, cost: Some(Money(406)), ..Call::default() }
    }

    #[test]
    fn a_failover_is_in_the_order_of_events() {
        let attempts = vec![attempt("groq", 429, "rate_limit"), attempt("openrouter", 200, "")];
        let story = text(&call(End::Answered, attempts));
        assert_eq!(
            story,
            "groq failed (429 rate limited), so openrouter answered in 2.1 s. \
             It cost $0.0004 and used 1,204 tokens in and 318 out."
        );
    }

    #[test]
    fn a_failure_names_every_target_and_quotes_the_client() {
        let attempts = vec![attempt("groq", 429, "rate_limit"), attempt("mistral", 401, "auth")];
        let story = text(&call(End::Failed("all failed".to_owned()), attempts));
        assert_eq!(
            story,
            "Every target failed: groq (429 rate limited) and mistral (401 key refused). \
             The client read: “all failed”"
        );
    }

    #[test]
    fn a_model_is_followed_from_name_to_name() {
        let named = |sent: Option<&str>, answered: Option<&str>| Call {
            requested: "fast".to_owned(),
            route: Some("fast".to_owned()),
            sent: sent.map(str::to_owned),
            answered: answered.map(str::to_owned),
            ..call(End::Answered, vec![])
        };
        let shown = |call: &Call| names(call).to_string();
        let start = "Requested: the route <code>fast</code> → sent: <code>m</code> → ";
        let other = shown(&named(Some("m"), Some("m-2026")));
        assert_eq!(other, format!("{start}the response names <code>m-2026</code>"));
        let same = shown(&named(Some("m"), Some("m")));
        assert_eq!(same, format!("{start}the response names the same"));
        assert_eq!(shown(&named(None, None)), "");
    }

    #[test]
    fn names_are_escaped() {
        let attempts = vec![attempt("<b>x", 200, "")];
        assert!(
            of(&call(End::Answered, attempts))
                .to_string()
                .starts_with("<b>&lt;b&gt;x</b> answered")
        );
    }

    #[test]
    fn a_refusal_says_why_nothing_was_sent() {
        let story = text(&call(End::Refused("60 of 60 requests this minute".to_owned()), vec![]));
        assert_eq!(story, "Not sent to any provider: 60 of 60 requests this minute");
    }
}
