//! A provider's whole response: checked for a client of the same format, decoded for others.

use canonical::{ChatResponse, Choice, Error, ErrorKind, Part, Result, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    json,
    openai::chat::{self, ResponseSummary},
};

/// A whole response, or one object of a stream.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct CompletionJson {
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    pub(super) choices: Vec<ChoiceJson>,
}

/// One completion, or what an event adds to it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ChoiceJson {
    pub(super) index: u32,
    pub(super) text: Option<String>,
    pub(super) finish_reason: Option<String>,
}

impl ChoiceJson {
    /// Why the completion ends; none where it goes on. Some write an empty reason for that.
    pub(super) fn reason(&self) -> Option<&str> {
        self.finish_reason.as_deref().filter(|it| !it.is_empty())
    }
}

/// Decodes a response. An error object inside a success, or a completion that was cut, is an error.
pub(super) fn decode(body: &[u8]) -> Result<(ChatResponse, Option<Usage>)> {
    let summary: ResponseSummary<'_> = serde_json::from_slice(body).map_err(unreadable)?;
    chat::check_response(&summary, body)?;
    let usage = summary.usage.and_then(|it: &RawValue| chat::usage(it));
    let completion: CompletionJson = serde_json::from_slice(body).map_err(unreadable)?;
    // A chat's response has choices too, but no texts: some servers respond on every path with a
    // chat.
    if completion.choices.iter().all(|it| it.text.is_none()) {
        return Err(Error::new(ErrorKind::Upstream, "returned a response without completions"));
    }
    let mut choices = completion.choices;
    // Nothing promises their order; each has its index.
    choices.sort_by_key(|it| it.index);
    let choices = choices.into_iter().map(choice).collect::<Result<_>>()?;
    Ok((ChatResponse { id: completion.id, model: completion.model, choices }, usage))
}

fn choice(choice: ChoiceJson) -> Result<Choice> {
    // A whole response without a reason was not cut by a limit: that would have one.
    let finish_reason = chat::finish_reason(choice.reason().unwrap_or("stop"))?;
    let parts = vec![Part::text(choice.text.unwrap_or_default())];
    Ok(Choice { parts, finish_reason })
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` takes")]
fn unreadable(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Upstream, "returned a body that is not a completion")
        .caused_by(json::unquoted(&error))
}

#[cfg(test)]
mod tests {
    use canonical::FinishReason;

    use super::*;

    #[test]
    fn completions_stand_in_their_order() {
        let body = r#"{"id":"cmpl-1","choices":[{"index":1,"text":"b","finish_reason":"length"},
            {"index":0,"text":"a","finish_reason":"stop","logprobs":null}],
            "usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;
        let (chat, usage) = decode(body.as_bytes()).unwrap();
        let reasons: Vec<_> = chat.choices.iter().map(|it| it.finish_reason.clone()).collect();
        assert_eq!(reasons, [FinishReason::Stop, FinishReason::Length]);
        assert_eq!(chat.choices[0].parts, [Part::text("a")]);
        assert_eq!(usage.unwrap().all_output(), 2);
    }

    #[test]
    fn what_is_no_completion_is_an_error() {
        for body in [
            r#"{"choices":[]}"#,
            r#"{"choices":[{"index":0,"text":"x","finish_reason":"abort"}]}"#,
            r#"{"error":{"message":"no","code":500}}"#,
            r#"{"object":"error","message":"no","code":500}"#,
            "[]",
            "<html>",
        ] {
            assert_eq!(decode(body.as_bytes()).unwrap_err().kind, ErrorKind::Upstream, "{body}");
        }
    }
}
