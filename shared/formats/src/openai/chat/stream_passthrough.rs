//! A provider's stream for a client of the same format: watched while it passes, and corrected where
//! it is not what OpenAI's SDKs expect.

mod normalizer;

use std::borrow::Cow;

use bytes::Bytes;
use canonical::{Error, ErrorKind, EventKind, Result, StreamEvent, Usage};

use self::normalizer::ChunkNormalizer;
use super::wire;
use crate::{
    StreamDecoder, StreamEnd, error_body,
    finish_reason::Finishes,
    sse::{self, FrameDecoder, Framer},
};

/// The terminator, for providers that leave it out.
pub(crate) const DONE: &[u8] = b"data: [DONE]\n\n";

/// Passes chunks until `data: [DONE]`.
#[derive(Debug, Default)]
pub(super) struct PassthroughDecoder {
    framer: Framer,
    end: StreamEnd,
    normalizer: ChunkNormalizer,
    finishes: Finishes,
    /// The choices that a limit or a filter ended.
    limited: Finishes,
    has_ended: bool,
}

impl PassthroughDecoder {
    pub(super) fn new(end: StreamEnd) -> Self {
        Self { end, ..Self::default() }
    }

    fn finish(&mut self, terminator: Bytes, events: &mut Vec<StreamEvent>) -> Result<()> {
        self.finishes.check()?;
        self.normalizer.finish(self.limited)?;
        self.has_ended = true;
        events.push(StreamEvent::frame(EventKind::End, None, terminator));
        Ok(())
    }
}

impl FrameDecoder for PassthroughDecoder {
    fn framer(&mut self) -> &mut Framer {
        &mut self.framer
    }

    fn has_ended(&self) -> bool {
        self.has_ended
    }

    fn frame(&mut self, frame: Bytes, events: &mut Vec<StreamEvent>) -> Result<()> {
        let data = match decode_frame(&frame)? {
            // The gateway fills silence itself, and SDKs stumble over `id:` and `retry:`.
            Frame::Comment => return Ok(()),
            // Its own bytes, where it has nothing else in it.
            Frame::Done if sse::is_data_alone(&frame) => return self.finish(frame.clone(), events),
            Frame::Done => return self.finish(Bytes::from_static(DONE), events),
            Frame::Chunk(data) => data,
        };
        let summary: wire::ResponseSummary<'_> = error_body::event(&data)?;
        // An error within a stream ends it here, so that it is recorded and may still be failed
        // over.
        wire::check(&summary, &data)?;
        // SDKs take `choices[0]` of every chunk, unless they asked for one with usage alone.
        if summary.says_nothing(&data) {
            return Ok(());
        }
        let (kind, usage) = classify(&summary);
        if let Some(choices) = &summary.choices {
            self.finishes.add(choices.finishes);
            self.limited.add(choices.limited);
        }

        let normalized = self.normalizer.chunk(&summary, &data)?;
        let frame = match normalized {
            None if sse::is_data_alone(&frame) => frame,
            None => data_frame(&data),
            Some(chunk) => data_frame(chunk.as_bytes()),
        };
        events.push(StreamEvent::frame(kind, usage, frame));
        Ok(())
    }
}

impl StreamDecoder for PassthroughDecoder {
    fn read(&mut self, bytes: Bytes, events: &mut Vec<StreamEvent>) -> Result<()> {
        self.read_frames(&bytes, events)
    }

    fn close(&mut self, events: &mut Vec<StreamEvent>) -> Result<()> {
        if self.has_ended {
            return Ok(());
        }
        if self.finishes.are_complete()
            && self.end == StreamEnd::FinishReason
            && self.framer.is_empty()
        {
            return self.finish(Bytes::from_static(DONE), events);
        }
        Err(early_end(&self.framer))
    }
}

/// A frame of nothing but data, as OpenAI writes it. Line breaks within JSON are white space.
pub(crate) fn data_frame(json: &[u8]) -> Bytes {
    let one_line = json.iter().map(|it| if matches!(it, b'\n' | b'\r') { b' ' } else { *it });
    b"data: ".iter().copied().chain(one_line).chain(*b"\n\n").collect()
}

/// The error for a stream that ended too early.
pub(crate) fn early_end(framer: &Framer) -> Error {
    let message = if framer.is_empty() {
        "ended its stream without `[DONE]`: the response is cut"
    } else {
        "ended its stream within an event: the response is cut"
    };
    Error::new(ErrorKind::Upstream, message)
}

/// One frame, as far as its lines say.
pub(crate) enum Frame<'a> {
    /// Nothing that belongs to the response.
    Comment,
    /// The terminator.
    Done,
    /// The text of an object.
    Chunk(Cow<'a, [u8]>),
}

/// Decodes the lines of a frame. An error event is an error.
pub(crate) fn decode_frame(frame: &[u8]) -> Result<Frame<'_>> {
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

/// The kind of event that one chunk is, and the usage that it reports.
fn classify(chunk: &wire::ResponseSummary<'_>) -> (EventKind, Option<Usage>) {
    let usage = chunk.usage.and_then(wire::usage);
    let choices = chunk.choices.clone().unwrap_or_default();
    let kind = match choices {
        // The finish before the content: one chunk may hold both, and from then on the encoder
        // holds back.
        _ if choices.finishes.have_any() => EventKind::Finish,
        _ if choices.has_content => EventKind::Content,
        // A role alone is nothing that a client could use: another target may still take over.
        _ if 0 < choices.count => EventKind::Prelude,
        // Also where it says nothing: there is no choice in it, whatever is counted.
        _ if chunk.usage.is_some() => EventKind::Usage,
        _ => EventKind::Comment,
    };
    (kind, usage)
}

#[cfg(test)]
mod tests {
    use canonical::EventBody;

    use super::*;

    fn events(frames: &str) -> Result<Vec<StreamEvent>> {
        let (mut decoder, mut events) = (PassthroughDecoder::default(), vec![]);
        decoder.read(Bytes::copy_from_slice(frames.as_bytes()), &mut events)?;
        Ok(events)
    }

    fn kind(data: &str) -> EventKind {
        events(&format!("data: {data}\n\n")).unwrap()[0].kind
    }

    fn error(frame: &str) -> Error {
        events(frame).unwrap_err()
    }

    /// The frames as the client is sent them.
    fn passed(frames: &str) -> String {
        let frames = events(frames).unwrap().into_iter().map(|it| match it.body {
            EventBody::Frame(frame) => String::from_utf8(frame.to_vec()).unwrap(),
            EventBody::Delta(..) => panic!("a delta where bytes are passed on"),
        });
        frames.collect()
    }

    #[test]
    fn a_role_is_not_content() {
        assert_eq!(
            kind(
                r#"{"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#
            ),
            EventKind::Prelude
        );
    }

    #[test]
    fn whatever_else_a_delta_holds_is_content() {
        for delta in [
            r#"{"content":"x"}"#,
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f"}}]}"#,
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
    fn chunks_are_classified() {
        assert_eq!(kind(r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#), EventKind::Finish);
        assert_eq!(kind(r#"{"choices":[],"usage":{"prompt_tokens":1}}"#), EventKind::Usage);
        assert_eq!(kind(r#"{"choices":[],"prompt_filter_results":[]}"#), EventKind::Comment);
        let empty_reason = r#"{"choices":[{"delta":{"content":"x"},"finish_reason":""}]}"#;
        assert_eq!(kind(empty_reason), EventKind::Content);
    }

    #[test]
    fn an_error_inside_a_stream_is_an_error() {
        let busy = error("data: {\"error\":{\"message\":\"busy\",\"code\":429}}\n\n");
        assert_eq!((busy.kind, busy.message()), (ErrorKind::RateLimited, "busy"));
        assert_eq!(error("event: error\ndata: {\"message\":\"x\"}\n\n").kind, ErrorKind::Upstream);
        assert_eq!(error("data: {\"choices\":[{\"fin\n\n").kind, ErrorKind::Upstream);
        assert_eq!(error("data: []\n\n").kind, ErrorKind::Upstream);
        let bare = r#"data: {"object":"error","message":"EngineDeadError","code":500}"#;
        assert_eq!(error(&format!("{bare}\n\n")).message(), "EngineDeadError");
        for reason in ["error", "abort", "insufficient_system_resource"] {
            let chunk = format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":"{reason}"}}]}}"#);
            assert_eq!(error(&format!("data: {chunk}\n\n")).kind, ErrorKind::Upstream);
        }
    }

    #[test]
    fn a_stream_of_another_format_is_named() {
        for (object, name) in [
            (r#"{"type":"message_start","message":{"id":"m","content":[]}}"#, "message_start"),
            (r#"{"type":"response.created","response":{"id":"r"}}"#, "response.created"),
            (r#"{"type":"odd","detail":{}}"#, "odd"),
        ] {
            let expected = format!("sent an object of type `{name}`, which is no chat completion");
            assert_eq!(error(&format!("data: {object}\n\n")).message(), expected);
        }
        assert_eq!(error("data: {\"error\":true,\"message\":\"boo\"}\n\n").message(), "boo");
    }

    #[test]
    fn a_chunk_that_says_nothing_is_not_passed_on() {
        for silent in [
            "event: ping\ndata: {}",
            r#"data: {"type":"ping"}"#,
            r#"data: {"id":"c","object":"chat.completion.chunk","choices":[],"usage":null}"#,
        ] {
            assert_eq!(passed(&format!("{silent}\n\n")), "", "{silent}");
        }
        let usage = r#"{"choices":[],"usage":{"prompt_tokens":1}}"#;
        for telling in [usage, r#"{"choices":[],"prompt_filter_results":[]}"#] {
            assert_eq!(passed(&format!("data: {telling}\n\n")), format!("data: {telling}\n\n"));
        }
        assert_eq!(kind(r#"{"choices":[],"usage":{}}"#), EventKind::Usage);
    }

    #[test]
    fn frames_that_are_right_keep_their_bytes() {
        let frames =
            "data: {\"choices\": [{\"index\": 0,  \"delta\": {\"content\": \"x\"}}]}\r\n\r\n";
        assert_eq!(passed(frames), frames);
    }

    #[test]
    fn only_the_data_of_a_frame_is_passed_on() {
        let chunk = r#"{"choices":[{"index":0,"delta":{"content":"x"}}]}"#;
        let frames =
            format!("retry: 5\n\n: hello\n\nid: 1\nevent: message\ndata: {chunk}\n: bye\n\n");
        assert_eq!(passed(&frames), format!("data: {chunk}\n\n"));
        let two_lines = "event: x\ndata: {\"choices\":\ndata: [],\"a\":1}\n\n";
        assert_eq!(passed(two_lines), "data: {\"choices\": [],\"a\":1}\n\n");
    }

    const FINISH: &[u8] =
        b"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

    #[test]
    fn a_call_that_is_cut_is_no_success() {
        let stream = |arguments: &str, reason: &str| {
            let call = format!(
                r#"{{"index":0,"id":"a","type":"function","function":{{"name":"f","arguments":{}}}}}"#,
                crate::json::quoted(arguments)
            );
            format!(
                "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{call}]}}}}]}}\n\n\
                 data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"{reason}\"}}]}}\n\n\
                 data: [DONE]\n\n"
            )
        };
        let cut = error(&stream(r#"{"x":"#, "tool_calls"));
        assert!(cut.message().contains("the call is cut"), "{cut:?}");
        assert_eq!(error(&stream("{'x':1}", "stop")).kind, ErrorKind::Upstream);
        for (arguments, reason) in [(r#"{"x":"#, "length"), (r#"{"x":1}"#, "stop"), ("", "stop")] {
            events(&stream(arguments, reason)).unwrap();
        }
    }

    #[test]
    fn a_stream_without_its_terminator_is_cut() {
        let (mut decoder, mut events) = (PassthroughDecoder::default(), vec![]);
        decoder.read(Bytes::from_static(FINISH), &mut events).unwrap();
        assert_eq!(events.len(), 1);
        assert!(decoder.close(&mut events).unwrap_err().message().contains("cut"));
        decoder.read(Bytes::from_static(DONE), &mut events).unwrap();
        decoder.close(&mut events).unwrap();
        assert_eq!(events[1].kind, EventKind::End);
    }

    #[test]
    fn a_provider_known_to_leave_the_terminator_out_gets_it_added() {
        let (mut decoder, mut events) = (PassthroughDecoder::new(StreamEnd::FinishReason), vec![]);
        assert!(decoder.close(&mut events).is_err(), "nothing was finished yet");
        decoder.read(Bytes::from_static(FINISH), &mut events).unwrap();
        decoder.close(&mut events).unwrap();
        assert_eq!(events[1].body, EventBody::Frame(Bytes::from_static(DONE)));
    }
}
