//! The turns of a Messages request, and the rules between them.

use crate::strict::look::{Checked, Look, is_plain};
use crate::strict::seal::{made_by, seal};
use crate::strict::{Asked, Bit, Role, Turn};

use super::MAKER;

/// A turn with the places that its blocks came from.
struct Placed<'a> {
    role: Role,
    blocks: Vec<(Look<'a>, Bit)>,
}

pub(super) fn read(body: &Look<'_>, thinks: bool, asked: &mut Asked) -> Checked<()> {
    let list = body.need("messages")?;
    let mut turns: Vec<Placed<'_>> = vec![];
    for message in list.list()? {
        message.only(&["role", "content"])?;
        let role = message.need("role")?;
        let role = match role.text()? {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            // The first model with system messages in the middle, by its announcement.
            "system" if asked.model.contains("claude-opus-4-8") => Role::System,
            other => {
                return Err(list.said(format!(
                    "Unexpected role \"{other}\". The Messages API accepts a top-level `system` \
                     parameter, not \"system\" as an input message role."
                )));
            }
        };
        let blocks = blocks(&message, role, asked)?;
        match turns.last_mut() {
            Some(last) if last.role == role => last.blocks.extend(blocks),
            _ => turns.push(Placed { role, blocks }),
        }
    }
    if turns.first().is_none_or(|it| it.role != Role::User) {
        return Err(list.said("first message must use the \"user\" role"));
    }
    pairs(&list, &turns, asked)?;
    if thinks {
        begins_with_a_thought(&turns)?;
    }
    last(&list, &turns)?;
    let turn = |it: Placed<'_>| Turn {
        role: it.role,
        bits: it.blocks.into_iter().map(|(_, bit)| bit).collect(),
    };
    asked.turns.extend(turns.into_iter().map(turn));
    Ok(())
}

fn blocks<'a>(message: &Look<'a>, role: Role, asked: &mut Asked) -> Checked<Vec<(Look<'a>, Bit)>> {
    let content = message.need("content")?;
    if content.value.is_string() {
        if content.text()?.is_empty() {
            return Err(content.said("text content blocks must be non-empty"));
        }
        return Ok(vec![(content.clone(), Bit::Text(content.text()?.to_owned()))]);
    }
    let list = content.list()?;
    if list.is_empty() {
        return Err(content.said("all messages must have non-empty content"));
    }
    list.into_iter()
        .map(|it| {
            let bit = block(&it, role, asked)?;
            Ok((it, bit))
        })
        .collect()
}

fn block(look: &Look<'_>, role: Role, asked: &mut Asked) -> Checked<Bit> {
    let allowed: &[&str] = match role {
        Role::Assistant => &["text", "tool_use", "thinking", "redacted_thinking"],
        _ => &["text", "image", "document", "tool_result"],
    };
    let kind = look.need("type")?.word(allowed)?;
    if !matches!(kind, "thinking" | "redacted_thinking") {
        mark(look, asked)?;
    }
    match kind {
        "text" => {
            look.only(&["type", "text", "cache_control", "citations"])?;
            let text = look.need("text")?;
            if text.text()?.trim().is_empty() {
                return Err(text.said("text content blocks must contain non-whitespace text"));
            }
            look.each("citations")?;
            Ok(Bit::Text(text.text()?.to_owned()))
        }
        "image" => {
            look.only(&["type", "source", "cache_control"])?;
            Ok(Bit::Image(source(&look.need("source")?, true)?))
        }
        "document" => {
            look.only(&["type", "source", "title", "context", "citations", "cache_control"])?;
            Ok(Bit::File(source(&look.need("source")?, false)?))
        }
        "tool_use" => call(look),
        "tool_result" => result(look, asked),
        _ => thought(look, kind),
    }
}

fn source(look: &Look<'_>, image: bool) -> Checked<String> {
    let kinds: &[&str] =
        if image { &["base64", "url", "file"] } else { &["base64", "url", "file", "text"] };
    match look.need("type")?.word(kinds)? {
        "base64" => {
            look.only(&["type", "media_type", "data"])?;
            let images = ["image/jpeg", "image/png", "image/gif", "image/webp"];
            let kinds: &[&str] = if image { &images } else { &["application/pdf"] };
            let kind = look.need("media_type")?.word(kinds)?;
            Ok(format!("data:{kind};base64,{}", look.need("data")?.text()?))
        }
        "text" => {
            look.only(&["type", "media_type", "data"])?;
            look.need("media_type")?.word(&["text/plain"])?;
            Ok(format!("data:text/plain,{}", look.need("data")?.text()?))
        }
        "url" => {
            look.only(&["type", "url"])?;
            Ok(look.need("url")?.text()?.to_owned())
        }
        _ => {
            look.only(&["type", "file_id"])?;
            Ok(look.need("file_id")?.text()?.to_owned())
        }
    }
}

fn id(look: &Look<'_>) -> Checked<String> {
    let text = look.text()?;
    if is_plain(text, usize::MAX) {
        return Ok(text.to_owned());
    }
    Err(look.said("String should match pattern '^[a-zA-Z0-9_-]+$'"))
}

fn call(look: &Look<'_>) -> Checked<Bit> {
    look.only(&["type", "id", "name", "input", "cache_control", "caller"])?;
    let input = look.need("input")?;
    if !input.value.is_object() {
        return Err(input.said("Input should be a valid dictionary"));
    }
    let name = look.need("name")?;
    if !is_plain(name.text()?, 200) {
        return Err(name.said("String should match pattern '^[a-zA-Z0-9_-]{1,200}$'"));
    }
    let (id, name) = (id(&look.need("id")?)?, name.text()?.to_owned());
    Ok(Bit::Call { id, name, arguments: input.value.clone(), signed: false })
}

fn result(look: &Look<'_>, asked: &mut Asked) -> Checked<Bit> {
    look.only(&["type", "tool_use_id", "content", "is_error", "cache_control"])?;
    let id = id(&look.need("tool_use_id")?)?;
    let failed = look.get("is_error").map_or(Ok(false), |it| it.flag())?;
    let mut bits = vec![];
    if let Some(content) = look.get("content") {
        if content.value.is_string() {
            bits.push(Bit::Text(content.text()?.to_owned()));
        } else {
            for part in content.list()? {
                part.need("type")?.word(&["text", "image", "document"])?;
                bits.push(block(&part, Role::User, asked)?);
            }
        }
    }
    Ok(Bit::Result { id, bits, failed })
}

fn thought(look: &Look<'_>, kind: &str) -> Checked<Bit> {
    if kind == "redacted_thinking" {
        look.only(&["type", "data"])?;
        let data = look.need("data")?;
        if !made_by(MAKER, data.text()?) {
            return Err(look.said("Invalid `data` in `redacted_thinking` block"));
        }
        return Ok(Bit::Thought { text: String::new(), signed: true });
    }
    look.only(&["type", "thinking", "signature"])?;
    let text = look.need("thinking")?.text()?.to_owned();
    let signature = look.need("signature")?.text()?;
    if seal(MAKER, &text) != signature {
        return Err(look.said("Invalid `signature` in `thinking` block"));
    }
    Ok(Bit::Thought { text, signed: true })
}

fn pairs(list: &Look<'_>, turns: &[Placed<'_>], asked: &Asked) -> Checked<()> {
    let uses = |it: &Bit| matches!(it, Bit::Call { .. } | Bit::Result { .. });
    let mut all = turns.iter().flat_map(|it| &it.blocks);
    if asked.tools.is_empty() && all.any(|(_, it)| uses(it)) {
        return Err(Look::new(list.value)
            .said("Requests which include `tool_use` or `tool_result` blocks must define tools."));
    }
    let mut open: Vec<&str> = vec![];
    for turn in turns {
        let mut at_the_start = true;
        for (look, bit) in &turn.blocks {
            match bit {
                Bit::Result { id, .. } => {
                    let Some(at) = open.iter().position(|it| it == id) else {
                        return Err(look.said(format!(
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
        for (look, bit) in &turn.blocks {
            let Bit::Call { id, .. } = bit else { continue };
            if open.contains(&id.as_str()) {
                return Err(look.said("`tool_use` ids must be unique"));
            }
            open.push(id);
        }
    }
    if open.is_empty() { Ok(()) } else { Err(unanswered(list, &open)) }
}

fn unanswered(list: &Look<'_>, open: &[&str]) -> crate::strict::look::Fault {
    list.said(format!(
        "`tool_use` ids were found without `tool_result` blocks immediately after: {}. Each \
         `tool_use` block must have a corresponding `tool_result` block in the next message.",
        open.join(", ")
    ))
}

/// While tools are called, a thinking model wants to see the thought that the turn began with: what
/// the model said first since a person spoke.
fn begins_with_a_thought(turns: &[Placed<'_>]) -> Checked<()> {
    let asks = |it: &Placed<'_>| {
        let mut bits = it.blocks.iter().map(|(_, it)| it);
        it.role == Role::User && !bits.any(|it| matches!(it, Bit::Result { .. }))
    };
    let began = turns.iter().rposition(asks).unwrap_or(0);
    let Some(turn) = turns.get(began + 1) else { return Ok(()) };
    let calls = turn.blocks.iter().any(|(_, it)| matches!(it, Bit::Call { .. }));
    match turn.blocks.first() {
        Some((look, bit)) if calls && !matches!(bit, Bit::Thought { .. }) => Err(look.said(
            "Expected `thinking` or `redacted_thinking`, but found another block. When `thinking` is \
             enabled, a final `assistant` message must start with a thinking block.",
        )),
        _ => Ok(()),
    }
}

fn last(list: &Look<'_>, turns: &[Placed<'_>]) -> Checked<()> {
    let Some(turn) = turns.last().filter(|it| it.role == Role::Assistant) else { return Ok(()) };
    match turn.blocks.last() {
        Some((_, Bit::Text(text))) if text.ends_with(char::is_whitespace) => {
            Err(list.said("final assistant content cannot end with trailing whitespace"))
        }
        _ => Ok(()),
    }
}

/// Texts that stand for all turns.
pub(super) fn texts(look: &Look<'_>, asked: &mut Asked) -> Checked<Vec<Bit>> {
    if look.value.is_string() {
        return Ok(vec![Bit::Text(look.text()?.to_owned())]);
    }
    let list = look.list()?;
    list.iter()
        .map(|it| {
            it.need("type")?.word(&["text"])?;
            block(it, Role::User, asked)
        })
        .collect()
}

/// Notes a cache marker.
pub(super) fn mark(look: &Look<'_>, asked: &mut Asked) -> Checked<()> {
    let Some(mark) = look.get("cache_control") else { return Ok(()) };
    mark.only(&["type", "ttl"])?;
    mark.need("type")?.word(&["ephemeral"])?;
    let ttl = mark.get("ttl").map_or(Ok(""), |it| it.word(&["5m", "1h"]))?;
    if look.value["type"] == "text" && look.value["text"] == "" {
        return Err(mark.said("cache_control cannot be set for empty text blocks"));
    }
    if ttl == "1h" && asked.cache.iter().any(|it| it != "1h") {
        return Err(mark.said(
            "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block",
        ));
    }
    asked.cache.push(ttl.to_owned());
    Ok(())
}
