//! A stream to a client: frames as they came, or deltas put into this format's grammar.
//!
//! `message_start`, blocks one after another, `message_delta` with all of the usage,
//! `message_stop`. The last two are held back until the end, because others tell their usage last.

mod blocks;

use bytes::{BufMut, BytesMut};
use canonical::{CallSummary, Delta, Error, EventBody, FinishReason, StreamEvent, Usage};
use serde::Serialize;

use self::blocks::{Blocks, put};
use super::{
    error,
    response_encode::WireMessage,
    signature,
    wire::{DeltaUsageJson, stop_reason},
};
use crate::StreamEncoder;

/// Writes one stream.
#[derive(Debug)]
pub(super) struct Encoder {
    /// The client's name for the model, for a provider that names none.
    model: Option<String>,
    /// The id of the message, where the provider gives none.
    default_id: String,
    begun: bool,
    ended: bool,
    /// Whether frames pass as they came.
    passing: bool,
    blocks: Blocks,
    usage: Usage,
    finish: Option<FinishReason>,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Frame<'a> {
    #[serde(rename = "message_start")]
    Start { message: WireMessage<'a> },
    #[serde(rename = "message_delta")]
    Delta { delta: WireDelta<'a>, usage: DeltaUsageJson },
    #[serde(rename = "message_stop")]
    Stop,
}

#[derive(Serialize)]
struct WireDelta<'a> {
    stop_reason: &'static str,
    stop_sequence: Option<&'a str>,
    stop_details: Option<()>,
    container: Option<()>,
}

impl Encoder {
    /// An encoder for one response to a client that names this model; `default_id` stands until the
    /// provider gives an id.
    pub(super) fn new(model: Option<&str>, default_id: String) -> Self {
        Self {
            default_id,
            model: model.map(str::to_owned),
            begun: false,
            ended: false,
            passing: false,
            blocks: Blocks::default(),
            usage: Usage::default(),
            finish: None,
        }
    }

    fn begin(&mut self, id: Option<&str>, model: Option<&str>, out: &mut BytesMut) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let model = model.filter(|it| !it.is_empty()).or(self.model.as_deref());
        let id = id.filter(|it| !it.is_empty()).unwrap_or(&self.default_id);
        let message = WireMessage::begun(id, model, &self.usage);
        put("message_start", &Frame::Start { message }, out);
    }

    fn delta(&mut self, delta: Delta, out: &mut BytesMut) {
        match delta {
            Delta::Start { id, model } => {
                return self.begin(id.as_deref(), model.as_deref(), out);
            }
            // Neither begins the message: usage may come before anything else.
            Delta::Usage | Delta::End => return,
            _ => self.begin(None, None, out),
        }
        self.blocks.refused |= matches!(&delta, Delta::Refusal(text) if !text.is_empty());
        match delta {
            Delta::Text(text) | Delta::Refusal(text) if !text.is_empty() => {
                self.blocks.text(text, out);
            }
            Delta::Reasoning(text) if !text.is_empty() => self.blocks.reasoning(text, out),
            Delta::Signature(signature) => self.blocks.signature(&signature, out),
            Delta::Citation(citation) => self.blocks.citation(citation, out),
            Delta::ToolCall { call, id, name, signature } => {
                let id = signature::tool_id(&id, signature.as_ref());
                self.blocks.call(call, id, name, out);
            }
            Delta::Arguments { call, json } if !json.is_empty() => {
                self.blocks.arguments(call, json, out);
            }
            Delta::Finish(finish) => {
                self.blocks.end(out);
                self.finish = Some(finish);
            }
            // The format has no blocks for images and audio of the model.
            _ => {}
        }
    }
}

impl StreamEncoder for Encoder {
    fn write(&mut self, event: StreamEvent, out: &mut BytesMut) {
        match event.body {
            EventBody::Frame(frame) => {
                // A response is frames from its beginning to its end, or deltas: the two are never
                // mixed.
                self.passing = true;
                out.put(frame);
            }
            EventBody::Delta(choice, delta) => {
                if let Some(usage) = event.usage {
                    self.usage = usage;
                }
                // The format has room for one choice, and its clients cannot ask for more.
                if choice == 0 && self.finish.is_none() {
                    self.delta(*delta, out);
                }
            }
        }
    }

    fn end(&mut self, _summary: &CallSummary, out: &mut BytesMut) {
        if self.passing || std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.begin(None, None, out);
        self.blocks.end(out);
        let finish = match self.finish.take() {
            // Clients run tools only on `tool_use`, and Gemini and others say `stop`.
            None | Some(FinishReason::Stop) if self.blocks.called => FinishReason::ToolCalls,
            None | Some(FinishReason::Stop) if self.blocks.refused => FinishReason::Refusal,
            finish => finish.unwrap_or(FinishReason::Stop),
        };
        let (stop_reason, stop_sequence) = stop_reason(&finish);
        let delta = WireDelta { stop_reason, stop_sequence, stop_details: None, container: None };
        let usage = DeltaUsageJson::from(&self.usage);
        put("message_delta", &Frame::Delta { delta, usage }, out);
        put("message_stop", &Frame::Stop, out);
    }

    fn fail(&mut self, error: &Error, request_id: &str, out: &mut BytesMut) {
        // No `message_stop` follows an error: a client must not take the message for whole.
        self.ended = true;
        out.put_slice(b"event: error\ndata: ");
        out.put_slice(&error::to_client(error, request_id));
        out.put_slice(b"\n\n");
    }
}

#[cfg(test)]
mod tests {
    use canonical::Signature;

    use super::*;

    fn call(call: usize) -> Delta {
        let (id, name) = (format!("c{call}"), "f".to_owned());
        Delta::ToolCall { call, id, name, signature: None }
    }

    fn arguments(call: usize, json: &str) -> Delta {
        Delta::Arguments { call, json: json.to_owned() }
    }

    /// The names of frames, with the index and the content.
    fn written(deltas: Vec<Delta>) -> Vec<String> {
        let (mut writer, mut out) = (Encoder::new(None, "msg_0".to_owned()), BytesMut::new());
        for delta in deltas {
            writer.write(StreamEvent::delta(0, delta), &mut out);
        }
        writer.end(&CallSummary::default(), &mut out);
        let text = String::from_utf8(out.to_vec()).unwrap();
        let data = text.lines().filter_map(|it| it.strip_prefix("data: "));
        data.map(short).collect()
    }

    fn short(data: &str) -> String {
        let json: serde_json::Value = serde_json::from_str(data).unwrap();
        let word = |pointer: &str| json.pointer(pointer).and_then(|it| it.as_str());
        let text = ["text", "thinking", "signature", "partial_json", "stop_reason"];
        let text = text.iter().find_map(|it| word(&format!("/delta/{it}")));
        let kind = word("/content_block/type").or(text).unwrap_or_default();
        let index = json["index"].as_u64().map_or(String::new(), |it| it.to_string());
        let name = word("/type").unwrap().replace("content_block_", "");
        format!("{name} {index} {kind}").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn calls_that_are_interleaved_come_one_after_another() {
        let deltas = vec![
            Delta::Text("a".to_owned()),
            call(0),
            arguments(0, "{\"x\":"),
            call(1),
            arguments(1, "{}"),
            arguments(0, "1}"),
            Delta::Finish(FinishReason::ToolCalls),
            Delta::End,
        ];
        assert_eq!(
            written(deltas),
            [
                "message_start",
                "start 0 text",
                "delta 0 a",
                "stop 0",
                "start 1 tool_use",
                "delta 1 {\"x\":",
                "delta 1 1}",
                "stop 1",
                "start 2 tool_use",
                "delta 2 {}",
                "stop 2",
                "message_delta tool_use",
                "message_stop",
            ]
        );
    }

    #[test]
    fn reasoning_ends_with_its_signature() {
        let deltas = vec![
            Delta::Reasoning("h".to_owned()),
            Delta::Reasoning("m".to_owned()),
            Delta::Signature(Signature::new("anthropic", "sig")),
            Delta::Signature(Signature::new("anthropic", "redacted:x")),
            Delta::Text("a".to_owned()),
            Delta::Finish(FinishReason::Stop),
        ];
        assert_eq!(
            written(deltas),
            [
                "message_start",
                "start 0 thinking",
                "delta 0 h",
                "delta 0 m",
                "delta 0 sig",
                "stop 0",
                "start 1 redacted_thinking",
                "stop 1",
                "start 2 text",
                "delta 2 a",
                "stop 2",
                "message_delta end_turn",
                "message_stop",
            ]
        );
    }

    #[test]
    fn a_response_without_content_is_whole_too() {
        assert_eq!(written(vec![]), ["message_start", "message_delta end_turn", "message_stop"]);
    }

    #[test]
    fn a_failure_is_an_event_and_no_end() {
        let (mut writer, mut out) = (Encoder::new(None, "msg_0".to_owned()), BytesMut::new());
        writer.write(StreamEvent::delta(0, Delta::Text("a".to_owned())), &mut out);
        writer.fail(&Error::new(canonical::ErrorKind::Upstream, "cut"), "r1", &mut out);
        let text = String::from_utf8(out.to_vec()).unwrap();
        assert!(text.contains("event: error\ndata: {\"type\":\"error\""));
        assert!(!text.contains("message_stop"));
    }
}
