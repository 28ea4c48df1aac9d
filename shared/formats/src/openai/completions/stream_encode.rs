//! A stream to a client: the provider's own frames, or objects made of deltas.

use bytes::{BufMut, Bytes, BytesMut};
use canonical::{
    CallSummary, ChatResponse, Delta, Error, EventBody, EventKind, StreamEvent, Usage,
};

use super::{
    request_decode,
    response_encode::{self, ChoiceJson, CompletionJson, EncodeContext, OBJECT, completion_id},
};
use crate::{
    GatewayRequest, StreamEncoder, json,
    openai::chat::{self, DONE},
    response_id::own_id,
};

/// Encodes the response to one request.
#[derive(Debug)]
pub(super) struct CompletionStreamEncoder {
    id: String,
    model: String,
    created: u64,
    wants_usage: bool,
    usage: Option<Usage>,
    /// The text that stands before each completion.
    echo: String,
    /// The completions that have begun.
    begun: Vec<u32>,
}

impl CompletionStreamEncoder {
    pub(super) fn new(request: &GatewayRequest) -> Self {
        Self {
            id: format!("cmpl-{}", own_id(request.arrived, &request.call_id)),
            model: request.model.clone().unwrap_or_default(),
            created: request.arrived / 1000,
            wants_usage: request.wants_usage,
            usage: None,
            echo: request_decode::echo(&request.raw),
            begun: vec![],
        }
    }

    fn delta(&mut self, index: u32, delta: Delta, out: &mut BytesMut) {
        match delta {
            Delta::Start { id, model } => {
                self.id = id.map_or_else(|| std::mem::take(&mut self.id), |it| completion_id(&it));
                self.model = model.unwrap_or_else(|| std::mem::take(&mut self.model));
            }
            Delta::Text(text) | Delta::Refusal(text) => self.choice(index, text, None, out),
            Delta::Finish(finish) => {
                let reason = Some(response_encode::reason(&finish));
                self.choice(index, String::new(), reason, out);
            }
            Delta::End => self.terminator(out),
            // The endpoint has nothing but text.
            Delta::Reasoning(_)
            | Delta::Signature(_)
            | Delta::Citation(_)
            | Delta::ToolCall { .. }
            | Delta::Arguments { .. }
            | Delta::Image(_)
            | Delta::Audio(_)
            | Delta::Video(_)
            | Delta::File(_)
            | Delta::Usage => {}
        }
    }

    fn choice(
        &mut self,
        index: u32,
        text: String,
        finish_reason: Option<&'static str>,
        out: &mut BytesMut,
    ) {
        let mut text = text;
        // Once for each completion, before its first text, as OpenAI repeats a prompt.
        if !self.begun.contains(&index) {
            self.begun.push(index);
            text.insert_str(0, &self.echo);
        }
        self.object(&[ChoiceJson { text, index, logprobs: None, finish_reason }], None, out);
    }

    fn object(&self, choices: &[ChoiceJson], usage: Option<&Usage>, out: &mut BytesMut) {
        let object = CompletionJson {
            id: &self.id,
            object: OBJECT,
            created: self.created,
            model: &self.model,
            choices,
            usage: usage.map(chat::encode_usage),
        };
        out.put_slice(b"data: ");
        out.put_slice(&json::written(&object));
        out.put_slice(b"\n\n");
    }

    fn terminator(&self, out: &mut BytesMut) {
        if let Some(usage) = self.usage.as_ref().filter(|_| self.wants_usage) {
            self.object(&[], Some(usage), out);
        }
        out.put_slice(DONE);
    }
}

impl StreamEncoder for CompletionStreamEncoder {
    fn encode_whole(
        &self,
        response: &ChatResponse,
        usage: Option<&Usage>,
        summary: &CallSummary,
    ) -> Option<Bytes> {
        Some(response_encode::encode(response, &EncodeContext { summary, usage, echo: &self.echo }))
    }

    fn write(&mut self, event: StreamEvent, out: &mut BytesMut) {
        self.usage = event.usage.or(self.usage);
        match event.body {
            EventBody::Frame(frame) => {
                if event.kind != EventKind::Usage || self.wants_usage {
                    out.put(frame);
                }
            }
            EventBody::Delta(index, delta) => self.delta(index, *delta, out),
        }
    }

    /// Everything is written with the events.
    fn end(&mut self, _summary: &CallSummary, _out: &mut BytesMut) {}

    fn fail(&mut self, error: &Error, request_id: &str, out: &mut BytesMut) {
        out.put_slice(b"data: ");
        out.put_slice(&chat::error::to_client(error, request_id));
        out.put_slice(b"\n\n");
    }
}

#[cfg(test)]
mod tests {
    use canonical::FinishReason;

    use super::*;
    use crate::{Inbound, openai::completions::OpenAiCompletions};

    fn encoded(request: &'static str) -> String {
        let request = OpenAiCompletions.decode(Bytes::from_static(request.as_bytes())).unwrap();
        let mut encoder = CompletionStreamEncoder::new(&request);
        let mut out = BytesMut::new();
        let usage = Usage { input: 1, output: 2, ..Usage::default() };
        for delta in [
            Delta::Start { id: Some("msg_1".to_owned()), model: Some("m".to_owned()) },
            Delta::Text("b".to_owned()),
            Delta::Finish(FinishReason::ContextFull),
            Delta::End,
        ] {
            let event = StreamEvent::delta(0, delta).with_usage(Some(usage));
            encoder.write(event, &mut out);
        }
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn a_prompt_is_repeated_once_where_that_is_requested() {
        let out = encoded(r#"{"prompt":"a","echo":true,"stream":true}"#);
        assert!(out.starts_with(r#"data: {"id":"cmpl-msg_1","object":"text_completion","created":0,"model":"m","choices":[{"text":"ab","index":0,"logprobs":null,"finish_reason":null}]}"#), "{out}");
        assert!(out.contains(r#"{"text":"","index":0,"logprobs":null,"finish_reason":"length"}"#));
        assert!(out.ends_with("data: [DONE]\n\n") && !out.contains("usage"), "{out}");
    }

    #[test]
    fn usage_is_reported_where_it_is_requested() {
        let out = encoded(r#"{"prompt":"a","stream_options":{"include_usage":true}}"#);
        assert!(out.contains(r#""choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2"#));
    }
}
