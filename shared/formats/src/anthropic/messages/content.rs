//! Blocks of an answer, as a client of this format gets them.

use std::borrow::Cow;

use canonical::{Citation, Content, Part, Signature};
use serde::Serialize;
use serde_json::value::RawValue;

use super::MAKER;
use crate::arguments;

/// How the data of a signature begins that stands for a whole thought nobody may read.
const REDACTED: &str = "redacted:";
/// The maker of marks that only keep a provider from what it did not write.
const NOBODY: &str = "nobody";

/// A block. Streams open it empty and fill it piece by piece.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    Text {
        text: &'a str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        citations: Vec<Quote<'a>>,
    },
    Thinking {
        thinking: &'a str,
        signature: String,
    },
    RedactedThinking {
        data: &'a str,
    },
    ToolUse {
        id: String,
        name: &'a str,
        input: Cow<'a, RawValue>,
    },
}

/// Where a text comes from. Its index is marked, so that Anthropic never has to judge it.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "web_search_result_location")]
pub(super) struct Quote<'a> {
    cited_text: &'a str,
    encrypted_index: String,
    title: Option<&'a str>,
    url: &'a str,
}

impl<'a> From<&'a Citation> for Quote<'a> {
    fn from(citation: &'a Citation) -> Self {
        Self {
            cited_text: citation.quote.as_deref().unwrap_or_default(),
            encrypted_index: nobody(),
            title: citation.title.as_deref(),
            url: citation.url.as_deref().unwrap_or_default(),
        }
    }
}

/// An object without members.
pub(super) fn empty_object<'a>() -> &'a RawValue {
    serde_json::from_str("{}").expect("an empty object is JSON")
}

/// The block that a part of an answer is; none where the format has no words for it.
pub(super) fn block(part: &Part) -> Option<Block<'_>> {
    Some(match &part.content {
        Content::Text(text, citations) => {
            Block::Text { text, citations: citations.iter().map(Into::into).collect() }
        }
        Content::Refusal(text) => Block::Text { text, citations: vec![] },
        Content::Reasoning(text) => match part.signature.as_ref().and_then(redacted) {
            Some(data) => Block::RedactedThinking { data },
            None => Block::Thinking {
                thinking: text,
                signature: part.signature.as_ref().map_or_else(nobody, signature),
            },
        },
        Content::ToolCall(call) => Block::ToolUse {
            id: tool_id(&call.id, part.signature.as_ref()),
            name: &call.name,
            input: arguments::told(&call.arguments),
        },
        Content::Image(_)
        | Content::Audio(_)
        | Content::Video(_)
        | Content::File(_)
        | Content::ToolResult(_) => return None,
    })
}

/// The id of a tool call, with the signature that it carries for its maker.
pub(super) fn tool_id(id: &str, signature: Option<&Signature>) -> String {
    let id = fit(id);
    signature.map_or_else(|| id.clone(), |it| it.attach_to_id(&id))
}

/// An id of letters, digits, `_` and `-`, as Anthropic demands.
pub(super) fn fit(id: &str) -> String {
    let allowed = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-');
    if id.is_empty() {
        return "toolu_0".to_owned();
    }
    id.chars().map(|it| if allowed(it) { it } else { '_' }).collect()
}

/// A signature as the client keeps it: Anthropic's own as it is, another's tagged.
pub(super) fn signature(signature: &Signature) -> String {
    if signature.maker == MAKER { signature.data.clone() } else { signature.tagged() }
}

/// What stands for the signature of a thought that nobody signed.
pub(super) fn nobody() -> String {
    Signature::new(NOBODY, "").tagged()
}

/// Reads a signature as a client sends it back. An untagged one is Anthropic's.
pub(super) fn read_signature(text: &str) -> Option<Signature> {
    if text.starts_with(canonical::TAG_PREFIX) {
        return Signature::from_tag(text).filter(|it| it.maker != NOBODY);
    }
    (!text.is_empty()).then(|| Signature::new(MAKER, text))
}

/// A signature that stands for a whole thought nobody may read.
pub(super) fn redact(data: &str) -> Signature {
    Signature::new(MAKER, format!("{REDACTED}{data}"))
}

/// The data of a thought that nobody may read, where a signature stands for one.
pub(super) fn redacted(signature: &Signature) -> Option<&str> {
    signature.data.strip_prefix(REDACTED).filter(|_| signature.maker == MAKER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_come_back_as_they_went() {
        for it in [Signature::new(MAKER, "Eq=="), Signature::new("gemini", "a+b/")] {
            assert_eq!(read_signature(&signature(&it)), Some(it));
        }
        assert_eq!(read_signature(&nobody()), None);
        assert_eq!(read_signature(""), None);
        assert_eq!(redacted(&redact("x")), Some("x"));
    }
}
