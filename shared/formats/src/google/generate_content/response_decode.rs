//! Decodes responses, whole or chunk by chunk.

use bytes::Bytes;
use canonical::{
    ChatResponse, Choice, Citation, Content, Delta, FinishReason, Media, MediaSource, Part,
    Signature, StreamEvent, ToolCall, Usage,
};
use canonical::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{cited_text::CitedText, media, signature, wire};
use crate::{base64, fingerprint::fingerprint_of_bytes, json};

/// Decodes a whole response.
pub(super) fn decode(wire: wire::ChatResponse<'_>, body: &Bytes) -> Result<ChatResponse> {
    let blocked = wire.is_blocked();
    let name = call_prefix(wire.response_id.as_deref(), body);
    let mut choices: Vec<Choice> = vec![];
    for (at, candidate) in wire.candidates.unwrap_or_default().into_iter().enumerate() {
        let mut candidate_decoder = CandidateDecoder::new(&name, at);
        let mut parts = candidate_decoder.parts(&candidate)?;
        for citation in candidate_decoder.citations(&candidate) {
            let text = parts.iter_mut().rev().find_map(|it| match &mut it.content {
                Content::Text(_, citations) => Some(citations),
                _ => None,
            });
            text.into_iter().for_each(|it| it.push(citation.clone()));
        }
        let finish = candidate_decoder.ending(candidate.finish()?.unwrap_or(FinishReason::Stop));
        choices.push(Choice { parts, finish_reason: finish });
    }

    // A response has a choice, if only to say why there is nothing in it.
    if blocked {
        choices.push(Choice { parts: vec![], finish_reason: FinishReason::Filtered });
    }

    if choices.is_empty() {
        return Err(Error::new(ErrorKind::Upstream, "returned a response without candidates"));
    }
    Ok(ChatResponse { id: wire.response_id, model: wire.model_version, choices })
}

/// Decodes the chunks of one stream.
#[derive(Debug, Default)]
pub(super) struct DeltaDecoder {
    /// How the ids of its calls begin; empty before its first chunk.
    name: String,
    candidates: Vec<(CandidateDecoder, Option<FinishReason>)>,
    usage: Option<Usage>,
}

impl DeltaDecoder {
    /// Decodes one chunk.
    pub(super) fn read(
        &mut self,
        wire: wire::ChatResponse<'_>,
        data: &[u8],
        events: &mut Vec<StreamEvent>,
    ) -> Result<()> {
        let first = events.len();
        let blocked = wire.is_blocked();
        if self.name.is_empty() {
            self.name = call_prefix(wire.response_id.as_deref(), data);
            let start = Delta::Start { id: wire.response_id, model: wire.model_version };
            events.push(StreamEvent::delta(0, start));
        }

        for (at, candidate) in wire.candidates.iter().flatten().enumerate() {
            // Google leaves the index out where it is 0.
            let choice = candidate.index.map_or(at, |it| it as usize);
            let (candidate_decoder, finish) = self.candidate_decoder(choice)?;
            let parts = candidate_decoder.parts(candidate)?;
            let cited = candidate_decoder.citations(candidate);
            // A chunk behind the finish may bring usage or sources; the reason stays.
            *finish = candidate.finish()?.or(finish.take());
            let choice = u32::try_from(choice).unwrap_or(u32::MAX);
            // The decoder has counted those of this chunk already.
            let calls = candidate_decoder.calls - parts.iter().filter(|it| is_call(it)).count();
            let mut decoded = vec![];
            parts.into_iter().fold(calls, |call, part| push_deltas(part, call, &mut decoded));
            decoded.extend(cited.into_iter().map(Delta::Citation));
            events.extend(decoded.into_iter().map(|it| StreamEvent::delta(choice, it)));
        }
        if blocked {
            self.candidate_decoder(0)?.1 = Some(FinishReason::Filtered);
        }

        if let Some(usage) = wire.usage_metadata.and_then(wire::usage) {
            self.usage = Some(usage);
            match events.get_mut(first..).and_then(|it| it.last_mut()) {
                Some(last) => last.usage = Some(usage),
                None => events.push(StreamEvent::delta(0, Delta::Usage).with_usage(Some(usage))),
            }
        }
        Ok(())
    }

    /// Whether every candidate has a finish reason.
    pub(super) fn is_whole(&self) -> bool {
        !self.candidates.is_empty() && self.candidates.iter().all(|it| it.1.is_some())
    }

    /// Adds the events that end the stream.
    pub(super) fn close(&mut self, events: &mut Vec<StreamEvent>) {
        for (choice, (candidate_decoder, finish)) in (0..).zip(&mut self.candidates) {
            let finish = candidate_decoder.ending(finish.take().unwrap_or(FinishReason::Stop));
            events.push(StreamEvent::delta(choice, Delta::Finish(finish)));
        }
        events.push(StreamEvent::delta(0, Delta::End).with_usage(self.usage));
    }

    fn candidate_decoder(
        &mut self,
        choice: usize,
    ) -> Result<&mut (CandidateDecoder, Option<FinishReason>)> {
        // One more than there may be, so that a larger index is found missing below.
        while self.candidates.len() <= choice.min(MAX_CANDIDATES) {
            self.candidates.push((CandidateDecoder::new(&self.name, self.candidates.len()), None));
        }
        self.candidates.get_mut(choice).ok_or_else(wrong_index)
    }
}

fn wrong_index() -> Error {
    Error::new(ErrorKind::Upstream, "numbers its candidates wrongly")
}

/// How many citations one chunk can have.
const MAX_CITATIONS: usize = 256;
/// How long the address and the title of a page may be together: several citations repeat them.
const MAX_PAGE_BYTES: usize = 16 * 1024;
/// How many candidates there can be.
const MAX_CANDIDATES: usize = 128;

fn is_call(part: &Part) -> bool {
    matches!(part.content, Content::ToolCall(_))
}

/// Adds a part as deltas, and returns the number of the next call.
fn push_deltas(part: Part, call: usize, decoded: &mut Vec<Delta>) -> usize {
    let Part { content, cache: _, signature } = part;
    let delta = match content {
        Content::Text(text, _) => Delta::Text(text),
        Content::Refusal(text) => Delta::Refusal(text),
        Content::Reasoning(text) => Delta::Reasoning(text),
        Content::Image(media) => Delta::Image(media),
        Content::Audio(media) => Delta::Audio(media),
        Content::Video(media) => Delta::Video(media),
        Content::File(media) => Delta::File(media),
        Content::ToolCall(ToolCall { id, name, arguments }) => {
            decoded.push(Delta::ToolCall { call, id, name, signature });
            // No delta means an empty object, in every encoder.
            if arguments != "{}" {
                decoded.push(Delta::Arguments { call, json: arguments });
            }
            return call + 1;
        }
        Content::ToolResult(_) => return call,
    };
    if !matches!(&delta, Delta::Reasoning(text) if text.is_empty()) {
        decoded.push(delta);
    }
    decoded.extend(signature.map(Delta::Signature));
    call
}

/// Decodes one candidate.
#[derive(Debug)]
struct CandidateDecoder {
    /// How the ids of its calls begin.
    prefix: String,
    calls: usize,
    /// The candidate's text so far, into which citations point.
    text: CitedText,
}

impl CandidateDecoder {
    fn new(name: &str, choice: usize) -> Self {
        let prefix = if choice == 0 { name.to_owned() } else { format!("{name}_{choice}") };
        Self { prefix, calls: 0, text: CitedText::default() }
    }

    /// The parts of a candidate in this chunk.
    fn parts(&mut self, candidate: &wire::Candidate<'_>) -> Result<Vec<Part>> {
        let Some(content) = candidate.content else { return Ok(vec![]) };
        let content: wire::Content<'_> = serde_json::from_str(content.get()).map_err(|error| {
            let message = "returned content of an unknown shape";
            Error::new(ErrorKind::Upstream, message).caused_by(json::unquoted(&error))
        })?;
        let mut parts = vec![];
        for part in content.parts.unwrap_or_default() {
            let signature = part.thought_signature.as_deref().and_then(signature::read);
            if let Some(content) = self.content(part) {
                push(&mut parts, content, signature);
            } else if let Some(signature) = signature {
                push(&mut parts, Content::Reasoning(String::new()), Some(signature));
            }
        }
        Ok(parts)
    }

    /// The content of a part; none where it is empty or no other format has it.
    fn content(&mut self, part: wire::Part<'_>) -> Option<Content> {
        if let Some(call) = part.function_call {
            return Some(Content::ToolCall(self.call(call)));
        }

        let is_reasoning = part.thought == Some(true);
        if is_reasoning && part.text.is_none() {
            // An intermediate image: no other format has reasoning in images.
            return None;
        }

        if let Some(blob) = part.inline_data {
            let source = MediaSource::Base64(base64::standard(blob.data));
            return Some(media::content(Media {
                source,
                media_type: blob.mime_type,
                ..Media::default()
            }));
        }
        if let Some(file) = part.file_data {
            let source = media::source(file.file_uri);
            return Some(media::content(Media {
                source,
                media_type: file.mime_type,
                ..Media::default()
            }));
        }

        let text = part.text?;
        if is_reasoning {
            return Some(Content::Reasoning(text));
        }
        self.text.push(&text);
        (!text.is_empty()).then_some(Content::Text(text, vec![]))
    }

    fn call(&mut self, call: wire::FunctionCall<'_>) -> ToolCall {
        let made = || format!("{}_{}", self.prefix, self.calls);
        let id = call.id.filter(|it| !it.is_empty()).unwrap_or_else(made);
        self.calls += 1;
        let arguments = call.args.map_or("{}", RawValue::get).to_owned();
        ToolCall { id, name: call.name.unwrap_or_default(), arguments }
    }

    /// The finish reason, or `ToolCalls` where tools are to be called: Google has no reason for
    /// that.
    fn ending(&self, finish: FinishReason) -> FinishReason {
        if finish == FinishReason::Stop && 0 < self.calls {
            FinishReason::ToolCalls
        } else {
            finish
        }
    }

    /// Where the text comes from, as far as this candidate says so.
    fn citations(&self, candidate: &wire::Candidate<'_>) -> Vec<Citation> {
        // Works that the text repeats, and below the pages that a search has found.
        let quoted: CitationMetadata = read(candidate.citation_metadata);
        let grounded: Grounding = read(candidate.grounding_metadata);
        let mut found = vec![];
        for source in quoted.citations.into_iter().take(MAX_CITATIONS) {
            let range = self.range(source.start_index, source.end_index);
            found.push(Citation { url: source.uri, title: source.title, quote: None, range });
        }
        for support in grounded.grounding_supports.into_iter().take(MAX_CITATIONS) {
            let range = self.range(support.segment.start_index, support.segment.end_index);
            let pages = support.grounding_chunk_indices.iter().take(MAX_CITATIONS);
            let pages = pages.filter_map(|it| grounded.grounding_chunks.get(*it)?.web.as_ref());
            for page in pages.filter(|it| it.is_short()).take(MAX_CITATIONS - found.len()) {
                let (url, title) = (page.uri.clone(), page.title.clone());
                found.push(Citation { url, title, quote: None, range });
            }
        }
        found
    }

    /// A range of bytes of the text, in characters.
    fn range(&self, start: Option<usize>, end: Option<usize>) -> Option<(u64, u64)> {
        let count = |end: usize| u64::try_from(self.text.chars(end)?).ok();
        Some((count(start.unwrap_or(0))?, count(end?)?))
    }
}

/// Parses what only other formats need; the default where its shape is unknown.
fn read<'a, T: Default + Deserialize<'a>>(json: Option<&'a RawValue>) -> T {
    json.and_then(|it| serde_json::from_str(it.get()).ok()).unwrap_or_default()
}

/// Adds a part. Texts and reasoning that follow each other are one; a signature on a text becomes a
/// reasoning of its own behind it, because no other format signs texts.
pub(super) fn push(parts: &mut Vec<Part>, content: Content, signature: Option<Signature>) {
    let signed = signature.is_some();
    match (parts.last_mut(), content) {
        (Some(Part { content: Content::Text(decoded, _), .. }), Content::Text(more, _)) => {
            decoded.push_str(&more);
        }
        (
            Some(Part { content: Content::Reasoning(decoded), signature: open @ None, .. }),
            Content::Reasoning(more),
        ) => {
            decoded.push_str(&more);
            *open = signature;
            return;
        }
        (_, content @ (Content::Reasoning(_) | Content::ToolCall(_))) => {
            if signed || content != Content::Reasoning(String::new()) {
                parts.push(Part { content, cache: None, signature });
            }
            return;
        }
        (_, content) => parts.push(Part::new(content)),
    }
    if signed {
        parts.push(Part { content: Content::Reasoning(String::new()), cache: None, signature });
    }
}

/// How the ids of a response's calls begin, where Google gives none: letters, digits, `_` and `-`.
fn call_prefix(id: Option<&str>, bytes: &[u8]) -> String {
    let plain = |it: &char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-');
    let id: String = id.unwrap_or_default().chars().filter(plain).take(24).collect();
    if !id.is_empty() {
        return format!("call_{id}");
    }
    // The ids of calls in two messages must differ, nothing more.
    format!("call_{:016x}", fingerprint_of_bytes(bytes))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CitationMetadata {
    #[serde(alias = "citationSources")]
    citations: Vec<Quoted>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Quoted {
    start_index: Option<usize>,
    end_index: Option<usize>,
    uri: Option<String>,
    title: Option<String>,
}

impl Quoted {
    fn is_short(&self) -> bool {
        let length = |it: &Option<String>| it.as_ref().map_or(0, String::len);
        length(&self.uri) + length(&self.title) <= MAX_PAGE_BYTES
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Grounding {
    grounding_chunks: Vec<Chunk>,
    grounding_supports: Vec<Support>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Chunk {
    web: Option<Quoted>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Support {
    segment: Quoted,
    grounding_chunk_indices: Vec<usize>,
}
