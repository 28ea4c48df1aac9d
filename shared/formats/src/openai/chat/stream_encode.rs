//! A stream to a client: the provider's own frames or what they mean, and what the gateway adds at
//! the end.

mod chunks;

use bytes::{BufMut, BytesMut};
use canonical::{CallSummary, Error, EventBody, EventKind, StreamEvent};

use self::chunks::ChunkEncoder;
use super::{error, metadata::with_metadata};
use crate::{GatewayRequest, StreamEncoder};

/// How many frames are held back at most; honest providers send two.
const MAX_HELD: usize = 64;

/// Writes frames as they came. From the first finish on it holds back what might be the last
/// chunk with choices, because that one carries `x_gateway`.
#[derive(Debug)]
pub(super) struct ChatStreamEncoder {
    wants_usage: bool,
    chunks: ChunkEncoder,
    held: Vec<StreamEvent>,
}

impl ChatStreamEncoder {
    pub(super) fn new(request: &GatewayRequest) -> Self {
        let chunks = ChunkEncoder::new(request);
        Self { wants_usage: request.wants_usage, chunks, held: vec![] }
    }

    /// Passes a frame on, or holds it back.
    fn pass(&mut self, event: StreamEvent, out: &mut BytesMut) {
        let holding = !self.held.is_empty();
        // A keep-alive that waits is none.
        if holding && event.kind == EventKind::Comment {
            return put(event, out);
        }
        // What was held is not the last chunk with choices, or the provider goes on without any.
        if holding && (event.kind.has_choices() || self.held.len() == MAX_HELD) {
            self.held.drain(..).for_each(|it| put(it, out));
        }
        if holding || event.kind == EventKind::Finish {
            self.held.push(event);
        } else {
            put(event, out);
        }
    }
}

impl StreamEncoder for ChatStreamEncoder {
    fn write(&mut self, event: StreamEvent, out: &mut BytesMut) {
        if let EventBody::Delta(choice, delta) = event.body {
            for frame in self.chunks.write(choice, *delta, event.usage) {
                self.pass(frame, out);
            }
        // The gateway has asked for the usage itself; a client that did not would fail on a chunk
        // without choices.
        } else if event.kind != EventKind::Usage || self.wants_usage {
            self.pass(event, out);
        }
    }

    fn end(&mut self, summary: &CallSummary, out: &mut BytesMut) {
        let mut held = self.held.drain(..);
        if let Some(EventBody::Frame(last)) = held.next().map(|it| it.body) {
            with_metadata(&last, summary, out);
        }
        held.for_each(|it| put(it, out));
    }

    fn fail(&mut self, error: &Error, request_id: &str, out: &mut BytesMut) {
        // The finish reason among them would tell the client that the response is whole (decision
        // 0010).
        self.held.clear();
        out.put_slice(b"data: ");
        out.put_slice(&error::to_client(error, request_id));
        out.put_slice(b"\n\n");
    }
}

/// Writes a frame as it came. Deltas never get here: the encoder of chunks has made frames of them.
fn put(event: StreamEvent, out: &mut BytesMut) {
    if let EventBody::Frame(frame) = event.body {
        out.put(frame);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use canonical::Task;

    use super::*;
    use crate::RawObject;

    fn event(kind: EventKind, frame: &'static str) -> StreamEvent {
        StreamEvent::frame(kind, None, Bytes::from_static(frame.as_bytes()))
    }

    fn writer(wants_usage: bool) -> ChatStreamEncoder {
        let raw = RawObject { body: Bytes::new(), members: vec![] };
        let mut request = GatewayRequest::new(&super::super::FORMAT, Task::Chat, raw);
        request.wants_usage = wants_usage;
        ChatStreamEncoder::new(&request)
    }

    const CONTENT: &str = "data: {\"choices\":[1]}\n\n";
    const FINISH: &str = "data: {\"choices\":[2]}\n\n";
    const REPORT: &str = "data: {\"choices\":[],\"usage\":{}}\n\n";
    const END: &str = "data: [DONE]\n\n";

    fn written(wants_usage: bool, events: &[(EventKind, &'static str)]) -> String {
        let (mut writer, mut out) = (writer(wants_usage), BytesMut::new());
        for (kind, frame) in events {
            writer.write(event(*kind, frame), &mut out);
        }
        writer.end(&CallSummary::default(), &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn the_last_chunk_with_choices_carries_the_metadata() {
        let events = [
            (EventKind::Content, CONTENT),
            (EventKind::Finish, FINISH),
            (EventKind::Content, CONTENT),
            (EventKind::Finish, FINISH),
            (EventKind::Usage, REPORT),
            (EventKind::End, END),
        ];
        let out = written(true, &events);
        assert!(out.starts_with(&format!(
            "{CONTENT}{FINISH}{CONTENT}data: {{\"choices\":[2],\"x_gateway\":{{"
        )));
        assert!(out.ends_with(&format!("}}}}\n\n{REPORT}{END}")));
        assert_eq!(out.matches("x_gateway").count(), 1);
    }

    #[test]
    fn usage_goes_only_to_clients_that_request_it() {
        let events =
            [(EventKind::Finish, FINISH), (EventKind::Usage, REPORT), (EventKind::End, END)];
        assert!(!written(false, &events).contains("usage"));
        assert!(written(true, &events).contains("usage"));
    }

    #[test]
    fn a_failure_leaves_no_sign_of_success() {
        let (mut writer, mut out) = (writer(false), BytesMut::new());
        writer.write(event(EventKind::Finish, FINISH), &mut out);
        let error = Error::new(canonical::ErrorKind::Upstream, "cut");
        writer.fail(&error, "r1", &mut out);
        let out = String::from_utf8(out.to_vec()).unwrap();
        assert!(out.starts_with("data: {\"error\":{"));
        assert!(!out.contains("choices") && !out.contains("[DONE]"));
    }

    #[test]
    fn what_comes_behind_the_finish_is_not_held_for_ever() {
        let (mut writer, mut out) = (writer(true), BytesMut::new());
        writer.write(event(EventKind::Finish, "data: {\"choices\":[]}\n\n"), &mut out);
        writer.write(event(EventKind::Comment, ": here\n\n"), &mut out);
        assert_eq!(&out[..], b": here\n\n");
        for _ in 0..MAX_HELD * 10 {
            writer.write(event(EventKind::Usage, "data: {\"usage\":{}}\n\n"), &mut out);
            assert!(writer.held.len() <= MAX_HELD);
        }
        assert!(out.starts_with(b": here\n\ndata: {\"choices\""));
    }
}
