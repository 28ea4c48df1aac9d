//! Blocks of a response, as a client of this format gets them.

use std::borrow::Cow;

use canonical::{Citation, Content, Part};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    anthropic::messages::signature::{redacted, signature, tool_id, unsigned},
    arguments,
};

/// A block. Streams open it empty and fill it delta by delta.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Block<'a> {
    Text { text: &'a str, citations: Vec<Quote<'a>> },
    Thinking { thinking: &'a str, signature: String },
    RedactedThinking { data: &'a str },
    ToolUse { id: String, name: &'a str, input: Cow<'a, RawValue>, caller: Caller },
}

/// The model itself calls the tool, not another tool of Anthropic's.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "direct")]
pub(crate) struct Caller {}

/// Where a text comes from. Its index is marked, so that Anthropic never has to judge it.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "web_search_result_location")]
pub(crate) struct Quote<'a> {
    cited_text: &'a str,
    encrypted_index: String,
    title: Option<&'a str>,
    url: &'a str,
}

impl<'a> From<&'a Citation> for Quote<'a> {
    fn from(citation: &'a Citation) -> Self {
        Self {
            cited_text: citation.quote.as_deref().unwrap_or_default(),
            encrypted_index: unsigned(),
            title: citation.title.as_deref(),
            url: citation.url.as_deref().unwrap_or_default(),
        }
    }
}

/// An object without members.
pub(crate) fn empty_object<'a>() -> &'a RawValue {
    serde_json::from_str("{}").expect("an empty object is JSON")
}

/// The block that a part of a response is; none where the format has no members for it.
pub(crate) fn block(part: &Part) -> Option<Block<'_>> {
    Some(match &part.content {
        Content::Text(text, citations) => {
            Block::Text { text, citations: citations.iter().map(Into::into).collect() }
        }
        // Anthropic has no block for a refusal: the text is shown, and the stop reason tells.
        Content::Refusal(text) => Block::Text { text, citations: vec![] },
        Content::Reasoning(text) => match part.signature.as_ref().and_then(redacted) {
            Some(data) => Block::RedactedThinking { data },
            None => Block::Thinking {
                thinking: text,
                // The SDKs require a signature. The mark of nobody keeps this reasoning from
                // Anthropic later.
                signature: part.signature.as_ref().map_or_else(unsigned, signature),
            },
        },
        Content::ToolCall(call) => Block::ToolUse {
            id: tool_id(&call.id, part.signature.as_ref()),
            name: &call.name,
            input: arguments::object_or_wrapped(&call.arguments),
            caller: Caller {},
        },
        Content::Image(_)
        | Content::Audio(_)
        | Content::Video(_)
        | Content::File(_)
        | Content::ToolResult(_) => return None,
    })
}
