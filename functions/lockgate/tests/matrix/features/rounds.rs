//! What has to survive over several turns.

use super::{
    Asked, Bit, Called, Feature, Got, Heard, Line, Outcome, PLAIN, Role, Script, Stop, Talk,
    Thinks, Value, Verdict, json, last, result, same, that, weather,
};

pub(super) fn all() -> Vec<Feature> {
    let mut all = calls();
    all.extend(results());
    all.extend(thoughts());
    all.extend(more_thoughts());
    all
}

fn asking() -> Talk {
    Talk::of("Weather?").tool("weather", weather()).tool("time", weather())
}

fn riga() -> Value {
    json!({"city": "Riga", "days": 3})
}

/// Two calls at once, with arguments in pieces.
fn two_calls() -> Script {
    Script::default()
        .then_call("call_1", "weather", ["{\"ci", "ty\":\"Riga\",", "\"days\":3}"])
        .then_call("call_2", "time", ["{\"city\":", "\"Oslo\"}"])
}

fn calls() -> Vec<Feature> {
    vec![
        Feature {
            name: "one tool call",
            talk: asking,
            scripts: || {
                vec![Script::default().then_call(
                    "c1",
                    "weather",
                    ["{\"city\":\"Riga\",", "\"days\":3}"],
                )]
            },
            returns: |heard, _, _| called(&heard[0], &[("weather", riga())]),
            ..PLAIN
        },
        Feature {
            name: "tool call without arguments",
            talk: asking,
            scripts: || vec![Script::default().then_call("c1", "time", [])],
            returns: |heard, _, _| called(&heard[0], &[("time", json!({}))]),
            ..PLAIN
        },
        Feature {
            name: "text beside a tool call",
            talk: asking,
            scripts: || {
                let first = Script::text(["Let me ", "see."]).then_call("c1", "time", ["{}"]);
                vec![first, Script::text(["Done."])]
            },
            arrives: |asked| {
                let said = last(asked).texts(Role::Assistant).concat();
                same(said.as_str(), "Let me see.")
            },
            returns: |heard, _, _| {
                super::says(&heard[0], "Let me see.")?;
                called(&heard[0], &[("time", json!({}))])
            },
            ..PLAIN
        },
        Feature {
            name: "several tool calls over three turns",
            talk: asking,
            scripts: || {
                let again = Script::default().then_call("call_3", "time", ["{}"]);
                vec![two_calls(), again, Script::text(["Done."])]
            },
            arrives: |asked| {
                answered(last(asked), 3)?;
                same(asked.len(), 3)
            },
            returns: |heard, _, _| {
                called(&heard[0], &[("weather", riga()), ("time", json!({"city": "Oslo"}))])?;
                called(&heard[1], &[("time", json!({}))])?;
                same(&heard[2].stop, &Stop::Done)?;
                super::says(&heard[2], "Done.")
            },
            ..PLAIN
        },
    ]
}

fn called(heard: &Heard, wanted: &[(&str, Value)]) -> Verdict {
    let found = |it: &Called| (it.name.clone(), it.arguments.clone());
    let found: Vec<(String, Value)> = heard.calls.iter().map(found).collect();
    let wanted: Vec<(String, Value)> =
        wanted.iter().map(|(name, arguments)| ((*name).to_owned(), arguments.clone())).collect();
    same(found, wanted)?;
    same(&heard.stop, &Stop::Tools)
}

/// Whether so many calls stand there, each with the result that names its own arguments.
fn answered(asked: &Asked, times: usize) -> Verdict {
    let mut pending: Vec<(&str, String)> = vec![];
    let mut done = 0;
    for bit in asked.turns.iter().flat_map(|it| &it.bits) {
        match bit {
            Got::Call { id, arguments, .. } => pending.push((id, arguments.to_string())),
            Got::Result { id, bits, .. } => {
                let said: String = bits.iter().filter_map(Got::text).collect();
                // Several results may come in any order where ids tell them apart.
                let at = pending.iter().position(|(call, arguments)| {
                    call == id && said.ends_with(&format!("Sunny {arguments}"))
                });
                let at =
                    at.ok_or_else(|| format!("{said:?} for {id} answers none of {pending:?}"))?;
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
    fn bits(asked: &[Asked]) -> Vec<Got> {
        let mut all = last(asked).bits(Role::User);
        let found = all.find_map(|it| match it {
            Got::Result { bits, .. } => Some(bits.clone()),
            _ => None,
        });
        found.unwrap_or_default()
    }
    vec![
        Feature {
            name: "tool result with an image",
            talk: asking,
            scripts,
            result: || Outcome { image: Some(("image/png", PNG)), ..result() },
            arrives: |asked| {
                let image = Got::Image(format!("data:image/png;base64,{PNG}"));
                // Beside the result counts too: some APIs know no other place.
                let beside = last(asked).bits(Role::User).any(|it| *it == image);
                that(bits(asked).contains(&image) || beside, format!("{:?}", last(asked).turns))
            },
            returns: |heard, _, _| super::says(&heard[1], "Done."),
        },
        Feature {
            name: "tool result that is an error",
            talk: asking,
            scripts,
            result: || Outcome { failed: true, ..result() },
            arrives: |asked| {
                let failed = |it: &Got| matches!(it, Got::Result { failed: true, .. });
                that(last(asked).bits(Role::User).any(failed), "nothing failed")
            },
            returns: |heard, _, _| super::says(&heard[1], "Done."),
        },
        Feature {
            name: "several turns of text",
            scripts: || {
                vec![Script::text(["One."]), Script::text(["Two."]), Script::text(["Three."])]
            },
            talk: || Talk {
                lines: vec![Line::User(vec![Bit::Text("Hi"), Bit::Text("there")])],
                ..Talk::default()
            },
            arrives: |asked| {
                same(last(asked).texts(Role::Assistant).concat().as_str(), "One.Two.")?;
                same(last(asked).texts(Role::User).len(), 4)
            },
            returns: |heard, _, _| super::says(&heard[2], "Three."),
            ..PLAIN
        },
    ]
}

fn thinking() -> Talk {
    Talk { thinks: Some(Thinks::Somehow), ..asking() }
}

fn thoughts() -> Vec<Feature> {
    vec![
        Feature {
            name: "reasoning text",
            talk: || Talk { thinks: Some(Thinks::Somehow), ..Talk::of("Hi") },
            scripts: || vec![Script::default().then_thought(["I ", "think."]).then_text(["Hello"])],
            returns: |heard, _, _| {
                super::says(&heard[0], "Hello")?;
                same(heard[0].thought.as_str(), "I think.")
            },
            ..PLAIN
        },
        Feature {
            name: "signatures over three turns",
            talk: thinking,
            scripts: || {
                let first = Script::default().then_thought(["I ", "think."]).then_text(["Well."]);
                let second = Script::default().then_thought(["Hm."]);
                vec![
                    first.then_call("call_1", "weather", ["{\"city\":\"Riga\",\"days\":3}"]),
                    second.then_call("call_2", "time", []),
                    Script::text(["Done."]),
                ]
            },
            arrives: signed,
            returns: |heard, _, _| super::says(&heard[2], "Done."),
            ..PLAIN
        },
        Feature {
            name: "several thoughts in one answer",
            talk: thinking,
            scripts: || {
                let first = Script::default().then_thought(["I ", "think."]).then_text(["Well."]);
                let first = first.then_thought(["Hm."]).then_call("call_1", "time", ["{}"]);
                vec![first, Script::text(["Done."])]
            },
            arrives: signed,
            returns: |heard, _, _| {
                super::says(&heard[0], "Well.")?;
                super::says(&heard[1], "Done.")
            },
            ..PLAIN
        },
    ]
}

fn more_thoughts() -> Vec<Feature> {
    vec![
        Feature {
            name: "signatures of parallel calls",
            talk: thinking,
            scripts: || {
                let Script { says, .. } = two_calls();
                let first = Script { stop: Stop::Tools, ..Script::default().then_thought(["Hm."]) };
                let first = says.into_iter().fold(first, Script::then);
                vec![first, Script::text(["Done."])]
            },
            arrives: signed,
            returns: |heard, _, _| super::says(&heard[1], "Done."),
            ..PLAIN
        },
        Feature {
            name: "hidden reasoning",
            talk: thinking,
            scripts: || {
                let first = Script::default().then(super::Say::Hidden);
                vec![first.then_call("call_1", "time", ["{}"]), Script::text(["Done."])]
            },
            arrives: signed,
            returns: |heard, _, _| super::says(&heard[1], "Done."),
            ..PLAIN
        },
    ]
}

/// Whether every earlier turn of the model brings its proof, where its maker gives one.
fn signed(asked: &[Asked]) -> Verdict {
    let asked = last(asked);
    let Some(wanted) = asked.wants_signatures else { return Ok(()) };
    that(wanted, "nobody asked for signatures")?;
    for turn in asked.turns.iter().filter(|it| it.role == Role::Assistant) {
        let proof = |it: &Got| {
            matches!(it, Got::Thought { signed: true, .. } | Got::Call { signed: true, .. })
        };
        that(turn.bits.iter().any(proof), format!("nothing is signed in {:?}", turn.bits))?;
    }
    Ok(())
}
