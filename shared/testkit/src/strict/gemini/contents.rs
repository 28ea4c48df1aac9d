//! The turns of a Gemini request, and the rules between them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::MAKER;
use crate::strict::node::{Checked, Node};
use crate::strict::signature::is_signed_by;
use crate::strict::{Bit, DecodedRequest, Message, Role};

/// What Google's guide to thought signatures offers for histories of another model, 2026-11.
const STAND_INS: [&str; 2] =
    ["context_engineering_is_the_way_to_go", "skip_thought_signature_validator"];

/// A call that waits for its result: its id, its name.
type Open = (String, String);

pub(super) fn read(body: &Node<'_>, request: &mut DecodedRequest) -> Checked<()> {
    let contents = body.need("contents")?.list()?;
    if contents.is_empty() {
        return Err(
            body.rule_violation("* GenerateContentRequest.contents: contents is not specified\n")
        );
    }
    let current = current_turn(body.value);
    let mut open: Vec<Open> = vec![];
    let mut before = Role::Assistant;
    for (at, content) in contents.iter().enumerate() {
        content.only(&["role", "parts"])?;
        let role = content.get("role").map_or(Ok("user"), |it| it.text())?;
        let role = match role {
            "user" | "function" => Role::User,
            "model" => Role::Assistant,
            _ => return Err(content.rule_violation("Please use a valid role: user, model.")),
        };
        let parts = content.each("parts")?;
        if parts.is_empty() {
            return Err(content.rule_violation(format!(
                "* GenerateContentRequest.contents[{at}].parts: contents.parts must not be empty.\n"
            )));
        }
        let mut bits = vec![];
        let mut unsigned = None;
        for part in &parts {
            let bit = one(part, &mut open, at)?;
            if let Bit::Call { name, signed, .. } = &bit {
                // Of several calls at once only the first is signed.
                let first = !bits.iter().any(|it| matches!(it, Bit::Call { .. }));
                if first && !signed && current <= at {
                    unsigned = Some(name.clone());
                }
            }
            bits.push(bit);
        }
        if let Some(name) = unsigned {
            return Err(content.rule_violation(format!(
                "Function call is missing a thought_signature in functionCall parts. This is \
                 required for tools to work correctly, and missing thought_signature may lead to \
                 degraded model performance. Additional data, function call `default_api:{name}`, \
                 position {at}."
            )));
        }
        order(content, &bits, role, before, &open)?;
        request.messages.push(Message { role, bits });
        before = role;
    }
    if open.is_empty() { Ok(()) } else { Err(uneven(body)) }
}

/// The start of the current turn: the last message of a user.
fn current_turn(body: &Value) -> usize {
    let contents = body["contents"].as_array().map_or(&[][..], Vec::as_slice);
    let sent = |it: &Value| {
        let responses = |it: &Value| {
            it.get("functionResponse").or_else(|| it.get("function_response")).is_some()
        };
        it["role"] != "model" && it["parts"].as_array().is_some_and(|it| !it.iter().any(responses))
    };
    contents.iter().rposition(sent).unwrap_or(0)
}

fn order(at: &Node<'_>, bits: &[Bit], role: Role, before: Role, open: &[Open]) -> Checked<()> {
    let calls = bits.iter().any(|it| matches!(it, Bit::Call { .. }));
    let results = bits.iter().any(|it| matches!(it, Bit::Result { .. }));
    if calls && (role != Role::Assistant || before != Role::User) {
        return Err(at.rule_violation(
            "Please ensure that function call turn comes immediately after a user turn or after a \
             function response turn.",
        ));
    }
    if results && (role != Role::User || before != Role::Assistant) {
        return Err(at.rule_violation(
            "Please ensure that function response turn comes immediately after a function call turn.",
        ));
    }
    if role == Role::User && !open.is_empty() { Err(uneven(at)) } else { Ok(()) }
}

fn uneven(at: &Node<'_>) -> crate::strict::node::Violation {
    at.rule_violation(
        "Please ensure that the number of function response parts is equal to the number of function \
         call parts of the function call turn.",
    )
}

fn one(part: &Node<'_>, open: &mut Vec<Open>, at: usize) -> Checked<Bit> {
    const DATA: [&str; 5] = ["text", "inlineData", "fileData", "functionCall", "functionResponse"];
    part.only(&[
        "text",
        "inlineData",
        "fileData",
        "functionCall",
        "functionResponse",
        "thought",
        "thoughtSignature",
        "executableCode",
        "codeExecutionResult",
        "videoMetadata",
        "mediaResolution",
        "partMetadata",
    ])?;
    let mut data = DATA.iter().filter_map(|name| Some((*name, part.get(name)?)));
    let (Some((name, inner)), None) = (data.next(), data.next()) else {
        return Err(part.rule_violation(format!(
            "* GenerateContentRequest.contents[{at}].parts.data: required oneof field 'data' must \
             have one initialized field\n"
        )));
    };
    let reasoning = part.get("thought").map_or(Ok(false), |it| it.flag())?;
    let signed = part.get("thoughtSignature").map(|it| signature(&it)).transpose()?;
    let signed = signed.unwrap_or(false);
    Ok(match name {
        "text" if reasoning => Bit::Reasoning { text: inner.text()?.to_owned(), signed },
        "text" => Bit::Text(inner.text()?.to_owned()),
        "inlineData" => inline(&inner)?,
        "fileData" => {
            inner.only(&["mimeType", "fileUri"])?;
            let kind = inner.get("mimeType").map_or(Ok(""), |it| it.text())?;
            let uri = inner.need("fileUri")?.text()?.to_owned();
            if kind.starts_with("image/") { Bit::Image(uri) } else { Bit::File(uri) }
        }
        "functionCall" => {
            inner.only(&["id", "name", "args"])?;
            let tool = self::name(&inner.need("name")?)?;
            let id = inner.get("id").map_or(Ok(""), |it| it.text())?.to_owned();
            let arguments = inner.get("args");
            let arguments =
                arguments.map_or(Ok(json!({})), |it| it.object().map(|it| json!(it)))?;
            open.push((id.clone(), tool.clone()));
            Bit::Call { id, name: tool, arguments, signed }
        }
        _ => result(&inner, open)?,
    })
}

/// Checks a signature; an invalid one is rejected.
fn signature(node: &Node<'_>) -> Checked<bool> {
    let text = node.text()?;
    // Google's JSON takes bytes in either alphabet, and its Python SDK writes the URL-safe one.
    if is_signed_by(MAKER, &text.replace('-', "+").replace('_', "/")) {
        return Ok(true);
    }
    // Bytes in JSON are base64, and so are the stand-ins, which some clients send as they are.
    let decoded = STANDARD.decode(text).ok().and_then(|it| String::from_utf8(it).ok());
    if STAND_INS.contains(&text) || decoded.is_some_and(|it| STAND_INS.contains(&it.as_str())) {
        return Ok(true);
    }
    Err(node.rule_violation("Thought signature is not valid: corrupted thought signature."))
}

fn inline(inner: &Node<'_>) -> Checked<Bit> {
    inner.only(&["mimeType", "data", "displayName"])?;
    let kind = inner.need("mimeType")?.text()?;
    let data = inner.need("data")?;
    if STANDARD.decode(data.text()?).is_err() {
        return Err(data.rule_violation("Base64 decoding failed for \"data\""));
    }
    let uri = format!("data:{kind};base64,{}", data.text()?);
    Ok(match kind.split('/').next() {
        Some("image") => Bit::Image(uri),
        Some("audio") => Bit::Audio(uri),
        _ => Bit::File(uri),
    })
}

fn result(inner: &Node<'_>, open: &mut Vec<Open>) -> Checked<Bit> {
    inner.only(&["id", "name", "response", "parts", "willContinue", "scheduling"])?;
    let tool = name(&inner.need("name")?)?;
    let id = inner.get("id").map_or(Ok(""), |it| it.text())?;
    let fits = |it: &Open| it.1 == tool && (id.is_empty() || it.0.is_empty() || it.0 == id);
    let Some(at) = open.iter().position(fits) else { return Err(uneven(inner)) };
    let (id, _) = open.remove(at);
    let response = inner.need("response")?;
    let failed = response.object()?.contains_key("error");
    let mut bits = vec![Bit::Text(response_text(response.value))];
    for part in inner.each("parts")? {
        part.only(&["inlineData", "fileData"])?;
        bits.push(inline(&part.need("inlineData")?)?);
    }
    Ok(Bit::Result { id, bits, failed })
}

/// The text of a response, whichever member holds it.
fn response_text(response: &Value) -> String {
    let inner = ["output", "result", "error", "content"].iter().find_map(|it| response.get(it));
    match inner {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => response.to_string(),
    }
}

/// The name of a function.
pub(super) fn name(node: &Node<'_>) -> Checked<String> {
    let text = node.text()?;
    let first = text.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_');
    let rest = text.chars().all(|it| it.is_ascii_alphanumeric() || "_.:-".contains(it));
    if first && rest && text.len() <= 64 {
        return Ok(text.to_owned());
    }
    Err(node.rule_violation(
        "Invalid function name. Must start with a letter or an underscore. Must be alphameric (a-z, \
         A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 64.",
    ))
}
