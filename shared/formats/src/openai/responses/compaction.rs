//! Compaction: a conversation is replaced by one item that stands for it.
//!
//! Source: the API reference of `POST /v1/responses/compact` and of the item `compaction_trigger`, and
//! the types of the `openai` Python package 3.57. OpenAI's own items are opaque to everybody else.
//! Where a target has no compaction, the gateway requests a summary in words, and the item carries
//! the summary itself under the gateway's tag: nothing is stored.

use canonical::{
    CanonicalRequest, ChatResponse, Content, Conversation, Message, Part, Result, Role, Signature,
    ToolCall, ToolResult,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{super::tool_name::ToolName, output::Item, request_decode, wire};
use crate::{RawObject, json};

/// The maker of items that carry a summary in words.
const MAKER: &str = "lockgate_summary";

/// The item that requests a compaction in place of a response.
const TRIGGER: &str = "compaction_trigger";

/// The text that introduces a summary to the model that continues.
const INTRODUCTION: &str = "This is a summary of the conversation so far, which it replaces:\n\n";

/// The instruction that requests a summary.
const INSTRUCTION: &str = "Summarize the conversation so far. Your summary replaces it: whoever goes \
    on sees nothing else. Keep what was requested and in which words where they matter, what was \
    decided and why, what was done and with what result, names of files, functions, commands and \
    values that are still needed, what failed, and what is left to do. Do not go on with the task \
    itself. Answer with the summary alone.";

/// Whether an item stands for a conversation.
pub(super) fn is_compaction(kind: &str) -> bool {
    matches!(kind, "compaction" | "compaction_summary")
}

/// Whether a request for a response is one for a compaction.
pub(super) fn is_requested(raw: &RawObject) -> bool {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Kind<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<std::borrow::Cow<'a, str>>,
    }
    // Nearly no request has one: a search instead of parsing every item. The word in a message is
    // not enough.
    if memchr::memmem::find(&raw.body, TRIGGER.as_bytes()).is_none() {
        return false;
    }
    // An input that is wrong is refused where it is decoded, with the name of its field.
    let items: Result<Option<Vec<&RawValue>>> = json::read(raw, "input", "a list of items");
    let items = items.ok().flatten().unwrap_or_default();
    items.into_iter().any(|it| {
        let kind: Kind<'_> = serde_json::from_str(it.get()).unwrap_or_default();
        kind.kind.as_deref() == Some(TRIGGER)
    })
}

/// Decodes a request of the endpoint for compaction.
pub(super) fn decode(raw: &RawObject) -> Result<CanonicalRequest> {
    let CanonicalRequest::Conversation(mut conversation) = request_decode::decode(raw)? else {
        return request_decode::decode(raw);
    };
    if !is_requested(raw) {
        ask_for_summary(&mut conversation);
    }
    Ok(CanonicalRequest::Conversation(conversation))
}

/// Turns a conversation into one that ends with a request for its summary.
///
/// Calls and their results become text: no tools are offered, and many targets refuse calls without.
pub(super) fn ask_for_summary(conversation: &mut Conversation) {
    conversation.tools.clear();
    conversation.tool_choice = None;
    conversation.parallel_tool_calls = None;
    conversation.response_format = None;
    for message in &mut conversation.messages {
        // Signatures belong to calls, which become text here, and a summary needs no reasoning of
        // the past.
        message.parts.retain(|it| !matches!(it.content, Content::Reasoning(_)));
        for part in &mut message.parts {
            if let Some(text) = in_words(&part.content) {
                *part = Part::text(text);
            }
        }
    }
    // A message of reasoning alone is empty now, and empty messages are refused.
    conversation.messages.retain(|it| !it.parts.is_empty());

    let instruction = vec![Part::text(INSTRUCTION)];
    conversation.messages.push(Message::new(Role::User, instruction));
}

/// A call or its result in words; none for other content.
fn in_words(content: &Content) -> Option<String> {
    match content {
        Content::ToolCall(ToolCall { id: _, name, arguments }) => {
            // The marks of namespaces and custom tools are the gateway's own, and would puzzle a
            // reader.
            let name = ToolName::of(name).name;
            Some(format!("[called the tool `{name}` with {arguments}]"))
        }
        Content::ToolResult(ToolResult { id: _, name: _, parts, is_error }) => {
            let texts = parts.iter().map(|it| match &it.content {
                Content::Text(text, _) => text.as_str(),
                _ => "[not a text]",
            });
            let outcome = if *is_error == Some(true) { "failed with" } else { "returned" };
            Some(format!("[the tool {outcome}] {}", texts.collect::<Vec<_>>().join("\n")))
        }
        _ => None,
    }
}

/// The summary that an item of the gateway's own carries; none for an item of anybody else.
pub(super) fn summary(item: &wire::Item<'_>) -> Option<String> {
    let signature = Signature::from_tag(item.encrypted_content.as_deref()?)?;
    // An item of OpenAI's own is opaque, and goes back to OpenAI alone.
    (signature.maker == MAKER).then_some(signature.data)
}

/// The message with which a model is given a summary.
pub(super) fn message(summary: &str) -> Message {
    Message::new(Role::User, vec![Part::text(format!("{INTRODUCTION}{summary}"))])
}

/// The item with which a provider of this format is given a summary.
pub(super) fn message_json(summary: &str) -> String {
    #[derive(Serialize)]
    struct MessageJson {
        #[serde(rename = "type")]
        kind: &'static str,
        role: &'static str,
        content: String,
    }
    let content = format!("{INTRODUCTION}{summary}");
    json::quoted(&MessageJson { kind: "message", role: "user", content })
}

/// The item that stands for a conversation with this summary.
pub(super) fn item(id: String, summary: &str) -> Item {
    let encrypted_content = Signature::new(MAKER, summary).tagged();
    Item::Compaction { id, encrypted_content }
}

/// The summary in a model's response to a request for one.
pub(super) fn summary_of(chat: &ChatResponse) -> String {
    let parts = chat.choices.first().map_or(&[][..], |it| &it.parts);
    let texts = parts.iter().filter_map(|it| match &it.content {
        Content::Text(text, _) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn raw(body: &str) -> RawObject {
        json::members(Bytes::copy_from_slice(body.as_bytes())).unwrap()
    }

    #[test]
    fn a_trigger_is_an_item_and_no_word() {
        let requested = |body| is_requested(&raw(body));
        assert!(requested(
            r#"{"input":[{"role":"user","content":"x"},{"type":"compaction_trigger"}]}"#
        ));
        assert!(!requested(r#"{"input":[{"role":"user","content":"compaction_trigger"}]}"#));
        assert!(!requested(r#"{"input":"compaction_trigger"}"#));
    }

    #[test]
    fn a_summary_travels_in_an_item() {
        let Item::Compaction { encrypted_content, .. } = item("cmp_1".to_owned(), "Grüße") else {
            panic!("an item of another kind");
        };
        let json = format!(r#"{{"type":"compaction","encrypted_content":"{encrypted_content}"}}"#);
        assert_eq!(summary(&serde_json::from_str(&json).unwrap()).as_deref(), Some("Grüße"));
        let foreign = r#"{"type":"compaction","encrypted_content":"gAAAA"}"#;
        assert_eq!(summary(&serde_json::from_str(foreign).unwrap()), None);
    }

    #[test]
    fn a_summary_is_requested_without_tools_and_calls() {
        let body = r#"{"instructions":"Be brief.","tools":[{"type":"function","name":"f"}],
            "tool_choice":"required","input":[{"role":"user","content":"x"},
            {"type":"additional_tools","tools":[{"type":"function","name":"g"}]},
            {"type":"reasoning","id":"rs","summary":[],"encrypted_content":"e"},
            {"type":"function_call","call_id":"c","name":"f","arguments":"{\"a\":1}"},
            {"type":"function_call_output","call_id":"c","output":"7"}]}"#;
        let decoded = decode(&raw(body)).unwrap();
        let conversation = decoded.conversation().unwrap();
        assert!(conversation.tools.is_empty() && conversation.tool_choice.is_none());
        let texts: Vec<_> = conversation.messages.iter().map(|it| &it.parts[0].content).collect();
        let text = |it: &str| Content::Text(it.to_owned(), vec![]);
        assert_eq!(texts[2], &text("[called the tool `f` with {\"a\":1}]"));
        assert_eq!(texts[3], &text("[the tool returned] 7"));
        assert_eq!(texts[4], &text(INSTRUCTION));
    }
}
