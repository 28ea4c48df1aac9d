//! A provider's stream, watched while it passes.

use std::borrow::Cow;

use bytes::Bytes;
use canonical::{Error, ErrorKind, EventKind, Result, StreamEvent, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::wire::Counts;
use crate::{
    StreamDecoder, StreamEnd, error_body, finish_reason, lenient_values,
    split_surrogates::Joiner,
    sse::{self, Framer},
};

/// The terminator, for providers that leave it out.
const STOP: &[u8] = b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// Reads frames until `message_stop`.
#[derive(Debug, Default)]
pub(super) struct PassthroughDecoder {
    framer: Framer,
    joiner: Joiner,
    progress: Progress,
}

impl PassthroughDecoder {
    pub(super) fn new(end: StreamEnd) -> Self {
        Self { progress: Progress::new(end), ..Self::default() }
    }
}

impl StreamDecoder for PassthroughDecoder {
    fn read(&mut self, bytes: Bytes, events: &mut Vec<StreamEvent>) -> Result<()> {
        if self.progress.ended {
            return Ok(());
        }
        self.framer.push(&bytes)?;
        while let Some(frame) = self.framer.frame() {
            let frame = self.joiner.join(frame);
            let (kind, frame) = match data(&frame)? {
                None => (EventKind::Comment, frame.clone()),
                Some(data) => {
                    let event = head(&data)?;
                    (self.progress.note(&event)?, named(&event.kind, &data, &frame))
                }
            };
            // Before the frame may be left out as a comment: the usage counts all the same.
            let usage = self.progress.new_usage.take();
            if let Some(frame) = sse::event_alone(&frame) {
                events.push(StreamEvent::frame(kind, usage, frame));
            }
            if kind == EventKind::End {
                break;
            }
        }
        Ok(())
    }

    fn close(&mut self, events: &mut Vec<StreamEvent>) -> Result<()> {
        if self.progress.is_over(self.framer.is_empty())? {
            return Ok(());
        }
        events.push(StreamEvent::frame(EventKind::End, None, Bytes::from_static(STOP)));
        Ok(())
    }
}

/// The frame with the name of its event, which Anthropic's SDKs go by and imitators leave out.
fn named(kind: &str, data: &[u8], frame: &Bytes) -> Bytes {
    let (name, _) = sse::fields(frame);
    if !name.is_empty() || kind.is_empty() {
        return frame.clone();
    }
    [b"event: ", kind.as_bytes(), b"\ndata: ", data, b"\n\n"].concat().into()
}

/// The progress of a stream, and its usage so far.
#[derive(Debug, Default)]
pub(super) struct Progress {
    end: StreamEnd,
    finished: bool,
    pub(super) ended: bool,
    counts: Counts,
    /// Usage that the last event reported.
    pub(super) new_usage: Option<Usage>,
}

impl Progress {
    pub(super) fn new(end: StreamEnd) -> Self {
        Self { end, ..Self::default() }
    }

    /// Notes an event and returns its kind.
    pub(super) fn note(&mut self, event: &EventHead<'_>) -> Result<EventKind> {
        let within = event.message.as_ref().and_then(|it| it.usage);
        if let Some(counts) = event.usage.or(within).and_then(Counts::read) {
            self.counts = self.counts.updated(counts);
            self.new_usage = Some(self.counts.usage());
        }
        let kind = event.event_kind();
        if let Some(reason) = event.ending().stop_reason {
            // Before the event is passed on: a reason that means a cut must end the stream as an
            // error, not as a success.
            finish_reason::check(&reason)?;
        }
        self.finished |= kind == EventKind::Finish;
        if kind == EventKind::End && !self.finished {
            return Err(finish_reason::missing());
        }
        self.ended |= kind == EventKind::End;
        Ok(kind)
    }

    /// Notes that nothing more comes. False where the terminator is missing and may be.
    pub(super) fn is_over(&mut self, between_frames: bool) -> Result<bool> {
        if self.ended {
            return Ok(true);
        }
        if self.finished && self.end == StreamEnd::FinishReason && between_frames {
            self.ended = true;
            return Ok(false);
        }
        let what = if between_frames {
            "ended its stream without `message_stop`: the response is cut"
        } else {
            "ended its stream within an event: the response is cut"
        };
        Err(Error::new(ErrorKind::Upstream, what))
    }
}

/// An event, as far as every reader looks at it.
#[derive(Debug, Deserialize)]
pub(super) struct EventHead<'a> {
    #[serde(borrow, rename = "type", default)]
    pub(super) kind: Cow<'a, str>,
    #[serde(default)]
    pub(super) index: u64,
    #[serde(borrow, default)]
    pub(super) message: Option<WireMessage<'a>>,
    #[serde(borrow, default)]
    pub(super) content_block: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// The message that a stream begins with.
#[derive(Debug, Deserialize)]
pub(super) struct WireMessage<'a> {
    #[serde(default, deserialize_with = "lenient_values::text")]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) model: Option<String>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

/// How a response ends.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Ending<'a> {
    #[serde(borrow, default)]
    pub(super) stop_reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) stop_sequence: Option<Cow<'a, str>>,
}

impl EventHead<'_> {
    fn event_kind(&self) -> EventKind {
        match &*self.kind {
            // Nothing that a client could use: until the first content another target may still
            // take over.
            "message_start" | "content_block_stop" => EventKind::Prelude,
            "content_block_start" => match self.content_block.map(RawValue::get) {
                // These two begin empty.
                Some(block) if begins_empty(block) => EventKind::Prelude,
                _ => EventKind::Content,
            },
            "content_block_delta" => EventKind::Content,
            "message_delta" if self.ending().stop_reason.is_some() => EventKind::Finish,
            "message_delta" if self.usage.is_some() => EventKind::Usage,
            "message_stop" => EventKind::End,
            _ => EventKind::Comment,
        }
    }

    /// How the response ends, where the event says so.
    pub(super) fn ending(&self) -> Ending<'_> {
        let ending: Option<Ending<'_>> =
            self.delta.and_then(|it| serde_json::from_str(it.get()).ok());
        // An empty reason is none.
        ending.filter(|it| it.stop_reason.as_deref() != Some("")).unwrap_or_default()
    }
}

fn begins_empty(block: &str) -> bool {
    serde_json::from_str::<super::response_decode::Block<'_>>(block).is_ok_and(|it| {
        matches!(&*it.kind, "text" | "thinking")
            && it.text.is_none_or(|it| it.is_empty())
            && it.thinking.is_none_or(|it| it.is_empty())
    })
}

/// The data of a frame; a failure is one.
pub(super) fn data(frame: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
    let (name, data) = sse::fields(frame);
    let Some(data) = data.filter(|it| !it.is_empty()) else {
        return Ok(None);
    };
    // By the name beside the data, as Anthropic's SDKs do; the object within may have any shape.
    if name == b"error" {
        return Err(error_body::from_event(&data));
    }
    // Some who imitate the format end with OpenAI's terminator, behind the lawful one or without.
    Ok(Some(data).filter(|it| it.trim_ascii() != b"[DONE]"))
}

/// Reads an event; a failure is one.
pub(super) fn head(data: &[u8]) -> Result<EventHead<'_>> {
    let event: EventHead<'_> = error_body::event(data)?;
    if event.kind == "error" || event.error.is_some() {
        return Err(error_body::from_event(data));
    }
    Ok(event)
}

#[cfg(test)]
mod tests {
    use canonical::EventBody;

    use super::*;

    fn kind(json: &str) -> EventKind {
        Progress::default().note(&head(json.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn events_are_classified() {
        let start = |block: &str| {
            kind(&format!(r#"{{"type":"content_block_start","index":0,"content_block":{block}}}"#))
        };
        assert_eq!(start(r#"{"type":"text","text":""}"#), EventKind::Prelude);
        assert_eq!(start(r#"{"type":"tool_use","id":"t","name":"f"}"#), EventKind::Content);
        assert_eq!(kind(r#"{"type":"ping"}"#), EventKind::Comment);
        assert_eq!(kind(r#"{"type":"something_new","delta":1}"#), EventKind::Comment);
        assert_eq!(
            kind(r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#),
            EventKind::Finish
        );
        let mut progress = Progress { finished: true, ..Progress::default() };
        let stop = head(br#"{"type":"message_stop"}"#).unwrap();
        assert_eq!(progress.note(&stop).unwrap(), EventKind::End);
    }

    #[test]
    fn an_event_without_a_name_gets_one() {
        let frame = b"data: {\"type\":\"message_start\"}\n\n";
        let (mut decoder, mut events) = (PassthroughDecoder::default(), vec![]);
        decoder.read(Bytes::from_static(frame), &mut events).unwrap();
        let EventBody::Frame(frame) = &events[0].body else { panic!("a delta") };
        assert!(frame.starts_with(b"event: message_start\ndata: {"));
    }

    #[test]
    fn a_stop_reason_that_means_a_cut_is_a_failure() {
        let json = r#"{"type":"message_delta","delta":{"stop_reason":"abort"}}"#;
        assert!(Progress::default().note(&head(json.as_bytes()).unwrap()).is_err());
    }

    #[test]
    fn an_error_inside_a_stream_is_a_failure() {
        let json = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
        let error = head(json.as_bytes()).unwrap_err();
        assert_eq!((error.kind, error.message()), (ErrorKind::Upstream, "Overloaded"));
        assert!(head(b"[]").is_err() && head(b"{\"type\":").is_err());
    }

    #[test]
    fn a_stream_without_its_terminator_is_cut() {
        let finish = b"data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"x\"}}\n\n";
        let (mut reader, mut events) = (PassthroughDecoder::default(), vec![]);
        reader.read(Bytes::from_static(finish), &mut events).unwrap();
        assert!(reader.close(&mut events).unwrap_err().message().contains("cut"));
        let (mut reader, mut events) = (PassthroughDecoder::new(StreamEnd::FinishReason), vec![]);
        reader.read(Bytes::from_static(finish), &mut events).unwrap();
        reader.close(&mut events).unwrap();
        assert_eq!(events[1].body, EventBody::Frame(Bytes::from_static(STOP)));
    }
}
