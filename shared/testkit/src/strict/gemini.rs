//! Gemini `generateContent` as a strict provider decodes and encodes it.
//!
//! Members from `google.ai.generativelanguage.v1beta` (`generative_service.proto`, `content.proto`)
//! and the reference at ai.google.dev; wording from responses of generativelanguage.googleapis.com
//! that people quote in public, 2026-11. The rules of Gemini 3 hold: a call that is part of the
//! current turn has to bring its thought signature.

use serde_json::{Value, json};

use super::node::{Checked, Node, Problem, Step, Violation, snake};
use super::{Bit, Choice, DecodedRequest, KEY, Rejection, Role, Script, Shape, Tool, schema};
use crate::provider::{ReceivedRequest, ScriptedResponse};

mod contents;
mod write;

const MAKER: &str = "gemini";

/// Decodes a request, or rejects it.
pub(super) fn check(seen: &ReceivedRequest) -> Result<DecodedRequest, Rejection> {
    let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
    let called = path.strip_prefix("/v1beta/models/").and_then(|it| it.rsplit_once(':'));
    let Some((model, method)) = called else {
        return Err(rejection(404, "NOT_FOUND", "Requested entity was not found.", &Value::Null));
    };
    let stream = match (method, query) {
        ("generateContent", "") => false,
        ("streamGenerateContent", "alt=sse") => true,
        _ => {
            let text = format!("no strict answer for {}", seen.target);
            return Err(rejection(404, "NOT_FOUND", &text, &Value::Null));
        }
    };
    match seen.header("x-goog-api-key") {
        "" => {
            let text = "Method doesn't allow unregistered callers (callers without established \
                        identity).";
            return Err(rejection(403, "PERMISSION_DENIED", text, &Value::Null));
        }
        KEY => {}
        _ => return Err(invalid("API key not valid. Please pass a valid API key.")),
    }
    if !seen.header("content-type").starts_with("application/json") {
        return Err(invalid("Invalid content type. Expected application/json."));
    }
    let body: Value = serde_json::from_slice(&seen.body)
        .map_err(|error| invalid(&format!("Invalid JSON payload received. {error}")))?;
    let request =
        read(&Node::in_either_case(&body)).map_err(|violation| describe_violation(&violation))?;
    Ok(DecodedRequest { model: model.to_owned(), stream, ..request })
}

/// Encodes a response.
pub(super) fn response(script: &Script, request: &DecodedRequest) -> ScriptedResponse {
    if request.stream { write::stream(script, request) } else { write::whole(script, request) }
}

/// The error of a status that is not about the request.
pub(super) fn failure(status: u16) -> ScriptedResponse {
    let (word, message) = match status {
        429 => ("RESOURCE_EXHAUSTED", "You exceeded your current quota."),
        503 => ("UNAVAILABLE", "The model is overloaded. Please try again later."),
        _ => ("INTERNAL", "An internal error has occurred."),
    };
    rejection(status, word, message, &Value::Null).response
}

/// A refusal of a request.
pub(super) fn refusal(message: &str) -> ScriptedResponse {
    invalid(message).response
}

fn invalid(message: &str) -> Rejection {
    rejection(400, "INVALID_ARGUMENT", message, &Value::Null)
}

fn rejection(status: u16, word: &str, message: &str, details: &Value) -> Rejection {
    let mut error = json!({"code": status, "message": message, "status": word});
    if details.is_array() {
        error["details"] = details.clone();
    }
    let response = ScriptedResponse::json(status, &json!({"error": error}));
    Rejection { reason: format!("{status} {message}"), response }
}

fn describe_violation(violation: &Violation) -> Rejection {
    let snaked = |it: &Step| match it {
        Step::Key(key) => Step::Key(snake(key)),
        Step::Index(index) => Step::Index(*index),
    };
    let path = violation.path.iter().map(snaked).collect();
    let path = Violation { path, what: violation.what.clone() }.bracketed();
    let text = match &violation.what {
        Problem::Unknown(name) => format!(
            "Invalid JSON payload received. Unknown name \"{name}\" at '{path}': Cannot find field."
        ),
        Problem::Missing(name) => {
            format!("* GenerateContentRequest.{path}.{}: is not specified\n", snake(name))
        }
        Problem::Type(wanted, got) => {
            format!("Invalid value at '{path}': expected {wanted}, got {got}")
        }
        Problem::Word(given, _) => format!("Invalid value at '{path}': \"{given}\""),
        Problem::Rule(text) | Problem::Coded(_, text) => text.clone(),
    };
    let violation = json!({"field": path, "description": text});
    let details = json!([{
        "@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation],
    }]);
    rejection(400, "INVALID_ARGUMENT", &text, &details)
}

fn read(body: &Node<'_>) -> Checked<DecodedRequest> {
    body.only(&[
        "model",
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "safetySettings",
        "generationConfig",
        "cachedContent",
        "serviceTier",
        "store",
    ])?;
    let mut request = DecodedRequest {
        wants_usage: true,
        wants_signatures: Some(true),
        ..DecodedRequest::default()
    };
    tools(body, &mut request)?;
    if let Some(system) = body.get("systemInstruction") {
        system.only(&["role", "parts"])?;
        let mut bits = vec![];
        for part in system.need("parts")?.list()? {
            part.only(&["text"])?;
            bits.push(Bit::Text(part.need("text")?.text()?.to_owned()));
        }
        request.messages.push(super::Message { role: Role::System, bits });
    }
    contents::read(body, &mut request)?;
    if let Some(config) = body.get("generationConfig") {
        generation(&config, &mut request)?;
    }
    Ok(request)
}

fn generation(config: &Node<'_>, request: &mut DecodedRequest) -> Checked<()> {
    config.only(&[
        "stopSequences",
        "responseMimeType",
        "responseSchema",
        "responseJsonSchema",
        "_responseJsonSchema",
        "responseModalities",
        "candidateCount",
        "maxOutputTokens",
        "temperature",
        "topP",
        "topK",
        "seed",
        "presencePenalty",
        "frequencyPenalty",
        "responseLogprobs",
        "logprobs",
        "enableEnhancedCivicAnswers",
        "speechConfig",
        "thinkingConfig",
        "imageConfig",
        "mediaResolution",
    ])?;
    for (name, theirs, low, high) in [
        ("temperature", "temperature", 0.0, 2.0),
        ("top_p", "topP", 0.0, 1.0),
        ("top_k", "topK", 1.0, 1e9),
        ("presence_penalty", "presencePenalty", -2.0, 2.0),
        ("frequency_penalty", "frequencyPenalty", -2.0, 2.0),
        ("max_tokens", "maxOutputTokens", 1.0, 1e9),
        ("n", "candidateCount", 1.0, 8.0),
        ("seed", "seed", -2_147_483_648.0, 2_147_483_647.0),
    ] {
        request.number(name, config.get(theirs).map(|it| it.between(low, high)).transpose()?);
    }
    for stop in config.each("stopSequences")? {
        request.stop.push(stop.text()?.to_owned());
    }
    if 5 < request.stop.len() {
        return Err(config.rule_violation("The number of stop sequences must be at most 5."));
    }
    shape(config, request)?;
    let Some(thinking) = config.get("thinkingConfig") else { return Ok(()) };
    thinking.only(&["includeThoughts", "thinkingBudget", "thinkingLevel"])?;
    thinking.get("includeThoughts").map(|it| it.flag()).transpose()?;
    let level = thinking.get("thinkingLevel");
    let level = level.map(|it| {
        let words = ["minimal", "low", "medium", "high", "MINIMAL", "LOW", "MEDIUM", "HIGH"];
        it.word(&words).map(str::to_lowercase)
    });
    let budget = thinking.get("thinkingBudget").map(|it| it.whole()).transpose()?;
    if level.is_some() && budget.is_some() {
        return Err(
            thinking.rule_violation("You can only set one of thinking budget and thinking level.")
        );
    }
    request.effort = level.transpose()?.or_else(|| budget.map(|it| it.to_string()));
    Ok(())
}

fn shape(config: &Node<'_>, request: &mut DecodedRequest) -> Checked<()> {
    let kind = config.get("responseMimeType").map_or(Ok("text/plain"), |it| {
        it.word(&["text/plain", "application/json", "text/x.enum"])
    })?;
    let (own, json) = (config.get("responseSchema"), config.get("responseJsonSchema"));
    if own.is_some() && json.is_some() {
        return Err(config
            .rule_violation("Only one of response_schema and response_json_schema may be set."));
    }
    if let Some(own) = &own {
        schema::google(own)?;
    }
    if let Some(json) = &json {
        schema::google_json(json)?;
    }
    let found = own.or(json);
    if found.is_some() && kind == "text/plain" {
        return Err(config.rule_violation("Response schema requires a response mime type of JSON."));
    }
    request.shape = match found {
        Some(found) => Some(Shape::Schema(found.value.clone())),
        None if kind == "application/json" => Some(Shape::Json),
        None => None,
    };
    Ok(())
}

fn tools(body: &Node<'_>, request: &mut DecodedRequest) -> Checked<()> {
    for tool in body.each("tools")? {
        tool.only(&["functionDeclarations"])?;
        for function in tool.each("functionDeclarations")? {
            request.tools.push(declaration(&function)?);
        }
    }
    let Some(config) = body.get("toolConfig") else { return Ok(()) };
    config.only(&["functionCallingConfig", "retrievalConfig"])?;
    let Some(calling) = config.get("functionCallingConfig") else { return Ok(()) };
    if request.tools.is_empty() {
        return Err(
            calling.rule_violation("Function calling config is set without function_declarations.")
        );
    }
    calling.only(&["mode", "allowedFunctionNames"])?;
    let mode = calling
        .get("mode")
        .map_or(Ok("AUTO"), |it| it.word(&["AUTO", "ANY", "NONE", "VALIDATED"]))?;
    let mut names = vec![];
    for name in calling.each("allowedFunctionNames")? {
        names.push(name.text()?.to_owned());
    }
    if !names.is_empty() && !matches!(mode, "ANY" | "VALIDATED") {
        return Err(calling.rule_violation(
            "Allowed function names can only be set when the function calling mode is ANY or \
             VALIDATED.",
        ));
    }
    request.choice = Some(match (mode, names.as_slice()) {
        ("ANY", [one]) => Choice::Named(one.clone()),
        ("ANY", _) => Choice::Required,
        ("NONE", _) => Choice::None,
        _ => Choice::Auto,
    });
    Ok(())
}

fn declaration(function: &Node<'_>) -> Checked<Tool> {
    function.only(&[
        "name",
        "description",
        "behavior",
        "parameters",
        "parametersJsonSchema",
        "response",
        "responseJsonSchema",
    ])?;
    let name = contents::name(&function.need("name")?)?;
    let (own, json) = (function.get("parameters"), function.get("parametersJsonSchema"));
    if own.is_some() && json.is_some() {
        let text = "Only one of parameters and parameters_json_schema may be set.";
        return Err(function.rule_violation(text));
    }
    if let Some(own) = &own {
        schema::google(own)?;
    }
    if let Some(json) = &json {
        schema::google_json(json)?;
    }
    let schema = own.or(json).map_or(Value::Null, |it| it.value.clone());
    let description = function.get("description").map_or(Ok(""), |it| it.text())?.to_owned();
    Ok(Tool { name, description, schema })
}
