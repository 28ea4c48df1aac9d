//! A provider's stream, understood.

use std::collections::HashMap;

use bytes::Bytes;
use canonical::{Delta, EventKind, Result, Signature, StreamEvent};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    MAKER, content,
    reader::{self, Course, Head},
    response::{self, Block},
    wire,
};
use crate::{StreamDecoder, StreamEnd, error_body, sse::Framer};

/// Reads frames into pieces.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    framer: Framer,
    course: Course,
    /// The blocks that are open, by their index.
    open: HashMap<u64, Open>,
    /// How many tools were called.
    calls: usize,
}

/// A block that is open.
#[derive(Debug)]
enum Open {
    Text,
    Thinking {
        signature: String,
    },
    Tool {
        call: usize,
    },
    /// What only Anthropic's own tools produce.
    Other,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireDelta<'a> {
    text: Option<String>,
    thinking: Option<String>,
    signature: Option<String>,
    partial_json: Option<String>,
    #[serde(borrow)]
    citation: Option<&'a RawValue>,
}

impl Pieces {
    pub(super) fn new(end: StreamEnd) -> Self {
        Self { course: Course::new(end), ..Self::default() }
    }

    fn event(&mut self, data: &[u8], events: &mut Vec<StreamEvent>) -> Result<EventKind> {
        let event = reader::head(data)?;
        let kind = self.course.note(&event);
        let mut pieces = vec![];
        match &*event.kind {
            "message_start" => {
                let (id, model) = event.message.map_or((None, None), |it| (it.id, it.model));
                pieces.push(Delta::Start { id, model });
            }
            "content_block_start" => self.open(&event, &mut pieces)?,
            "content_block_delta" => self.delta(&event, &mut pieces)?,
            "content_block_stop" => self.close(event.index, &mut pieces),
            "message_delta" => {
                let ending = event.ending();
                pieces.extend(
                    ending
                        .stop_reason
                        .map(|reason| Delta::Finish(wire::finish(&reason, ending.stop_sequence))),
                );
            }
            "message_stop" => pieces.push(Delta::End),
            _ => {}
        }
        let usage = self.course.news.take();
        if usage.is_some() && pieces.is_empty() {
            pieces.push(Delta::Usage);
        }
        let first = events.len();
        events.extend(pieces.into_iter().map(|it| StreamEvent::delta(0, it)));
        if let Some(event) = events.get_mut(first) {
            event.usage = usage;
        }
        Ok(kind)
    }

    fn open(&mut self, event: &Head<'_>, pieces: &mut Vec<Delta>) -> Result<()> {
        let json = event.content_block.ok_or_else(error_body::malformed)?;
        let block: Block<'_> = error_body::part(json)?;
        let open = match &*block.kind {
            "text" => {
                pieces.extend(block.text.filter(|it| !it.is_empty()).map(Delta::Text));
                let quotes = block.citations.unwrap_or_default();
                pieces
                    .extend(quotes.into_iter().filter_map(response::citation).map(Delta::Citation));
                Open::Text
            }
            "thinking" => {
                pieces.extend(block.thinking.filter(|it| !it.is_empty()).map(Delta::Reasoning));
                Open::Thinking { signature: block.signature.unwrap_or_default() }
            }
            "redacted_thinking" => {
                let data = block.data.unwrap_or_default();
                pieces.push(Delta::Signature(content::redact(&data)));
                Open::Other
            }
            "tool_use" => {
                let call = self.calls;
                self.calls += 1;
                let id = block.id.filter(|it| !it.is_empty());
                let id = id.unwrap_or_else(|| format!("toolu_{call}"));
                let name = block.name.unwrap_or_default();
                pieces.push(Delta::ToolCall { call, id, name, signature: None });
                // Some who imitate the format say everything at once.
                let input = block.input.map(RawValue::get).filter(|it| !is_empty_object(it));
                let json = input.map(str::to_owned);
                pieces.extend(json.map(|json| Delta::Arguments { call, json }));
                Open::Tool { call }
            }
            _ => Open::Other,
        };
        self.open.insert(event.index, open);
        Ok(())
    }

    fn delta(&mut self, event: &Head<'_>, pieces: &mut Vec<Delta>) -> Result<()> {
        let delta: WireDelta<'_> =
            error_body::part(event.delta.ok_or_else(error_body::malformed)?)?;
        match self.open.get_mut(&event.index) {
            Some(Open::Text) => {
                pieces.extend(delta.text.filter(|it| !it.is_empty()).map(Delta::Text));
                let citation = delta.citation.and_then(response::citation);
                pieces.extend(citation.map(Delta::Citation));
            }
            Some(Open::Thinking { signature }) => {
                pieces.extend(delta.thinking.filter(|it| !it.is_empty()).map(Delta::Reasoning));
                signature.push_str(&delta.signature.unwrap_or_default());
            }
            Some(Open::Tool { call }) => {
                let call = *call;
                let json = delta.partial_json.filter(|it| !it.is_empty());
                pieces.extend(json.map(|json| Delta::Arguments { call, json }));
            }
            Some(Open::Other) => {}
            None => return Err(error_body::malformed()),
        }
        Ok(())
    }

    fn close(&mut self, index: u64, pieces: &mut Vec<Delta>) {
        if let Some(Open::Thinking { signature }) = self.open.remove(&index)
            && !signature.is_empty()
        {
            pieces.push(Delta::Signature(Signature::new(MAKER, signature)));
        }
    }
}

impl StreamDecoder for Pieces {
    fn read(&mut self, bytes: Bytes, events: &mut Vec<StreamEvent>) -> Result<()> {
        if self.course.ended {
            return Ok(());
        }
        self.framer.push(&bytes)?;
        while let Some(frame) = self.framer.frame() {
            let Some(data) = reader::data(&frame)? else {
                continue;
            };
            if self.event(&data, events)? == EventKind::End {
                break;
            }
        }
        Ok(())
    }

    fn close(&mut self, events: &mut Vec<StreamEvent>) -> Result<()> {
        if !self.course.is_over(self.framer.is_empty())? {
            events.push(StreamEvent::delta(0, Delta::End));
        }
        Ok(())
    }
}

fn is_empty_object(json: &str) -> bool {
    json.strip_prefix('{')
        .and_then(|it| it.strip_suffix('}'))
        .is_some_and(|it| it.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use canonical::{EventBody, FinishReason};

    use super::*;

    fn read(events: &[&str]) -> Vec<Delta> {
        let (mut reader, mut out) = (Pieces::default(), vec![]);
        for event in events {
            let frame = format!("event: x\ndata: {event}\n\n");
            reader.read(frame.into(), &mut out).unwrap();
        }
        let piece = |it: StreamEvent| match it.body {
            EventBody::Delta(_, piece) => *piece,
            EventBody::Frame(_) => panic!("a frame"),
        };
        out.into_iter().map(piece).collect()
    }

    #[test]
    fn a_thought_and_a_call_are_understood() {
        let pieces = read(&[
            r#"{"type":"message_start","message":{"id":"msg_1","model":"m"}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"h"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"s"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":""}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
            r#"{"type":"content_block_stop","index":1}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":3}}"#,
            r#"{"type":"message_stop"}"#,
        ]);
        let (id, name) = ("t".to_owned(), "f".to_owned());
        assert_eq!(
            pieces,
            [
                Delta::Start { id: Some("msg_1".to_owned()), model: Some("m".to_owned()) },
                Delta::Reasoning("h".to_owned()),
                Delta::Signature(Signature::new(MAKER, "s")),
                Delta::ToolCall { call: 0, id, name, signature: None },
                Delta::Arguments { call: 0, json: "{}".to_owned() },
                Delta::Finish(FinishReason::ToolCalls),
                Delta::End,
            ]
        );
    }
}
