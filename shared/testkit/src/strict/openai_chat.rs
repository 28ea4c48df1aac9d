//! OpenAI Chat Completions as a strict provider decodes and encodes it.
//!
//! Members from the Python SDK's `types/chat/completion_create_params.py` and its neighbours.

use serde_json::Value;

use super::node::{Checked, Node};
use super::{Bit, Choice, DecodedRequest, Rejection, Role, Script, Shape, openai, schema};
use crate::provider::{ReceivedRequest, ScriptedResponse};

mod write;

const MEMBERS: &[&str] = &[
    "messages",
    "model",
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "metadata",
    "modalities",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
];

/// Decodes a request, or rejects it.
pub(super) fn check(seen: &ReceivedRequest) -> Result<DecodedRequest, Rejection> {
    let body = openai::open(seen, "/v1/chat/completions")?;
    read(&Node::new(&body)).map_err(|violation| openai::describe_violation(&violation))
}

/// Encodes a response.
pub(super) fn response(script: &Script, request: &DecodedRequest) -> ScriptedResponse {
    if request.stream { write::stream(script, request) } else { write::whole(script, request) }
}

fn read(body: &Node<'_>) -> Checked<DecodedRequest> {
    body.only(MEMBERS)?;
    let mut request = DecodedRequest::default();
    openai::common(body, &mut request)?;
    numbers(body, &mut request)?;
    if let Some(options) = body.get("stream_options") {
        options.only(&["include_usage", "include_obfuscation"])?;
        if !request.stream {
            let text = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
            return Err(options.rule_violation(text));
        }
        request.wants_usage = options.get("include_usage").map_or(Ok(false), |it| it.flag())?;
    }
    if let Some(effort) = body.get("reasoning_effort") {
        request.effort = Some(openai::effort(&effort)?);
    }
    if let Some(verbosity) = body.get("verbosity") {
        verbosity.word(&["low", "medium", "high"])?;
    }
    tools(body, &mut request)?;
    messages(&body.need("messages")?, &mut request)?;
    if let Some(format) = body.get("response_format") {
        request.shape = shape(&format, &request)?;
    }
    Ok(request)
}

fn numbers(body: &Node<'_>, request: &mut DecodedRequest) -> Checked<()> {
    for name in ["frequency_penalty", "presence_penalty"] {
        request.number(name, body.get(name).map(|it| it.between(-2.0, 2.0)).transpose()?);
    }
    for name in ["seed", "n"] {
        let whole = body.get(name).map(|it| it.whole().map(|it| it as f64)).transpose()?;
        request.number(name, whole);
    }
    let (new, old) = (body.get("max_completion_tokens"), body.get("max_tokens"));
    if let (Some(_), Some(old)) = (&new, &old) {
        return Err(old.coded(
            "invalid_parameter_combination",
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
        ));
    }
    if let Some(most) = new.or(old) {
        most.whole()?;
        request.number("max_tokens", Some(most.between(1.0, 1e9)?));
    }
    let Some(stop) = body.get("stop") else { return Ok(()) };
    if let Some(one) = stop.value.as_str() {
        request.stop.push(one.to_owned());
        return Ok(());
    }
    for one in stop.list()? {
        request.stop.push(one.text()?.to_owned());
    }
    if 4 < request.stop.len() {
        return Err(stop.coded("array_above_max_length", "Invalid 'stop': array too long."));
    }
    Ok(())
}

fn tools(body: &Node<'_>, request: &mut DecodedRequest) -> Checked<()> {
    for tool in body.each("tools")? {
        tool.only(&["type", "function"])?;
        tool.need("type")?.word(&["function"])?;
        let function = tool.need("function")?;
        function.only(&["name", "description", "parameters", "strict"])?;
        request.tools.push(openai::function(&function)?);
    }
    for name in ["tool_choice", "parallel_tool_calls"] {
        if let Some(node) = body.get(name).filter(|_| request.tools.is_empty()) {
            let text = format!("'{name}' is only allowed when 'tools' are specified.");
            return Err(node.rule_violation(text));
        }
    }
    let Some(choice) = body.get("tool_choice") else { return Ok(()) };
    if choice.value.is_string() {
        request.choice = Some(match choice.word(&["none", "auto", "required"])? {
            "none" => Choice::None,
            "auto" => Choice::Auto,
            _ => Choice::Required,
        });
        return Ok(());
    }
    choice.only(&["type", "function", "allowed_tools"])?;
    choice.need("type")?.word(&["function"])?;
    let name = choice.need("function")?.need("name")?;
    if !request.tools.iter().any(|it| Ok(it.name.as_str()) == name.text().map_err(drop)) {
        let text = format!("Tool choice '{}' not found in 'tools' parameter.", name.text()?);
        return Err(choice.rule_violation(text));
    }
    request.choice = Some(Choice::Named(name.text()?.to_owned()));
    Ok(())
}

fn shape(format: &Node<'_>, request: &DecodedRequest) -> Checked<Option<Shape>> {
    format.only(&["type", "json_schema"])?;
    match format.need("type")?.word(&["text", "json_object", "json_schema"])? {
        "text" => Ok(None),
        "json_object" => {
            let mentions_json =
                |it: &Bit| it.text().is_some_and(|it| it.to_lowercase().contains("json"));
            if request.messages.iter().flat_map(|it| &it.bits).any(mentions_json) {
                return Ok(Some(Shape::Json));
            }
            Err(format.rule_violation(
                "'messages' must contain the word 'json' in some form, to use 'response_format' of \
                 type 'json_object'.",
            ))
        }
        _ => {
            let inner = format.need("json_schema")?;
            inner.only(&["name", "description", "schema", "strict"])?;
            inner.need("name")?.text()?;
            let found = inner.need("schema")?;
            if inner.get("strict").is_some_and(|it| it.value == &Value::Bool(true)) {
                schema::strict(&found, "response_format")?;
            }
            Ok(Some(Shape::Schema(found.value.clone())))
        }
    }
}

fn messages(list: &Node<'_>, request: &mut DecodedRequest) -> Checked<()> {
    let messages = list.list()?;
    if messages.is_empty() {
        return Err(list.coded("empty_array", "Invalid 'messages': empty array."));
    }
    let mut open: Vec<String> = vec![];
    for message in &messages {
        let role = message.need("role")?;
        let role = role.word(&["system", "assistant", "user", "function", "tool", "developer"])?;
        if role != "tool" {
            unanswered(message, &open)?;
            open.clear();
        }
        match role {
            "system" | "developer" => {
                message.only(&["role", "content", "name"])?;
                let role = if role == "system" { Role::System } else { Role::Developer };
                request.messages.push(super::Message { role, bits: content(message, &["text"])? });
            }
            "user" => {
                message.only(&["role", "content", "name"])?;
                let bits = content(message, &["text", "image_url", "input_audio", "file"])?;
                request.messages.push(super::Message { role: Role::User, bits });
            }
            "assistant" => open = assistant(message, request)?,
            _ => result(message, &mut open, request)?,
        }
    }
    unanswered(list, &open)
}

fn unanswered(at: &Node<'_>, open: &[String]) -> Checked<()> {
    if open.is_empty() {
        return Ok(());
    }
    Err(at.rule_violation(format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each \
         'tool_call_id'. The following tool_call_ids did not have response messages: {}",
        open.join(", ")
    )))
}

fn assistant(message: &Node<'_>, request: &mut DecodedRequest) -> Checked<Vec<String>> {
    message.only(&[
        "role",
        "content",
        "name",
        "refusal",
        // OpenAI's own models give none; the services that do take theirs back.
        "reasoning_content",
        "tool_calls",
        "audio",
        "annotations",
        "function_call",
    ])?;
    let calls = message.each("tool_calls")?;
    let mut bits = vec![];
    if message.get("content").is_some() {
        bits = content(message, &["text", "refusal"])?;
    } else if calls.is_empty() && message.get("refusal").is_none() {
        return Err(
            message.rule_violation("Invalid value for 'content': expected a string, got null.")
        );
    }
    if let Some(refusal) = message.get("refusal") {
        bits.push(Bit::Refusal(refusal.text()?.to_owned()));
    }
    if let Some(reasoning) = message.get("reasoning_content") {
        let text = reasoning.text()?.to_owned();
        bits.push(Bit::Reasoning { text, signed: false });
    }
    let mut ids = vec![];
    for call in calls {
        call.only(&["id", "type", "function"])?;
        call.need("type")?.word(&["function"])?;
        let id = openai::no_longer(&call.need("id")?, 40)?.to_owned();
        let function = call.need("function")?;
        function.only(&["name", "arguments"])?;
        let arguments = function.need("arguments")?.text()?;
        let arguments = serde_json::from_str(arguments).unwrap_or(Value::Null);
        let name = function.need("name")?.text()?.to_owned();
        ids.push(id.clone());
        bits.push(Bit::Call { id, name, arguments, signed: false });
    }
    request.messages.push(super::Message { role: Role::Assistant, bits });
    Ok(ids)
}

fn result(message: &Node<'_>, open: &mut Vec<String>, request: &mut DecodedRequest) -> Checked<()> {
    message.only(&["role", "content", "tool_call_id"])?;
    let node = message.need("tool_call_id")?;
    let id = openai::no_longer(&node, 40)?.to_owned();
    let Some(at) = open.iter().position(|it| *it == id) else {
        return Err(message.rule_violation(
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding \
             message with 'tool_calls'.",
        ));
    };
    open.remove(at);
    let bits = content(message, &["text"])?;
    request.say(Role::User, [Bit::Result { id, bits, failed: false }]);
    Ok(())
}

fn content(message: &Node<'_>, kinds: &[&str]) -> Checked<Vec<Bit>> {
    let content = message.need("content")?;
    if content.value.is_string() {
        return Ok(vec![Bit::Text(content.text()?.to_owned())]);
    }
    content.list()?.iter().map(|it| part(it, kinds)).collect()
}

fn part(part: &Node<'_>, kinds: &[&str]) -> Checked<Bit> {
    let kind = part.need("type")?.word(kinds)?;
    part.only(&["type", kind])?;
    let inner = part.need(kind)?;
    Ok(match kind {
        "text" => Bit::Text(inner.text()?.to_owned()),
        "refusal" => Bit::Refusal(inner.text()?.to_owned()),
        "image_url" => {
            inner.only(&["url", "detail"])?;
            if let Some(detail) = inner.get("detail") {
                detail.word(&["auto", "low", "high"])?;
            }
            Bit::Image(openai::address(&inner.need("url")?)?.to_owned())
        }
        "input_audio" => {
            inner.only(&["data", "format"])?;
            let format = inner.need("format")?.word(&["wav", "mp3"])?;
            Bit::Audio(format!("data:audio/{format};base64,{}", inner.need("data")?.text()?))
        }
        _ => {
            inner.only(&["file_data", "file_id", "filename"])?;
            let data = inner.get("file_data").map_or_else(|| inner.need("file_id"), Ok)?;
            Bit::File(data.text()?.to_owned())
        }
    })
}
