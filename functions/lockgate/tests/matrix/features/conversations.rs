//! Features of conversations over several requests.

use super::{
    Bit, Conversation, DecodedRequest, Feature, Got, Line, Outcome, PLAIN, ReasoningSetting,
    ReceivedResponse, Role, Script, Stop, ToolCall, Value, Verdict, json, last, result, same, that,
    weather,
};

pub(super) fn all() -> Vec<Feature> {
    let mut all = calls();
    all.extend(results());
    all.extend(reasoning_features());
    all.extend(more_reasoning_features());
    all
}

fn tool_conversation() -> Conversation {
    Conversation::of("Weather?").tool("weather", weather()).tool("time", weather())
}

fn riga() -> Value {
    json!({"city": "Riga", "days": 3})
}

/// Two parallel calls, with arguments in chunks.
fn two_calls() -> Script {
    Script::default()
        .then_call("call_1", "weather", ["{\"ci", "ty\":\"Riga\",", "\"days\":3}"])
        .then_call("call_2", "time", ["{\"city\":", "\"Oslo\"}"])
}

fn one_call() -> Script {
    Script::default().then_call("c1", "weather", ["{\"city\":\"Riga\",", "\"days\":3}"])
}

fn calls() -> Vec<Feature> {
    vec![
        Feature {
            name: "one tool call",
            conversation: tool_conversation,
            scripts: || vec![one_call()],
            returns: |responses, _, _| check_calls(&responses[0], &[("weather", riga())]),
            ..PLAIN
        },
        Feature {
            name: "tool call without arguments",
            conversation: tool_conversation,
            scripts: || vec![Script::default().then_call("c1", "time", [])],
            returns: |responses, _, _| check_calls(&responses[0], &[("time", json!({}))]),
            ..PLAIN
        },
        Feature {
            name: "text beside a tool call",
            conversation: tool_conversation,
            scripts: || {
                let first = Script::text(["Let me ", "see."]).then_call("c1", "time", ["{}"]);
                vec![first, Script::text(["Done."])]
            },
            arrives: |requests| {
                let result_text = last(requests).texts(Role::Assistant).concat();
                same(result_text.as_str(), "Let me see.")
            },
            returns: |responses, _, _| {
                super::says(&responses[0], "Let me see.")?;
                check_calls(&responses[0], &[("time", json!({}))])
            },
            ..PLAIN
        },
        Feature {
            name: "several tool calls over three turns",
            conversation: tool_conversation,
            scripts: || {
                let again = Script::default().then_call("call_3", "time", ["{}"]);
                vec![two_calls(), again, Script::text(["Done."])]
            },
            arrives: |requests| {
                check_results(last(requests), 3)?;
                same(requests.len(), 3)
            },
            returns: |responses, _, _| {
                check_calls(
                    &responses[0],
                    &[("weather", riga()), ("time", json!({"city": "Oslo"}))],
                )?;
                check_calls(&responses[1], &[("time", json!({}))])?;
                same(&responses[2].stop, &Stop::Done)?;
                super::says(&responses[2], "Done.")
            },
            ..PLAIN
        },
    ]
}

fn check_calls(responses: &ReceivedResponse, wanted: &[(&str, Value)]) -> Verdict {
    let found = |it: &ToolCall| (it.name.clone(), it.arguments.clone());
    let found: Vec<(String, Value)> = responses.calls.iter().map(found).collect();
    let wanted: Vec<(String, Value)> =
        wanted.iter().map(|(name, arguments)| ((*name).to_owned(), arguments.clone())).collect();
    same(found, wanted)?;
    same(&responses.stop, &Stop::Tools)
}

/// Whether so many calls stand there, each with the result that names its own arguments.
fn check_results(request: &DecodedRequest, times: usize) -> Verdict {
    let mut pending: Vec<(&str, String)> = vec![];
    let mut done = 0;
    for bit in request.messages.iter().flat_map(|it| &it.bits) {
        match bit {
            Got::Call { id, arguments, .. } => pending.push((id, arguments.to_string())),
            Got::Result { id, bits, .. } => {
                let result_text: String = bits.iter().filter_map(Got::text).collect();
                // Several results may come in any order where ids distinguish them.
                let at = pending.iter().position(|(call, arguments)| {
                    call == id && result_text.ends_with(&format!("Sunny {arguments}"))
                });
                let at = at.ok_or_else(|| {
                    format!("{result_text:?} for {id} answers none of {pending:?}")
                })?;
                pending.remove(at);
                done += 1;
            }
            _ => {}
        }
    }
    same((done, pending.len()), (times, 0))
}

fn results() -> Vec<Feature> {
    const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    fn scripts() -> Vec<Script> {
        vec![Script::default().then_call("c1", "time", ["{}"]), Script::text(["Done."])]
    }
    fn bits(requests: &[DecodedRequest]) -> Vec<Got> {
        let mut all = last(requests).bits(Role::User);
        let found = all.find_map(|it| match it {
            Got::Result { bits, .. } => Some(bits.clone()),
            _ => None,
        });
        found.unwrap_or_default()
    }
    vec![
        Feature {
            name: "tool result with an image",
            conversation: tool_conversation,
            scripts,
            result: || Outcome { image: Some(("image/png", PNG)), ..result() },
            arrives: |requests| {
                let image = Got::Image(format!("data:image/png;base64,{PNG}"));
                // Beside the result counts too: some APIs know no other place.
                let beside = last(requests).bits(Role::User).any(|it| *it == image);
                that(
                    bits(requests).contains(&image) || beside,
                    format!("{:?}", last(requests).messages),
                )
            },
            returns: |responses, _, _| super::says(&responses[1], "Done."),
        },
        Feature {
            name: "tool result that is an error",
            conversation: tool_conversation,
            scripts,
            result: || Outcome { failed: true, ..result() },
            arrives: |requests| {
                let failed = |it: &Got| matches!(it, Got::Result { failed: true, .. });
                that(last(requests).bits(Role::User).any(failed), "nothing failed")
            },
            returns: |responses, _, _| super::says(&responses[1], "Done."),
        },
        Feature {
            name: "several turns of text",
            scripts: || {
                vec![Script::text(["One."]), Script::text(["Two."]), Script::text(["Three."])]
            },
            conversation: || Conversation {
                lines: vec![Line::User(vec![Bit::Text("Hi"), Bit::Text("there")])],
                ..Conversation::default()
            },
            arrives: |requests| {
                same(last(requests).texts(Role::Assistant).concat().as_str(), "One.Two.")?;
                same(last(requests).texts(Role::User).len(), 4)
            },
            returns: |responses, _, _| super::says(&responses[2], "Three."),
            ..PLAIN
        },
    ]
}

fn thinking() -> Conversation {
    Conversation { reasoning_setting: Some(ReasoningSetting::Somehow), ..tool_conversation() }
}

fn reasoning_features() -> Vec<Feature> {
    vec![
        Feature {
            name: "reasoning text",
            conversation: || Conversation {
                reasoning_setting: Some(ReasoningSetting::Somehow),
                ..Conversation::of("Hi")
            },
            scripts: || {
                vec![Script::default().then_reasoning(["I ", "think."]).then_text(["Hello"])]
            },
            returns: |responses, _, _| {
                super::says(&responses[0], "Hello")?;
                same(responses[0].reasoning.as_str(), "I think.")
            },
            ..PLAIN
        },
        Feature {
            name: "signatures over three turns",
            conversation: thinking,
            scripts: || {
                let first = Script::default().then_reasoning(["I ", "think."]).then_text(["Well."]);
                let second = Script::default().then_reasoning(["Hm."]);
                vec![
                    first.then_call("call_1", "weather", ["{\"city\":\"Riga\",\"days\":3}"]),
                    second.then_call("call_2", "time", []),
                    Script::text(["Done."]),
                ]
            },
            arrives: signed,
            returns: |responses, _, _| super::says(&responses[2], "Done."),
            ..PLAIN
        },
        Feature {
            name: "several reasoning blocks in one response",
            conversation: thinking,
            scripts: || {
                let first = Script::default().then_reasoning(["I ", "think."]).then_text(["Well."]);
                let first = first.then_reasoning(["Hm."]).then_call("call_1", "time", ["{}"]);
                vec![first, Script::text(["Done."])]
            },
            arrives: signed,
            returns: |responses, _, _| {
                super::says(&responses[0], "Well.")?;
                super::says(&responses[1], "Done.")
            },
            ..PLAIN
        },
    ]
}

fn more_reasoning_features() -> Vec<Feature> {
    vec![
        Feature {
            name: "signatures of parallel calls",
            conversation: thinking,
            scripts: || {
                let Script { content, .. } = two_calls();
                let first =
                    Script { stop: Stop::Tools, ..Script::default().then_reasoning(["Hm."]) };
                let first = content.into_iter().fold(first, Script::then);
                vec![first, Script::text(["Done."])]
            },
            arrives: signed,
            returns: |responses, _, _| super::says(&responses[1], "Done."),
            ..PLAIN
        },
        Feature {
            name: "hidden reasoning",
            conversation: thinking,
            scripts: || {
                let first = Script::default().then(super::ScriptedContent::RedactedReasoning);
                vec![first.then_call("call_1", "time", ["{}"]), Script::text(["Done."])]
            },
            arrives: signed,
            returns: |responses, _, _| super::says(&responses[1], "Done."),
            ..PLAIN
        },
    ]
}

/// Checks that every earlier message of the model has its signature, where its maker gives one.
fn signed(requests: &[DecodedRequest]) -> Verdict {
    let request = last(requests);
    let Some(wanted) = request.wants_signatures else { return Ok(()) };
    that(wanted, "nobody asked for signatures")?;
    for turn in request.messages.iter().filter(|it| it.role == Role::Assistant) {
        let is_signature = |it: &Got| {
            matches!(it, Got::Reasoning { signed: true, .. } | Got::Call { signed: true, .. })
        };
        that(turn.bits.iter().any(is_signature), format!("nothing is signed in {:?}", turn.bits))?;
    }
    Ok(())
}
