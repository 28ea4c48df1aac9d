//! A provider's stream: watched while it passes, or taken apart for a client of another format.

use std::{borrow::Cow, collections::BTreeMap};

use bytes::Bytes;
use canonical::{
    Content, Delta, Error, ErrorKind, EventKind, FinishReason, Result, StreamEvent, Usage,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{content, response_decode, wire};
use crate::{
    DecodeMode, StreamDecoder, error_body,
    sse::{self, FrameDecoder, Framer},
};

/// One event, as far as it is looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct EventJson<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    output_index: Option<u64>,
    content_index: Option<u64>,
    summary_index: Option<u64>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    #[serde(borrow)]
    annotation: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// Decodes events until the response is reported as complete or incomplete.
#[derive(Debug)]
pub(super) struct EventDecoder {
    framer: Framer,
    mode: DecodeMode,
    ended: bool,
    /// Whether there was any content.
    has_content: bool,
    state: StreamState,
}

impl EventDecoder {
    pub(super) fn new(mode: DecodeMode) -> Self {
        Self {
            framer: Framer::default(),
            mode,
            ended: false,
            has_content: false,
            state: StreamState::default(),
        }
    }

    /// Keeps a frame for a client of the same format.
    fn pass(&self, kind: EventKind, frame: &Bytes, events: &mut Vec<StreamEvent>) {
        if self.mode == DecodeMode::Passthrough
            && let Some(frame) = sse::event_alone(frame)
        {
            events.push(StreamEvent::frame(kind, None, frame));
        }
    }

    /// Decodes the last event, which repeats the whole response.
    fn end(
        &mut self,
        event: &EventJson<'_>,
        frame: &Bytes,
        events: &mut Vec<StreamEvent>,
    ) -> Result<()> {
        let response: wire::Response<'_> =
            event.response.ok_or_else(error_body::malformed).and_then(error_body::part)?;
        response_decode::check(&response)?;
        if event.kind == "response.failed" {
            return Err(Error::new(ErrorKind::Upstream, "failed without a reason"));
        }
        let empty = response.output.as_ref().is_none_or(Vec::is_empty);
        // A success without anything is a failure that another target may not have; the last event
        // alone may hold all of it.
        if event.kind == "response.completed" && !self.has_content && empty {
            return Err(Error::new(ErrorKind::Upstream, "returned a response without output"));
        }
        let usage = response.usage.and_then(wire::usage);
        match self.mode {
            DecodeMode::Passthrough => {
                response_decode::check_calls(&response)?;
                let frame = sse::event_alone(frame).unwrap_or_default();
                events.push(StreamEvent::frame(EventKind::Finish, usage, frame));
                // The format has no terminator behind its last event; the course of a stream needs
                // an end.
                events.push(StreamEvent::frame(EventKind::End, None, Bytes::new()));
            }
            DecodeMode::Translate => self.state.end(&response, usage, events)?,
        }
        self.ended = true;
        Ok(())
    }
}

impl FrameDecoder for EventDecoder {
    fn framer(&mut self) -> &mut Framer {
        &mut self.framer
    }

    fn has_ended(&self) -> bool {
        self.ended
    }

    fn frame(&mut self, frame: Bytes, events: &mut Vec<StreamEvent>) -> Result<()> {
        let (name, data) = sse::fields(&frame);
        let data = data.filter(|it| !it.is_empty());
        let Some(data) = data.filter(|it| it.trim_ascii() != b"[DONE]") else {
            self.pass(EventKind::Comment, &frame, events);
            return Ok(());
        };
        let event = decode_event(name, &data)?;
        match event.kind.as_ref() {
            "error" => return Err(error_body::from_event(&data)),
            "response.completed" | "response.incomplete" | "response.failed" => {
                return self.end(&event, &frame, events);
            }
            _ => {}
        }
        let kind = kind(&event);
        self.has_content |= kind.is_meaningful();
        match self.mode {
            DecodeMode::Passthrough => self.pass(kind, &frame, events),
            DecodeMode::Translate => self.state.event(&event, events)?,
        }
        Ok(())
    }
}

impl StreamDecoder for EventDecoder {
    fn read(&mut self, bytes: Bytes, events: &mut Vec<StreamEvent>) -> Result<()> {
        self.read_frames(&bytes, events)
    }

    fn close(&mut self, _events: &mut Vec<StreamEvent>) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        let what = if self.framer.is_empty() {
            "ended its stream without `response.completed`: the response is cut"
        } else {
            "ended its stream within an event: the response is cut"
        };
        Err(Error::new(ErrorKind::Upstream, what))
    }
}

/// Reads an event. Some name it only beside its data.
fn decode_event<'a>(name: &'a [u8], data: &'a [u8]) -> Result<EventJson<'a>> {
    let mut event: EventJson<'_> =
        error_body::event(data).or_else(|error| unknown_event(data).ok_or(error))?;
    if event.kind.is_empty() {
        event.kind = String::from_utf8_lossy(name);
    }
    if event.kind.is_empty()
        && let Some(error) = event.error
    {
        return Err(error_body::beside(error, data));
    }
    Ok(event)
}

/// An event that is JSON, but of a shape that only the future knows.
fn unknown_event(data: &[u8]) -> Option<EventJson<'_>> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
    }
    let kind = serde_json::from_slice::<Named<'_>>(data).ok()?.kind;
    let event_name = kind.strip_prefix("response.")?;
    // An event that is known and cannot be read would be lost content, and is an error.
    (!KNOWN.iter().any(|it| event_name.starts_with(it)))
        .then(|| EventJson { kind, ..EventJson::default() })
}

/// How the names of those events begin that are read, behind `response.`.
const KNOWN: &[&str] = &[
    "completed",
    "content_part.",
    "created",
    "failed",
    "function_call_arguments.",
    "in_progress",
    "incomplete",
    "output_item.",
    "output_text.",
    "queued",
    "reasoning_summary_",
    "reasoning_text.",
    "refusal.",
];

/// The kind of event that an event of this format is.
fn kind(event: &EventJson<'_>) -> EventKind {
    match event.kind.as_ref() {
        "response.created"
        | "response.queued"
        | "response.in_progress"
        | "response.content_part.added"
        | "response.reasoning_summary_part.added" => EventKind::Prelude,
        "response.output_item.added" => {
            let item =
                event.item.and_then(|it| serde_json::from_str::<wire::Item<'_>>(it.get()).ok());
            match item.and_then(|it| it.kind).as_deref() {
                // These two begin empty. Any other item is something that a client shows at once.
                None | Some("message" | "reasoning") => EventKind::Prelude,
                Some(_) => EventKind::Content,
            }
        }
        kind if kind.ends_with(".delta") => match event.delta.map(RawValue::get) {
            None | Some("null" | "\"\"") => EventKind::Prelude,
            Some(_) => EventKind::Content,
        },
        // Events that end a part, and those of the future: a client may have acted on them.
        kind if kind.starts_with("response.") => EventKind::Content,
        _ => EventKind::Comment,
    }
}

/// The response so far: deltas, and the parts that are repeated when they are done.
#[derive(Debug, Default)]
struct StreamState {
    items: BTreeMap<u64, ItemState>,
    calls: usize,
    texts: bool,
    refusals: bool,
}

/// An item, and a part of it.
type Place = (u64, u64);

/// The deltas of one item so far.
#[derive(Debug, Default)]
struct ItemState {
    /// How many bytes of each part.
    parts: BTreeMap<u64, usize>,
    /// Which call it is.
    call: Option<usize>,
    /// The part of a summary of which text came last.
    summary: Option<u64>,
    citations: usize,
    done: bool,
}

impl StreamState {
    fn event(&mut self, event: &EventJson<'_>, events: &mut Vec<StreamEvent>) -> Result<()> {
        let [at, part, summary] = [event.output_index, event.content_index, event.summary_index]
            .map(Option::unwrap_or_default);
        match event.kind.as_ref() {
            "response.created" => {
                let response = event.response.and_then(|it| serde_json::from_str(it.get()).ok());
                let response: wire::Response<'_> = response.unwrap_or_default();
                let start = Delta::Start { id: response.id, model: response.model };
                events.push(StreamEvent::delta(0, start));
            }
            "response.output_item.added" => self.opened(at, event.item, events),
            "response.output_item.done" => {
                self.done(at, event.item.ok_or_else(error_body::malformed)?, events)?;
            }
            "response.output_text.delta" => {
                self.add((at, part), TextKind::Text, &text(event.delta), events);
            }
            "response.output_text.done" => {
                self.add_missing((at, part), TextKind::Text, &text(event.text), events);
            }
            "response.output_text.annotation.added" => self.cited(at, event.annotation, events),
            "response.refusal.delta" => {
                self.add((at, part), TextKind::Refusal, &text(event.delta), events);
            }
            "response.refusal.done" => {
                self.add_missing((at, part), TextKind::Refusal, &text(event.refusal), events);
            }
            "response.reasoning_summary_text.delta" => {
                self.summary(at, summary, events);
                self.add((at, summary), TextKind::Reasoning, &text(event.delta), events);
            }
            "response.reasoning_summary_text.done" => {
                self.summary(at, summary, events);
                self.add_missing((at, summary), TextKind::Reasoning, &text(event.text), events);
            }
            "response.reasoning_text.delta" if self.shows_reasoning(at) => {
                self.add((at, part), TextKind::Reasoning, &text(event.delta), events);
            }
            "response.function_call_arguments.delta" => {
                self.add((at, 0), TextKind::Arguments, &text(event.delta), events);
            }
            "response.function_call_arguments.done" => {
                self.add_missing((at, 0), TextKind::Arguments, &text(event.arguments), events);
            }
            _ => {}
        }
        Ok(())
    }

    /// Where there is a summary, the reasoning itself would be the same again.
    fn shows_reasoning(&self, at: u64) -> bool {
        self.items.get(&at).is_none_or(|it| it.summary.is_none())
    }

    fn opened(&mut self, at: u64, item: Option<&RawValue>, events: &mut Vec<StreamEvent>) {
        let item = item.and_then(|it| serde_json::from_str::<wire::Item<'_>>(it.get()).ok());
        if let Some(item) = item.filter(|it| it.kind.as_deref() == Some("function_call")) {
            self.call(at, &item, events);
        }
    }

    fn call(&mut self, at: u64, item: &wire::Item<'_>, events: &mut Vec<StreamEvent>) {
        let item_state = self.items.entry(at).or_default();
        // Announced with the item, or only when it is done: the first of the two counts.
        if item_state.call.is_some() {
            return;
        }
        let call = self.calls;
        item_state.call = Some(call);
        self.calls += 1;
        let call_json = response_decode::call(item, call);
        let delta =
            Delta::ToolCall { call, id: call_json.id, name: call_json.name, signature: None };
        events.push(StreamEvent::delta(0, delta));
    }

    /// Adds text that is new.
    fn add(
        &mut self,
        (at, part): Place,
        kind: TextKind,
        text: &str,
        events: &mut Vec<StreamEvent>,
    ) {
        if text.is_empty() {
            return;
        }
        let item_state = self.items.entry(at).or_default();
        let delta = match (kind, item_state.call) {
            (TextKind::Text, _) => {
                self.texts = true;
                Delta::Text(text.to_owned())
            }
            (TextKind::Refusal, _) => {
                self.refusals = true;
                Delta::Refusal(text.to_owned())
            }
            (TextKind::Reasoning, _) => Delta::Reasoning(text.to_owned()),
            (TextKind::Arguments, Some(call)) => Delta::Arguments { call, json: text.to_owned() },
            // Arguments of a tool that runs at the provider.
            (TextKind::Arguments, None) => return,
        };
        // Only the length is kept: the text that is repeated at the end need not be held twice.
        *item_state.parts.entry(part).or_default() += text.len();
        events.push(StreamEvent::delta(0, delta));
    }

    /// Adds what the deltas lacked of a part that is repeated whole.
    fn add_missing(
        &mut self,
        (at, part): Place,
        kind: TextKind,
        whole: &str,
        events: &mut Vec<StreamEvent>,
    ) {
        let sent = self.items.get(&at).and_then(|it| it.parts.get(&part)).copied().unwrap_or(0);
        // None where the whole is shorter than its deltas, or cut within a character: what was sent
        // stays.
        if let Some(missing) = whole.get(sent..) {
            self.add((at, part), kind, missing, events);
        }
    }

    /// Separates the parts of a summary.
    fn summary(&mut self, at: u64, part: u64, events: &mut Vec<StreamEvent>) {
        let last = self.items.entry(at).or_default().summary.replace(part);
        if last.is_some_and(|it| it != part) {
            events.push(StreamEvent::delta(0, Delta::Reasoning(content::BREAK.to_owned())));
        }
    }

    fn cited(&mut self, at: u64, annotation: Option<&RawValue>, events: &mut Vec<StreamEvent>) {
        if let Some(citation) = annotation.and_then(content::citation) {
            self.items.entry(at).or_default().citations += 1;
            events.push(StreamEvent::delta(0, Delta::Citation(citation)));
        }
    }

    /// Adds what earlier events lacked of an item that is repeated whole.
    fn done(&mut self, at: u64, json: &RawValue, events: &mut Vec<StreamEvent>) -> Result<()> {
        // The last event repeats every item of the response.
        if std::mem::replace(&mut self.items.entry(at).or_default().done, true) {
            return Ok(());
        }
        let Some(item) = response_decode::item(json)? else { return Ok(()) };
        match item.kind.as_deref() {
            Some("reasoning") => self.reasoning_item(at, &item, events),
            Some("function_call") => {
                self.call(at, &item, events);
                self.add_missing(
                    (at, 0),
                    TextKind::Arguments,
                    &response_decode::arguments(&item),
                    events,
                );
            }
            _ => self.message_item(at, &item, events),
        }
        Ok(())
    }

    fn reasoning_item(&mut self, at: u64, item: &wire::Item<'_>, events: &mut Vec<StreamEvent>) {
        // Joined summaries have separators that the deltas have not, so that their lengths cannot
        // be compared.
        if self.items.get(&at).is_none_or(|it| it.parts.is_empty()) {
            self.add((at, 0), TextKind::Reasoning, &content::reasoning_text(item), events);
        }
        let signature = content::reasoning(item).and_then(|it| it.signature);
        events.extend(signature.map(|it| StreamEvent::delta(0, Delta::Signature(it))));
    }

    fn message_item(&mut self, at: u64, item: &wire::Item<'_>, events: &mut Vec<StreamEvent>) {
        let cited = self.items.get(&at).is_some_and(|it| 0 < it.citations);
        for (index, part) in (0..).zip(response_decode::output_parts(item)) {
            match part.content {
                Content::Text(text, citations) => {
                    self.add_missing((at, index), TextKind::Text, &text, events);
                    let citations = citations.into_iter().filter(|_| !cited);
                    events.extend(citations.map(|it| StreamEvent::delta(0, Delta::Citation(it))));
                }
                Content::Refusal(text) => {
                    self.add_missing((at, index), TextKind::Refusal, &text, events);
                }
                Content::Image(media) => events.push(StreamEvent::delta(0, Delta::Image(media))),
                _ => {}
            }
        }
    }

    fn end(
        &mut self,
        response: &wire::Response<'_>,
        usage: Option<Usage>,
        events: &mut Vec<StreamEvent>,
    ) -> Result<()> {
        let items = response.output.as_deref().unwrap_or_default();
        // Those who count otherwise at the end than before would give the same items twice.
        let last = self.items.keys().next_back().copied();
        for (at, item) in (0..).zip(items) {
            if self.items.contains_key(&at) || last.is_none_or(|last| last < at) {
                self.done(at, item, events)?;
            }
        }
        let finish: FinishReason =
            response_decode::finish(response, 0 < self.calls, self.refusals && !self.texts);
        events.push(StreamEvent::delta(0, Delta::Finish(finish)).with_usage(usage));
        events.push(StreamEvent::delta(0, Delta::End));
        Ok(())
    }
}

/// The text of a delta; empty for what is no string.
fn text(json: Option<&RawValue>) -> Cow<'_, str> {
    wire::string(json).unwrap_or_default()
}

/// The kind of a part.
#[derive(Clone, Copy, Debug)]
enum TextKind {
    Text,
    Refusal,
    Reasoning,
    Arguments,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deltas(frames: &[&str]) -> Result<Vec<Delta>> {
        let (mut reader, mut events) = (EventDecoder::new(DecodeMode::Translate), vec![]);
        for data in frames {
            reader.read(format!("data: {data}\n\n").into(), &mut events)?;
        }
        let deltas = events.into_iter().map(|it| match it.body {
            canonical::EventBody::Delta(_, delta) => *delta,
            canonical::EventBody::Frame(frame) => panic!("{frame:?}"),
        });
        Ok(deltas.collect())
    }

    #[test]
    fn what_deltas_left_out_is_passed_on_once() {
        let event_name = deltas(&[
            r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"gr"}"#,
            r#"{"type":"response.output_text.done","output_index":0,"content_index":0,"text":"grün"}"#,
            r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"message","content":[{"type":"output_text","text":"grün"}]}}"#,
        ]);
        assert_eq!(
            event_name.unwrap(),
            [Delta::Text("gr".to_owned()), Delta::Text("ün".to_owned())]
        );
    }

    #[test]
    fn the_future_breaks_nothing_but_what_is_known_must_be_whole() {
        let strange = r#"{"type":"response.of_the_future","output_index":"first"}"#;
        assert_eq!(deltas(&[strange]).unwrap(), []);
        let broken = r#"{"type":"response.output_text.delta","output_index":"first"}"#;
        assert_eq!(deltas(&[broken]).unwrap_err().kind, ErrorKind::Upstream);
        let broken = r#"{"type":"response.output_item.done","item":{"type":"message","role":1}}"#;
        assert_eq!(deltas(&[broken]).unwrap_err().kind, ErrorKind::Upstream);
    }

    #[test]
    fn calls_without_ids_get_some() {
        let call = r#"{"type":"response.output_item.done","output_index":AT,"item":{"type":"function_call","name":"f","arguments":"{}"}}"#;
        let event_name = deltas(&[&call.replace("AT", "0"), &call.replace("AT", "1")]).unwrap();
        let ids = event_name.iter().filter_map(|it| match it {
            Delta::ToolCall { id, .. } => Some(id.as_str()),
            _ => None,
        });
        assert_eq!(ids.collect::<Vec<_>>(), ["call_0", "call_1"]);
    }
}
