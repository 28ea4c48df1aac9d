//! A stream to a client: chunks that are each a small answer.
//!
//! There is no terminator: the last chunk says why the response ends, and what it took.

use std::collections::BTreeMap;

use bytes::{BufMut, BytesMut};
use canonical::{
    CallSummary, Citation, Delta, Error, EventBody, FinishReason, Signature, StreamEvent, Usage,
};

use super::{
    cited_text::CitedText,
    error,
    response_encode::{Body, Candidate, response_id, serialize},
    wire::parts::{self, FunctionCall, Part},
};
use crate::{Framing, GatewayRequest, StreamEncoder, arguments, sse};

/// Writes chunks: a provider's own, or made of deltas.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    framing: Framing,
    /// Whether anything was written.
    begun: bool,
    id: Option<String>,
    model: Option<String>,
    default_id: String,
    default_model: String,
    usage: Option<Usage>,
    choices: BTreeMap<u32, Choice>,
}

/// One candidate, as it goes on.
#[derive(Debug, Default)]
struct Choice {
    /// Calls whose arguments may still grow.
    calls: Vec<Call>,
    /// Whether a call was no call.
    broken: bool,
    /// The candidate's text so far, into which citations point.
    text: CitedText,
    finish: Option<FinishReason>,
}

#[derive(Debug)]
struct Call {
    number: usize,
    id: String,
    name: String,
    signature: Option<Signature>,
    arguments: String,
}

impl Encoder {
    /// An encoder for one response; until the provider names the response and its model, the client's
    /// own name for the model stands.
    pub(super) fn new(request: &GatewayRequest) -> Self {
        Self {
            framing: request.framing,
            default_id: response_id(request.arrived, &request.call_id),
            default_model: request.model.clone().unwrap_or_default(),
            ..Self::default()
        }
    }

    /// Writes one delta.
    fn delta(&mut self, index: u32, delta: Delta, out: &mut BytesMut) {
        let choice = self.choices.entry(index).or_default();
        // A client has read why the candidate ends.
        if choice.finish.is_some() {
            return;
        }
        match delta {
            Delta::Start { id, model } => {
                (self.id, self.model) = (self.id.take().or(id), self.model.take().or(model));
            }
            Delta::ToolCall { call: number, id, name, signature } => {
                choice.calls.push(Call { number, id, name, signature, arguments: String::new() });
            }
            Delta::Arguments { call, json } => {
                // Calls are numbered in their order.
                let place = choice.calls.binary_search_by_key(&call, |it| it.number).ok();
                let call = place.and_then(|it| choice.calls.get_mut(it));
                call.into_iter().for_each(|it| it.arguments.push_str(&json));
            }
            Delta::Finish(finish) => {
                self.calls(index, out);
                self.choices.entry(index).or_default().finish = Some(finish);
            }
            Delta::Usage | Delta::End => {}
            Delta::Text(text) | Delta::Refusal(text) | Delta::Reasoning(text)
                if text.is_empty() => {}
            Delta::Citation(citation) => self.citation(index, &citation, out),
            Delta::Text(text) => {
                choice.text.push(&text);
                self.part(index, Part::text(text), out);
            }
            Delta::Refusal(text) => self.part(index, Part::text(text), out),
            Delta::Reasoning(text) => self.part(index, Part::reasoning(text), out),
            Delta::Signature(signature) => {
                self.part(index, Part::reasoning("").signed(Some(&signature)), out);
            }
            Delta::Image(media) => self.part(index, parts::made(&media, "image/png"), out),
            Delta::Audio(media) => self.part(index, parts::made(&media, "audio/wav"), out),
            Delta::Video(media) => self.part(index, parts::made(&media, "video/mp4"), out),
            Delta::File(media) => {
                self.part(index, parts::made(&media, "application/octet-stream"), out);
            }
        }
    }

    /// Writes a part, behind the calls that came before it.
    fn part(&mut self, index: u32, part: Part<'_>, out: &mut BytesMut) {
        self.calls(index, out);
        self.chunk(vec![Candidate::with_parts(index, vec![part])], false, out);
    }

    /// Writes the calls that nothing more can be added to.
    fn calls(&mut self, index: u32, out: &mut BytesMut) {
        let choice = self.choices.entry(index).or_default();
        if choice.calls.is_empty() {
            return;
        }
        let calls = std::mem::take(&mut choice.calls);
        let written = calls.iter().filter_map(|call| {
            let args = arguments::object(&call.arguments)?;
            let (id, name) = (call.id.as_str().into(), call.name.as_str().into());
            let part = Part::call(FunctionCall { id, name, args });
            Some(part.for_client(call.signature.as_ref()))
        });
        let written: Vec<_> = written.collect();
        choice.broken |= written.len() < calls.len();
        if !written.is_empty() {
            self.chunk(vec![Candidate::with_parts(index, written)], false, out);
        }
    }

    fn citation(&mut self, index: u32, citation: &Citation, out: &mut BytesMut) {
        let text = self.choices.get(&index).map(|it| &it.text);
        let candidate = Candidate::with_parts(index, vec![Part::text("")]);
        let candidate = candidate.citing(text.unwrap_or(&CitedText::default()), [citation]);
        self.chunk(vec![candidate], false, out);
    }

    fn chunk(&mut self, candidates: Vec<Candidate<'_>>, last: bool, out: &mut BytesMut) {
        let usage_metadata = self.usage.as_ref().filter(|_| last).map(Into::into);
        let body = Body {
            candidates,
            usage_metadata,
            model_version: self.model.as_deref().or(Some(&self.default_model)),
            response_id: self.id.as_deref().or(Some(&self.default_id)),
        };
        let body = serialize(&body);
        self.framed(&body, out);
    }

    /// Writes JSON text as this client wants to tell deltas apart.
    fn framed(&mut self, json: &[u8], out: &mut BytesMut) {
        match self.framing {
            Framing::Events => {
                out.put_slice(b"data: ");
                out.put_slice(json);
                // As Google writes them.
                out.put_slice(b"\r\n\r\n");
            }
            Framing::Array => {
                out.put_slice(if self.begun { b",\r\n" } else { b"[" });
                out.put_slice(json);
                out.put_slice(b"\n");
            }
        }
        self.begun = true;
    }

    /// Closes what holds the chunks.
    fn close(&mut self, out: &mut BytesMut) {
        if self.framing == Framing::Array {
            out.put_slice(if self.begun { b"]" } else { b"[]" });
        }
    }
}

impl StreamEncoder for Encoder {
    fn write(&mut self, event: StreamEvent, out: &mut BytesMut) {
        self.usage = event.usage.or(self.usage);
        match event.body {
            EventBody::Delta(index, delta) => self.delta(index, *delta, out),
            EventBody::Frame(frame) => {
                let (_, data) = sse::fields(&frame);
                let Some(data) = data.filter(|it| !it.is_empty()) else {
                    // Google's own Python client takes a comment for JSON.
                    return;
                };
                match self.framing {
                    Framing::Events => {
                        self.begun = true;
                        out.put_slice(&frame);
                    }
                    // The provider is always asked for events, so that one decoder reads both.
                    Framing::Array => self.framed(&data, out),
                }
            }
        }
    }

    fn end(&mut self, _summary: &CallSummary, out: &mut BytesMut) {
        let choices = std::mem::take(&mut self.choices);
        let ended = choices.iter().filter_map(|(index, choice)| {
            let candidate = Candidate::with_parts(*index, vec![Part::text("")]);
            // Held until now, because the usage belongs into the chunk that ends the response, and
            // others report it last.
            Some(candidate.ending(choice.finish.as_ref()?, choice.broken))
        });
        let ended: Vec<_> = ended.collect();
        if !ended.is_empty() {
            self.chunk(ended, true, out);
        }
        self.close(out);
    }

    fn fail(&mut self, error: &Error, request_id: &str, out: &mut BytesMut) {
        self.choices.clear();
        self.framed(&error::to_client(error, request_id), out);
        self.close(out);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use canonical::{ErrorKind, EventKind};

    use super::*;

    fn written(framing: Framing, events: Vec<StreamEvent>, error: Option<&Error>) -> String {
        let (mut writer, mut out) = (Encoder { framing, ..Encoder::default() }, BytesMut::new());
        events.into_iter().for_each(|it| writer.write(it, &mut out));
        match error {
            Some(error) => writer.fail(error, "r1", &mut out),
            None => writer.end(&CallSummary::default(), &mut out),
        }
        String::from_utf8(out.to_vec()).unwrap()
    }

    fn deltas(deltas: Vec<Delta>) -> Vec<StreamEvent> {
        deltas.into_iter().map(|it| StreamEvent::delta(0, it)).collect()
    }

    fn call(number: usize, signature: Option<Signature>, json: &[&str]) -> Vec<Delta> {
        let (id, name) = (format!("c{number}"), "f".to_owned());
        let mut deltas = vec![Delta::ToolCall { call: number, id, name, signature }];
        let more = json.iter().map(|it| Delta::Arguments { call: number, json: (*it).to_owned() });
        deltas.extend(more);
        deltas
    }

    #[test]
    fn chunks_are_elements_of_an_array_where_no_events_are_wanted() {
        let sent = || deltas(vec![Delta::Text("a".to_owned()), Delta::Finish(FinishReason::Stop)]);
        let out = written(Framing::Array, sent(), None);
        assert_eq!(
            out,
            "[{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"a\"}]},\"index\":0}],\"modelVersion\":\"\",\"responseId\":\"\"}\n,\r\n\
             {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"\"}]},\"finishReason\":\"STOP\",\"index\":0}],\"modelVersion\":\"\",\"responseId\":\"\"}\n]"
        );
        assert_eq!(written(Framing::Array, vec![], None), "[]");
        let error = Error::new(ErrorKind::Upstream, "cut");
        let failed = written(Framing::Array, sent(), Some(&error));
        assert!(failed.contains("\n,\r\n{\"error\":{\"code\":502,") && failed.ends_with("}\n]"));
        assert!(!failed.contains("finishReason"));
        serde_json::from_str::<Vec<serde_json::Value>>(&failed).unwrap();
    }

    #[test]
    fn a_providers_own_frames_become_elements_too() {
        let frame = |kind, text: &'static str| {
            StreamEvent::frame(kind, None, Bytes::from_static(text.as_bytes()))
        };
        let events = || {
            vec![
                frame(EventKind::Comment, ": ping\n\n"),
                frame(EventKind::Finish, "data: {\"a\":1}\r\n\r\n"),
                frame(EventKind::End, ""),
            ]
        };
        assert_eq!(written(Framing::Array, events(), None), "[{\"a\":1}\n]");
        assert_eq!(written(Framing::Events, events(), None), "data: {\"a\":1}\r\n\r\n");
    }

    #[test]
    fn a_call_is_written_once_its_arguments_are_whole() {
        let own = Signature::new("gemini", "c2ln");
        let mut sent = call(0, Some(own), &["{\"a\"", ":1}"]);
        sent.extend(call(1, None, &[]));
        sent.push(Delta::Text("x".to_owned()));
        let out = written(Framing::Events, deltas(sent), None);
        let first = out.split("\r\n\r\n").next().unwrap();
        assert!(first.contains(r#""args":{"a":1}},"thoughtSignature":"c2ln"}"#), "{first}");
        assert!(first.contains(r#"{"id":"c1","name":"f","args":{}}"#), "{first}");
    }

    #[test]
    fn a_call_that_is_none_is_not_passed_off_as_one() {
        let mut sent = call(0, None, &["{\"a\":"]);
        sent.push(Delta::Finish(FinishReason::ToolCalls));
        let out = written(Framing::Events, deltas(sent), None);
        assert!(!out.contains("functionCall\""), "{out}");
        assert!(out.contains("\"finishReason\":\"MALFORMED_FUNCTION_CALL\""), "{out}");
    }

    #[test]
    fn a_limit_within_a_call_stays_the_reason() {
        for (reason, written_reason) in [
            (FinishReason::Length, "MAX_TOKENS"),
            (FinishReason::ContextFull, "MAX_TOKENS"),
            (FinishReason::Filtered, "SAFETY"),
            (FinishReason::Stop, "MALFORMED_FUNCTION_CALL"),
        ] {
            let mut sent = call(0, None, &["{\"a\":"]);
            sent.push(Delta::Finish(reason));
            let out = written(Framing::Events, deltas(sent), None);
            assert!(out.contains(&format!("\"finishReason\":\"{written_reason}\"")), "{out}");
            assert!(out.contains("\"finishMessage\":\"The "), "{out}");
        }
    }

    #[test]
    fn a_foreign_signature_closes_its_reasoning() {
        let foreign = Signature::new("anthropic", "c2ln");
        let sent = vec![Delta::Reasoning("hm".to_owned()), Delta::Signature(foreign)];
        let out = written(Framing::Events, deltas(sent), None);
        assert!(out.contains("{\"text\":\"\",\"thought\":true,\"thoughtSignature\":\"X19sZ3NpZ1"));
    }

    #[test]
    fn usage_stands_in_the_last_chunk_whenever_it_came() {
        let usage = Usage { input: 3, output: 2, reasoning: 4, ..Usage::default() };
        let mut events =
            deltas(vec![Delta::Text("a".to_owned()), Delta::Finish(FinishReason::Length)]);
        events.push(StreamEvent::delta(0, Delta::Usage).with_usage(Some(usage)));
        let out = written(Framing::Events, events, None);
        let last = out.trim_end().rsplit("\r\n\r\n").next().unwrap();
        assert!(last.contains("\"finishReason\":\"MAX_TOKENS\""));
        assert!(last.contains(
            r#""usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":9,"thoughtsTokenCount":4}"#
        ));
    }
}
