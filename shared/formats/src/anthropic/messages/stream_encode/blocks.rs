//! Blocks of a streamed response: one is open at a time, the others wait with what they say.
//!
//! Other formats interleave what this one wants one after another. A block ends once another waits
//! behind it and nothing more can belong to it: a text at once, a tool call with the end of its
//! arguments.

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
};

use bytes::{BufMut, BytesMut};
use canonical::{Citation, Signature};
use serde::Serialize;

use crate::anthropic::messages::{
    response_encode::blocks::{Block, Caller, Quote, empty_object},
    signature,
};

/// Blocks in the order in which they were begun. The first is open once it was written.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    waiting: VecDeque<Waiting>,
    /// The index that the block of each tool call has, or will have.
    places: HashMap<usize, u64>,
    /// The index of the first.
    index: u64,
    /// Whether the first is open.
    open: bool,
    /// Whether a tool was called.
    pub(crate) called: bool,
    /// Whether the text is a refusal.
    pub(crate) refused: bool,
}

#[derive(Debug)]
struct Waiting {
    kind: Kind,
    /// Deltas that are not written yet.
    deltas: Vec<WireDelta>,
    done: bool,
}

#[derive(Debug)]
enum Kind {
    Text,
    Thinking { signed: bool },
    Redacted(String),
    Tool { id: String, name: String, depth: Depth },
}

#[derive(Debug)]
enum WireDelta {
    Text(String),
    Thinking(String),
    Signature(String),
    Json(String),
    Citation(Citation),
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum StreamEvent<'a> {
    #[serde(rename = "content_block_start")]
    Start { index: u64, content_block: Block<'a> },
    #[serde(rename = "content_block_delta")]
    Delta { index: u64, delta: DeltaJson<'a> },
    #[serde(rename = "content_block_stop")]
    Stop { index: u64 },
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum DeltaJson<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: &'a str },
    #[serde(rename = "input_json_delta")]
    Json { partial_json: &'a str },
    #[serde(rename = "citations_delta")]
    Citation { citation: Quote<'a> },
}

impl Blocks {
    /// More text, in the last block if that is one.
    pub(crate) fn text(&mut self, text: String, out: &mut BytesMut) {
        if !matches!(self.waiting.back(), Some(Waiting { kind: Kind::Text, .. })) {
            self.begin(Kind::Text);
        }
        self.add(WireDelta::Text(text), out);
    }

    /// More of reasoning.
    pub(crate) fn reasoning(&mut self, text: String, out: &mut BytesMut) {
        let last = self.waiting.back().map(|it| &it.kind);
        if !matches!(last, Some(Kind::Thinking { signed: false })) {
            self.begin(Kind::Thinking { signed: false });
        }
        self.add(WireDelta::Thinking(text), out);
    }

    /// The signature of the last reasoning, or redacted reasoning.
    pub(crate) fn signature(&mut self, signature: &Signature, out: &mut BytesMut) {
        if let Some(data) = signature::redacted(signature) {
            self.begin(Kind::Redacted(data.to_owned()));
            return self.flow(out);
        }
        // A signature may come without text, where the provider hides it: it gets an empty block of
        // its own.
        let last = self.waiting.back_mut().map(|it| &mut it.kind);
        if let Some(Kind::Thinking { signed: signed @ false }) = last {
            *signed = true;
        } else {
            self.begin(Kind::Thinking { signed: true });
        }
        self.add(WireDelta::Signature(signature::signature(signature)), out);
    }

    /// A source of the last text.
    pub(crate) fn citation(&mut self, citation: Citation, out: &mut BytesMut) {
        // An address is the only source that this format's clients know without a document.
        let cited = citation.url.is_some();
        if cited && matches!(self.waiting.back(), Some(Waiting { kind: Kind::Text, .. })) {
            self.add(WireDelta::Citation(citation), out);
        }
    }

    /// A tool is to be called.
    pub(crate) fn call(&mut self, call: usize, id: String, name: String, out: &mut BytesMut) {
        self.called = true;
        // Arguments come by the number of the call, in any order; a look through all blocks for
        // each would grow with their square.
        self.places.insert(call, self.index + self.waiting.len() as u64);
        self.begin(Kind::Tool { id, name, depth: Depth::default() });
        self.flow(out);
    }

    /// More arguments of a call. Those of a call that is over say nothing any more.
    pub(crate) fn arguments(&mut self, call: usize, json: String, out: &mut BytesMut) {
        let place = self.places.get(&call).and_then(|it| it.checked_sub(self.index));
        let place = place.and_then(|it| usize::try_from(it).ok());
        let Some(block) = place.and_then(|it| self.waiting.get_mut(it)) else {
            return;
        };
        if let Kind::Tool { depth, .. } = &mut block.kind {
            depth.read(&json);
            // The next block can open as soon as the object is closed, instead of with the end of
            // the stream.
            block.done = depth.is_whole();
        }
        block.deltas.push(WireDelta::Json(json));
        self.flow(out);
    }

    /// Ends every block, in order.
    pub(crate) fn end(&mut self, out: &mut BytesMut) {
        self.waiting.iter_mut().for_each(|it| it.done = true);
        self.flow(out);
        self.close(out);
    }

    fn begin(&mut self, kind: Kind) {
        if let Some(last) = self.waiting.back_mut()
            && !matches!(last.kind, Kind::Tool { .. })
        {
            last.done = true;
        }
        self.waiting.push_back(Waiting { kind, deltas: vec![], done: false });
    }

    fn add(&mut self, delta: WireDelta, out: &mut BytesMut) {
        if let Some(last) = self.waiting.back_mut() {
            last.deltas.push(delta);
        }
        self.flow(out);
    }

    /// Writes what can be written now.
    fn flow(&mut self, out: &mut BytesMut) {
        loop {
            let index = self.index;
            let Some(first) = self.waiting.front_mut() else {
                return;
            };
            if !std::mem::replace(&mut self.open, true) {
                put("content_block_start", &first.opening(index), out);
            }
            for delta in first.deltas.drain(..) {
                put("content_block_delta", &delta.event(index), out);
            }
            // The last block stays open even if it is done: more text may follow.
            if !first.done || self.waiting.len() == 1 {
                return;
            }
            self.close(out);
        }
    }

    /// Closes the first block, if there is one.
    fn close(&mut self, out: &mut BytesMut) {
        let Some(first) = self.waiting.pop_front() else {
            return;
        };
        let index = self.index;
        // The SDKs require a signature of every thinking block.
        if matches!(first.kind, Kind::Thinking { signed: false }) {
            let signature = WireDelta::Signature(signature::unsigned());
            put("content_block_delta", &signature.event(index), out);
        }
        put("content_block_stop", &StreamEvent::Stop { index }, out);
        self.index += 1;
        self.open = false;
    }
}

impl Waiting {
    fn opening(&self, index: u64) -> StreamEvent<'_> {
        let content_block = match &self.kind {
            Kind::Text => Block::Text { text: "", citations: vec![] },
            Kind::Thinking { .. } => Block::Thinking { thinking: "", signature: String::new() },
            Kind::Redacted(data) => Block::RedactedThinking { data },
            Kind::Tool { id, name, .. } => Block::ToolUse {
                id: id.clone(),
                name,
                input: Cow::Borrowed(empty_object()),
                caller: Caller {},
            },
        };
        StreamEvent::Start { index, content_block }
    }
}

impl WireDelta {
    fn event(&self, index: u64) -> StreamEvent<'_> {
        let delta = match self {
            Self::Text(text) => DeltaJson::Text { text },
            Self::Thinking(thinking) => DeltaJson::Thinking { thinking },
            Self::Signature(signature) => DeltaJson::Signature { signature },
            Self::Json(partial_json) => DeltaJson::Json { partial_json },
            Self::Citation(citation) => DeltaJson::Citation { citation: citation.into() },
        };
        StreamEvent::Delta { index, delta }
    }
}

/// How deep JSON text stands that comes delta by delta.
#[derive(Debug, Default)]
struct Depth {
    open: usize,
    begun: bool,
    in_string: bool,
    escaped: bool,
}

impl Depth {
    fn read(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => {
                    self.open += 1;
                    self.begun = true;
                }
                b'}' | b']' => self.open = self.open.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// Whether all that was opened is closed.
    fn is_whole(&self) -> bool {
        self.begun && self.open == 0
    }
}

/// Writes one event.
pub(crate) fn put(name: &str, event: &impl Serialize, out: &mut BytesMut) {
    out.put_slice(b"event: ");
    out.put_slice(name.as_bytes());
    out.put_slice(b"\ndata: ");
    // Strings and numbers only: this cannot fail.
    if let Err(error) = serde_json::to_writer(out.writer(), event) {
        debug_assert!(false, "{error}");
    }
    out.put_slice(b"\n\n");
}
