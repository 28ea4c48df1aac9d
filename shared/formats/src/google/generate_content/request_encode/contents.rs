//! Encodes the messages so far as contents.

use std::{borrow::Cow, collections::HashMap};

use canonical::{
    Content, Conversation, Error, Field, Media, Part, Result, Signature, ToolCall, ToolResult,
};
use serde_json::value::RawValue;

use crate::google::generate_content::{
    MAKER,
    media::{self, EncodedMedia},
    quirks::models::Family,
    signature,
    wire::parts::{
        Content as WireContent, FunctionCall, FunctionResponse, Outcome, Part as WirePart, Value,
    },
};
use crate::{
    alternating_roles::{self, Side},
    arguments, size_limits,
};

/// Encodes the system prompt and the messages; what Gemini does not have is added to `dropped`.
pub(crate) fn encode<'a>(
    conversation: &'a Conversation,
    family: Family,
    dropped: &mut Vec<Field>,
) -> Result<(Option<WireContent<'a>>, Vec<WireContent<'a>>)> {
    let parts = conversation.messages.iter().flat_map(|it| &it.parts);
    let call = |part: &'a Part| match &part.content {
        Content::ToolCall(call) => Some((call.id.as_str(), call.name.as_str())),
        _ => None,
    };
    let tools = parts.filter_map(call).collect();
    let (system, contents) = ContentsEncoder { conversation, tools, family, dropped }.contents()?;
    if contents.is_empty() { Err(alternating_roles::no_message()) } else { Ok((system, contents)) }
}

/// Encodes the messages of one conversation.
struct ContentsEncoder<'a, 'd> {
    conversation: &'a Conversation,
    /// The tool of each call.
    tools: HashMap<&'a str, &'a str>,
    family: Family,
    dropped: &'d mut Vec<Field>,
}

impl<'a> ContentsEncoder<'a, '_> {
    fn contents(mut self) -> Result<(Option<WireContent<'a>>, Vec<WireContent<'a>>)> {
        let conversation = self.conversation;
        if conversation.messages.iter().any(|it| it.name.is_some()) {
            self.drop(Field::MessageName);
        }

        let whole = alternating_roles::alternating(conversation);
        let mut system = vec![];
        for part in &whole.system {
            self.part(part, &mut system)?;
        }

        let mut contents: Vec<WireContent<'a>> = vec![];
        for (side, parts_of_side) in &whole.messages {
            let mut parts = vec![];
            for part in parts_of_side {
                self.part(part, &mut parts)?;
            }
            let role = match side {
                Side::User => "user",
                Side::Assistant => "model",
            };
            // Neighbours of one side are joined: Google refuses two in a row, and empty ones.
            match contents.last_mut() {
                _ if parts.is_empty() => {}
                Some(last) if last.role == Some(role) => last.parts.append(&mut parts),
                _ => contents.push(WireContent { role: Some(role), parts }),
            }
        }

        if self.family == Family::Level {
            fill_missing_signatures(&mut contents);
        }
        let system = (!system.is_empty()).then_some(WireContent { role: None, parts: system });
        Ok((system, contents))
    }

    fn drop(&mut self, field: Field) {
        size_limits::note(self.dropped, field);
    }

    fn part(&mut self, part: &'a Part, out: &mut Vec<WirePart<'a>>) -> Result<()> {
        let Part { content, cache, signature } = part;
        if cache.is_some() {
            self.drop(Field::Cache);
        }
        // Google refuses a signature that another maker gave.
        let signature = signature.as_ref().filter(|it| it.maker == MAKER);
        let written = match content {
            Content::Text(text, citations) => {
                if !citations.is_empty() {
                    self.drop(Field::Citations);
                }
                // Google refuses empty ones.
                if text.is_empty() && signature.is_none() {
                    return Ok(());
                }
                WirePart::text(text.as_str())
            }
            Content::Refusal(text) => {
                // Named, because a refusal reads like any text here.
                self.drop(Field::Refusal);
                WirePart::text(text.as_str())
            }
            Content::Reasoning(text) => {
                if let Some(signature) = signature {
                    reasoning(text, signature, out);
                } else if !text.is_empty() && part.signature.is_none() {
                    self.drop(Field::ReasoningText);
                }
                return Ok(());
            }
            Content::Image(it) => self.media(it, &Field::Image)?,
            Content::Audio(it) => self.media(it, &Field::Audio)?,
            Content::Video(it) => self.media(it, &Field::Video)?,
            Content::File(it) => self.media(it, &Field::File)?,
            Content::ToolCall(ToolCall { id, name, arguments }) => {
                let args = arguments::object_or_wrapped(arguments);
                WirePart::call(FunctionCall {
                    id: id.as_str().into(),
                    name: name.as_str().into(),
                    args,
                })
            }
            Content::ToolResult(result) => return self.result(result, out),
        };
        out.push(written.signed(signature));
        Ok(())
    }

    fn media(&mut self, media: &'a Media, field: &Field) -> Result<WirePart<'a>> {
        let Media { source: _, media_type: _, name, detail } = media;
        if name.is_some() {
            self.drop(Field::FileName);
        }
        if detail.as_deref().is_some_and(|it| it != "auto") {
            self.drop(Field::ImageDetail);
        }
        Ok(match media::encode(media, &field.openai_chat_name(), self.family == Family::Old)? {
            EncodedMedia::Inline(data, kind) => WirePart::inline(kind, data),
            EncodedMedia::Uri(uri, kind) => WirePart::file(uri, kind.map(Cow::Owned)),
            EncodedMedia::Text(text) => WirePart::text(text),
        })
    }

    /// Writes a result. Models before 3 take media beside it, later ones within.
    fn result(&mut self, result: &'a ToolResult, out: &mut Vec<WirePart<'a>>) -> Result<()> {
        let ToolResult { id, name, parts, is_error } = result;
        // Google finds the call of a result by the tool's name, which other formats do not repeat.
        let named =
            name.as_deref().or_else(|| self.tools.get(id.as_str()).copied()).ok_or_else(|| {
                let message = format!(
                    "A tool result names the call `{id}`, but no call before it has that id."
                );
                Error::invalid("messages[].tool_call_id", message)
            })?;

        let (mut texts, mut media) = (vec![], vec![]);
        for part in parts {
            match &part.content {
                Content::Text(text, _) | Content::Refusal(text) => texts.push(text.as_str()),
                _ => self.part(part, &mut media)?,
            }
        }

        let text = match texts.as_slice() {
            [text] => Cow::Borrowed(*text),
            _ => Cow::Owned(texts.join("\n")),
        };
        let response = match is_error {
            // `output` and `error` are the names that the reference gives for both outcomes.
            Some(true) => Outcome { error: Some(Value::Text(text)), output: None },
            _ => Outcome { output: Some(value(text)), error: None },
        };

        let within = if self.family == Family::Level { std::mem::take(&mut media) } else { vec![] };
        let function_response = FunctionResponse {
            id: id.as_str().into(),
            name: named.into(),
            response,
            parts: within,
        };
        out.push(WirePart { function_response: Some(function_response), ..WirePart::default() });
        out.append(&mut media);
        Ok(())
    }
}

/// Signed reasoning: a part of its own, or the signature of what stands before it. Google signs
/// texts and images too, which no other format can do.
fn reasoning<'a>(text: &'a str, signature: &'a Signature, out: &mut Vec<WirePart<'a>>) {
    let last = out.last_mut().filter(|it| {
        text.is_empty()
            && it.thought_signature.is_none()
            && it.function_response.is_none()
            // A call has a signature of its own, which must not be another part's.
            && it.function_call.is_none()
    });
    match last {
        Some(last) => last.thought_signature = Some(signature::written(signature)),
        None if text.is_empty() => out.push(WirePart::text("").signed(Some(signature))),
        None => out.push(WirePart::reasoning(text).signed(Some(signature))),
    }
}

/// The text of a result, as the JSON that it is. Google would follow a `$ref` within.
fn value(text: Cow<'_, str>) -> Value<'_> {
    let Cow::Borrowed(text) = text else { return Value::Text(text) };
    // Numbers and quoted texts stay text: a tool that returns `5` returns a text, as far as anybody
    // knows.
    let is_json = text.trim_start().starts_with(['{', '[']) && !text.contains("\"$ref\"");
    match serde_json::from_str::<&RawValue>(text) {
        Ok(json) if is_json => Value::Json(json),
        _ => Value::Text(Cow::Borrowed(text)),
    }
}

/// Gives the first call of every step of the current message, where it has no signature, the one that
/// stands for none: without it Gemini 3 refuses the request.
fn fill_missing_signatures(contents: &mut [WireContent<'_>]) {
    let is_of_user = |it: &WireContent<'_>| {
        it.role == Some("user") && it.parts.iter().all(|it| it.function_response.is_none())
    };
    // Signatures of earlier messages are not checked, only those behind the last question.
    let start = contents.iter().rposition(is_of_user).unwrap_or(0);
    for content in contents.iter_mut().skip(start).filter(|it| it.role == Some("model")) {
        let first = content.parts.iter_mut().find(|it| it.function_call.is_some());
        if let Some(part) = first {
            // The first call alone: of parallel calls Gemini signs no other (ai.google.dev,
            // *Thought signatures*).
            part.thought_signature.get_or_insert(Cow::Borrowed(signature::SKIP));
        }
    }
}

#[cfg(test)]
mod tests;
