//! What a client has read of a stream so far, as far as another target has to know.

use canonical::{Delta, EventBody, StreamEvent};

/// The most text that another target is told, in bytes.
const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// What was said so far.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    /// The text.
    pub(crate) text: String,
    calls: Vec<Call>,
    /// Whether something was said that no other target can go on from.
    has_other: bool,
    is_finished: bool,
}

/// A tool call, as far as it was sent.
#[derive(Debug)]
struct Call {
    number: usize,
    name: String,
    arguments: String,
}

/// What can be done about a stream that breaks now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Remainder {
    /// Another target can go on behind the text.
    Open,
    /// Everything was said; only the end is missing.
    OnlyEnd,
    /// Whole tool calls were sent; only the finish is missing.
    OnlyFinish,
    /// A tool call broke in its arguments: its name.
    BrokenCall(String),
    /// Something was sent that cannot be continued.
    Fixed,
}

impl Transcript {
    /// Notes what an event adds.
    pub(crate) fn note(&mut self, event: &StreamEvent) {
        // A frame that passed through cannot be given to another target, for nobody has read it.
        let EventBody::Delta(choice, delta) = &event.body else {
            self.has_other |= event.kind.is_meaningful();
            return;
        };
        self.has_other |= *choice != 0;
        match &**delta {
            Delta::Text(text) => {
                self.text.push_str(text);
                self.has_other |= MAX_TEXT_BYTES < self.text.len();
            }
            Delta::ToolCall { call, name, .. } => {
                let call = Call { number: *call, name: name.clone(), arguments: String::new() };
                self.calls.push(call);
            }
            Delta::Arguments { call, json } => {
                let open = self.calls.iter_mut().rev().find(|it| it.number == *call);
                if let Some(open) = open {
                    open.arguments.push_str(json);
                }
            }
            Delta::Finish(_) => self.is_finished = true,
            Delta::Refusal(_)
            | Delta::Image(_)
            | Delta::Audio(_)
            | Delta::Video(_)
            | Delta::File(_) => self.has_other = true,
            Delta::Start { .. }
            | Delta::Reasoning(_)
            | Delta::Signature(_)
            | Delta::Citation(_)
            | Delta::Usage
            | Delta::End => {}
        }
    }

    /// Notes that no target may go on.
    pub(crate) fn forbid(&mut self) {
        self.has_other = true;
    }

    /// What can be done about a stream that breaks now.
    pub(crate) fn remainder(&self) -> Remainder {
        if self.is_finished {
            return Remainder::OnlyEnd;
        }
        // A call that broke must not be completed by another model: half of its arguments are
        // decided.
        if let Some(broken) = self.calls.iter().find(|call| !call.is_whole()) {
            return Remainder::BrokenCall(broken.name.clone());
        }
        if self.has_other {
            Remainder::Fixed
        } else if self.calls.is_empty() {
            Remainder::Open
        } else {
            Remainder::OnlyFinish
        }
    }
}

impl Call {
    /// Whether the arguments are an object that is closed: nothing can follow it.
    fn is_whole(&self) -> bool {
        let arguments = serde_json::from_str::<serde_json::Value>(&self.arguments);
        arguments.is_ok_and(|it| it.is_object())
    }
}

#[cfg(test)]
mod tests {
    use canonical::FinishReason;

    use super::*;

    fn after(deltas: Vec<Delta>) -> Remainder {
        let mut transcript = Transcript::default();
        deltas.into_iter().for_each(|it| transcript.note(&StreamEvent::delta(0, it)));
        transcript.remainder()
    }

    fn call(json: &[&str]) -> Vec<Delta> {
        let (id, name) = ("c1".to_owned(), "weather".to_owned());
        let mut deltas = vec![Delta::ToolCall { call: 0, id, name, signature: None }];
        let arguments = json.iter().map(|it| Delta::Arguments { call: 0, json: (*it).to_owned() });
        deltas.extend(arguments);
        deltas
    }

    #[test]
    fn text_can_be_continued_and_other_content_cannot() {
        let text = || Delta::Text("Hello".to_owned());
        assert_eq!(after(vec![]), Remainder::Open);
        assert_eq!(after(vec![Delta::Reasoning("hm".to_owned()), text()]), Remainder::Open);
        assert_eq!(after(vec![text(), Delta::Refusal("no".to_owned())]), Remainder::Fixed);
        assert_eq!(after(vec![text(), Delta::Finish(FinishReason::Stop)]), Remainder::OnlyEnd);
    }

    #[test]
    fn a_call_is_whole_when_its_arguments_are_closed() {
        assert_eq!(after(call(&["{\"city\":", "\"Rome\"}"])), Remainder::OnlyFinish);
        for half in [&[][..], &["{\"city\":"], &["{\"city\":\"Ro"]] {
            assert_eq!(after(call(half)), Remainder::BrokenCall("weather".to_owned()), "{half:?}");
        }
    }
}
