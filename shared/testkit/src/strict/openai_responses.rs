//! OpenAI Responses as a strict provider decodes and encodes it.
//!
//! Members from the Python SDK's `types/responses/response_create_params.py`,
//! `response_input_item_param.py` and their neighbours.

use std::collections::BTreeSet;

use serde_json::Value;

use super::node::{Checked, Node};
use super::signature::is_signed_by;
use super::{Bit, Choice, DecodedRequest, Rejection, Role, Script, Shape, openai, schema};
use crate::provider::{ReceivedRequest, ScriptedResponse};

mod write;

const MAKER: &str = "openai_responses";

const MEMBERS: &[&str] = &[
    "background",
    // Codex sends these labels of its own, and OpenAI takes them.
    "client_metadata",
    "context_management",
    "conversation",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// Decodes a request, or rejects it.
pub(super) fn check(seen: &ReceivedRequest) -> Result<DecodedRequest, Rejection> {
    let body = openai::open(seen, "/v1/responses")?;
    read(&Node::new(&body)).map_err(|violation| openai::describe_violation(&violation))
}

/// Encodes a response.
pub(super) fn response(script: &Script, request: &DecodedRequest) -> ScriptedResponse {
    if request.stream { write::stream(script, request) } else { write::whole(script, request) }
}

fn read(body: &Node<'_>) -> Checked<DecodedRequest> {
    body.only(MEMBERS)?;
    let mut request = DecodedRequest {
        wants_usage: true,
        wants_signatures: Some(false),
        ..DecodedRequest::default()
    };
    openai::common(body, &mut request)?;
    if let Some(most) = body.get("max_output_tokens") {
        if most.whole()? < 16 {
            let text = "Invalid 'max_output_tokens': integer below minimum value. Expected a value \
                        >= 16.";
            return Err(most.coded("integer_below_min_value", text));
        }
        request.number("max_tokens", Some(most.between(16.0, 1e9)?));
    }
    for item in body.each("include")? {
        let word = item.word(&[
            "reasoning.encrypted_content",
            "message.output_text.logprobs",
            "message.input_image.image_url",
            "file_search_call.results",
            "web_search_call.action.sources",
            "code_interpreter_call.outputs",
            "computer_call_output.output.image_url",
        ])?;
        if word == "reasoning.encrypted_content" {
            request.wants_signatures = Some(true);
        }
    }
    if let Some(reasoning) = body.get("reasoning") {
        reasoning.only(&["effort", "summary", "generate_summary"])?;
        request.effort = reasoning.get("effort").map(|it| openai::effort(&it)).transpose()?;
        if let Some(summary) = reasoning.get("summary") {
            summary.word(&["auto", "concise", "detailed"])?;
        }
    }
    if let Some(text) = body.get("text") {
        text.only(&["format", "verbosity"])?;
        request.shape = text.get("format").map_or(Ok(None), |it| shape(&it))?;
    }
    tools(body, &mut request)?;
    if let Some(instructions) = body.get("instructions") {
        request.say(Role::System, [Bit::Text(instructions.text()?.to_owned())]);
    }
    input(&body.need("input")?, &mut request)?;
    Ok(request)
}

fn shape(format: &Node<'_>) -> Checked<Option<Shape>> {
    match format.need("type")?.word(&["text", "json_object", "json_schema"])? {
        "text" => format.only(&["type"]).map(|()| None),
        "json_object" => format.only(&["type"]).map(|()| Some(Shape::Json)),
        _ => {
            format.only(&["type", "name", "schema", "strict", "description"])?;
            format.need("name")?.text()?;
            let found = format.need("schema")?;
            if format.get("strict").is_some_and(|it| it.value == &Value::Bool(true)) {
                schema::strict(&found, "response_format")?;
            }
            Ok(Some(Shape::Schema(found.value.clone())))
        }
    }
}

fn tools(body: &Node<'_>, request: &mut DecodedRequest) -> Checked<()> {
    for tool in body.each("tools")? {
        read_tool(&tool, request)?;
    }
    let Some(choice) = body.get("tool_choice") else { return Ok(()) };
    if choice.value.is_string() {
        let word = choice.word(&["none", "auto", "required"])?;
        if word == "required" && request.tools.is_empty() {
            let text = "Tool choice 'required' must be specified with 'tools' parameter.";
            return Err(choice.rule_violation(text));
        }
        request.choice = Some(match word {
            "none" => Choice::None,
            "auto" => Choice::Auto,
            _ => Choice::Required,
        });
        return Ok(());
    }
    choice.only(&["type", "name"])?;
    choice.need("type")?.word(&["function"])?;
    let name = choice.need("name")?.text()?;
    if !request.tools.iter().any(|it| it.name == name) {
        let text = format!("Tool choice '{name}' not found in 'tools' parameter.");
        return Err(choice.rule_violation(text));
    }
    request.choice = Some(Choice::Named(name.to_owned()));
    Ok(())
}

/// Reads a tool; functions of a namespace are read like any others.
fn read_tool(tool: &Node<'_>, request: &mut DecodedRequest) -> Checked<()> {
    match tool.need("type")?.word(&["function", "namespace", "web_search"])? {
        "web_search" => {
            tool.only(&["type", "external_web_access", "filters", "search_context_size"])
        }
        "namespace" => {
            tool.only(&["type", "name", "description", "tools"])?;
            tool.each("tools")?.iter().try_for_each(|within| read_tool(within, request))
        }
        _ => {
            tool.only(&["type", "name", "description", "parameters", "strict"])?;
            request.tools.push(openai::function(tool)?);
            Ok(())
        }
    }
}

fn input(input: &Node<'_>, request: &mut DecodedRequest) -> Checked<()> {
    if let Some(text) = input.value.as_str() {
        request.say(Role::User, [Bit::Text(text.to_owned())]);
        return Ok(());
    }
    let items = input.list()?;
    let (mut open, mut known) = (BTreeSet::new(), BTreeSet::new());
    for (at, item) in items.iter().enumerate() {
        let kind = item.get("type").map_or(Ok("message"), |it| {
            it.word(&["message", "function_call", "function_call_output", "reasoning"])
        })?;
        match kind {
            "message" => message(item, request)?,
            "function_call" => {
                let id = call(item, request)?;
                open.insert(id.clone());
                known.insert(id);
            }
            "function_call_output" => {
                let id = output(item, request)?;
                if !known.contains(&id) {
                    let text =
                        format!("No tool call found for function call output with call_id {id}.");
                    return Err(input.rule_violation(text));
                }
                open.remove(&id);
            }
            _ => reasoning(item, items.get(at + 1), request)?,
        }
    }
    match open.first() {
        Some(id) => {
            Err(input.rule_violation(format!("No tool output found for function call {id}.")))
        }
        None => Ok(()),
    }
}

/// Ids of items begin with the word for their kind.
fn named(item: &Node<'_>, start: &str) -> Checked<()> {
    let Some(id) = item.get("id") else { return Ok(()) };
    if openai::no_longer(&id, 64)?.starts_with(start) {
        return Ok(());
    }
    let text = format!("Invalid id: '{}'. Expected an ID that begins with '{start}'.", id.text()?);
    Err(id.coded("invalid_value", text))
}

fn message(item: &Node<'_>, request: &mut DecodedRequest) -> Checked<()> {
    // The last is Codex's own, for what it takes to be OpenAI.
    let members = ["type", "role", "content", "id", "status", "phase"];
    let codex = "internal_chat_message_metadata_passthrough";
    item.only(&[&members[..], &[codex]].concat())?;
    let role = item.need("role")?;
    let (role, kinds): (_, &[&str]) =
        match role.word(&["assistant", "system", "developer", "user"])? {
            "assistant" => (Role::Assistant, &["output_text", "refusal"]),
            "system" => (Role::System, &["input_text"]),
            "developer" => (Role::Developer, &["input_text"]),
            _ => (Role::User, &["input_text", "input_image", "input_file"]),
        };
    if role == Role::Assistant {
        named(item, "msg")?;
    }
    let bits = content(&item.need("content")?, kinds)?;
    if role == Role::Assistant {
        request.say(role, bits);
    } else {
        request.messages.push(super::Message { role, bits });
    }
    Ok(())
}

fn content(content: &Node<'_>, kinds: &[&str]) -> Checked<Vec<Bit>> {
    if content.value.is_string() {
        return Ok(vec![Bit::Text(content.text()?.to_owned())]);
    }
    content.list()?.iter().map(|it| part(it, kinds)).collect()
}

fn part(part: &Node<'_>, kinds: &[&str]) -> Checked<Bit> {
    Ok(match part.need("type")?.word(kinds)? {
        "input_text" => {
            part.only(&["type", "text"])?;
            Bit::Text(part.need("text")?.text()?.to_owned())
        }
        "output_text" => {
            part.only(&["type", "text", "annotations", "logprobs"])?;
            part.each("annotations")?;
            Bit::Text(part.need("text")?.text()?.to_owned())
        }
        "refusal" => {
            part.only(&["type", "refusal"])?;
            Bit::Refusal(part.need("refusal")?.text()?.to_owned())
        }
        "input_image" => {
            part.only(&["type", "image_url", "file_id", "detail"])?;
            Bit::Image(openai::address(&part.need("image_url")?)?.to_owned())
        }
        _ => {
            part.only(&["type", "file_data", "file_id", "file_url", "filename", "detail"])?;
            let one = ["file_data", "file_url", "file_id"].iter().find_map(|it| part.get(it));
            let one =
                one.ok_or_else(|| part.rule_violation("Missing required parameter: 'file_data'."))?;
            if one.text()?.starts_with("data:") {
                part.need("filename")?;
            }
            Bit::File(one.text()?.to_owned())
        }
    })
}

fn call(item: &Node<'_>, request: &mut DecodedRequest) -> Checked<String> {
    item.only(&["type", "call_id", "name", "arguments", "id", "status"])?;
    named(item, "fc")?;
    let id = openai::no_longer(&item.need("call_id")?, 64)?.to_owned();
    let name = item.need("name")?.text()?.to_owned();
    let arguments = item.need("arguments")?.text()?;
    let arguments = serde_json::from_str(arguments).unwrap_or(Value::Null);
    request.say(Role::Assistant, [Bit::Call { id: id.clone(), name, arguments, signed: false }]);
    Ok(id)
}

fn output(item: &Node<'_>, request: &mut DecodedRequest) -> Checked<String> {
    item.only(&["type", "call_id", "output", "id", "status"])?;
    named(item, "fc")?;
    let id = openai::no_longer(&item.need("call_id")?, 64)?.to_owned();
    let bits = content(&item.need("output")?, &["input_text", "input_image", "input_file"])?;
    request.say(Role::User, [Bit::Result { id: id.clone(), bits, failed: false }]);
    Ok(id)
}

fn reasoning(
    item: &Node<'_>,
    next: Option<&Node<'_>>,
    request: &mut DecodedRequest,
) -> Checked<()> {
    item.only(&["type", "id", "summary", "content", "encrypted_content", "status"])?;
    named(item, "rs")?;
    let mut text = String::new();
    for part in item.need("summary")?.list()? {
        part.only(&["type", "text"])?;
        part.need("type")?.word(&["summary_text"])?;
        text.push_str(part.need("text")?.text()?);
    }
    let id = item.need("id")?.text()?;
    let Some(signature) = item.get("encrypted_content") else {
        return Err(item.rule_violation(format!(
            "Item with id '{id}' not found. Items are not persisted when `store` is set to false."
        )));
    };
    if !is_signed_by(MAKER, signature.text()?) {
        let text = format!("The encrypted content for item {id} could not be verified.");
        return Err(signature.coded("invalid_encrypted_content", text));
    }
    let follows = |it: &&Node<'_>| {
        let kind = it.value["type"].as_str().unwrap_or("message");
        matches!(kind, "function_call" | "reasoning") || it.value["role"] == "assistant"
    };
    if next.filter(follows).is_none() {
        return Err(item.rule_violation(format!(
            "Item '{id}' of type 'reasoning' was provided without its required following item."
        )));
    }
    request.say(Role::Assistant, [Bit::Reasoning { text, signed: true }]);
    Ok(())
}
