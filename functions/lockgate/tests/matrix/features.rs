//! The features to preserve, each a conversation with checks of the request and the response.

use serde_json::{Value, json};
use testkit::strict::{
    Bit as Got, Choice, DecodedRequest, Format, Message, Role, Script, ScriptedContent, Shape,
    Stop, Tokens,
};

use crate::client::{ReceivedResponse, ToolCall};
use crate::conversation::{Bit, Conversation, Line, Outcome, ReasoningSetting};

mod conversations;
mod requests;
mod responses;

/// What is wrong; empty when nothing is.
pub(crate) type Verdict = Result<(), String>;

/// One feature to preserve.
pub(crate) struct Feature {
    pub(crate) name: &'static str,
    pub(crate) conversation: fn() -> Conversation,
    /// One for each round.
    pub(crate) scripts: fn() -> Vec<Script>,
    pub(crate) result: fn() -> Outcome,
    /// Checks the requests that the provider got.
    pub(crate) arrives: fn(&[DecodedRequest]) -> Verdict,
    /// Checks the responses that the client got from this provider.
    pub(crate) returns: fn(&[ReceivedResponse], Format, Format) -> Verdict,
}

/// Every feature, in the order of the table.
pub(crate) fn all() -> Vec<Feature> {
    [requests::all(), conversations::all(), responses::all()].into_iter().flatten().collect()
}

const PLAIN: Feature = Feature {
    name: "",
    conversation: || Conversation::of("Hi"),
    scripts: || vec![Script::text(["Hel", "lo"])],
    result,
    arrives: |_| Ok(()),
    returns: |responses, _, _| says(&responses[0], "Hello"),
};

fn result() -> Outcome {
    Outcome {
        id: String::new(),
        name: String::new(),
        text: "Sunny".to_owned(),
        image: None,
        failed: false,
    }
}

fn that(is_so: bool, what: impl Into<String>) -> Verdict {
    if is_so { Ok(()) } else { Err(what.into()) }
}

#[expect(clippy::needless_pass_by_value, reason = "tests read better without borrowing")]
fn same<T: PartialEq + std::fmt::Debug>(found: T, wanted: T) -> Verdict {
    that(found == wanted, format!("{found:?} is not {wanted:?}"))
}

fn says(responses: &ReceivedResponse, text: &str) -> Verdict {
    same(responses.text.as_str(), text)
}

/// The last request to the provider.
fn last(requests: &[DecodedRequest]) -> &DecodedRequest {
    requests.last().expect("it was asked")
}

fn weather() -> Value {
    json!({"type": "object", "properties": {
        "city": {"type": "string", "description": "Where."},
        "days": {"type": "integer"},
        "units": {"type": "string", "enum": ["metric", "imperial"]},
        "tags": {"type": "array", "items": {"type": "string"}},
    }, "required": ["city"]})
}
