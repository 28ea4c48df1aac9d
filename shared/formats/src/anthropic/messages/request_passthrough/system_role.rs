//! System messages within a conversation, moved to the system prompt for models without them.
//!
//! Source: Claude Opus 4.8 is the first model that takes them (platform.claude.com, what's new in
//! Claude 4.8, seen 2026-11), and Claude Code sends them to any model that it does not know.

use canonical::Result;
use serde_json::value::RawValue;

use crate::json::{self, Edits, Object};

/// Moves every message of the role `system` to the end of the system prompt.
pub(super) fn move_to_prompt(edits: &mut Edits<'_>) -> Result<()> {
    let Some(messages) = edits.value("messages").map(str::to_owned) else { return Ok(()) };
    let list: Vec<&RawValue> = json::parsed_text(&messages, "messages", "a list of messages")?;
    let mut blocks = edits.present("system").map(blocks).transpose()?.unwrap_or_default();
    let mut kept = Vec::with_capacity(list.len());
    for message in list {
        match system_content(message) {
            Some(content) => blocks.extend(self::blocks(&content)?),
            None => kept.push(message.get()),
        }
    }

    // Behind the client's own system prompt, so that the beginning of a cached prompt stays the
    // same.
    edits.set("messages", format!("[{}]", kept.join(",")));
    edits.set("system", format!("[{}]", blocks.join(",")));
    Ok(())
}

/// The content of a message of the role `system`.
fn system_content(message: &RawValue) -> Option<String> {
    let message: Object<'_> = serde_json::from_str(message.get()).ok()?;
    message.get("role").filter(|role| role.get() == "\"system\"")?;
    message.get("content").map(|content| content.get().to_owned())
}

/// The blocks of a content, which may be a text.
fn blocks(content: &str) -> Result<Vec<String>> {
    if content.starts_with('"') {
        return Ok(vec![format!(r#"{{"type":"text","text":{content}}}"#)]);
    }
    let list: Vec<&RawValue> = json::parsed_text(content, "system", "a text or a list of blocks")?;
    Ok(list.into_iter().map(|block| block.get().to_owned()).collect())
}
