//! Texts without any text, which clients keep of responses that were only calls or images, and
//! Anthropic refuses ("text content blocks must be non-empty").
//!
//! Source: what users report (anthropics/claude-code #57695 and #62396, NousResearch/hermes-agent
//! #11906), seen 2026-11.

use std::borrow::Cow;

use canonical::Result;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::parsed;
use crate::json;

/// The bytes that every body with such a text contains.
const EMPTY: &str = "\"\"";

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct WireMessage<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

/// Whether there may be an empty text, without parsing the body again.
pub(crate) fn may_be(body: &[u8]) -> bool {
    memchr::memmem::find(body, EMPTY.as_bytes()).is_some()
}

/// A list of blocks without empty texts; none where it has none.
pub(crate) fn out_of_blocks(json: &str) -> Result<Option<String>> {
    if !json.starts_with('[') || !json.contains(EMPTY) {
        return Ok(None);
    }
    let all: Vec<&RawValue> = parsed(json)?;
    let mut kept = Vec::with_capacity(all.len());
    for block in &all {
        let Block { kind, text } = parsed(block.get())?;
        // Blank counts as empty, as the API takes it.
        if kind != "text" || text.is_none_or(|it| !it.trim().is_empty()) {
            kept.push(block.get());
        }
    }
    Ok((kept.len() < all.len()).then(|| format!("[{}]", kept.join(","))))
}

/// Messages without empty texts, and without those that had nothing else; none where all of them say
/// something. The last one is what is asked, so it stays.
pub(crate) fn out_of_messages(json: &str) -> Result<Option<String>> {
    let all: Vec<&RawValue> = parsed(json)?;
    let mut kept = Vec::with_capacity(all.len());
    let mut changed = false;
    for (at, message) in all.iter().enumerate() {
        let content = parsed::<WireMessage<'_>>(message.get())?.content.map_or("", RawValue::get);
        let less = match content {
            EMPTY => Some("[]".to_owned()),
            content => out_of_blocks(content)?,
        };
        let is_last = at + 1 == all.len();
        match less.as_deref() {
            // The message goes as a whole. Neighbours of one role that meet are joined by the API
            // itself.
            Some("[]") if !is_last => changed = true,
            None | Some("[]") => kept.push(Cow::Borrowed(message.get())),
            Some(less) => {
                changed = true;
                kept.push(Cow::Owned(json::edited(message.get(), |it| {
                    it.set("content", less.to_owned());
                })?));
            }
        }
    }
    Ok(changed.then(|| format!("[{}]", kept.join(","))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_texts_go_and_all_else_stays() {
        let called = r#"{"role":"assistant","content":[{"type":"text","text":""},{"type":"tool_use","id":"t","name":"f","input":{"a":""}}]}"#;
        let result =
            r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":""}]}"#;
        let nothing = r#"{"role":"assistant","content":""}"#;
        let blank =
            r#"{"role":"user","content":[{"type":"text","text":" "},{"type":"text","text":""}]}"#;
        let list = |all: &[&str]| format!("[{}]", all.join(","));
        let found = out_of_messages(&list(&[called, nothing, blank, result])).unwrap().unwrap();
        let less = called.replace(r#"{"type":"text","text":""},"#, "");
        assert_eq!(found, list(&[&less, result]));
        for all in [&[result, result][..], &[result, blank], &[nothing]] {
            assert_eq!(out_of_messages(&list(all)).unwrap(), None, "{all:?}");
        }
    }
}
