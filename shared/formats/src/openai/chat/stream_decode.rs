//! A provider's stream, decoded for a client of another format.

mod tool_calls;

use std::collections::BTreeMap;

use bytes::Bytes;
use canonical::{Citation, Content, Delta, FinishReason, Result, StreamEvent, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

pub(super) use self::tool_calls::{CallDelta, CallTracker};
use super::{
    finish_reason,
    listed_sources::ListedSources,
    response_decode::{self, DecodedMessage, SplitPairs, Texts},
    stream_passthrough::{Frame, decode_frame, early_end},
    wire,
};
use crate::{
    StreamDecoder, StreamEnd, error_body,
    finish_reason::{Finishes, missing},
    sse::{FrameDecoder, Framer},
};

/// The most choices that a provider may count: more of them would only fill memory.
const MAX_CHOICES: u32 = 128;

/// Decodes chunks until `data: [DONE]`.
///
/// Finish reasons wait for the end of the stream: some providers go on with their text behind one.
#[derive(Debug)]
pub(super) struct ChunkDecoder {
    framer: Framer,
    end: StreamEnd,
    has_ended: bool,
    /// The response's own id; none before the first chunk.
    id: Option<String>,
    choices: BTreeMap<u32, ChoiceState>,
    /// Sources that stand beside the choices, which some repeat with every chunk.
    sources: Vec<Citation>,
}

/// The state of one choice.
#[derive(Debug, Default)]
struct ChoiceState {
    calls: CallTracker,
    pairs: SplitPairs,
    has_refused: bool,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Chunk<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Option<Vec<ChunkChoice<'a>>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ChunkChoice<'a> {
    index: Option<u32>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    /// Some write the whole message in place of a delta.
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
}

impl ChunkDecoder {
    pub(super) fn new(end: StreamEnd) -> Self {
        Self {
            framer: Framer::default(),
            end,
            has_ended: false,
            id: None,
            choices: BTreeMap::new(),
            sources: vec![],
        }
    }

    fn chunk(&mut self, data: &[u8], events: &mut Vec<StreamEvent>) -> Result<()> {
        let chunk: Chunk<'_> = error_body::event(data)?;
        let usage = chunk.usage.and_then(wire::usage);
        let choices = chunk.choices.unwrap_or_default();
        let before = events.len();
        // Azure begins with a chunk of its content filter, without choices, and with an empty id
        // and model.
        if self.id.is_none() && !choices.is_empty() {
            let id = response_decode::text(chunk.id);
            let model = response_decode::text(chunk.model);
            let start = Delta::Start { id: not_empty(&id), model: not_empty(&model) };
            events.push(StreamEvent::delta(0, start));
            self.id = Some(id);
        }
        // Sources stand beside the choices in some chunks, and are events only once they are complete.
        self.note_sources(data);
        for choice in choices {
            self.choice(&choice, events)?;
        }

        // Providers that report usage more than once report it with their text.
        match events.get_mut(before..).and_then(<[StreamEvent]>::last_mut) {
            Some(last) => last.usage = usage,
            None if usage.is_some() => events.push(report(usage)),
            None => {}
        }
        Ok(())
    }

    fn note_sources(&mut self, data: &[u8]) {
        let listed: ListedSources<'_> = serde_json::from_slice(data).unwrap_or_default();
        let sources = listed.decode();
        // The longest list holds the others: providers repeat it as it grows.
        if self.sources.len() < sources.len() {
            self.sources = sources;
        }
    }

    fn choice(&mut self, choice: &ChunkChoice<'_>, events: &mut Vec<StreamEvent>) -> Result<()> {
        // A missing index is the first choice: some servers leave it out.
        let index = choice.index.unwrap_or(0);
        if MAX_CHOICES <= index {
            return Err(error_body::malformed());
        }
        let state = self.choices.entry(index).or_default();
        let written = choice.delta.or(choice.message);
        let delta: DecodedMessage<'_> =
            written.map(error_body::part).transpose()?.unwrap_or_default();

        let mut push = |delta| events.push(StreamEvent::delta(index, delta));
        state.texts(&delta, &mut push);
        delta.citations().into_iter().map(Delta::Citation).for_each(&mut push);
        for media in delta.media() {
            match media {
                Content::Image(media) => push(Delta::Image(media)),
                Content::Audio(media) => push(Delta::Audio(media)),
                _ => {}
            }
        }

        let response_id = self.id.as_deref().unwrap_or_default();
        for (position, call) in delta.tool_calls().iter().enumerate() {
            state.call(&call.into(), position, response_id, &mut push);
        }

        let reason = finish_reason::word_of(choice.finish_reason);
        if !reason.is_empty() {
            state.finish(reason)?;
        }
        Ok(())
    }

    fn finishes(&self) -> Finishes {
        let mut finishes = Finishes::default();
        for (index, state) in &self.choices {
            finishes.note(*index, state.finish_reason.is_some());
        }
        finishes
    }

    /// Ends the response: gives what was held back, and each choice its finish.
    fn finish(&mut self, events: &mut Vec<StreamEvent>) -> Result<()> {
        self.finishes().check()?;
        let response_id = self.id.clone().unwrap_or_default();
        for source in std::mem::take(&mut self.sources) {
            events.push(StreamEvent::delta(0, Delta::Citation(source)));
        }
        for (index, state) in &mut self.choices {
            let mut push = |delta| events.push(StreamEvent::delta(*index, delta));
            // Half of a character that never got its other half, after an escape.
            if state.pairs.content.is_waiting() {
                push(Delta::Text("\u{fffd}".to_owned()));
            }
            state.announce_all(&response_id, &mut push)?;
            push(Delta::Finish(state.end()?));
        }
        self.has_ended = true;
        events.push(StreamEvent::delta(0, Delta::End));
        Ok(())
    }
}

impl ChoiceState {
    fn texts(&mut self, delta: &DecodedMessage<'_>, push: &mut impl FnMut(Delta)) {
        let Texts { reasoning, content, refusal } = delta.delta_texts(&mut self.pairs);
        if !reasoning.is_empty() {
            push(Delta::Reasoning(reasoning));
        }
        if !content.is_empty() {
            push(Delta::Text(content));
        }
        if !refusal.is_empty() {
            self.has_refused = true;
            push(Delta::Refusal(refusal));
        }
    }

    /// Decodes one delta of a call. The call is announced once its whole name is known.
    fn call(
        &mut self,
        delta: &CallDelta,
        position: usize,
        response_id: &str,
        push: &mut impl FnMut(Delta),
    ) {
        let known = self.calls.len();
        let at = self.calls.add(delta, position);
        if at == known {
            // Nothing more comes of the calls before. Only those that were named since the last
            // new call can be announced.
            for named in self.calls.take_named() {
                if named == at {
                    self.calls.keep_named(at);
                } else {
                    self.announce(named, response_id, push);
                }
            }
        }
        let Some(call) = self.calls.call(at) else { return };
        if let Some(number) = call.announced {
            if !delta.arguments.is_empty() {
                push(Delta::Arguments { call: number, json: delta.arguments.clone() });
            }
            return;
        }
        call.waiting.push_str(&delta.arguments);
        if call.has_whole_name() {
            self.announce(at, response_id, push);
        }
    }

    /// Announces a call that has a name and is not announced yet, with the arguments that waited.
    fn announce(&mut self, at: usize, response_id: &str, push: &mut impl FnMut(Delta)) {
        let Some(call) = self.calls.call(at).filter(|it| it.is_ready()) else { return };
        let (id, name) = (call.id.clone(), call.name.clone());
        let json = std::mem::take(&mut call.waiting);
        let number = self.calls.announce(at);
        let id = if id.is_empty() { response_decode::call_id(response_id, number) } else { id };
        push(Delta::ToolCall { call: number, id, name, signature: None });
        if !json.is_empty() {
            push(Delta::Arguments { call: number, json });
        }
    }

    /// Announces the calls that are left; one that was never named is an error.
    fn announce_all(&mut self, response_id: &str, push: &mut impl FnMut(Delta)) -> Result<()> {
        for at in 0..self.calls.len() {
            self.announce(at, response_id, push);
            if self.calls.call(at).is_some_and(|it| it.announced.is_none()) {
                return Err(response_decode::nameless_call());
            }
        }
        Ok(())
    }

    /// Notes why the choice ends. The first reason counts: some say `stop` again behind it.
    fn finish(&mut self, reason: String) -> Result<()> {
        // A cut is reported at once; everything else waits for the end, where it is known whether
        // tools were called.
        self.decode_reason(&reason)?;
        self.finish_reason.get_or_insert(reason);
        Ok(())
    }

    fn decode_reason(&self, reason: &str) -> Result<FinishReason> {
        finish_reason::decode(reason, 0 < self.calls.len(), self.has_refused)
    }

    /// The reason why the choice ends; an error where the provider gave none.
    fn end(&mut self) -> Result<FinishReason> {
        let reason = self.finish_reason.take().ok_or_else(missing)?;
        self.decode_reason(&reason)
    }
}

fn not_empty(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|it| !it.is_empty())
}

fn report(usage: Option<Usage>) -> StreamEvent {
    StreamEvent::delta(0, Delta::Usage).with_usage(usage)
}

impl FrameDecoder for ChunkDecoder {
    fn framer(&mut self) -> &mut Framer {
        &mut self.framer
    }

    fn has_ended(&self) -> bool {
        self.has_ended
    }

    fn frame(&mut self, frame: Bytes, events: &mut Vec<StreamEvent>) -> Result<()> {
        match decode_frame(&frame)? {
            Frame::Comment => Ok(()),
            Frame::Done => self.finish(events),
            Frame::Chunk(data) => {
                let summary: wire::ResponseSummary<'_> = error_body::event(&data)?;
                wire::check(&summary, &data)?;
                self.chunk(&data, events)
            }
        }
    }
}

impl StreamDecoder for ChunkDecoder {
    fn read(&mut self, bytes: Bytes, events: &mut Vec<StreamEvent>) -> Result<()> {
        self.read_frames(&bytes, events)
    }

    fn close(&mut self, events: &mut Vec<StreamEvent>) -> Result<()> {
        if self.has_ended {
            return Ok(());
        }
        // Where the terminator may be missing, finish reasons show that the response is complete; half a
        // frame behind them shows the contrary.
        if self.finishes().are_complete()
            && self.end == StreamEnd::FinishReason
            && self.framer.is_empty()
        {
            return self.finish(events);
        }
        Err(early_end(&self.framer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(chunks: &[&str]) -> Result<Vec<Delta>> {
        let mut decoder = ChunkDecoder::new(StreamEnd::FinishReason);
        let mut events = vec![];
        for chunk in chunks {
            decoder.read(Bytes::from(format!("data: {chunk}\n\n")), &mut events)?;
        }
        decoder.close(&mut events)?;
        Ok(events.into_iter().map(delta_of).collect())
    }

    fn delta_of(event: StreamEvent) -> Delta {
        match event.body {
            canonical::EventBody::Delta(_, delta) => *delta,
            canonical::EventBody::Frame(frame) => panic!("{frame:?} is no delta"),
        }
    }

    fn chunk(delta: &str) -> String {
        format!(r#"{{"id":"c","model":"m","choices":[{{"index":0,"delta":{delta}}}]}}"#)
    }

    fn text_of(deltas: &[Delta]) -> String {
        let texts = deltas.iter().filter_map(|it| match it {
            Delta::Text(text) => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

    #[test]
    fn a_pair_of_surrogates_may_be_split_over_two_chunks() {
        let [first, second] =
            [r#"{"content":"ok \ud83d"}"#, r#"{"content":"\ude00 fine"}"#].map(chunk);
        assert_eq!(text_of(&decoded(&[&first, &second, STOP]).unwrap()), "ok \u{1f600} fine");
        assert_eq!(text_of(&decoded(&[&first, STOP]).unwrap()), "ok \u{fffd}");
    }

    #[test]
    fn a_text_behind_the_finish_reason_is_not_lost() {
        let more = chunk(r#"{"content":"more"}"#);
        let deltas = decoded(&[STOP, &more, STOP]).unwrap();
        assert_eq!(text_of(&deltas), "more");
        let end = [Delta::Finish(FinishReason::Stop), Delta::End];
        assert!(deltas.ends_with(&end), "{deltas:?}");
    }

    #[test]
    fn a_response_without_a_finish_reason_is_cut() {
        let half = chunk(r#"{"content":"Half an"}"#);
        assert!(decoded(&[&half, "[DONE]"]).is_err());
        assert!(decoded(&[&half]).is_err());
    }

    #[test]
    fn a_finish_reason_that_means_a_cut_is_an_error() {
        for reason in ["abort", "insufficient_system_resource", "error", "who_knows"] {
            let finish = format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":"{reason}"}}]}}"#);
            assert!(decoded(&[&finish, "[DONE]"]).is_err(), "{reason}");
        }
    }

    #[test]
    fn an_error_object_of_any_shape_ends_a_stream() {
        let half = chunk(r#"{"content":"Half an"}"#);
        for error in [
            r#"{"error":{"message":"x"}}"#,
            r#"{"object":"error","message":"EngineDeadError","code":500}"#,
            r#"{"detail":"x"}"#,
            r#"{"message":"x","code":500}"#,
            r#"{"errors":[{"message":"x"}]}"#,
            r#"{"type":"error","message":"x"}"#,
            r#"{"error_code":503,"error_msg":"x"}"#,
            r#"{"choices":[{"index":0,"error":{"code":502,"message":"x"}}]}"#,
        ] {
            assert!(decoded(&[&half, error, STOP, "[DONE]"]).is_err(), "{error}");
        }
    }

    #[test]
    fn a_call_waits_for_its_name() {
        let late = [
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"arguments":"{\"city\":"}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"\"Oslo\"}"}}]}"#,
        ]
        .map(chunk);
        let deltas = decoded(&[&late[0], &late[1], STOP]).unwrap();
        let call =
            Delta::ToolCall { call: 0, id: "a".to_owned(), name: "f".to_owned(), signature: None };
        let json = r#"{"city":"Oslo"}"#.to_owned();
        assert_eq!(deltas[1..3], [call, Delta::Arguments { call: 0, json }]);
        assert!(decoded(&[&late[0], STOP]).is_err(), "a call without a name");
    }

    #[test]
    fn an_older_function_call_is_a_call_of_its_own() {
        let parts = [
            r#"{"function_call":{"name":"f","arguments":""}}"#,
            r#"{"function_call":{"arguments":"{}"}}"#,
        ]
        .map(chunk);
        let deltas = decoded(&[&parts[0], &parts[1], STOP]).unwrap();
        let id = "call_c_0".to_owned();
        let call = Delta::ToolCall { call: 0, id, name: "f".to_owned(), signature: None };
        assert_eq!(deltas[1], call);
        assert_eq!(deltas[3], Delta::Finish(FinishReason::ToolCalls));
    }
}
