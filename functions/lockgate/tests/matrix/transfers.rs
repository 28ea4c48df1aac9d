//! Conversations that move to another provider, and providers that fail.

use testkit::strict::{Format, InjectedFault, Script};

use crate::conversation::{Conversation, Outcome, ReasoningSetting};
use crate::gateway::{Failed, Gateway, Pair, direct, go_on, route};

fn plain() -> Outcome {
    let (id, name) = (String::new(), String::new());
    Outcome { id, name, text: "Sunny".to_owned(), image: None, failed: false }
}

/// One provider thinks and calls a tool, then fails; another has to take the conversation over, and
/// the first has to be able to go on with it later.
pub(crate) async fn away(
    gateway: &Gateway,
    client: Format,
    [first, second]: [Format; 2],
    stream: bool,
) -> Result<(), String> {
    if first == second {
        return Ok(());
    }
    let result = plain();
    let pair = Pair { client, provider: first, stream, result: &result };
    let schema = serde_json::json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let mut conversation = Conversation::of("Weather?").tool("weather", schema);
    conversation.reasoning_setting = Some(ReasoningSetting::Somehow);
    let route = route(first, second);
    let (one, other) = (gateway.provider(first), gateway.provider(second));
    one.forget();
    other.forget();
    let reasoning_setting = Script::default().then_reasoning(["I ", "think."]);
    let calls = reasoning_setting.then_call("call_1", "weather", ["{\"city\":", "\"Riga\"}"]);
    let down = Script::text([]).with_fault(InjectedFault::Status(503));
    let again = Script::default().then_reasoning(["Hm."]).then_call("call_2", "weather", ["{}"]);
    let rounds = [
        (vec![calls], Script::text(["unexpected"])),
        (vec![down], again),
        (vec![Script::text(["Done."])], Script::text(["unexpected"])),
    ];
    for (number, (from_one, from_other)) in rounds.into_iter().enumerate() {
        one.script(from_one);
        other.script([from_other]);
        let responses = gateway.round(pair, &conversation, &route).await;
        let (responses, _) = responses.map_err(|failed| {
            format!(
                "round {number}: {} ({:?}, {:?})",
                describe(failed),
                one.rejected(),
                other.rejected()
            )
        })?;
        if responses.text.contains("unexpected") {
            return Err(format!(
                "round {number} was answered by the other: {:?} {:?}",
                one.rejected(),
                other.rejected()
            ));
        }
        go_on(&mut conversation, &responses, &result);
    }
    let refused = [one.rejected(), other.rejected()].concat();
    if refused.is_empty() { Ok(()) } else { Err(format!("refused on the way: {refused:?}")) }
}

fn describe(failed: Failed) -> String {
    match failed {
        Failed::Unsupported => "unsayable".to_owned(),
        Failed::Rejected(why) => format!("refused: {why}"),
        Failed::Provider(why) | Failed::DecodeFailure(why) | Failed::Broken(why) => why,
    }
}

/// Every injected fault must become an error that the client can decode.
pub(crate) async fn troubles(
    gateway: &Gateway,
    client: Format,
    provider: Format,
    stream: bool,
) -> Vec<String> {
    let result = plain();
    let pair = Pair { client, provider, stream, result: &result };
    let model = direct(provider);
    let mut wrong = vec![];
    let troubles = [
        InjectedFault::Status(503),
        InjectedFault::Status(429),
        InjectedFault::ErrorFirst,
        InjectedFault::ErrorLast,
        InjectedFault::Cut,
        InjectedFault::EndsEarly,
    ];
    for injected_fault in troubles {
        gateway.provider(provider).script([Script::text(["Hel", "lo"]).with_fault(injected_fault)]);
        if let Ok((responses, _)) = gateway.round(pair, &Conversation::of("Hi"), &model).await {
            wrong.push(format!("{injected_fault:?} was heard as {responses:?}"));
        }
    }
    wrong
}
