//! The turns of a Converse request, and the rules between them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::MAKER;
use crate::strict::node::{Checked, Node, is_plain};
use crate::strict::signature::{is_signed_by, sign};
use crate::strict::{Bit, DecodedRequest, Message, Role};

pub(super) fn read(body: &Node<'_>, request: &mut DecodedRequest) -> Checked<()> {
    let list = body.need("messages")?;
    let mut open: Vec<String> = vec![];
    let mut before = Role::Assistant;
    for message in list.list()? {
        message.only(&["role", "content"])?;
        let role = message.need("role")?.word(&["user", "assistant"])?;
        let role = if role == "user" { Role::User } else { Role::Assistant };
        if role == before {
            return Err(list.rule_violation(
                "A conversation must alternate between user and assistant roles. Make sure the \
                 conversation alternates between user and assistant roles and try again.",
            ));
        }
        before = role;
        let bits = content(&message, role, request)?;
        pairs(&message, &bits, &mut open)?;
        if request.tools.is_empty() && bits.iter().any(uses_tools) {
            return Err(body.rule_violation(
                "The toolConfig field must be defined when using toolUse and toolResult content \
                 blocks.",
            ));
        }
        request.messages.push(Message { role, bits });
    }
    if open.is_empty() { Ok(()) } else { Err(missing(&list, &open)) }
}

fn uses_tools(bit: &Bit) -> bool {
    matches!(bit, Bit::Call { .. } | Bit::Result { .. })
}

fn missing(at: &Node<'_>, open: &[String]) -> crate::strict::node::Violation {
    at.rule_violation(format!(
        "Expected toolResult blocks for the following Ids: {}",
        open.join(", ")
    ))
}

fn pairs(at: &Node<'_>, bits: &[Bit], open: &mut Vec<String>) -> Checked<()> {
    let results = bits.iter().filter(|it| matches!(it, Bit::Result { .. })).count();
    if open.len() < results {
        return Err(at.rule_violation(
            "The number of toolResult blocks exceeds the number of toolUse blocks of previous turn.",
        ));
    }
    for bit in bits {
        let Bit::Result { id, .. } = bit else { continue };
        let Some(found) = open.iter().position(|it| it == id) else {
            return Err(
                at.rule_violation(format!("There is no toolUse block for the toolResult {id}."))
            );
        };
        open.remove(found);
    }
    if !open.is_empty() {
        return Err(missing(at, open));
    }
    for bit in bits {
        if let Bit::Call { id, .. } = bit {
            open.push(id.clone());
        }
    }
    Ok(())
}

fn content(message: &Node<'_>, role: Role, request: &mut DecodedRequest) -> Checked<Vec<Bit>> {
    let kinds: &[&str] = match role {
        Role::Assistant => &["text", "toolUse", "reasoningContent", "cachePoint"],
        _ => &["text", "image", "document", "video", "audio", "toolResult", "cachePoint"],
    };
    let blocks = message.need("content")?.list()?;
    if blocks.is_empty() {
        let text = "The content field in the Message object is empty. Add a ContentBlock object.";
        return Err(message.rule_violation(text));
    }
    let mut bits = vec![];
    for one in blocks {
        bits.extend(block(&one, kinds, request)?);
    }
    Ok(bits)
}

/// One block; none for a mere marker.
pub(super) fn block(
    node: &Node<'_>,
    kinds: &[&str],
    request: &mut DecodedRequest,
) -> Checked<Option<Bit>> {
    node.only(kinds)?;
    let mut there = kinds.iter().filter_map(|it| Some((*it, node.get(it)?)));
    let (Some((kind, inner)), None) = (there.next(), there.next()) else {
        return Err(
            node.rule_violation("The content block has none or several members of the union.")
        );
    };
    Ok(Some(match kind {
        "text" => {
            let text = inner.text()?;
            if text.trim().is_empty() {
                return Err(
                    inner.rule_violation("The text field in the ContentBlock object is blank.")
                );
            }
            Bit::Text(text.to_owned())
        }
        "cachePoint" => {
            mark(&inner, request)?;
            return Ok(None);
        }
        "image" => Bit::Image(media(&inner, "image", &["png", "jpeg", "gif", "webp"])?),
        "audio" => Bit::Audio(media(&inner, "audio", &["mp3", "wav"])?),
        "document" => {
            name_of(&inner)?;
            Bit::File(media(&inner, "application", &["pdf", "csv", "txt", "html", "md"])?)
        }
        "toolUse" => call(&inner)?,
        "toolResult" => result(&inner, request)?,
        "reasoningContent" => reasoning(&inner)?,
        _ => return Err(node.rule_violation("This model doesn't support the video field.")),
    }))
}

fn name_of(document: &Node<'_>) -> Checked<()> {
    let name = document.need("name")?;
    let fits = |it: char| it.is_alphanumeric() || " -()[]".contains(it);
    let text = name.text()?;
    if text.is_empty() || !text.chars().all(fits) || text.contains("  ") {
        return Err(name.rule_violation(
            "The document file name can only contain alphanumeric characters, whitespace characters, \
             hyphens, parentheses, and square brackets.",
        ));
    }
    Ok(())
}

fn media(node: &Node<'_>, kind: &str, formats: &[&str]) -> Checked<String> {
    node.only(&["format", "source", "name", "context", "citations"])?;
    let format = node.need("format")?.word(formats)?;
    let source = node.need("source")?;
    source.only(&["bytes", "s3Location", "text", "content"])?;
    let data = source.need("bytes")?.text()?;
    if STANDARD.decode(data).is_err() {
        return Err(source.rule_violation("The bytes are not base64."));
    }
    Ok(format!("data:{kind}/{format};base64,{data}"))
}

fn id(node: &Node<'_>) -> Checked<String> {
    let text = node.text()?;
    if is_plain(text, 64) {
        return Ok(text.to_owned());
    }
    Err(node.rule_violation("Member must satisfy regular expression pattern: [a-zA-Z0-9_-]{1,64}"))
}

fn call(node: &Node<'_>) -> Checked<Bit> {
    node.only(&["toolUseId", "name", "input", "type"])?;
    let input = node.need("input")?;
    input.object()?;
    let (id, name) = (id(&node.need("toolUseId")?)?, node.need("name")?.text()?.to_owned());
    Ok(Bit::Call { id, name, arguments: input.value.clone(), signed: false })
}

fn result(node: &Node<'_>, request: &mut DecodedRequest) -> Checked<Bit> {
    node.only(&["toolUseId", "content", "status", "type"])?;
    let id = id(&node.need("toolUseId")?)?;
    let status = node.get("status").map_or(Ok("success"), |it| it.word(&["success", "error"]))?;
    let mut bits = vec![];
    for part in node.need("content")?.list()? {
        if let Some(json) = part.get("json") {
            bits.push(Bit::Text(json.value.to_string()));
        } else {
            bits.extend(block(&part, &["text", "image", "document", "video"], request)?);
        }
    }
    Ok(Bit::Result { id, bits, failed: status == "error" })
}

fn reasoning(node: &Node<'_>) -> Checked<Bit> {
    node.only(&["reasoningText", "redactedContent"])?;
    if let Some(data) = node.get("redactedContent") {
        let plain = STANDARD.decode(data.text()?).ok().and_then(|it| String::from_utf8(it).ok());
        if plain.is_some_and(|it| is_signed_by(MAKER, &it)) {
            return Ok(Bit::Reasoning { text: String::new(), signed: true });
        }
        return Err(data.rule_violation("Invalid `data` in `redacted_thinking` block"));
    }
    let inner = node.need("reasoningText")?;
    inner.only(&["text", "signature"])?;
    let text = inner.need("text")?.text()?.to_owned();
    if sign(MAKER, &text) != inner.need("signature")?.text()? {
        return Err(inner.rule_violation("Invalid `signature` in `thinking` block"));
    }
    Ok(Bit::Reasoning { text, signed: true })
}

/// While tools are called, Claude demands the reasoning block that began the turn.
pub(super) fn check_turn_begins_with_reasoning(
    at: &Node<'_>,
    request: &DecodedRequest,
) -> Checked<()> {
    let asks = |it: &Message| {
        it.role == Role::User && !it.bits.iter().any(|it| matches!(it, Bit::Result { .. }))
    };
    let began = request.messages.iter().rposition(asks).unwrap_or(0);
    let Some(turn) = request.messages.get(began + 1) else { return Ok(()) };
    let calls = turn.bits.iter().any(|it| matches!(it, Bit::Call { .. }));
    if calls && !matches!(turn.bits.first(), Some(Bit::Reasoning { .. })) {
        return Err(at.rule_violation(
            "Expected `thinking` or `redacted_thinking`, but found another block.",
        ));
    }
    Ok(())
}

/// Notes a cache marker.
pub(super) fn mark(node: &Node<'_>, request: &mut DecodedRequest) -> Checked<()> {
    node.only(&["type", "ttl"])?;
    node.need("type")?.word(&["default"])?;
    let ttl = node.get("ttl").map_or(Ok(""), |it| it.word(&["5m", "1h"]))?;
    request.cache.push(ttl.to_owned());
    Ok(())
}
