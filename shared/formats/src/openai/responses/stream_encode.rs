//! A stream to a client: the provider's own frames, or a lawful sequence made of deltas.
//!
//! One item is open at a time, so indexes are counted and never looked up.

mod call;
mod events;
mod message;

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use canonical::{
    CallSummary, ChatResponse, Citation, Delta, Error, ErrorKind, EventBody, EventKind,
    FinishReason, Media, Signature, StreamEvent, Usage,
};
use serde::Serialize;

use self::{
    call::Call,
    events::{OfResponse, Stream, Within, within},
    message::{TextKind, end_part, message},
};
use super::{
    compaction,
    echo::RequestEcho,
    output::{self, Annotation, Failure, Item, Names, Part, ResponseJson, Status, Tokens},
    response_encode::{self, ResponseContext},
    wire,
};
use crate::{GatewayRequest, StreamEncoder, openai::chat, response_id::own_id, sse};

/// Encodes one streamed response.
#[derive(Debug)]
pub(super) struct EventEncoder {
    stream: Stream,
    open: Open,
    /// Calls that wait until the one that is open has all of its arguments.
    waiting: Vec<Call>,
    finish: Option<FinishReason>,
    refused: bool,
    usage: Option<Usage>,
    /// The summary so far, where the response is a compaction.
    summary: Option<String>,
    /// The first frame of a response that passes through: it has the id for an error event.
    first: Option<Bytes>,
}

/// The item that is being encoded.
#[derive(Debug)]
enum Open {
    Nothing,
    Message { id: String, parts: Vec<Part> },
    Reasoning { id: String, text: String },
    Call(Call),
}

impl EventEncoder {
    /// An encoder for the response to a request.
    pub(super) fn new(request: &GatewayRequest) -> Self {
        let stream = Stream {
            // Until the provider names the response; encoders must not fail where it never does.
            names: Names::new(&own_id(request.arrived, &request.call_id)),
            model: request.model.clone().unwrap_or_default(),
            created: request.arrived / 1000,
            echo: Arc::new(RequestEcho::new(request)),
            started: false,
            sequence: 0,
            items: vec![],
        };
        Self {
            stream,
            open: Open::Nothing,
            waiting: vec![],
            finish: None,
            refused: false,
            usage: None,
            summary: request.compacts.then(String::new),
            first: None,
        }
    }

    fn delta(&mut self, delta: Delta, out: &mut BytesMut) {
        if let Delta::Start { id, model } = delta {
            // The ids of items are made of it, and clients have read them.
            if let Some(id) = id.filter(|_| !self.stream.started) {
                self.stream.names = Names::new(&id);
            }
            if let Some(model) = model.filter(|_| !self.stream.started) {
                self.stream.model = model;
            }
            return self.stream.start(out);
        }
        if self.finish.is_some() {
            return;
        }
        self.stream.start(out);
        if let Some(summary) = &mut self.summary {
            match delta {
                Delta::Text(text) => summary.push_str(&text),
                Delta::Finish(finish) => self.finish = Some(finish),
                _ => {}
            }
            return;
        }
        match delta {
            Delta::Text(text) if !text.is_empty() => self.add_text(&text, TextKind::Text, out),
            Delta::Refusal(text) if !text.is_empty() => {
                self.add_text(&text, TextKind::Refusal, out);
            }
            Delta::Reasoning(text) if !text.is_empty() => self.add_reasoning(&text, out),
            Delta::Signature(signature) => self.add_signature(&signature, out),
            Delta::Citation(citation) => self.add_citation(&citation, out),
            Delta::ToolCall { call, id, name, signature } => {
                let id = output::signed(&id, signature.as_ref());
                self.call(Call { call, id, name, arguments: String::new() }, out);
            }
            Delta::Arguments { call, json } => self.arguments(call, &json, out),
            Delta::Image(media) => self.image(&media, out),
            Delta::Finish(finish) => {
                let (status, _) = output::outcome(&finish, self.refused);
                if matches!(self.open, Open::Nothing) && self.stream.items.is_empty() {
                    // Clients look into the first item.
                    self.add_text("", TextKind::Text, out);
                }
                self.close(status, out);
                self.finish = Some(finish);
            }
            // Empty, or what this format has no event for.
            Delta::Text(_)
            | Delta::Refusal(_)
            | Delta::Reasoning(_)
            | Delta::Audio(_)
            | Delta::Video(_)
            | Delta::File(_)
            | Delta::Start { .. }
            | Delta::Usage
            | Delta::End => {}
        }
    }

    fn add_text(&mut self, text: &str, kind: TextKind, out: &mut BytesMut) {
        if !matches!(self.open, Open::Message { .. }) {
            self.close(Status::Completed, out);
            let id = self.stream.names.item("msg", self.stream.items.len());
            self.stream.added(&message(&id, vec![], Status::InProgress), out);
            self.open = Open::Message { id, parts: vec![] };
        }
        let Open::Message { id, parts } = &mut self.open else { return };
        let goes_on = parts.last().is_some_and(|it| kind.fits(it));
        if !goes_on {
            end_part(&mut self.stream, id, parts, out);
            let part = kind.empty();
            let within = Within {
                content_index: Some(parts.len()),
                part: Some(&part),
                ..within(id, &self.stream)
            };
            self.stream.send("response.content_part.added", within, out);
            parts.push(part);
        }
        if text.is_empty() {
            return;
        }
        let content_index = Some(parts.len().saturating_sub(1));
        let within = Within { content_index, delta: Some(text), ..within(id, &self.stream) };
        match parts.last_mut() {
            Some(Part::OutputText { text: all, .. }) => {
                all.push_str(text);
                let within = Within { logprobs: Some([]), ..within };
                self.stream.send("response.output_text.delta", within, out);
            }
            Some(Part::Refusal { refusal }) => {
                refusal.push_str(text);
                self.refused = true;
                self.stream.send("response.refusal.delta", within, out);
            }
            Some(Part::SummaryText { .. }) | None => {}
        }
    }

    fn add_reasoning(&mut self, more: &str, out: &mut BytesMut) {
        if !matches!(self.open, Open::Reasoning { .. }) {
            self.close(Status::Completed, out);
            let at = self.stream.items.len();
            let id = self.stream.names.item("rs", at);
            self.stream.added(&self.stream.names.reasoning(at, "", None), out);
            let part = Part::SummaryText { text: String::new() };
            let within =
                Within { summary_index: Some(0), part: Some(&part), ..within(&id, &self.stream) };
            self.stream.send("response.reasoning_summary_part.added", within, out);
            self.open = Open::Reasoning { id, text: String::new() };
        }
        let Open::Reasoning { id, text } = &mut self.open else { return };
        text.push_str(more);
        let within =
            Within { summary_index: Some(0), delta: Some(more), ..within(id, &self.stream) };
        self.stream.send("response.reasoning_summary_text.delta", within, out);
    }

    /// Ends the open reasoning with its signature; without open reasoning, the signature stands alone.
    fn add_signature(&mut self, signature: &Signature, out: &mut BytesMut) {
        if let Open::Reasoning { .. } = self.open {
            self.end_reasoning(Some(signature), out);
            return;
        }
        self.close(Status::Completed, out);
        let item = self.stream.names.reasoning(self.stream.items.len(), "", Some(signature));
        self.stream.added(&item, out);
        self.stream.done(item, out);
    }

    fn end_reasoning(&mut self, signature: Option<&Signature>, out: &mut BytesMut) {
        let Open::Reasoning { id, text } = std::mem::replace(&mut self.open, Open::Nothing) else {
            return;
        };
        let at = |stream: &Stream| Within { summary_index: Some(0), ..within(&id, stream) };
        let done = Within { text: Some(&text), ..at(&self.stream) };
        self.stream.send("response.reasoning_summary_text.done", done, out);
        let part = Part::SummaryText { text: text.clone() };
        let done = Within { part: Some(&part), ..at(&self.stream) };
        self.stream.send("response.reasoning_summary_part.done", done, out);
        let item = self.stream.names.reasoning(self.stream.items.len(), &text, signature);
        // The client knows the item by the id of its announcement.
        let item = item.named(&id);
        self.stream.done(item, out);
    }

    fn add_citation(&mut self, citation: &Citation, out: &mut BytesMut) {
        let Open::Message { id, parts } = &mut self.open else { return };
        let content_index = Some(parts.len().saturating_sub(1));
        if let Some(Part::OutputText { annotations, .. }) = parts.last_mut() {
            let annotation = Annotation::new(citation);
            let within = Within {
                content_index,
                annotation_index: Some(annotations.len()),
                annotation: Some(&annotation),
                ..within(id, &self.stream)
            };
            self.stream.send("response.output_text.annotation.added", within, out);
            annotations.push(annotation);
        }
    }

    /// Opens a call, unless another may still get arguments.
    fn call(&mut self, call: Call, out: &mut BytesMut) {
        if let Open::Call(open) = &self.open
            // In order: a call must not pass those that wait.
            && (!self.waiting.is_empty() || !open.is_whole())
        {
            self.waiting.push(call);
            return;
        }
        self.close(Status::Completed, out);
        self.open_call(call, out);
    }

    fn open_call(&mut self, call: Call, out: &mut BytesMut) {
        let id = self.stream.names.item("fc", self.stream.items.len());
        self.stream.added(&call.item(id).begun(), out);
        if !call.arguments.is_empty() && !call.is_custom() {
            self.send_arguments(&call.arguments, out);
        }
        self.open = Open::Call(call);
    }

    fn send_arguments(&mut self, delta: &str, out: &mut BytesMut) {
        let id = self.stream.names.item("fc", self.stream.items.len());
        let within = Within { delta: Some(delta), ..within(&id, &self.stream) };
        self.stream.send("response.function_call_arguments.delta", within, out);
    }

    fn arguments(&mut self, call: usize, json: &str, out: &mut BytesMut) {
        if json.is_empty() {
            return;
        }
        // Calls are numbered in their order.
        let place = self.waiting.binary_search_by_key(&call, |it| it.call).ok();
        if let Some(waiting) = place.and_then(|it| self.waiting.get_mut(it)) {
            waiting.arguments.push_str(json);
            return;
        }
        match &mut self.open {
            Open::Call(open) if open.call == call => {
                open.arguments.push_str(json);
                // A text is taken out of its arguments when they are whole.
                if open.is_custom() {
                    return;
                }
            }
            _ => return,
        }
        self.send_arguments(json, out);
    }

    fn end_call(&mut self, call: &Call, out: &mut BytesMut) {
        let id = self.stream.names.item("fc", self.stream.items.len());
        let item = call.item(id.clone());
        match &item {
            Item::CustomToolCall { input, .. } => {
                let delta = Within { delta: Some(input), ..within(&id, &self.stream) };
                self.stream.send("response.custom_tool_call_input.delta", delta, out);
                let done = Within { input: Some(input), ..within(&id, &self.stream) };
                self.stream.send("response.custom_tool_call_input.done", done, out);
            }
            Item::FunctionCall { name, arguments, .. } => {
                // Clients parse the deltas, and an empty text is no JSON.
                if call.arguments.trim().is_empty() {
                    self.send_arguments(arguments, out);
                }
                let within = Within {
                    name: Some(name),
                    arguments: Some(arguments),
                    ..within(&id, &self.stream)
                };
                self.stream.send("response.function_call_arguments.done", within, out);
            }
            Item::Message { .. }
            | Item::Reasoning { .. }
            | Item::Compaction { .. }
            | Item::ImageGenerationCall { .. } => {}
        }
        self.stream.done(item, out);
    }

    fn image(&mut self, media: &Media, out: &mut BytesMut) {
        self.close(Status::Completed, out);
        let id = self.stream.names.item("ig", self.stream.items.len());
        match output::image(id, media) {
            Ok(item) => {
                self.stream.added(&item, out);
                self.stream.done(item, out);
            }
            Err(url) => self.add_text(&url, TextKind::Text, out),
        }
    }

    /// Closes what is open, and writes the calls that wait.
    fn close(&mut self, status: Status, out: &mut BytesMut) {
        match &mut self.open {
            Open::Nothing => {}
            Open::Message { id, parts } => {
                end_part(&mut self.stream, id, parts, out);
                let item = message(id, std::mem::take(parts), status);
                self.stream.done(item, out);
            }
            Open::Reasoning { .. } => self.end_reasoning(None, out),
            Open::Call(_) => {
                let Open::Call(call) = std::mem::replace(&mut self.open, Open::Nothing) else {
                    return;
                };
                self.end_call(&call, out);
                for call in std::mem::take(&mut self.waiting) {
                    self.open_call(call, out);
                    if let Open::Call(call) = std::mem::replace(&mut self.open, Open::Nothing) {
                        self.end_call(&call, out);
                    }
                }
            }
        }
        self.open = Open::Nothing;
    }

    /// The id and the model of a response that passed through.
    fn named(&mut self) {
        let Some(first) = self.first.take() else { return };
        #[derive(serde::Deserialize)]
        struct Created<'a> {
            #[serde(borrow)]
            response: wire::Response<'a>,
        }
        let (_, data) = sse::fields(&first);
        let created = data.as_deref().and_then(|it| serde_json::from_slice::<Created<'_>>(it).ok());
        let Some(created) = created.map(|it| it.response) else { return };
        self.stream.names = Names::new(&created.id.unwrap_or_default());
        self.stream.model = created.model.unwrap_or_default();
        self.stream.started = true;
    }
}

impl StreamEncoder for EventEncoder {
    fn write(&mut self, event: StreamEvent, out: &mut BytesMut) {
        self.usage = event.usage.or(self.usage);
        match event.body {
            EventBody::Frame(frame) => {
                if event.kind != EventKind::Comment {
                    self.stream.sequence += 1;
                }
                if event.kind == EventKind::Prelude && self.first.is_none() {
                    self.first = Some(frame.clone());
                }
                out.put(frame);
            }
            EventBody::Delta(0, delta) => self.delta(*delta, out),
            // A request of this format has no `n`, so that there is one choice only.
            EventBody::Delta(..) => {}
        }
    }

    fn encode_whole(
        &self,
        response: &ChatResponse,
        usage: Option<&Usage>,
        summary: &CallSummary,
    ) -> Option<Bytes> {
        let (echo, compacts) = (&self.stream.echo, self.summary.is_some());
        let context = ResponseContext { usage, summary, echo, compacts };
        Some(response_encode::encode(response, &context))
    }

    fn end(&mut self, summary: &CallSummary, out: &mut BytesMut) {
        // Without a finish reason the response was cut, and its stream must not end as a success. A
        // response that passed through has its end already.
        let Some(finish) = self.finish.take() else { return };
        if let Some(written) = self.summary.take() {
            if written.trim().is_empty() {
                let error =
                    Error::new(ErrorKind::Upstream, "returned a response without a summary");
                return self.fail(&error, &summary.request_id, out);
            }
            let item = compaction::item(self.stream.names.item("cmp", 0), &written);
            self.stream.added(&item, out);
            self.stream.done(item, out);
        }
        let outcome = output::outcome(&finish, self.refused);
        let (names, items) = (self.stream.names.clone(), std::mem::take(&mut self.stream.items));
        let echo = Arc::clone(&self.stream.echo);
        let model = Some(std::mem::take(&mut self.stream.model)).filter(|it| !it.is_empty());
        let model = model.as_deref().unwrap_or(&summary.model);
        let mut response =
            ResponseJson::new(&names.id, model, self.stream.created, &echo).ended(outcome, summary);
        response.output = &items;
        response.usage = self.usage.as_ref().map(Tokens::from);
        let kind = match outcome.0 {
            Status::Incomplete => "response.incomplete",
            Status::Completed | Status::InProgress | Status::Failed => "response.completed",
        };
        self.stream.send(kind, OfResponse { response }, out);
    }

    fn fail(&mut self, error: &Error, request_id: &str, out: &mut BytesMut) {
        #[derive(Serialize)]
        struct ErrorJson<'a> {
            code: &'a str,
            message: &'a str,
            param: Option<&'a str>,
            error: &'a serde_json::value::RawValue,
        }
        #[derive(serde::Deserialize)]
        struct Body<'a> {
            #[serde(borrow)]
            error: &'a serde_json::value::RawValue,
        }
        // The error event needs the id of the response that the client has begun to read.
        self.named();
        let message = error.to_string();
        let body = chat::error::to_client(error, request_id);
        if let Ok(Body { error: object }) = serde_json::from_slice(&body) {
            // The members beside are the documented ones; the object is what SDKs raise on.
            let (code, param) = (error.code(), error.param.as_deref());
            let event = ErrorJson { code, message: &message, param, error: object };
            self.stream.send("error", event, out);
        }
        if !self.stream.started {
            return;
        }
        let (names, model) = (self.stream.names.clone(), self.stream.model.clone());
        let echo = Arc::clone(&self.stream.echo);
        let mut response = ResponseJson::new(&names.id, &model, self.stream.created, &echo);
        response.status = Status::Failed;
        response.error = Some(Failure { code: failure(error), message: &message });
        self.stream.send("response.failed", OfResponse { response }, out);
    }
}

/// The code of a failure, among those that a response of this format may have.
fn failure(error: &Error) -> &'static str {
    match error.kind {
        ErrorKind::RateLimited | ErrorKind::BudgetExceeded => "rate_limit_exceeded",
        ErrorKind::InvalidRequest
        | ErrorKind::Unsupported
        | ErrorKind::Rejected
        | ErrorKind::ContextLength
        | ErrorKind::UnknownModel
        | ErrorKind::UnknownPath
        | ErrorKind::WrongMethod
        | ErrorKind::TooLarge
        | ErrorKind::Conflict
        | ErrorKind::KeyReused
        | ErrorKind::HeadersTooLarge => "invalid_prompt",
        ErrorKind::Unauthenticated
        | ErrorKind::Forbidden
        | ErrorKind::Timeout
        | ErrorKind::Network
        | ErrorKind::Upstream
        | ErrorKind::ProviderAccess
        | ErrorKind::Unavailable
        | ErrorKind::Internal => "server_error",
    }
}

#[cfg(test)]
mod tests {
    use canonical::Task;

    use super::*;
    use crate::RawObject;

    fn encoded(deltas: Vec<Delta>) -> String {
        let raw = RawObject { body: Bytes::new(), members: vec![] };
        let mut encoder =
            EventEncoder::new(&GatewayRequest::new(&super::super::FORMAT, Task::Chat, raw));
        let mut out = BytesMut::new();
        for delta in deltas {
            encoder.write(StreamEvent::delta(0, delta), &mut out);
        }
        encoder.end(&CallSummary::default(), &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    /// The names of the events, without what they have in common.
    fn names(encoded: &str) -> Vec<&str> {
        let names = encoded.lines().filter_map(|it| it.strip_prefix("event: response."));
        names.collect()
    }

    fn call(call: usize) -> Delta {
        let id = format!("call_{call}");
        Delta::ToolCall { call, id, name: "get".to_owned(), signature: None }
    }

    fn arguments(call: usize, json: &str) -> Delta {
        Delta::Arguments { call, json: json.to_owned() }
    }

    #[test]
    fn calls_that_are_mixed_are_written_one_after_the_other() {
        let out = encoded(vec![
            call(0),
            call(1),
            arguments(1, "{\"b\""),
            arguments(0, "{\"a\":1}"),
            arguments(1, ":2}"),
            Delta::Finish(FinishReason::ToolCalls),
        ]);
        let expected = [
            "created",
            "in_progress",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "completed",
        ];
        assert_eq!(names(&out), expected);
        assert!(out.contains(r#""arguments":"{\"b\":2}""#), "{out}");
    }

    #[test]
    fn a_call_that_is_whole_makes_room_for_the_next() {
        let first = vec![call(0), arguments(0, "{\"a\":1}"), call(1), arguments(1, "{")];
        let out = encoded(first);
        assert_eq!(names(&out).iter().filter(|it| **it == "output_item.done").count(), 1);
        assert!(names(&out).ends_with(&["output_item.added", "function_call_arguments.delta"]));
    }

    #[test]
    fn reasoning_is_closed_by_its_signature() {
        let signature = Signature::new("anthropic", "c2ln");
        let tag = signature.tagged();
        let out = encoded(vec![
            Delta::Reasoning("Hm.".to_owned()),
            Delta::Signature(signature),
            Delta::Text("42".to_owned()),
            Delta::Finish(FinishReason::Stop),
        ]);
        assert_eq!(out.matches(&format!(r#""encrypted_content":"{tag}""#)).count(), 2);
        assert!(out.contains(r#""output_index":1"#));
    }

    #[test]
    fn without_a_finish_there_is_no_success() {
        assert!(!encoded(vec![Delta::Text("x".to_owned())]).contains("response.completed"));
    }
}
