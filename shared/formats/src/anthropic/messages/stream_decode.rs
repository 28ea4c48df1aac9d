//! Decodes a provider's stream into deltas.

use std::collections::HashMap;

use bytes::Bytes;
use canonical::{Delta, EventKind, Result, Signature, StreamEvent};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    MAKER,
    response_decode::{self, Block},
    signature,
    stream_passthrough::{self, EventHead, Progress},
    wire,
};
use crate::{StreamDecoder, StreamEnd, error_body, split_surrogates::Joiner, sse::Framer};

/// Decodes frames into deltas.
#[derive(Debug, Default)]
pub(super) struct TranslatingDecoder {
    framer: Framer,
    joiner: Joiner,
    progress: Progress,
    /// The blocks that are open, by their index.
    open: HashMap<u64, OpenBlock>,
    /// How many tools were called.
    calls: usize,
}

/// A block that is open.
#[derive(Debug)]
enum OpenBlock {
    Text,
    Thinking {
        signature: String,
    },
    Tool {
        call: usize,
    },
    /// Blocks that only Anthropic's own tools produce.
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

impl TranslatingDecoder {
    pub(super) fn new(end: StreamEnd) -> Self {
        Self { progress: Progress::new(end), ..Self::default() }
    }

    fn event(&mut self, data: &[u8], events: &mut Vec<StreamEvent>) -> Result<EventKind> {
        let event = stream_passthrough::head(data)?;
        let kind = self.progress.note(&event)?;

        let mut deltas = vec![];
        match &*event.kind {
            "message_start" => {
                let (id, model) = event.message.map_or((None, None), |it| (it.id, it.model));
                deltas.push(Delta::Start { id, model });
            }
            "content_block_start" => self.open(&event, &mut deltas)?,
            "content_block_delta" => self.delta(&event, &mut deltas)?,
            "content_block_stop" => self.close(event.index, &mut deltas),
            "message_delta" => {
                let ending = event.ending();
                if let Some(reason) = ending.stop_reason {
                    let finish = wire::finish(&reason, ending.stop_sequence)?;
                    deltas.push(Delta::Finish(finish));
                }
            }
            "message_stop" => deltas.push(Delta::End),
            _ => {}
        }

        let usage = self.progress.new_usage.take();
        // Usage belongs to an event; `ping` and the like add none.
        if usage.is_some() && deltas.is_empty() {
            deltas.push(Delta::Usage);
        }

        let first = events.len();
        events.extend(deltas.into_iter().map(|it| StreamEvent::delta(0, it)));
        if let Some(event) = events.get_mut(first) {
            event.usage = usage;
        }
        Ok(kind)
    }

    fn open(&mut self, event: &EventHead<'_>, deltas: &mut Vec<Delta>) -> Result<()> {
        let json = event.content_block.ok_or_else(error_body::malformed)?;
        let block: Block<'_> = error_body::part(json)?;
        let open = match &*block.kind {
            "text" => {
                deltas.extend(block.text.filter(|it| !it.is_empty()).map(Delta::Text));
                let quotes = block.citations.unwrap_or_default();
                deltas.extend(
                    quotes.into_iter().filter_map(response_decode::citation).map(Delta::Citation),
                );
                OpenBlock::Text
            }
            "thinking" => {
                deltas.extend(block.thinking.filter(|it| !it.is_empty()).map(Delta::Reasoning));
                // The signature is collected until the block ends: it may come in several deltas,
                // and is of use only whole.
                OpenBlock::Thinking { signature: block.signature.unwrap_or_default() }
            }
            "redacted_thinking" => {
                let data = block.data.unwrap_or_default();
                deltas.push(Delta::Signature(signature::redact(&data)));
                OpenBlock::Other
            }
            "tool_use" => {
                let call = self.calls;
                self.calls += 1;
                // Unique within the response, which is all that imitators without ids allow.
                let id = block.id.filter(|it| !it.is_empty());
                let id = id.unwrap_or_else(|| format!("toolu_{call}"));
                let name = block.name.unwrap_or_default();
                deltas.push(Delta::ToolCall { call, id, name, signature: None });
                // Some who imitate the format say everything at once.
                let input = block.input.map(RawValue::get).filter(|it| !is_empty_object(it));
                let json = input.map(str::to_owned);
                deltas.extend(json.map(|json| Delta::Arguments { call, json }));
                OpenBlock::Tool { call }
            }
            _ => OpenBlock::Other,
        };

        self.open.insert(event.index, open);
        Ok(())
    }

    fn delta(&mut self, event: &EventHead<'_>, deltas: &mut Vec<Delta>) -> Result<()> {
        let delta: WireDelta<'_> =
            error_body::part(event.delta.ok_or_else(error_body::malformed)?)?;
        match self.open.get_mut(&event.index) {
            Some(OpenBlock::Text) => {
                deltas.extend(delta.text.filter(|it| !it.is_empty()).map(Delta::Text));
                let citation = delta.citation.and_then(response_decode::citation);
                deltas.extend(citation.map(Delta::Citation));
            }
            Some(OpenBlock::Thinking { signature }) => {
                deltas.extend(delta.thinking.filter(|it| !it.is_empty()).map(Delta::Reasoning));
                signature.push_str(&delta.signature.unwrap_or_default());
            }
            Some(OpenBlock::Tool { call }) => {
                let call = *call;
                let json = delta.partial_json.filter(|it| !it.is_empty());
                deltas.extend(json.map(|json| Delta::Arguments { call, json }));
            }
            Some(OpenBlock::Other) => {}
            // A delta of a block that was never begun: to guess its kind would put reasoning into
            // the text.
            None => return Err(error_body::malformed()),
        }
        Ok(())
    }

    fn close(&mut self, index: u64, deltas: &mut Vec<Delta>) {
        if let Some(OpenBlock::Thinking { signature }) = self.open.remove(&index)
            && !signature.is_empty()
        {
            deltas.push(Delta::Signature(Signature::new(MAKER, signature)));
        }
    }
}

impl StreamDecoder for TranslatingDecoder {
    fn read(&mut self, bytes: Bytes, events: &mut Vec<StreamEvent>) -> Result<()> {
        if self.progress.ended {
            return Ok(());
        }
        self.framer.push(&bytes)?;
        while let Some(frame) = self.framer.frame() {
            let frame = self.joiner.join(frame);
            let Some(data) = stream_passthrough::data(&frame)? else {
                continue;
            };
            if self.event(&data, events)? == EventKind::End {
                break;
            }
        }
        Ok(())
    }

    fn close(&mut self, events: &mut Vec<StreamEvent>) -> Result<()> {
        if !self.progress.is_over(self.framer.is_empty())? {
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
        let (mut reader, mut out) = (TranslatingDecoder::default(), vec![]);
        for event in events {
            let frame = format!("event: x\ndata: {event}\n\n");
            reader.read(frame.into(), &mut out).unwrap();
        }
        let delta = |it: StreamEvent| match it.body {
            EventBody::Delta(_, delta) => *delta,
            EventBody::Frame(_) => panic!("a frame"),
        };
        out.into_iter().map(delta).collect()
    }

    #[test]
    fn reasoning_and_a_call_are_decoded() {
        let deltas = read(&[
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
            deltas,
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
