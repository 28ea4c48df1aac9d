//! Calls of tools that end with their response: their arguments are JSON, or the response is no success.
//!
//! A client that gets half of the arguments under a finish reason of success runs the tool with
//! whatever it makes of them. A call that its model garbled is a failure, as providers report it that
//! look themselves (`MALFORMED_FUNCTION_CALL` of Google, `malformed_tool_use` of Bedrock): another
//! target is attempted, and a stream that has begun ends with an error.

use std::collections::BTreeMap;

use bytes::Bytes;
use canonical::{
    ChatResponse, Content, Delta, Error, ErrorKind, EventBody, FinishReason, Result, StreamEvent,
};
use serde::de::IgnoredAny;

use crate::{StreamDecoder, json, openai::is_custom_tool, redact};

/// How long arguments may be that are held to be checked, in bytes.
const MAX_CHECKED_BYTES: usize = 1024 * 1024;

/// The arguments of one call as they arrive.
#[derive(Debug, Default)]
pub(crate) struct CallArguments(String);

impl CallArguments {
    /// Adds what arrived.
    pub(crate) fn add(&mut self, json: &str) {
        // One byte more than is checked stands for all that follow.
        let left = (MAX_CHECKED_BYTES + 1).saturating_sub(self.0.len());
        self.0.push_str(json.get(..left).unwrap_or(json));
    }

    /// Checks that they are whole, for the tool of this name.
    pub(crate) fn check(&self, tool: &str) -> Result<()> {
        if MAX_CHECKED_BYTES < self.0.len() { Ok(()) } else { check_arguments(tool, &self.0) }
    }
}

/// Checks the arguments for a tool. Nothing at all is as good as an empty object.
pub(crate) fn check_arguments(tool: &str, arguments: &str) -> Result<()> {
    if arguments.trim().is_empty() {
        return Ok(());
    }
    serde_json::from_str::<IgnoredAny>(arguments).map(drop).map_err(|error| {
        let tool = redact(tool);
        let message = if error.is_eof() {
            format!("ended its response within the arguments for `{tool}`: the call is cut")
        } else {
            format!("called `{tool}` with arguments that are not JSON")
        };
        Error::new(ErrorKind::Upstream, message).caused_by(json::unquoted(&error))
    })
}

/// Whether a choice ends as if it were whole: a limit or a filter says by itself what it cuts.
fn ends_whole(finish: &FinishReason) -> bool {
    match finish {
        FinishReason::Stop
        | FinishReason::StopSequence(_)
        | FinishReason::ToolCalls
        | FinishReason::Paused => true,
        FinishReason::Length
        | FinishReason::ContextFull
        | FinishReason::Filtered
        | FinishReason::Refusal => false,
    }
}

/// Checks the calls of a decoded response.
pub fn check_calls(response: &ChatResponse) -> Result<()> {
    for choice in response.choices.iter().filter(|it| ends_whole(&it.finish_reason)) {
        for part in &choice.parts {
            // What takes any text is given whatever the model wrote.
            if let Content::ToolCall(call) = &part.content
                && !is_custom_tool(&call.name)
            {
                check_arguments(&call.name, &call.arguments)?;
            }
        }
    }
    Ok(())
}

/// A decoder whose calls are checked before their choice ends.
#[must_use]
pub fn with_checked_calls(decoder: Box<dyn StreamDecoder>) -> Box<dyn StreamDecoder> {
    Box::new(CheckedCalls { decoder, calls: BTreeMap::new() })
}

#[derive(Debug)]
struct CheckedCalls {
    decoder: Box<dyn StreamDecoder>,
    /// The tool and the arguments of each call, by its choice and number.
    calls: BTreeMap<(u32, usize), (String, CallArguments)>,
}

impl CheckedCalls {
    /// Checks the events behind those before; one that ends a choice within a call is taken out, with
    /// all that follow.
    fn check(&mut self, before: usize, events: &mut Vec<StreamEvent>) -> Result<()> {
        for (at, event) in events.iter().enumerate().skip(before) {
            let EventBody::Delta(choice, delta) = &event.body else { continue };
            match &**delta {
                Delta::ToolCall { call, name, .. } if !is_custom_tool(name) => {
                    let arguments = CallArguments::default();
                    self.calls.insert((*choice, *call), (name.clone(), arguments));
                }
                Delta::Arguments { call, json } => {
                    if let Some((_, arguments)) = self.calls.get_mut(&(*choice, *call)) {
                        arguments.add(json);
                    }
                }
                Delta::Finish(finish) if ends_whole(finish) => {
                    let mut calls = self.calls.iter().filter(|(place, _)| place.0 == *choice);
                    let broken = calls.find_map(|(_, (tool, it))| it.check(tool).err());
                    if let Some(broken) = broken {
                        events.truncate(at);
                        return Err(broken);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl StreamDecoder for CheckedCalls {
    fn read(&mut self, bytes: Bytes, events: &mut Vec<StreamEvent>) -> Result<()> {
        let before = events.len();
        let read = self.decoder.read(bytes, events);
        self.check(before, events).and(read)
    }

    fn close(&mut self, events: &mut Vec<StreamEvent>) -> Result<()> {
        let before = events.len();
        let closed = self.decoder.close(events);
        self.check(before, events).and(closed)
    }
}

#[cfg(test)]
mod tests {
    use canonical::{Choice, Part, ToolCall};

    use super::*;

    fn response(name: &str, arguments: &str, finish_reason: FinishReason) -> ChatResponse {
        let call =
            ToolCall { id: "c".to_owned(), name: name.to_owned(), arguments: arguments.to_owned() };
        let parts = vec![Part::new(Content::ToolCall(call))];
        ChatResponse { choices: vec![Choice { parts, finish_reason }], ..ChatResponse::default() }
    }

    #[test]
    fn arguments_of_a_whole_response_are_json() {
        let check = |arguments: &str| {
            check_calls(&response("f", arguments, FinishReason::ToolCalls))
                .map_err(|it| it.message().to_owned())
        };
        for fine in ["", " ", "{}", r#"{"x":[1]}"#, "[1]"] {
            assert_eq!(check(fine), Ok(()), "{fine}");
        }
        let cut = "ended its response within the arguments for `f`: the call is cut";
        assert_eq!(check(r#"{"x":"#).unwrap_err(), cut);
        assert_eq!(check("{'x':1}").unwrap_err(), "called `f` with arguments that are not JSON");
    }

    #[test]
    fn a_limit_says_by_itself_what_it_cuts_and_text_is_no_json() {
        assert!(check_calls(&response("f", "{", FinishReason::Length)).is_ok());
        assert!(check_calls(&response("f:custom", "{", FinishReason::ToolCalls)).is_ok());
    }

    #[test]
    fn a_stream_does_not_finish_within_a_call() {
        #[derive(Debug)]
        struct Call(FinishReason);
        impl StreamDecoder for Call {
            fn read(&mut self, _: Bytes, events: &mut Vec<StreamEvent>) -> Result<()> {
                let (id, name) = ("c".to_owned(), "f".to_owned());
                for delta in [
                    Delta::ToolCall { call: 0, id, name, signature: None },
                    Delta::Arguments { call: 0, json: r#"{"x":"#.to_owned() },
                    Delta::Finish(self.0.clone()),
                    Delta::End,
                ] {
                    events.push(StreamEvent::delta(0, delta));
                }
                Ok(())
            }

            fn close(&mut self, _: &mut Vec<StreamEvent>) -> Result<()> {
                Ok(())
            }
        }
        for (finish, expected) in [(FinishReason::ToolCalls, 2), (FinishReason::Length, 4)] {
            let mut decoder = with_checked_calls(Box::new(Call(finish)));
            let mut events = vec![];
            let read = decoder.read(Bytes::new(), &mut events);
            assert_eq!((events.len(), read.is_err()), (expected, expected == 2));
        }
    }
}
