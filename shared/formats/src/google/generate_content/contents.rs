//! What was said so far, as a provider of this format wants it.

use std::{borrow::Cow, collections::HashMap};

use canonical::{
    Content, Conversation, Error, Field, Media, Part as Said, Result, Signature, ToolCall,
    ToolResult,
};
use serde_json::value::RawValue;

use super::{
    MAKER,
    media::{self, Taken},
    model::Family,
    parts::{Content as Wire, FunctionCall, FunctionResponse, Outcome, Part, Value},
    signature,
};
use crate::{
    arguments, bound,
    turns::{self, Side},
};

/// The rules, and what the sides say; what cannot be said is added to `dropped`.
pub(super) fn of<'a>(
    conversation: &'a Conversation,
    family: Family,
    dropped: &mut Vec<Field>,
) -> Result<(Option<Wire<'a>>, Vec<Wire<'a>>)> {
    let parts = conversation.messages.iter().flat_map(|it| &it.parts);
    let call = |part: &'a Said| match &part.content {
        Content::ToolCall(call) => Some((call.id.as_str(), call.name.as_str())),
        _ => None,
    };
    let tools = parts.filter_map(call).collect();
    let (rules, contents) = Writer { conversation, tools, family, dropped }.contents()?;
    if contents.is_empty() { Err(turns::nothing_asked()) } else { Ok((rules, contents)) }
}

/// What was said so far, while it is written.
struct Writer<'a, 'd> {
    conversation: &'a Conversation,
    /// The tool of each call.
    tools: HashMap<&'a str, &'a str>,
    family: Family,
    dropped: &'d mut Vec<Field>,
}

impl<'a> Writer<'a, '_> {
    fn contents(mut self) -> Result<(Option<Wire<'a>>, Vec<Wire<'a>>)> {
        let conversation = self.conversation;
        if conversation.messages.iter().any(|it| it.name.is_some()) {
            self.drop(Field::MessageName);
        }
        let whole = turns::alternating(conversation);
        let mut rules = vec![];
        for part in &whole.rules {
            self.part(part, &mut rules)?;
        }
        let mut contents: Vec<Wire<'a>> = vec![];
        for (side, said) in &whole.turns {
            let mut parts = vec![];
            for part in said {
                self.part(part, &mut parts)?;
            }
            let role = match side {
                Side::User => "user",
                Side::Assistant => "model",
            };
            match contents.last_mut() {
                _ if parts.is_empty() => {}
                Some(last) if last.role == Some(role) => last.parts.append(&mut parts),
                _ => contents.push(Wire { role: Some(role), parts }),
            }
        }
        if self.family == Family::Level {
            excuse(&mut contents);
        }
        if contents.is_empty() && !rules.is_empty() {
            // Rules alone are what is asked.
            return Ok((None, vec![Wire { role: Some("user"), parts: rules }]));
        }
        let rules = (!rules.is_empty()).then_some(Wire { role: None, parts: rules });
        Ok((rules, contents))
    }

    fn drop(&mut self, field: Field) {
        bound::note(self.dropped, field);
    }

    fn part(&mut self, part: &'a Said, out: &mut Vec<Part<'a>>) -> Result<()> {
        let Said { content, cache, signature } = part;
        if cache.is_some() {
            self.drop(Field::Cache);
        }
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
                Part::text(text.as_str())
            }
            Content::Refusal(text) => {
                self.drop(Field::Refusal);
                Part::text(text.as_str())
            }
            Content::Reasoning(text) => {
                if let Some(signature) = signature {
                    thought(text, signature, out);
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
                let args = arguments::told(arguments);
                Part::call(FunctionCall {
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

    fn media(&mut self, media: &'a Media, field: &Field) -> Result<Part<'a>> {
        let Media { source: _, media_type: _, name, detail } = media;
        if name.is_some() {
            self.drop(Field::FileName);
        }
        if detail.as_deref().is_some_and(|it| it != "auto") {
            self.drop(Field::ImageDetail);
        }
        Ok(match media::taken(media, &field.openai_chat_name(), self.family == Family::Old)? {
            Taken::Inline(data, kind) => Part::inline(kind, data),
            Taken::Uri(uri, kind) => Part::file(uri, kind.map(Cow::Owned)),
            Taken::Text(text) => Part::text(text),
        })
    }

    /// Writes a result. Models before 3 take media beside it, later ones within.
    fn result(&mut self, result: &'a ToolResult, out: &mut Vec<Part<'a>>) -> Result<()> {
        let ToolResult { id, name, parts, is_error } = result;
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
            Some(true) => Outcome { error: Some(Value::Text(text)), output: None },
            _ => Outcome { output: Some(value(text)), error: None },
        };
        let within = if self.family == Family::Level { std::mem::take(&mut media) } else { vec![] };
        let answer = FunctionResponse {
            id: id.as_str().into(),
            name: named.into(),
            response,
            parts: within,
        };
        out.push(Part { function_response: Some(answer), ..Part::default() });
        out.append(&mut media);
        Ok(())
    }
}

/// A signed thought: a part of its own, or the signature of what stands before it. Google signs
/// texts and pictures too, which no other format can do.
fn thought<'a>(text: &'a str, signature: &'a Signature, out: &mut Vec<Part<'a>>) {
    let last = out.last_mut().filter(|it| {
        text.is_empty()
            && it.thought_signature.is_none()
            && it.function_response.is_none()
            && it.function_call.is_none()
    });
    match last {
        Some(last) => last.thought_signature = Some(signature::written(signature)),
        None if text.is_empty() => out.push(Part::text("").signed(Some(signature))),
        None => out.push(Part::thought(text).signed(Some(signature))),
    }
}

/// The text of a result, as the JSON that it is. Google would follow a `$ref` within.
fn value(text: Cow<'_, str>) -> Value<'_> {
    let Cow::Borrowed(text) = text else { return Value::Text(text) };
    let is_json = text.trim_start().starts_with(['{', '[']) && !text.contains("\"$ref\"");
    match serde_json::from_str::<&RawValue>(text) {
        Ok(json) if is_json => Value::Json(json),
        _ => Value::Text(Cow::Borrowed(text)),
    }
}

/// Gives the first call of every step of the current turn, where it has no signature, the one that
/// stands for none: without it Gemini 3 refuses the request.
fn excuse(contents: &mut [Wire<'_>]) {
    let asks = |it: &Wire<'_>| {
        it.role == Some("user") && it.parts.iter().all(|it| it.function_response.is_none())
    };
    let start = contents.iter().rposition(asks).unwrap_or(0);
    for content in contents.iter_mut().skip(start).filter(|it| it.role == Some("model")) {
        let first = content.parts.iter_mut().find(|it| it.function_call.is_some());
        if let Some(part) = first {
            part.thought_signature.get_or_insert(Cow::Borrowed(signature::SKIP));
        }
    }
}

#[cfg(test)]
mod tests;
