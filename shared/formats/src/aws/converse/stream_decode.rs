//! A streamed response: binary frames, each an event of `ConverseStream`.
//!
//! `metadata` with the usage comes behind `messageStop`, so the end is held until it or until
//! nothing more comes. A stream without `messageStop` is cut.

use std::{borrow::Cow, collections::HashMap, fmt};

use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder};
use bytes::{Bytes, BytesMut};
use canonical::{Delta, Error, ErrorKind, Result, Signature, StreamEvent};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    MAKER,
    error::from_exception,
    response_decode::{self, Tokens, WireCitation},
};
use crate::{StreamDecoder, error_body, finish_reason};

/// How large one frame may be. Its length comes first, so that nothing is waited for in vain.
const MAX_FRAME_BYTES: u32 = 16 * 1024 * 1024;

/// Reads frames until what comes behind `messageStop`.
#[derive(Default)]
pub(super) struct Decoder {
    decoder: MessageFrameDecoder,
    pending: BytesMut,
    /// Whether the length of the frame in `pending` was looked at, and its first bytes taken.
    begun: bool,
    /// Which call each block of the response is, where it is one.
    calls: HashMap<u64, usize>,
    /// How many calls there are.
    count: usize,
    /// A image that is being sent: its format and what came of it.
    image: Option<(String, String)>,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// The response is complete; its usage may follow.
    Finished,
    Ended,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockStart {
    #[serde(default)]
    content_block_index: u64,
    #[serde(default)]
    start: Start,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Start {
    tool_use: Option<CallStart>,
    image: Option<ImageStart>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallStart {
    #[serde(default)]
    tool_use_id: String,
    name: String,
    /// Set where the provider calls the tool itself.
    #[serde(default, rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct ImageStart {
    #[serde(default)]
    format: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockDelta {
    #[serde(default)]
    content_block_index: u64,
    delta: WireDelta,
}

/// A union: one of its members is there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireDelta {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    tool_use: Option<Arguments>,
    #[serde(default)]
    reasoning_content: Option<ReasoningDelta>,
    #[serde(default)]
    citation: Option<WireCitation>,
    #[serde(default)]
    image: Option<ImageDelta>,
}

#[derive(Deserialize)]
struct Arguments {
    #[serde(default)]
    input: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReasoningDelta {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    redacted_content: Option<String>,
}

#[derive(Deserialize)]
struct ImageDelta {
    #[serde(default)]
    source: Option<response_decode::Bytes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageStop<'a> {
    #[serde(borrow, default)]
    stop_reason: Cow<'a, str>,
    #[serde(borrow, default)]
    additional_model_response_fields: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    usage: Option<Tokens>,
}

impl StreamDecoder for Decoder {
    fn read(&mut self, bytes: Bytes, events: &mut Vec<StreamEvent>) -> Result<()> {
        if self.state == State::Ended {
            return Ok(());
        }
        self.pending.extend_from_slice(&bytes);
        while let Some(frame) = self.frame()? {
            self.event(&frame, events)?;
            if self.state == State::Ended {
                break;
            }
        }
        Ok(())
    }

    fn close(&mut self, events: &mut Vec<StreamEvent>) -> Result<()> {
        let cut = |what| Err(Error::new(ErrorKind::Upstream, what));
        match self.state {
            State::Ended => Ok(()),
            _ if self.begun || !self.pending.is_empty() => {
                cut("ended its stream within an event: the response is cut")
            }
            State::Open => cut("ended its stream without `messageStop`: the response is cut"),
            State::Finished => {
                self.end(events);
                Ok(())
            }
        }
    }
}

/// The kind of one frame.
struct Frame {
    exception: bool,
    name: String,
    payload: Bytes,
}

impl Decoder {
    /// The next whole frame. Its two checksums are verified by who decodes it.
    fn frame(&mut self) -> Result<Option<Frame>> {
        // Before the decoder takes it: it would buffer whatever length a broken frame names.
        if !self.begun {
            let Some((length, _)) = self.pending.split_first_chunk::<4>() else {
                return Ok(None);
            };
            if MAX_FRAME_BYTES < u32::from_be_bytes(*length) {
                return Err(Error::new(ErrorKind::Upstream, "sent an event larger than 16 MiB"));
            }
        }

        let before = self.pending.len();
        let decoded = self.decoder.decode_frame(&mut self.pending);
        // The decoder takes the prelude of a frame out of the buffer, so that its length is looked
        // at only once.
        self.begun |= self.pending.len() < before;

        let message = match decoded.map_err(|error| error_body::malformed().caused_by(error))? {
            DecodedFrame::Incomplete => return Ok(None),
            DecodedFrame::Complete(message) => message,
        };
        self.begun = false;

        let header = |name: &str| {
            let found = message.headers().iter().find(|it| it.name().as_str() == name)?;
            Some(found.value().as_string().ok()?.as_str().to_owned())
        };
        let payload = message.payload().clone();

        Ok(Some(match header(":message-type").as_deref() {
            Some("event") => {
                let name = header(":event-type").ok_or_else(error_body::malformed)?;
                Frame { exception: false, name, payload }
            }
            Some("exception") => {
                let name = header(":exception-type").unwrap_or_default();
                Frame { exception: true, name, payload }
            }
            // An error has no body: what it says stands in its headers.
            Some("error") => {
                let name = header(":error-code").unwrap_or_default();
                let body = serde_json::json!({ "message": header(":error-message") });
                Frame { exception: true, name, payload: body.to_string().into() }
            }
            _ => return Err(error_body::malformed()),
        }))
    }

    fn event(&mut self, frame: &Frame, events: &mut Vec<StreamEvent>) -> Result<()> {
        if frame.exception {
            return Err(from_exception(&frame.name, &frame.payload));
        }
        let data = frame.payload.as_ref();
        match frame.name.as_str() {
            "metadata" => {
                let usage = error_body::event::<Metadata>(data)?.usage.and_then(|it| it.usage());
                let report =
                    usage.map(|it| StreamEvent::delta(0, Delta::Usage).with_usage(Some(it)));
                events.extend(report);
                // Usage that comes too early is no end.
                if self.state == State::Finished {
                    self.end(events);
                }
                return Ok(());
            }
            "messageStart" | "contentBlockStart" | "contentBlockDelta" | "contentBlockStop"
            | "messageStop"
                if self.state == State::Finished =>
            {
                return Err(Error::new(
                    ErrorKind::Upstream,
                    "sent data after the end of the stream",
                ));
            }
            "messageStart" => events.push(delta(Delta::Start { id: None, model: None })),
            "contentBlockStart" => events.extend(self.start(error_body::event(data)?).map(delta)),
            "contentBlockDelta" => events.extend(self.delta(error_body::event(data)?)?.map(delta)),
            "contentBlockStop" => events.extend(self.image().map(delta)),
            "messageStop" => {
                let stop: MessageStop<'_> = error_body::event(data)?;
                if stop.stop_reason.is_empty() {
                    return Err(finish_reason::missing());
                }
                let fields = stop.additional_model_response_fields;
                let finish = response_decode::finish(&stop.stop_reason, fields)?;
                events.push(delta(Delta::Finish(finish)));
                self.state = State::Finished;
            }
            // Newer than this.
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, begun: BlockStart) -> Option<Delta> {
        if let Some(image) = begun.start.image {
            self.image = Some((image.format, String::new()));
            return None;
        }
        let call = begun.start.tool_use.filter(|it| it.kind.is_none())?;
        let at = self.count;
        self.count += 1;
        self.calls.entry(begun.content_block_index).or_insert(at);
        let id = response_decode::id(call.tool_use_id, at);
        Some(Delta::ToolCall { call: at, id, name: call.name, signature: None })
    }

    fn delta(&mut self, more: BlockDelta) -> Result<Option<Delta>> {
        let BlockDelta { content_block_index, delta } = more;
        let WireDelta { text, tool_use, reasoning_content, citation, image } = delta;
        if let Some(bytes) = image.and_then(|it| it.source).and_then(|it| it.bytes) {
            let (_, so_far) = self.image.get_or_insert_default();
            // Each delta is base64 of its own bytes; padding in the middle would make the whole
            // undecodable.
            if so_far.ends_with('=') {
                return Err(error_body::malformed().caused_by("base64 goes on behind its end"));
            }
            so_far.push_str(&bytes);
            return Ok(None);
        }
        let call = self.calls.get(&content_block_index).copied();
        Ok(text
            .map(Delta::Text)
            .or_else(|| Some(Delta::Arguments { call: call?, json: tool_use?.input }))
            .or_else(|| reasoning_content.and_then(ReasoningDelta::delta))
            .or_else(|| citation.map(|it| Delta::Citation(it.citation()))))
    }

    /// The image that is complete now.
    fn image(&mut self) -> Option<Delta> {
        let (format, bytes) = self.image.take()?;
        response_decode::media("image", &format, response_decode::Bytes { bytes: Some(bytes) })
            .map(Delta::Image)
    }

    fn end(&mut self, events: &mut Vec<StreamEvent>) {
        self.state = State::Ended;
        events.push(delta(Delta::End));
    }
}

impl ReasoningDelta {
    fn delta(self) -> Option<Delta> {
        if let Some(data) = self.redacted_content {
            return Some(Delta::Signature(response_decode::redacted(&data)));
        }
        if let Some(signature) = self.signature.filter(|it| !it.is_empty()) {
            return Some(Delta::Signature(Signature::new(MAKER, signature)));
        }
        self.text.map(Delta::Reasoning)
    }
}

fn delta(delta: Delta) -> StreamEvent {
    StreamEvent::delta(0, delta)
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("state", &self.state).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
