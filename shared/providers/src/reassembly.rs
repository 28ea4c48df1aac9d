//! Whole responses from streams and streams from whole responses, for providers that send the other
//! one.
//!
//! Some servers stream only, others ignore `stream`, and relays do either. What the response means
//! is the same, so that the client gets it in the form that it asked for.

use std::collections::BTreeMap;

use canonical::{
    ChatResponse, Choice, Content, Delta, Error, ErrorKind, EventBody, FinishReason,
    GatewayResponse, Part, ResponseBody, Result, StreamEvent, ToolCall, Usage,
};

/// The whole response that decoded stream events add up to.
pub(crate) fn response_from_events(
    events: impl IntoIterator<Item = StreamEvent>,
) -> Result<GatewayResponse> {
    let mut assembly = Assembly::default();
    for event in events {
        // Usage may come in several events; the last one has the totals.
        assembly.usage = event.usage.or(assembly.usage);
        if let EventBody::Delta(choice, delta) = event.body {
            assembly.add(choice, *delta);
        }
    }
    assembly.finish()
}

#[derive(Default)]
struct Assembly {
    id: Option<String>,
    model: Option<String>,
    choices: BTreeMap<u32, OpenChoice>,
    usage: Option<Usage>,
}

#[derive(Default)]
struct OpenChoice {
    parts: Vec<Part>,
    /// Where the calls stand among the parts, by their number.
    calls: BTreeMap<usize, usize>,
    finish_reason: Option<FinishReason>,
}

impl Assembly {
    fn add(&mut self, choice: u32, delta: Delta) {
        match delta {
            Delta::Start { id, model } => {
                // Each chunk repeats both in some formats; the first one counts.
                self.id = self.id.take().or(id);
                self.model = self.model.take().or(model);
            }
            Delta::Usage | Delta::End => {}
            delta => self.choices.entry(choice).or_default().add(delta),
        }
    }

    fn finish(self) -> Result<GatewayResponse> {
        let choices = self.choices.into_values().map(OpenChoice::finish);
        let choices: Vec<Choice> = choices.collect::<Result<_>>()?;
        if choices.is_empty() {
            return Err(Error::new(ErrorKind::Upstream, "ended its stream without content"));
        }
        let chat = ChatResponse { id: self.id, model: self.model, choices };
        Ok(GatewayResponse { body: ResponseBody::Chat(chat), usage: self.usage, facts: None })
    }
}

impl OpenChoice {
    fn add(&mut self, delta: Delta) {
        match delta {
            Delta::Text(text) => match self.last() {
                // Text behind a citation is a part of its own, or the citation would come to cover
                // it.
                Some(Content::Text(open, citations)) if citations.is_empty() => {
                    open.push_str(&text);
                }
                _ => self.push(Content::Text(text, vec![])),
            },
            Delta::Refusal(text) => match self.last() {
                Some(Content::Refusal(open)) => open.push_str(&text),
                _ => self.push(Content::Refusal(text)),
            },
            Delta::Reasoning(text) => match self.parts.last_mut() {
                // A signature ends the reasoning that it proves.
                Some(Part { content: Content::Reasoning(open), signature: None, .. }) => {
                    open.push_str(&text);
                }
                _ => self.push(Content::Reasoning(text)),
            },
            Delta::Signature(signature) => {
                // Signatures may come without a text, where a provider hides its model's reasoning.
                if !matches!(
                    self.parts.last(),
                    Some(Part { content: Content::Reasoning(_), signature: None, .. })
                ) {
                    self.push(Content::Reasoning(String::new()));
                }
                if let Some(part) = self.parts.last_mut() {
                    part.signature = Some(signature);
                }
            }
            Delta::Citation(citation) => match self.last() {
                Some(Content::Text(_, citations)) => citations.push(citation),
                _ => self.push(Content::Text(String::new(), vec![citation])),
            },
            Delta::ToolCall { call, id, name, signature } => {
                // Arguments of several calls may come in turns, and name their call by its number.
                self.calls.insert(call, self.parts.len());
                let call = ToolCall { id, name, arguments: String::new() };
                let part = Part::new(Content::ToolCall(call));
                self.parts.push(Part { signature, ..part });
            }
            Delta::Arguments { call, json } => {
                let part = self.calls.get(&call).and_then(|at| self.parts.get_mut(*at));
                if let Some(Content::ToolCall(call)) = part.map(|it| &mut it.content) {
                    call.arguments.push_str(&json);
                }
            }
            Delta::Image(media) => self.push(Content::Image(media)),
            Delta::Audio(media) => self.push(Content::Audio(media)),
            Delta::Video(media) => self.push(Content::Video(media)),
            Delta::File(media) => self.push(Content::File(media)),
            Delta::Finish(reason) => self.finish_reason = Some(reason),
            Delta::Start { .. } | Delta::Usage | Delta::End => {}
        }
    }

    fn last(&mut self) -> Option<&mut Content> {
        self.parts.last_mut().map(|it| &mut it.content)
    }

    fn push(&mut self, content: Content) {
        self.parts.push(Part::new(content));
    }

    fn finish(mut self) -> Result<Choice> {
        for part in &mut self.parts {
            if let Content::ToolCall(call) = &mut part.content
                && call.arguments.is_empty()
            {
                // A call without arguments has no delta of them, and clients parse the text as
                // JSON.
                "{}".clone_into(&mut call.arguments);
            }
        }
        let finish_reason = self.finish_reason.ok_or_else(formats::missing_finish_reason)?;
        Ok(Choice { parts: self.parts, finish_reason })
    }
}

/// The stream events that a whole response would have come in, its end included.
pub(crate) fn events_from_response(
    response: ChatResponse,
    usage: Option<Usage>,
) -> Vec<StreamEvent> {
    let start = Delta::Start { id: response.id, model: response.model };
    let mut events = vec![StreamEvent::delta(0, start)];
    for (number, choice) in (0..).zip(response.choices) {
        let mut calls = 0..;
        for part in choice.parts {
            let deltas = deltas_of_part(part, &mut calls);
            events.extend(deltas.into_iter().map(|delta| StreamEvent::delta(number, delta)));
        }
        events.push(StreamEvent::delta(number, Delta::Finish(choice.finish_reason)));
    }
    if usage.is_some() {
        events.push(StreamEvent::delta(0, Delta::Usage).with_usage(usage));
    }
    events.push(StreamEvent::delta(0, Delta::End));
    events
}

fn deltas_of_part(part: Part, calls: &mut impl Iterator<Item = usize>) -> Vec<Delta> {
    match part.content {
        Content::Text(text, citations) => {
            let citations = citations.into_iter().map(Delta::Citation);
            std::iter::once(Delta::Text(text)).chain(citations).collect()
        }
        Content::Refusal(text) => vec![Delta::Refusal(text)],
        Content::Reasoning(text) => {
            let text = Some(text).filter(|it| !it.is_empty()).map(Delta::Reasoning);
            text.into_iter().chain(part.signature.map(Delta::Signature)).collect()
        }
        Content::ToolCall(it) => {
            let call = calls.next().unwrap_or_default();
            let signature = part.signature;
            vec![
                Delta::ToolCall { call, id: it.id, name: it.name, signature },
                Delta::Arguments { call, json: it.arguments },
            ]
        }
        Content::Image(media) => vec![Delta::Image(media)],
        Content::Audio(media) => vec![Delta::Audio(media)],
        Content::Video(media) => vec![Delta::Video(media)],
        Content::File(media) => vec![Delta::File(media)],
        // A model's response holds no results of tools.
        Content::ToolResult(_) => vec![],
    }
}

#[cfg(test)]
mod tests {
    use canonical::{Citation, Media, Signature};

    use super::*;

    fn response() -> ChatResponse {
        let call = |id: &str, arguments: &str| {
            let (id, name) = (id.to_owned(), "look".to_owned());
            Part::new(Content::ToolCall(ToolCall { id, name, arguments: arguments.to_owned() }))
        };
        let cited = Citation { url: Some("https://a.test/".to_owned()), ..Citation::default() };
        let proven = Part {
            signature: Some(Signature::new("anthropic", "c2ln")),
            ..Part::new(Content::Reasoning("hm".to_owned()))
        };
        let first = vec![
            proven,
            Part::new(Content::Text("Hi".to_owned(), vec![cited])),
            Part::new(Content::Image(Media::default())),
            call("one", "{\"a\":1}"),
            call("two", "{}"),
        ];
        let second = vec![Part::new(Content::Refusal("No".to_owned()))];
        ChatResponse {
            id: Some("id".to_owned()),
            model: Some("m".to_owned()),
            choices: vec![
                Choice { parts: first, finish_reason: FinishReason::ToolCalls },
                Choice { parts: second, finish_reason: FinishReason::Refusal },
            ],
        }
    }

    #[test]
    fn a_response_survives_being_streamed_and_collected() {
        let usage = Some(Usage { input: 3, output: 4, ..Usage::default() });
        let again = response_from_events(events_from_response(response(), usage)).unwrap();
        assert_eq!(again.usage, usage);
        let ResponseBody::Chat(again) = again.body else { panic!("{again:?}") };
        assert_eq!(again, response());
    }

    #[test]
    fn deltas_of_one_text_become_one_part() {
        let deltas = [
            Delta::Text("He".to_owned()),
            Delta::Text("llo".to_owned()),
            Delta::Finish(FinishReason::Stop),
            Delta::End,
        ];
        let events = deltas.into_iter().map(|it| StreamEvent::delta(0, it));
        let ResponseBody::Chat(chat) = response_from_events(events).unwrap().body else {
            panic!("this is a chat");
        };
        assert_eq!(chat.choices[0].parts, [Part::text("Hello")]);
    }

    #[test]
    fn a_choice_without_a_finish_reason_is_cut() {
        let deltas = [(0, Delta::Text("He".to_owned())), (1, Delta::Text("She".to_owned()))];
        let finish = [(0, Delta::Finish(FinishReason::Stop)), (0, Delta::End)];
        let events = deltas.into_iter().chain(finish).map(|(at, it)| StreamEvent::delta(at, it));
        let error = response_from_events(events).unwrap_err();
        assert!(error.message().contains("without a finish reason"));
    }

    #[test]
    fn a_stream_without_content_is_no_response() {
        let error = response_from_events([StreamEvent::delta(0, Delta::End)]).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Upstream);
    }
}
