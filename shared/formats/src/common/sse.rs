//! Server-sent events: from bytes as they come to whole frames.
//!
//! Source: <https://html.spec.whatwg.org/multipage/server-sent-events.html>. A frame keeps its own
//! bytes, which is why this is not a crate: those that exist give the decoded event only.

use std::borrow::Cow;

use bytes::{Buf, Bytes, BytesMut};
use canonical::{Error, ErrorKind, Result, StreamEvent};

use crate::BYTE_ORDER_MARK;

/// How large one frame may grow before it counts as malformed.
const MAX_FRAME: usize = 16 * 1024 * 1024;

/// Cuts bytes into frames.
#[derive(Debug, Default)]
pub(crate) struct Framer {
    pending: BytesMut,
    /// How much of `pending` was looked at, so that no byte is looked at twice.
    seen: usize,
    /// Whether the line that `seen` stands in has no character yet.
    at_line_start: bool,
    /// Whether a frame was given.
    has_begun: bool,
}

impl Framer {
    /// Takes what arrived.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        if self.pending.is_empty() {
            self.at_line_start = true;
        }
        self.pending.extend_from_slice(bytes);
        // A stream without a blank line would otherwise be buffered until the memory is full.
        if MAX_FRAME < self.pending.len() {
            return Err(Error::new(ErrorKind::Upstream, "sent an event larger than 16 MiB"));
        }
        Ok(())
    }

    /// The next whole frame, its blank line included.
    pub(crate) fn frame(&mut self) -> Option<Bytes> {
        loop {
            let rest = self.pending.get(self.seen..)?;
            let found = memchr::memchr2(b'\n', b'\r', rest);
            let Some(found) = found else {
                // Bytes without a line break leave the line that they stand in begun.
                self.at_line_start &= rest.is_empty();
                self.seen = self.pending.len();
                return None;
            };
            let end = self.seen + found;
            let blank = self.at_line_start && found == 0;
            let next = match (self.pending[end], self.pending.get(end + 1)) {
                (b'\r', Some(b'\n')) => end + 2,
                // A lone `\r` ended the line before, and the last one of a stream has no neighbour.
                (b'\r', None) if blank && self.pending[..end].ends_with(b"\r") => end + 1,
                // Whether this is `\r` or `\r\n` shows with the next byte. `seen` stays before it,
                // so that it is looked at again with its neighbour.
                (b'\r', None) => {
                    self.at_line_start = blank;
                    self.seen = end;
                    return None;
                }
                _ => end + 1,
            };
            self.at_line_start = true;
            self.seen = next;
            if blank {
                self.seen = 0;
                let mut frame = self.pending.split_to(next).freeze();
                // The specification allows a byte order mark at the start of a stream.
                let begins = !std::mem::replace(&mut self.has_begun, true);
                if begins && frame.starts_with(BYTE_ORDER_MARK) {
                    frame.advance(BYTE_ORDER_MARK.len());
                }
                return Some(frame);
            }
        }
    }

    /// The rest of a frame that did not end.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.pending
    }

    /// Whether the bytes so far end between frames.
    pub(crate) fn is_empty(&self) -> bool {
        // A line break behind the last frame is no frame that was cut.
        self.pending.iter().all(|it| matches!(it, b'\r' | b'\n'))
    }
}

/// A decoder of a stream whose frames tell where it ends.
pub(crate) trait FrameDecoder {
    /// The framer of the stream.
    fn framer(&mut self) -> &mut Framer;

    /// Whether the stream has ended.
    fn has_ended(&self) -> bool;

    /// Decodes one whole frame, and adds the events that it completes.
    fn frame(&mut self, frame: Bytes, events: &mut Vec<StreamEvent>) -> Result<()>;

    /// Decodes every frame that `bytes` complete, up to the end of the stream.
    fn read_frames(&mut self, bytes: &[u8], events: &mut Vec<StreamEvent>) -> Result<()> {
        // The client has the whole response once the stream has ended: what follows must neither
        // become an event nor an error.
        if self.has_ended() {
            return Ok(());
        }
        self.framer().push(bytes)?;
        while !self.has_ended()
            && let Some(frame) = self.framer().frame()
        {
            self.frame(frame, events)?;
        }
        Ok(())
    }
}

/// The content of a frame: the name of its event, and its data.
pub(crate) fn fields(frame: &[u8]) -> (&[u8], Option<Cow<'_, [u8]>>) {
    let mut name: &[u8] = b"";
    let mut data: Option<Cow<'_, [u8]>> = None;
    for line in lines(frame) {
        if let Some(value) = field(line, b"data") {
            match &mut data {
                None => data = Some(Cow::Borrowed(value)),
                Some(data) => {
                    // The specification joins the lines of `data:` with a line feed, whatever ended
                    // them.
                    data.to_mut().push(b'\n');
                    data.to_mut().extend_from_slice(value);
                }
            }
        } else if let Some(value) = field(line, b"event") {
            name = value;
        }
    }
    (name, data)
}

/// Whether a frame holds nothing but data: no name, no id, no comment.
pub(crate) fn is_data_alone(frame: &[u8]) -> bool {
    lines(frame).all(|line| line.is_empty() || field(line, b"data").is_some())
}

/// A frame without what belongs to the connection between gateway and provider: ids, retry times and
/// comments, over which SDKs stumble. None where nothing else is in it.
pub(crate) fn event_alone(frame: &Bytes) -> Option<Bytes> {
    let is_of_event =
        |line: &&[u8]| field(line, b"data").is_some() || field(line, b"event").is_some();
    if lines(frame).all(|line| line.is_empty() || is_of_event(&line)) {
        return Some(frame.clone()).filter(|it| !it.trim_ascii().is_empty());
    }
    if !lines(frame).any(|line| field(line, b"data").is_some()) {
        return None;
    }
    let mut out = BytesMut::with_capacity(frame.len());
    for line in lines(frame).filter(is_of_event) {
        out.extend_from_slice(line);
        out.extend_from_slice(b"\n");
    }
    out.extend_from_slice(b"\n");
    Some(out.freeze())
}

fn lines(frame: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = frame;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let (line, tail) = rest.split_at(end);
        rest = tail.strip_prefix(b"\r\n").or_else(|| tail.get(1..)).unwrap_or_default();
        Some(line)
    })
}

fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = line.strip_prefix(name)?;
    if rest.is_empty() {
        return Some(rest);
    }
    let value = rest.strip_prefix(b":")?;
    // One space, not all of them: the others belong to the value.
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(deltas: &[&[u8]]) -> Vec<Bytes> {
        let mut framer = Framer::default();
        let mut frames = vec![];
        for delta in deltas {
            framer.push(delta).unwrap();
            frames.extend(std::iter::from_fn(|| framer.frame()));
        }
        frames
    }

    const STREAM: &[u8] =
        b": hi\n\ndata: one\n\nevent: x\r\ndata: two\r\n\r\ndata:three\ndata: 3\n\n";

    #[test]
    fn a_frame_keeps_its_own_bytes() {
        assert_eq!(frames(&[STREAM]).concat(), STREAM);
        assert_eq!(frames(&[STREAM]).len(), 4);
    }

    #[test]
    fn frames_do_not_depend_on_where_the_bytes_are_cut() {
        let whole = frames(&[STREAM]);
        for cut in 0..STREAM.len() {
            let (head, tail) = STREAM.split_at(cut);
            assert_eq!(frames(&[head, tail]), whole, "cut at {cut}");
        }
        let single: Vec<&[u8]> = STREAM.chunks(1).collect();
        assert_eq!(frames(&single), whole);
    }

    #[test]
    fn lone_carriage_returns_end_lines_too() {
        assert_eq!(frames(&[b"data: a\r\rdata: b\r\r", b"x"]).len(), 2);
        let stream = b"data: a\r\rdata: b\r\r".as_slice();
        assert_eq!(frames(&[stream]).len(), 2);
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(frames(&single), frames(&[stream]));
    }

    #[test]
    fn data_lines_are_joined() {
        let (name, data) = fields(b"event: note\ndata:one\ndata: two\nid: 7\n\n");
        assert_eq!(name, b"note");
        assert_eq!(data.unwrap(), b"one\ntwo".as_slice());
        assert_eq!(fields(b": only a comment\n\n").1, None);
    }

    #[test]
    fn only_what_belongs_to_an_event_is_kept() {
        let alone = |frame: &'static [u8]| event_alone(&Bytes::from_static(frame));
        let plain = b"event: x\r\ndata: {}\r\n\r\n";
        assert_eq!(alone(plain).unwrap(), plain.as_slice());
        let odd = b": hi\nid: 7\nretry: 5\nevent: x\ndata: {}\n\n";
        assert_eq!(alone(odd).unwrap(), b"event: x\ndata: {}\n\n".as_slice());
        assert_eq!(alone(b": hi\n\n"), None);
        assert_eq!(alone(b"id: 7\n\n"), None);
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        let stream = b"\xef\xbb\xbfdata: x\n\ndata: y\n\n";
        assert_eq!(frames(&[stream]).concat(), b"data: x\n\ndata: y\n\n");
        assert_eq!(frames(&[&stream[..2], &stream[2..]]), frames(&[stream]));
    }
}
