//! Failures as providers tell them: all the shapes that are about, read by one reader.
//!
//! OpenAI's `{"error": {…}}` and its many imitations, Anthropic's `{"type": "error", …}`, Google's
//! with a `status` in words, AWS's bare `message`, `FastAPI`'s `detail`.

use std::time::Duration;

use canonical::{Error, ErrorKind, Field, Result};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::{json, redact, rejected, retry_hint};

/// How many providers may quote each other.
const MOST_QUOTED: usize = 3;

/// What providers say of a failure, in any of the shapes that are about.
#[derive(Debug, Default)]
struct Said {
    message: Option<String>,
    code: Option<String>,
    param: Option<String>,
    status: Option<u16>,
    retry_after: Option<Duration>,
}

/// An event that nobody can read.
pub(crate) fn malformed() -> Error {
    Error::new(ErrorKind::Upstream, "it sent a malformed event")
}

/// Reads an event, which is an object.
pub(crate) fn event<'a, T: Deserialize<'a>>(data: &'a [u8]) -> Result<T> {
    // A list would pass for an object without any of its members.
    if !data.trim_ascii_start().starts_with(b"{") {
        return Err(malformed());
    }
    serde_json::from_slice(data).map_err(|error| malformed().caused_by(json::unquoted(&error)))
}

/// Reads a part of an event.
pub(crate) fn part<'a, T: Deserialize<'a>>(json: &'a RawValue) -> Result<T> {
    serde_json::from_str(json.get()).map_err(|error| malformed().caused_by(json::unquoted(&error)))
}

/// A failure with a status of its own.
pub(crate) fn from_status(status: u16, body: &[u8]) -> Error {
    classify(status, said(body))
}

/// An error object where a success was announced. Its own code says how bad it is.
pub(crate) fn inside_success(fault: &RawValue) -> Error {
    from_event(fault.get().as_bytes())
}

/// An error event within a stream.
pub(crate) fn from_event(data: &[u8]) -> Error {
    let said = said(data);
    let status = said.status.unwrap_or(match said.code.as_deref() {
        Some("rate_limit_exceeded" | "rate_limit_error" | "insufficient_quota") => 429,
        Some(
            "invalid_request_error"
            | "context_length_exceeded"
            | "invalid_prompt"
            | "invalid_encrypted_content",
        ) => 400,
        // The codes that OpenAI Responses has for pictures nobody can read.
        Some(code) if code.contains("image") => 400,
        Some("timeout_error") => 504,
        Some("overloaded_error") => 529,
        _ => 500,
    });
    let mut error = classify(status, said);
    error.provider_status = None;
    error
}

fn classify(status: u16, said: Said) -> Error {
    let code = said.code.as_deref().unwrap_or_default();
    let message = said.message.unwrap_or_else(|| format!("it answered with status {status}"));
    let part = rejected::part(code, said.param.as_deref(), &message);
    let fits =
        |it: &(ErrorKind, _)| status == 400 || status == 422 && it.0 == ErrorKind::RejectedParam;
    let (refused, field) = part.filter(fits).unzip();
    let field = field.flatten();
    let kind = match status {
        // Some speak of the longest context here.
        400 | 422 if field == Some(Field::MaxTokens) => ErrorKind::RejectedParam,
        400 | 413 | 422 if is_context_length(code, &message) => ErrorKind::ContextLength,
        413 if code == "rate_limit_exceeded" => ErrorKind::RateLimited,
        400 if is_about_us(code, &message) => ErrorKind::ProviderAccess,
        400 | 413 | 422 => refused.unwrap_or(ErrorKind::InvalidRequest),
        408 | 504 => ErrorKind::Timeout,
        429 => ErrorKind::RateLimited,
        401..=404 => ErrorKind::ProviderAccess,
        _ => ErrorKind::Upstream,
    };
    let mut error = Error::new(kind, redact::redact(&message));
    error.provider_status = Some(status);
    error.param = said.param.map(|it| redact::redact(&it));
    error.field = field.filter(|_| kind == ErrorKind::RejectedParam);
    error.retry_after = said.retry_after;
    error
}

/// A prompt that this model cannot hold, in the words of those who have no code for it.
fn is_context_length(code: &str, message: &str) -> bool {
    if matches!(code, "context_length_exceeded" | "tokens_limit_reached") {
        return true;
    }
    let message = message.to_ascii_lowercase();
    code != "rate_limit_exceeded" && TOO_LONG.iter().any(|it| message.contains(it))
}

/// What the providers of the catalog say of a prompt that is too long for the model.
const TOO_LONG: &[&str] = &[
    "maximum context length",
    "context length exceeded",
    "context size has been exceeded",
    "maximum prompt length is",
    "context length is only",
    "context length of only",
    "exceed context limit",
    "longer than the model's context length",
    "reduce the length of the messages",
    "current length is",
    "too many tokens",
    "prompt is too long",
    "input is too long",
    "input tokens exceed the configured limit",
    "exceeds the available context size",
    "exceeds the context window",
    "exceeds the maximum number of tokens allowed",
    "too many input tokens",
];

/// A 400 that speaks of our key or of the model, not of the client's request.
fn is_about_us(code: &str, message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    matches!(code, "invalid_api_key" | "model_not_found" | "model_not_supported")
        || message.contains("api key")
        // Anthropic's word for an empty purse.
        || message.contains("credit balance is too low")
        // Google's word for an account's country.
        || message.contains("user location is not supported")
}

fn said(body: &[u8]) -> Said {
    said_by(body, MOST_QUOTED)
}

/// Reads what is said, and what others are quoted with, so many deep.
fn said_by(body: &[u8], quotes: usize) -> Said {
    let Ok(json) = serde_json::from_slice::<Value>(body) else {
        return Said::default();
    };
    // Some wrap the object in a list.
    let json = json.get(0).unwrap_or(&json);
    let inner = json.get("error").filter(|it| !it.is_null()).unwrap_or(json);
    // A provider that stands before others quotes them.
    if let Some(quoted) = inner.pointer("/metadata/raw").and_then(|it| quoted(it, quotes)) {
        return Said { status: as_status(inner.get("code").unwrap_or(&Value::Null)), ..quoted };
    }
    let field = |name: &str| inner.get(name).or_else(|| json.get(name));
    let message = match inner {
        Value::String(text) => Some(text.clone()),
        _ => ["message", "detail", "error", "title", "msg", "error_msg", "errors"]
            .iter()
            .filter_map(|it| field(it))
            .find_map(as_text),
    };
    let code = [field("code"), field("type")]
        .into_iter()
        .flatten()
        .find_map(|it| it.as_str().map(str::to_owned));
    let status = [field("code"), field("status")].into_iter().flatten().find_map(as_status);
    Said {
        retry_after: retry_hint(inner).or_else(|| message.as_deref().and_then(retry_hint::hint)),
        message,
        code,
        param: field("param").and_then(Value::as_str).map(str::to_owned).or_else(|| {
            ["/detail/0", "/message/detail/0"].iter().find_map(|it| place(json.pointer(it)?))
        }),
        status,
    }
}

/// What a provider said to the one that stands before it: an object of its own, or a sentence.
fn quoted(raw: &Value, quotes: usize) -> Option<Said> {
    let text = raw.as_str()?.trim();
    let said = said_by(text.as_bytes(), quotes.checked_sub(1)?);
    if said.message.is_some() {
        return Some(said);
    }
    let is_sentence = text.starts_with(|it: char| it.is_alphanumeric());
    let retry_after = retry_hint::hint(text);
    is_sentence.then(|| Said { message: Some(text.to_owned()), retry_after, ..Said::default() })
}

/// A fault of one field, as `FastAPI` writes it: where it is and what is wrong there.
fn as_fault(item: &Value) -> Option<String> {
    let text = as_text(item.get("msg").unwrap_or(item))?;
    Some(place(item).map_or_else(|| text.clone(), |place| format!("{place}: {text}")))
}

/// Where a fault lies, from the body down.
fn place(item: &Value) -> Option<String> {
    let steps = item.get("loc")?.as_array()?.iter().filter(|it| it.as_str() != Some("body"));
    let words = steps.map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned));
    Some(words.collect::<Vec<_>>().join(".")).filter(|it| !it.is_empty())
}

fn as_text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().filter_map(as_fault).collect::<Vec<_>>().join("; "),
        Value::Object(object) => as_text(object.get("message").or_else(|| object.get("detail"))?)?,
        Value::Null | Value::Bool(_) | Value::Number(_) => return None,
    };
    Some(text).filter(|it| !it.trim().is_empty())
}

fn as_status(value: &Value) -> Option<u16> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    u16::try_from(number).ok().filter(|it| (400..600).contains(it))
}

/// When to come back, where the body says so: Google's `retryDelay` among the details.
fn retry_hint(error: &Value) -> Option<Duration> {
    let details = error.get("details")?.as_array()?;
    details.iter().find_map(|it| retry_hint::duration(it.get("retryDelay")?.as_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> (ErrorKind, String) {
        let error = from_status(status, body.as_bytes());
        (error.kind, error.message().to_owned())
    }

    #[test]
    fn every_known_shape_gives_its_message() {
        for body in [
            r#"{"error":{"message":"no","type":"x"}}"#,
            r#"{"error":"no"}"#,
            r#"{"message":"no"}"#,
            r#"{"detail":"no"}"#,
            r#"{"detail":[{"msg":"no","loc":["body"]}]}"#,
            r#"[{"error":{"message":"no"}}]"#,
            r#"{"error":{"error":{"message":"no"}}}"#,
            r#"{"message":{"detail":[{"msg":"no"}]}}"#,
            r#"{"error":null,"title":"no"}"#,
        ] {
            assert_eq!(read(500, body), (ErrorKind::Upstream, "no".to_owned()), "{body}");
        }
    }

    #[test]
    fn a_body_that_nobody_can_read_is_not_shown() {
        assert_eq!(read(502, "<html>secret</html>").1, "it answered with status 502");
    }

    #[test]
    fn whose_fault_it_is_decides_the_kind() {
        assert_eq!(read(401, "{}").0, ErrorKind::ProviderAccess);
        assert_eq!(read(404, "{}").0, ErrorKind::ProviderAccess);
        assert_eq!(read(429, "{}").0, ErrorKind::RateLimited);
        assert_eq!(read(422, "{}").0, ErrorKind::InvalidRequest);
        assert_eq!(read(409, "{}").0, ErrorKind::Upstream);
        assert_eq!(read(302, "{}").0, ErrorKind::Upstream);
        assert_eq!(
            read(400, r#"{"error":{"code":"invalid_api_key"}}"#).0,
            ErrorKind::ProviderAccess
        );
        let long = r#"{"error":{"message":"This model's maximum context length is 8192 tokens."}}"#;
        assert_eq!(read(400, long).0, ErrorKind::ContextLength);
        let per_minute = r#"{"error":{"code":"rate_limit_exceeded","message":"too many tokens"}}"#;
        assert_eq!(read(413, per_minute).0, ErrorKind::RateLimited);
    }

    #[test]
    fn a_provider_behind_a_provider_is_quoted() {
        let body = r#"{"error":{"code":429,"message":"Provider returned error",
            "metadata":{"raw":"{\"error\":{\"message\":\"slow down\"}}"}}}"#;
        let error = from_event(body.as_bytes());
        assert_eq!((error.kind, error.message()), (ErrorKind::RateLimited, "slow down"));
    }

    #[test]
    fn a_provider_behind_a_provider_may_speak_plainly() {
        let body = r#"{"error":{"code":429,"message":"Provider returned error",
            "metadata":{"raw":"google/gemma is rate-limited. Please retry in 7s."}}}"#;
        let error = from_event(body.as_bytes());
        assert_eq!(error.message(), "google/gemma is rate-limited. Please retry in 7s.");
        assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
    }

    #[test]
    fn a_fault_of_one_field_says_where_it_is() {
        let body = r#"{"detail":[{"loc":["body","messages",0,"role"],"msg":"Input should be"}]}"#;
        let error = from_status(422, body.as_bytes());
        assert_eq!(error.message(), "messages.0.role: Input should be");
        assert_eq!(error.param.as_deref(), Some("messages.0.role"));
    }

    #[test]
    fn a_sentence_may_say_when_to_come_back() {
        let body = r#"{"error":{"message":"Rate limit reached. Please try again in 1m2.5s."}}"#;
        let error = from_status(429, body.as_bytes());
        assert_eq!(error.retry_after, Some(Duration::from_millis(62_500)));
    }

    #[test]
    fn a_hint_in_the_body_says_when_to_come_back() {
        let body = r#"{"error":{"details":[{"@type":"x"},{"retryDelay":"7.5s"}]}}"#;
        let error = from_status(429, body.as_bytes());
        assert_eq!(error.retry_after, Some(Duration::from_millis(7500)));
    }

    #[test]
    fn providers_quote_each_other_only_so_deep() {
        let mut text = r#"{"error":{"message":"the first"}}"#.to_owned();
        for depth in 0..6 {
            let told = read(500, &text).1;
            assert_eq!(told == "the first", depth <= MOST_QUOTED, "{depth}: {told}");
            let quoted = Value::from(text);
            text = format!(r#"{{"error":{{"message":"last","metadata":{{"raw":{quoted}}}}}}}"#);
        }
    }
}
