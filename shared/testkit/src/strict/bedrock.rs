//! Amazon Bedrock's Converse as a strict provider decodes and encodes it, with one of Claude's models.
//!
//! Members from the service model `bedrock-runtime/2023-09-30` in botocore 1.44.5; wording from responses of
//! bedrock-runtime that people quote in public, 2026-11. Converse rejects members that it does not
//! know, turns that do not alternate, and results that do not match the calls before them.

use serde_json::Value;

use super::node::{Checked, Node, Problem, Violation, is_plain};
use super::{Choice, DecodedRequest, KEY, Rejection, Role, Script, Shape, Tool};
use crate::bedrock;
use crate::provider::{ReceivedRequest, ScriptedResponse};

mod messages;
mod write;

/// Claude's signatures are the same here as at Anthropic's own address.
const MAKER: &str = "anthropic";

/// Decodes a request, or rejects it.
pub(super) fn check(seen: &ReceivedRequest) -> Result<DecodedRequest, Rejection> {
    let path = seen.target.strip_prefix("/model/").and_then(|it| it.split_once('/'));
    let Some((model, method @ ("converse" | "converse-stream"))) = path else {
        return Err(rejection(404, "Unable to determine service/operation name to be authorized"));
    };
    match seen.header("authorization") {
        "" => return Err(rejection(403, "Missing Authentication Token")),
        bearer if bearer == format!("Bearer {KEY}") => {}
        _ => return Err(rejection(403, "The security token included in the request is invalid.")),
    }
    if !seen.header("content-type").starts_with("application/json") {
        return Err(rejection(400, "Unsupported content type."));
    }
    let body: Value = serde_json::from_slice(&seen.body)
        .map_err(|error| rejection(400, &format!("Unable to parse the request: {error}")))?;
    let request = read(&Node::new(&body))
        .map_err(|violation| rejection(400, &describe_violation(&violation)))?;
    Ok(DecodedRequest { model: model.to_owned(), stream: method == "converse-stream", ..request })
}

/// Encodes a response.
pub(super) fn response(script: &Script, request: &DecodedRequest) -> ScriptedResponse {
    if request.stream { write::stream(script) } else { write::whole(script) }
}

/// The error of a status that is not about the request.
pub(super) fn failure(status: u16) -> ScriptedResponse {
    bedrock::error(status, "The service cannot answer now. Try again later.")
}

/// A refusal of a request.
pub(super) fn refusal(message: &str) -> ScriptedResponse {
    rejection(400, message).response
}

fn rejection(status: u16, message: &str) -> Rejection {
    Rejection { reason: format!("{status} {message}"), response: bedrock::error(status, message) }
}

fn describe_violation(violation: &Violation) -> String {
    let path = violation.dotted();
    match &violation.what {
        Problem::Unknown(name) => format!(
            "The model returned the following errors: {}: Extra inputs are not permitted",
            violation.clone().below(name).dotted()
        ),
        Problem::Missing(name) => format!(
            "1 validation error detected: Value at '{}' failed to satisfy constraint: Member must \
             not be null",
            violation.clone().below(name).dotted()
        ),
        Problem::Type(wanted, got) => format!("{path}: expected {wanted}, got {got}"),
        Problem::Word(given, allowed) => format!(
            "1 validation error detected: Value '{given}' at '{path}' failed to satisfy constraint: \
             Member must satisfy enum value set: [{}]",
            allowed.join(", ")
        ),
        Problem::Rule(text) | Problem::Coded(_, text) => format!("{path}: {text}"),
    }
}

fn read(body: &Node<'_>) -> Checked<DecodedRequest> {
    body.only(&[
        "messages",
        "system",
        "inferenceConfig",
        "toolConfig",
        "guardrailConfig",
        "additionalModelRequestFields",
        "promptVariables",
        "additionalModelResponseFieldPaths",
        "requestMetadata",
        "performanceConfig",
        "serviceTier",
        "outputConfig",
    ])?;
    let mut request = DecodedRequest {
        wants_usage: true,
        wants_signatures: Some(true),
        ..DecodedRequest::default()
    };
    tools(body, &mut request)?;
    let mut rules = vec![];
    for block in body.each("system")? {
        rules.extend(messages::block(&block, &["text", "cachePoint"], &mut request)?);
    }
    if !rules.is_empty() {
        request.messages.push(super::Message { role: Role::System, bits: rules });
    }
    if let Some(config) = body.get("inferenceConfig") {
        inference(&config, &mut request)?;
    }
    messages::read(body, &mut request)?;
    if let Some(more) = body.get("additionalModelRequestFields") {
        additional(&more, &mut request)?;
    }
    if let Some(labels) = body.get("requestMetadata") {
        for name in labels.object()?.keys() {
            request.metadata.insert(name.clone(), labels.need(name)?.text()?.to_owned());
        }
    }
    if let Some(output) = body.get("outputConfig") {
        output_config(&output, &mut request)?;
    }
    Ok(request)
}

fn output_config(output: &Node<'_>, request: &mut DecodedRequest) -> Checked<()> {
    output.only(&["textFormat", "effort"])?;
    if let Some(effort) = output.get("effort") {
        request.effort = Some(effort.word(&["low", "medium", "high", "xhigh", "max"])?.to_owned());
    }
    let Some(format) = output.get("textFormat") else { return Ok(()) };
    format.only(&["type", "structure"])?;
    format.need("type")?.word(&["json_schema"])?;
    let json = format.need("structure")?.need("jsonSchema")?;
    json.only(&["schema", "name", "description"])?;
    let found: Value = serde_json::from_str(json.need("schema")?.text()?)
        .map_err(|error| json.rule_violation(format!("the schema is no JSON: {error}")))?;
    super::schema::anthropic(&Node::new(&found))?;
    request.shape = Some(Shape::Schema(found));
    Ok(())
}

fn inference(config: &Node<'_>, request: &mut DecodedRequest) -> Checked<()> {
    config.only(&["maxTokens", "temperature", "topP", "stopSequences"])?;
    for (name, theirs, low, high) in [
        ("temperature", "temperature", 0.0, 1.0),
        ("top_p", "topP", 0.0, 1.0),
        ("max_tokens", "maxTokens", 1.0, 1e9),
    ] {
        request.number(name, config.get(theirs).map(|it| it.between(low, high)).transpose()?);
    }
    for stop in config.each("stopSequences")? {
        request.stop.push(stop.text()?.to_owned());
    }
    Ok(())
}

/// What Claude takes beside Converse's own members.
fn additional(more: &Node<'_>, request: &mut DecodedRequest) -> Checked<()> {
    more.only(&[
        "thinking",
        "top_k",
        "anthropic_beta",
        "output_config",
        "tool_choice",
        "metadata",
    ])?;
    request.number("top_k", more.get("top_k").map(|it| it.between(0.0, 1e9)).transpose()?);
    if let Some(effort) = more.get("output_config").and_then(|it| it.get("effort")) {
        request.effort = Some(effort.text()?.to_owned());
    }
    if let Some(single) = more.get("tool_choice").and_then(|it| it.get("disable_parallel_tool_use"))
    {
        request.parallel = Some(!single.flag()?);
    }
    if let Some(user) = more.get("metadata").and_then(|it| it.get("user_id")) {
        request.user = Some(user.text()?.to_owned());
    }
    let Some(thinking) = more.get("thinking") else { return Ok(()) };
    match thinking.need("type")?.word(&["enabled", "disabled", "adaptive"])? {
        "enabled" => {
            let budget = thinking.need("budget_tokens")?;
            let tokens = budget.between(1024.0, 1e9)?;
            if request.numbers.get("max_tokens").is_some_and(|it| *it <= tokens) {
                let text = "`max_tokens` must be greater than `thinking.budget_tokens`.";
                return Err(budget.rule_violation(text));
            }
            request.effort = Some(tokens.to_string());
            messages::check_turn_begins_with_reasoning(more, request)?;
        }
        word => request.effort = Some(word.to_owned()),
    }
    if request.numbers.get("temperature").is_some_and(|it| *it < 1.0) {
        return Err(
            more.rule_violation("`temperature` may only be set to 1 when thinking is enabled.")
        );
    }
    Ok(())
}

fn tools(body: &Node<'_>, request: &mut DecodedRequest) -> Checked<()> {
    let Some(config) = body.get("toolConfig") else { return Ok(()) };
    config.only(&["tools", "toolChoice"])?;
    for tool in config.need("tools")?.list()? {
        tool.only(&["toolSpec", "cachePoint", "systemTool"])?;
        let Some(spec) = tool.get("toolSpec") else {
            messages::mark(&tool.need("cachePoint")?, request)?;
            continue;
        };
        spec.only(&["name", "description", "inputSchema", "strict"])?;
        let name = spec.need("name")?;
        if !is_plain(name.text()?, 64) {
            return Err(name
                .rule_violation("Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+"));
        }
        let description = spec.get("description").map_or(Ok(""), |it| it.text())?.to_owned();
        if spec.get("description").is_some() && description.is_empty() {
            return Err(spec.rule_violation("Member must have length greater than or equal to 1"));
        }
        let shape = spec.need("inputSchema")?.need("json")?;
        if shape.object()?.get("type").and_then(Value::as_str) != Some("object") {
            return Err(
                shape.rule_violation("The value at toolSpec.inputSchema.json.type must be object.")
            );
        }
        let (name, schema) = (name.text()?.to_owned(), shape.value.clone());
        request.tools.push(Tool { name, description, schema });
    }
    if request.tools.is_empty() {
        return Err(config.rule_violation("Member must have length greater than or equal to 1"));
    }
    let Some(choice) = config.get("toolChoice") else { return Ok(()) };
    choice.only(&["auto", "any", "tool"])?;
    request.choice = Some(match (choice.get("tool"), choice.get("any")) {
        (Some(tool), _) => Choice::Named(tool.need("name")?.text()?.to_owned()),
        (None, Some(_)) => Choice::Required,
        (None, None) => Choice::Auto,
    });
    Ok(())
}
