//! Pieces of an answer of another format, written as chunks.

use bytes::Bytes;
use canonical::{Event, EventKind, Piece, Request, Signature, Usage};
use serde::Serialize;

use super::{
    answer::{AnnotationJson, CallJson, FunctionJson, PictureJson, annotation, picture},
    finish,
    reader::DONE,
    thoughts, wire,
};
use crate::json;

/// Writes pieces as chunks.
#[derive(Debug)]
pub(super) struct Chunks {
    id: String,
    model: String,
    created: u64,
    wants_usage: bool,
    usage: Option<Usage>,
    choices: Vec<Choice>,
}

/// What was written of one choice.
#[derive(Debug, Default)]
struct Choice {
    begun: bool,
    /// Whether each call has arguments yet.
    calls: Vec<bool>,
    /// The thought that is being written.
    thought: String,
    /// The first thought that was proven, and not yet given to a call.
    proven: Option<(String, Signature)>,
    proofs: usize,
    sources: usize,
    pictures: usize,
}

/// What a list goes on with. OpenAI's SDK tells by the index what is new, and fails without one.
#[derive(Serialize)]
struct Numbered<T> {
    index: usize,
    #[serde(flatten)]
    item: T,
}

impl<T> Numbered<T> {
    fn next(item: T, count: &mut usize) -> Self {
        *count += 1;
        Self { index: *count - 1, item }
    }
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [ChunkChoice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<wire::UsageJson>,
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: u32,
    delta: Delta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasoning_details: Vec<Numbered<thoughts::Detail>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<Numbered<AnnotationJson>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<Numbered<PictureJson>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<CallJson>,
}

impl Chunks {
    pub(super) fn new(request: &Request) -> Self {
        Self {
            id: format!("chatcmpl-{:x}", request.arrived),
            model: request.model.clone().unwrap_or_default(),
            created: request.arrived / 1000,
            wants_usage: request.wants_usage,
            usage: None,
            choices: vec![],
        }
    }

    /// Writes one piece, as none, one or more frames.
    pub(super) fn write(&mut self, choice: u32, piece: Piece, usage: Option<Usage>) -> Vec<Event> {
        self.usage = usage.or(self.usage);
        match piece {
            Piece::Start { id, model } => {
                self.id = id.unwrap_or_else(|| std::mem::take(&mut self.id));
                self.model = model.unwrap_or_else(|| std::mem::take(&mut self.model));
                vec![]
            }
            Piece::Report => vec![],
            Piece::End => self.end(),
            piece => self.said(choice, &piece),
        }
    }

    fn said(&mut self, index: u32, piece: &Piece) -> Vec<Event> {
        let at = index as usize;
        if self.choices.len() <= at {
            self.choices.resize_with(at + 1, Choice::default);
        }
        let mut events = vec![];
        let choice = &mut self.choices[at];
        if !std::mem::replace(&mut choice.begun, true) {
            let role = Delta { role: Some("assistant"), content: Some(""), ..Delta::default() };
            events.push(self.frame(EventKind::Prelude, index, role, None));
        }
        if let Piece::Finish(reason) = piece {
            let missing = self.choices[at].without_arguments();
            if !missing.is_empty() {
                let delta = Delta { tool_calls: missing, ..Delta::default() };
                events.push(self.frame(EventKind::Content, index, delta, None));
            }
            let reason = Some(finish::word(reason));
            events.push(self.frame(EventKind::Finish, index, Delta::default(), reason));
        } else if let Some(delta) = self.choices[at].delta(piece) {
            events.push(self.frame(EventKind::Content, index, delta, None));
        }
        events
    }

    fn frame(
        &self,
        kind: EventKind,
        index: u32,
        delta: Delta<'_>,
        finish_reason: Option<&'static str>,
    ) -> Event {
        let choice = ChunkChoice { index, delta, logprobs: None, finish_reason };
        Event::frame(kind, None, self.written(&[choice], None))
    }

    fn written(&self, choices: &[ChunkChoice<'_>], usage: Option<wire::UsageJson>) -> Bytes {
        let chunk = Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: &self.model,
            choices,
            usage,
        };
        [b"data: ", &json::written(&chunk)[..], b"\n\n"].concat().into()
    }

    fn end(&self) -> Vec<Event> {
        let usage = self.usage.as_ref().filter(|_| self.wants_usage).map(wire::written);
        let report =
            usage.map(|it| Event::frame(EventKind::Report, None, self.written(&[], Some(it))));
        let done = Event::frame(EventKind::End, None, Bytes::from_static(DONE));
        report.into_iter().chain([done]).collect()
    }
}

impl Choice {
    /// What a client reads of a piece; none where the format has no word for it.
    fn delta<'a>(&mut self, piece: &'a Piece) -> Option<Delta<'a>> {
        let mut delta = Delta::default();
        match piece {
            Piece::Text(text) => {
                self.thought.clear();
                delta.content = Some(text);
            }
            Piece::Refusal(text) => delta.refusal = Some(text),
            Piece::Reasoning(text) => {
                self.thought.push_str(text);
                delta.reasoning_content = Some(text);
            }
            Piece::Signature(signature) => {
                let text = std::mem::take(&mut self.thought);
                let detail = thoughts::Detail::new(&text, signature);
                delta.reasoning_details.push(Numbered::next(detail, &mut self.proofs));
                self.proven.get_or_insert((text, signature.clone()));
            }
            Piece::Citation(citation) => {
                let source = annotation(citation)?;
                delta.annotations.push(Numbered::next(source, &mut self.sources));
            }
            Piece::ToolCall { call, id, name, signature } => {
                let thought = self.proven.take();
                let thought = thought.as_ref().map(|(text, signature)| (text.as_str(), signature));
                self.calls.resize(self.calls.len().max(call + 1), false);
                delta.tool_calls.push(CallJson {
                    index: Some(*call),
                    id: Some(thoughts::on_id(id, signature.as_ref(), thought)),
                    r#type: Some("function"),
                    function: FunctionJson { name: Some(name.clone()), arguments: String::new() },
                });
            }
            Piece::Arguments { call, json } => {
                self.calls.resize(self.calls.len().max(call + 1), false);
                self.calls[*call] = true;
                delta.tool_calls.push(arguments(*call, json.clone()));
            }
            Piece::Image(media) => {
                delta.images.push(Numbered::next(picture(media)?, &mut self.pictures));
            }
            Piece::Audio(_)
            | Piece::Video(_)
            | Piece::File(_)
            | Piece::Start { .. }
            | Piece::Finish(_)
            | Piece::Report
            | Piece::End => return None,
        }
        Some(delta)
    }

    /// What calls without arguments still need: clients parse an empty text as a fault.
    fn without_arguments(&self) -> Vec<CallJson> {
        let calls = self.calls.iter().enumerate().filter(|it| !it.1);
        calls.map(|(call, _)| arguments(call, "{}".to_owned())).collect()
    }
}

fn arguments(call: usize, arguments: String) -> CallJson {
    CallJson {
        index: Some(call),
        id: None,
        r#type: None,
        function: FunctionJson { name: None, arguments },
    }
}
