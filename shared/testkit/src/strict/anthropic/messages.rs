//! The turns of a Messages request, and the rules between them.

use crate::strict::node::{Checked, Node, is_plain};
use crate::strict::signature::{is_signed_by, sign};
use crate::strict::{Bit, DecodedRequest, Message, Role};

use super::MAKER;

/// A turn with the places that its blocks came from.
struct Placed<'a> {
    role: Role,
    blocks: Vec<(Node<'a>, Bit)>,
}

pub(super) fn read(body: &Node<'_>, thinks: bool, request: &mut DecodedRequest) -> Checked<()> {
    let list = body.need("messages")?;
    let mut messages: Vec<Placed<'_>> = vec![];
    for message in list.list()? {
        message.only(&["role", "content"])?;
        let role = message.need("role")?;
        let role = match role.text()? {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            // The first model with system messages in the middle, by its announcement.
            "system" if request.model.contains("claude-opus-4-8") => Role::System,
            other => {
                return Err(list.rule_violation(format!(
                    "Unexpected role \"{other}\". The Messages API accepts a top-level `system` \
                     parameter, not \"system\" as an input message role."
                )));
            }
        };
        let blocks = blocks(&message, role, request)?;
        match messages.last_mut() {
            Some(last) if last.role == role => last.blocks.extend(blocks),
            _ => messages.push(Placed { role, blocks }),
        }
    }
    if messages.first().is_none_or(|it| it.role != Role::User) {
        return Err(list.rule_violation("first message must use the \"user\" role"));
    }
    pairs(&list, &messages, request)?;
    if thinks {
        check_turn_begins_with_reasoning(&messages)?;
    }
    last(&list, &messages)?;
    let turn = |it: Placed<'_>| Message {
        role: it.role,
        bits: it.blocks.into_iter().map(|(_, bit)| bit).collect(),
    };
    request.messages.extend(messages.into_iter().map(turn));
    Ok(())
}

fn blocks<'a>(
    message: &Node<'a>,
    role: Role,
    request: &mut DecodedRequest,
) -> Checked<Vec<(Node<'a>, Bit)>> {
    let content = message.need("content")?;
    if content.value.is_string() {
        if content.text()?.is_empty() {
            return Err(content.rule_violation("text content blocks must be non-empty"));
        }
        return Ok(vec![(content.clone(), Bit::Text(content.text()?.to_owned()))]);
    }
    let list = content.list()?;
    if list.is_empty() {
        return Err(content.rule_violation("all messages must have non-empty content"));
    }
    list.into_iter()
        .map(|it| {
            let bit = block(&it, role, request)?;
            Ok((it, bit))
        })
        .collect()
}

fn block(node: &Node<'_>, role: Role, request: &mut DecodedRequest) -> Checked<Bit> {
    let allowed: &[&str] = match role {
        Role::Assistant => &["text", "tool_use", "thinking", "redacted_thinking"],
        _ => &["text", "image", "document", "tool_result"],
    };
    let kind = node.need("type")?.word(allowed)?;
    if !matches!(kind, "thinking" | "redacted_thinking") {
        mark(node, request)?;
    }
    match kind {
        "text" => {
            node.only(&["type", "text", "cache_control", "citations"])?;
            let text = node.need("text")?;
            if text.text()?.trim().is_empty() {
                return Err(
                    text.rule_violation("text content blocks must contain non-whitespace text")
                );
            }
            node.each("citations")?;
            Ok(Bit::Text(text.text()?.to_owned()))
        }
        "image" => {
            node.only(&["type", "source", "cache_control"])?;
            Ok(Bit::Image(source(&node.need("source")?, true)?))
        }
        "document" => {
            node.only(&["type", "source", "title", "context", "citations", "cache_control"])?;
            Ok(Bit::File(source(&node.need("source")?, false)?))
        }
        "tool_use" => call(node),
        "tool_result" => result(node, request),
        _ => reasoning(node, kind),
    }
}

fn source(node: &Node<'_>, image: bool) -> Checked<String> {
    let kinds: &[&str] =
        if image { &["base64", "url", "file"] } else { &["base64", "url", "file", "text"] };
    match node.need("type")?.word(kinds)? {
        "base64" => {
            node.only(&["type", "media_type", "data"])?;
            let images = ["image/jpeg", "image/png", "image/gif", "image/webp"];
            let kinds: &[&str] = if image { &images } else { &["application/pdf"] };
            let kind = node.need("media_type")?.word(kinds)?;
            Ok(format!("data:{kind};base64,{}", node.need("data")?.text()?))
        }
        "text" => {
            node.only(&["type", "media_type", "data"])?;
            node.need("media_type")?.word(&["text/plain"])?;
            Ok(format!("data:text/plain,{}", node.need("data")?.text()?))
        }
        "url" => {
            node.only(&["type", "url"])?;
            Ok(node.need("url")?.text()?.to_owned())
        }
        _ => {
            node.only(&["type", "file_id"])?;
            Ok(node.need("file_id")?.text()?.to_owned())
        }
    }
}

fn id(node: &Node<'_>) -> Checked<String> {
    let text = node.text()?;
    if is_plain(text, usize::MAX) {
        return Ok(text.to_owned());
    }
    Err(node.rule_violation("String should match pattern '^[a-zA-Z0-9_-]+$'"))
}

fn call(node: &Node<'_>) -> Checked<Bit> {
    node.only(&["type", "id", "name", "input", "cache_control", "caller"])?;
    let input = node.need("input")?;
    if !input.value.is_object() {
        return Err(input.rule_violation("Input should be a valid dictionary"));
    }
    let name = node.need("name")?;
    if !is_plain(name.text()?, 200) {
        return Err(name.rule_violation("String should match pattern '^[a-zA-Z0-9_-]{1,200}$'"));
    }
    let (id, name) = (id(&node.need("id")?)?, name.text()?.to_owned());
    Ok(Bit::Call { id, name, arguments: input.value.clone(), signed: false })
}

fn result(node: &Node<'_>, request: &mut DecodedRequest) -> Checked<Bit> {
    node.only(&["type", "tool_use_id", "content", "is_error", "cache_control"])?;
    let id = id(&node.need("tool_use_id")?)?;
    let failed = node.get("is_error").map_or(Ok(false), |it| it.flag())?;
    let mut bits = vec![];
    if let Some(content) = node.get("content") {
        if content.value.is_string() {
            bits.push(Bit::Text(content.text()?.to_owned()));
        } else {
            for part in content.list()? {
                part.need("type")?.word(&["text", "image", "document"])?;
                bits.push(block(&part, Role::User, request)?);
            }
        }
    }
    Ok(Bit::Result { id, bits, failed })
}

fn reasoning(node: &Node<'_>, kind: &str) -> Checked<Bit> {
    if kind == "redacted_thinking" {
        node.only(&["type", "data"])?;
        let data = node.need("data")?;
        if !is_signed_by(MAKER, data.text()?) {
            return Err(node.rule_violation("Invalid `data` in `redacted_thinking` block"));
        }
        return Ok(Bit::Reasoning { text: String::new(), signed: true });
    }
    node.only(&["type", "thinking", "signature"])?;
    let text = node.need("thinking")?.text()?.to_owned();
    let signature = node.need("signature")?.text()?;
    if sign(MAKER, &text) != signature {
        return Err(node.rule_violation("Invalid `signature` in `thinking` block"));
    }
    Ok(Bit::Reasoning { text, signed: true })
}

fn pairs(list: &Node<'_>, messages: &[Placed<'_>], request: &DecodedRequest) -> Checked<()> {
    let with_tokens = |it: &Bit| matches!(it, Bit::Call { .. } | Bit::Result { .. });
    let mut all = messages.iter().flat_map(|it| &it.blocks);
    if request.tools.is_empty() && all.any(|(_, it)| with_tokens(it)) {
        return Err(Node::new(list.value).rule_violation(
            "Requests which include `tool_use` or `tool_result` blocks must define tools.",
        ));
    }
    let mut open: Vec<&str> = vec![];
    for turn in messages {
        let mut at_the_start = true;
        for (node, bit) in &turn.blocks {
            match bit {
                Bit::Result { id, .. } => {
                    let Some(at) = open.iter().position(|it| it == id) else {
                        return Err(node.rule_violation(format!(
                            "unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each \
                             `tool_result` block must have a corresponding `tool_use` block in the \
                             previous message."
                        )));
                    };
                    if !at_the_start {
                        return Err(unanswered(list, &open));
                    }
                    open.remove(at);
                }
                Bit::Call { .. } => at_the_start = false,
                _ => at_the_start = false,
            }
        }
        if !open.is_empty() {
            return Err(unanswered(list, &open));
        }
        for (node, bit) in &turn.blocks {
            let Bit::Call { id, .. } = bit else { continue };
            if open.contains(&id.as_str()) {
                return Err(node.rule_violation("`tool_use` ids must be unique"));
            }
            open.push(id);
        }
    }
    if open.is_empty() { Ok(()) } else { Err(unanswered(list, &open)) }
}

fn unanswered(list: &Node<'_>, open: &[&str]) -> crate::strict::node::Violation {
    list.rule_violation(format!(
        "`tool_use` ids were found without `tool_result` blocks immediately after: {}. Each \
         `tool_use` block must have a corresponding `tool_result` block in the next message.",
        open.join(", ")
    ))
}

/// While tools are called, Anthropic's API demands the reasoning block that began the turn: the first
/// block of the model since the last message of a user.
fn check_turn_begins_with_reasoning(messages: &[Placed<'_>]) -> Checked<()> {
    let asks = |it: &Placed<'_>| {
        let mut bits = it.blocks.iter().map(|(_, it)| it);
        it.role == Role::User && !bits.any(|it| matches!(it, Bit::Result { .. }))
    };
    let began = messages.iter().rposition(asks).unwrap_or(0);
    let Some(turn) = messages.get(began + 1) else { return Ok(()) };
    let calls = turn.blocks.iter().any(|(_, it)| matches!(it, Bit::Call { .. }));
    match turn.blocks.first() {
        Some((node, bit)) if calls && !matches!(bit, Bit::Reasoning { .. }) => Err(node.rule_violation(
            "Expected `thinking` or `redacted_thinking`, but found another block. When `thinking` is \
             enabled, a final `assistant` message must start with a thinking block.",
        )),
        _ => Ok(()),
    }
}

fn last(list: &Node<'_>, messages: &[Placed<'_>]) -> Checked<()> {
    let Some(turn) = messages.last().filter(|it| it.role == Role::Assistant) else { return Ok(()) };
    match turn.blocks.last() {
        Some((_, Bit::Text(text))) if text.ends_with(char::is_whitespace) => {
            Err(list.rule_violation("final assistant content cannot end with trailing whitespace"))
        }
        _ => Ok(()),
    }
}

/// Texts that stand for all turns.
pub(super) fn texts(node: &Node<'_>, request: &mut DecodedRequest) -> Checked<Vec<Bit>> {
    if node.value.is_string() {
        return Ok(vec![Bit::Text(node.text()?.to_owned())]);
    }
    let list = node.list()?;
    list.iter()
        .map(|it| {
            it.need("type")?.word(&["text"])?;
            block(it, Role::User, request)
        })
        .collect()
}

/// Notes a cache marker.
pub(super) fn mark(node: &Node<'_>, request: &mut DecodedRequest) -> Checked<()> {
    let Some(mark) = node.get("cache_control") else { return Ok(()) };
    mark.only(&["type", "ttl"])?;
    mark.need("type")?.word(&["ephemeral"])?;
    let ttl = mark.get("ttl").map_or(Ok(""), |it| it.word(&["5m", "1h"]))?;
    if node.value["type"] == "text" && node.value["text"] == "" {
        return Err(mark.rule_violation("cache_control cannot be set for empty text blocks"));
    }
    if ttl == "1h" && request.cache.iter().any(|it| it != "1h") {
        return Err(mark.rule_violation(
            "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block",
        ));
    }
    request.cache.push(ttl.to_owned());
    Ok(())
}
