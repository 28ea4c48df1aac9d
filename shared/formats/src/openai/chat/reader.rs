//! A provider's stream, watched while it passes.

use std::borrow::Cow;

use bytes::Bytes;
use canonical::{Error, ErrorKind, EventKind, Result, StreamEvent, Usage};

use super::wire;
use crate::{
    StreamDecoder, StreamEnd, error_body,
    sse::{self, Framer},
};

/// The terminator, for providers that leave it out.
pub(super) const DONE: &[u8] = b"data: [DONE]\n\n";

/// Reads chunks until `data: [DONE]`.
#[derive(Debug, Default)]
pub(super) struct Reader {
    framer: Framer,
    end: StreamEnd,
    finished: bool,
    ended: bool,
}

impl Reader {
    pub(super) fn new(end: StreamEnd) -> Self {
        Self { end, ..Self::default() }
    }
}

impl StreamDecoder for Reader {
    fn read(&mut self, bytes: Bytes, events: &mut Vec<StreamEvent>) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        self.framer.push(&bytes)?;
        while let Some(frame) = self.framer.frame() {
            let (kind, usage) = classify_frame(&frame)?;
            events.push(StreamEvent::frame(kind, usage, frame));
            self.finished |= kind == EventKind::Finish;
            if kind == EventKind::End {
                self.ended = true;
                break;
            }
        }
        Ok(())
    }

    fn close(&mut self, events: &mut Vec<StreamEvent>) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        if self.finished && self.end == StreamEnd::FinishReason && self.framer.is_empty() {
            self.ended = true;
            let frame = Bytes::from_static(DONE);
            events.push(StreamEvent::frame(EventKind::End, None, frame));
            return Ok(());
        }
        Err(cut(&self.framer))
    }
}

/// A stream that ended too early.
pub(super) fn cut(framer: &Framer) -> Error {
    let what = if framer.is_empty() {
        "its stream ended without `[DONE]`: the answer is cut"
    } else {
        "its stream ended within an event: the answer is cut"
    };
    Error::new(ErrorKind::Upstream, what)
}

/// One frame, as far as its lines say.
pub(super) enum Frame<'a> {
    /// Nothing that belongs to the answer.
    Comment,
    /// The terminator.
    Done,
    /// The text of an object.
    Chunk(Cow<'a, [u8]>),
}

/// Looks at the lines of a frame. An error event is a fault.
pub(super) fn frame(frame: &[u8]) -> Result<Frame<'_>> {
    let (name, data) = sse::fields(frame);
    let Some(data) = data.filter(|it| !it.is_empty()) else {
        return Ok(Frame::Comment);
    };
    if data.trim_ascii() == b"[DONE]" {
        return Ok(Frame::Done);
    }
    if name == b"error" {
        return Err(error_body::from_event(&data));
    }
    Ok(Frame::Chunk(data))
}

/// What one frame means.
fn classify_frame(frame: &[u8]) -> Result<(EventKind, Option<Usage>)> {
    let data = match self::frame(frame)? {
        Frame::Comment => return Ok((EventKind::Comment, None)),
        Frame::Done => return Ok((EventKind::End, None)),
        Frame::Chunk(data) => data,
    };
    let chunk: wire::ChatResponse<'_> = error_body::event(&data)?;
    if let Some(error) = chunk.error {
        return Err(error_body::inside_success(error));
    }
    let usage = chunk.usage.and_then(wire::usage);
    let choices = chunk.choices.unwrap_or_default();
    if choices.failed {
        return Err(Error::new(ErrorKind::Upstream, "it gave up: finish reason `error`"));
    }
    let kind = match choices {
        _ if choices.finish => EventKind::Finish,
        _ if choices.content => EventKind::Content,
        _ if 0 < choices.count => EventKind::Prelude,
        _ if usage.is_some() => EventKind::Usage,
        _ => EventKind::Comment,
    };
    Ok((kind, usage))
}

#[cfg(test)]
mod tests {
    use canonical::EventBody;

    use super::*;

    fn kind(data: &str) -> EventKind {
        classify_frame(format!("data: {data}\n\n").as_bytes()).unwrap().0
    }

    fn fault(frame: &str) -> Error {
        classify_frame(frame.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_role_is_not_an_answer() {
        assert_eq!(
            kind(
                r#"{"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#
            ),
            EventKind::Prelude
        );
    }

    #[test]
    fn whatever_else_a_delta_holds_is() {
        for delta in [
            r#"{"content":"x"}"#,
            r#"{"tool_calls":[{"index":0}]}"#,
            r#"{"reasoning_content":"x"}"#,
            r#"{"refusal":"no"}"#,
            r#"{"vendor_field":{"a":1}}"#,
        ] {
            assert_eq!(
                kind(&format!(r#"{{"choices":[{{"delta":{delta}}}]}}"#)),
                EventKind::Content
            );
        }
    }

    #[test]
    fn chunks_are_told_apart() {
        assert_eq!(kind(r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#), EventKind::Finish);
        assert_eq!(kind(r#"{"choices":[],"usage":{"prompt_tokens":1}}"#), EventKind::Usage);
        assert_eq!(kind(r#"{"choices":[],"prompt_filter_results":[]}"#), EventKind::Comment);
        let empty_reason = r#"{"choices":[{"delta":{"content":"x"},"finish_reason":""}]}"#;
        assert_eq!(kind(empty_reason), EventKind::Content);
        assert_eq!(kind("[DONE]"), EventKind::End);
        assert_eq!(classify_frame(b": ping\n\n").unwrap().0, EventKind::Comment);
    }

    #[test]
    fn an_error_inside_a_stream_is_a_failure() {
        let error = fault("data: {\"error\":{\"message\":\"busy\",\"code\":429}}\n\n");
        assert_eq!((error.kind, error.message()), (ErrorKind::RateLimited, "busy"));
        assert_eq!(fault("event: error\ndata: {\"message\":\"x\"}\n\n").kind, ErrorKind::Upstream);
        assert_eq!(fault("data: {\"choices\":[{\"fin\n\n").kind, ErrorKind::Upstream);
        assert_eq!(fault("data: []\n\n").kind, ErrorKind::Upstream);
        let gave_up = r#"data: {"choices":[{"delta":{},"finish_reason":"error"}]}"#;
        assert_eq!(fault(&format!("{gave_up}\n\n")).kind, ErrorKind::Upstream);
    }

    const FINISH: &[u8] = b"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

    #[test]
    fn a_stream_without_its_terminator_is_cut() {
        let (mut reader, mut events) = (Reader::default(), vec![]);
        reader.read(Bytes::from_static(FINISH), &mut events).unwrap();
        assert_eq!(events.len(), 1);
        assert!(reader.close(&mut events).unwrap_err().message().contains("cut"));
        reader.read(Bytes::from_static(DONE), &mut events).unwrap();
        reader.close(&mut events).unwrap();
    }

    #[test]
    fn a_provider_known_to_leave_the_terminator_out_gets_it_added() {
        let (mut reader, mut events) = (Reader::new(StreamEnd::FinishReason), vec![]);
        assert!(reader.close(&mut events).is_err(), "nothing was finished yet");
        reader.read(Bytes::from_static(FINISH), &mut events).unwrap();
        reader.close(&mut events).unwrap();
        assert_eq!(events[1].body, EventBody::Frame(Bytes::from_static(DONE)));
    }
}
