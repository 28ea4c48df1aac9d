//! What Amazon Bedrock sends: whole Converse responses, and streams of binary frames.
//!
//! Source of the frames: <https://smithy.io/2.0/aws/amazon-eventstream.html>. They are written by
//! hand, so that the reader under test is not tested by itself.

use serde_json::{Value, json};

use crate::provider::{ScriptedResponse, Step};

/// The media type of a stream.
pub const STREAM: &str = "application/vnd.amazon.eventstream";

/// How an exception is distinguished from an event in the text of a stream.
const EXCEPTION: char = '!';
/// How many bytes of a frame are neither headers nor payload.
const AROUND: usize = 16;
/// A header's value is a string.
const STRING: u8 = 7;

/// One frame of a stream.
#[derive(Clone, Copy, Debug)]
pub enum Frame<'a> {
    /// An event: its name and its JSON.
    Event(&'a str, &'a str),
    /// A failure that the service has a name for, and its JSON.
    Exception(&'a str, &'a str),
    /// Any other failure: its code and message.
    Error(&'a str, &'a str),
}

/// The bytes of frames.
pub fn frames(frames: &[Frame<'_>]) -> Vec<u8> {
    frames.iter().flat_map(|it| it.bytes()).collect()
}

/// The bytes of a stream that is written down as text: a frame on each line, the name first, with
/// `!` before that of an exception. Lines that begin with `#` are comments.
///
/// The last line may be `cut`: then the last byte of the frame before it is missing.
pub fn written(text: &str) -> Vec<u8> {
    let mut bytes = vec![];
    for line in text.lines().filter(|it| !it.is_empty() && !it.starts_with('#')) {
        if line == "cut" {
            bytes.pop();
            continue;
        }
        let (name, payload) = line.split_once(' ').unwrap_or((line, "{}"));
        let frame = match name.strip_prefix(EXCEPTION) {
            Some(name) => Frame::Exception(name, payload),
            None => Frame::Event(name, payload),
        };
        bytes.extend(frame.bytes());
    }
    bytes
}

/// A whole response of this text.
pub fn response(text: &str) -> ScriptedResponse {
    ScriptedResponse::json(
        200,
        &json!({
            "metrics": {"latencyMs": 12},
            "output": {"message": {"content": [{"text": text}], "role": "assistant"}},
            "stopReason": "end_turn",
            "usage": usage(),
        }),
    )
}

/// An error response of the service.
pub fn error(status: u16, message: &str) -> ScriptedResponse {
    ScriptedResponse::json(status, &json!({ "message": message }))
}

/// A streamed response of these texts, whole, each frame in a chunk of its own.
pub fn stream<'a>(texts: impl IntoIterator<Item = &'a str>) -> ScriptedResponse {
    let mut steps = vec![start()];
    steps.extend(texts.into_iter().map(text));
    steps.push(event("contentBlockStop", &json!({"contentBlockIndex": 0})));
    steps.push(event("messageStop", &json!({"stopReason": "end_turn"})));
    steps.push(event("metadata", &json!({"usage": usage(), "metrics": {"latencyMs": 12}})));
    streamed(steps)
}

/// A streamed response of any steps.
pub fn streamed(steps: impl IntoIterator<Item = Step>) -> ScriptedResponse {
    ScriptedResponse::stream(steps).header("content-type", STREAM)
}

/// The first frame of every stream.
pub fn start() -> Step {
    event("messageStart", &json!({"role": "assistant"}))
}

/// A frame with some text of the first block.
pub fn text(text: &str) -> Step {
    event("contentBlockDelta", &json!({"contentBlockIndex": 0, "delta": {"text": text}}))
}

/// An event as a step.
pub fn event(name: &str, payload: &Value) -> Step {
    Step::Frame(frames(&[Frame::Event(name, &payload.to_string())]).into())
}

/// An exception as a step.
pub fn exception(name: &str, message: &str) -> Step {
    let payload = json!({ "message": message }).to_string();
    Step::Frame(frames(&[Frame::Exception(name, &payload)]).into())
}

fn usage() -> Value {
    json!({"inputTokens": 9, "outputTokens": 2, "totalTokens": 11})
}

impl Frame<'_> {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Event(name, payload) => {
                let kind = (":content-type", "application/json");
                frame(&[(":event-type", name), kind, (":message-type", "event")], payload)
            }
            Self::Exception(name, payload) => {
                let kind = (":content-type", "application/json");
                frame(&[(":exception-type", name), kind, (":message-type", "exception")], payload)
            }
            Self::Error(code, message) => {
                let error_headers = [(":error-code", *code), (":error-message", *message)];
                frame(&[error_headers[0], error_headers[1], (":message-type", "error")], "")
            }
        }
    }
}

fn frame(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
    let mut head = vec![];
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).expect("names are short"));
        head.extend(name.as_bytes());
        head.push(STRING);
        head.extend(u16::try_from(value.len()).expect("values are short").to_be_bytes());
        head.extend(value.as_bytes());
    }
    let length = |it: usize| u32::try_from(it).expect("frames are small").to_be_bytes();
    let mut bytes = vec![];
    bytes.extend(length(head.len() + payload.len() + AROUND));
    bytes.extend(length(head.len()));
    bytes.extend(checksum(&bytes).to_be_bytes());
    bytes.extend(head);
    bytes.extend(payload.as_bytes());
    bytes.extend(checksum(&bytes).to_be_bytes());
    bytes
}

/// CRC-32 as in ISO 3309, bit by bit.
fn checksum(bytes: &[u8]) -> u32 {
    let fold = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    };
    !bytes.iter().fold(u32::MAX, fold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_crc_32() {
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_stream_can_be_written_as_text() {
        let text = "# a comment\na {}\n!b {\"message\":\"x\"}\n";
        let same = frames(&[Frame::Event("a", "{}"), Frame::Exception("b", "{\"message\":\"x\"}")]);
        assert_eq!(written(text), same);
        assert_eq!(written("a {}\ncut\n").len() + 1, written("a {}\n").len());
    }
}
