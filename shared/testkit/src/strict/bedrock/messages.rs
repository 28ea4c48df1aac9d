//! The turns of a Converse request, and the rules between them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::MAKER;
use crate::strict::look::{Checked, Look, is_plain};
use crate::strict::seal::{made_by, seal};
use crate::strict::{Asked, Bit, Role, Turn};

pub(super) fn read(body: &Look<'_>, asked: &mut Asked) -> Checked<()> {
    let list = body.need("messages")?;
    let mut open: Vec<String> = vec![];
    let mut before = Role::Assistant;
    for message in list.list()? {
        message.only(&["role", "content"])?;
        let role = message.need("role")?.word(&["user", "assistant"])?;
        let role = if role == "user" { Role::User } else { Role::Assistant };
        if role == before {
            return Err(list.said(
                "A conversation must alternate between user and assistant roles. Make sure the \
                 conversation alternates between user and assistant roles and try again.",
            ));
        }
        before = role;
        let bits = content(&message, role, asked)?;
        pairs(&message, &bits, &mut open)?;
        if asked.tools.is_empty() && bits.iter().any(uses_tools) {
            return Err(body.said(
                "The toolConfig field must be defined when using toolUse and toolResult content \
                 blocks.",
            ));
        }
        asked.turns.push(Turn { role, bits });
    }
    if open.is_empty() { Ok(()) } else { Err(missing(&list, &open)) }
}

fn uses_tools(bit: &Bit) -> bool {
    matches!(bit, Bit::Call { .. } | Bit::Result { .. })
}

fn missing(at: &Look<'_>, open: &[String]) -> crate::strict::look::Fault {
    at.said(format!("Expected toolResult blocks for the following Ids: {}", open.join(", ")))
}

fn pairs(at: &Look<'_>, bits: &[Bit], open: &mut Vec<String>) -> Checked<()> {
    let results = bits.iter().filter(|it| matches!(it, Bit::Result { .. })).count();
    if open.len() < results {
        return Err(at.said(
            "The number of toolResult blocks exceeds the number of toolUse blocks of previous turn.",
        ));
    }
    for bit in bits {
        let Bit::Result { id, .. } = bit else { continue };
        let Some(found) = open.iter().position(|it| it == id) else {
            return Err(at.said(format!("There is no toolUse block for the toolResult {id}.")));
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

fn content(message: &Look<'_>, role: Role, asked: &mut Asked) -> Checked<Vec<Bit>> {
    let kinds: &[&str] = match role {
        Role::Assistant => &["text", "toolUse", "reasoningContent", "cachePoint"],
        _ => &["text", "image", "document", "video", "audio", "toolResult", "cachePoint"],
    };
    let blocks = message.need("content")?.list()?;
    if blocks.is_empty() {
        let text = "The content field in the Message object is empty. Add a ContentBlock object.";
        return Err(message.said(text));
    }
    let mut bits = vec![];
    for one in blocks {
        bits.extend(block(&one, kinds, asked)?);
    }
    Ok(bits)
}

/// One block; none for a mere marker.
pub(super) fn block(look: &Look<'_>, kinds: &[&str], asked: &mut Asked) -> Checked<Option<Bit>> {
    look.only(kinds)?;
    let mut there = kinds.iter().filter_map(|it| Some((*it, look.get(it)?)));
    let (Some((kind, inner)), None) = (there.next(), there.next()) else {
        return Err(look.said("The content block has none or several members of the union."));
    };
    Ok(Some(match kind {
        "text" => {
            let text = inner.text()?;
            if text.trim().is_empty() {
                return Err(inner.said("The text field in the ContentBlock object is blank."));
            }
            Bit::Text(text.to_owned())
        }
        "cachePoint" => {
            mark(&inner, asked)?;
            return Ok(None);
        }
        "image" => Bit::Image(media(&inner, "image", &["png", "jpeg", "gif", "webp"])?),
        "audio" => Bit::Audio(media(&inner, "audio", &["mp3", "wav"])?),
        "document" => {
            name_of(&inner)?;
            Bit::File(media(&inner, "application", &["pdf", "csv", "txt", "html", "md"])?)
        }
        "toolUse" => call(&inner)?,
        "toolResult" => result(&inner, asked)?,
        "reasoningContent" => thought(&inner)?,
        _ => return Err(look.said("This model doesn't support the video field.")),
    }))
}

fn name_of(document: &Look<'_>) -> Checked<()> {
    let name = document.need("name")?;
    let fits = |it: char| it.is_alphanumeric() || " -()[]".contains(it);
    let text = name.text()?;
    if text.is_empty() || !text.chars().all(fits) || text.contains("  ") {
        return Err(name.said(
            "The document file name can only contain alphanumeric characters, whitespace characters, \
             hyphens, parentheses, and square brackets.",
        ));
    }
    Ok(())
}

fn media(look: &Look<'_>, kind: &str, formats: &[&str]) -> Checked<String> {
    look.only(&["format", "source", "name", "context", "citations"])?;
    let format = look.need("format")?.word(formats)?;
    let source = look.need("source")?;
    source.only(&["bytes", "s3Location", "text", "content"])?;
    let data = source.need("bytes")?.text()?;
    if STANDARD.decode(data).is_err() {
        return Err(source.said("The bytes are not base64."));
    }
    Ok(format!("data:{kind}/{format};base64,{data}"))
}

fn id(look: &Look<'_>) -> Checked<String> {
    let text = look.text()?;
    if is_plain(text, 64) {
        return Ok(text.to_owned());
    }
    Err(look.said("Member must satisfy regular expression pattern: [a-zA-Z0-9_-]{1,64}"))
}

fn call(look: &Look<'_>) -> Checked<Bit> {
    look.only(&["toolUseId", "name", "input", "type"])?;
    let input = look.need("input")?;
    input.object()?;
    let (id, name) = (id(&look.need("toolUseId")?)?, look.need("name")?.text()?.to_owned());
    Ok(Bit::Call { id, name, arguments: input.value.clone(), signed: false })
}

fn result(look: &Look<'_>, asked: &mut Asked) -> Checked<Bit> {
    look.only(&["toolUseId", "content", "status", "type"])?;
    let id = id(&look.need("toolUseId")?)?;
    let status = look.get("status").map_or(Ok("success"), |it| it.word(&["success", "error"]))?;
    let mut bits = vec![];
    for part in look.need("content")?.list()? {
        if let Some(json) = part.get("json") {
            bits.push(Bit::Text(json.value.to_string()));
        } else {
            bits.extend(block(&part, &["text", "image", "document", "video"], asked)?);
        }
    }
    Ok(Bit::Result { id, bits, failed: status == "error" })
}

fn thought(look: &Look<'_>) -> Checked<Bit> {
    look.only(&["reasoningText", "redactedContent"])?;
    if let Some(data) = look.get("redactedContent") {
        let plain = STANDARD.decode(data.text()?).ok().and_then(|it| String::from_utf8(it).ok());
        if plain.is_some_and(|it| made_by(MAKER, &it)) {
            return Ok(Bit::Thought { text: String::new(), signed: true });
        }
        return Err(data.said("Invalid `data` in `redacted_thinking` block"));
    }
    let inner = look.need("reasoningText")?;
    inner.only(&["text", "signature"])?;
    let text = inner.need("text")?.text()?.to_owned();
    if seal(MAKER, &text) != inner.need("signature")?.text()? {
        return Err(inner.said("Invalid `signature` in `thinking` block"));
    }
    Ok(Bit::Thought { text, signed: true })
}

/// While tools are called, a thinking model wants to see the thought that the turn began with.
pub(super) fn begins_with_a_thought(at: &Look<'_>, asked: &Asked) -> Checked<()> {
    let asks = |it: &Turn| {
        it.role == Role::User && !it.bits.iter().any(|it| matches!(it, Bit::Result { .. }))
    };
    let began = asked.turns.iter().rposition(asks).unwrap_or(0);
    let Some(turn) = asked.turns.get(began + 1) else { return Ok(()) };
    let calls = turn.bits.iter().any(|it| matches!(it, Bit::Call { .. }));
    if calls && !matches!(turn.bits.first(), Some(Bit::Thought { .. })) {
        return Err(at.said("Expected `thinking` or `redacted_thinking`, but found another block."));
    }
    Ok(())
}

/// Notes a cache marker.
pub(super) fn mark(look: &Look<'_>, asked: &mut Asked) -> Checked<()> {
    look.only(&["type", "ttl"])?;
    look.need("type")?.word(&["default"])?;
    let ttl = look.get("ttl").map_or(Ok(""), |it| it.word(&["5m", "1h"]))?;
    asked.cache.push(ttl.to_owned());
    Ok(())
}
