//! Chunks of providers that differ from OpenAI's in ways that its SDKs do not expect: contents as
//! lists, choices without a delta, tool calls whose deltas the SDKs would glue together or split.
//!
//! A chunk that is right keeps its bytes.

use std::{borrow::Cow, collections::BTreeMap};

use canonical::Result;
use serde_json::value::RawValue;

use super::super::{
    finish_reason,
    response_decode::{self, DecodedCall, DecodedMessage, SplitPairs},
    response_passthrough::{edited, normalize_texts, odd_reason},
    stream_decode::{CallDelta, CallTracker},
    wire::ResponseSummary,
};
use crate::{error_body, finish_reason::Finishes, json, json::Object, whole_calls::CallArguments};

/// Corrects the chunks of one stream.
#[derive(Debug, Default)]
pub(super) struct ChunkNormalizer {
    /// The response's own id, for calls that have none.
    id: String,
    choices: BTreeMap<u32, ChoiceNormalizer>,
}

/// The state of one choice.
#[derive(Debug, Default)]
struct ChoiceNormalizer {
    calls: CallTracker,
    /// The arguments of each call of a function, by its place in `calls`.
    arguments: BTreeMap<usize, CallArguments>,
    pairs: SplitPairs,
}

/// The fate of one delta of a call.
enum NormalizedCall {
    Same,
    Changed(String),
    /// The delta waits until the call is named.
    Held,
}

impl ChunkNormalizer {
    /// The chunk as OpenAI would write it; none where it is already so.
    pub(super) fn chunk(
        &mut self,
        summary: &ResponseSummary<'_>,
        chunk: &[u8],
    ) -> Result<Option<String>> {
        let Some(choices) = &summary.choices else {
            // SDKs loop over `choices` without a check, and fail where the usage comes without the
            // member.
            return edited(text_of(chunk)?, |edits| edits.set("choices", "[]")).map(Some);
        };
        if !choices.is_odd && !choices.has_calls && !self.has_waiting_pair() {
            return Ok(None);
        }
        let object: Object<'_> = error_body::event(chunk)?;
        if self.id.is_empty() {
            self.id = response_decode::text(object.get("id"));
        }
        let list = object.get("choices").ok_or_else(error_body::malformed)?;
        let list: Vec<&RawValue> = error_body::part(list)?;
        let mut changed = false;
        let mut normalized = Vec::with_capacity(list.len());
        for choice in list {
            let choice_normalized = self.choice(choice)?;
            changed |= choice_normalized.is_some();
            normalized.push(choice_normalized.unwrap_or_else(|| choice.get().to_owned()));
        }
        if !changed {
            return Ok(None);
        }
        let choices = format!("[{}]", normalized.join(","));
        edited(text_of(chunk)?, |edits| edits.set("choices", choices)).map(Some)
    }

    /// Ends the stream: a call that was never named is an error, and so is one that is not whole, unless
    /// a limit ended its choice.
    pub(super) fn finish(&mut self, limited: Finishes) -> Result<()> {
        for (index, choice) in &mut self.choices {
            if choice.calls.has_unannounced() {
                return Err(response_decode::nameless_call());
            }
            for (at, arguments) in choice.arguments.iter().filter(|_| !limited.has(*index)) {
                let name = choice.calls.call(*at).map(|it| it.name.clone());
                arguments.check(&name.unwrap_or_default())?;
            }
        }
        Ok(())
    }

    fn has_waiting_pair(&self) -> bool {
        self.choices.values().any(|it| it.pairs.is_waiting())
    }

    fn choice(&mut self, json: &RawValue) -> Result<Option<String>> {
        let choice: Object<'_> = error_body::part(json)?;
        let index = response_decode::text(choice.get("index")).parse().unwrap_or(0);
        // Servers that stream whole messages write them under the name of whole responses.
        let delta = choice.get("delta").or_else(|| choice.get("message"));
        let reason = choice.get("finish_reason");
        let has_finished = !finish_reason::word_of(reason).is_empty();
        let reason = odd_reason(reason);

        let state = self.choices.entry(index).or_default();
        let normalized = match delta {
            Some(delta) => state.delta(delta, has_finished, &self.id)?,
            None => Some("{}".to_owned()),
        };
        let has_index = choice.get("index").is_some();
        let has_delta = choice.get("delta").is_some();
        if normalized.is_none() && has_index && has_delta && reason.is_none() {
            return Ok(None);
        }
        let choice = if has_delta {
            Cow::Borrowed(json.get())
        } else {
            Cow::Owned(with_delta(json.get(), delta.map_or("{}", RawValue::get)))
        };
        edited(&choice, |edits| {
            if !has_index {
                edits.set("index", "0");
            }
            if let Some(delta) = normalized {
                edits.set("delta", delta);
            }
            if let Some(reason) = reason {
                edits.set("finish_reason", reason);
            }
        })
        .map(Some)
    }
}

/// A choice with a delta as its first member.
fn with_delta(choice: &str, delta: &str) -> String {
    let members = choice.trim_start_matches('{').trim_start();
    let comma = if members.starts_with('}') { "" } else { "," };
    format!("{{\"delta\":{delta}{comma}{members}")
}

impl ChoiceNormalizer {
    fn delta(
        &mut self,
        json: &RawValue,
        has_finished: bool,
        response_id: &str,
    ) -> Result<Option<String>> {
        let delta: DecodedMessage<'_> = error_body::part(json)?;
        let texts = normalize_texts(&delta, Some(&mut self.pairs), has_finished);
        let calls = self.calls(&delta, response_id)?;
        let function_call = delta.odd_function_call();
        if texts.is_empty() && calls.is_none() && function_call.is_none() {
            return Ok(None);
        }
        edited(json.get(), |edits| {
            if let Some(call) = function_call {
                let name = call.name();
                edits.set("function_call", function(name.as_deref(), &call.arguments()));
            }
            for (name, text) in texts {
                match text {
                    Some(text) => edits.set(name, text),
                    None => drop(edits.remove(name)),
                }
            }
            match calls {
                Some(calls) if calls.is_empty() => drop(edits.remove("tool_calls")),
                Some(calls) => edits.set("tool_calls", format!("[{}]", calls.join(","))),
                None => {}
            }
        })
        .map(Some)
    }

    /// The deltas of calls as OpenAI would write them; none where they are already so.
    fn calls(
        &mut self,
        delta: &DecodedMessage<'_>,
        response_id: &str,
    ) -> Result<Option<Vec<String>>> {
        let mut changed = false;
        let mut normalized = vec![];
        for (position, json) in delta.raw_tool_calls().into_iter().enumerate() {
            match self.call(json, position, response_id)? {
                NormalizedCall::Same => normalized.push(json.get().to_owned()),
                NormalizedCall::Changed(call) => {
                    changed = true;
                    normalized.push(call);
                }
                NormalizedCall::Held => changed = true,
            }
        }
        Ok(changed.then_some(normalized))
    }

    fn call(
        &mut self,
        json: &RawValue,
        position: usize,
        response_id: &str,
    ) -> Result<NormalizedCall> {
        let written: DecodedCall<'_> = error_body::part(json)?;
        let delta = CallDelta::from(&written);
        // A part of a name makes the names longer, and a repetition does not.
        let names_before = self.calls.names_len();
        let at = self.calls.add(&delta, position);
        let repeats_name = names_before == self.calls.names_len();
        if !written.is_custom() {
            self.arguments.entry(at).or_default().add(&delta.arguments);
        }
        let Some(call) = self.calls.call(at) else { return Ok(NormalizedCall::Same) };

        if let Some(number) = call.announced {
            let is_right = written.has_index(number)
                && delta.id.is_none()
                && !(delta.name.is_some() && repeats_name)
                && written.has_text_arguments();
            if is_right {
                return Ok(NormalizedCall::Same);
            }
            let name = delta.name.filter(|_| !repeats_name);
            return continued(json, number, tool(&written, name.as_deref(), &delta.arguments));
        }
        if call.name.is_empty() {
            call.waiting.push_str(&delta.arguments);
            return Ok(NormalizedCall::Held);
        }
        let (id, name) = (call.id.clone(), call.name.clone());
        // What waited comes with the name, in one delta.
        let arguments = std::mem::take(&mut call.waiting) + &delta.arguments;
        let number = self.calls.announce(at);
        let is_right = written.has_index(number)
            && written.has_text_id()
            && arguments == delta.arguments
            && written.has_text_arguments();
        if is_right {
            return Ok(NormalizedCall::Same);
        }
        let id = if id.is_empty() { response_decode::call_id(response_id, number) } else { id };
        begun(json, number, &id, tool(&written, Some(&name), &arguments))
    }
}

/// The first delta of a call.
fn begun(
    json: &RawValue,
    number: usize,
    id: &str,
    (kind, tool): (&'static str, String),
) -> Result<NormalizedCall> {
    edited(json.get(), |edits| {
        edits.set("index", number.to_string());
        edits.set("id", json::quoted(id));
        // SDKs choose the class of a call by it, and imitators leave it out.
        edits.set("type", json::quoted(kind));
        edits.set(kind, tool);
    })
    .map(NormalizedCall::Changed)
}

/// A delta that adds to a call. SDKs would add an id or a name that is repeated to the first one.
fn continued(
    json: &RawValue,
    number: usize,
    (kind, tool): (&'static str, String),
) -> Result<NormalizedCall> {
    edited(json.get(), |edits| {
        edits.set("index", number.to_string());
        edits.remove("id");
        edits.set(kind, tool);
    })
    .map(NormalizedCall::Changed)
}

/// What a delta says of its tool, under the name of the tool's kind.
fn tool(call: &DecodedCall<'_>, name: Option<&str>, arguments: &str) -> (&'static str, String) {
    if !call.is_custom() {
        return ("function", function(name, arguments));
    }
    let name = name.map(|it| format!(r#""name":{},"#, json::quoted(it))).unwrap_or_default();
    ("custom", format!(r#"{{{name}"input":{}}}"#, json::quoted(arguments)))
}

fn function(name: Option<&str>, arguments: &str) -> String {
    let arguments = json::quoted(arguments);
    match name {
        Some(name) => format!(r#"{{"name":{},"arguments":{arguments}}}"#, json::quoted(name)),
        None => format!(r#"{{"arguments":{arguments}}}"#),
    }
}

fn text_of(chunk: &[u8]) -> Result<&str> {
    std::str::from_utf8(chunk).map_err(|error| error_body::malformed().caused_by(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chunks of a stream before and after, each written as its delta.
    fn normalized(deltas: &[&str]) -> Vec<String> {
        let mut normalizer = ChunkNormalizer::default();
        let chunks = deltas.iter().map(|delta| {
            let chunk = format!(r#"{{"id":"c","choices":[{{"index":0,"delta":{delta}}}]}}"#);
            let chunk = normalize(&mut normalizer, &chunk).unwrap_or(chunk);
            let prefix = r#"{"id":"c","choices":[{"index":0,"delta":"#;
            chunk.strip_prefix(prefix).and_then(|it| it.strip_suffix("}]}")).unwrap().to_owned()
        });
        chunks.collect()
    }

    fn normalize(normalizer: &mut ChunkNormalizer, chunk: &str) -> Option<String> {
        let summary = serde_json::from_str(chunk).unwrap();
        normalizer.chunk(&summary, chunk.as_bytes()).unwrap()
    }

    fn call(json: &str) -> String {
        format!(r#"{{"tool_calls":[{json}]}}"#)
    }

    #[test]
    fn what_is_right_stays() {
        let deltas = [
            call(
                r#"{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}"#,
            ),
            call(r#"{"index":0,"function":{"arguments":"{}"}}"#),
            r#"{"content":"\ud83d\ude00"}"#.to_owned(),
        ];
        assert_eq!(normalized(&deltas.each_ref().map(String::as_str)), deltas);
    }

    #[test]
    fn calls_of_custom_tools_are_calls() {
        let deltas = [
            call(r#"{"index":0,"id":"a","type":"custom","custom":{"name":"f","input":""}}"#),
            call(r#"{"index":0,"custom":{"input":"any {text"}}"#),
            call(
                r#"{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":""}}"#,
            ),
        ];
        let mut normalizer = ChunkNormalizer::default();
        for delta in &deltas {
            let chunk = format!(r#"{{"id":"c","choices":[{{"index":0,"delta":{delta}}}]}}"#);
            assert_eq!(normalize(&mut normalizer, &chunk), None, "{delta}");
        }
        assert!(normalizer.finish(Finishes::default()).is_ok());
        let odd = call(r#"{"id":"","custom":{"name":"f","input":"x"}}"#);
        let right = call(
            r#"{"id":"call_c_0","custom":{"name":"f","input":"x"},"index":0,"type":"custom"}"#,
        );
        assert_eq!(normalized(&[&odd]), [right]);
    }

    #[test]
    fn a_content_list_becomes_a_text_and_its_reasoning() {
        let deltas = [
            r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]}"#,
            r#"{"content":[{"type":"text","text":"Hel"}]}"#,
            r#"{"content":"lo"}"#,
        ];
        let expected =
            [r#"{"reasoning_content":"hm"}"#, r#"{"content":"Hel"}"#, r#"{"content":"lo"}"#];
        assert_eq!(normalized(&deltas), expected);
    }

    #[test]
    fn a_choice_gets_the_members_that_it_lacks() {
        let mut normalizer = ChunkNormalizer::default();
        let filter =
            r#"{"choices":[{"index":0,"finish_reason":null,"content_filter_results":{}}]}"#;
        assert_eq!(
            normalize(&mut normalizer, filter).unwrap(),
            r#"{"choices":[{"delta":{},"index":0,"finish_reason":null,"content_filter_results":{}}]}"#
        );
        let odd = r#"{"choices":[{"delta":{"content":"x"},"finish_reason":""}]}"#;
        assert_eq!(
            normalize(&mut normalizer, odd).unwrap(),
            r#"{"choices":[{"delta":{"content":"x"},"finish_reason":null,"index":0}]}"#
        );
        assert_eq!(
            normalize(&mut normalizer, r#"{"usage":{}}"#).unwrap(),
            r#"{"usage":{},"choices":[]}"#
        );
    }

    #[test]
    fn calls_of_one_index_get_one_each() {
        let one = |id: &str| {
            call(&format!(
                r#"{{"index":0,"id":"{id}","function":{{"name":"f","arguments":"{{}}"}}}}"#
            ))
        };
        let passed = normalized(&[&one("a"), &one("b")]);
        assert_eq!(passed[0], one("a"));
        assert!(passed[1].contains(r#""index":1,"id":"b""#), "{}", passed[1]);
    }

    #[test]
    fn an_id_or_a_name_that_is_repeated_is_taken_out() {
        let first = call(r#"{"index":0,"id":"a","function":{"name":"f","arguments":""}}"#);
        for again in [
            r#"{"index":0,"id":"b","function":{"arguments":"{}"}}"#,
            r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}"#,
            r#"{"index":1,"function":{"arguments":{}}}"#,
        ] {
            let passed = normalized(&[&first, &call(again)]);
            assert_eq!(passed[1], call(r#"{"index":0,"function":{"arguments":"{}"}}"#), "{again}");
        }
    }

    #[test]
    fn a_call_is_held_until_its_name_is_known() {
        let passed = normalized(&[
            &call(r#"{"index":0,"id":"a","function":{"arguments":"{\"a\":"}}"#),
            &call(r#"{"index":0,"function":{"name":"f","arguments":"1}"}}"#),
        ]);
        let named = r#"{"index":0,"function":{"name":"f","arguments":"{\"a\":1}"},"id":"a","type":"function"}"#;
        assert_eq!(passed, ["{}".to_owned(), call(named)]);
        let mut normalizer = ChunkNormalizer::default();
        let nameless = r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a"}]}}]}"#;
        normalize(&mut normalizer, nameless);
        assert!(normalizer.finish(Finishes::default()).is_err());
    }

    #[test]
    fn arguments_of_the_older_call_become_a_text() {
        let passed = normalized(&[r#"{"function_call":{"arguments":{"a":1}}}"#]);
        assert_eq!(passed, [r#"{"function_call":{"arguments":"{\"a\":1}"}}"#]);
    }

    #[test]
    fn a_split_pair_of_surrogates_is_joined() {
        let passed = normalized(&[r#"{"content":"ok \ud83d"}"#, r#"{"content":"\ude00"}"#]);
        assert_eq!(passed, [r#"{"content":"ok "}"#, r#"{"content":"😀"}"#]);
    }
}
