//! A provider's stream: watched while it passes, or decoded for a client that gets deltas.

use bytes::Bytes;
use canonical::{Delta, EventKind, Result, StreamEvent, Usage};
use serde_json::value::RawValue;

use super::response_decode::{ChoiceJson, CompletionJson};
use crate::{
    DecodeMode, DecodeOptions, StreamDecoder, StreamEnd, error_body,
    finish_reason::Finishes,
    openai::chat::{self, DONE, Frame, ResponseSummary, data_frame, decode_frame, early_end},
    sse::{self, FrameDecoder, Framer},
};

/// Decodes objects until `data: [DONE]`.
#[derive(Debug)]
pub(super) struct CompletionDecoder {
    framer: Framer,
    options: DecodeOptions,
    has_started: bool,
    finishes: Finishes,
    has_ended: bool,
}

impl CompletionDecoder {
    pub(super) fn new(options: DecodeOptions) -> Self {
        Self {
            framer: Framer::default(),
            options,
            has_started: false,
            finishes: Finishes::default(),
            has_ended: false,
        }
    }

    fn deltas(
        &mut self,
        object: CompletionJson,
        usage: Option<Usage>,
        events: &mut Vec<StreamEvent>,
    ) -> Result<()> {
        if !std::mem::replace(&mut self.has_started, true) {
            let start = Delta::Start { id: object.id, model: object.model };
            events.push(StreamEvent::delta(0, start));
        }
        for choice in object.choices {
            let finish = choice.reason().map(chat::finish_reason).transpose()?;
            let text = choice.text.filter(|it| !it.is_empty());
            let deltas = text.map(Delta::Text).into_iter().chain(finish.map(Delta::Finish));
            events.extend(deltas.map(|it| StreamEvent::delta(choice.index, it)));
        }
        if usage.is_some() {
            events.push(StreamEvent::delta(0, Delta::Usage).with_usage(usage));
        }
        Ok(())
    }

    fn finish(&mut self, events: &mut Vec<StreamEvent>) -> Result<()> {
        self.finishes.check()?;
        self.has_ended = true;
        events.push(match self.options.mode {
            DecodeMode::Passthrough => {
                StreamEvent::frame(EventKind::End, None, Bytes::from_static(DONE))
            }
            DecodeMode::Translate => StreamEvent::delta(0, Delta::End),
        });
        Ok(())
    }
}

/// The kind of event that one object is.
fn classify(choices: &[ChoiceJson], usage: Option<Usage>) -> EventKind {
    if choices.iter().any(|it| it.reason().is_some()) {
        return EventKind::Finish;
    }
    if choices.iter().any(|it| it.text.as_deref().is_some_and(|text| !text.is_empty())) {
        return EventKind::Content;
    }
    match (choices.is_empty(), usage) {
        (false, _) => EventKind::Prelude,
        (true, Some(_)) => EventKind::Usage,
        (true, None) => EventKind::Comment,
    }
}

impl FrameDecoder for CompletionDecoder {
    fn framer(&mut self) -> &mut Framer {
        &mut self.framer
    }

    fn has_ended(&self) -> bool {
        self.has_ended
    }

    fn frame(&mut self, frame: Bytes, events: &mut Vec<StreamEvent>) -> Result<()> {
        let data = match decode_frame(&frame)? {
            Frame::Comment => return Ok(()),
            Frame::Done => return self.finish(events),
            Frame::Chunk(data) => data,
        };
        let summary: ResponseSummary<'_> = error_body::event(&data)?;
        chat::check_response(&summary, &data)?;
        if summary.says_nothing(&data) {
            return Ok(());
        }
        let usage = summary.usage.and_then(|it: &RawValue| chat::usage(it));
        let object: CompletionJson = error_body::event(&data)?;
        for choice in &object.choices {
            self.finishes.note(choice.index, choice.reason().is_some());
        }

        match self.options.mode {
            DecodeMode::Passthrough => {
                let kind = classify(&object.choices, usage);
                let frame =
                    if sse::is_data_alone(&frame) { frame.clone() } else { data_frame(&data) };
                events.push(StreamEvent::frame(kind, usage, frame));
            }
            DecodeMode::Translate => self.deltas(object, usage, events)?,
        }
        Ok(())
    }
}

impl StreamDecoder for CompletionDecoder {
    fn read(&mut self, bytes: Bytes, events: &mut Vec<StreamEvent>) -> Result<()> {
        self.read_frames(&bytes, events)
    }

    fn close(&mut self, events: &mut Vec<StreamEvent>) -> Result<()> {
        if self.has_ended {
            return Ok(());
        }
        let may_end = self.options.end == StreamEnd::FinishReason && self.framer.is_empty();
        if self.finishes.are_complete() && may_end {
            return self.finish(events);
        }
        Err(early_end(&self.framer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAMES: &str = "data: {\"id\":\"cmpl-1\",\"choices\":[{\"index\":0,\"text\":\"a\",\"finish_reason\":null}]}\n\n: hi\n\ndata: {\"choices\":[{\"index\":0,\"text\":\"b\",\"finish_reason\":\"length\"}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";

    fn events(mode: DecodeMode, frames: &str) -> Result<Vec<StreamEvent>> {
        let options = DecodeOptions { mode, end: StreamEnd::Terminator };
        let (mut decoder, mut events) = (CompletionDecoder::new(options), vec![]);
        decoder.read(Bytes::copy_from_slice(frames.as_bytes()), &mut events)?;
        decoder.close(&mut events)?;
        Ok(events)
    }

    #[test]
    fn objects_are_classified() {
        let events = events(DecodeMode::Passthrough, FRAMES).unwrap();
        let kinds: Vec<_> = events.iter().map(|it| it.kind).collect();
        let expected = [EventKind::Content, EventKind::Finish, EventKind::Usage, EventKind::End];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn both_modes_agree_on_the_course_of_a_response() {
        let deltas = events(DecodeMode::Translate, FRAMES).unwrap();
        let meaningful = deltas.iter().filter(|it| it.kind.is_meaningful()).count();
        assert_eq!(meaningful, 3, "two texts and a finish");
        assert!(deltas.last().unwrap().kind == EventKind::End);
    }

    #[test]
    fn a_stream_that_is_cut_is_an_error() {
        let cut = FRAMES.replace("data: [DONE]\n\n", "");
        assert!(events(DecodeMode::Passthrough, &cut).is_err());
        let aborted = FRAMES.replace("length", "abort");
        assert!(events(DecodeMode::Translate, &aborted).is_err());
    }
}
