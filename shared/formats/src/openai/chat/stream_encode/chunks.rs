//! Deltas of another format, encoded as chunks.

use std::collections::BTreeMap;

use bytes::Bytes;
use canonical::{Delta, EventKind, Signature, StreamEvent, Usage};
use serde::Serialize;

use super::super::{
    finish_reason, reasoning,
    response_encode::{
        AnnotationJson, CallJson, CustomJson, FunctionJson, ImageJson, ToolJson, annotation,
        completion_id, image,
    },
    stream_passthrough::DONE,
    wire,
};
use crate::{GatewayRequest, json, openai::tool_name, response_id::own_id};

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
    /// The arguments so far of calls whose tools take any text.
    custom: BTreeMap<usize, String>,
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
            let missing = self.choices[at].last_arguments();
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
                let tool = ToolJson::called(name, "");
                if let ToolJson::Custom(_) = tool {
                    self.custom.insert(*call, String::new());
                    self.calls[*call] = true;
                }
                json.tool_calls.push(CallJson {
                    index: Some(*call),
                    id: Some(reasoning::attach_to_id(id, signature.as_ref(), reasoning)),
                    r#type: Some(tool.kind()),
                    tool,
                });
            }
            Delta::Arguments { call, json } if let Some(so_far) = self.custom.get_mut(call) => {
                // A text is taken out of its arguments when they are whole.
                so_far.push_str(json);
                return None;
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

    /// What only the end gives: the texts of custom tools, and the arguments of calls without any, as
    /// clients fail on an empty text.
    fn last_arguments(&mut self) -> Vec<CallJson> {
        let calls = self.calls.iter().enumerate().filter(|it| !it.1);
        let missing = calls.map(|(call, _)| arguments(call, "{}".to_owned()));
        let texts = std::mem::take(&mut self.custom);
        let texts = texts.into_iter().map(|(call, json)| {
            let input = tool_name::input(&json);
            more(call, ToolJson::Custom(CustomJson { name: None, input }))
        });
        missing.chain(texts).collect()
    }
}

fn arguments(call: usize, arguments: String) -> CallJson {
    more(call, ToolJson::Function(FunctionJson { name: None, arguments }))
}

/// What is added to a call that has begun.
fn more(call: usize, tool: ToolJson) -> CallJson {
    CallJson { index: Some(call), id: None, r#type: None, tool }
}

#[cfg(test)]
mod tests {
    use canonical::{EventBody, FinishReason, Task};

    use super::*;
    use crate::RawObject;

    #[test]
    fn a_custom_tool_is_called_with_its_text() {
        let raw = RawObject { body: Bytes::new(), members: vec![] };
        let request = GatewayRequest::new(&super::super::super::FORMAT, Task::Chat, raw);
        let mut encoder = ChunkEncoder::new(&request);
        let (id, name) = ("a".to_owned(), "f:custom".to_owned());
        let arguments = |json: &str| Delta::Arguments { call: 0, json: json.to_owned() };
        let deltas = [
            Delta::ToolCall { call: 0, id, name, signature: None },
            arguments(r#"{"input":"any"#),
            arguments(r#" text"}"#),
            Delta::Finish(FinishReason::ToolCalls),
        ];
        let frames = deltas.into_iter().flat_map(|it| encoder.write(0, it, None));
        let frames = frames.map(|it| match it.body {
            EventBody::Frame(frame) => String::from_utf8(frame.to_vec()).unwrap(),
            EventBody::Delta(..) => panic!("a delta"),
        });
        let frames: Vec<_> = frames.collect();
        let [_, begun, text, finish] = frames.as_slice() else { panic!("{frames:?}") };
        let expected = r#"[{"index":0,"id":"a","type":"custom","custom":{"name":"f","input":""}}]"#;
        assert!(begun.contains(expected), "{begun}");
        assert!(text.contains(r#"[{"index":0,"custom":{"input":"any text"}}]"#), "{text}");
        assert!(finish.contains(r#""finish_reason":"tool_calls""#), "{finish}");
    }
}
