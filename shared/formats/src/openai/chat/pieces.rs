//! A provider's stream, understood for a client of another format.

use std::{borrow::Cow, collections::HashMap};

use bytes::Bytes;
use canonical::{Content, Delta, Error, ErrorKind, FinishReason, Result, StreamEvent, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    answer::{Written, WrittenCall, WrittenFunction, id_of},
    finish,
    reader::{Frame, cut, frame},
    wire,
};
use crate::{StreamDecoder, StreamEnd, error_body, sse::Framer};

/// Reads chunks into pieces until `data: [DONE]`.
#[derive(Debug)]
pub(super) struct PieceReader {
    framer: Framer,
    end: StreamEnd,
    ended: bool,
    /// The answer's own name; none before the first chunk.
    id: Option<String>,
    choices: Vec<Choice>,
}

/// What is known of one choice.
#[derive(Debug, Default)]
struct Choice {
    /// The calls so far, by the provider's index of each.
    calls: HashMap<u64, Calls>,
    /// How many there are.
    count: usize,
    refuses: bool,
    finished: bool,
}

/// Calls of one index: some services give it to several.
#[derive(Debug, Default)]
struct Calls {
    last: usize,
    by_id: HashMap<String, usize>,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(borrow, default)]
    choices: Option<Vec<ChunkChoice<'a>>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ChunkChoice<'a> {
    #[serde(default)]
    index: u32,
    #[serde(borrow, default)]
    delta: Option<Written<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
}

impl PieceReader {
    pub(super) fn new(end: StreamEnd) -> Self {
        Self { framer: Framer::default(), end, ended: false, id: None, choices: vec![] }
    }

    fn understand(&mut self, bytes: &[u8], events: &mut Vec<StreamEvent>) -> Result<()> {
        match frame(bytes)? {
            Frame::Comment => Ok(()),
            Frame::Done => {
                self.finish(events);
                Ok(())
            }
            Frame::Chunk(data) => {
                let chunk: Chunk<'_> = error_body::event(&data)?;
                self.chunk(chunk, events)
            }
        }
    }

    fn chunk(&mut self, chunk: Chunk<'_>, events: &mut Vec<StreamEvent>) -> Result<()> {
        if let Some(error) = chunk.error {
            return Err(error_body::inside_success(error));
        }
        let usage = chunk.usage.and_then(wire::usage);
        let choices = chunk.choices.unwrap_or_default();
        let before = events.len();
        if self.id.is_none() && !choices.is_empty() {
            let id = chunk.id.filter(|it| !it.is_empty());
            self.id = Some(id.clone().unwrap_or_default());
            events.push(StreamEvent::delta(0, Delta::Start { id, model: chunk.model }));
        }
        for choice in choices {
            self.choice(choice, events)?;
        }
        // Those that say more than once what was consumed so far say it with their text.
        match events.get_mut(before..).and_then(<[StreamEvent]>::last_mut) {
            Some(last) => last.usage = usage,
            None if usage.is_some() => events.push(report(usage)),
            None => {}
        }
        Ok(())
    }

    fn choice(&mut self, choice: ChunkChoice<'_>, events: &mut Vec<StreamEvent>) -> Result<()> {
        let index = choice.index;
        let reason = choice.finish_reason.filter(|it| !it.is_empty());
        if reason.as_deref() == Some("error") {
            return Err(Error::new(ErrorKind::Upstream, "it gave up: finish reason `error`"));
        }
        // A service that counts choices into the thousands means us no good.
        let at =
            usize::try_from(index).ok().filter(|it| *it < 128).ok_or_else(error_body::malformed)?;
        if self.choices.len() <= at {
            self.choices.resize_with(at + 1, Choice::default);
        }
        let mut push = |piece| events.push(StreamEvent::delta(index, piece));
        let mut delta = choice.delta.unwrap_or_default();
        self.choices[at].refuses |= delta.refusal.as_deref().is_some_and(|it| !it.is_empty());
        let (thought, text) = delta.texts();
        if !thought.is_empty() {
            push(Delta::Reasoning(thought));
        }
        if !text.is_empty() {
            push(Delta::Text(text));
        }
        delta.refusal.take().filter(|it| !it.is_empty()).map(Delta::Refusal).map(&mut push);
        delta.citations().into_iter().map(Delta::Citation).for_each(&mut push);
        for media in delta.media() {
            match media {
                Content::Image(media) => push(Delta::Image(media)),
                Content::Audio(media) => push(Delta::Audio(media)),
                _ => {}
            }
        }
        let known = &mut self.choices[at];
        for (position, call) in delta.tool_calls.take().unwrap_or_default().iter().enumerate() {
            known.call(call, position, self.id.as_deref().unwrap_or_default(), &mut push);
        }
        if let Some(reason) = reason.filter(|_| !known.finished) {
            known.finished = true;
            push(Delta::Finish(finish::read(&reason, 0 < known.count, known.refuses)));
        }
        Ok(())
    }

    /// Ends the answer. A terminator without a reason before it ends it too.
    fn finish(&mut self, events: &mut Vec<StreamEvent>) {
        for (index, choice) in (0..).zip(&self.choices) {
            if !choice.finished {
                let finish =
                    if choice.count == 0 { FinishReason::Stop } else { FinishReason::ToolCalls };
                events.push(StreamEvent::delta(index, Delta::Finish(finish)));
            }
        }
        self.ended = true;
        events.push(StreamEvent::delta(0, Delta::End));
    }
}

impl Choice {
    /// Reads a piece of a call. Who gives no index tells its calls apart by their ids.
    fn call(
        &mut self,
        call: &WrittenCall<'_>,
        position: usize,
        answer: &str,
        push: &mut impl FnMut(Delta),
    ) {
        let given = call.id.as_deref().filter(|it| !it.is_empty());
        let index = call.index.unwrap_or(position as u64);
        let known = self.calls.get(&index);
        let known =
            known.and_then(|it| given.map_or(Some(it.last), |id| it.by_id.get(id).copied()));
        let at = known.unwrap_or_else(|| {
            let at = self.count;
            self.count += 1;
            let id = id_of(given, at, answer);
            let name = call.function.as_ref().and_then(|it| it.name.clone()).unwrap_or_default();
            push(Delta::ToolCall { call: at, id: id.clone(), name, signature: None });
            let calls = self.calls.entry(index).or_default();
            calls.last = at;
            calls.by_id.insert(id, at);
            at
        });
        let json = call.function.as_ref().map(WrittenFunction::arguments).unwrap_or_default();
        if !json.is_empty() {
            push(Delta::Arguments { call: at, json });
        }
    }
}

fn report(usage: Option<Usage>) -> StreamEvent {
    StreamEvent::delta(0, Delta::Usage).with_usage(usage)
}

impl StreamDecoder for PieceReader {
    fn read(&mut self, bytes: Bytes, events: &mut Vec<StreamEvent>) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        self.framer.push(&bytes)?;
        while !self.ended
            && let Some(frame) = self.framer.frame()
        {
            self.understand(&frame, events)?;
        }
        Ok(())
    }

    fn close(&mut self, events: &mut Vec<StreamEvent>) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        let finished = self.choices.iter().any(|it| it.finished);
        if finished && self.end == StreamEnd::FinishReason && self.framer.is_empty() {
            self.finish(events);
            return Ok(());
        }
        Err(cut(&self.framer))
    }
}
