//! Anthropic Messages as a strict provider speaks it.
//!
//! Members from the Python SDK's `types/message_create_params.py` and its neighbours; wording from
//! answers of api.anthropic.com that people quote in public, 2026-11.

use serde_json::{Value, json};

use super::look::{Checked, Fault, Look, What, is_plain};
use super::{Asked, Choice, KEY, Refused, Role, Script, Shape, Tool, schema};
use crate::provider::{Answer, Seen};

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

/// Reads a request, or refuses it.
pub(super) fn check(seen: &Seen) -> Result<Asked, Refused> {
    if seen.target != "/v1/messages" && seen.target != "/v1/messages?beta=true" {
        return Err(refused(404, "not_found_error", "Not found"));
    }
    match seen.header("x-api-key") {
        "" => return Err(refused(401, "authentication_error", "x-api-key header is required")),
        KEY => {}
        _ => return Err(refused(401, "authentication_error", "invalid x-api-key")),
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
    read(&Look::new(&body), seen.header("anthropic-beta"))
        .map_err(|fault| invalid(&explain(&fault)))
}

/// Writes an answer.
pub(super) fn answer(script: &Script, asked: &Asked) -> Answer {
    if asked.stream { write::stream(script, asked) } else { write::whole(script, asked) }
}

/// The error of a status that is not about the request.
pub(super) fn failure(status: u16) -> Answer {
    let (kind, message) = match status {
        429 => ("rate_limit_error", "This request would exceed your rate limit."),
        529 => ("overloaded_error", "Overloaded"),
        _ => ("api_error", "Internal server error"),
    };
    refused(status, kind, message).answer
}

fn invalid(message: &str) -> Refused {
    refused(400, "invalid_request_error", message)
}

fn refused(status: u16, kind: &str, message: &str) -> Refused {
    let body = json!({
        "type": "error", "error": {"type": kind, "message": message}, "request_id": "req_strict",
    });
    Refused { why: format!("{status} {message}"), answer: Answer::json(status, &body) }
}

fn explain(fault: &Fault) -> String {
    let path = fault.dotted();
    match &fault.what {
        What::Unknown(name) => {
            format!("{}: Extra inputs are not permitted", fault.clone().below(name).dotted())
        }
        What::Missing(name) => format!("{}: Field required", fault.clone().below(name).dotted()),
        What::Type(wanted, _) => format!("{path}: Input should be {wanted}"),
        What::Word(given, allowed) => format!(
            "{path}: Input tag '{given}' does not match any of the expected tags: '{}'",
            allowed.join("', '")
        ),
        What::Said(text) | What::Coded(_, text) if path.is_empty() => text.clone(),
        What::Said(text) | What::Coded(_, text) => format!("{path}: {text}"),
    }
}

fn read(body: &Look<'_>, betas: &str) -> Checked<Asked> {
    let beta = betas.contains("context-management-").then_some("context_management");
    body.only(&MEMBERS.iter().copied().chain(beta).collect::<Vec<_>>())?;
    let mut asked = Asked { wants_usage: true, wants_signatures: Some(true), ..Asked::default() };
    asked.model = body.need("model")?.text()?.to_owned();
    asked.stream = body.get("stream").map_or(Ok(false), |it| it.flag())?;
    let most = body.need("max_tokens")?;
    most.whole()?;
    asked.number("max_tokens", Some(most.between(1.0, 1e9)?));
    tools(body, &mut asked)?;
    if let Some(system) = body.get("system") {
        let bits = messages::texts(&system, &mut asked)?;
        asked.turns.push(super::Turn { role: Role::System, bits });
    }
    sampling(body, &mut asked)?;
    let thinks = thinking(body, &mut asked)?;
    messages::read(body, thinks, &mut asked)?;
    if let Some(output) = body.get("output_config") {
        output_config(&output, &mut asked)?;
    }
    messages::mark(body, &mut asked)?;
    if 4 < asked.cache.len() {
        let text = "A maximum of 4 blocks with cache_control may be provided.";
        return Err(Look::new(body.value).said(text));
    }
    Ok(asked)
}

fn sampling(body: &Look<'_>, asked: &mut Asked) -> Checked<()> {
    for name in ["temperature", "top_p"] {
        asked.number(name, body.get(name).map(|it| it.between(0.0, 1.0)).transpose()?);
    }
    if let Some(top) = body.get("top_k") {
        top.whole()?;
        asked.number("top_k", Some(top.between(0.0, 1e9)?));
    }
    for stop in body.each("stop_sequences")? {
        let text = stop.text()?;
        if text.trim().is_empty() {
            return Err(stop.said("each stop sequence must contain non-whitespace"));
        }
        asked.stop.push(text.to_owned());
    }
    if let Some(metadata) = body.get("metadata") {
        metadata.only(&["user_id"])?;
        let user = metadata.get("user_id").map(|it| it.text().map(str::to_owned));
        asked.user = user.transpose()?;
    }
    if let Some(tier) = body.get("service_tier") {
        tier.word(&["auto", "standard_only"])?;
    }
    Ok(())
}

/// Whether the model is told to think, under the rules that go with it.
fn thinking(body: &Look<'_>, asked: &mut Asked) -> Checked<bool> {
    let Some(thinking) = body.get("thinking") else { return Ok(false) };
    match thinking.need("type")?.word(&["enabled", "disabled", "adaptive"])? {
        "disabled" => {
            thinking.only(&["type"])?;
            asked.effort = Some("0".to_owned());
            return Ok(false);
        }
        "adaptive" => {
            thinking.only(&["type", "display"])?;
            asked.effort = Some("adaptive".to_owned());
            // Models that decide for themselves have no more rules than this.
            return Ok(false);
        }
        _ => {
            thinking.only(&["type", "budget_tokens", "display"])?;
            let budget = thinking.need("budget_tokens")?;
            let tokens = budget.whole()?;
            if tokens < 1024 {
                return Err(budget.said("Input should be greater than or equal to 1024"));
            }
            if asked.numbers["max_tokens"] <= tokens as f64 {
                let text = "`max_tokens` must be greater than `thinking.budget_tokens`.";
                return Err(Look::new(body.value).said(text));
            }
            asked.effort = Some(tokens.to_string());
        }
    }
    let whole = Look::new(body.value);
    if asked.numbers.get("temperature").is_some_and(|it| *it != 1.0) {
        return Err(whole.said("`temperature` may only be set to 1 when thinking is enabled."));
    }
    if asked.numbers.contains_key("top_k") {
        return Err(whole.said("`top_k` must be unset when thinking is enabled."));
    }
    if asked.numbers.get("top_p").is_some_and(|it| *it < 0.95) {
        let text =
            "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.";
        return Err(whole.said(text));
    }
    if matches!(asked.choice, Some(Choice::Required | Choice::Named(_))) {
        return Err(whole.said("Thinking may not be enabled when tool_choice forces tool use."));
    }
    Ok(true)
}

fn tools(body: &Look<'_>, asked: &mut Asked) -> Checked<()> {
    for tool in body.each("tools")? {
        tool.only(&["type", "name", "description", "input_schema", "cache_control", "strict"])?;
        if let Some(kind) = tool.get("type") {
            kind.word(&["custom"])?;
        }
        let name = tool.need("name")?;
        if !is_plain(name.text()?, 128) {
            return Err(name.said("String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"));
        }
        let shape = tool.need("input_schema")?;
        shape.need("type")?.word(&["object"])?;
        if ["oneOf", "allOf", "anyOf"].iter().any(|it| shape.get(it).is_some()) {
            let text = "input_schema does not support oneOf, allOf, or anyOf at the top level";
            return Err(shape.said(text));
        }
        messages::mark(&tool, asked)?;
        let description = tool.get("description").map_or(Ok(""), |it| it.text())?.to_owned();
        let (name, schema) = (name.text()?.to_owned(), shape.value.clone());
        asked.tools.push(Tool { name, description, schema });
    }
    let Some(choice) = body.get("tool_choice") else { return Ok(()) };
    if asked.tools.is_empty() {
        return Err(choice.said("tool_choice may only be specified while providing tools."));
    }
    let word = choice.need("type")?.word(&["auto", "any", "tool", "none"])?;
    match word {
        "tool" => choice.only(&["type", "name", "disable_parallel_tool_use"])?,
        "none" => choice.only(&["type"])?,
        _ => choice.only(&["type", "disable_parallel_tool_use"])?,
    }
    let single = choice.get("disable_parallel_tool_use").map(|it| it.flag()).transpose()?;
    asked.parallel = single.map(|it| !it);
    asked.choice = Some(match word {
        "auto" => Choice::Auto,
        "any" => Choice::Required,
        "none" => Choice::None,
        _ => Choice::Named(choice.need("name")?.text()?.to_owned()),
    });
    Ok(())
}

fn output_config(output: &Look<'_>, asked: &mut Asked) -> Checked<()> {
    output.only(&["effort", "format"])?;
    if let Some(effort) = output.get("effort") {
        let word = effort.word(&["low", "medium", "high", "xhigh", "max"])?;
        asked.effort = Some(word.to_owned());
    }
    let Some(format) = output.get("format") else { return Ok(()) };
    format.only(&["type", "schema"])?;
    format.need("type")?.word(&["json_schema"])?;
    let found = format.need("schema")?;
    schema::anthropic(&found)?;
    asked.shape = Some(Shape::Schema(found.value.clone()));
    Ok(())
}
