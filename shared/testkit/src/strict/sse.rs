//! Streams of server-sent events, and what can go wrong with them.

use serde_json::Value;

use super::{Script, Trouble};
use crate::provider::{Answer, Step};

/// One frame without a name.
pub(super) fn data(value: &Value) -> Step {
    Step::text(format!("data: {value}\n\n"))
}

/// One frame under the name that is its `type`.
pub(super) fn named(value: &Value) -> Step {
    let name = value["type"].as_str().unwrap_or_default();
    Step::text(format!("event: {name}\ndata: {value}\n\n"))
}

/// What is said, then the lawful end, unless the script's trouble comes in between.
pub(super) fn stream(script: &Script, said: Vec<Step>, end: Vec<Step>, error: Step) -> Answer {
    let mut steps = said;
    match script.trouble {
        None | Some(Trouble::Status(_)) => steps.extend(end),
        Some(Trouble::ErrorFirst) => steps = vec![error],
        Some(Trouble::ErrorLast) => steps.push(error),
        Some(Trouble::Cut) => steps.push(Step::Cut),
        Some(Trouble::EndsEarly) => {}
    }
    Answer::stream(steps)
}

/// A whole answer, or a broken one.
pub(super) fn whole(script: &Script, value: &Value) -> Answer {
    match script.trouble {
        Some(Trouble::Cut | Trouble::EndsEarly) => {
            let text = value.to_string();
            let half: String = text.chars().take(text.chars().count() / 2).collect();
            Answer::raw(200, "application/json", half)
        }
        _ => Answer::json(200, value),
    }
}
