//! Reasoning and its signatures in a format that has no official member for either.
//!
//! The text goes into `reasoning_content`, which most services and clients agree on, and text with
//! signature into `reasoning_details`, the list that OpenRouter made up for the same purpose.
//! Clients that keep neither still echo the ids of tool calls, so the reasoning before a call travels
//! on its id too, as long as it is short.

use canonical::{Content, Part, Result, Signature};
use serde::{Deserialize, Serialize};

use super::{FORMAT, request_passthrough};
use crate::{
    EncodeOptions,
    json::{self, Object, parsed},
    signature_tags,
};

/// The longest reasoning on an id, in bytes.
const MAX_LENGTH: usize = 16 * 1024;
/// The mark of the maker of reasoning that is attached to an id, text and all.
const WITH_TEXT: &str = "thought.";

/// One part of reasoning, as clients echo it.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Detail {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<String>,
}

impl Detail {
    /// Reasoning with its signature.
    pub(super) fn new(text: &str, signature: &Signature) -> Self {
        Self {
            kind: "reasoning.text".to_owned(),
            text: Some(text.to_owned()),
            signature: Some(signature.tagged()),
            data: None,
        }
    }
}

/// The reasoning of an earlier response.
pub(super) fn decode(message: &Object<'_>, path: &str) -> Result<Vec<Part>> {
    // First, because the signature is only there; the other members hold the same text.
    if let Some(details) = message.get("reasoning_details") {
        let path = format!("{path}.reasoning_details");
        let details: Vec<Detail> = parsed(details, &path, "a list of reasoning details")?;
        return Ok(details.into_iter().map(reasoning_part).collect());
    }
    for name in ["reasoning_content", "reasoning"] {
        if let Some(text) = message.get(name) {
            let text: String = parsed(text, &format!("{path}.{name}"), "a string")?;
            return Ok(vec![Part::new(Content::Reasoning(text))]);
        }
    }
    Ok(vec![])
}

fn reasoning_part(detail: Detail) -> Part {
    let signature = detail
        .signature
        // OpenRouter puts what is encrypted into `data` (`reasoning.encrypted`), and signatures
        // beside a text.
        .or(detail.data)
        .map(|it| Signature::from_tag(&it).unwrap_or_else(|| Signature::new(FORMAT.name, it)));
    let content = Content::Reasoning(detail.text.unwrap_or_default());
    Part { content, cache: None, signature }
}

/// Detaches reasoning from the ids of calls; returns the parts that are not known otherwise.
pub(super) fn off_calls(known: &[Part], calls: &mut [Part]) -> Vec<Part> {
    let mut replay = vec![];
    for call in calls {
        let Some(signature) = &call.signature else { continue };
        let Some(maker) = signature.maker.strip_prefix(WITH_TEXT) else { continue };
        let (data, text) = signature.data.split_once('\n').unwrap_or((&signature.data, ""));
        let mut reasoning_part = Part::new(Content::Reasoning(text.to_owned()));
        reasoning_part.signature = Some(Signature::new(maker, data));
        replay.push(reasoning_part);
        call.signature = None;
    }
    // A client that kept `reasoning_details` echoes the id too: the same reasoning must not stand
    // there twice.
    let is_known = known.iter().any(|it| it.signature.is_some());
    if is_known { vec![] } else { replay }
}

/// The fate of the text of earlier reasoning, for which OpenAI itself has no field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReasoningReplay {
    /// The text is left out.
    Left,
    /// The field is refused, and left out.
    Refused,
    /// The text is given back as `reasoning_content`.
    Given,
    /// The text is given back, and every message that calls tools has one, because the provider
    /// missed it.
    Demanded,
}

impl ReasoningReplay {
    /// The replay that a provider wants.
    pub(super) fn of(target: &EncodeOptions<'_>) -> Self {
        // DeepSeek and Kimi refuse a request without the text in the same way as others do without
        // a signature (decision 0024).
        if target.drop_signatures {
            return Self::Demanded;
        }
        if !target.compatibility.reasoning_content {
            return Self::Refused;
        }
        if target.facts.reasoning.replays_text { Self::Given } else { Self::Left }
    }
}

/// The start of the names of members that hold reasoning.
pub(super) const MEMBERS: &str = "\"reasoning_";

/// The text in place of reasoning that is lost. Kimi takes an empty text for none.
pub(super) const NO_REASONING: &str = ".";

/// Messages without the signatures of other providers, or of any provider where signatures were
/// refused, and without tags on ids.
///
/// Also whether reasoning was lost that is not another provider's, which means nothing here.
pub(super) fn without_foreign(messages: &str, replay: ReasoningReplay) -> Result<(String, bool)> {
    let lost_names: &[&str] = match replay {
        ReasoningReplay::Refused => &["reasoning_content", "reasoning_details"],
        ReasoningReplay::Demanded => &["reasoning_details"],
        ReasoningReplay::Left | ReasoningReplay::Given => &[],
    };
    let mut lost = false;
    let messages = request_passthrough::rewrite_messages(messages, |message| {
        let text = message.get();
        let tagged = signature_tags::has(text.as_bytes());
        // Most messages have neither tags nor reasoning; they are not parsed.
        if !tagged && replay != ReasoningReplay::Demanded && !text.contains(MEMBERS) {
            return Ok(None);
        }
        let object: Object<'_> = parsed(message, "messages", "a list of messages")?;
        let mut going = object.0.iter().filter(|it| lost_names.contains(&&*it.0)).peekable();
        let concerned = tagged || going.peek().is_some() || replay == ReasoningReplay::Demanded;
        // An empty member is refused like a full one, but nothing is lost with it.
        lost |= !tagged && going.any(|it| !matches!(it.1.get(), "\"\"" | "[]" | "null"));
        Ok(concerned.then(|| without_reasoning(&object, replay)))
    })?;
    Ok((messages, lost))
}

fn without_reasoning(message: &Object<'_>, replay: ReasoningReplay) -> String {
    let details = message.get("reasoning_details").map(|it| it.get());
    let is_demanded = replay == ReasoningReplay::Demanded;
    let foreign = details.is_some_and(|it| is_demanded || signature_tags::has(it.as_bytes()));
    let text = message.get("reasoning_content").filter(|it| it.get() != "\"\"");
    let leaves = |name: &str| match name {
        "reasoning_details" | "reasoning_content" if replay == ReasoningReplay::Refused => true,
        "reasoning_details" => foreign,
        // Beside another maker's signature the text is another maker's, too. An empty text counts
        // as missing at Kimi.
        "reasoning_content" => foreign && replay == ReasoningReplay::Left || text.is_none(),
        _ => false,
    };
    let members = message.0.iter().filter(|it| !leaves(&it.0));
    let mut members: Vec<_> = members
        .map(|(name, value)| format!("{}:{}", json::quoted(name), signature_tags::off(value.get())))
        .collect();
    let calls = message.get("tool_calls").is_some_and(|it| it.get() != "[]");
    if is_demanded && calls && text.is_none() {
        members.push(format!("\"reasoning_content\":{}", json::quoted(NO_REASONING)));
    }
    format!("{{{}}}", members.join(","))
}

/// The id of a call with what has to come back with it: its own signature, or else the reasoning
/// before it.
pub(super) fn attach_to_id(
    id: &str,
    own: Option<&Signature>,
    reasoning_part: Option<(&str, &Signature)>,
) -> String {
    match (own, reasoning_part) {
        (Some(own), _) => own.attach_to_id(id),
        // The text goes with its signature, because a signature alone proves nothing of a text that
        // the client has lost.
        (None, Some((text, signature))) if text.len() + signature.data.len() <= MAX_LENGTH => {
            // The mark keeps it apart from a call's own signature, which stays with the call when
            // the id comes back.
            let maker = format!("{WITH_TEXT}{}", signature.maker);
            Signature::new(maker, format!("{}\n{text}", signature.data)).attach_to_id(id)
        }
        _ => id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use canonical::ToolCall;

    use super::*;

    fn call(id: &str) -> Part {
        let (plain, signature) = Signature::split_id(id);
        let call = ToolCall { id: plain.to_owned(), ..ToolCall::default() };
        Part { content: Content::ToolCall(call), cache: None, signature }
    }

    #[test]
    fn reasoning_rides_on_the_call_behind_it() {
        let signature = Signature::new("anthropic", "c2ln");
        let id = attach_to_id("c1", None, Some(("two\nlines", &signature)));
        let mut calls = [call(&id)];
        let replay = off_calls(&[], &mut calls);
        assert_eq!(replay[0].content, Content::Reasoning("two\nlines".to_owned()));
        assert_eq!(replay[0].signature, Some(signature));
        assert_eq!(calls[0].signature, None);
    }

    #[test]
    fn reasoning_that_was_echoed_is_not_taken_twice() {
        let signature = Signature::new("anthropic", "c2ln");
        let id = attach_to_id("c1", None, Some(("text", &signature)));
        let mut known = Part::new(Content::Reasoning("text".to_owned()));
        known.signature = Some(signature);
        assert!(off_calls(&[known], &mut [call(&id)]).is_empty());
    }

    #[test]
    fn a_calls_own_signature_stays_with_it() {
        let own = Signature::new("gemini", "c2ln");
        let mut calls = [call(&attach_to_id("c1", Some(&own), None))];
        assert!(off_calls(&[], &mut calls).is_empty());
        assert_eq!(calls[0].signature, Some(own));
    }

    #[test]
    fn what_others_signed_is_not_forwarded() {
        let signature = Signature::new("anthropic", "c2ln");
        let detail = serde_json::to_string(&Detail::new("hm", &signature)).unwrap();
        let id = attach_to_id("c1", None, Some(("hm", &signature)));
        let messages = format!(
            r#"[{{"role":"user","content":"1.0"}},{{"role":"assistant","content":null,"reasoning_content":"hm",
            "reasoning_details":[{detail}],"tool_calls":[{{"id":"{id}"}}]}},{{"role":"tool","tool_call_id":"{id}"}}]"#
        );
        assert_eq!(
            without_foreign(&messages, ReasoningReplay::Left).unwrap().0,
            r#"[{"role":"user","content":"1.0"},{"role":"assistant","content":null,"tool_calls":[{"id":"c1"}]},{"role":"tool","tool_call_id":"c1"}]"#
        );
    }

    #[test]
    fn long_reasoning_does_not_ride_on_an_id() {
        let signature = Signature::new("anthropic", "c2ln");
        assert_eq!(attach_to_id("c1", None, Some((&"x".repeat(MAX_LENGTH), &signature))), "c1");
    }
}
