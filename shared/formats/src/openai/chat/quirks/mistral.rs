//! Rules of Mistral's models for a conversation, wherever they are served.
//!
//! Ids of calls are nine letters or digits, and behind a tool's result stands a message of the model.
//! Conversations that another model began break the first, and clients that add a reminder to a
//! result the second.
//!
//! Sources: what users report of both (anomalyco/opencode #1680 and #2440, zed-industries/zed
//! #53034, BerriAI/litellm #17761, NousResearch/hermes-agent #20154), seen 2026-11.

use std::borrow::Cow;

use canonical::Result;
use serde_json::value::RawValue;

use super::super::request_passthrough;
use crate::{
    fingerprint::fingerprint,
    json::{self, Edits, Object, parsed},
};

/// The assistant's message where the model has written nothing behind a tool's result.
pub(in super::super) const PLACEHOLDER: &str = "OK.";
const ID_LENGTH: usize = 9;
const ID_LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The id of a call as these models take it: the same for the same id in every request, so that a
/// cached prompt stays one.
pub(in super::super) fn id(id: Cow<'_, str>) -> Cow<'_, str> {
    if id.len() == ID_LENGTH && id.bytes().all(|it| it.is_ascii_alphanumeric()) {
        return id;
    }
    // 62 to the power of 9 is less than 64 bits hold, so that one number is enough for nine
    // letters.
    let mut rest = fingerprint(&id);
    let letters = std::iter::repeat_with(|| {
        let [letter, left] = [rest % 62, rest / 62];
        rest = left;
        usize::try_from(letter).ok().and_then(|it| ID_LETTERS.get(it)).copied().map(char::from)
    });
    letters.take(ID_LENGTH).flatten().collect::<String>().into()
}

/// Whether a message of the model is missing between two messages.
pub(in super::super) fn lacks_response(before: &str, role: &str) -> bool {
    // Several results may follow each other: they answer the calls of one message.
    before == "tool" && !matches!(role, "tool" | "assistant")
}

/// A client's messages with both set right.
pub(in super::super) fn fitted(messages: &str) -> Result<String> {
    let mut before = Cow::Borrowed("");
    request_passthrough::rewrite_messages(messages, |json| {
        let message: Object<'_> = parsed(json, "messages", "a list of messages")?;
        let role = message.get("role").map(|it| text(it.get())).unwrap_or_default();
        let missing = lacks_response(&before, &role);
        before = role;
        // `tool_calls` and `tool_call_id` begin alike.
        let has_ids = json.get().contains("\"tool_call");
        if !missing && !has_ids {
            return Ok(None);
        }
        let message = if has_ids { with_ids(&message, json.get())? } else { json.get().to_owned() };
        let placeholder =
            format!("{{\"role\":\"assistant\",\"content\":{}}}", json::quoted(PLACEHOLDER));
        Ok(Some(if missing { format!("{placeholder},{message}") } else { message }))
    })
}

fn with_ids(message: &Object<'_>, json: &str) -> Result<String> {
    let calls = message.get("tool_calls").map(calls).transpose()?;
    json::edited(json, |edits| {
        refit(edits, "tool_call_id");
        if let Some(calls) = calls {
            edits.set("tool_calls", calls);
        }
    })
}

fn calls(json: &RawValue) -> Result<String> {
    let calls: Vec<&RawValue> = parsed(json, "messages[].tool_calls", "a list of tool calls")?;
    let calls = calls.iter().map(|it| json::edited(it.get(), |edits| refit(edits, "id")));
    Ok(format!("[{}]", calls.collect::<Result<Vec<_>>>()?.join(",")))
}

fn refit(edits: &mut Edits<'_>, name: &str) {
    if let Some(fit) = edits.value(name).map(|it| json::quoted(&id(text(it)))) {
        edits.set(name, fit);
    }
}

/// A string's text; none for what is not one, which the provider will say.
fn text(json: &str) -> Cow<'_, str> {
    serde_json::from_str(json).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_nine_letters_and_always_the_same() {
        assert_eq!(id("D681PevKs".into()), "D681PevKs");
        let encoded = ["call_1", "call_2", "toolu_01VpEm654HvfMoRcrE3Hgdc6", "", "nine-long"]
            .map(|it| (it, id(it.into())));
        for (from, to) in &encoded {
            assert!(to.len() == 9 && to.bytes().all(|it| it.is_ascii_alphanumeric()), "{to}");
            assert_eq!(&id((*from).into()), to);
        }
        let differing: std::collections::BTreeSet<_> = encoded.iter().map(|it| &it.1).collect();
        assert_eq!(differing.len(), encoded.len());
    }
}
