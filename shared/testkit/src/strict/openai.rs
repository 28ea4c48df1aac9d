//! What OpenAI's two APIs have in common: errors, keys, tools, labels.
//!
//! Wording from responses of api.openai.com that people quote in public, and its reference, 2026-11.

use serde_json::{Value, json};

use super::node::{Checked, Node, Problem, Violation, is_plain};
use super::{DecodedRequest, KEY, Rejection, schema};
use crate::provider::{ReceivedRequest, ScriptedResponse};

/// Checks the head and reads the body.
pub(super) fn open(seen: &ReceivedRequest, path: &str) -> Result<Value, Rejection> {
    if seen.target != path {
        let text = format!("Invalid URL ({} {})", seen.method, seen.target);
        return Err(rejection(404, &text, None, None));
    }
    if seen.method != "POST" {
        return Err(rejection(
            405,
            "Not allowed to use this method.",
            None,
            Some("method_not_supported"),
        ));
    }
    let authorization = seen.header("authorization");
    if authorization.is_empty() {
        let text = "You didn't provide an API key. You need to provide your API key in an \
                    Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).";
        return Err(rejection(401, text, None, None));
    }
    if authorization != format!("Bearer {KEY}") {
        return Err(rejection(401, "Incorrect API key provided.", None, Some("invalid_api_key")));
    }
    if !seen.header("content-type").starts_with("application/json") {
        let text = "Unsupported content type. This API method only accepts 'application/json' \
                    requests.";
        return Err(rejection(400, text, None, Some("unsupported_content_type")));
    }
    serde_json::from_slice(&seen.body).map_err(|error| {
        let text = format!("We could not parse the JSON body of your request. ({error})");
        rejection(400, &text, None, None)
    })
}

/// The rejection in OpenAI's format.
pub(super) fn describe_violation(violation: &Violation) -> Rejection {
    let path = violation.bracketed();
    match &violation.what {
        Problem::Unknown(name) => {
            let at = violation.clone().below(name).bracketed();
            rejection(
                400,
                &format!("Unknown parameter: '{at}'."),
                Some(&at),
                Some("unknown_parameter"),
            )
        }
        Problem::Missing(name) => {
            let at = violation.clone().below(name).bracketed();
            let text = format!("Missing required parameter: '{at}'.");
            rejection(400, &text, Some(&at), Some("missing_required_parameter"))
        }
        Problem::Type(wanted, got) => {
            let text =
                format!("Invalid type for '{path}': expected {wanted}, but got {got} instead.");
            rejection(400, &text, Some(&path), Some("invalid_type"))
        }
        Problem::Word(given, allowed) => {
            let allowed = allowed.join("', '");
            let text = format!("Invalid value: '{given}'. Supported values are: '{allowed}'.");
            rejection(400, &text, Some(&path), Some("invalid_value"))
        }
        Problem::Rule(text) => rejection(400, text, Some(&path), None),
        Problem::Coded(code, text) => rejection(400, text, Some(&path), Some(code)),
    }
}

fn rejection(status: u16, message: &str, param: Option<&str>, code: Option<&str>) -> Rejection {
    let kind = "invalid_request_error";
    let error = json!({"message": message, "type": kind, "param": param, "code": code});
    let reason = format!("{status} {message} ({})", param.unwrap_or("-"));
    Rejection { reason, response: ScriptedResponse::json(status, &json!({"error": error})) }
}

/// The error of a status that is not about the request.
pub(super) fn failure(status: u16) -> ScriptedResponse {
    let (kind, code, message) = match status {
        429 => ("requests", "rate_limit_exceeded", "Rate limit reached for requests."),
        _ => ("server_error", "server_error", "The server had an error. Sorry about that!"),
    };
    let error = json!({"message": message, "type": kind, "param": null, "code": code});
    ScriptedResponse::json(status, &json!({"error": error}))
}

/// A refusal of a request, with this code.
pub(super) fn refusal(code: &str, message: &str) -> ScriptedResponse {
    rejection(400, message, None, Some(code)).response
}

/// A function as both APIs describe it.
pub(super) fn function(node: &Node<'_>) -> Checked<super::Tool> {
    let name = node.need("name")?;
    if !is_plain(name.text()?, 64) {
        let text = "string does not match pattern '^[a-zA-Z0-9_-]{1,64}$'.";
        return Err(name.coded("invalid_value", format!("Invalid name: {text}")));
    }
    let description = node.get("description").map_or(Ok(""), |it| it.text())?;
    let strict = node.get("strict").map_or(Ok(false), |it| it.flag())?;
    let mut shape = Value::Null;
    if let Some(parameters) = node.get("parameters") {
        shape = parameters.value.clone();
        let of = format!("function '{}'", name.text()?);
        if parameters.object()?.get("type").and_then(Value::as_str) != Some("object") {
            let text = format!("Invalid schema for {of}: schema must be of 'type: \"object\"'.");
            return Err(parameters.coded("invalid_function_parameters", text));
        }
        if strict {
            schema::strict(&parameters, &of)?;
        }
    }
    let (name, description) = (name.text()?.to_owned(), description.to_owned());
    Ok(super::Tool { name, description, schema: shape })
}

/// What both APIs have beside the conversation.
pub(super) fn common(body: &Node<'_>, request: &mut DecodedRequest) -> Checked<()> {
    request.model = body.need("model")?.text()?.to_owned();
    request.stream = body.get("stream").map_or(Ok(false), |it| it.flag())?;
    for (name, low, high) in [("temperature", 0.0, 2.0), ("top_p", 0.0, 1.0)] {
        request.number(name, body.get(name).map(|it| it.between(low, high)).transpose()?);
    }
    request.parallel = body.get("parallel_tool_calls").map(|it| it.flag()).transpose()?;
    request.user = body.get("user").map(|it| it.text().map(str::to_owned)).transpose()?;
    for name in ["prompt_cache_key", "safety_identifier"] {
        body.get(name).map(|it| it.text()).transpose()?;
    }
    if let Some(tier) = body.get("service_tier") {
        tier.word(&["auto", "default", "flex", "scale", "priority"])?;
    }
    let Some(metadata) = body.get("metadata") else { return Ok(()) };
    for name in metadata.object()?.keys() {
        let value = metadata.need(name)?.text()?;
        if 64 < name.chars().count() || 512 < value.chars().count() {
            return Err(metadata.coded("string_above_max_length", "Invalid 'metadata': too long."));
        }
        request.metadata.insert(name.clone(), value.to_owned());
    }
    if 16 < request.metadata.len() {
        return Err(metadata.coded("object_above_max_properties", "Invalid 'metadata': too many."));
    }
    Ok(())
}

/// The reasoning effort.
pub(super) fn effort(node: &Node<'_>) -> Checked<String> {
    Ok(node.word(&["none", "minimal", "low", "medium", "high", "xhigh"])?.to_owned())
}

/// A text that may not be longer than this.
pub(super) fn no_longer<'a>(node: &Node<'a>, max: usize) -> Checked<&'a str> {
    let text = node.text()?;
    let length = text.chars().count();
    if length <= max {
        return Ok(text);
    }
    let sent = format!(
        "Invalid string: string too long. Expected a string with maximum length {max}, but got \
         a string with length {length} instead."
    );
    Err(node.coded("string_above_max_length", sent))
}

/// A `data:` URI or an address.
pub(super) fn address<'a>(node: &Node<'a>) -> Checked<&'a str> {
    let url = node.text()?;
    if url.starts_with("http://") || url.starts_with("https://") || is_data(url) {
        return Ok(url);
    }
    Err(node.coded("invalid_image_url", "Invalid URL. Expected a valid URL or a base64 data URI."))
}

fn is_data(url: &str) -> bool {
    url.starts_with("data:") && url.contains(";base64,")
}
