//! Anthropic Messages as a strict provider decodes and encodes it.
//!
//! Members from the Python SDK's `types/message_create_params.py` and its neighbours; wording from
//! responses of api.anthropic.com that people quote in public, 2026-11.

use serde_json::{Value, json};

use super::node::{Checked, Node, Problem, Violation, is_plain};
use super::{Choice, DecodedRequest, KEY, Rejection, Role, Script, Shape, Tool, schema};
use crate::provider::{ReceivedRequest, ScriptedResponse};

mod messages;
mod write;

const MAKER: &str = "anthropic";

const MEMBERS: &[&str] = &[
    "max_tokens",
    "messages",
    "model",
    "cache_control",
    "container",
    "inference_geo",
    "metadata",
    "output_config",
    "service_tier",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];

/// Decodes a request, or rejects it.
pub(super) fn check(seen: &ReceivedRequest) -> Result<DecodedRequest, Rejection> {
    if seen.target != "/v1/messages" && seen.target != "/v1/messages?beta=true" {
        return Err(rejection(404, "not_found_error", "Not found"));
    }
    match seen.header("x-api-key") {
        "" => return Err(rejection(401, "authentication_error", "x-api-key header is required")),
        KEY => {}
        _ => return Err(rejection(401, "authentication_error", "invalid x-api-key")),
    }
    let version = seen.header("anthropic-version");
    if version.is_empty() {
        return Err(invalid("anthropic-version: header is required"));
    }
    if version.len() != 10 || !version.starts_with("20") {
        return Err(invalid("anthropic-version: not a valid version"));
    }
    if !seen.header("content-type").starts_with("application/json") {
        return Err(invalid("Invalid content type: expected application/json"));
    }
    let body: Value = serde_json::from_slice(&seen.body)
        .map_err(|error| invalid(&format!("The request body is not valid JSON: {error}")))?;
    read(&Node::new(&body), seen.header("anthropic-beta"))
        .map_err(|violation| invalid(&describe_violation(&violation)))
}

/// Encodes a response.
pub(super) fn response(script: &Script, request: &DecodedRequest) -> ScriptedResponse {
    if request.stream { write::stream(script, request) } else { write::whole(script, request) }
}

/// The error of a status that is not about the request.
pub(super) fn failure(status: u16) -> ScriptedResponse {
    let (kind, message) = match status {
        429 => ("rate_limit_error", "This request would exceed your rate limit."),
        529 => ("overloaded_error", "Overloaded"),
        _ => ("api_error", "Internal server error"),
    };
    rejection(status, kind, message).response
}

/// A refusal of a request.
pub(super) fn refusal(message: &str) -> ScriptedResponse {
    invalid(message).response
}

fn invalid(message: &str) -> Rejection {
    rejection(400, "invalid_request_error", message)
}

fn rejection(status: u16, kind: &str, message: &str) -> Rejection {
    let body = json!({
        "type": "error", "error": {"type": kind, "message": message}, "request_id": "req_strict",
    });
    Rejection {
        reason: format!("{status} {message}"),
        response: ScriptedResponse::json(status, &body),
    }
}

fn describe_violation(violation: &Violation) -> String {
    let path = violation.dotted();
    match &violation.what {
        Problem::Unknown(name) => {
            format!("{}: Extra inputs are not permitted", violation.clone().below(name).dotted())
        }
        Problem::Missing(name) => {
            format!("{}: Field required", violation.clone().below(name).dotted())
        }
        Problem::Type(wanted, _) => format!("{path}: Input should be {wanted}"),
        Problem::Word(given, allowed) => format!(
            "{path}: Input tag '{given}' does not match any of the expected tags: '{}'",
            allowed.join("', '")
        ),
        Problem::Rule(text) | Problem::Coded(_, text) if path.is_empty() => text.clone(),
        Problem::Rule(text) | Problem::Coded(_, text) => format!("{path}: {text}"),
    }
}

fn read(body: &Node<'_>, betas: &str) -> Checked<DecodedRequest> {
    let beta = betas.contains("context-management-").then_some("context_management");
    body.only(&MEMBERS.iter().copied().chain(beta).collect::<Vec<_>>())?;
    let mut request = DecodedRequest {
        wants_usage: true,
        wants_signatures: Some(true),
        ..DecodedRequest::default()
    };
    request.model = body.need("model")?.text()?.to_owned();
    request.stream = body.get("stream").map_or(Ok(false), |it| it.flag())?;
    let most = body.need("max_tokens")?;
    most.whole()?;
    request.number("max_tokens", Some(most.between(1.0, 1e9)?));
    tools(body, betas, &mut request)?;
    if let Some(system) = body.get("system") {
        let bits = messages::texts(&system, &mut request)?;
        request.messages.push(super::Message { role: Role::System, bits });
    }
    sampling(body, &mut request)?;
    let thinks = thinking(body, &mut request)?;
    messages::read(body, thinks, &mut request)?;
    if let Some(output) = body.get("output_config") {
        output_config(&output, &mut request)?;
    }
    messages::mark(body, &mut request)?;
    if 4 < request.cache.len() {
        let text = "A maximum of 4 blocks with cache_control may be provided.";
        return Err(Node::new(body.value).rule_violation(text));
    }
    Ok(request)
}

fn sampling(body: &Node<'_>, request: &mut DecodedRequest) -> Checked<()> {
    for name in ["temperature", "top_p"] {
        request.number(name, body.get(name).map(|it| it.between(0.0, 1.0)).transpose()?);
    }
    if let Some(top) = body.get("top_k") {
        top.whole()?;
        request.number("top_k", Some(top.between(0.0, 1e9)?));
    }
    for stop in body.each("stop_sequences")? {
        let text = stop.text()?;
        if text.trim().is_empty() {
            return Err(stop.rule_violation("each stop sequence must contain non-whitespace"));
        }
        request.stop.push(text.to_owned());
    }
    if let Some(metadata) = body.get("metadata") {
        metadata.only(&["user_id"])?;
        let user = metadata.get("user_id").map(|it| it.text().map(str::to_owned));
        request.user = user.transpose()?;
    }
    if let Some(tier) = body.get("service_tier") {
        tier.word(&["auto", "standard_only"])?;
    }
    Ok(())
}

/// Decodes the reasoning setting, and checks the rules for it.
fn thinking(body: &Node<'_>, request: &mut DecodedRequest) -> Checked<bool> {
    let Some(thinking) = body.get("thinking") else { return Ok(false) };
    match thinking.need("type")?.word(&["enabled", "disabled", "adaptive"])? {
        "disabled" => {
            thinking.only(&["type"])?;
            request.effort = Some("0".to_owned());
            return Ok(false);
        }
        "adaptive" => {
            thinking.only(&["type", "display"])?;
            request.effort = Some("adaptive".to_owned());
            // Models that decide for themselves have no more rules than this.
            return Ok(false);
        }
        _ => {
            thinking.only(&["type", "budget_tokens", "display"])?;
            let budget = thinking.need("budget_tokens")?;
            let tokens = budget.whole()?;
            if tokens < 1024 {
                return Err(budget.rule_violation("Input should be greater than or equal to 1024"));
            }
            if request.numbers["max_tokens"] <= tokens as f64 {
                let text = "`max_tokens` must be greater than `thinking.budget_tokens`.";
                return Err(Node::new(body.value).rule_violation(text));
            }
            request.effort = Some(tokens.to_string());
        }
    }
    let whole = Node::new(body.value);
    if request.numbers.get("temperature").is_some_and(|it| *it != 1.0) {
        return Err(
            whole.rule_violation("`temperature` may only be set to 1 when thinking is enabled.")
        );
    }
    if request.numbers.contains_key("top_k") {
        return Err(whole.rule_violation("`top_k` must be unset when thinking is enabled."));
    }
    if request.numbers.get("top_p").is_some_and(|it| *it < 0.95) {
        let text =
            "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.";
        return Err(whole.rule_violation(text));
    }
    if matches!(request.choice, Some(Choice::Required | Choice::Named(_))) {
        return Err(
            whole.rule_violation("Thinking may not be enabled when tool_choice forces tool use.")
        );
    }
    Ok(true)
}

fn tools(body: &Node<'_>, betas: &str, request: &mut DecodedRequest) -> Checked<()> {
    let members = ["type", "name", "description", "input_schema", "cache_control", "strict"];
    let beta = betas.contains("advanced-tool-use-").then_some("defer_loading");
    let members: Vec<&str> = members.into_iter().chain(beta).collect();
    for tool in body.each("tools")? {
        tool.only(&members)?;
        if let Some(kind) = tool.get("type") {
            kind.word(&["custom"])?;
        }
        let name = tool.need("name")?;
        if !is_plain(name.text()?, 128) {
            return Err(name.rule_violation("String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"));
        }
        let shape = tool.need("input_schema")?;
        shape.need("type")?.word(&["object"])?;
        if ["oneOf", "allOf", "anyOf"].iter().any(|it| shape.get(it).is_some()) {
            let text = "input_schema does not support oneOf, allOf, or anyOf at the top level";
            return Err(shape.rule_violation(text));
        }
        messages::mark(&tool, request)?;
        let description = tool.get("description").map_or(Ok(""), |it| it.text())?.to_owned();
        let (name, schema) = (name.text()?.to_owned(), shape.value.clone());
        request.tools.push(Tool { name, description, schema });
    }
    let Some(choice) = body.get("tool_choice") else { return Ok(()) };
    if request.tools.is_empty() {
        return Err(
            choice.rule_violation("tool_choice may only be specified while providing tools.")
        );
    }
    let word = choice.need("type")?.word(&["auto", "any", "tool", "none"])?;
    match word {
        "tool" => choice.only(&["type", "name", "disable_parallel_tool_use"])?,
        "none" => choice.only(&["type"])?,
        _ => choice.only(&["type", "disable_parallel_tool_use"])?,
    }
    let single = choice.get("disable_parallel_tool_use").map(|it| it.flag()).transpose()?;
    request.parallel = single.map(|it| !it);
    request.choice = Some(match word {
        "auto" => Choice::Auto,
        "any" => Choice::Required,
        "none" => Choice::None,
        _ => Choice::Named(choice.need("name")?.text()?.to_owned()),
    });
    Ok(())
}

fn output_config(output: &Node<'_>, request: &mut DecodedRequest) -> Checked<()> {
    output.only(&["effort", "format"])?;
    if let Some(effort) = output.get("effort") {
        let word = effort.word(&["low", "medium", "high", "xhigh", "max"])?;
        request.effort = Some(word.to_owned());
    }
    let Some(format) = output.get("format") else { return Ok(()) };
    format.only(&["type", "schema"])?;
    format.need("type")?.word(&["json_schema"])?;
    let found = format.need("schema")?;
    schema::anthropic(&found)?;
    request.shape = Some(Shape::Schema(found.value.clone()));
    Ok(())
}
