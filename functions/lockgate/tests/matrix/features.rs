//! What has to survive, each as a conversation with a test of what arrived and what came back.

use serde_json::{Value, json};
use testkit::strict::{
    Asked, Bit as Got, Choice, Dialect, Role, Say, Script, Shape, Stop, Tokens, Turn,
};

use crate::client::{Called, Heard};
use crate::talk::{Bit, Line, Outcome, Talk, Thinks};

mod answers;
mod questions;
mod rounds;

/// What is wrong; empty when nothing is.
pub(crate) type Verdict = Result<(), String>;

/// One thing that has to survive.
pub(crate) struct Feature {
    pub(crate) name: &'static str,
    pub(crate) talk: fn() -> Talk,
    /// One for each round.
    pub(crate) scripts: fn() -> Vec<Script>,
    pub(crate) result: fn() -> Outcome,
    /// Whether it is in what the provider was asked last.
    pub(crate) arrives: fn(&[Asked]) -> Verdict,
    /// Whether it is in what the client heard, of this provider.
    pub(crate) returns: fn(&[Heard], Dialect, Dialect) -> Verdict,
}

/// Every feature, in the order of the table.
pub(crate) fn all() -> Vec<Feature> {
    [questions::all(), rounds::all(), answers::all()].into_iter().flatten().collect()
}

const PLAIN: Feature = Feature {
    name: "",
    talk: || Talk::of("Hi"),
    scripts: || vec![Script::text(["Hel", "lo"])],
    result,
    arrives: |_| Ok(()),
    returns: |heard, _, _| says(&heard[0], "Hello"),
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

fn says(heard: &Heard, text: &str) -> Verdict {
    same(heard.text.as_str(), text)
}

/// What the provider was asked last.
fn last(asked: &[Asked]) -> &Asked {
    asked.last().expect("it was asked")
}

fn weather() -> Value {
    json!({"type": "object", "properties": {
        "city": {"type": "string", "description": "Where."},
        "days": {"type": "integer"},
        "units": {"type": "string", "enum": ["metric", "imperial"]},
        "tags": {"type": "array", "items": {"type": "string"}},
    }, "required": ["city"]})
}
