//! A provider's stream: watched while it passes, or decoded.
//!
//! There is no terminator: a stream is complete if it ends after every candidate has a finish reason.

use bytes::Bytes;
use canonical::{Error, ErrorKind, EventKind, Result, StreamEvent, Usage};

use super::{response_decode::DeltaDecoder, wire};
use crate::{
    DecodeMode, StreamDecoder, error_body, finish_reason,
    split_surrogates::Joiner,
    sse::{self, Framer},
};

/// Reads chunks until the connection ends.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    framer: Framer,
    joiner: Joiner,
    purpose: DecodeMode,
    /// Which candidates were seen, and whether each has ended.
    ended: Vec<bool>,
    deltas: DeltaDecoder,
    closed: bool,
}

impl Decoder {
    pub(super) fn new(purpose: DecodeMode) -> Self {
        Self { purpose, ..Self::default() }
    }

    fn frame(&mut self, frame: &Bytes, events: &mut Vec<StreamEvent>) -> Result<()> {
        let (kind, usage) = match sse::fields(frame).1.filter(|it| !it.is_empty()) {
            Some(data) => {
                let chunk = chunk(&data)?;
                if self.purpose == DecodeMode::Translate {
                    return self.deltas.read(chunk, &data, events);
                }
                self.watch(&chunk)?
            }
            // Failures may come as bare JSON.
            None if frame.trim_ascii_start().starts_with(b"{") => {
                return Err(error_body::from_event(frame));
            }
            None if self.purpose == DecodeMode::Translate => return Ok(()),
            None => (EventKind::Comment, None),
        };
        if let Some(frame) = sse::event_alone(frame) {
            events.push(StreamEvent::frame(kind, usage, frame));
        }
        Ok(())
    }

    /// The kind of event that a chunk is.
    fn watch(&mut self, chunk: &wire::ChatResponse<'_>) -> Result<(EventKind, Option<Usage>)> {
        let usage = chunk.usage_metadata.and_then(wire::usage);
        let mut kind = if usage.is_some() { EventKind::Usage } else { EventKind::Comment };
        if chunk.is_blocked() {
            // A blocked prompt has no candidates that could end.
            self.ended.push(true);
            return Ok((EventKind::Finish, usage));
        }
        for (at, candidate) in chunk.candidates.iter().flatten().enumerate() {
            let at = candidate.index.map_or(at, |it| it as usize);
            let seen = self.ended.len().max(at.min(MAX_CANDIDATES) + 1);
            self.ended.resize(seen, false);
            if candidate.finish()?.is_some() {
                kind = EventKind::Finish;
                self.ended.get_mut(at).into_iter().for_each(|it| *it = true);
            } else if kind != EventKind::Finish {
                let content = candidate.has_content() || kind == EventKind::Content;
                kind = if content { EventKind::Content } else { EventKind::Prelude };
            }
        }
        Ok((kind, usage))
    }

    fn is_whole(&self) -> bool {
        match self.purpose {
            DecodeMode::Passthrough => !self.ended.is_empty() && self.ended.iter().all(|it| *it),
            DecodeMode::Translate => self.deltas.is_whole(),
        }
    }
}

/// How many candidates there can be.
const MAX_CANDIDATES: usize = 128;

impl StreamDecoder for Decoder {
    fn read(&mut self, bytes: Bytes, events: &mut Vec<StreamEvent>) -> Result<()> {
        // No frame says that the stream has ended: usage may still follow the finish of every
        // candidate.
        self.framer.push(&bytes)?;
        while let Some(frame) = self.framer.frame() {
            let frame = self.joiner.join(frame);
            self.frame(&frame, events)?;
        }
        Ok(())
    }

    fn close(&mut self, events: &mut Vec<StreamEvent>) -> Result<()> {
        if std::mem::replace(&mut self.closed, true) {
            return Ok(());
        }
        if !self.framer.is_empty() {
            let rest = self.framer.rest();
            // A failure in JSON without an event around it ends with the connection, not with a
            // blank line.
            if rest.trim_ascii_start().starts_with(b"{")
                && serde_json::from_slice::<wire::ChatResponse<'_>>(rest).is_ok()
            {
                return Err(error_body::from_event(rest));
            }
            let message = "ended its stream within an event: the response is cut";
            return Err(Error::new(ErrorKind::Upstream, message));
        }
        if !self.is_whole() {
            return Err(finish_reason::missing());
        }
        match self.purpose {
            DecodeMode::Passthrough => {
                events.push(StreamEvent::frame(EventKind::End, None, Bytes::new()));
            }
            DecodeMode::Translate => self.deltas.close(events),
        }
        Ok(())
    }
}

fn chunk(data: &[u8]) -> Result<wire::ChatResponse<'_>> {
    let chunk: wire::ChatResponse<'_> = error_body::event(data)?;
    match chunk.error {
        Some(error) => Err(error_body::beside(error, data)),
        None => Ok(chunk),
    }
}
