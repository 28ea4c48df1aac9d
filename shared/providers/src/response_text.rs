//! The text of a response, read from what the client gets and bounded in size.
//!
//! Whether it may be kept or logged at all is decided by the gateway.

use std::fmt;

use bytes::Bytes;
use canonical::{ChatResponse, Content, Delta, EventBody, Part, ResponseBody, StreamEvent};
use formats::{DecodeMode, DecodeOptions, GatewayRequest, ProviderFormat, StreamDecoder};

use crate::Upstream;

/// The mark of a text that was cut.
const CUT_MARK: &str = "…";

/// The text of a response as far as it was read: what the model wrote, its reasoning and its calls of
/// tools.
pub struct ResponseText {
    text: String,
    limit: usize,
    is_cut: bool,
    /// What was added last, for the blank line between things of different kinds.
    last: Option<Kind>,
    /// The format of bodies and frames that keep their bytes.
    format: Option<ProviderFormat>,
    decoder: Option<Box<dyn StreamDecoder>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
    Call,
    Media,
}

impl ResponseText {
    /// A text of at most so many bytes.
    pub fn new(limit: usize) -> Self {
        Self { text: String::new(), limit, is_cut: false, last: None, format: None, decoder: None }
    }

    /// Notes whose response it is: the request's own format is that of whatever passes through.
    pub fn begin(&mut self, upstream: &Upstream, provider: &str, request: &GatewayRequest) {
        let endpoint = upstream.endpoint(provider);
        self.format = endpoint.and_then(|it| it.format(request.format.name));
        self.decoder = self.format.and_then(ProviderFormat::text).map(|it| {
            // A decoder of what passes through gives frames, and no text.
            let mode = DecodeMode::Translate;
            it.stream_decoder(DecodeOptions { mode, ..DecodeOptions::default() })
        });
    }

    /// Adds the events of a stream.
    pub fn add_events(&mut self, events: &[StreamEvent]) {
        // A long stream is not decoded for a text that is full.
        if self.is_cut {
            return;
        }
        for event in events {
            match &event.body {
                EventBody::Delta(_, delta) => self.add_delta(delta),
                EventBody::Frame(frame) => self.add_frame(frame.clone()),
            }
        }
    }

    /// Adds a whole response.
    pub fn add_body(&mut self, body: &ResponseBody) {
        match body {
            ResponseBody::Chat(response) => self.add_response(response),
            ResponseBody::Raw(raw) => self.add_raw(raw),
            ResponseBody::Embedding(embedding) => {
                self.add(Kind::Media, &format!("[{} embeddings]", embedding.vectors.len()));
            }
            ResponseBody::Tokens { count, .. } => self.add(Kind::Text, &format!("{count} tokens")),
        }
    }

    /// The text so far.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn add_frame(&mut self, frame: Bytes) {
        let Some(decoder) = &mut self.decoder else { return };
        let mut events = vec![];
        // A frame that cannot be decoded passes through to the client all the same.
        drop(decoder.read(frame, &mut events));
        for event in events {
            if let EventBody::Delta(_, delta) = &event.body {
                self.add_delta(delta);
            }
        }
    }

    fn add_raw(&mut self, raw: &Bytes) {
        let mode = DecodeMode::Translate;
        let options = DecodeOptions { mode, ..DecodeOptions::default() };
        let decoded = self.format.map(|it| it.outbound().response(raw.clone(), options));
        match decoded.and_then(Result::ok).map(|it| it.body) {
            Some(ResponseBody::Raw(raw)) => self.add_plain(&raw),
            Some(body) => self.add_body(&body),
            None => self.add_plain(raw),
        }
    }

    fn add_plain(&mut self, raw: &Bytes) {
        match std::str::from_utf8(raw) {
            Ok(text) => self.add(Kind::Text, text),
            Err(_) => self.add(Kind::Media, &format!("[{} bytes]", raw.len())),
        }
    }

    fn add_response(&mut self, response: &ChatResponse) {
        for part in response.choices.iter().flat_map(|it| &it.parts) {
            self.add_part(part);
        }
    }

    fn add_part(&mut self, part: &Part) {
        match &part.content {
            Content::Text(text, _) | Content::Refusal(text) => self.add(Kind::Text, text),
            Content::Reasoning(text) => self.add(Kind::Reasoning, text),
            Content::ToolCall(call) => {
                self.begin_call(&call.name);
                self.add(Kind::Call, &call.arguments);
            }
            Content::ToolResult(result) => result.parts.iter().for_each(|it| self.add_part(it)),
            Content::Image(_) => self.add(Kind::Media, "[image]"),
            Content::Audio(_) => self.add(Kind::Media, "[audio]"),
            Content::Video(_) => self.add(Kind::Media, "[video]"),
            Content::File(_) => self.add(Kind::Media, "[file]"),
        }
    }

    fn add_delta(&mut self, delta: &Delta) {
        match delta {
            Delta::Text(text) | Delta::Refusal(text) => self.add(Kind::Text, text),
            Delta::Reasoning(text) => self.add(Kind::Reasoning, text),
            Delta::ToolCall { name, .. } => self.begin_call(name),
            Delta::Arguments { json, .. } => self.add(Kind::Call, json),
            Delta::Image(_) => self.add(Kind::Media, "[image]"),
            Delta::Audio(_) => self.add(Kind::Media, "[audio]"),
            Delta::Video(_) => self.add(Kind::Media, "[video]"),
            Delta::File(_) => self.add(Kind::Media, "[file]"),
            Delta::Start { .. }
            | Delta::Signature(_)
            | Delta::Citation(_)
            | Delta::Finish(_)
            | Delta::Usage
            | Delta::End => {}
        }
    }

    fn begin_call(&mut self, name: &str) {
        let separator = if self.text.is_empty() { "" } else { "\n\n" };
        self.push(&format!("{separator}{name} "));
        self.last = Some(Kind::Call);
    }

    fn add(&mut self, kind: Kind, text: &str) {
        if text.is_empty() {
            return;
        }
        if self.last.is_some_and(|last| last != kind) {
            self.push("\n\n");
        }
        self.last = Some(kind);
        self.push(text);
    }

    fn push(&mut self, text: &str) {
        if self.is_cut {
            return;
        }
        let room = self.limit.saturating_sub(self.text.len());
        let end = text.floor_char_boundary(room);
        self.text.push_str(text.get(..end).unwrap_or_default());
        if end < text.len() {
            self.is_cut = true;
            self.text.push_str(CUT_MARK);
        }
    }
}

impl fmt::Debug for ResponseText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseText").field("bytes", &self.text.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use formats::{OutboundText, anthropic::messages::Anthropic};

    use super::*;

    fn reading(limit: usize, deltas: Vec<Delta>) -> String {
        let mut text = ResponseText::new(limit);
        let events: Vec<StreamEvent> =
            deltas.into_iter().map(|it| StreamEvent::delta(0, it)).collect();
        text.add_events(&events);
        text.as_str().to_owned()
    }

    #[test]
    fn reasoning_text_and_calls_stand_apart() {
        let call = Delta::ToolCall {
            call: 0,
            id: "1".to_owned(),
            name: "weather".to_owned(),
            signature: None,
        };
        let text = reading(
            1_000,
            vec![
                Delta::Reasoning("Let me ".to_owned()),
                Delta::Reasoning("see.".to_owned()),
                Delta::Text("I look.".to_owned()),
                call.clone(),
                Delta::Arguments { call: 0, json: "{\"city\":".to_owned() },
                Delta::Arguments { call: 0, json: "\"Bern\"}".to_owned() },
                call,
            ],
        );
        assert_eq!(text, "Let me see.\n\nI look.\n\nweather {\"city\":\"Bern\"}\n\nweather ");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(reading(3, vec![Delta::Text("ab€€".to_owned())]), "ab…");
        assert_eq!(reading(5, vec![Delta::Text("ab€".to_owned())]), "ab€");
    }

    #[test]
    fn frames_are_read_in_the_format_that_they_pass_in() {
        let mode = DecodeMode::Translate;
        let options = DecodeOptions { mode, ..DecodeOptions::default() };
        let mut text = ResponseText::new(100);
        text.decoder = Some(Anthropic.stream_decoder(options));
        let frames = [
            r#"{"type":"message_start","message":{"id":"1","model":"m","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}"#,
        ];
        for frame in frames {
            let kind = serde_json::from_str::<serde_json::Value>(frame).unwrap()["type"].clone();
            let frame = format!("event: {}\ndata: {frame}\n\n", kind.as_str().unwrap());
            let kind = canonical::EventKind::Content;
            text.add_events(&[StreamEvent::frame(kind, None, Bytes::from(frame))]);
        }
        assert_eq!(text.as_str(), "Hello");
    }
}
