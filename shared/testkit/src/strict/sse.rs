//! Streams of server-sent events, with injected faults.

use serde_json::Value;

use super::{InjectedFault, Script};
use crate::provider::{ScriptedResponse, Step};

/// One frame without a name.
pub(super) fn data(value: &Value) -> Step {
    Step::text(format!("data: {value}\n\n"))
}

/// One frame under the name that is its `type`.
pub(super) fn named(value: &Value) -> Step {
    let name = value["type"].as_str().unwrap_or_default();
    Step::text(format!("event: {name}\ndata: {value}\n\n"))
}

/// The content, then the proper end, unless the script injects a fault.
pub(super) fn stream(
    script: &Script,
    sent: Vec<Step>,
    end: Vec<Step>,
    error: Step,
) -> ScriptedResponse {
    let mut steps = sent;
    match script.injected_fault {
        None => steps.extend(end),
        Some(InjectedFault::ErrorFirst) => steps = vec![error],
        Some(InjectedFault::ErrorLast) => steps.push(error),
        Some(InjectedFault::Cut) => steps.push(Step::Cut),
        Some(InjectedFault::CutMidway) => {
            steps.truncate(midway(&steps));
            steps.push(Step::Cut);
        }
        Some(InjectedFault::StallsMidway) => {
            steps.truncate(midway(&steps));
            steps.push(Step::Hang);
        }
        Some(InjectedFault::MalformedMidway) => {
            steps.insert(midway(&steps), Step::text("data: {\"type\": \n\n"));
            steps.extend(end);
        }
        Some(InjectedFault::LacksTerminator) => {
            let kept = if 1 < end.len() { end.len() - 1 } else { end.len() };
            steps.extend(end.into_iter().take(kept));
        }
        Some(InjectedFault::SilentBody) => steps = vec![Step::Hang],
        // The others are told by a status, or by nothing.
        Some(_) => {}
    }
    ScriptedResponse::stream(steps)
}

fn midway(steps: &[Step]) -> usize {
    steps.len() * 2 / 3
}

/// A whole response, or a truncated one.
pub(super) fn whole(script: &Script, value: &Value) -> ScriptedResponse {
    match script.injected_fault {
        Some(InjectedFault::Cut | InjectedFault::EndsEarly) => {
            let text = value.to_string();
            let half: String = text.chars().take(text.chars().count() / 2).collect();
            ScriptedResponse::raw(200, "application/json", half)
        }
        _ => ScriptedResponse::json(200, value),
    }
}
