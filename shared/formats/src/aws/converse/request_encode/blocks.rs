//! Encodes messages and their parts as blocks.
//!
//! Blank texts are refused, so they are left out. Documents need a text beside them, and images
//! and documents are the user's alone.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use canonical::{
    CacheBreakpoint, Content, Conversation, Error, ErrorKind, Field, Part, Result, Signature,
    ToolCall, ToolResult,
};

use super::media;
use crate::aws::converse::{
    MAKER, REDACTED,
    quirks::models::Family,
    wire::{self, Block, CachePoint, WireMessage},
};
use crate::{
    alternating_roles::{Side, alternating},
    arguments,
    fingerprint::fingerprint,
};

/// How long an id may be, in bytes.
const MAX_ID_LENGTH: usize = 64;
/// The result of a tool that failed without a text: a failure may not be empty
/// (aws-samples/sample-multi-agent-orchestration-chat-on-agentcore #15, seen 2026-11).
const FAILED: &str = "The tool failed.";

/// The text before documents that come without one.
const DOCUMENTS: &str = "These documents belong to the conversation.";

/// The system prompt and the messages as Converse has them.
pub(crate) struct EncodedMessages<'a> {
    pub(crate) system: Vec<Block<'a>>,
    pub(crate) messages: Vec<WireMessage<'a>>,
    pub(crate) dropped: Vec<Field>,
}

/// Encodes every message.
pub(crate) fn encode_messages(
    conversation: &Conversation,
    family: Family,
) -> Result<EncodedMessages<'_>> {
    let whole = alternating(conversation);
    let mut encoder = MessagesEncoder { family, names: HashMap::new(), dropped: vec![] };

    let mut messages: Vec<WireMessage<'_>> = vec![];
    let mut open = Open::new();
    for (side, parts) in &whole.messages {
        // By the client's own ids, before they are shortened: the message names them.
        check_results(*side, parts, &mut open)?;
        let content = encoder.side(*side, parts)?;
        let role = if *side == Side::User { "user" } else { "assistant" };
        match messages.last_mut() {
            _ if content.is_empty() => {}
            // A message between the two came out empty, and Converse refuses two of one side in a
            // row.
            Some(last) if last.role == role => last.content.extend(content),
            _ => messages.push(WireMessage { role, content }),
        }
    }

    check(&messages)?;
    introduce_documents(&mut messages);
    // A beginning that the model continues must not end with white space.
    if let Some(WireMessage { role: "assistant", content }) = messages.last_mut()
        && let Some(Block::Text(text)) = content.last_mut()
    {
        *text = text.trim_end();
    }

    if let Some(mark) = &conversation.cache
        && let Some(last) = messages.last_mut()
    {
        encoder.mark(mark, &mut last.content);
    }

    let mut system = vec![];
    for part in whole.system {
        encoder.system_part(part, &mut system);
    }
    if conversation.messages.iter().any(|it| it.name.is_some()) {
        encoder.dropped.push(Field::MessageName);
    }
    Ok(EncodedMessages { system, messages, dropped: encoder.dropped })
}

/// Checks what Converse demands of all messages.
fn check(messages: &[WireMessage<'_>]) -> Result<()> {
    let starts = messages.first().is_some_and(|it| it.role == "user");
    if !starts {
        let message = "needs at least one message that is not blank";
        return Err(unsupported("messages", message));
    }
    Ok(())
}

/// Puts a text before documents that stand alone, because Converse refuses them without one.
fn introduce_documents(messages: &mut [WireMessage<'_>]) {
    for WireMessage { content, .. } in messages {
        let has_document = content.iter().any(|it| matches!(it, Block::Document(_)));
        if has_document && !content.iter().any(|it| matches!(it, Block::Text(_))) {
            content.insert(0, Block::Text(DOCUMENTS));
        }
    }
}

/// The calls that have no result yet, by their ids, and how many have each.
type Open<'a> = BTreeMap<&'a str, usize>;

/// Each call of a message has its result in the next one, and each result its call. Every provider
/// refuses anything else with a message that says less.
fn check_results<'a>(side: Side, parts: &[&'a Part], open: &mut Open<'a>) -> Result<()> {
    if side == Side::Assistant {
        for part in parts {
            if let Content::ToolCall(call) = &part.content {
                *open.entry(&call.id).or_default() += 1;
            }
        }
        return Ok(());
    }
    for part in parts {
        let Content::ToolResult(result) = &part.content else { continue };
        let Some(count) = open.get_mut(result.id.as_str()) else {
            let message = format!(
                "The result of the tool call `{}` does not follow a call of this id; send each \
                 result once, right behind its call.",
                result.id
            );
            return Err(Error::invalid("messages", message));
        };
        *count -= 1;
        if *count == 0 {
            open.remove(result.id.as_str());
        }
    }
    if let Some((id, _)) = open.first_key_value() {
        let message = format!("The tool call `{id}` has no result; send it right behind the call.");
        return Err(Error::invalid("messages", message));
    }
    Ok(())
}

struct MessagesEncoder {
    family: Family,
    /// Names of documents, each of which may stand once, and how often each was wanted.
    names: HashMap<String, usize>,
    dropped: Vec<Field>,
}

impl MessagesEncoder {
    fn side<'a>(&mut self, side: Side, parts: &[&'a Part]) -> Result<Vec<Block<'a>>> {
        let mut blocks = vec![];
        for part in parts {
            if let Some(block) = self.block(side, part)? {
                blocks.push(block);
            }
            if let Some(mark) = marks(part) {
                self.mark(mark, &mut blocks);
            }
        }
        Ok(blocks)
    }

    /// A cache point follows what it covers; at the start it covers nothing.
    fn mark<'a>(&mut self, mark: &'a CacheBreakpoint, blocks: &mut Vec<Block<'a>>) {
        if blocks.last().is_some_and(|it| !matches!(it, Block::CachePoint(_))) {
            let point = cache_point(mark, self.family, &mut self.dropped);
            blocks.extend(point.map(Block::CachePoint));
        }
    }

    /// The system prompt holds texts only.
    fn system_part<'a>(&mut self, part: &'a Part, blocks: &mut Vec<Block<'a>>) {
        let Part { content, cache, signature: _ } = part;
        match content {
            Content::Text(text, _) => blocks.extend(text_block(text)),
            other => self.dropped.extend(field_of(other)),
        }
        if let Some(mark) = cache {
            self.mark(mark, blocks);
        }
    }

    fn block<'a>(&mut self, side: Side, part: &'a Part) -> Result<Option<Block<'a>>> {
        let Part { content, cache: _, signature } = part;
        Ok(match content {
            Content::Text(text, citations) => {
                if !citations.is_empty() {
                    self.dropped.push(Field::Citations);
                }
                text_block(text)
            }
            Content::Refusal(text) => {
                self.dropped.push(Field::Refusal);
                text_block(text)
            }
            Content::Reasoning(text) => self.reasoning(text, signature.as_ref()),
            Content::ToolCall(call) => Some(Block::ToolUse(tool_use(call))),
            Content::ToolResult(result) => Some(self.result(result)?),
            // Only the user may show something.
            other if side == Side::Assistant => {
                self.dropped.extend(field_of(other));
                None
            }
            other => self.encode_media(other)?,
        })
    }

    /// Encodes an image, audio, a video or a document.
    fn encode_media<'a>(&mut self, content: &'a Content) -> Result<Option<Block<'a>>> {
        Ok(match content {
            Content::Image(media) => {
                if media.detail.as_deref().is_some_and(|it| it != "auto") {
                    self.dropped.push(Field::ImageDetail);
                }
                Some(Block::Image(media::image(media)?))
            }
            Content::Audio(media) => Some(Block::Audio(media::audio(media)?)),
            Content::Video(media) => Some(Block::Video(media::video(media)?)),
            Content::File(media) => {
                if !media::keeps_name(media) {
                    self.dropped.push(Field::FileName);
                }
                Some(Block::Document(media::document(media, &mut self.names)?))
            }
            Content::Text(..)
            | Content::Refusal(_)
            | Content::Reasoning(_)
            | Content::ToolCall(_)
            | Content::ToolResult(_) => None,
        })
    }

    /// Reasoning goes back only to the maker that signed it.
    fn reasoning<'a>(
        &mut self,
        text: &'a str,
        signature: Option<&'a Signature>,
    ) -> Option<Block<'a>> {
        let Some(signature) = signature else {
            self.dropped.push(Field::ReasoningText);
            return None;
        };
        if signature.maker != MAKER || !self.family.reads_signatures() {
            return None;
        }
        let data = signature.data.as_str();
        Some(Block::ReasoningContent(match data.strip_prefix(REDACTED) {
            Some(data) => wire::Reasoning::RedactedContent(data),
            None => wire::Reasoning::ReasoningText { text, signature: data },
        }))
    }

    fn result<'a>(&mut self, result: &'a ToolResult) -> Result<Block<'a>> {
        let ToolResult { id, name: _, parts, is_error } = result;
        let mut content = vec![];
        for part in parts {
            match &part.content {
                Content::Text(text, _) => content.extend(text_block(text)),
                shown @ (Content::Image(_) | Content::Video(_) | Content::File(_)) => {
                    content.extend(self.encode_media(shown)?);
                }
                Content::Refusal(_)
                | Content::Reasoning(_)
                | Content::Audio(_)
                | Content::ToolCall(_)
                | Content::ToolResult(_) => self.dropped.push(Field::ToolResultMedia),
            }
        }
        let mut status = is_error.map(|it| if it { "error" } else { "success" });
        if !self.family.knows_failures() && status.take() == Some("error") {
            self.dropped.push(Field::ToolError);
        }
        if status == Some("error") && content.is_empty() {
            content.push(Block::Text(FAILED));
        }
        Ok(Block::ToolResult(wire::ToolResult { tool_use_id: sanitize_id(id), content, status }))
    }
}

/// The cache breakpoint of a part, or of the last part of a result that has one.
fn marks(part: &Part) -> Option<&CacheBreakpoint> {
    let inner = match &part.content {
        // Converse has no cache point within a result; behind it is the next place.
        Content::ToolResult(result) => result.parts.iter().rev().find_map(|it| it.cache.as_ref()),
        _ => None,
    };
    part.cache.as_ref().or(inner)
}

fn text_block(text: &str) -> Option<Block<'_>> {
    (!text.trim().is_empty()).then_some(Block::Text(text))
}

/// A point up to which everything may be cached.
pub(crate) fn cache_point<'a>(
    mark: &'a CacheBreakpoint,
    family: Family,
    dropped: &mut Vec<Field>,
) -> Option<CachePoint<'a>> {
    if !family.caches() {
        dropped.push(Field::Cache);
        return None;
    }
    let ttl = mark.ttl.as_deref();
    let known = ttl.filter(|it| matches!(*it, "5m" | "1h"));
    if known != ttl {
        dropped.push(Field::CacheTtl);
    }
    Some(CachePoint { kind: "default", ttl: known })
}

fn tool_use(call: &ToolCall) -> wire::ToolUse<'_> {
    let ToolCall { id, name, arguments } = call;
    wire::ToolUse {
        tool_use_id: sanitize_id(id),
        name,
        input: arguments::object_or_wrapped(arguments),
    }
}

/// An id as it is allowed: letters, digits, `_` and `-`, and not too long. The same id gives the
/// same, and another one nearly always another.
fn sanitize_id(id: &str) -> Cow<'_, str> {
    let allowed = |it: &u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-');
    if id.len() <= MAX_ID_LENGTH && id.as_bytes().iter().all(&allowed) {
        return Cow::Borrowed(id);
    }
    // The beginning is kept for whoever reads a log.
    let plain: String = id.bytes().filter(allowed).take(40).map(char::from).collect();
    Cow::Owned(format!("{plain}_{:016x}", fingerprint(id)))
}

/// The field that is dropped with a part.
fn field_of(content: &Content) -> Option<Field> {
    match content {
        Content::Text(..) | Content::ToolCall(_) | Content::ToolResult(_) => None,
        Content::Refusal(_) => Some(Field::Refusal),
        Content::Reasoning(_) => Some(Field::ReasoningText),
        Content::Image(_) => Some(Field::Image),
        Content::Audio(_) => Some(Field::Audio),
        Content::Video(_) => Some(Field::Video),
        Content::File(_) => Some(Field::File),
    }
}

fn unsupported(param: &str, message: &str) -> Error {
    let mut error = Error::new(ErrorKind::Unsupported, message);
    error.param = Some(param.to_owned());
    error
}
