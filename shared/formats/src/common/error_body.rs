//! Error bodies of providers: every shape in use, parsed by one parser.
//!
//! OpenAI's `{"error": {…}}` and its many imitations, Anthropic's `{"type": "error", …}`, Google's
//! with a `status` in words, AWS's bare `message`, `FastAPI`'s `detail`. What a failure means is
//! decided by `diagnosis`.

use std::time::Duration;

use canonical::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::{
    diagnosis::{self, Diagnosis, Symptoms},
    json, redact, retry_hint, used_up_quota,
};

/// How many providers may quote each other.
const MAX_QUOTES: usize = 3;
/// Anthropic's code for an overload.
const OVERLOADED: &str = "overloaded_error";
/// Anthropic's own status for it (platform.claude.com, *Errors*); it is not in RFC 9110.
const OVERLOADED_STATUS: u16 = 529;
/// Members that hold a provider's code, most telling first; AWS writes `__type`.
const CODES: &[&str] = &["code", "type", "__type", "status"];

/// A provider's report of a failure.
#[derive(Debug, Default)]
struct Report {
    message: Option<String>,
    codes: Vec<String>,
    param: Option<String>,
    status: Option<u16>,
    retry_after: Option<Duration>,
    /// The provider's own details beside the message.
    details: String,
}

/// The failure of an event that cannot be parsed.
pub(crate) fn malformed() -> Error {
    Error::new(ErrorKind::Upstream, "sent a malformed event")
}

/// Parses an event, which is an object.
pub(crate) fn event<'a, T: Deserialize<'a>>(data: &'a [u8]) -> Result<T> {
    // A list would pass for an object without any of its members: serde takes one for a struct,
    // member by member, and `#[serde(default)]` fills the rest.
    if !data.trim_ascii_start().starts_with(b"{") {
        return Err(malformed());
    }
    serde_json::from_slice(data).map_err(|error| malformed().caused_by(json::unquoted(&error)))
}

/// Parses a part of an event.
pub(crate) fn part<'a, T: Deserialize<'a>>(json: &'a RawValue) -> Result<T> {
    serde_json::from_str(json.get()).map_err(|error| malformed().caused_by(json::unquoted(&error)))
}

/// Parses a failure of any provider. `code` is that of a header: AWS names its own beside the body.
pub fn from_provider(status: u16, code: Option<&str>, body: &[u8]) -> Error {
    let mut report = report(body);
    report.codes.extend(code.map(bare_code));
    diagnosed(status, report)
}

/// Parses an error object where a success was announced. Its own code decides the status.
pub(crate) fn inside_success(error: &RawValue) -> Error {
    from_event(error.get().as_bytes())
}

/// Parses the member `error` of an object, where a success was announced.
pub(crate) fn beside(error: &RawValue, object: &[u8]) -> Error {
    let mut reported = report(error.get().as_bytes());
    // Imitators put the message beside the error.
    reported.message = reported.message.or_else(|| report(object).message);
    without_status(reported)
}

/// Parses an error event of a stream.
pub(crate) fn from_event(data: &[u8]) -> Error {
    without_status(report(data))
}

/// Whether an object has a message as errors have it.
pub(crate) fn has_message(object: &[u8]) -> bool {
    report(object).message.is_some()
}

/// The failure of a report that has no HTTP status of its own.
fn without_status(mut report: Report) -> Error {
    if report.message.is_none() {
        let code = report.codes.first().cloned().or(report.status.map(|it| it.to_string()));
        let code = code.map(|it| format!(" (code `{it}`)")).unwrap_or_default();
        report.message = Some(format!("reported an error without a message{code}"));
    }
    let by_code = || report.codes.iter().find_map(|code| status_of_code(code));
    // An error within a success has no status of its own. 500 makes it worth trying elsewhere,
    // which a client's fault would not be.
    let status = report.status.or_else(by_code).unwrap_or(500);
    let mut error = diagnosed(status, report);
    // The provider's HTTP status was 200: to report another one would be to invent it.
    error.provider_status = None;
    error
}

/// The HTTP status that a code stands for, where an event has none.
fn status_of_code(code: &str) -> Option<u16> {
    Some(match code {
        "rate_limit_exceeded" | "rate_limit_error" | "insufficient_quota" => 429,
        "invalid_request_error"
        | "context_length_exceeded"
        | "invalid_prompt"
        | "invalid_encrypted_content" => 400,
        // OpenAI Responses has many codes for images that cannot be processed.
        _ if code.contains("image") => 400,
        "timeout_error" => 504,
        OVERLOADED => OVERLOADED_STATUS,
        _ => return None,
    })
}

fn diagnosed(status: u16, report: Report) -> Error {
    let message = report.message.unwrap_or_else(|| format!("returned status {status}"));
    let param = report.param.as_deref();
    let symptoms = Symptoms { status, codes: &report.codes, param, message: &message };
    let Diagnosis { kind, remedy } = diagnosis::diagnose(&symptoms);

    let mut error = Error::new(kind, redact::redact(&message));
    error.provider_status = Some(status);
    error.is_overloaded =
        status == OVERLOADED_STATUS || report.codes.iter().any(|it| it == OVERLOADED);
    error.param = report.param.map(|it| redact::redact(&it));
    error.remedy = remedy;
    error.retry_after = report.retry_after;
    error.retry_at = retry_hint::date(&message);
    error.quota = used_up_quota::used_up(status, &report.codes, &message, &report.details);
    error
}

fn report(body: &[u8]) -> Report {
    report_within(body, MAX_QUOTES)
}

/// Parses a body, and up to so many that are quoted within each other.
fn report_within(body: &[u8], quotes: usize) -> Report {
    let Ok(json) = serde_json::from_slice::<Value>(body) else {
        return Report::default();
    };
    // Some wrap the object in a list.
    let json = json.get(0).unwrap_or(&json);
    // Null, because successful responses of OpenAI Responses have `"error": null`.
    let inner = json.get("error").filter(|it| !it.is_null()).unwrap_or(json);
    // A provider that forwards to others quotes them.
    if let Some(quoted) = inner.pointer("/metadata/raw").and_then(|it| quoted(it, quotes)) {
        return Report { status: as_status(inner.get("code").unwrap_or(&Value::Null)), ..quoted };
    }
    // Imitators put members beside `error` that OpenAI has within.
    let field = |name: &str| inner.get(name).or_else(|| json.get(name));

    let message = match inner {
        Value::String(text) => Some(text.clone()),
        _ => ["message", "detail", "error", "title", "msg", "error_msg", "errors"]
            .iter()
            .filter_map(|it| field(it))
            .find_map(as_text),
    };

    // All of them are kept: OpenAI's `type` says less than its `code`, and for other providers it
    // is the other way round.
    let codes = CODES.iter().filter_map(|name| field(name)?.as_str()).map(bare_code).collect();
    // Google and OpenRouter write the HTTP status as a number into `code`, where OpenAI has a word.
    let status = ["code", "status", "status_code"].iter().find_map(|name| as_status(field(name)?));
    let places = ["/detail/0", "/message/detail/0"];
    let place = || places.iter().find_map(|it| place(json.pointer(it)?));
    let param = field("param").and_then(Value::as_str).map(str::to_owned).or_else(place);

    let retry_after = delay(inner).or_else(|| message.as_deref().and_then(retry_hint::hint));
    let details = inner.get("details").map(Value::to_string).unwrap_or_default();
    Report { message, codes, param, status, retry_after, details }
}

/// A code without the namespace that AWS puts before it or the address that follows it.
fn bare_code(code: &str) -> String {
    let code = code.rsplit('#').next().unwrap_or(code);
    code.split(':').next().unwrap_or(code).to_owned()
}

/// The report of the provider that another one quotes: an object, or a sentence.
fn quoted(raw: &Value, quotes: usize) -> Option<Report> {
    let text = raw.as_str()?.trim();
    let report = report_within(text.as_bytes(), quotes.checked_sub(1)?);
    if report.message.is_some() {
        return Some(report);
    }
    // HTML of a proxy in between begins with `<`, and is nothing for a client to read.
    let is_sentence = text.starts_with(|it: char| it.is_alphanumeric());
    let retry_after = retry_hint::hint(text);
    is_sentence.then(|| Report { message: Some(text.to_owned()), retry_after, ..Report::default() })
}

/// An error of one field, as `FastAPI` writes it: its place and what is wrong there.
fn field_error(item: &Value) -> Option<String> {
    let text = as_text(item.get("msg").unwrap_or(item))?;
    Some(place(item).map_or_else(|| text.clone(), |place| format!("{place}: {text}")))
}

/// The place of a field's error, from the body down.
fn place(item: &Value) -> Option<String> {
    let steps = item.get("loc")?.as_array()?.iter().filter(|it| it.as_str() != Some("body"));
    let words = steps.map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned));
    Some(words.collect::<Vec<_>>().join(".")).filter(|it| !it.is_empty())
}

fn as_text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().filter_map(field_error).collect::<Vec<_>>().join("; "),
        Value::Object(object) => as_text(object.get("message").or_else(|| object.get("detail"))?)?,
        Value::Null | Value::Bool(_) | Value::Number(_) => return None,
    };
    Some(text).filter(|it| !it.trim().is_empty())
}

fn as_status(value: &Value) -> Option<u16> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    // `code` may be a number of the provider's own, such as Z.AI's 1113.
    u16::try_from(number).ok().filter(|it| (400..600).contains(it))
}

/// Google's `retryDelay` among the details.
fn delay(error: &Value) -> Option<Duration> {
    let details = error.get("details")?.as_array()?;
    details.iter().find_map(|it| retry_hint::duration(it.get("retryDelay")?.as_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> (ErrorKind, String) {
        let error = from_provider(status, None, body.as_bytes());
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
    fn a_body_that_cannot_be_parsed_is_not_shown() {
        assert_eq!(read(502, "<html>secret</html>").1, "returned status 502");
    }

    #[test]
    fn a_status_decides_where_the_body_is_silent() {
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
    fn an_error_within_a_success_invents_no_status() {
        let without = "reported an error without a message";
        for (body, message) in [
            (r#"{"error":{"code":"x"}}"#, format!("{without} (code `x`)")),
            (r#"{"error":{"type":"server_error"}}"#, format!("{without} (code `server_error`)")),
            (r#"{"error":{"code":503}}"#, format!("{without} (code `503`)")),
            (r#"{"error":true}"#, without.to_owned()),
            (r#"{"error":true,"message":"boo"}"#, "boo".to_owned()),
            (r#"{"error":{"code":"x"},"message":"boo"}"#, "boo".to_owned()),
            ("no JSON", without.to_owned()),
        ] {
            assert_eq!(from_event(body.as_bytes()).message(), message, "{body}");
            let Ok(object) = serde_json::from_str::<json::Object<'_>>(body) else { continue };
            let error = beside(object.get("error").unwrap(), body.as_bytes());
            assert_eq!((error.message(), error.provider_status), (message.as_str(), None));
        }
    }

    #[test]
    fn a_quoted_error_body_is_parsed() {
        let body = r#"{"error":{"code":429,"message":"Provider returned error",
            "metadata":{"raw":"{\"error\":{\"message\":\"slow down\"}}"}}}"#;
        let error = from_event(body.as_bytes());
        assert_eq!((error.kind, error.message()), (ErrorKind::RateLimited, "slow down"));
    }

    #[test]
    fn a_quoted_sentence_is_the_message() {
        let body = r#"{"error":{"code":429,"message":"Provider returned error",
            "metadata":{"raw":"google/gemma is rate-limited. Please retry in 7s."}}}"#;
        let error = from_event(body.as_bytes());
        assert_eq!(error.message(), "google/gemma is rate-limited. Please retry in 7s.");
        assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
    }

    #[test]
    fn an_error_of_one_field_names_its_place() {
        let body = r#"{"detail":[{"loc":["body","messages",0,"role"],"msg":"Input should be"}]}"#;
        let error = from_provider(422, None, body.as_bytes());
        assert_eq!(error.message(), "messages.0.role: Input should be");
        assert_eq!(error.param.as_deref(), Some("messages.0.role"));
    }

    #[test]
    fn a_sentence_may_hold_a_retry_delay() {
        let body = r#"{"error":{"message":"Rate limit reached. Please try again in 1m2.5s."}}"#;
        let error = from_provider(429, None, body.as_bytes());
        assert_eq!(error.retry_after, Some(Duration::from_millis(62_500)));
    }

    #[test]
    fn googles_retry_delay_is_parsed() {
        let body = r#"{"error":{"details":[{"@type":"x"},{"retryDelay":"7.5s"}]}}"#;
        let error = from_provider(429, None, body.as_bytes());
        assert_eq!(error.retry_after, Some(Duration::from_millis(7500)));
    }

    #[test]
    fn quotes_are_parsed_to_a_limited_depth() {
        let mut text = r#"{"error":{"message":"the first"}}"#.to_owned();
        for depth in 0..6 {
            let message = read(500, &text).1;
            assert_eq!(message == "the first", depth <= MAX_QUOTES, "{depth}: {message}");
            let quoted = Value::from(text);
            text = format!(r#"{{"error":{{"message":"last","metadata":{{"raw":{quoted}}}}}}}"#);
        }
    }
}
