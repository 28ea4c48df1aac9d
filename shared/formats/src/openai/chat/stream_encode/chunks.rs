//! Deltas of another format, encoded as chunks.

use bytes::Bytes;
use canonical::{Delta, EventKind, Signature, StreamEvent, Usage};
use serde::Serialize;

use super::super::{
    finish_reason, reasoning,
    response_encode::{
        AnnotationJson, CallJson, FunctionJson, ImageJson, annotation, completion_id, image,
    },
    stream_passthrough::DONE,
    wire,
};
use crate::{GatewayRequest, json, own_id::own_id};

/// Encodes deltas as chunks.
#[derive(Debug)]
pub(super) struct ChunkEncoder {
    id: String,
    model: String,
    created: u64,
    wants_usage: bool,
    usage: Option<Usage>,
    choices: Vec<Choice>,
}

/// The parts of one choice that are encoded so far.
#[derive(Debug, Default)]
struct Choice {
    has_begun: bool,
    /// Whether each call has arguments yet.
    calls: Vec<bool>,
    /// The reasoning that is being encoded.
    reasoning: String,
    /// The first signed reasoning, until it is attached to a call.
    signed: Option<(String, Signature)>,
    signatures: usize,
    sources: usize,
    images: usize,
}

/// The next item of a list. OpenAI's SDK recognizes by the index what is new, and fails without one.
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
    delta: DeltaJson<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct DeltaJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasoning_details: Vec<Numbered<reasoning::Detail>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<Numbered<AnnotationJson>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<Numbered<ImageJson>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<CallJson>,
}

impl ChunkEncoder {
    pub(super) fn new(request: &GatewayRequest) -> Self {
        Self {
            id: format!("chatcmpl-{}", own_id(request.arrived, &request.call_id)),
            model: request.model.clone().unwrap_or_default(),
            created: request.arrived / 1000,
            wants_usage: request.wants_usage,
            usage: None,
            choices: vec![],
        }
    }

    /// Encodes one event, as none, one or more frames.
    pub(super) fn write(
        &mut self,
        choice: u32,
        delta: Delta,
        usage: Option<Usage>,
    ) -> Vec<StreamEvent> {
        // The latest report counts: providers report a running total.
        self.usage = usage.or(self.usage);
        match delta {
            Delta::Start { id, model } => {
                self.id = id.map_or_else(|| std::mem::take(&mut self.id), |it| completion_id(&it));
                self.model = model.unwrap_or_else(|| std::mem::take(&mut self.model));
                vec![]
            }
            Delta::Usage => vec![],
            Delta::End => self.end(),
            delta => self.choice_frames(choice, &delta),
        }
    }

    fn choice_frames(&mut self, index: u32, delta: &Delta) -> Vec<StreamEvent> {
        let at = index as usize;
        if self.choices.len() <= at {
            self.choices.resize_with(at + 1, Choice::default);
        }
        let mut events = vec![];
        let choice = &mut self.choices[at];
        if !std::mem::replace(&mut choice.has_begun, true) {
            let role =
                // As OpenAI begins each choice. Clients create their message with the role of the
                // first chunk.
                DeltaJson { role: Some("assistant"), content: Some(""), ..DeltaJson::default() };
            events.push(self.frame(EventKind::Prelude, index, role, None));
        }
        if let Delta::Finish(reason) = delta {
            // Known only at the end: arguments may come in the last delta.
            let missing = self.choices[at].without_arguments();
            if !missing.is_empty() {
                let delta = DeltaJson { tool_calls: missing, ..DeltaJson::default() };
                events.push(self.frame(EventKind::Content, index, delta, None));
            }
            let reason = Some(finish_reason::encode(reason));
            // A chunk of its own with an empty delta, as OpenAI writes it.
            events.push(self.frame(EventKind::Finish, index, DeltaJson::default(), reason));
        } else if let Some(delta) = self.choices[at].delta(delta) {
            events.push(self.frame(EventKind::Content, index, delta, None));
        }
        events
    }

    fn frame(
        &self,
        kind: EventKind,
        index: u32,
        delta: DeltaJson<'_>,
        finish_reason: Option<&'static str>,
    ) -> StreamEvent {
        let choice = ChunkChoice { index, delta, logprobs: None, finish_reason };
        StreamEvent::frame(kind, None, self.written(&[choice], None))
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

    fn end(&self) -> Vec<StreamEvent> {
        let usage = self.usage.as_ref().filter(|_| self.wants_usage).map(wire::encode_usage);
        let report =
            usage.map(|it| StreamEvent::frame(EventKind::Usage, None, self.written(&[], Some(it))));
        let done = StreamEvent::frame(EventKind::End, None, Bytes::from_static(DONE));
        report.into_iter().chain([done]).collect()
    }
}

impl Choice {
    /// The delta of a chunk for an event; none where the format does not support the event.
    fn delta<'a>(&mut self, delta: &'a Delta) -> Option<DeltaJson<'a>> {
        let mut json = DeltaJson::default();
        match delta {
            Delta::Text(text) => {
                // A signature that comes later is not one of reasoning that text has followed.
                self.reasoning.clear();
                json.content = Some(text);
            }
            Delta::Refusal(text) => json.refusal = Some(text),
            Delta::Reasoning(text) => {
                self.reasoning.push_str(text);
                json.reasoning_content = Some(text);
            }
            Delta::Signature(signature) => {
                let text = std::mem::take(&mut self.reasoning);
                let detail = reasoning::Detail::new(&text, signature);
                json.reasoning_details.push(Numbered::next(detail, &mut self.signatures));
                // The first counts: it is the reasoning with which a loop of tools begins.
                self.signed.get_or_insert((text, signature.clone()));
            }
            Delta::Citation(citation) => {
                let source = annotation(citation)?;
                json.annotations.push(Numbered::next(source, &mut self.sources));
            }
            Delta::ToolCall { call, id, name, signature } => {
                let reasoning = self.signed.take();
                let reasoning =
                    reasoning.as_ref().map(|(text, signature)| (text.as_str(), signature));
                self.calls.resize(self.calls.len().max(call + 1), false);
                json.tool_calls.push(CallJson {
                    index: Some(*call),
                    id: Some(reasoning::attach_to_id(id, signature.as_ref(), reasoning)),
                    r#type: Some("function"),
                    function: FunctionJson { name: Some(name.clone()), arguments: String::new() },
                });
            }
            Delta::Arguments { call, json: arguments_json } => {
                self.calls.resize(self.calls.len().max(call + 1), false);
                self.calls[*call] = true;
                json.tool_calls.push(arguments(*call, arguments_json.clone()));
            }
            Delta::Image(media) => {
                json.images.push(Numbered::next(image(media)?, &mut self.images));
            }
            Delta::Audio(_)
            | Delta::Video(_)
            | Delta::File(_)
            | Delta::Start { .. }
            | Delta::Finish(_)
            | Delta::Usage
            | Delta::End => return None,
        }
        Some(json)
    }

    /// The arguments of calls without any: clients fail on an empty text.
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
